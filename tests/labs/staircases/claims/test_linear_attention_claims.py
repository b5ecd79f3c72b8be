"""Each claim about linear attention holds on a good run and fails on evidence that contradicts it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from agfrun import AgfConfig, Claim, InitConfig, RunConfig, run
from agfrun.labs.staircases.claims import linear_attention
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegressionConfig
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention, LinearAttentionConfig

Doctor = Callable[[Evidence], Evidence]


def evidence_from(model: LinearAttentionConfig, data: InContextRegressionConfig, scale: float = 1e-2) -> Evidence:
    result = run(RunConfig(model=model, data=data, init=InitConfig("gaussian", scale), seed=2, device="cpu",
                           agf=AgfConfig(cost_phase="timed", threshold=0.2, loss_tolerance=1e-6)))
    return Evidence(
        architecture=result.problem.architecture, initial=result.problem.initial,
        log_init_scale=math.log(scale), threshold=0.2,
        prediction=result.prediction, training=result.training, is_flow=True, theory=result.theory,
        predicted=result.events["agf"], measured=result.events["training"], comparison=result.comparison)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return evidence_from(LinearAttentionConfig(width=3), InContextRegressionConfig(dimension=2))


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
    assert set(claims) == BOTH_SOURCES | OF_ONE | {("closed_form_times", "training")}
    assert [key for key, claim in claims.items() if not claim.holds] == []


def test_every_claim_holds_on_a_good_full_run(full_evidence: Evidence) -> None:
    claims = claims_of(full_evidence)
    assert set(claims) == BOTH_SOURCES | OF_ONE  # no closed form for its times
    assert [key for key, claim in claims.items() if not claim.holds] == []


# ---- Contradicting evidence


def with_changed_features(source: str) -> Doctor:
    """The second mode is 12% off wherever it is learned."""
    def doctor(evidence: Evidence) -> Evidence:
        holder = evidence.prediction if source == "agf" else evidence.training
        features = holder.trajectory.features.copy()
        features[:, 1] *= 1.12
        changed = replace(holder, trajectory=replace(holder.trajectory, features=features))  # type: ignore[type-var]
        return replace(evidence, **{"prediction" if source == "agf" else "training": changed})

    return doctor


def with_tilted_head(source: str) -> Doctor:
    """The query of the head with the largest norm is turned by 0.2 rad out of its mode."""
    def doctor(evidence: Evidence) -> Evidence:
        holder = evidence.prediction if source == "agf" else evidence.training
        assert isinstance(evidence.architecture, LinearAttention)
        vectors = evidence.architecture.data.eigenvectors
        final = holder.final.clone()
        head = int(final.norm(dim=1).argmax())
        first, second = vectors.T @ final[head, -2:]
        final[head, -2:] += 0.2 * vectors @ type(final)([-second, first]).to(final)
        changed = replace(holder, final=final)  # type: ignore[type-var]
        return replace(evidence, **{"prediction" if source == "agf" else "training": changed})

    return doctor


def too_early(source: str, which: int) -> Doctor:
    """The `which`-th acquisition a hundredth of its time after the plateau before it began."""
    def doctor(evidence: Evidence) -> Evidence:
        name = "predicted" if source == "agf" else "measured"
        acquired = evidence.acquisitions(source)
        start = acquired[which - 1].plateau_start if which else 0.0
        target = acquired[which]
        events = [replace(event, time=start + 0.01 * (event.time - start)) if event is target else event
                  for event in getattr(evidence, name)]
        return replace(evidence, **{name: events})

    return doctor


def late(evidence: Evidence) -> Evidence:
    """All modes of training learned at one and a half times their times."""
    events = [replace(event, time=1.5 * event.time) for event in evidence.measured]
    return replace(evidence, measured=events)


def unbalanced(evidence: Evidence) -> Evidence:
    """Values at the end 5% larger than the flow leaves them."""
    final = evidence.training.final.clone()
    final[:, 0] *= 1.05
    return replace(evidence, training=replace(evidence.training, final=final))


@pytest.mark.parametrize(("doctor", "claim", "source"), [
    (with_changed_features("agf"), "coefficient_2", "agf"),
    (with_changed_features("training"), "coefficient_2", "training"),
    (with_tilted_head("agf"), "diagonal_output", "agf"),
    (with_tilted_head("training"), "diagonal_output", "training"),
    (too_early("agf", 0), "incremental_bound_1", "agf"),
    (too_early("training", 0), "incremental_bound_1", "training"),
    (too_early("agf", 1), "incremental_bound_2", "agf"),
    (too_early("training", 1), "incremental_bound_2", "training"),
    (late, "closed_form_times", "training"),
    (unbalanced, "conserved_balance", "training"),
])
def test_contradicted(evidence: Evidence, doctor: Doctor, claim: str, source: str) -> None:
    failed = {key for key, found in claims_of(doctor(evidence)).items() if found.holds is False}
    assert (claim, source) in failed


def test_a_wrong_maximal_utility_is_noticed(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    right = linear_attention.maximal_utilities
    monkeypatch.setattr(linear_attention, "maximal_utilities", lambda data: 1.001 * right(data))
    assert claims_of(evidence)["maximal_utility", "theory"].holds is False


# ---- What a run leaves open is undecided; what does not apply is left out


def test_without_a_flow_nothing_is_conserved_or_dated(evidence: Evidence) -> None:
    claims = claims_of(replace(evidence, is_flow=False))
    assert not {key for key in claims if key[0] in ("conserved_balance", "closed_form_times")}


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
    assert set(found) == {(name, "training") for name in ("coefficient_2", "diagonal_output", "incremental_bound_2")}
    assert all("after 1 acquisition" in why for why in found.values())


def test_training_that_learned_nothing_leaves_its_times_open(evidence: Evidence) -> None:
    found = open_claims(replace(evidence, measured=[]))
    assert "training learned no mode" in found["closed_form_times", "training"]


def test_heads_of_higher_rank_and_ties_have_no_incremental_bounds() -> None:
    model = LinearAttentionConfig(width=2, head_dim=2)
    tied = evidence_from(model, InContextRegressionConfig(eigenvalues=[0.9, 0.9]))
    assert not {key for key in claims_of(tied) if key[0].startswith(("incremental", "closed_form"))}
    assert all(claim.holds is not False for claim in claims_of(tied).values())
