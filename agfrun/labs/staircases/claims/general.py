"""Claims about every architecture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from agfrun.labs.staircases.claims.claim import NOTHING_LEARNED, Evidence
from agfrun.labs.staircases.claims.finite_scale import time_tolerance
from agfrun.labs.staircases.claims.origin import origin_of, paper
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.study.claim import Claim, Statement

LEVEL_TOLERANCE = 0.01
NEGLIGIBLE_LEVEL = 1e-3
EXACT_ORDER = "an order is exact"
EXACT_BOUND = "a bound is exact"
NO_PLATEAU = "no plateau after it is resolved"
STOPPED_THERE = "a path is stopped where so little is left, whatever it was heading for"


def loss_never_rises(evidence: Evidence) -> list[Claim]:
    """Along a gradient flow the loss never rises."""
    if not evidence.is_flow:
        return []
    loss = evidence.training.trajectory.loss
    rise = float(np.max(np.diff(loss), initial=0.0) / (loss[0] or 1.0))
    statement = Statement("loss_never_rises", "training", "gradient flow never raises the loss", paper("section 2"),
                          "theorem")
    if not evidence.learned and rise <= 1e-9:
        return [statement.undecided(NOTHING_LEARNED)]
    return [statement.close(0.0, rise, 1e-9, "rounding, relative to the initial loss", 1.0)]


def feature_order(evidence: Evidence) -> list[Claim]:
    """Training acquires the features in the order that the utilities predict."""
    if evidence.theory is None:
        return []
    return [_order_of(evidence, evidence.theory, source) for source in ("agf", "training")]


def _order_of(evidence: Evidence, theory: Theory, source: str) -> Claim:
    name, origin = "AGF" if source == "agf" else source, origin_of(evidence.architecture)
    statement = Statement("feature_order", source, f"{name} acquires features in the order of theory", origin.theory,
                          origin.standing)
    if theory.undecided:
        return statement.undecided(theory.undecided)
    if why := _built_on_theory(evidence, source):
        return statement.undecided(why)
    expected = [feature for feature, _ in theory.levels]
    measured = [event.feature for event in evidence.acquisitions(source)]
    if measured == expected[: len(measured)] and len(measured) < len(expected):
        if not evidence.complete(source):
            return statement.undecided(f"{evidence.end(source)} of {len(expected)}")
        # A path that ends at a small loss does not owe the features that theory finds below it.
        owed = [level > NEGLIGIBLE_LEVEL * theory.initial_loss for _, level in theory.levels]
        expected = expected[: max(len(measured), sum(owed) + 1)]
    return statement.decided(" ".join(expected), " ".join(measured), measured == expected, EXACT_ORDER)


def same_order_as_agf(evidence: Evidence) -> list[Claim]:
    """Training acquires features in the order in which AGF does; those that AGF acquires at one time have none.

    What a path that was stopped early has shown by then may contradict the order, but not confirm it.
    """
    place = origin_of(evidence.architecture).experiment
    statement = Statement("same_order_as_agf", "training", "training acquires features in the order AGF predicts",
                          place, "numerics" if place else "")
    predicted = evidence.acquisitions("agf")
    expected = [event.feature for event in predicted]
    measured = [event.feature for event in evidence.acquisitions("training")]
    agree = _agreeing(predicted, measured)
    if agree == min(len(expected), len(measured)):
        if not evidence.complete("agf"):
            return [statement.undecided(evidence.end("agf"))]
        if len(measured) < len(expected) and not evidence.complete("training"):
            return [statement.undecided(f"{evidence.end('training')} of {len(expected)}")]
    return [statement.decided(" ".join(expected), " ".join(measured), agree == len(expected) == len(measured),
                              EXACT_ORDER)]


def _agreeing(predicted: Sequence[Event], measured: Sequence[str]) -> int:
    """How many measured features are the predicted ones in their order, but for those predicted at one time."""
    place = 0
    for _, group in itertools.groupby(predicted, key=lambda event: event.time):
        names = [event.feature for event in group]
        for feature in measured[place : place + len(names)]:
            if feature not in names:
                return place
            names.remove(feature)
            place += 1
        if names:
            break
    return place


def acquisition_times(evidence: Evidence) -> list[Claim]:
    """Training acquires each feature at AGF's time, up to what the finite scale explains.

    See `finite_scale` for how far that is. A fifth is the most: a prediction that is further off is wrong at this
    scale, whatever it tends to.
    """
    place, claims = origin_of(evidence.architecture).experiment, []
    for number, row in enumerate(evidence.compared("acquisition"), 1):
        statement = Statement(f"acquisition_time_{number}", "training", f"feature {row['feature']} is acquired at the "
                              "time that AGF predicts", place, "numerics" if place else "")
        if math.isfinite(row["time_training"]):
            claims.append(statement.close(row["time_predicted"], row["time_training"],
                                          *time_tolerance(evidence, row["feature"])))
        else:
            claims.append(statement.undecided(evidence.end("training")))
    return claims


def loss_levels(evidence: Evidence) -> list[Claim]:
    """After each feature the loss rests at the closed-form level."""
    if evidence.theory is None:
        return []
    return [claim for source in ("agf", "training") for claim in _levels_of(evidence, evidence.theory, source)]


def _levels_of(evidence: Evidence, theory: Theory, source: str) -> list[Claim]:
    acquired = evidence.acquisitions(source)
    # Of a path that was stopped the last feature may be half learned.
    settled = acquired if evidence.complete(source) else acquired[:-1]
    names = [feature for feature, _ in theory.levels]
    in_order = [event.feature for event in settled] == names[: len(settled)]
    if not in_order and theory.undecided:
        return []  # features that are learned together have no levels between them
    origin, claims = origin_of(evidence.architecture), []
    for number, (feature, level) in enumerate(theory.levels, 1):
        statement = Statement(f"loss_level_{number}", source, f"with feature {feature} acquired the loss rests at its "
                              "closed-form level", origin.theory, origin.standing)
        if open_because := _built_on_theory(evidence, source):
            claims.append(statement.undecided(open_because))
        elif not in_order:
            claims.append(statement.undecided("features came in another order, whose levels are others"))
        elif open_because := _level_is_open(evidence, settled, number, source):
            claims.append(statement.undecided(open_because))
        else:
            claims.append(level_claim(statement, level, settled[number - 1].loss_after, theory.initial_loss))
    return claims


def level_claim(statement: Statement, level: float, measured: float, initial_loss: float) -> Claim:
    """The claim that the loss rests at a level.

    A path is stopped once next to nothing is left: a level as low as that it reaches whatever it was heading for.
    """
    if max(level, measured) <= NEGLIGIBLE_LEVEL * initial_loss:
        return statement.undecided(STOPPED_THERE)
    return statement.close(level, measured, LEVEL_TOLERANCE, "1% of a level, or of 1% of the initial loss: what is "
                           "left of a drop once its plateau is seen", max(level, 1e-2 * initial_loss))


def _built_on_theory(evidence: Evidence, source: str) -> str:
    """Why a prediction cannot put theory to the test; empty if it can."""
    closed = source == "agf" and evidence.prediction.method == "closed_form"
    return "AGF in closed form is built on that theory; agf.method=generic puts it to the test" if closed else ""


def _level_is_open(evidence: Evidence, settled: Sequence[Event], number: int, source: str) -> str:
    """Why a path does not show the level after its `number`-th acquisition; empty if it does."""
    if number > len(settled):
        half = number == len(settled) + 1 == len(evidence.acquisitions(source))
        return f"{evidence.end(source)}, the last perhaps half learned" if half else evidence.end(source)
    event = settled[number - 1]
    if not math.isfinite(event.loss_after):
        return NO_PLATEAU
    # Of features that come at one time only the last is followed by a plateau.
    together = number < len(settled) and settled[number].time <= event.time
    return "the next feature comes at the same time" if together else ""


def lower_bounds(evidence: Evidence) -> list[Claim]:
    """No feature is acquired before its lower bound."""
    if evidence.theory is None or (place := origin_of(evidence.architecture).bounds) is None:
        return []
    claims = []
    for source in ("agf", "training"):
        waiting = dict(evidence.theory.lower_bounds)
        for event in evidence.acquisitions(source):
            bound = evidence.theory.lower_bounds.get(event.feature)
            if bound is not None:
                waiting.pop(event.feature, None)
                claims.append(_bound(event.feature, source, place).decided(bound, event.time, event.time >= bound,
                                                                           EXACT_BOUND))
        claims += [_bound(feature, source, place).undecided(evidence.end(source)) for feature in waiting]
    return claims


def _bound(feature: str, source: str, place: str) -> Statement:
    return Statement(f"lower_bound_{feature}", source, f"feature {feature} is not acquired before the bound from the "
                     "largest initial norm", place, "bound")


CLAIMS = (loss_never_rises, feature_order, same_order_as_agf, acquisition_times, loss_levels, lower_bounds)
