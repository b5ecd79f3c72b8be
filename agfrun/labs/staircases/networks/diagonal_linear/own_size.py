"""Own-size steps of the diagonal linear network: when each coefficient is learned, and lost.

From plateau to plateau: the next newcomer is the dormant coefficient whose free growth reaches its own size first
(`plateau`). The levels are a state function of time and of the integral of beta, so that no drop leaves more behind
than that step; how its coefficient rises through half of its size is a quadrature. Drops that overlap or in which a
coefficient is lost are integrated in d numbers (`resolved_drop`), over those drops alone. Nothing of this depends on
the depth: it enters through the curves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.networks.diagonal_linear.coefficient_events import coefficient_events
from agfrun.labs.staircases.networks.diagonal_linear.coordinates import CurveCoordinates
from agfrun.labs.staircases.networks.diagonal_linear.curves import NeuronCurves
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.diagonal_linear.drop import Drop
from agfrun.labs.staircases.networks.diagonal_linear.plateau import Moments, Plateau, plateau_at
from agfrun.labs.staircases.networks.diagonal_linear.resolved_drop import (
    ACCUMULATED,
    TOLERANCE,
    resolve,
    start_of_resolution,
    state_on,
)
from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import (
    FloatArray,
    drive_resolution,
    signed_least_squares,
)
from agfrun.labs.staircases.networks.diagonal_linear.theory import design_of
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction

# A drop whose time the closed form would miss by more than this, relative to it, is integrated.
LARGEST_ERROR = 3e-3
# The same of a drop in which another coefficient has grown to this part of its own size, if the two are coupled.
LARGEST_RIVAL = 0.05
# The loss that is left once nothing is to be learned, as a part of the initial one.
LEARNED = 1e-14
LARGEST_DROP_COUNT = 1000
# By how much terms of first order are multiplied to stand for those beyond.
CAUTION = 1.5


@dataclass(frozen=True)
class Timeline:
    """All drops of a network, and why there is none after them, if that is not because all is learned."""

    drops: tuple[Drop, ...]
    void: str = ""


class OwnSizeSteps:
    """Follows a network from plateau to plateau.

    Args:
        inputs: X, (n, d).
        targets: y, (n,).
        curves: of the neurons from where they start.
        coordinates: of their flow from there, zero at the start.
    """

    def __init__(
        self, inputs: FloatArray, targets: FloatArray, curves: NeuronCurves, coordinates: CurveCoordinates
    ) -> None:
        samples = len(targets)
        self.inputs, self.targets, self.curves, self.coordinates = inputs, targets, curves, coordinates
        self.moments = Moments(inputs.T @ targets / samples, inputs.T @ inputs / samples,
                               drive_resolution(inputs, targets))

    def prediction(self, names: Sequence[str]) -> OwnSizePrediction:
        """All events; `names` are the coefficients'."""
        timeline = self.timeline()
        reached = [drop for drop in timeline.drops if drop.resolved is None or drop.resolved.settled]
        flows = [drop.resolved for drop in timeline.drops if drop.resolved is not None]
        integrated = f"; {len(flows)} of {len(timeline.drops)} drops integrated in {self.curves.width} numbers"
        return OwnSizePrediction(
            description="own-size steps in closed form" + (integrated if flows else ""),
            events=coefficient_events(reached, names, self._least_loss),
            void=timeline.void,
            evaluations=sum(flow.evaluations for flow in flows),
        )

    def _least_loss(self, signs: FloatArray) -> float:
        return self.loss(signed_least_squares(self.inputs, self.targets, np.sign(signs).astype(int)))

    def loss(self, coefficients: FloatArray) -> float:
        """1/(2n) ||y - X beta||^2."""
        return 0.5 * float(np.mean((self.targets - self.inputs @ coefficients) ** 2))

    def timeline(self) -> Timeline:
        """All drops from the start."""
        nothing = np.zeros(self.curves.width)
        plateau = plateau_at(self.curves, self.moments, nothing, 0.0, nothing, nothing, nothing)
        learned, drops = LEARNED * self.loss(nothing), list[Drop]()
        while self.loss(plateau.coefficients) > learned and len(drops) < LARGEST_DROP_COUNT:
            steps = plateau.steps()
            newcomer = int(np.argmin(steps))
            if not math.isfinite(steps[newcomer]):
                break
            drop = self._closed(plateau, newcomer, float(steps[newcomer]))
            if drop is None or self._overlapping(drop):
                drop = self._resolved(plateau, newcomer, float(steps[newcomer]))
            drops.append(drop)
            if drop.resolved is not None and not drop.resolved.settled:
                return Timeline(tuple(drops), "the drops from there on do not come apart")
            plateau = drop.after
        return Timeline(tuple(drops))

    def _closed(self, plateau: Plateau, newcomer: int, free_step: float) -> Drop | None:
        """The drop of one newcomer alone; None if it is not alone, or an active coefficient is lost in it."""
        size = plateau.own_sizes[newcomer]
        coefficients = plateau.coefficients - plateau.responses[newcomer] * size
        coefficients[newcomer] = size
        if np.any(coefficients * plateau.coefficients < 0):
            return None
        crowding = plateau.crowding(newcomer, free_step)
        step = free_step + crowding
        impulses = plateau.impulses(step)
        impulses[newcomer] = 0.0
        levels = plateau.levels_at(step) - np.where(plateau.active, 0.0, plateau.couplings @ impulses)
        learned = np.where(coefficients == 0, np.nan, coefficients)
        levels[newcomer] = self.curves.levels(self.curves.positions_of(learned))[newcomer]
        grown = plateau.shares(step)
        rivalry = plateau.rivalry(newcomer)
        # That the drive of the others changes over the drop and not at its step counts by how far they are.
        uncertainty = plateau.uncertainty + 0.5 * rivalry * np.abs(np.diag(plateau.couplings) * impulses)
        after = plateau_at(self.curves, self.moments, coefficients, step, levels, plateau.coefficients - coefficients,
                           uncertainty)
        rival = float((np.maximum(grown, after.shares(step)) * rivalry).max())
        if rival > LARGEST_RIVAL:
            return None
        lag = float(plateau.lags(newcomer, np.array([size / 2]))[1][0])
        error = CAUTION * (abs(plateau.unfinished(newcomer, step)) + abs(crowding) + abs(lag))
        error += plateau.inaccuracy(newcomer) + rival / (4 * abs(float(plateau.drives[newcomer])))
        return Drop(plateau, after, *self._losses(plateau, after), newcomer, step, error)

    def _losses(self, before: Plateau, after: Plateau) -> tuple[float, float]:
        return self.loss(before.coefficients), self.loss(after.coefficients)

    def _overlapping(self, drop: Drop) -> bool:
        """Whether the closed form would miss its time, or that of the drop after it."""
        if drop.error > LARGEST_ERROR * drop.step:
            return True
        steps = drop.after.steps()
        following = int(np.argmin(steps))
        if not math.isfinite(steps[following]):
            return False
        return abs(drop.after.unfinished(following, float(steps[following]))) > LARGEST_ERROR * drop.step

    def _resolved(self, plateau: Plateau, newcomer: int, step: float) -> Drop:
        start = start_of_resolution(plateau, newcomer)
        positions = state_on(plateau, start) if start > 0 else np.zeros(self.curves.width)
        flow = resolve(self.coordinates, self.curves, self.moments, positions, start, step)
        levels = self.curves.levels(flow.positions)
        moved = self.curves.levels(flow.positions + ACCUMULATED * TOLERANCE) - levels
        after = plateau_at(self.curves, self.moments, flow.coefficients, float(flow.times[-1]), levels,
                           flow.deviation, plateau.uncertainty + np.abs(moved))
        error = CAUTION * abs(plateau.unfinished(newcomer, step)) + plateau.inaccuracy(newcomer)
        return Drop(plateau, after, *self._losses(plateau, after), newcomer, step, error, flow)


def diagonal_own_size(
    data: Regression, curves: NeuronCurves, coordinates: CurveCoordinates, names: Sequence[str]
) -> OwnSizePrediction:
    """Own-size steps of neurons that start at the origin of `curves` and `coordinates`."""
    return OwnSizeSteps(*design_of(data), curves, coordinates).prediction(names)
