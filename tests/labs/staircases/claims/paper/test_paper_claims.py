"""The register of the paper's claims, and that claims can hold, fail and be left undecided."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agfrun import AgfrunError, ConfigError
from agfrun.labs.staircases.paper.claims import frequency_share, laboratory, paper_claim
from agfrun.labs.staircases.paper.claims.laboratory import Laboratory, from_rows, rows_of
from agfrun.labs.staircases.paper.claims.paper_claim import (
    FAILS,
    HOLDS,
    NETWORKS,
    OURS,
    STANDINGS,
    UNDECIDED,
    Finding,
    Inconclusive,
    PaperClaim,
    agreement,
    as_claims,
    bounded_below,
    chosen_claims,
    decide,
    paper_claims,
    small,
)
from agfrun.labs.staircases.paper.claims.text import claims_text

CHEAP = ["utility_is_loss_decrease", "loss_gradient_is_utility_gradient", "utility_is_homogeneous",
         "origin_is_a_saddle", "diagonal_published_plateaus", "agf_times_tend_to_saddle_times",
         "neuron_moves_on_a_hyperbola", "linear_published_steps", "population_loss_is_of_moments",
         "attention_published_levels", "modadd_maximal_utility", "nyquist_maximal_utility", "utility_in_fourier_form",
         "six_neurons_solve_a_frequency", "order_is_by_utility", "relu_maximal_utility"]
FAILING = ["published_utility_at_nyquist", "one_level_per_frequency", "order_is_by_amplitude_alone"]


@pytest.fixture(scope="module")
def lab() -> Laboratory:
    return Laboratory([0], "cpu")


@pytest.mark.parametrize("claim", paper_claims().values(), ids=lambda claim: claim.name)
def test_every_claim_says_what_it_is(claim: PaperClaim) -> None:
    assert len(claim.statement.split()) >= 8
    assert claim.statement.endswith(".") or claim.statement.endswith(")")
    assert claim.stated
    assert claim.standing in STANDINGS
    assert claim.standing != "ours" or claim.stated == OURS


def test_there_are_enough_claims_on_every_network() -> None:
    claims = list(paper_claims().values())
    assert len(claims) >= 30
    for network in NETWORKS:
        assert sum(claim.network == network for claim in claims) >= 5
    assert [NETWORKS.index(claim.network) for claim in claims] == sorted(
        NETWORKS.index(claim.network) for claim in claims)


def test_a_sharper_statement_is_ours_and_of_the_same_network() -> None:
    known = paper_claims()
    beside = [(claim, known[claim.sharper]) for claim in known.values() if claim.sharper]
    assert len(beside) >= 5
    for claim, sharper in beside:
        assert (sharper.standing, sharper.network, sharper.sharper) == ("ours", claim.network, "")


@pytest.mark.parametrize("name", CHEAP)
def test_cheap_claims_hold(name: str, lab: Laboratory) -> None:
    row = decide(paper_claims()[name], lab)
    assert row["verdict"] == HOLDS, row


@pytest.mark.parametrize("name", FAILING)
def test_claims_that_do_not_hold_fail_and_point_to_ours(name: str, lab: Laboratory) -> None:
    row = decide(paper_claims()[name], lab)
    assert row["verdict"] == FAILS, row
    assert paper_claims()[row["sharper"]].standing == "ours"


def test_nyquist_is_off_by_the_root_of_two(lab: Laboratory) -> None:
    row = decide(paper_claims()["published_utility_at_nyquist"], lab)
    assert row["measured"] / row["expected"] == pytest.approx(2**0.5, rel=1e-9)


def test_a_wrong_formula_makes_a_claim_fail(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    from agfrun.labs.staircases.paper.claims import quadratic_modadd

    monkeypatch.setattr(quadratic_modadd, "_published_utility", lambda p, amplitude: 1.001 * amplitude**3)
    assert decide(paper_claims()["modadd_maximal_utility"], lab)["verdict"] == FAILS


def test_a_wrong_network_makes_a_claim_fail(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that are off by a part in a thousand are noticed."""
    from agfrun.labs.staircases.networks.two_layer.network import TwoLayer

    right = TwoLayer.utility_gradient
    monkeypatch.setattr(TwoLayer, "utility_gradient", lambda *arguments: 1.001 * right(*arguments))
    assert decide(paper_claims()["loss_gradient_is_utility_gradient"], lab)["verdict"] == FAILS


