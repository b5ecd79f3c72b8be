"""The curve on which each neuron of a diagonal linear network moves, whatever drives it.

A neuron of depth L with coefficient beta = u_1 ... u_L under the drive g = -dL/dbeta obeys
u_l' = g prod_{m != l} u_m. With the level q, the integral of g, du_l/dq = prod_{m != l} u_m: the neuron moves
on one curve, along which all u_l^2 - u_m^2 are conserved, and the drive only decides how fast. Let r be the layer
that is smallest in magnitude. Then u_l^2 = r^2 + c_l with constants c_l >= 0, only r can change its
sign, and dr/dq = prod_{m != smallest} sqrt(r^2 + c_m). For L = 2, r is a hyperbolic sine of q; for L = 3, q(r) is
an elliptic integral of the first kind; in general it is a quadrature. For L >= 3, r reaches infinity at a
finite level (blow-up).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Panels of the quadrature in units of y. The integrand's nearest singularity is at a distance of pi / 2 from
# the real axis, so that 12 nodes a panel are exact to rounding.
PANEL_WIDTH = 0.5
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)
# A factor e^-40 is below the rounding of one.
TAIL = 40.0
# A neuron that can only shrink is followed down to e^-100 of its start.
SHRINKING = 100.0
SLOWEST = 1e-290
# Beyond e^300 a square overflows, and no layer's start counts any more.
LARGEST_LOG = 300.0


class NeuronCurves(ABC):
    """Curves of d neurons. A place is given by the level q, or by a position y that resolves all of it.

    Both are zero at the initialization. Small changes of y are relative changes of the neuron; at depth >= 3
    nearly all of the level is spent near a small initialization, and y tells apart what follows.

    Attributes:
        depth: homogeneity degree L.
        width: number of neurons d.
    """

    depth: int
    width: int

    @abstractmethod
    def end_positions(self, threshold: float) -> tuple[FloatArray, FloatArray]:
        """Positions (lower, upper), each (d,), at which a neuron's norm reaches a threshold; infinite if never.

        On the upper side the coefficient is positive, on the lower negative.
        """

    @abstractmethod
    def levels(self, positions: FloatArray) -> FloatArray:
        """Levels q of positions (d,); of an infinite one the blow-up, or an infinite level."""

    @abstractmethod
    def positions(self, levels: FloatArray) -> FloatArray:
        """Positions of levels (R, d)."""

    @abstractmethod
    def at(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Neurons (R, d, D) at finite positions (R, d), over the exponentials of log factors (R, d)."""

    @abstractmethod
    def limit_ends(self, log_init_scale: float) -> tuple[FloatArray, FloatArray]:
        """Leading order of `ends` for a vanishing initialization of this shape, (lower, upper), each (d,).

        Depth 2: -log_init_scale, the same for all neurons (half of it for powers). Depth >= 3: the blow-up,
        which is proportional to exp((2 - depth) log_init_scale) and depends on the neuron's direction.
        """

    @abstractmethod
    def with_coefficients(self, coefficients: FloatArray) -> FloatArray:
        """Neurons (..., d, D) with given coefficients (..., d); NaN where the curve has no such point."""

    @abstractmethod
    def positions_of(self, coefficients: FloatArray) -> FloatArray:
        """Positions at which neurons have given coefficients, (..., d); NaN where the curve has no such point."""

    @abstractmethod
    def impulses(self, positions: FloatArray) -> FloatArray:
        """Integrals of the coefficient over the level from where it vanishes to positions (d,), all >= 0.

        All u_l^2 change at the rate 2 beta with the level, hence r^2 / 2; and u^2 / (2 L) for powers.
        """

    @abstractmethod
    def slopes(self, neurons: FloatArray) -> FloatArray:
        """Derivatives of a neuron's coefficient by its parameters, (..., d, D) to (..., d, D)."""

    def coefficients(self, positions: FloatArray) -> FloatArray:
        """Coefficients at finite positions (..., d); one below the smallest float is zero."""
        neurons, scales = self.at(positions)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            products = neurons.prod(axis=-1) * np.exp(self.depth * scales) if neurons.shape[-1] > 1 else \
                neurons[..., 0] ** self.depth * np.exp(self.depth * scales)
        return np.asarray(np.where(neurons.prod(axis=-1) == 0, 0.0, products))

    def stiffness(self, coefficients: FloatArray) -> FloatArray:
        """dq/dbeta (..., d) at coefficients (..., d): the drive that a unit of change in a unit of time takes."""
        return np.asarray(1 / np.square(self.slopes(self.with_coefficients(coefficients))).sum(axis=-1))

    def ends(self, threshold: float) -> tuple[FloatArray, FloatArray]:
        """Levels (lower, upper), each (d,), at which a neuron's norm reaches a threshold."""
        lower, upper = self.end_positions(threshold)
        return self.levels(lower), self.levels(upper)


