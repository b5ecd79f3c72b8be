"""Complex critical points by numerical continuation, where Groebner bases do not come to an end.

The equations J(w)^T Q (c(w) - u) = 0 of a critical point are linear in the targets u: any weights are critical for some
targets, and pairs (w, u) with J of full rank form one irreducible variety. So a loop of the targets carries a known
critical point to another one, and all are reached from any (monodromy: Duff, Hill, Jensen, Lee, Leykin & Sommars,
"Solving polynomial systems via homotopy continuation and monodromy", IMA J. Numer. Anal. 2019). Whatever is found is
certified by Krawczyk's test in intervals; that nothing is missing is not, unless a closed form says how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.msolve import Timer

Complex = npt.NDArray[np.complex128]

# Loops without a new critical point after which all are taken to be found.
QUIET = 8
# Paths that are followed together: what they hold fits into the caches.
TOGETHER = 256
# Largest first and second correction of a predicted point, in units of `GenericLoss.scales`: a third is some 1e-14.
PREDICTED, CORRECTED = 1e-4, 1e-7
# Of the step, from what the first correction was to what it may be; Runge and Kutta's error goes by its fifth power.
CAUTION, LEAST_FACTOR, MOST_FACTOR = 0.7, 0.3, 3.0
# A path that asks for more steps passes by a singular point; another loop will do.
MOST_STEPS, LARGEST_POINT = 150, 1e8
# Points, in units of their size, that are one.
SAME = 1e-7
# Of certificates: sides of boxes, in units of `GenericLoss.scales`, to be tried; steps of Newton; bits.
RADII, REFINEMENTS, BITS = (1e-8, 1e-11, 1e-14), 2, 160


@dataclass(frozen=True)
class Continued:
    """What monodromy found.

    Attributes:
        points: critical points in the chart, (S, V).
        targets: u, (n,).
        functions: how many different functions they have.
        loops: of the targets.
        quiet: how many of the last ones brought nothing new.
        lost: paths that could not be followed to their end, of all loops together.
    """

    points: Complex
    targets: Complex
    functions: int
    loops: int
    quiet: int
    lost: int


class GenericLoss:
    """(c - u)^T Q (c - u) for a random complex inner product Q, and its gradient's continuation in u.

    Args:
        expansion: c(w), in the chart.
        generator: draws Q.
    """

    def __init__(self, expansion: Expansion, generator: np.random.Generator) -> None:
        powers = expansion.powers
        self.variables, self.size = powers.shape[1], len(expansion.coefficients)
        self.coefficients = expansion.coefficients.astype(np.float64)
        half = complex_normal(generator, (self.size, self.size))
        self.form = (half + half.T) / 2
        units = np.eye(self.variables, dtype=np.int64)
        lowered = (powers, np.maximum(powers[:, None] - units, 0),
                   np.maximum(powers[:, None, None] - units[:, None] - units, 0))
        # All monomials that occur, of the function and of its derivatives, each once, and where they are.
        self._basis, places = np.unique(np.concatenate([one.reshape(-1, self.variables) for one in lowered]), axis=0,
                                        return_inverse=True)
        ends = np.cumsum([one[..., 0].size for one in lowered])[:-1]
        self._values, self._first, self._second = (part.reshape(one.shape[:-1]) for part, one in zip(
            np.split(places.ravel(), ends), lowered, strict=True))
        self._slopes = powers.astype(np.float64)
        self._curvatures = (powers[:, :, None] * (powers[:, None, :] - units[None])).astype(np.float64)
        self._most, self._columns = int(powers.max()), np.arange(self.variables)

    def function(self, points: Complex) -> Complex:
        """c, (P, n), at points (P, V)."""
        return np.asarray(self._monomials(points)[:, self._values] @ self.coefficients.T)

    def gradient(self, points: Complex, targets: Complex) -> tuple[Complex, Complex, Complex]:
        """Half the gradient (P, V), half the Hessian (P, V, V), and J^T Q (P, V, n), at points (P, V).

        Of complex numbers, or of objects that are intervals.
        """
        monomials = self._monomials(points)
        residual = (monomials[:, self._values] @ self.coefficients.T - targets) @ self.form
        factors = residual @ self.coefficients
        slopes = monomials[:, self._first] * self._slopes
        tangent = np.swapaxes(slopes, 1, 2) @ self.coefficients.T
        weighted = tangent @ self.form
        curved = (factors[:, :, None, None] * (monomials[:, self._second] * self._curvatures)).sum(axis=1)
        return (factors[:, None] @ slopes)[:, 0], weighted @ np.swapaxes(tangent, 1, 2) + curved, weighted

    def scales(self, points: Complex, weighted: Complex, targets: Complex) -> npt.NDArray[np.float64]:
        """Changes of each weight that count, (P, V): such that the function changes by as much as targets are long.

        A last filter of 1e-6 behind filters of 10 is not small.

        Args:
            points, targets: (P, V) and (P, n).
            weighted: J^T Q, as `gradient` returns it.
        """
        length = np.linalg.norm(targets @ self.form, axis=-1)[..., None]
        return np.asarray(np.minimum(1 + np.linalg.norm(points, axis=1)[:, None],
                                     length / np.linalg.norm(weighted, axis=2)))

    def first_point(self, generator: np.random.Generator) -> tuple[Complex, Complex]:
        """Random weights (1, V), and targets (n,) for which they are critical."""
        point = complex_normal(generator, (1, self.variables))
        value, wanted = self.function(point)[0], complex_normal(generator, (self.size,))
        equations = self.gradient(point, wanted)[2][0]
        # The nearest targets to random ones with J^T Q (c - u) = 0.
        return point, wanted + np.linalg.lstsq(equations, equations @ (value - wanted), rcond=None)[0]

    def _monomials(self, points: Complex) -> Complex:
        # By products: intervals around zero have no power by logarithms.
        powers = [points * 0 + 1]
        for _ in range(self._most):
            powers.append(powers[-1] * points)
        return np.asarray(np.stack(powers, axis=-1)[:, self._columns, self._basis].prod(axis=-1))


def complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Complex:
    """Complex normal numbers of variance one."""
    real, imaginary = generator.normal(size=(2, *shape)) / 2**0.5
    return np.asarray(real + 1j * imaginary)


def critical_points_by_monodromy(expansion: Expansion, seed: int, timer: Timer, expected: int | None = None
                                 ) -> Continued:
    """Critical points of a generic loss, by loops of its targets.

    Args:
        expansion: in a chart without continuous symmetries.
        seed: of the loss and of the loops.
        timer: what is left of it is the limit; loops that are under way then are given up, and count for nothing.
        expected: functions that there are, by a closed form: with so many found no loop is run.
    """
    generator = np.random.default_rng((seed, 5))
    loss = GenericLoss(expansion, generator)
    points, targets = loss.first_point(generator)
    loops = quiet = lost = 0
    while quiet < QUIET and timer.left > 0 and (expected is None or functions_of(loss, points) < expected):
        # Several loops at once while points are few.
        together = max(1, min(QUIET, TOGETHER // len(points)))
        corners = complex_normal(generator, (2, together, loss.size)) * np.abs(targets).max()
        path = np.repeat(np.stack([np.tile(targets, (together, 1)), *corners, np.tile(targets, (together, 1))]),
                         len(points), axis=1)
        moved, there = np.tile(points, (together, 1)), np.ones(together * len(points), dtype=bool)
        for start, end in zip(path, path[1:], strict=False):
            moved[there], ended = followed(loss, moved[there], start[there], end[there], timer)
            there[there] = ended
        fresh = without_known(points, moved[there])
        fresh = fresh[certified(loss, fresh, points, targets, timer)]
        points = np.concatenate([points, fresh])
        if timer.left > 0:  # else paths were given up: that these loops brought nothing says nothing
            loops, lost, quiet = loops + together, lost + int((~there).sum()), 0 if len(fresh) else quiet + together
    return Continued(points, targets, functions_of(loss, points), loops, quiet, lost)


def followed(loss: GenericLoss, points: Complex, start: Complex, end: Complex, timer: Timer
             ) -> tuple[Complex, npt.NDArray[np.bool_]]:
    """Where critical points (P, V) come to while targets (P, n) move straight from start to end, and which arrived."""
    found, arrived = points.copy(), np.zeros(len(points), dtype=bool)
    for first in range(0, len(points), TOGETHER):
        part = slice(first, first + TOGETHER)
        found[part], arrived[part] = _followed(loss, points[part], start[part], end[part] - start[part], timer)
    return found, arrived


def _followed(loss: GenericLoss, points: Complex, start: Complex, way: Complex, timer: Timer
              ) -> tuple[Complex, npt.NDArray[np.bool_]]:
    points, time, step = points.copy(), np.zeros(len(points)), np.full(len(points), 0.05)
    going = np.ones(len(points), dtype=bool)
    for _ in range(MOST_STEPS):
        rows = np.flatnonzero(going)
        if not len(rows) or timer.left <= 0:
            break
        ahead = np.minimum(step[rows], 1 - time[rows])
        with np.errstate(all="ignore"):
            predicted = _predicted(loss, points[rows], start[rows], way[rows], time[rows], ahead)
            after = time[rows] + ahead
            corrected, errors, good = _corrected(loss, predicted, start[rows] + after[:, None] * way[rows])
            factor = CAUTION * (PREDICTED / errors) ** 0.2
        taken = rows[good]
        points[taken], time[taken] = corrected[good], np.where(ahead[good] >= 1 - time[taken], 1.0, after[good])
        step[rows] = ahead * np.clip(np.nan_to_num(factor), LEAST_FACTOR, np.where(good, MOST_FACTOR, 0.5))
        going[rows] = (time[rows] < 1) & (np.abs(points[rows]).max(axis=1) < LARGEST_POINT)
    return points, time == 1


def _predicted(loss: GenericLoss, points: Complex, start: Complex, way: Complex, time: npt.NDArray[np.float64],
               step: npt.NDArray[np.float64]) -> Complex:
    """Runge and Kutta's step of dw/dt = H^-1 J^T Q du/dt."""
    def velocity(at: Complex, when: npt.NDArray[np.float64]) -> Complex:
        _, hessian, weighted = loss.gradient(at, start + when[:, None] * way)
        return _solved(hessian, np.einsum("pin,pn->pi", weighted, way))

    h = step[:, None]
    one = velocity(points, time)
    two = velocity(points + h / 2 * one, time + step / 2)
    three = velocity(points + h / 2 * two, time + step / 2)
    four = velocity(points + h * three, time + step)
    return np.asarray(points + h / 6 * (one + 2 * two + 2 * three + four))


