"""Claims about every architecture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.events.event import Event
from agfrun.study.claim import Claim, close

LEVEL_TOLERANCE = 0.01
NEGLIGIBLE_LEVEL = 1e-3


def loss_never_rises(evidence: Evidence) -> list[Claim]:
    """Along a gradient flow the loss never rises."""
    if not evidence.is_flow:
        return []
    loss = evidence.training.trajectory.loss
    rise = float(np.max(np.diff(loss), initial=0.0) / (loss[0] or 1.0))
    return [Claim("loss_never_rises", "training", "gradient flow never raises the loss", 0.0, rise, 1e-9,
                  rise <= 1e-9)]


def feature_order(evidence: Evidence) -> list[Claim]:
    """Training acquires the features in the order that the utilities predict."""
    claims = []
    for source, statement in (("agf", "AGF acquires features in the order of theory"),
                              ("training", "training acquires features in the order of theory")):
        if evidence.theory is None or evidence.theory.undecided:
            break
        expected = [feature for feature, _ in evidence.theory.levels]
        measured = [event.feature for event in evidence.acquisitions(source)]
        if len(measured) < len(expected):
            if not evidence.complete(source):
                continue  # stopped before the end: the order is not decided
            # A path that ends at a small loss does not owe the features that theory finds below it.
            owed = [level > NEGLIGIBLE_LEVEL * evidence.theory.initial_loss for _, level in evidence.theory.levels]
            expected = expected[: max(len(measured), sum(owed) + 1)]
        claims.append(Claim("feature_order", source, statement, " ".join(expected), " ".join(measured), None,
                            measured == expected))
    return claims


def same_order_as_agf(evidence: Evidence) -> list[Claim]:
    """Training acquires features in the order in which AGF does; those that AGF acquires at one time have none."""
    predicted = evidence.acquisitions("agf")
    expected = [event.feature for event in predicted]
    measured = [event.feature for event in evidence.acquisitions("training")]
    if not evidence.complete("agf") or (len(measured) < len(expected) and not evidence.complete("training")):
        return []
    return [Claim("same_order_as_agf", "training", "training acquires features in the order AGF predicts",
                  " ".join(expected), " ".join(measured), None, _in_order(predicted, measured))]


def _in_order(predicted: Sequence[Event], measured: Sequence[str]) -> bool:
    """Whether the measured features are the predicted ones in their order, but for those predicted at one time."""
    place = 0
    for _, group in itertools.groupby(predicted, key=lambda event: event.time):
        names = sorted(event.feature for event in group)
        if sorted(measured[place : place + len(names)]) != names:
            return False
        place += len(names)
    return place == len(measured)


def loss_levels(evidence: Evidence) -> list[Claim]:
    """After each feature the loss rests at the closed-form level."""
    if evidence.theory is None:
        return []
    claims = []
    names = [feature for feature, _ in evidence.theory.levels]
    for source in ("agf", "training"):
        acquired = evidence.acquisitions(source)
        if not evidence.complete(source):
            acquired = acquired[:-1]  # stopped: the last feature may be half learned
        in_order = [event.feature for event in acquired] == names[: len(acquired)]
        if not in_order:
            continue  # the levels of another order are other levels
        later = [event.time for event in acquired[1:]] + [np.inf]
        for number, (event, (feature, level)) in enumerate(zip(acquired, evidence.theory.levels, strict=False), 1):
            # Of features that come at one time only the last is followed by a plateau.
            if np.isfinite(event.loss_after) and later[number - 1] > event.time:
                # The last level is zero, which a path that is stopped at a finite loss reaches only so far.
                scale = max(level, 1e-2 * evidence.theory.initial_loss)
                claims.append(close(f"loss_level_{number}", source,
                                    f"with feature {feature} acquired the loss rests at its closed-form level",
                                    level, event.loss_after, LEVEL_TOLERANCE, scale))
    return claims


def lower_bounds(evidence: Evidence) -> list[Claim]:
    """No feature is acquired before its lower bound."""
    if evidence.theory is None:
        return []
    claims = []
    for source in ("agf", "training"):
        for event in evidence.acquisitions(source):
            bound = evidence.theory.lower_bounds.get(event.feature)
            if bound is not None:
                statement = f"feature {event.feature} is not acquired before the bound from the largest initial norm"
                claims.append(Claim(f"lower_bound_{event.feature}", source, statement, bound, event.time, None,
                                    event.time >= bound))
    return claims


CLAIMS = (loss_never_rises, feature_order, same_order_as_agf, loss_levels, lower_bounds)