def test_wrong_evidence_makes_a_claim_fail(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose own claims fail, here on the level of a plateau."""
    row = {"claim": "loss_level_1", "source": "training", "expected": 1.0, "measured": 1.2, "tolerance": 0.01,
           "holds": False}
    good = {**row, "measured": 1.001, "holds": True}
    assert from_rows([good], "").verdict == HOLDS
    finding = from_rows([good, row], "")
    assert (finding.verdict, finding.measured) == (FAILS, 1.2)
    assert finding.deviation == pytest.approx(20.0)


@pytest.mark.parametrize("error", [AgfrunError("it diverged"), ValueError("no"), FloatingPointError("no")])
def test_a_claim_on_a_failing_run_is_undecided(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise error

    monkeypatch.setattr(laboratory, "run", fail)
    broken, claims = Laboratory([0], "cpu"), paper_claims()
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
        decide(paper_claims()["relu_order"], Laboratory([0], "cpu"))


def test_runs_are_made_once_and_their_rows_found(lab: Laboratory) -> None:
    from agfrun.labs.staircases.paper.claims import experiments

    config = experiments.diagonal_two(1e-4)
    results = lab.results(config)
    assert lab.results(dataclasses.replace(config))[0] is results[0]
    assert len(Laboratory([0, 1], "cpu").results(config)) == 1  # no seed changes a deterministic initialization
    assert {row["claim"] for row in rows_of(results, "loss_level")} == {"loss_level_1", "loss_level_2", "loss_level_3"}
    with pytest.raises(Inconclusive, match="no run could decide nothing_of_the_kind"):
        rows_of(results, "nothing_of_the_kind")


def test_what_is_not_a_number_is_undecided() -> None:
    for finding in (small(float("nan"), 1.0, ""), bounded_below(float("nan"), ""), agreement(1.0, float("nan"), 1, "")):
        assert finding.verdict == UNDECIDED


@given(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-3), st.floats(-10, 10), st.floats(1e-9, 1.0))
def test_agreement_is_relative(expected: float, error: float, tolerance: float) -> None:
    finding = agreement(expected, expected * (1 + error * tolerance), tolerance, "")
    if abs(abs(error) - 1) > 1e-3:
        assert finding.verdict == (HOLDS if abs(error) < 1 else FAILS)


def test_undecided_claims_are_no_rows_of_claims_csv(lab: Laboratory) -> None:
    def row(verdict: str) -> dict[str, Any]:
        claim = PaperClaim("c", "relu", "section", "bound", "It is so.", lambda _: Finding(1, 2, 3, "w", verdict))
        return decide(claim, lab)

    assert [claim.holds for claim in as_claims([row(HOLDS), row(FAILS), row(UNDECIDED)])] == [True, False]


def test_choosing_claims() -> None:
    assert chosen_claims(None) == list(paper_claims().values())
    assert {claim.network for claim in chosen_claims(["relu"])} == {"relu"}
    names = [claim.name for claim in chosen_claims(["published_utility_at_nyquist"])]
    assert names == ["published_utility_at_nyquist", "nyquist_maximal_utility"]
    with pytest.raises(ConfigError, match=r"study\.only=comuting_times .* did you mean commuting_times\?"):
        chosen_claims(["comuting_times"])
    with pytest.raises(ConfigError, match="agfrun claims lists all claims"):
        chosen_claims(["xyzzy"])


def _without_docstring(laboratory: Laboratory) -> Finding:
    raise NotImplementedError


def _stated(laboratory: Laboratory) -> Finding:
    """It is so."""
    raise NotImplementedError


@pytest.mark.parametrize(("function", "network", "standing", "message"), [
    (_without_docstring, "relu", "bound", "no docstring"), (_stated, "perceptron", "bound", "perceptron"),
    (_stated, "relu", "rumour", "rumour")])
def test_a_claim_must_say_what_it_is(function: Callable[[Laboratory], Finding], network: str, standing: str,
                                     message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paper_claim.paper_claim(network, "section 1", standing)(function)


def test_a_failing_claim_is_followed_by_the_sharper_one(lab: Laboratory) -> None:
    rows = [decide(claim, lab) for claim in chosen_claims(["published_utility_at_nyquist", "utility_is_homogeneous"])]
    lines = claims_text(pd.DataFrame(rows)).splitlines()
    failing = next(place for place, line in enumerate(lines) if line.startswith("fails"))
    assert "sharper: nyquist_maximal_utility" in lines[failing + 1]
    assert lines[failing + 1].startswith("holds")
    assert lines[-1].endswith("2 hold, 1 fail, 0 undecided")


def test_shares_of_few_neurons() -> None:
    found = [frequency_share.smallest_share(neurons) for neurons in (1, 2, 4)]
    assert found == pytest.approx([8 / 9, 5 / 9, 1 / 6], abs=1e-3)


def test_five_neurons_of_six_do_not_solve_a_frequency(lab: Laboratory) -> None:
    from agfrun.labs.staircases.paper.claims import experiments

    architecture: Any = lab.architecture(experiments.one_frequency(20, 1, 10.0, 6))
    neurons = frequency_share.six_neurons(architecture.data)
    five = torch.cat([neurons[:5], torch.zeros_like(neurons[5:])])
    assert float(architecture.loss(architecture.residual(five))) > 0.01 * float(architecture.data.energies[0])
