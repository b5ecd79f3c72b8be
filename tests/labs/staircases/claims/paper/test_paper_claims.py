"""The claims of the AGF paper: cheap ones are decided, failing ones point to ours, wrong code makes them fail."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from agfrun import AgfrunError, Claim, Contexts, Inconclusive, decide, paper_claims
from agfrun.labs.staircases.paper.claims import experiments, frequency_share, laboratory
from agfrun.labs.staircases.paper.claims.laboratory import AGF, Laboratory, claims_of, from_claims
from agfrun.study.claim import FAILS, HOLDS, UNDECIDED

CHEAP = ["utility_is_loss_decrease", "loss_gradient_is_utility_gradient", "utility_is_homogeneous",
         "origin_is_a_saddle", "diagonal_published_plateaus", "agf_times_tend_to_saddle_times",
         "neuron_moves_on_a_hyperbola", "linear_published_steps", "population_loss_is_of_moments",
         "attention_published_levels", "modadd_maximal_utility", "nyquist_maximal_utility", "utility_in_fourier_form",
         "six_neurons_solve_a_frequency", "order_is_by_utility", "relu_maximal_utility"]
FAILING = ["published_utility_at_nyquist", "one_level_per_frequency", "order_is_by_amplitude_alone"]


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    return Contexts([0], "cpu")


@pytest.fixture(scope="module")
def lab(contexts: Contexts) -> Laboratory:
    return contexts.of(AGF)


def test_there_are_enough_claims_on_every_network() -> None:
    claims = [claim for claim in paper_claims(["staircases"]).values() if claim.paper == AGF]
    assert len(claims) >= 30
    for network in AGF.subjects:
        assert sum(claim.subject == network for claim in claims) >= 5
    assert sum(bool(claim.sharper) for claim in claims) >= 5


@pytest.mark.parametrize("name", CHEAP)
def test_cheap_claims_hold(name: str, contexts: Contexts) -> None:
    row = decide(paper_claims()[name], contexts)
    assert row["verdict"] == HOLDS, row


@pytest.mark.parametrize("name", FAILING)
def test_claims_that_do_not_hold_fail_and_point_to_ours(name: str, contexts: Contexts) -> None:
    row = decide(paper_claims()[name], contexts)
    assert row["verdict"] == FAILS, row
    assert paper_claims()[row["sharper"]].standing == "ours"


def test_nyquist_is_off_by_the_root_of_two(contexts: Contexts) -> None:
    row = decide(paper_claims()["published_utility_at_nyquist"], contexts)
    assert row["measured"] / row["expected"] == pytest.approx(2**0.5, rel=1e-9)


def test_a_wrong_formula_makes_a_claim_fail(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    from agfrun.labs.staircases.paper.claims import quadratic_modadd

    monkeypatch.setattr(quadratic_modadd, "_published_utility", lambda p, amplitude: 1.001 * amplitude**3)
    assert decide(paper_claims()["modadd_maximal_utility"], contexts)["verdict"] == FAILS


def test_a_wrong_network_makes_a_claim_fail(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that are off by a part in a thousand are noticed."""
    from agfrun.labs.staircases.networks.two_layer.network import TwoLayer

    right = TwoLayer.utility_gradient
    monkeypatch.setattr(TwoLayer, "utility_gradient", lambda *arguments: 1.001 * right(*arguments))
    assert decide(paper_claims()["loss_gradient_is_utility_gradient"], contexts)["verdict"] == FAILS


def test_wrong_evidence_makes_a_claim_fail() -> None:
    """A run whose own claims fail, here on the level of a plateau."""
    row = Claim("loss_level_1", "training", "It rests there.", 1.0, 1.2, 0.01, False)
    good = dataclasses.replace(row, measured=1.001, holds=True)
    assert from_claims([good], "").verdict == HOLDS
    finding = from_claims([good, row], "")
    assert (finding.verdict, finding.measured) == (FAILS, 1.2)
    assert finding.deviation == pytest.approx(20.0)


@pytest.mark.parametrize("error", [AgfrunError("it diverged"), ValueError("no"), FloatingPointError("no")])
def test_a_claim_on_a_failing_run_is_undecided(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise error

    monkeypatch.setattr(laboratory, "run", fail)
    broken, claims = Contexts([0], "cpu"), paper_claims()
    for name in ("relu_order", "relu_levels"):
        row = decide(claims[name], broken)
        assert row["verdict"] == UNDECIDED
        assert str(error) in row["why"]
    assert len(calls) == 1  # it is not tried again
    assert decide(claims["utility_is_homogeneous"], broken)["verdict"] == HOLDS


def test_an_interruption_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(laboratory, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decide(paper_claims()["relu_order"], Contexts([0], "cpu"))


def test_runs_are_made_once_and_their_claims_found(lab: Laboratory) -> None:
    config = experiments.diagonal_two(1e-4)
    results = lab.results(config)
    assert lab.results(dataclasses.replace(config))[0] is results[0]
    assert len(Laboratory([0, 1], "cpu").results(config)) == 1  # no seed changes a deterministic initialization
    assert {claim.claim for claim in claims_of(results, "loss_level")} == {
        "loss_level_1", "loss_level_2"}
    with pytest.raises(Inconclusive, match="no run could decide nothing_of_the_kind"):
        claims_of(results, "nothing_of_the_kind")


def test_what_a_run_left_open_decides_no_claim_of_the_paper(lab: Laboratory) -> None:
    """AGF in closed form leaves the order of the saddles open: its own undecided claim is no evidence."""
    results = lab.results(experiments.diagonal_two(1e-4))
    left_open = [claim for claim in results[0].claims if claim.claim == "successive_saddles_order"]
    assert [claim.holds for claim in left_open] == [None]
    with pytest.raises(Inconclusive, match="no run could decide successive_saddles_order"):
        claims_of(results, "successive_saddles_order")


def test_shares_of_few_neurons() -> None:
    found = [frequency_share.smallest_share(neurons) for neurons in (1, 2, 4)]
    assert found == pytest.approx([8 / 9, 5 / 9, 1 / 6], abs=1e-3)


def test_five_neurons_of_six_do_not_solve_a_frequency(lab: Laboratory) -> None:
    architecture: Any = lab.architecture(experiments.one_frequency(20, 1, 10.0, 6))
    neurons = frequency_share.six_neurons(architecture.data)
    five = torch.cat([neurons[:5], torch.zeros_like(neurons[5:])])
    assert float(architecture.loss(architecture.residual(five))) > 0.01 * float(architecture.data.energies[0])
