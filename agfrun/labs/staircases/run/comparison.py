"""Where prediction and measurement meet: predicted events beside the measured ones that they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.run.pairing import agrees, pair

COMPARED_KINDS = ("drop", "acquisition", "activation")
# Predicted times that differ by no more than this share are the same: what comes first of them is rounding.
TIE = 1e-9


@dataclass(frozen=True)
class Match:
    """A predicted event, the measured event it stands for (None if there is none) and their ranks."""

    predicted: Event
    measured: Event | None
    order_matches: bool


def match_events(predicted: Sequence[Event], measured: Sequence[Event], kind: str, initial_loss: float = 1.0
                 ) -> list[Match]:
    """Match predicted events of one kind to measured ones, see `pair`.

    The order matches where the sequences of features agree up to and including the event; events that are predicted
    for one time come in no order. Drops of the loss have the order of their times: there it is whether the event is
    seen at all.
    """
    ours = [event for event in predicted if event.kind == kind]
    theirs = [event for event in measured if event.kind == kind]
    partners = pair(ours, theirs, initial_loss)
    in_order = {place: place in partners for place in range(len(ours))}
    if kind != "drop":
        agree = True
        for rank, place in enumerate(_ties_as_in(ours, theirs)):
            agree = agree and rank < len(theirs) and theirs[rank].feature == ours[place].feature
            in_order[place] = agree
    return [Match(event, theirs[partners[place]] if place in partners else None, in_order[place])
            for place, event in enumerate(ours)]


def _ties_as_in(ours: Sequence[Event], theirs: Sequence[Event]) -> list[int]:
    """Places of our events, those of one time in the order in which theirs at these places come."""
    ordered: list[int] = []
    while len(ordered) < len(ours):
        start = len(ordered)
        end = next((place for place in range(start + 1, len(ours))
                    if not ours[place].time <= ours[start].time * (1 + TIE)), len(ours))
        tied = list(range(start, end))
        for other in theirs[start:end]:
            same = next((place for place in tied if ours[place].feature == other.feature), None)
            if same is not None:
                tied.remove(same)
                ordered.append(same)
        ordered += tied
    return ordered


def compare(
    predicted: Sequence[Event], measured: Sequence[Event], theory: Theory | None, theory_events: Sequence[Event],
    initial_loss: float, kinds: Sequence[str] = COMPARED_KINDS, source: str = "agf",
    errors: Mapping[Event, float] | None = None, resolution: float = 0.0,
) -> list[dict[str, Any]]:
    """Rows of comparison.csv of one source: drops of the loss, acquisitions, then activations; a row an event.

    Times are predicted over measured. A level's error is relative to the drop, see `level_error`. A closed-form
    activation that is no single neuron's stands for the acquisition of its feature.

    Args:
        errors: relative error of predicted times, as it is estimated before training.
        resolution: relative error of measured times, beside which predicted ones need be no better.
    """
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        matches = match_events(predicted, measured, kind, initial_loss)
        closed = [event for event in (*theory_events, *of_features(theory_events)) if event.kind == kind]
        closed_form = pair([match.predicted for match in matches], closed, initial_loss, other_features=False)
        for place, match in enumerate(matches):
            rows.append({"source": source, "event": len(rows) + 1,
                         **_row(match, closed[closed_form[place]] if place in closed_form else None, theory,
                                (errors or {}).get(match.predicted, math.nan), resolution)})
    _add_levels_of_acquisitions(rows, theory)
    return rows


def compared_kinds(interchangeable_neurons: bool) -> tuple[str, ...]:
    """The kinds of events to compare: where neurons may be mixed, those of a prediction are not those of training."""
    return tuple(kind for kind in COMPARED_KINDS if kind != "activation" or not interchangeable_neurons)


def of_features(events: Sequence[Event]) -> Iterator[Event]:
    """The acquisitions that activations stand for which are no single neuron's."""
    return (replace(event, kind="acquisition") for event in events
            if event.kind == "activation" and event.neuron is None)


