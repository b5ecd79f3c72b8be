"""The tables of a run: their columns, and how they are built from its paths and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from agfrun.files.tables import empty_table, even_indices, rows_table, table_from
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.study.table import Column, Schema

_SOURCE = Column("source", "text", "who says so: training, agf, decoupled, own_size or theory; the main prediction "
                 "comes before other predictions")
_TIME = Column("time", "number", "gradient-flow time, for the loss L = E 1/2 ||y - f||^2")
_FEATURE = Column("feature", "text", "label of the feature, for instance the frequency")

LOSS = Schema("loss.csv", (
    _SOURCE,
    _TIME,
    Column("step", "integer", "optimizer step; empty for a flow"),
    Column("loss", "number", "loss in the paper's normalization"),
), "loss over time", in_sweeps="thinned")

FEATURES = Schema("features.csv", (
    _SOURCE,
    _TIME,
    _FEATURE,
    Column("value", "number", "size of the feature in the network's output"),
), "size of each feature over time", in_sweeps="none")

NEURONS = Schema("neurons.csv", (
    _SOURCE,
    _TIME,
    Column("neuron", "integer", "index of the neuron, from 0"),
    Column("norm", "number", "Euclidean norm of the neuron's parameters; 0 below the smallest float"),
    Column("log10_norm", "number", "decimal logarithm of the norm, at any scale"),
    Column("accumulated_utility", "number", "integral of kappa times the normalized utility"),
    Column("direction_feature", "text", "label of the feature the neuron points at"),
    Column("active", "flag", "whether the neuron's norm has crossed the threshold"),
), "norm, accumulated utility and direction of each neuron over time", in_sweeps="none")

OBSERVABLES = Schema("observables.csv", (
    _SOURCE,
    _TIME,
    Column("quantity", "text", "name of the quantity, for instance singular value"),
    Column("index", "integer", "its number, from 1"),
    Column("value", "number", "its value for the whole network"),
), "quantities of the whole network over time", in_sweeps="none")

EVENTS = Schema("events.csv", (
    _SOURCE,
    Column("event", "integer", "number of the event within its source, from 1"),
    Column("kind", "text", "activation, acquisition, collapse or drop"),
    _TIME,
    _FEATURE,
    Column("neuron", "integer", "index of the neuron; empty where the event is not one neuron's"),
    Column("loss_before", "number", "level of the plateau that the event ends"),
    Column("loss_after", "number", "level of the plateau that follows"),
    Column("plateau_start", "number", "when the plateau that follows begins"),
    Column("plateau_end", "number", "when the plateau that follows ends; empty if it lasts"),
    Column("size", "number", "signed size at which the feature settles (acquisition), or which it had (collapse)"),
    Column("time_error", "number", "estimated relative error of reading an acquisition's time off the record"),
    Column("neurons", "text", "of a drop: the neurons that activate in it, in that order, with blanks between"),
), "activations, acquisitions, collapses and drops", optional=("size", "time_error", "neurons"))

COMPARISON = Schema("comparison.csv", (
    Column("source", "text", "who predicts: agf, decoupled, own_size or theory; the main prediction comes first"),
    Column("event", "integer", "number of the compared event within its source"),
    Column("kind", "text", "drop, acquisition or activation"),
    _FEATURE,
    Column("feature_training", "text", "label of the feature of the measured event"),
    Column("neuron_predicted", "integer", "neuron of the predicted event"),
    Column("neuron_training", "integer", "neuron of the measured event"),
    Column("time_predicted", "number", "predicted time"),
    Column("time_error_predicted", "number", "relative error of the predicted time as estimated before training"),
    Column("time_training", "number", "measured time"),
    Column("time_ratio", "number", "predicted over measured time; empty where a neuron takes another feature"),
    Column("within_predicted_error", "flag", "whether the ratio is within the estimated error of 1, and what the "
           "measured time is uncertain by (`drop_time_error`)"),
    Column("level_predicted", "number", "predicted loss after the event"),
    Column("level_training", "number", "measured loss after the event"),
    Column("level_error", "number", "difference of the two levels as a share of the drop, predicted or measured, "
           "whichever is larger"),
    Column("order_matches", "flag", "whether both have this feature at this place; of a drop whether it is seen"),
    Column("lower_bound", "number", "time before which theory rules the event out"),
    Column("lower_bound_holds", "flag", "whether the measured time is not below the bound"),
    Column("time_theory", "number", "closed-form time"),
    Column("level_theory", "number", "closed-form loss after the event"),
), "predicted beside measured events", earlier={
    "neuron_predicted": "neuron_agf", "time_predicted": "time_agf", "level_predicted": "level_agf",
}, optional=("source", "feature_training", "time_error_predicted", "within_predicted_error"))

LADDER = Schema("ladder.csv", (
    Column("source", "text", "who predicts: theory, own_size, agf or decoupled; or training"),
    Column("evaluations", "integer", "calls of the gradient, or of a smaller right-hand side"),
    Column("kind", "text", "which events the errors are of: acquisitions, or activations where there are no others"),
    Column("predicted", "integer", "how many of them are predicted"),
    Column("measured", "integer", "how many of these training shows"),
    Column("in_order", "integer", "how many of them come in the predicted order"),
    Column("median_time_error", "number", "median relative error of their times"),
    Column("worst_time_error", "number", "worst relative error of their times"),
    Column("worst_level_error", "number", "worst error of the level after them, as a share of the drop"),
    Column("within_predicted_error", "integer", "how many times are off by no more than was estimated before training, "
           "and what training's times are uncertain by"),
    Column("void", "text", "why it says nothing after its last event"),
    Column("warning", "text", "why it is not to be trusted"),
), "each prediction's cost and errors, and what training cost")

ENDINGS = Schema("endings.csv", (
    Column("source", "text", "whose: training, agf or decoupled"),
    Column("status", "text", "of training: converged, horizon, diverged, stalled or interrupted; of a prediction: "
           "complete or incomplete"),
    Column("reason", "text", "why it ended, and what to try if that is no good end"),
    Column("time", "number", "of the last recorded moment"),
    Column("loss", "number", "at that moment"),
), "how training and the prediction ended", in_sweeps="none")

TABLES: tuple[Schema, ...] = (LOSS, FEATURES, OBSERVABLES, NEURONS, EVENTS, ENDINGS, COMPARISON, LADDER)


def loss_table(trajectories: Iterable[Trajectory]) -> pd.DataFrame:
    """Table `loss.csv`: one row for each recorded moment of each source."""
    return _concatenate(LOSS, (
        {"source": t.source, "time": t.times, "step": t.steps, "loss": t.loss} for t in trajectories
    ))


def features_table(trajectories: Iterable[Trajectory]) -> pd.DataFrame:
    """Table `features.csv`: one row for each moment and feature, moment by moment."""
    return _concatenate(FEATURES, (
        {
            "source": t.source,
            "time": np.repeat(t.times, len(t.feature_names)),
            "feature": np.tile(np.array(t.feature_names, dtype=object), len(t.times)),
            "value": t.features.ravel(),
        }
        for t in trajectories
    ))


def observables_table(trajectories: Iterable[Trajectory]) -> pd.DataFrame:
    """Table `observables.csv`: one row for each moment, quantity and index."""
    return _concatenate(OBSERVABLES, (
        {
            "source": t.source,
            "time": np.repeat(t.times, values.shape[1]),
            "quantity": name,
            "index": np.tile(np.arange(1, values.shape[1] + 1), len(t.times)),
            "value": values.ravel(),
        }
        for t in trajectories for name, values in t.observables.items()
    ))


def neurons_table(trajectories: Sequence[Trajectory], max_rows: int = 200_000) -> pd.DataFrame:
    """Table `neurons.csv`: one row for each moment and neuron, moment by moment.

    Above `max_rows` rows in all, moments are left out evenly in record index; each source keeps
    its first and last moment (so that 2 x H rows a source are the least).
    """
    total = sum(t.log_norms.size for t in trajectories)
    share = min(1.0, max_rows / total) if total else 1.0
    return _concatenate(NEURONS, (_neuron_columns(t, share) for t in trajectories))


def events_table(events: Mapping[str, Sequence[Event]]) -> pd.DataFrame:
    """Table `events.csv` from the events of each source, in the order given."""
    return rows_table(EVENTS, [
        {"source": source, "event": number} | {name: getattr(event, name) for name in EVENTS.names[2:]}
        | {"feature": event.feature or None, "neurons": " ".join(map(str, event.neurons)) or None}
        for source, of_source in events.items()
        for number, event in enumerate(of_source, start=1)
    ])


def _neuron_columns(trajectory: Trajectory, share: float) -> dict[str, Any]:
    moments, width = trajectory.log_norms.shape
    kept = even_indices(moments, int(moments * share)) if width else np.arange(0)
    labels = np.array([*trajectory.feature_names, None], dtype=object)
    # An index outside the features (a neuron at the origin points nowhere) is a missing label.
    directions = trajectory.direction_feature[kept]
    known = (directions >= 0) & (directions < len(trajectory.feature_names))
    return {
        "source": trajectory.source,
        "time": np.repeat(trajectory.times[kept], width),
        "neuron": np.tile(np.arange(width), len(kept)),
        "norm": trajectory.neuron_norms[kept].ravel(),
        "log10_norm": (trajectory.log_norms[kept] / np.log(10)).ravel(),
        "accumulated_utility": trajectory.accumulated_utility[kept].ravel(),
        "direction_feature": labels[np.where(known, directions, -1)].ravel(),
        "active": trajectory.active[kept].ravel(),
    }


def _concatenate(schema: Schema, parts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    frames = [table_from(schema, part) for part in parts]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(schema)


