"""Claims of papers: which hold and which fail as stated, without torch; wrong integers make them fail."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from agfrun import Contexts, decide
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.descent import Descent
from agfrun.labs.neuromanifolds.paper_claims import attention, exact, landscapes, monomial
from agfrun.study.claim import FAILS, HOLDS, UNDECIDED
from agfrun.study.paper_claim import PaperClaim, chosen_claims

FAILING = {"sufficient_degree_is_sharp", "half_dead_neurons_are_exposed", "formula_for_wide_middle_layers",
           "float_ranks_of_softmax"}


@pytest.fixture(scope="module")
def known() -> dict[str, PaperClaim]:
    return {claim.name: claim for claim in chosen_claims(["neuromanifolds"])}


@pytest.fixture(scope="module")
def decided(known: dict[str, PaperClaim]) -> tuple[Contexts, list[dict[str, Any]]]:
    contexts = Contexts([0], "cpu")
    return contexts, [decide(claim, contexts) for claim in known.values()]


def test_all_hold_but_those_that_are_wrong_as_stated(known: dict[str, PaperClaim], decided: tuple[Contexts, list[
        dict[str, Any]]]) -> None:
    contexts, rows = decided
    assert len(rows) >= 50
    assert {row["claim"] for row in rows if row["verdict"] != HOLDS} == FAILING
    assert {row["verdict"] for row in rows} == {HOLDS, FAILS}
    assert {row["laboratory"] for row in rows} == {"neuromanifolds"}
    assert len(contexts.of(exact.RAZOR)._dimensions) > 150  # networks that were measured, each once


def test_a_sharper_statement_that_holds_stands_beside_each_that_fails(known: dict[str, PaperClaim], decided: tuple[
        Contexts, list[dict[str, Any]]]) -> None:
    verdicts = {row["claim"]: row["verdict"] for row in decided[1]}
    for name in FAILING:
        assert verdicts[known[name].sharper] == HOLDS


@pytest.mark.parametrize(("name", "module", "formula"), [
    ("shallow_networks_fill_but_for_four", monomial, "shallow_dimension"),
    ("full_dimension_from_the_threshold_on", monomial, "parameter_count"),
    ("quadratic_networks_turn_their_last_layer", monomial, "scaling_count"),
    ("one_attention_layer", attention, "bottleneck_formula")])
def test_a_wrong_formula_makes_a_claim_fail(name: str, module: Any, formula: str, known: dict[str, PaperClaim],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(module, formula)
    monkeypatch.setattr(module, formula, lambda *arguments: right(*arguments) + 1)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_exceptions_and_the_threshold_matter(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Alexander and Hirschowitz's exceptions, and two degrees below the threshold, the formulas are wrong."""
    shallow, threshold = monomial.shallow_dimension, monomial.sufficient_degree
    exceptions = monomial.ALEXANDER_HIRSCHOWITZ_EXCEPTIONS
    monkeypatch.setattr(monomial, "shallow_dimension", lambda *shape: shallow(*shape) + (shape in exceptions))
    monkeypatch.setattr(monomial, "sufficient_degree", lambda widths: threshold(widths) - 2)
    for name in ("shallow_networks_fill_but_for_four", "full_dimension_from_the_threshold_on"):
        assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.parametrize(("name", "wrong"), [
    ("strict_subnetworks_are_exposed", {"exposed_dimension": 0}), ("padded_filters_are_not_exposed", {"span": 0,
                                                                    "exposed_dimension": 0}),
    ("subnetworks_are_singular", {"union_rank": 1}), ("strata_are_smaller_networks", {"rank": 1}),
    ("lower_rank_is_singular", {"union_rank": 1}), ("nodes_are_crossings_of_smooth_branches", {"rank": 1})])
def test_wrong_integers_of_strata_make_claims_fail(name: str, wrong: dict[str, int], known: dict[str, PaperClaim],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    right = exact.measure_strata
    monkeypatch.setattr(exact, "measure_strata", lambda *arguments: [
        (stratum, dataclasses.replace(ranks, **wrong)) for stratum, ranks in right(*arguments)])
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.parametrize("name", ["filters_are_determined_up_to_scales", "symmetries_of_attention",
                                  "gradient_flow_conserves_symmetric_generators"])
def test_a_symmetry_that_changes_the_function_makes_a_claim_fail(name: str, known: dict[str, PaperClaim],
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    right = exact.generic_fibre

    def broken(*arguments: Any) -> Any:
        found = right(*arguments)
        return dataclasses.replace(
            found, symmetries=tuple(dataclasses.replace(one, unchanged=False) for one in found.symmetries),
            conserved=tuple(dataclasses.replace(one, exact=False) for one in found.conserved))

    monkeypatch.setattr(exact, "generic_fibre", broken)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.parametrize("name", [
    "convolutions_have_the_degree_of_segre_veronese", "strides_do_not_change_the_count",
    "as_many_samples_as_dimensions", "special_inner_products_have_fewer", "generic_losses_of_linear_networks",
    "generic_losses_of_one_neuron", "generic_losses_of_quadratic_forms"])
def test_wrong_counts_make_claims_fail(
        name: str, known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    right = counting.solutions
    monkeypatch.setattr(counting, "solutions", lambda *arguments: (right(*arguments) or 0) + 60)
    monkeypatch.setattr(landscapes.counting.Equations, "points_of_one_function", lambda *_: 1)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.parametrize(("name", "wrong"), [
    ("only_zero_is_spurious_in_convolutions", {"pure": False}),
    ("indices_add_up_to_an_euler_characteristic", {"index": 1}),
    ("real_points_have_the_parity_of_complex_ones", {"at_zero": True}),
    ("squared_errors_of_linear_networks_have_only_real_points", {"index": 0})])
def test_wrong_real_points_make_claims_fail(name: str, wrong: dict[str, Any], known: dict[str, PaperClaim],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    right = landscapes.real_points
    monkeypatch.setattr(landscapes, "DATA_SETS", 1)
    monkeypatch.setattr(landscapes, "real_points", lambda *arguments: [
        dataclasses.replace(one, **wrong) for one in right(*arguments) or []])
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_flow_that_only_ends_at_the_best_or_never_there_makes_a_claim_fail(known: dict[str, PaperClaim],
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    name = "flow_ends_at_spurious_minima_with_positive_probability"
    for ended in (Descent(0.0, 0.0, "point", 0), Descent(1e9, 0.0, "subnetwork", None)):
        monkeypatch.setattr(landscapes.Flow, "descended", lambda *_, end=ended: end)
        assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_without_a_solver_counts_are_undecided_and_say_why(known: dict[str, PaperClaim],
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landscapes, "executable", lambda: None)
    for name in ("generic_losses_of_attention", "only_zero_is_spurious_in_convolutions"):
        row = decide(known[name], Contexts([0], "cpu"))
        assert row["verdict"] == UNDECIDED
        assert "pip install 'agfrun[algebra]'" in row["why"]


def test_deciding_them_imports_no_torch() -> None:
    code = ("import sys\n"
            "from agfrun import RunSettings, execute\nfrom agfrun.studies.claims import ClaimsConfig\n"
            "done = execute(RunSettings(ClaimsConfig(only=['monomial_mlp'])), progress=False)\n"
            "print(done.numbers['fails'], 'torch' in sys.modules, 'agfrun.labs.staircases' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Of another laboratory its first lines are read, which say where its claims are.
    assert done.stdout.split()[:2] == ["0", "False"]
