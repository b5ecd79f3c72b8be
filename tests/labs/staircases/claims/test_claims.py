"""What a run leaves open is undecided, and says why; what contradicts a claim is in `test_mutations`.

Claims that do not apply, such as those of gradient flow under gradient descent, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from doctored_evidence import changing, slower
from doctored_evidence import swapped as all_swapped
from explicit_networks import small_modadd

from agfrun import Statement
from agfrun.labs.staircases.claims import check, diagonal_linear, general, quadratic_modadd
from agfrun.labs.staircases.claims.check import check_claims
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

Doctor = Callable[[Evidence], Evidence]


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    found: Evidence = request.getfixturevalue(f"{request.param}_evidence")
    return found


ON_EITHER = pytest.mark.parametrize("evidence", ["modadd", "diagonal"], indirect=True)


def verdicts(evidence: Evidence) -> dict[tuple[str, str], bool | None]:
    claims = check_claims(evidence)
    found = {(claim.claim, claim.source): claim.holds for claim in claims}
    assert len(found) == len(claims), "two claims of one name and source"
    assert all(claim.why for claim in claims), "every claim says why that tolerance, or why it is undecided"
    return found


def reasons(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Why claims are undecided."""
    return {(claim.claim, claim.source): claim.why for claim in check_claims(evidence) if claim.holds is None}


def changed(events: list[Event] | Any, kind: str, change: Callable[[Event], Event], which: int = 0) -> list[Event]:
    """The events with the `which`-th of a kind changed."""
    places = [place for place, event in enumerate(events) if event.kind == kind]
    return [change(event) if place == places[which] else event for place, event in enumerate(events)]


def with_swapped_features(events: Any, kind: str) -> list[Event]:
    """The first two events of a kind exchange their features."""
    first, second = [event for event in events if event.kind == kind][:2]
    swap = {id(first): second.feature, id(second): first.feature}
    return [replace(event, feature=swap.get(id(event), event.feature)) for event in events]


def swapped(source: str, kind: str = "acquisition") -> Doctor:
    name = "predicted" if source == "agf" else "measured"
    return lambda evidence: replace(evidence, **{name: with_swapped_features(getattr(evidence, name), kind)})


@ON_EITHER
def test_every_claim_says_where_it_is_stated(evidence: Evidence) -> None:
    for claim in check_claims(evidence):
        assert claim.statement
        assert claim.source in ("agf", "training", "theory")
        assert claim.stated.startswith(("AGF paper, ", "agfrun"))
        assert (claim.standing == "ours") == (claim.stated == "agfrun")
        assert "theorem" not in claim.statement
        if claim.tolerance is not None:
            assert math.isfinite(float(claim.expected or 0))
            assert math.isfinite(float(claim.measured or 0))


# ---- What a run leaves open is undecided; what does not apply is left out


def left_out(evidence: Evidence, *names: str) -> bool:
    return not any(claim.startswith(names) for claim, _ in verdicts(evidence))


def undecided_alone(evidence: Evidence, *names: str) -> bool:
    """Whether there are claims of these names, all of them undecided."""
    found = [holds for (claim, _), holds in verdicts(evidence).items() if claim.startswith(names)]
    return len(found) > 0 and set(found) == {None}


@ON_EITHER
def test_gradient_descent_decides_no_claim_about_flows(evidence: Evidence) -> None:
    sampled = replace(evidence, is_flow=False)
    assert left_out(sampled, "loss_never_rises", "conserved", "first_activation")
    assert not left_out(sampled, "feature_order", "maximal_utility")


@ON_EITHER
def test_without_theory_its_claims_are_left_out(evidence: Evidence) -> None:
    without = replace(evidence, theory=None)
    assert left_out(without, "feature_order", "loss_level", "lower_bound")
    assert not left_out(without, "same_order_as_agf")


