"""What closed forms say about a run; every architecture fills in what it has."""

from __future__ import annotations

from dataclasses import dataclass

from agfrun.labs.staircases.dynamics.trajectory import Trajectory, stairs
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.sources import THEORY


@dataclass(frozen=True)
class Theory:
    """Closed-form predictions.

    Attributes:
        description: one sentence on where they come from and what time they assume.
        levels: loss at the plateau after each feature, in the predicted order: (feature, level).
        undecided: why theory leaves the order of features open, in one sentence; empty if it decides it.
        events: predicted events with times, in order; empty if there are no closed-form times.
        lower_bounds: for a feature, a time before which it cannot be acquired.
        initial_loss: loss of the empty network.
    """

    description: str
    levels: tuple[tuple[str, float], ...]
    undecided: str
    events: tuple[Event, ...]
    lower_bounds: dict[str, float]
    initial_loss: float

    def trajectory(self, feature_names: tuple[str, ...], end: float) -> Trajectory | None:
        """The staircase as rows (two at each drop), up to time `end`; None without times."""
        drops = [event for event in self.events if event.kind == "activation"]
        if not drops:
            return None
        after = [(event.time, event.loss_after) for event in drops]
        return stairs(THEORY, after, self.initial_loss, feature_names, end)