def neuron_curves(neurons: FloatArray, depth: int, log_factor: float = 0.0) -> NeuronCurves:
    """Curves from `neurons * exp(log_factor)`, (d, D): products of D = depth layers, or powers, D = 1."""
    return PowerCurves(neurons, depth, log_factor) if neurons.shape[1] == 1 else ProductCurves(neurons, log_factor)


class PowerCurves(NeuronCurves):
    """Neurons of one positive parameter, beta = u^L: u' = L g u^(L - 1), u = start * e^y.

    A level has no lower end: the coefficient cannot become negative.
    """

    def __init__(self, neurons: FloatArray, depth: int, log_factor: float = 0.0) -> None:
        self.depth, self.width = depth, neurons.shape[0]
        with np.errstate(divide="ignore"):
            self.log_start = np.log(neurons[:, 0]) + log_factor

    def end_positions(self, threshold: float) -> tuple[FloatArray, FloatArray]:
        """See `NeuronCurves.end_positions`."""
        return np.full(self.width, -np.inf), math.log(threshold) - self.log_start

    def levels(self, positions: FloatArray) -> FloatArray:
        """See `NeuronCurves.levels`: d(u^(2 - L)) = -L (L - 2) dq."""
        if self.depth == 2:
            return 0.5 * positions
        power = 2 - self.depth
        with np.errstate(over="ignore"):
            # u_0^(2 - L) - u^(2 - L) over L (L - 2); as written, a short way from the start keeps its digits.
            return np.exp(power * self.log_start) * -np.expm1(power * positions) / (self.depth * (self.depth - 2))

    def positions(self, levels: FloatArray) -> FloatArray:
        """See `NeuronCurves.positions`."""
        if self.depth == 2:
            return 2 * levels
        power = 2 - self.depth
        # Part of the way to the blow-up, which is at infinity: kept just short of it.
        spent = self.depth * (self.depth - 2) * np.exp(-power * self.log_start) * levels
        return np.log1p(-np.minimum(spent, 1 - np.finfo(float).eps)) / power

    def at(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `NeuronCurves.at`."""
        return np.ones((*positions.shape, 1)), self.log_start + positions

    def limit_ends(self, log_init_scale: float) -> tuple[FloatArray, FloatArray]:
        """See `NeuronCurves.limit_ends`."""
        lower = np.full(self.width, -np.inf)
        if self.depth == 2:
            return lower, np.full(self.width, -0.5 * log_init_scale)
        return lower, self.levels(np.full(self.width, np.inf))

    def with_coefficients(self, coefficients: FloatArray) -> FloatArray:
        """See `NeuronCurves.with_coefficients`."""
        with np.errstate(invalid="ignore"):
            return np.asarray(coefficients ** (1 / self.depth))[..., None]

    def positions_of(self, coefficients: FloatArray) -> FloatArray:
        """See `NeuronCurves.positions_of`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.log(coefficients) / self.depth - self.log_start)

    def impulses(self, positions: FloatArray) -> FloatArray:
        """See `NeuronCurves.impulses`."""
        return np.asarray(np.exp(2 * (self.log_start + positions)) / (2 * self.depth))

    def slopes(self, neurons: FloatArray) -> FloatArray:
        """See `NeuronCurves.slopes`."""
        return np.asarray(self.depth * neurons ** (self.depth - 1))