def test_an_order_that_theory_leaves_open_is_undecided(modadd_evidence: Evidence) -> None:
    assert modadd_evidence.theory is not None
    tied = replace(modadd_evidence, theory=replace(modadd_evidence.theory, undecided="1 and 2 are equally strong"))
    for source in ("agf", "training"):
        assert reasons(tied)["feature_order", source] == "1 and 2 are equally strong"


def stopped_early(evidence: Evidence) -> Evidence:
    """Training ended at the horizon before the last feature."""
    last = [event for event in evidence.measured if event.kind == "acquisition"][-1]
    return replace(evidence, measured=[event for event in evidence.measured if event is not last],
                   training=replace(evidence.training, status="horizon"))


def test_what_training_showed_before_it_stopped_may_contradict_the_order(modadd_evidence: Evidence) -> None:
    early = stopped_early(all_swapped("training")(modadd_evidence))
    assert [event.feature for event in early.acquisitions("training")] == ["2"]
    found = verdicts(early)
    assert found["feature_order", "training"] is False
    assert found["same_order_as_agf", "training"] is False


def test_what_an_incomplete_prediction_has_said_may_be_contradicted(modadd_evidence: Evidence) -> None:
    incomplete = replace(modadd_evidence, prediction=replace(modadd_evidence.prediction, complete=False))
    assert verdicts(all_swapped("training")(incomplete))["same_order_as_agf", "training"] is False


@ON_EITHER
def test_training_that_learned_nothing_decides_nothing_of_training(evidence: Evidence) -> None:
    nothing = replace(evidence, measured=[], training=replace(evidence.training, status="horizon"), comparison=[
        {**row, "time_training": math.nan} for row in evidence.comparison])
    decided = {claim for (claim, source), holds in verdicts(nothing).items()
               if source == "training" and holds is not None}
    # The phases are read off the states, which have not been taken away here.
    assert decided <= {"first_phases_aligned"}


@ON_EITHER
@pytest.mark.parametrize("factor", [1.36, 1 / 1.36, 4.64])
def test_times_that_are_off_by_a_realistic_amount_fail(evidence: Evidence, factor: float) -> None:
    found = verdicts(slower("training", factor)(evidence))
    times = {claim: holds for (claim, _), holds in found.items() if claim.startswith("acquisition_time")}
    assert len(times) >= 2
    assert set(times.values()) == {False}


@ON_EITHER
def test_a_last_level_that_is_not_reached_fails(evidence: Evidence) -> None:
    """A path is stopped where next to nothing is left: that it is so is no evidence, that it is not so is."""
    assert evidence.theory is not None
    name, most = f"loss_level_{len(evidence.theory.levels)}", 0.1 * evidence.theory.initial_loss
    assert reasons(evidence)[name, "agf"] == general.STOPPED_THERE
    stuck = changing("agf", lambda event: replace(event, loss_after=max(event.loss_after, most)))(evidence)
    assert verdicts(stuck)[name, "agf"] is False


@ON_EITHER
def test_training_that_stopped_early_decides_no_order(evidence: Evidence) -> None:
    early = stopped_early(evidence)
    for claim in ("feature_order", "same_order_as_agf"):
        assert "training ended (horizon)" in reasons(early)[claim, "training"]
    assert verdicts(early)["feature_order", "agf"]


@ON_EITHER
def test_training_that_stopped_early_decides_no_level_of_its_last_feature(evidence: Evidence) -> None:
    early = stopped_early(evidence)
    assert early.theory is not None
    reached = sum(event.kind == "acquisition" for event in early.measured)
    levels = {claim: holds for (claim, source), holds in verdicts(early).items()
              if claim.startswith("loss_level") and source == "training"}
    assert [levels[f"loss_level_{number}"] for number in range(1, len(early.theory.levels) + 1)] == [
        True] * (reached - 1) + [None] * (len(levels) - reached + 1)
    assert "half learned" in reasons(early)[f"loss_level_{reached}", "training"]


