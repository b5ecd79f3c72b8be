"""Drops of a diagonal linear network that overlap, or in which a coefficient is lost: integrated, d numbers.

Each neuron's place on its curve says all of it, so that the flow is integrated in d scalars, over these drops alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.integrate import LSODA, DenseOutput
from scipy.optimize import brentq

from agfrun.labs.staircases.networks.diagonal_linear.coordinates import CurveCoordinates
from agfrun.labs.staircases.networks.diagonal_linear.curves import FloatArray, NeuronCurves
from agfrun.labs.staircases.networks.diagonal_linear.plateau import BoolArray, Moments, Plateau

# Coefficients are resolved from this part of their own size on, and until they are as near to rest.
EDGE = 0.03
# Of a coefficient below this part of the largest, nearness to rest is judged beside the largest.
NEGLIGIBLE = 1e-3
# Below this part of the largest there is no coefficient but rounding.
ABSENT = 1e-12
# Absolute, of logarithms of sizes.
TOLERANCE = 2e-3
# What the errors of all steps come to, in tolerances.
ACCUMULATED = 4
MOST_STEPS = 3000
# In units of the time between the start of the resolution and the first newcomer's step.
LONGEST = 1e6


@dataclass(frozen=True)
class ResolvedDrop:
    """The flow from one plateau to another.

    Attributes:
        times: ends of the steps, (T + 1,).
        pieces: positions y(t) within each step, T.
        positions: y at the end, (d,).
        coefficients: of the plateau that follows, exactly at rest, (d,).
        deviation: the active coefficients less those at rest, (d,).
        evaluations: calls of the right-hand side.
        settled: whether there is such a plateau; otherwise the steps ran out.
    """

    times: FloatArray
    pieces: list[DenseOutput]
    positions: FloatArray
    coefficients: FloatArray
    deviation: FloatArray
    evaluations: int
    settled: bool

    def at(self, time: float) -> FloatArray:
        """Positions at a moment, (d,)."""
        return np.asarray(self._piece(time)(time))

    def speed(self, index: int, time: float) -> float:
        """|dy/dt| of a coefficient at a moment."""
        step = self._step(time)
        width = 1e-3 * (self.times[step + 1] - self.times[step])
        before, after = (self.pieces[step](time + sign * width)[index] for sign in (-1, 1))
        return float(abs(after - before) / (2 * width))

    def _step(self, time: float) -> int:
        return int(np.clip(np.searchsorted(self.times, time) - 1, 0, len(self.pieces) - 1))

    def _piece(self, time: float) -> DenseOutput:
        return self.pieces[self._step(time)]

    @cached_property
    def _rows(self) -> FloatArray:
        """Positions at `times`, (T + 1, d)."""
        return np.array([self.at(time) for time in self.times])

    def crossings(self, index: int, position: float) -> list[float]:
        """When a coefficient passes a position on its curve, in either direction."""
        found = []
        values = self._rows[:, index] - position
        for step in np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1])).tolist():
            piece, ends = self.pieces[step], (self.times[step], self.times[step + 1])
            inside = [float(piece(end)[index]) - position for end in ends]
            if inside[0] * inside[1] < 0:
                found.append(float(brentq(lambda t, piece=piece: piece(t)[index] - position, *ends)))
            else:  # the interpolants of two steps differ by rounding where they meet
                found.append(float(ends[int(abs(inside[1]) < abs(inside[0]))]))
        return found


def start_of_resolution(plateau: Plateau, newcomer: int) -> float:
    """A moment before a newcomer's step at which the growing coefficients are small parts of their own sizes."""
    times = plateau.times_of(EDGE * plateau.own_sizes)
    own, step = times[newcomer], plateau.steps()[newcomer]
    return float(max(np.nanmin(times), own - (step - own), 0.0))


def state_on(plateau: Plateau, time: float) -> FloatArray:
    """Positions (d,) of all coefficients while dormant ones are small and the active ones at rest with them."""
    curves, active = plateau.curves, plateau.active
    levels, positions = plateau.levels_at(time), np.zeros(curves.width)
    levels = levels - plateau.couplings @ plateau.impulses(time)
    if active.any():
        displaced = np.where(active, plateau.coefficients - plateau.grown(time) @ plateau.responses, np.nan)
        positions = curves.positions_of(displaced)
        moved = (curves.levels(positions) - levels)[active]
        levels = levels + plateau.responses[:, active] @ moved
    return np.where(active, positions, curves.positions(levels[None])[0])


def resolve(
    coordinates: CurveCoordinates, curves: NeuronCurves, moments: Moments, positions: FloatArray, start: float,
    earliest: float,
) -> ResolvedDrop:
    """Integrate from positions (d,) at `start` until all coefficients are at rest or small, after `earliest`."""

    def velocity(_: float, y: FloatArray) -> FloatArray:
        return np.asarray(coordinates.loss_and_velocity(torch.from_numpy(y.copy()))[1].numpy())

    def jacobian(_: float, y: FloatArray) -> FloatArray:
        return np.asarray(coordinates.jacobian(torch.from_numpy(y.copy())).numpy())

    width = max(earliest - start, TOLERANCE)
    solver = LSODA(velocity, start, positions, start + LONGEST * width, first_step=width / 10, rtol=1e-12,
                   atol=TOLERANCE, jac=jacobian)
    times, pieces = [start], list[DenseOutput]()
    rest: Rest | None = None
    while rest is None and len(pieces) < MOST_STEPS and solver.status == "running":
        solver.step()
        times.append(float(solver.t))
        pieces.append(solver.dense_output())
        if solver.t > earliest:
            rest = rest_near(curves.coefficients(solver.y), moments)
    settled = rest is not None
    coefficients = rest.coefficients if rest else curves.coefficients(solver.y)
    deviation = rest.deviation if rest else np.zeros_like(positions)
    return ResolvedDrop(np.array(times), pieces, np.asarray(solver.y), coefficients, deviation, int(solver.nfev),
                        settled)


@dataclass(frozen=True)
class Rest:
    """Coefficients (d,) at rest, zero where dormant, and how far the active ones are from it, (d,)."""

    coefficients: FloatArray
    deviation: FloatArray


def rest_near(coefficients: FloatArray, moments: Moments) -> Rest | None:
    """The plateau that the flow is on, or None while it is between two."""
    covariance, drives = moments.covariance, moments.drives(coefficients)
    largest = float(np.abs(coefficients).max())
    stiffness = np.diag(covariance)
    # At rest the drive is far less than a coefficient could balance by itself, dormant far more.
    active: BoolArray = (np.abs(drives) <= stiffness * np.abs(coefficients)) & (np.abs(coefficients) > ABSENT * largest)
    if not active.any():
        return None
    step = moments.inverse(active) @ moments.drives(coefficients * active)[active]
    allowed = EDGE * np.maximum(np.abs(coefficients[active]), NEGLIGIBLE * largest)
    if np.any(np.abs(step) > allowed):
        return None
    found, deviation = np.zeros_like(coefficients), np.zeros_like(coefficients)
    found[active], deviation[active] = coefficients[active] + step, -step
    rest = moments.drives(found)
    shares = np.abs(coefficients) * stiffness
    driven = ~active & (np.abs(rest) > moments.resolution)
    return Rest(found, deviation) if np.all(shares[driven] <= EDGE * np.abs(rest[driven])) else None
