"""Claims about learned reduction: exact ones hold, wrong numbers make them fail, failing ones have sharper ones."""

from __future__ import annotations

import numpy as np
import pytest

from agfrun import Contexts, decide
from agfrun.labs.lattices.paper_claims import statements
from agfrun.study.claim import FAILS, HOLDS
from agfrun.study.paper_claim import PaperClaim, chosen_claims


@pytest.fixture(scope="module")
def known() -> dict[str, PaperClaim]:
    return {claim.name: claim for claim in chosen_claims(["lattices"]) if claim.paper.laboratory == "lattices"}


def test_sharper_claims_are_ours(known: dict[str, PaperClaim]) -> None:
    assert len(known) == 12
    for claim in known.values():
        if claim.sharper:
            other = known[claim.sharper]
            assert (other.standing, other.paper, other.subject) == ("ours", claim.paper, claim.subject)


def test_exact_claims_hold(known: dict[str, PaperClaim]) -> None:
    contexts = Contexts([0], "cpu")
    for name in ("moves_make_unimodular_matrices", "moves_are_equivariant", "four_dimensions_have_bases_of_minima"):
        assert decide(known[name], contexts)["verdict"] == HOLDS, name


def test_wrong_numbers_make_claims_fail(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    right = statements.move_logits
    monkeypatch.setattr(statements, "move_logits",
                        lambda bases, *rest: right(bases, *rest) + 1e-8 * np.sign(bases[:, :1, 0]))
    monkeypatch.setattr(statements, "certified", lambda batch: ([True], [False]))
    contexts = Contexts([0], "cpu")
    for name in ("moves_make_unimodular_matrices", "moves_are_equivariant"):
        assert decide(known[name], contexts)["verdict"] == FAILS, name


@pytest.mark.slow
def test_all_claims(known: dict[str, PaperClaim]) -> None:
    contexts = Contexts([0], "cpu")
    verdicts = {name: decide(claim, contexts)["verdict"] for name, claim in known.items()}
    assert {name for name, verdict in verdicts.items() if verdict == FAILS} == {"learned_reduction_is_as_cheap_as_lll"}
    assert "undecided" not in verdicts.values()
