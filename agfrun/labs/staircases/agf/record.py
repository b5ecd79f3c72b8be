"""The predicted path, recorded row by row while the alternation runs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.polar import directions_and_log_norms
from agfrun.labs.staircases.dynamics.recorder import (
    OBSERVE_TOGETHER,
    Observed,
    accumulated_utility,
    observe_moments,
    select_rows,
)
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray, Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.sources import AGF, DECOUPLED

MAX_ROWS = 2000


Moment = tuple[Tensor, Tensor | None]


class PathRecord:
    """Rows and events of a prediction.

    Whole states are kept for a few rows only, until these are observed together.

    Args:
        initial: neurons at the start, (H, D).
        only_active: whether the predicted output is that of the active neurons alone (instantaneous cost
            phases), so that features jump as the loss does, or that of all neurons.
    """

    def __init__(self, architecture: Architecture, initial: Tensor, only_active: bool) -> None:
        self.only_active = only_active
        self.architecture = architecture
        self.width = initial.shape[0]
        self.times: list[float] = []
        self.losses: list[float] = []
        self.actives: list[np.ndarray] = []
        self.activations: list[Event] = []
        self.collapses: list[Event] = []
        self.last: Moment = (initial, None)
        self.pending: list[Moment] = []
        self.neurons: list[_NeuronsSeen] = []
        # Active neurons stay as they are for many rows: output by output, and which one each row has.
        self.outputs: list[Observed] = []
        self.output_of_row: list[int] = []
        self.answering: Moment | None = None

    def record(self, time: float, neurons: Tensor, loss: float, active_index: Tensor,
               log_factors: Tensor | None = None) -> None:
        """Add a row: time, all neurons (H, D), the loss, indices of the active neurons.

        With `log_factors` (H,) the neurons are `neurons * exp(log_factors)`, which may be too small for floats.
        """
        active = np.zeros(self.width, dtype=bool)
        active[active_index.cpu().numpy()] = True
        self.times.append(time)
        self.losses.append(loss)
        self.actives.append(active)
        self.last = (neurons, log_factors)
        self.pending.append(self.last)
        if self.only_active:
            self._note_output(active_index)
        if len(self.pending) >= OBSERVE_TOGETHER:
            self._observe()

    def activated(self, time: float, neuron: int, feature: str, loss_before: float, loss_after: float,
                  collapsed: tuple[int, ...]) -> None:
        """Note an activation and the collapses that its cost phase caused."""
        self.activations.append(Event("activation", time, feature, neuron, loss_before, loss_after, time))
        if collapsed:
            self.collapsed(time, list(collapsed), self.last[0], loss_after)

    def collapsed(self, time: float, neurons: list[int], state: Tensor, loss: float) -> None:
        """Note neurons that returned to the origin."""
        directions = self.architecture.neuron_feature_strengths(state).argmax(-1)
        self.collapses += [Event("collapse", time, self.architecture.feature_names[int(directions[neuron])],
                                 neuron, loss, loss, time) for neuron in neurons]

    def events(self) -> tuple[Event, ...]:
        """Activations and collapses in order; each plateau ends where the next activation begins.

        In the decoupled flow the plateaus are found on the path, as they are for training.
        """
        ends = [*(event.time for event in self.activations[1:]), math.nan][: len(self.activations)]
        closed = [replace(event, plateau_end=end) for event, end in zip(self.activations, ends, strict=True)]
        return tuple(sorted([*closed, *self.collapses], key=lambda event: event.time))

    def trajectory(self) -> Trajectory:
        """The path as observables.

        Accumulated utility is that of the norm identity; for an active neuron, which accumulates none,
        it is held at the value it had on the threshold.
        """
        self._observe()
        active = np.stack(self.actives)
        log_norms, directions = (np.concatenate(parts) for parts in zip(*self.neurons, strict=True))
        output = Observed.joined(self.outputs)
        features, observables = output.features, output.observables
        if self.only_active:
            rows = np.array(self.output_of_row)
            features, observables = features[rows], {name: values[rows] for name, values in observables.items()}
        times, loss = np.array(self.times), np.array(self.losses)
        utility = accumulated_utility(log_norms, self.architecture.homogeneity_degree)
        for row in range(1, len(times)):
            held = active[row] & active[row - 1]
            utility[row, held] = utility[row - 1, held]
        path = Trajectory(AGF if self.only_active else DECOUPLED, times, loss, self.architecture.feature_names,
                          features, log_norms, utility, directions, active, observables=observables)
        return path.at_rows(select_rows(times, loss, features, log_norms, MAX_ROWS))

    def _note_output(self, active_index: Tensor) -> None:
        """Observe the output of the active neurons if it is not that of the row before."""
        neurons, log_factors = self.last
        masked = torch.zeros_like(neurons)
        masked[active_index] = neurons[active_index]
        scales = None if log_factors is None else torch.zeros_like(log_factors)
        if scales is not None and log_factors is not None:
            scales[active_index] = log_factors[active_index]
        if self.answering is None or not _same(self.answering, (masked, scales)):
            self.answering = (masked, scales)
            self.outputs.append(observe_moments(self.architecture, [self.answering]))
        self.output_of_row.append(len(self.outputs) - 1)

    def _observe(self) -> None:
        """Boil the pending states down to what the path keeps of them."""
        if not self.pending:
            return
        if self.only_active:
            self.neurons.append(_observe_neurons(self.architecture, self.pending))
        else:
            seen = observe_moments(self.architecture, self.pending)
            self.neurons.append((seen.log_norms, seen.directions))
            self.outputs.append(seen)
        self.pending = []


# Log norms (T, H) and the features that neurons point at (T, H).
_NeuronsSeen = tuple[FloatArray, IntArray]


def _observe_neurons(architecture: Architecture, moments: list[Moment]) -> _NeuronsSeen:
    """What is seen of neurons one by one."""
    states = torch.stack([neurons for neurons, _ in moments])
    log_norms = directions_and_log_norms(states)[1]
    log_norms = log_norms + torch.stack([torch.zeros_like(norms) if scales is None else scales
                                         for norms, (_, scales) in zip(log_norms, moments, strict=True)])
    directions = architecture.neuron_feature_strengths(states).argmax(-1)
    return log_norms.double().cpu().numpy(), directions.cpu().numpy()


def _same(first: Moment, second: Moment) -> bool:
    scales = first[1], second[1]
    if (scales[0] is None) != (scales[1] is None):
        return False
    return torch.equal(first[0], second[0]) and (
        scales[0] is None or scales[1] is None or torch.equal(scales[0], scales[1]))