class ProductCurves(NeuronCurves):
    """Neurons of L layers, beta = u_1 ... u_L.

    The two smallest layers (r, w) move on the hyperbola w^2 - r^2 = const, r + w = sums * e^y,
    r - w = differences * e^-y, and dq = dy / prod of the other layers. Signs are taken out first: flipping
    an even number of layers changes nothing, so that all but r can be made positive.
    """

    def __init__(self, neurons: FloatArray, log_factor: float = 0.0) -> None:
        self.width, self.depth = neurons.shape
        self.log_factor = log_factor
        self.order = np.argsort(np.abs(neurons), axis=1, kind="stable")
        layers = np.take_along_axis(neurons, self.order, axis=1)
        self.flips = np.where(layers < 0, -1.0, 1.0)
        self.flips[:, 0] = self.flips[:, 1:].prod(axis=1)
        layers = layers * self.flips
        self.sums, self.differences = layers[:, 0] + layers[:, 1], layers[:, 0] - layers[:, 1]
        smallest = np.abs(layers[:, :1])
        self.excess = (layers[:, 1:] - smallest) * (layers[:, 1:] + smallest)
        self.quadrature = None if self.depth == 2 else _Quadrature(self)

    def end_positions(self, threshold: float) -> tuple[FloatArray, FloatArray]:
        """See `NeuronCurves.end_positions`."""
        return self.positions_at(math.log(threshold) - self.log_factor)

    def levels(self, positions: FloatArray) -> FloatArray:
        """See `NeuronCurves.levels`."""
        if self.quadrature is None:
            return positions
        # The quadrature is in units of exp(log_factor), and q has those of u^(2 - L).
        return np.asarray(self.quadrature.levels(positions) * math.exp((2 - self.depth) * self.log_factor))

    def positions(self, levels: FloatArray) -> FloatArray:
        """See `NeuronCurves.positions`."""
        if self.quadrature is None:
            return levels
        return self.quadrature.positions(levels * math.exp((self.depth - 2) * self.log_factor))

    def at(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `NeuronCurves.at`."""
        scales = np.abs(positions)
        # In units of e^|y| no neuron overflows, however far it has come.
        smallest = self.smallest(positions, scales)
        excess = self.excess * np.exp(-2 * scales)[..., None]
        return self._neurons(smallest, np.sqrt(np.square(smallest)[..., None] + excess)), scales + self.log_factor

    def limit_ends(self, log_init_scale: float) -> tuple[FloatArray, FloatArray]:
        """See `NeuronCurves.limit_ends`."""
        if self.quadrature is not None:
            return self.levels(np.full(self.width, -np.inf)), self.levels(np.full(self.width, np.inf))
        reach = -log_init_scale
        # A branch that starts at zero stays there: its end is never reached.
        return np.where(self.differences < 0, -reach, -np.inf), np.where(self.sums > 0, reach, np.inf)

    def with_coefficients(self, coefficients: FloatArray) -> FloatArray:
        """See `NeuronCurves.with_coefficients`."""
        smallest, excess = self._smallest_with(coefficients)
        return self._neurons(smallest, np.sqrt(np.square(smallest)[..., None] + excess))

    def positions_of(self, coefficients: FloatArray) -> FloatArray:
        """See `NeuronCurves.positions_of`."""
        smallest, excess = self._smallest_with(coefficients)
        second = np.sqrt(np.square(smallest) + excess[:, 0])
        # w + |r| cancels nothing: it is r + w where r > 0, and -(r - w) where r < 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.log(second + np.abs(smallest)) - self.log_factor
            return np.asarray(np.where(coefficients < 0, np.log(-self.differences) - reach, reach - np.log(self.sums)))

    def impulses(self, positions: FloatArray) -> FloatArray:
        """See `NeuronCurves.impulses`."""
        return np.asarray(0.5 * np.square(self.smallest(positions, -self.log_factor)))

    def _smallest_with(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The layer r (..., d) of neurons with given coefficients, and the constants c_l (d, L - 1)."""
        excess = self.excess * math.exp(2 * self.log_factor)
        constants, wanted = np.concatenate([np.zeros((self.width, 1)), excess], axis=1), np.square(coefficients)
        # The product of s + c_l is convex in s and beyond beta^2 at the start: Newton falls to its root.
        square = np.asarray(wanted ** (1 / self.depth))
        for _ in range(100):
            layers = square[..., None] + constants
            slope = _without_one(layers).sum(axis=-1)
            step = np.divide(layers.prod(axis=-1) - wanted, slope, out=np.zeros_like(square), where=slope > 0)
            square = np.maximum(square - step, 0.0)
            if np.all(np.abs(step) <= 1e-15 * square):
                break
        reachable = np.where(coefficients > 0, self.sums > 0, self.differences < 0)
        return np.where(reachable, np.sign(coefficients) * np.sqrt(square), np.nan), excess

    def slopes(self, neurons: FloatArray) -> FloatArray:
        """See `NeuronCurves.slopes`."""
        return _without_one(neurons)

    def positions_at(self, log_norm: float) -> tuple[FloatArray, FloatArray]:
        """Positions (lower, upper), each (d,), of neurons of a norm in units of exp(log_factor)."""
        if log_norm > LARGEST_LOG:
            # Far from the start all layers are alike, r = w = norm / sqrt(L): log(r + w).
            reach = np.full(self.width, log_norm + math.log(2 / math.sqrt(self.depth)))
        else:
            # r^2, from norm^2 = L r^2 + sum c_l.
            square = np.maximum(math.exp(2 * log_norm) - self.excess.sum(axis=1), 0.0) / self.depth
            with np.errstate(divide="ignore"):
                reach = np.log(np.sqrt(square) + np.sqrt(square + self.excess[:, 0]))
        with np.errstate(divide="ignore"):
            # Upwards r + w = sums e^y reaches it; downwards r < 0, and w - r = -differences e^-y does.
            return np.log(-self.differences) - reach, reach - np.log(self.sums)

    def smallest(self, positions: FloatArray, scales: FloatArray | float = 0.0) -> FloatArray:
        """The layer r (..., d), in units of exp(log_factor + scales)."""
        branches = []
        for start, exponents in ((self.sums, positions), (self.differences, -positions)):
            # A branch that starts at zero stays there, even once the exponential overflows.
            branches.append(start * np.exp(np.where(start == 0, 0.0, exponents - scales)))
        return np.asarray(0.5 * (branches[0] + branches[1]))

    def _neurons(self, smallest: FloatArray, others: FloatArray) -> FloatArray:
        """Layers in their own order and with their own signs, from r (..., d) and the others (..., d, L - 1)."""
        layers = np.concatenate([smallest[..., None], others], axis=-1) * self.flips
        neurons = np.empty_like(layers)
        np.put_along_axis(neurons, np.broadcast_to(self.order, layers.shape), layers, axis=-1)
        return neurons


class _Quadrature:
    """q as a function of y and back: Gauss-Legendre on panels that reach from end to end of each curve."""

    def __init__(self, curves: ProductCurves) -> None:
        self.curves = curves
        tail = TAIL / (curves.depth - 2)
        # Beyond the largest layer of the start, and beyond norm 1, the integrand falls like e^(-(L - 2) |y|).
        largest = 2 * max(1.0, float(np.sqrt(curves.excess.sum(axis=1)).max(initial=0.0)))
        lower, upper = curves.positions_at(math.log(largest))
        low = np.where(np.isfinite(lower), np.minimum(lower, 0) - tail, -SHRINKING)
        high = np.where(np.isfinite(upper), np.maximum(upper, 0) + tail, SHRINKING)
        panels = [math.ceil(float(reach.max()) * (curves.depth - 2) / PANEL_WIDTH) for reach in (-low, high)]
        below, above = low * np.linspace(1, 0, panels[0] + 1)[:, None], high * np.linspace(0, 1, panels[1] + 1)[:, None]
        self.edges = np.concatenate([below, above[1:]])
        pieces = self._integral(self.edges[:-1], self.edges[1:])
        # Outwards from the start: a level that can go far to one side keeps its digits on the other.
        self.accumulated = np.concatenate([-np.cumsum(pieces[: panels[0]][::-1], axis=0)[::-1],
                                           np.zeros((1, curves.width)), np.cumsum(pieces[panels[0] :], axis=0)])

    def levels(self, positions: FloatArray) -> FloatArray:
        """Levels q at positions y (d,); an infinite position has the level of the blow-up, or none."""
        levels = self._accumulated_at(np.clip(positions, self.edges[0], self.edges[-1])[None])[0]
        # Of a neuron that blows up, less than e^-40 of the level is beyond the last panel.
        growing = np.where(positions > 0, self.curves.sums > 0, self.curves.differences < 0)
        return np.where(growing | np.isfinite(positions), levels, np.copysign(np.inf, positions))

    def positions(self, levels: FloatArray) -> FloatArray:
        """Positions y at levels q (R, d): Newton within the panel."""
        panel = self._panel(levels, self.accumulated)
        left, right = self._edge(panel), self._edge(panel + 1)
        base = np.take_along_axis(self.accumulated, panel, axis=0)
        length = np.take_along_axis(self.accumulated, panel + 1, axis=0) - base
        share = np.divide(levels - base, length, out=np.zeros_like(base), where=length > 0)
        positions = left + np.clip(share, 0.0, 1.0) * (right - left)
        for _ in range(8):
            # Newton: dy/dq is the speed itself.
            excess = base + self._integral(left, positions) - levels
            positions = np.clip(positions - excess * self._speed(positions), left, right)
        return np.asarray(positions)

    def _accumulated_at(self, positions: FloatArray) -> FloatArray:
        panel = self._panel(positions, self.edges)
        base = np.take_along_axis(self.accumulated, panel, axis=0)
        return np.asarray(base + self._integral(self._edge(panel), positions))

    def _panel(self, values: FloatArray, edges: FloatArray) -> npt.NDArray[np.int_]:
        """The panel, neuron by neuron, that holds each of values (R, d)."""
        columns = [np.searchsorted(edges[:, i], values[:, i], side="right") for i in range(self.curves.width)]
        return np.clip(np.stack(columns, axis=1) - 1, 0, len(edges) - 2)

    def _edge(self, panel: npt.NDArray[np.int_]) -> FloatArray:
        return np.take_along_axis(self.edges, panel, axis=0)

    def _integral(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Integrals of dy / speed over [left, right], each (R, d)."""
        half = 0.5 * (right - left)
        total = np.zeros_like(half)
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            total += weight / self._speed(left + half * (1 + node))
        return half * total

    def _speed(self, positions: FloatArray) -> FloatArray:
        """dy/dq: the product of all layers but the two smallest."""
        smallest = self.curves.smallest(positions)
        speed = np.sqrt(np.square(smallest)[..., None] + self.curves.excess[:, 1:]).prod(axis=-1)
        # Two layers at zero keep the neuron at rest, whatever its position; and a decayed one divides by zero.
        return np.where((self.curves.sums == 0) & (self.curves.differences == 0), 1.0, np.maximum(speed, SLOWEST))


def _without_one(factors: FloatArray) -> FloatArray:
    """Products of all factors (..., L) but one, (..., L), without division."""
    ones = np.ones_like(factors[..., :1])
    before = np.cumprod(np.concatenate([ones, factors[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([ones, factors[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return np.asarray(before * after)