def level_error(predicted: tuple[float, float], measured: tuple[float, float]) -> float:
    """Difference of the levels after an event as a share of the drop, predicted or measured, whichever is larger.

    So it says the same of a first drop and of the last one, whose level is zero. NaN where a level is not resolved.

    Args:
        predicted, measured: levels before and after.
    """
    drops = [before - after for before, after in (predicted, measured)]
    drop = max((size for size in drops if math.isfinite(size)), default=math.nan)
    return abs(measured[1] - predicted[1]) / drop if drop > 0 else math.nan


def _add_levels_of_acquisitions(rows: Sequence[dict[str, Any]], theory: Theory | None) -> None:
    """Theory's level after the n-th acquisition of a feature, for acquisitions have no closed-form event."""
    levels: dict[str, list[float]] = {}
    for feature, level in theory.levels if theory else ():
        levels.setdefault(feature, []).append(level)
    for row in rows:
        if row["kind"] == "acquisition" and levels.get(row["feature"]):
            row["level_theory"] = levels[row["feature"]].pop(0)


def _row(match: Match, closed_form: Event | None, theory: Theory | None, error: float,
         resolution: float) -> dict[str, Any]:
    event, partner = match.predicted, match.measured
    time = partner.time if partner else math.nan
    # The time at which a neuron takes another feature says nothing of the one that was predicted.
    same = partner is not None and (event.kind == "drop" or agrees(event, partner))
    ratio = event.time / time if time and same else math.nan
    bound = theory.lower_bounds.get(event.feature, math.nan) if theory else math.nan
    return {
        "kind": event.kind,
        "feature": event.feature,
        "feature_training": partner.feature if partner else None,
        "neuron_predicted": event.neuron,
        "neuron_training": partner.neuron if partner else None,
        "time_predicted": event.time,
        "time_error_predicted": error,
        "time_training": time,
        "time_ratio": ratio,
        "within_predicted_error": None if math.isnan(ratio) or math.isnan(error) else (
            abs(ratio - 1) <= error + resolution),
        "level_predicted": event.loss_after,
        "level_training": partner.loss_after if partner else math.nan,
        "level_error": level_error(_levels(event), _levels(partner)) if partner and same else math.nan,
        "order_matches": match.order_matches,
        "lower_bound": bound,
        "lower_bound_holds": None if math.isnan(bound) or math.isnan(time) or not same else time >= bound,
        "time_theory": closed_form.time if closed_form else math.nan,
        "level_theory": closed_form.loss_after if closed_form else math.nan,
    }


def without_unpredicted(row: Mapping[str, Any], unpredicted: Mapping[str, str]) -> dict[str, Any]:
    """A row of comparison.csv without what compares levels or times, where the prediction says nothing of these.

    Args:
        row: of comparison.csv.
        unpredicted: see `TrainConfig.unpredicted`.
    """
    left_out: dict[str, Any] = {}
    if "times" in unpredicted:
        left_out |= {"time_ratio": math.nan, "within_predicted_error": None, "lower_bound_holds": None}
    if "levels" in unpredicted:
        left_out |= {"level_error": math.nan}
    return {**row, **left_out}


def _levels(event: Event) -> tuple[float, float]:
    return event.loss_before, event.loss_after


def verdict(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of done.json, from the acquisition rows of the main prediction."""
    acquired = [row for row in rows if row["kind"] == "acquisition"]
    met = [row for row in acquired if not math.isnan(row["time_training"])]
    in_order = sum(bool(row["order_matches"]) for row in acquired)
    return {
        "order_agrees": in_order == len(acquired) if acquired else None,
        "predicted_acquisitions": len(acquired),
        "measured_acquisitions": len(met),
        "in_predicted_order": in_order,
        "worst_time_error": worst([abs(row["time_ratio"] - 1) for row in met]),  # NaN where times are not compared
        "worst_level_error": worst([row["level_error"] for row in met]),
    }


def worst(errors: Sequence[float]) -> float | None:
    """The largest error; None where there is none."""
    return max((error for error in errors if not math.isnan(error)), default=None)
