"""Claims of papers about dimensions: all hold, in a moment and without torch; wrong formulas make them fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agfrun import Contexts, decide
from agfrun.labs import neuromanifolds
from agfrun.labs.neuromanifolds import paper_claims as claims
from agfrun.study.claim import FAILS, HOLDS
from agfrun.study.paper_claim import PaperClaim, chosen_claims


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, PaperClaim]:
    monkeypatch.setattr(neuromanifolds, "PAPER_CLAIMS", ("paper_claims",), raising=False)
    return {claim.name: claim for claim in chosen_claims(["neuromanifolds"])}


def test_all_hold(known: dict[str, PaperClaim]) -> None:
    contexts = Contexts([0, 1, 2], "cpu")
    rows = [decide(claim, contexts) for claim in known.values()]
    assert len(rows) >= 3
    assert [row["claim"] for row in rows if row["verdict"] != HOLDS] == []
    assert {row["laboratory"] for row in rows} == {"neuromanifolds"}
    assert len(contexts.of(claims.USEVICH)._found) > 100  # networks that were measured, each once


@pytest.mark.parametrize(("name", "formula"), [
    ("shallow_networks_fill_but_for_four", "shallow_dimension"),
    ("full_dimension_from_the_threshold_on", "parameter_count"),
    ("quadratic_networks_turn_their_last_layer", "scaling_count")])
def test_a_wrong_formula_makes_a_claim_fail(name: str, formula: str, known: dict[str, PaperClaim],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(claims, formula)
    monkeypatch.setattr(claims, formula, lambda *arguments: right(*arguments) + 1)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_exceptions_and_the_threshold_matter(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Alexander and Hirschowitz's exceptions, and two degrees below the threshold, the formulas are wrong."""
    shallow, threshold = claims.shallow_dimension, claims.sufficient_degree
    exceptions = claims.ALEXANDER_HIRSCHOWITZ_EXCEPTIONS
    monkeypatch.setattr(claims, "shallow_dimension", lambda *shape: shallow(*shape) + (shape in exceptions))
    monkeypatch.setattr(claims, "sufficient_degree", lambda widths: threshold(widths) - 2)
    for name in ("shallow_networks_fill_but_for_four", "full_dimension_from_the_threshold_on"):
        assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_deciding_them_imports_no_torch() -> None:
    code = ("import sys\nfrom agfrun.labs import neuromanifolds\nneuromanifolds.PAPER_CLAIMS = ('paper_claims',)\n"
            "from agfrun import RunSettings, execute\nfrom agfrun.studies.claims import ClaimsConfig\n"
            "done = execute(RunSettings(ClaimsConfig(only=['neuromanifolds'])), progress=False)\n"
            "print(done.numbers['fails'], 'torch' in sys.modules, 'agfrun.labs.staircases' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Of another laboratory its first lines are read, which say where its claims are.
    assert done.stdout.split()[:2] == ["0", "False"]
