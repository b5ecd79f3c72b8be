"""Each claim about linear attention holds on a good run, and is undecided where a run leaves it open."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from claims_runs import evidence_of, run_evidence

from agfrun import AgfConfig, Claim, InitConfig, RunConfig, run
from agfrun.labs.staircases.claims import linear_attention
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegressionConfig
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttentionConfig


def evidence_from(model: LinearAttentionConfig, data: InContextRegressionConfig, scale: float = 1e-2) -> Evidence:
    return evidence_of(run(RunConfig(
        model=model, data=data, init=InitConfig("gaussian", scale), seed=0, device="cpu",
        agf=AgfConfig(cost_phase="decoupled", threshold=0.2, loss_tolerance=1e-6))))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return run_evidence("attention")


@pytest.fixture(scope="module")
def full_evidence() -> Evidence:
    model = LinearAttentionConfig(width=3, parameterization="full")
    return evidence_from(model, InContextRegressionConfig(dimension=2))


def claims_of(evidence: Evidence) -> dict[tuple[str, str], Claim]:
    claims = [claim for check in linear_attention.CLAIMS for claim in check(evidence)]
    found = {(claim.claim, claim.source): claim for claim in claims}
    assert len(found) == len(claims), "two claims of one name and source"
    return found


BOTH_SOURCES = {(name, source) for source in ("agf", "training") for name in (
    "coefficient_1", "coefficient_2", "diagonal_output", "incremental_bound_1", "incremental_bound_2")}
OF_ONE = {("maximal_utility", "theory"), ("conserved_balance", "training")}


def test_every_claim_holds_on_a_good_run(evidence: Evidence) -> None:
    claims = claims_of(evidence)
    assert set(claims) == BOTH_SOURCES | OF_ONE | {(f"closed_form_time_{mode}", "training") for mode in "12"}
    assert [key for key, claim in claims.items() if not claim.holds] == []


def test_every_claim_holds_on_a_good_full_run(full_evidence: Evidence) -> None:
    claims = claims_of(full_evidence)
    assert set(claims) == BOTH_SOURCES | OF_ONE  # no closed form for its times
    assert [key for key, claim in claims.items() if not claim.holds] == []


# ---- What a run leaves open is undecided; what does not apply is left out


def test_without_a_flow_nothing_is_conserved_or_dated(evidence: Evidence) -> None:
    claims = claims_of(replace(evidence, is_flow=False))
    assert not {key for key in claims if key[0].startswith(("conserved_balance", "closed_form_time"))}


def open_claims(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Why claims are undecided."""
    return {key: claim.why for key, claim in claims_of(evidence).items() if claim.holds is None}


def test_another_order_leaves_incremental_bounds_open(evidence: Evidence) -> None:
    names = {"1": "2", "2": "1", "": ""}
    swapped = [replace(event, feature=names[event.feature]) for event in evidence.measured]
    assert open_claims(replace(evidence, measured=swapped)) == {
        (f"incremental_bound_{mode}", "training"): "modes came in another order" for mode in "12"}


def test_an_unresolved_plateau_ends_the_incremental_bounds(evidence: Evidence) -> None:
    unresolved = [replace(event, plateau_start=math.nan) for event in evidence.measured]
    found = open_claims(replace(evidence, measured=unresolved))
    assert set(found) == {(name, "training") for name in (
        "coefficient_1", "coefficient_2", "diagonal_output", "incremental_bound_2")}
    assert all("plateau" in why for why in found.values())


def test_modes_that_were_not_learned_are_undecided(evidence: Evidence) -> None:
    first = [event for event in evidence.measured if event.feature == "1"]
    found = open_claims(replace(evidence, measured=first))
    assert set(found) == {(name, "training") for name in ("coefficient_2", "diagonal_output", "incremental_bound_2",
                                                        "closed_form_time_2")}
    assert all("after 1 acquisition" in why for why in found.values())


def test_training_that_learned_nothing_leaves_its_times_open(evidence: Evidence) -> None:
    found = open_claims(replace(evidence, measured=[]))
    assert all("after 0 acquisitions" in found[f"closed_form_time_{mode}", "training"] for mode in "12")


def test_heads_of_higher_rank_and_ties_have_no_incremental_bounds() -> None:
    model = LinearAttentionConfig(width=2, head_dim=2)
    tied = evidence_from(model, InContextRegressionConfig(eigenvalues=[0.9, 0.9]))
    assert not {key for key in claims_of(tied) if key[0].startswith(("incremental", "closed_form"))}
    assert all(claim.holds is not False for claim in claims_of(tied).values())
