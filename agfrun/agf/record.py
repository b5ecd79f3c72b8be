"""The predicted path, recorded row by row while the alternation runs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.dynamics.recorder import accumulated_utility, observe_moments, select_rows
from agfrun.dynamics.trajectory import Trajectory
from agfrun.events.event import Event

MAX_ROWS = 2000


class PathRecord:
    """Rows and events of a prediction.

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
        self.states: list[tuple[Tensor, Tensor | None]] = []
        self.actives: list[np.ndarray] = []
        self.activations: list[Event] = []
        self.collapses: list[Event] = []

    def record(self, time: float, neurons: Tensor, loss: float, active_index: Tensor,
               log_scales: Tensor | None = None) -> None:
        """Add a row: time, all neurons (H, D), the loss, indices of the active neurons.

        With `log_scales` (H,) the neurons are `neurons * exp(log_scales)`, which may be too small for floats.
        """
        active = np.zeros(self.width, dtype=bool)
        active[active_index.cpu().numpy()] = True
        self.times.append(time)
        self.losses.append(loss)
        self.states.append((neurons, log_scales))
        self.actives.append(active)

    def activated(self, time: float, neuron: int, feature: str, loss_before: float, loss_after: float,
                  collapsed: tuple[int, ...]) -> None:
        """Note an activation and the collapses that its cost phase caused."""
        self.activations.append(Event("activation", time, feature, neuron, loss_before, loss_after, time))
        if collapsed:
            self.collapsed(time, list(collapsed), self.states[-1][0], loss_after)

    def collapsed(self, time: float, neurons: list[int], state: Tensor, loss: float) -> None:
        """Note neurons that returned to the origin."""
        directions = self.architecture.neuron_feature_strengths(state).argmax(-1)
        self.collapses += [Event("collapse", time, self.architecture.feature_names[int(directions[neuron])],
                                 neuron, loss, loss, time) for neuron in neurons]

    def events(self) -> tuple[Event, ...]:
        """Activations and collapses in order; each plateau ends where the next activation begins.

        With timed cost phases the plateaus are found on the path, as they are for training.
        """
        ends = [*(event.time for event in self.activations[1:]), math.nan][: len(self.activations)]
        closed = [replace(event, plateau_end=end) for event, end in zip(self.activations, ends, strict=True)]
        return tuple(sorted([*closed, *self.collapses], key=lambda event: event.time))

    def trajectory(self) -> Trajectory:
        """The path as observables.

        Accumulated utility is that of the norm identity; for an active neuron, which accumulates none,
        it is held at the value it had on the threshold.
        """
        seen, active = observe_moments(self.architecture, self.states), np.stack(self.actives)
        if self.only_active:
            answering = observe_moments(self.architecture, [
                (neurons * torch.as_tensor(mask, device=neurons.device)[:, None], log_scales)
                for (neurons, log_scales), mask in zip(self.states, active, strict=True)])
            seen = replace(seen, features=answering.features, observables=answering.observables)
        times, loss = np.array(self.times), np.array(self.losses)
        utility = accumulated_utility(seen.log_norms, self.architecture.homogeneity_degree)
        for row in range(1, len(times)):
            held = active[row] & active[row - 1]
            utility[row, held] = utility[row - 1, held]
        path = Trajectory("agf", times, loss, self.architecture.feature_names, seen.features, seen.log_norms, utility,
                          seen.directions, active, observables=seen.observables)
        return path.at_rows(select_rows(times, loss, seen.features, seen.log_norms, MAX_ROWS))