def test_converged_training_without_a_feature_contradicts_the_order(modadd_evidence: Evidence) -> None:
    """It reached zero loss, so that the feature that is missing was owed."""
    early = stopped_early(modadd_evidence)
    converged = replace(early, training=replace(early.training, status="converged"))
    found = verdicts(converged)
    assert found["feature_order", "training"] is False
    assert found["same_order_as_agf", "training"] is False


def test_incomplete_prediction_decides_no_order(modadd_evidence: Evidence) -> None:
    incomplete = replace(modadd_evidence, prediction=replace(modadd_evidence.prediction, complete=False))
    assert undecided_alone(incomplete, "same_order_as_agf")


def test_features_that_agf_finds_at_one_time_have_no_order(modadd_evidence: Evidence) -> None:
    moment = modadd_evidence.acquisitions("agf")[0].time
    together = [replace(event, time=moment) if event.kind == "acquisition" else event
                for event in modadd_evidence.predicted]
    for evidence in (modadd_evidence, swapped("training")(modadd_evidence)):
        assert verdicts(replace(evidence, predicted=together))["same_order_as_agf", "training"]


@pytest.mark.parametrize("source", ["agf", "training"])
def test_levels_of_another_order_are_those_of_what_is_left(modadd_evidence: Evidence, source: str) -> None:
    """With the weaker frequency learned first, four fifths of the loss should be left; the run left one fifth."""
    claims = [claim for claim in check_claims(swapped(source)(modadd_evidence))
              if claim.claim == "loss_level_1" and claim.source == source]
    assert [(claim.expected, claim.holds) for claim in claims] == [(pytest.approx(4.0), False)]


@pytest.mark.parametrize("source", ["agf", "training"])
def test_levels_of_another_order_are_undecided_where_nobody_knows_them(diagonal_evidence: Evidence, source: str
                                                                       ) -> None:
    other = swapped(source)(diagonal_evidence)
    for number in (1, 2, 3):
        assert "another order" in reasons(other)[f"loss_level_{number}", source]


def test_unresolved_level_is_undecided(modadd_evidence: Evidence) -> None:
    events = changed(modadd_evidence.measured, "acquisition", lambda event: replace(event, loss_after=math.nan))
    unresolved = replace(modadd_evidence, measured=events)
    assert "no plateau" in reasons(unresolved)["loss_level_1", "training"]


def test_features_that_come_at_one_time_have_one_plateau(modadd_evidence: Evidence) -> None:
    moment = modadd_evidence.acquisitions("training")[0].time
    together = [replace(event, time=moment) if event.kind == "acquisition" else event
                for event in modadd_evidence.measured]
    evidence = replace(modadd_evidence, measured=together)
    assert "at the same time" in reasons(evidence)["loss_level_1", "training"]


@pytest.mark.parametrize("source", ["agf", "training"])
def test_a_feature_that_never_comes_leaves_its_bound_open(modadd_evidence: Evidence, source: str) -> None:
    name = "predicted" if source == "agf" else "measured"
    events = [event for event in getattr(modadd_evidence, name) if event.feature != "2"]
    without = replace(modadd_evidence, **{name: events})
    assert verdicts(without)["dormant_lower_bound_1", source]
    assert "no neuron activated" in reasons(without)["dormant_lower_bound_2", source]


def test_events_that_training_has_not_reached_are_undecided(
    modadd_evidence: Evidence, diagonal_evidence: Evidence,
) -> None:
    for evidence in (modadd_evidence, diagonal_evidence):
        rows = [{**row, "time_training": math.nan} for row in evidence.comparison]
        assert undecided_alone(replace(evidence, comparison=rows), "first_activation", "acquisition_time")


def test_without_activations_there_are_no_phases_to_check(modadd_evidence: Evidence) -> None:
    path = modadd_evidence.training.trajectory
    dormant = replace(path, log_norms=np.broadcast_to(path.log_norms[:1], path.log_norms.shape))
    still = replace(modadd_evidence, training=replace(modadd_evidence.training, trajectory=dormant))
    assert "no neuron activated" in reasons(still)["first_phases_aligned", "training"]


