"""All events of a trajectory."""

from __future__ import annotations

import math

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, Trajectory
from agfrun.labs.staircases.events.acquisitions import feature_acquisitions
from agfrun.labs.staircases.events.activations import neuron_events
from agfrun.labs.staircases.events.drops import loss_drops
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase, find_staircase

KIND_ORDER = {"activation": 0, "acquisition": 1, "collapse": 2, "drop": 3}


def detect_events(trajectory: Trajectory, threshold: float, final_sizes: FloatArray | None = None) -> list[Event]:
    """Activations, acquisitions and collapses along a trajectory and drops of its loss, in order of time.

    Events at the same time come in the order of the kinds above, then of neurons and features. Where a
    neuron and its feature collapse together, the neuron's event stands for both.

    Args:
        trajectory: with finite, falling loss.
        threshold: norm at which a neuron counts as active, positive.
        final_sizes: of the features in a solution, (F,), NaN where they are not known; None: nowhere.

    Raises:
        ValueError: the trajectory has no rows, a time or loss that is not finite, or times that decrease.
    """
    staircase = find_staircase(trajectory.times, trajectory.loss)
    of_neurons = neuron_events(
        trajectory.times, trajectory.log_norms, trajectory.direction_feature, trajectory.feature_names,
        staircase, threshold)
    of_features = feature_acquisitions(
        trajectory.times, trajectory.features, trajectory.feature_names, staircase, final_sizes)
    collapses = {_moment(event, staircase) for event in of_neurons if event.kind == "collapse"}
    kept = [event for event in of_features
            if event.kind != "collapse" or _moment(event, staircase) not in collapses]
    return sorted([*of_neurons, *kept, *loss_drops(staircase, of_neurons)], key=_order)


def _moment(event: Event, staircase: Staircase) -> tuple[str, int]:
    """What makes two collapses the same: the feature, and the drop in which it happens."""
    return event.feature, staircase.drop_index(event.time)


def _order(event: Event) -> tuple[float, int, float, str]:
    neuron = math.inf if event.neuron is None else event.neuron
    return event.time, KIND_ORDER[event.kind], neuron, event.feature
