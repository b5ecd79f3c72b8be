"""AGF of diagonal linear networks in closed form, at any depth and initialization scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.agf.alternation import AlternationOptions
from agfrun.labs.staircases.agf.prediction import Prediction, Round
from agfrun.labs.staircases.agf.record import PathRecord
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.networks.diagonal_linear.curves import NeuronCurves
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import (
    FloatArray,
    Saddle,
    drive_resolution,
    successive_saddles,
)
from agfrun.labs.staircases.networks.diagonal_linear.theory import design_of

ROWS_PER_PHASE = 40


def diagonal_prediction(
    architecture: DiagonalLinear, initial: Tensor, options: AlternationOptions, log_factor: float = 0.0
) -> Prediction:
    """The alternation of a diagonal network: dormant neurons slide along their curves as fast as they are driven.

    A neuron activates where its own curve reaches the threshold; the cost phase is least squares under sign
    constraints; a neuron that collapses stays on its threshold and has to cross to the other one (Pesme &
    Flammarion's rule, which holds at any depth, for a neuron always moves on one curve).

    Args:
        initial: neurons at the start, over exp(log_factor), (d, D).
    """
    inputs, targets = design_of(architecture.data)
    curves = architecture.curves(initial, log_factor)
    saddles = successive_saddles(inputs, targets, *curves.ends(options.threshold), options.loss_tolerance,
                                 options.max_events, options.max_time or np.inf)
    recorder = _Recorder(architecture, initial, curves, options.threshold)
    place = _Place(0.0, np.zeros(curves.width), np.zeros(curves.width), 0.5 * float(np.mean(targets**2)))
    initial_loss = place.loss
    recorder.record(place, np.zeros((1, curves.width)), np.zeros(1))
    rounds: list[Round] = []
    for saddle in saddles:
        feature = architecture.feature_names[saddle.coordinate]
        following = _Place(saddle.time, saddle.levels, saddle.coefficients, saddle.loss)
        recorder.slide(place, following, saddle.coordinate)
        recorder.record(following, saddle.levels[None], np.array([saddle.time]))
        recorder.path.activated(saddle.time, saddle.coordinate, feature, place.loss, saddle.loss, saddle.collapsed)
        rounds.append(_round(saddle, feature, inputs, targets, curves))
        place = following
    complete, reason = _ending(saddles, place, initial_loss, curves, inputs, targets, options)
    return Prediction(recorder.path.trajectory(), recorder.path.events(), tuple(rounds), recorder.final(place),
                      "closed_form", "instantaneous", complete, reason, IntegrationStatistics())


@dataclass(frozen=True)
class _Place:
    """The alternation after a cost phase: time, levels and coefficients (d,), loss."""

    time: float
    levels: FloatArray
    coefficients: FloatArray
    loss: float


class _Recorder:
    """Turns levels and coefficients into rows of the predicted path."""

    def __init__(self, architecture: DiagonalLinear, initial: Tensor, curves: NeuronCurves, threshold: float) -> None:
        self.path = PathRecord(architecture, initial, only_active=True)
        self.like = initial
        self.curves = curves
        self.end_positions = curves.end_positions(threshold)
        self.ends = [curves.levels(positions) for positions in self.end_positions]

    def slide(self, place: _Place, following: _Place, joining: int) -> None:
        """Rows from one event to the next; at its end the neuron `joining` counts as active."""
        fractions = np.linspace(0, 1, ROWS_PER_PHASE)[1:]
        levels = place.levels + fractions[:, None] * (following.levels - place.levels)
        # To the last bit: `_states` knows an end by equality.
        levels[-1] = following.levels
        times = place.time + fractions * (following.time - place.time)
        self.record(place, levels, times)
        self.record(place, levels[-1:], times[-1:], joining)

    def record(self, place: _Place, levels: FloatArray, times: FloatArray, joining: int | None = None) -> None:
        """Rows at levels (R, d) and times (R,), with the coefficients and the loss of `place`."""
        neurons, log_factors = self._states(levels, place.coefficients)
        active = place.coefficients != 0
        if joining is not None:
            active[joining] = True
        index = torch.tensor(np.nonzero(active)[0])
        for row, time in enumerate(times):
            self.path.record(float(time), neurons[row], place.loss, index, log_factors[row])

    def final(self, place: _Place) -> Tensor:
        """Neurons (d, D) of a place."""
        neurons, log_factors = self._states(place.levels[None], place.coefficients)
        return neurons[0] * log_factors[0].exp()[:, None]

    def _states(self, levels: FloatArray, coefficients: FloatArray) -> tuple[Tensor, Tensor]:
        """Neurons (R, d, D) over log factors (R, d): dormant ones from their levels, active ones from beta."""
        positions = self.curves.positions(levels)
        for ends, end_positions in zip(self.ends, self.end_positions, strict=True):
            # Near a blow-up levels hardly tell positions apart: an end is taken as it is, not found from its level.
            positions = np.where((levels == ends) & np.isfinite(end_positions), end_positions, positions)
        neurons, log_factors = self.curves.at(positions)
        active = coefficients != 0
        learned = self.curves.with_coefficients(np.where(active, coefficients, 1.0))
        neurons = np.where(active[:, None], learned, neurons)
        # Active neurons are of a size that floats hold.
        log_factors = np.where(active, 0.0, log_factors)
        return (torch.tensor(neurons, dtype=self.like.dtype, device=self.like.device),
                torch.tensor(log_factors, dtype=self.like.dtype, device=self.like.device))


def _round(saddle: Saddle, feature: str, inputs: FloatArray, targets: FloatArray, curves: NeuronCurves) -> Round:
    drives = inputs.T @ (targets - inputs @ saddle.coefficients) / len(targets)
    active = saddle.coefficients != 0
    slopes = curves.slopes(curves.with_coefficients(np.where(active, saddle.coefficients, 1.0)))
    gradient_norm = float(np.linalg.norm((drives[:, None] * slopes)[active]))
    # Its curvatures are not formed: nothing remains where least squares are exact.
    return Round(saddle.time, saddle.coordinate, feature, saddle.collapsed, saddle.loss, gradient_norm, 0.0, math.nan,
                 math.nan, "least squares under sign constraints, exact", saddle.time, saddle.time)


def _ending(saddles: list[Saddle], place: _Place, initial_loss: float, curves: NeuronCurves, inputs: FloatArray,
            targets: FloatArray, options: AlternationOptions) -> tuple[bool, str]:
    """Whether nothing was left to learn at the end, and why the prediction ended."""
    if place.loss <= options.loss_tolerance * initial_loss:
        return True, f"all but {options.loss_tolerance:g} of the loss was learned"
    if len(saddles) >= options.max_events:
        return False, f"agf.max_events={options.max_events} activations were reached"
    further = successive_saddles(inputs, targets, *curves.ends(options.threshold), max_events=len(saddles) + 1)
    if len(further) > len(saddles):
        return False, f"no dormant neuron is driven to its threshold before time {options.max_time:g}"
    drives = inputs.T @ (targets - inputs @ place.coefficients) / len(targets)
    at_rest = np.all(np.abs(drives) <= 10 * drive_resolution(inputs, targets))
    rest = "these are the least squares" if at_rest else "the signs it would need cannot be reached"
    later = f", nor would one be after time {options.max_time:g}" if options.max_time else ""
    return True, f"no dormant neuron is driven to its threshold{later}: {rest}"