def test_times_are_undecided_where_the_order_is_another(diagonal_evidence: Evidence) -> None:
    assert undecided_alone(swapped("agf", "activation")(diagonal_evidence), "rescaled_time")


def test_fewer_rounds_are_compared_with_as_many_saddles(diagonal_evidence: Evidence) -> None:
    prediction = diagonal_evidence.prediction
    first = next(event for event in diagonal_evidence.predicted if event.kind == "activation")
    short = replace(diagonal_evidence, predicted=[first], prediction=replace(prediction, rounds=prediction.rounds[:1]))
    claims = diagonal_linear.agf_is_successive_saddles(short)
    assert [(claim.claim, claim.holds) for claim in claims] == [
        ("successive_saddles_order", True), ("rescaled_time_1", True), ("rescaled_time_2", None),
        ("rescaled_time_3", None)]


def test_a_closed_form_cannot_decide_the_theorem_it_is_built_on(diagonal_evidence: Evidence) -> None:
    prediction = replace(diagonal_evidence.prediction, method="closed_form")
    claims = diagonal_linear.agf_is_successive_saddles(replace(diagonal_evidence, prediction=prediction))
    assert [(claim.claim, claim.holds) for claim in claims] == [("successive_saddles_order", None)]
    assert "agf.method=generic decides it" in claims[0].why
    for claim in ("feature_order", "loss_level_1"):
        assert "built on that theory" in reasons(replace(diagonal_evidence, prediction=prediction))[claim, "agf"]


# ---- Parts


def test_each_architecture_has_its_own_claims(modadd_evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {claim.claim for of_one in quadratic_modadd.CLAIMS for claim in of_one(modadd_evidence)}
    shared = {claim.claim for of_all in general.CLAIMS for claim in of_all(modadd_evidence)}
    assert {claim for claim, _ in verdicts(modadd_evidence)} == own | shared
    monkeypatch.setattr(check, "OF_NETWORK", {})
    assert {claim for claim, _ in verdicts(modadd_evidence)} == shared


def test_a_network_from_outside_brings_claims(modadd_evidence: Evidence) -> None:
    class Outside(QuadraticModadd):
        claims = (lambda evidence: [Statement("width", "theory", "it is wide").undecided("nobody has measured it")],)

    architecture = modadd_evidence.architecture
    assert isinstance(architecture, QuadraticModadd)
    outside = replace(modadd_evidence, architecture=Outside(architecture.data, architecture.width))
    assert reasons(outside)["width", "theory"] == "nobody has measured it"


@pytest.mark.parametrize("decided", [True, False])
def test_what_a_network_decides_is_not_left_open_by_what_holds_of_all(decided: bool, modadd_evidence: Evidence,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    statement = Statement("level", "training", "it rests there")
    later = statement.decided(1, 2, False, "a count") if decided else statement.undecided("no plateau")
    monkeypatch.setattr(general, "CLAIMS", (lambda evidence: [statement.undecided("another order")],))
    monkeypatch.setattr(check, "OF_NETWORK", {QuadraticModadd: (lambda evidence: [later],)})
    assert check_claims(modadd_evidence) == [later]


@pytest.mark.parametrize(("p", "frequencies", "amplitudes"), [
    (4, (1, 2), (4.0, 2.0)), (6, (1, 3), (3.0, 2.9)), (7, (2,), (3.0,)),
])
def test_maximizer_is_found_at_the_nyquist_frequency_too(
    p: int, frequencies: tuple[int, ...], amplitudes: tuple[float, ...], modadd_evidence: Evidence,
) -> None:
    network = small_modadd(p, frequencies, amplitudes, 2)
    claims = quadratic_modadd.utility_maximizer(replace(modadd_evidence, architecture=network.architecture))
    assert [claim.holds for claim in claims] == [True, True, True]
    assert np.isfinite([float(claim.measured) for claim in claims]).all()
