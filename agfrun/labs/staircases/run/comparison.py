"""Where prediction and measurement meet: predicted events matched to measured ones, feature by feature."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.theory import Theory

COMPARED_KINDS = ("acquisition", "activation")
# Below this share of the initial loss a level counts as zero, and its error is taken relative to it.
ZERO_LEVEL = 1e-3
# Predicted times that differ by no more than this share are the same: what comes first of them is rounding.
TIE = 1e-9


@dataclass(frozen=True)
class Match:
    """A predicted event, the measured event it stands for (None if there is none) and their ranks."""

    predicted: Event
    measured: Event | None
    order_matches: bool


def match_events(predicted: Sequence[Event], measured: Sequence[Event], kind: str) -> list[Match]:
    """Match predicted events of one kind to measured ones.

    Prediction and training start from the same neurons, so an activation is first matched to that of the
    same neuron (its n-th to its n-th); what is left, and every acquisition, is matched by feature (the n-th
    of a feature to its n-th). The order matches where the sequences of features agree up to and including
    the event; events that are predicted for one time come in no order.
    """
    ours = [event for event in predicted if event.kind == kind]
    theirs = [event for event in measured if event.kind == kind]
    partners = _pair(ours, theirs, lambda event: event.neuron)
    left = [event for event in ours if event not in partners]
    taken = list(partners.values())
    partners |= _pair(left, [event for event in theirs if event not in taken], lambda event: event.feature)
    in_order: dict[Event, bool] = {}
    agree = True
    for rank, event in enumerate(_ties_as_in(ours, theirs)):
        agree = agree and rank < len(theirs) and theirs[rank].feature == event.feature
        in_order[event] = agree
    return [Match(event, partners.get(event), in_order[event]) for event in ours]


def _ties_as_in(ours: Sequence[Event], theirs: Sequence[Event]) -> list[Event]:
    """Our events, those of one time in the order in which theirs at these places come."""
    ordered: list[Event] = []
    while len(ordered) < len(ours):
        start = len(ordered)
        tied = [event for event in ours[start:] if event.time <= ours[start].time * (1 + TIE)]
        for other in theirs[start : start + len(tied)]:
            same = next((event for event in tied if event.feature == other.feature), None)
            if same is not None:
                tied.remove(same)
                ordered.append(same)
        ordered += tied
    return ordered


def _pair(ours: Sequence[Event], theirs: Sequence[Event], key: Callable[[Event], object]) -> dict[Event, Event]:
    """Pair the n-th of ours with the n-th of theirs that has the same key; None is no key."""
    waiting: dict[object, list[Event]] = {}
    for event in theirs:
        waiting.setdefault(key(event), []).append(event)
    return {event: waiting[key(event)].pop(0) for event in ours
            if key(event) is not None and waiting.get(key(event))}


def compare(
    predicted: Sequence[Event], measured: Sequence[Event], theory: Theory | None, theory_events: Sequence[Event],
    initial_loss: float, kinds: Sequence[str] = COMPARED_KINDS,
) -> list[dict[str, Any]]:
    """Rows of comparison.csv: acquisitions, then activations; one row a predicted event.

    Times are predicted over measured. A level's error is relative to the predicted level, or to 1e-3 of
    the initial loss where that is larger. A closed-form activation that is no single neuron's stands for the
    acquisition of its feature.
    """
    rows: list[dict[str, Any]] = []
    of_features = [replace(event, kind="acquisition") for event in theory_events
                   if event.kind == "activation" and event.neuron is None]
    for kind in kinds:
        closed_events = [*theory_events, *of_features]
        closed_form = {match.predicted: match.measured for match in match_events(predicted, closed_events, kind)}
        for match in match_events(predicted, measured, kind):
            rows.append({"event": len(rows) + 1,
                         **_row(match, closed_form[match.predicted], theory, initial_loss)})
    _add_levels_of_acquisitions(rows, theory)
    return rows


def _add_levels_of_acquisitions(rows: Sequence[dict[str, Any]], theory: Theory | None) -> None:
    """Theory's level after the n-th acquisition of a feature, for acquisitions have no closed-form event."""
    levels: dict[str, list[float]] = {}
    for feature, level in theory.levels if theory else ():
        levels.setdefault(feature, []).append(level)
    for row in rows:
        if row["kind"] == "acquisition" and levels.get(row["feature"]):
            row["level_theory"] = levels[row["feature"]].pop(0)


def _row(match: Match, closed_form: Event | None, theory: Theory | None, initial_loss: float) -> dict[str, Any]:
    event, partner = match.predicted, match.measured
    time = partner.time if partner else math.nan
    level = partner.loss_after if partner else math.nan
    bound = theory.lower_bounds.get(event.feature, math.nan) if theory else math.nan
    return {
        "kind": event.kind,
        "feature": event.feature,
        "neuron_agf": event.neuron,
        "neuron_training": partner.neuron if partner else None,
        "time_agf": event.time,
        "time_training": time,
        "time_ratio": event.time / time if time else math.nan,
        "level_agf": event.loss_after,
        "level_training": level,
        "level_error": abs(level - event.loss_after) / max(event.loss_after, ZERO_LEVEL * initial_loss),
        "order_matches": match.order_matches,
        "lower_bound": bound,
        "lower_bound_holds": None if math.isnan(bound) or math.isnan(time) else time >= bound,
        "time_theory": closed_form.time if closed_form else math.nan,
        "level_theory": closed_form.loss_after if closed_form else math.nan,
    }


def verdict(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of done.json, from the acquisition rows."""
    acquired = [row for row in rows if row["kind"] == "acquisition"]
    met = [row for row in acquired if not math.isnan(row["time_ratio"])]

    def worst(values: list[float]) -> float | None:
        finite = [value for value in values if not math.isnan(value)]
        return max(finite) if finite else None

    in_order = sum(bool(row["order_matches"]) for row in acquired)
    return {
        "order_agrees": in_order == len(acquired) if acquired else None,
        "predicted_acquisitions": len(acquired),
        "measured_acquisitions": len(met),
        "in_predicted_order": in_order,
        "worst_time_error": worst([abs(row["time_ratio"] - 1) for row in met]),
        "worst_level_error": worst([row["level_error"] for row in met]),
    }
