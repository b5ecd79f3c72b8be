"""A plateau of a diagonal linear network, and how dormant coefficients grow on it, in closed form.

The level q_i of a coefficient (`staircases.networks.diagonal_linear.curves`) is the integral of its drive, so that
q = q(0) + c t - Sigma B with c = X^T y / n, Sigma = X^T X / n and B the integral of beta. With the active ones A
eliminated, w = Sigma_jA Sigma_AA^+, a dormant coefficient j obeys

    d(q_j - w q_A) = (g_j - sum over dormant m of h_jm beta_m) dt,   g = c_j - w c_A,   h_jm = Sigma_jm - w Sigma_Am

exactly, whatever the active ones do. Of q_A only the value on the plateau enters, that of their coefficients there.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm

from agfrun.labs.staircases.networks.diagonal_linear.curves import FloatArray, NeuronCurves

BoolArray = npt.NDArray[np.bool_]

# Nodes and weights on [0, 1].
NODES, WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(24))
NODES = NODES + 0.5
# Beyond this part of its own size a dormant coefficient does not grow freely, and its impulse is not its start's.
LARGEST_SHARE = 0.3
# Relative to the largest singular value, or to the variance of an input.
SINGULAR = 1e-12


@dataclass(frozen=True)
class Moments:
    """Second moments c = X^T y / n (d,) and Sigma = X^T X / n (d, d), and the drives (d,) below which is rounding."""

    cross: FloatArray
    covariance: FloatArray
    resolution: FloatArray

    def drives(self, coefficients: FloatArray) -> FloatArray:
        """-dL/dbeta, (d,)."""
        return np.asarray(self.cross - self.covariance @ coefficients)

    def inverse(self, active: BoolArray | npt.NDArray[np.int_]) -> FloatArray:
        """Pseudo-inverse of the covariance of some inputs, given as a mask (d,) or by their indices."""
        return np.asarray(np.linalg.pinv(self.covariance[np.ix_(active, active)], rcond=SINGULAR, hermitian=True))


@dataclass(frozen=True)
class Plateau:
    """Coefficients at rest, and levels at a moment from which the dormant ones are followed.

    Attributes:
        curves: on which the neurons move.
        moments: of the data.
        coefficients: beta on the plateau, zero where dormant, (d,).
        time: the moment.
        levels: q at that moment as they would be had no dormant coefficient acted yet on another, (d,).
        responses: w, (d, d): how active coefficients (columns) give way to others (rows), zero in the rows of
            active ones and the columns of dormant ones.
        drives: g, (d,), zero for active ones.
        couplings: h, (d, d).
        deviation: of the active coefficients from rest at that moment, (d,).
        uncertainty: of the levels, from integrations before, (d,).
    """

    curves: NeuronCurves
    moments: Moments
    coefficients: FloatArray
    time: float
    levels: FloatArray
    responses: FloatArray = field(repr=False)
    drives: FloatArray
    couplings: FloatArray = field(repr=False)
    deviation: FloatArray
    uncertainty: FloatArray

    @property
    def active(self) -> BoolArray:
        """Which coefficients are active, (d,)."""
        return np.asarray(self.coefficients != 0)

    @property
    def own_sizes(self) -> FloatArray:
        """G / h, the size that each dormant coefficient would take next, (d,); zero for those without a drive."""
        stiffness = np.diag(self.couplings)
        return np.asarray(np.divide(self.drives, stiffness, out=np.zeros_like(stiffness), where=self.drives != 0))

    def levels_at(self, time: float) -> FloatArray:
        """Levels of free growth, (d,): the active ones' are their coefficients'."""
        return np.asarray(self.levels + self.drives * (time - self.time))

    def steps(self) -> FloatArray:
        """When each dormant coefficient's free growth reaches its own size, (d,); infinite where it never does."""
        times = self.times_of(self.own_sizes)
        return np.where(np.isfinite(times), times, np.inf)

    def times_of(self, sizes: FloatArray) -> FloatArray:
        """When each dormant coefficient's free growth reaches a size, (d,); NaN or infinite where it never does."""
        wanted = self.curves.levels(self.curves.positions_of(np.where(sizes == 0, np.nan, sizes)))
        waits = np.divide(wanted - self.levels, self.drives, out=np.full_like(sizes, np.inf), where=self.drives != 0)
        return np.asarray(self.time + waits)

    def impulses(self, time: float, largest_share: float = LARGEST_SHARE) -> FloatArray:
        """Integrals of beta over the time before a moment, of dormant coefficients that grow freely, (d,).

        Of those that shrink it is minus the integral over the time to come. Zero for those beyond a share of their
        own size: they do not grow freely.
        """
        positions = self.curves.positions(self.levels_at(time)[None])[0]
        free = (self.drives != 0) & (self.shares(time) <= largest_share)
        with np.errstate(over="ignore"):
            sizes = self.curves.impulses(positions)
        return np.asarray(np.divide(sizes, self.drives, out=np.zeros_like(self.drives), where=free))

    def grown(self, time: float) -> FloatArray:
        """Free growth at a moment, (d,); zero for those without a drive."""
        positions = self.curves.positions(self.levels_at(time)[None])[0]
        return np.where(self.drives == 0, 0.0, self.curves.coefficients(positions))

    def shares(self, time: float) -> FloatArray:
        """Free growth at a moment over the own size, in magnitude, (d,); zero for those without a drive."""
        weights = np.abs(self.grown(time)) * np.diag(self.couplings)
        shares = np.divide(weights, np.abs(self.drives), out=np.zeros_like(weights), where=self.drives != 0)
        return np.asarray(shares)

    def waits(self, newcomer: int, sizes: FloatArray) -> FloatArray:
        """Times from a newcomer's step until its coefficient passes given sizes (R,) of its own sign.

        dt = (dq_j - w dq_A) / (g - h beta): free growth, less its own effect on its drive, and how the active
        coefficients' giving way acts back on it.
        """
        own, drive = self.own_sizes[newcomer], self.drives[newcomer]
        levels = self._level_of(newcomer, np.append(sizes, own))
        free = (levels[:-1] - levels[-1]) / drive
        first, second = self.lags(newcomer, sizes)
        reached, measure = self._nodes(newcomer, sizes)
        stiffness = self.couplings[newcomer, newcomer] * reached / drive * self._stiffness_of(newcomer, reached)
        return np.asarray(free + (measure * stiffness).sum(axis=1) + first + second)

    def lags(self, newcomer: int, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The parts of `waits` (R,) due to active coefficients: at rest with the newcomer, and a little behind that.

        At rest they stand at beta_A - w beta. To get there they need the drive dq_A/dt = -v dbeta/dt, v = w dq/dbeta,
        and so are Sigma_AA^-1 v dbeta/dt beyond, which changes q_A by v Sigma_AA^-1 v dbeta/dt (by parts below).
        """
        active = np.flatnonzero(self.active)
        nothing = np.zeros(len(sizes))
        if not self.responses[newcomer].any():
            return nothing, nothing
        stiffness = self.couplings[newcomer, newcomer]
        reached, measure = self._nodes(newcomer, sizes)
        reached = np.concatenate([reached, sizes[:, None]], axis=1)
        responses = self.responses[newcomer, active]
        yielding = np.stack([self._stiffness_of(int(k), self.coefficients[k] - w * reached)
                             for k, w in zip(active, responses, strict=True)], axis=-1)
        first = (np.square(responses) * yielding).sum(axis=-1)
        forces = responses * yielding
        slowness = self._stiffness_of(newcomer, reached) + first
        behind = ((forces @ self.moments.inverse(active)) * forces).sum(axis=-1) / slowness
        second = (measure * stiffness * behind[:, :-1]).sum(axis=1) - behind[:, -1]
        return np.asarray((measure * first[:, :-1]).sum(axis=1)), np.asarray(second)

    def _nodes(self, newcomer: int, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sizes on the way to each of `sizes` (R,), (R, nodes), and the weights of dbeta / (g - h beta) there."""
        power = self.curves.depth / 2
        # beta = size x^(L / 2) makes the integrands smooth in x.
        reached = sizes[:, None] * NODES**power
        slowed = self.drives[newcomer] - self.couplings[newcomer, newcomer] * reached
        return reached, sizes[:, None] * WEIGHTS * power * NODES ** (power - 1) / slowed

    def unfinished(self, newcomer: int, time: float) -> float:
        """How much later active coefficients that are not at rest make a newcomer, to first order, in units of time.

        Near rest beta_A moves as d(deviation)/dt = -D Sigma_AA deviation, D = d beta / dq.
        """
        active = self.active
        deviation = self.deviation[active]
        if not deviation.any():
            return 0.0
        stiffness = self.curves.stiffness(np.where(active, self.coefficients, 1.0))[active]
        rates = self.moments.covariance[np.ix_(active, active)] / stiffness[:, None]
        left = expm(-rates * max(time - self.time, 0.0)) @ deviation
        return -float(self.responses[newcomer, active] @ (stiffness * left)) / float(self.drives[newcomer])

    def inaccuracy(self, newcomer: int) -> float:
        """Uncertainty of a newcomer's step from integrations before, in units of time."""
        uncertain = self.uncertainty[newcomer] + np.abs(self.responses[newcomer]) @ self.uncertainty
        return float(uncertain / abs(self.drives[newcomer]))

    def delay(self, newcomer: int, index: int, size: float) -> float:
        """How long an active coefficient is behind the place at rest with a newcomer of a size; see `lags`."""
        active = np.flatnonzero(self.active)
        forces = np.array([w * self._stiffness_of(int(k), np.array([self.coefficients[k] - w * size]))[0]
                           for k, w in zip(active, self.responses[newcomer, active], strict=True)])
        behind = self.moments.inverse(active) @ forces
        return float(behind[active == index][0] / self.responses[newcomer, index])

    def rivalry(self, newcomer: int) -> FloatArray:
        """How far a newcomer and each other dormant coefficient, learned, change one another's drive, (d,), up to 1."""
        sizes, drives = self.own_sizes, self.drives
        to_newcomer = np.abs(self.couplings[newcomer] * sizes / drives[newcomer])
        by_newcomer = np.divide(np.abs(self.couplings[:, newcomer] * sizes[newcomer]), np.abs(drives),
                                out=np.zeros_like(drives), where=drives != 0)
        rivalry = np.asarray(np.minimum(np.maximum(to_newcomer, by_newcomer), 1.0))
        rivalry[newcomer] = 0.0
        return rivalry

    def crowding(self, newcomer: int, time: float) -> float:
        """How much later the other dormant coefficients make a newcomer by their own growth, to first order.

        A coefficient that is nearly as far as the newcomer counts in full: then this is no more than a warning.
        """
        others = np.arange(len(self.levels)) != newcomer
        acted = self.couplings[newcomer, others] @ self.impulses(time, largest_share=1.0)[others]
        return float(acted) / float(self.drives[newcomer])

    def _stiffness_of(self, index: int, values: FloatArray) -> FloatArray:
        return self.curves.stiffness(_padded(values, index, self.curves.width))[..., index]

    def _level_of(self, index: int, values: FloatArray) -> FloatArray:
        positions = self.curves.positions_of(_padded(values, index, self.curves.width))
        return np.array([self.curves.levels(row)[index] for row in positions])


def _padded(values: FloatArray, index: int, width: int) -> FloatArray:
    """Coefficients (..., d) that are `values` (...) at an index and one elsewhere."""
    coefficients = np.ones((*values.shape, width))
    coefficients[..., index] = values
    return coefficients


def plateau_at(
    curves: NeuronCurves, moments: Moments, coefficients: FloatArray, time: float, levels: FloatArray,
    deviation: FloatArray, uncertainty: FloatArray,
) -> Plateau:
    """The plateau of `coefficients`, with levels, deviation and uncertainty, (d,) each, at a moment near it."""
    active, covariance = coefficients != 0, moments.covariance
    responses, couplings = np.zeros_like(covariance), covariance.copy()
    if active.any():
        responses[np.ix_(~active, active)] = covariance[np.ix_(~active, active)] @ moments.inverse(active)
        couplings = covariance - responses @ covariance
        couplings[active] = 0.0
        couplings[:, active] = 0.0
    drives = moments.drives(coefficients)
    # Of an input that active ones span, nothing is left but rounding.
    spanned = np.diag(couplings) <= SINGULAR * np.diag(covariance)
    drives[active | (np.abs(drives) <= moments.resolution) | spanned] = 0.0
    at_rest = levels.copy()
    if active.any():
        at_rest[active] = curves.levels(curves.positions_of(np.where(active, coefficients, np.nan)))[active]
        at_rest += responses[:, active] @ (at_rest - levels)[active]
    bare = Plateau(curves, moments, coefficients, time, at_rest, responses, drives, couplings, deviation,
                   uncertainty)
    return dataclasses.replace(bare, levels=at_rest + np.where(active, 0.0, couplings @ bare.impulses(time)))
