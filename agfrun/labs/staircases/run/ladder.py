"""The ladder: every prediction of one run, from closed forms to the decoupled flow, judged against one training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, Trajectory, loss_path, stairs
from agfrun.labs.staircases.events.acquisitions import feature_acquisitions
from agfrun.labs.staircases.events.context import place_on_plateaus
from agfrun.labs.staircases.events.drops import with_drops
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import find_staircase
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.run.comparison import worst
from agfrun.labs.staircases.sources import OWN_SIZE, THEORY, TRAINING

# A staircase that stops shows its last level up to this multiple of the last drop's time.
LAST_LEVEL = 1.2


@dataclass(frozen=True)
class Predictions:
    """All that is predicted of one training.

    Attributes:
        alternations: AGF as published and the decoupled flow, as far as they were asked for, by source; the main
            prediction, of which the verdict and the claims speak, is the first.
        thresholds: norm at which a neuron activates, of each of them.
        own_size: own-size steps, or None.
        theory: closed forms, or None.
    """

    alternations: Mapping[str, Prediction]
    thresholds: Mapping[str, float]
    own_size: OwnSizePrediction | None = None
    theory: Theory | None = None

    @property
    def main(self) -> Prediction:
        """The main prediction."""
        return next(iter(self.alternations.values()))

    def extended_to(self, time: float) -> Predictions:
        """The same, the paths of alternations that ended before held up to `time`."""
        longer = {source: prediction.extended_to(time) for source, prediction in self.alternations.items()}
        return replace(self, alternations=longer)

    @property
    def last_time(self) -> float:
        """Time of the last event that any of them predicts, closed forms aside; 0 if there is none."""
        steps = [event.step for event in self.own_size.events] if self.own_size else []
        return max([0.0, *(prediction.last_time for prediction in self.alternations.values()),
                    *(step for step in steps if math.isfinite(step))])


@dataclass(frozen=True)
class Rung:
    """One prediction, whatever made it.

    Attributes:
        source: see `staircases.sources`.
        events: in order.
        path: the loss that it predicts; None where it predicts no times.
        threshold: norm at which a neuron counts as active.
        evaluations: calls of a gradient, or of a smaller right-hand side.
        errors: estimated relative error of the times of events, as far as they are estimated.
        void: why it says nothing after its last event, in one sentence; empty where it is complete.
        warning: why it is not to be trusted, in one sentence; empty where it is.
    """

    source: str
    events: Sequence[Event]
    path: Trajectory | None
    threshold: float
    evaluations: int
    errors: Mapping[Event, float] = field(default_factory=dict)
    void: str = ""
    warning: str = ""


def rungs_of(predictions: Predictions, initial_loss: float, end: float, final_sizes: FloatArray | None = None
             ) -> list[Rung]:
    """The rungs of a run, the main prediction first, then from the cheapest on.

    Args:
        initial_loss: of the empty network.
        end: time up to which a staircase goes on that has ended before.
        final_sizes: of the features in a solution, see `detect_events`.
    """
    made = [_of_alternation(prediction, predictions.thresholds[source], final_sizes)
            for source, prediction in predictions.alternations.items()]
    main, names = made[0], predictions.main.trajectory.feature_names
    closed = []
    if predictions.theory is not None:
        theory = predictions.theory
        path = theory.trajectory(names, end)
        closed.append(Rung(THEORY, _and_drops(theory.events, path), path, main.threshold, 0, warning=theory.undecided))
    if predictions.own_size is not None:
        closed.append(_of_own_size(predictions.own_size, names, initial_loss, end, main.threshold))
    return [main, *closed, *(_with_loss_alone(rung) for rung in made[1:])]


def predicted_events(prediction: Prediction, final_sizes: FloatArray | None = None) -> list[Event]:
    """Activations and collapses from the alternation itself, acquisitions and drops of the loss from its path.

    In the decoupled flow the plateaus are those of the path, as for training.

    Args:
        final_sizes: of the features in a solution, see `detect_events`.
    """
    path, own = prediction.trajectory, list(prediction.events)
    staircase = find_staircase(path.times, path.loss)
    if prediction.cost_phase == "decoupled":
        own = place_on_plateaus(own, staircase)
    seen = feature_acquisitions(path.times, path.features, path.feature_names, staircase, final_sizes)
    acquired = sorted((event for event in seen if event.kind == "acquisition"), key=lambda event: event.feature)
    return with_drops(sorted([*own, *acquired], key=lambda event: event.time), staircase)


def _and_drops(events: Sequence[Event], path: Trajectory | None) -> list[Event]:
    """Events and the drops of their staircase; one that never comes has no place on a staircase."""
    if path is None or not np.isfinite(path.times).all():
        return list(events)
    return with_drops(events, find_staircase(path.times, path.loss))


def _of_alternation(prediction: Prediction, threshold: float, final_sizes: FloatArray | None) -> Rung:
    events = predicted_events(prediction, final_sizes)
    return Rung(prediction.source, events, prediction.trajectory, threshold,
                prediction.statistics.gradient_evaluations, void="" if prediction.complete else prediction.reason)


def _of_own_size(prediction: OwnSizePrediction, names: tuple[str, ...], initial_loss: float, end: float,
                 threshold: float) -> Rung:
    errors = {_event(event): event.error for event in prediction.events}
    drops = sorted((event.step if math.isnan(event.time) else event.time, event.loss_after)
                   for event in prediction.events)
    if drops and prediction.void:  # no level is said to last beyond what it speaks of
        end = LAST_LEVEL * drops[-1][0]
    path = stairs(OWN_SIZE, drops, initial_loss, names, end) if drops else None
    events = _and_drops(list(errors), path)
    return Rung(OWN_SIZE, events, path, threshold, prediction.evaluations, errors, prediction.void, prediction.warning)


def _event(event: OwnSizeEvent) -> Event:
    lost = event.size == 0
    return Event("collapse" if lost else "acquisition", event.time, event.feature, event.neuron, event.loss_before,
                 event.loss_after, event.step, size=math.nan if lost else event.size)


def _with_loss_alone(rung: Rung) -> Rung:
    """Neurons and features are recorded of the main prediction only."""
    path = rung.path
    assert path is not None
    return replace(rung, path=loss_path(path.source, path.times, path.loss, path.feature_names))


def ladder_rows(rungs: Sequence[Rung], rows: Sequence[Mapping[str, Any]], training: TrainingResult
                ) -> list[dict[str, Any]]:
    """Rows of ladder.csv: what each rung cost and how far it is off, and what training cost.

    Args:
        rows: of comparison.csv, of all sources.
    """
    judged = [{"source": rung.source, "evaluations": rung.evaluations,
               **errors_of([row for row in rows if row["source"] == rung.source]),
               "void": rung.void or None, "warning": rung.warning or None}
              for rung in rungs if rung.source != THEORY or rung.events]
    return [*judged, {"source": TRAINING, "evaluations": training.statistics.gradient_evaluations}]


def errors_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How far one source is off: over its acquisitions, or its activations where it has no others."""
    kind = "acquisition" if any(row["kind"] == "acquisition" for row in rows) else "activation"
    own = [row for row in rows if row["kind"] == kind]
    errors = [abs(row["time_ratio"] - 1) for row in own if not math.isnan(row["time_ratio"])]
    within = [row["within_predicted_error"] for row in own if row["within_predicted_error"] is not None]
    return {"kind": kind if own else None, "predicted": len(own), "measured": len(errors),
            "in_order": sum(bool(row["order_matches"]) for row in own),
            "median_time_error": statistics.median(errors) if errors else None, "worst_time_error": worst(errors),
            "worst_level_error": worst([row["level_error"] for row in own]),
            "within_predicted_error": sum(within) if within else None}