def _corrected(loss: GenericLoss, points: Complex, targets: Complex
               ) -> tuple[Complex, npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Newton's iteration, the first correction, and whether points are near the predicted ones."""
    good = np.asarray(np.isfinite(points).all(axis=1))
    errors: list[npt.NDArray[np.float64]] = []
    points = np.where(good[:, None], points, 0)
    for most in (PREDICTED, CORRECTED):
        gradient, hessian, weighted = loss.gradient(points, targets)
        move = _solved(hessian, gradient)
        errors.append(np.linalg.norm(move / loss.scales(points, weighted, targets), axis=1))
        good &= errors[-1] < most
        points = np.where(good[:, None], points - move, points)
    return points, errors[0], good


def _solved(matrices: Complex, right: Complex) -> Complex:
    """Solutions (P, V); not finite where a matrix is singular."""
    try:
        return np.asarray(np.linalg.solve(matrices, right[..., None])[..., 0], dtype=np.complex128)
    except np.linalg.LinAlgError:
        singular = ~np.isfinite(matrices).all(axis=(1, 2)) | (np.linalg.matrix_rank(
            np.where(np.isfinite(matrices), matrices, 0)) < matrices.shape[1])
        safe = np.where(singular[:, None, None], np.eye(matrices.shape[1]), matrices)
        solutions = np.where(singular[:, None], np.nan, np.linalg.solve(safe, right[..., None])[..., 0])
        return np.asarray(solutions, dtype=np.complex128)


def without_known(known: Complex, found: Complex) -> Complex:
    """Points of `found` that are not among `known`, each once."""
    if not len(found):
        return found
    together = _as_real(np.concatenate([known, found]))
    places = np.arange(len(together))
    for i, j in cKDTree(together).query_pairs(SAME):
        places[max(i, j)] = min(places[max(i, j)], min(i, j))
    return np.asarray(found[places[len(known):] == np.arange(len(known), len(together))])


def functions_of(loss: GenericLoss, points: Complex) -> int:
    """How many different functions weights have."""
    values = loss.function(points)
    return len(without_known(values[:1], values[1:])) + 1


def _as_real(points: Complex) -> npt.NDArray[np.float64]:
    """Points in units of their size, so that one distance suits all, (P, 2 V)."""
    scaled = points / (1 + np.linalg.norm(points, axis=1))[:, None]
    return np.concatenate([scaled.real, scaled.imag], axis=1)


def certified(loss: GenericLoss, points: Complex, known: Complex, targets: Complex, timer: Timer
              ) -> npt.NDArray[np.bool_]:
    """Which of points (S, V) are near a critical point that is theirs alone, and none of `known`.

    Krawczyk's test: with Y about the inverse Hessian at x, the box X around x has exactly one solution of F = 0 if
    -Y F(x) + (1 - Y H(X)) (X - x) lies inside of X - x. It fails at ends of paths that slipped into the families of
    critical points of smaller networks. Points that the time did not suffice for are not certified.
    """
    import flint  # an extra: settings and figures work without it

    flint.ctx.prec = BITS
    wanted = np.array([flint.acb(complex(one)) for one in targets], dtype=object)
    alone = np.zeros(len(points), dtype=bool)
    for row, (point, nearest) in enumerate(zip(points, _distances(points, known), strict=True)):
        if timer.left <= 0:
            break
        centre = np.array([flint.acb(complex(one)) for one in point], dtype=object)
        for _ in range(REFINEMENTS):
            value, hessian, _ = (part[0] for part in loss.gradient(centre[None], wanted))
            inverse = _middles(np.array(flint.acb_mat(hessian.tolist()).inv().tolist(), dtype=object))
            centre = _middles(centre - inverse.dot(value))
        scales = loss.scales(point[None], loss.gradient(point[None], targets)[2], targets[None])[0]
        alone[row] = any(_is_alone(loss, centre, wanted, inverse, np.minimum(part * scales, nearest / 4))
                         for part in RADII)
    return alone


def _is_alone(loss: GenericLoss, centre: AnyArray, targets: AnyArray, inverse: AnyArray,
              radii: npt.NDArray[np.float64]) -> bool:
    """Krawczyk's test of the box of `radii` around a point (V,)."""
    import flint  # see above

    sides = [flint.arb(0, float(radius)) for radius in radii]
    box = centre + np.array([flint.acb(side, side) for side in sides], dtype=object)
    rest = np.eye(len(centre)) - inverse.dot(loss.gradient(box[None], targets)[1][0])
    image = rest.dot(box - centre) - inverse.dot(loss.gradient(centre[None], targets)[0][0])
    return all(abs(part).upper() < radius for one, radius in zip(image, radii, strict=True)
               for part in (one.real, one.imag))


def _middles(entries: AnyArray) -> AnyArray:
    return np.array([one.mid() for one in entries.ravel()], dtype=object).reshape(entries.shape)


def _distances(points: Complex, known: Complex) -> npt.NDArray[np.float64]:
    """Of each point to the nearest other one, (S,)."""
    flat = np.concatenate([points.real, points.imag], axis=1), np.concatenate([known.real, known.imag], axis=1)
    return np.asarray(cKDTree(np.concatenate(flat)).query(flat[0], k=2)[0][:, 1])
