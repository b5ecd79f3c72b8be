"""Claims about two-layer networks hold on good runs, fail on evidence against them, and are undecided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from claims_runs import evidence_of

from agfrun import Claim, InitConfig, RunConfig, run
from agfrun.labs.staircases.claims.claim import NOTHING_LEARNED, Evidence
from agfrun.labs.staircases.claims.two_layer import CLAIMS
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.two_layer.network import MonomialConfig, ReluConfig
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig

Doctor = Callable[[Evidence], Evidence]


def claims_of(evidence: Evidence) -> dict[tuple[str, str], Claim]:
    return {(claim.claim, claim.source): claim for check in CLAIMS for claim in check(evidence)}


@pytest.fixture(scope="module")
def relu() -> Evidence:
    return evidence_of(run(RunConfig(model=ReluConfig(width=8), data=OrthogonalInputsConfig(targets=[1.0, -0.6]),
                                     init=InitConfig(scale=1e-6), device="cpu")))


@pytest.fixture(scope="module")
def cubic() -> Evidence:
    """z^2, of homogeneity degree 3."""
    return evidence_of(run(RunConfig(model=MonomialConfig(width=6), data=OrthogonalInputsConfig(targets=[1.0, -0.6]),
                                     device="cpu")))


@pytest.mark.parametrize("name", ["relu", "cubic"])
def test_good_runs_confirm_every_claim(name: str, request: pytest.FixtureRequest) -> None:
    found = claims_of(request.getfixturevalue(name))
    assert [claim for claim in found.values() if not claim.holds] == []
    expected = {("conserved_balance", "training"), ("first_activation_bound", "agf"),
                ("first_activation_time", "training")}
    exact = {("exact_time_1", "agf"), ("exact_time_2", "agf"), ("exact_rounds", "agf")}
    assert set(found) == (expected | exact if name == "relu" else expected)


def with_first_activation(source: str, factor: float) -> Doctor:
    name = "predicted" if source == "agf" else "measured"

    def changed(events: Sequence[Event]) -> list[Event]:
        first = min(event.time for event in events if event.kind == "activation")
        return [replace(event, time=factor * event.time) if event.time == first else event for event in events]

    return lambda evidence: replace(evidence, **{name: changed(getattr(evidence, name))})


def grown_outputs(evidence: Evidence) -> Evidence:
    """Output weights 5% off at the end."""
    final = evidence.training.final.clone()
    final[:, -1] *= 1.05
    return replace(evidence, training=replace(evidence.training, final=final))


def late_second_round(evidence: Evidence) -> Evidence:
    rounds = evidence.prediction.rounds
    late = replace(rounds[1], time=1.002 * rounds[1].time)
    return replace(evidence, prediction=replace(evidence.prediction, rounds=(rounds[0], late)))


def three_rounds(evidence: Evidence, effect: float = 0.02) -> Evidence:
    """One round more, in which the loss falls by a part of its initial value."""
    assert evidence.theory is not None
    rounds = evidence.prediction.rounds
    further = replace(rounds[-1], loss=evidence.theory.events[-1].loss_after - effect * evidence.theory.initial_loss)
    return replace(evidence, prediction=replace(evidence.prediction, rounds=(*rounds, further)))


@pytest.mark.parametrize(("doctor", "claim"), [
    (grown_outputs, ("conserved_balance", "training")),
    (with_first_activation("agf", 0.3), ("first_activation_bound", "agf")),
    (with_first_activation("training", 0.5), ("first_activation_time", "training")),
    (late_second_round, ("exact_time_2", "agf")),
    (three_rounds, ("exact_rounds", "agf")),
])
def test_contradicting_evidence_fails(doctor: Doctor, claim: tuple[str, str], relu: Evidence) -> None:
    found = claims_of(doctor(relu))
    assert found[claim].holds is False
    # Nothing else but what the same number decides.
    others = {key for key, value in found.items() if value.holds is False} - {claim}
    assert others <= {("first_activation_time", "training")}


def open_claims(evidence: Evidence) -> dict[str, str]:
    """Why claims are undecided."""
    return {claim.claim: claim.why for claim in claims_of(evidence).values() if claim.holds is None}


def test_what_does_not_apply_is_left_out(relu: Evidence) -> None:
    assert not {name for name, source in claims_of(replace(relu, is_flow=False)) if source == "training"}
    decoupled = replace(relu, prediction=replace(relu.prediction, cost_phase="decoupled"))
    assert not {name for name, _ in claims_of(decoupled) if name.startswith("exact")}


def test_what_a_run_leaves_open_is_undecided(relu: Evidence) -> None:
    stopped = replace(relu, prediction=replace(relu.prediction, rounds=relu.prediction.rounds[:1]))
    assert set(open_claims(stopped)) == {"exact_time_2"}
    assert open_claims(replace(relu, measured=[], predicted=[])) == {
        "conserved_balance": NOTHING_LEARNED,
        "first_activation_bound": "no neuron activates in AGF", "first_activation_time": "no neuron activates in AGF"}
    assert open_claims(replace(relu, measured=[])) == {
        "conserved_balance": NOTHING_LEARNED, "first_activation_time": "no neuron activates in training"}
    large = open_claims(replace(relu, threshold=1e-9))  # all neurons start above it
    assert set(large) == {"first_activation_bound", "first_activation_time"}
    assert all("starts at the threshold" in why for why in large.values())


def test_an_activation_without_an_effect_changes_nothing(relu: Evidence) -> None:
    assert all(claim.holds for claim in claims_of(three_rounds(relu, effect=0.005)).values())


def test_neurons_too_small_for_floats_have_no_norm_to_start_from(relu: Evidence) -> None:
    tiny = replace(relu, initial=0 * relu.initial, log_init_scale=-math.inf)
    assert claims_of(tiny)["conserved_balance", "training"].holds
    assert set(open_claims(tiny)) == {"first_activation_bound", "first_activation_time"}
