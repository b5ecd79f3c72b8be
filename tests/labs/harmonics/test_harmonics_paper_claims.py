"""Claims of "Harmonics of Learning": they hold but for one, and fail where what they measure is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agfrun import Contexts, decide
from agfrun.groups import cyclic
from agfrun.labs.harmonics.network.layout import Slots
from agfrun.labs.harmonics.paper_claims import invariance
from agfrun.study.claim import FAILS, HOLDS, UNDECIDED
from agfrun.study.paper_claim import PaperClaim, chosen_claims

FAILING = "published_regulariser_is_least_at_irreps"


@pytest.fixture(scope="module")
def known() -> dict[str, PaperClaim]:
    return {claim.name: claim for claim in chosen_claims(["harmonics"]) if claim.paper.laboratory == "harmonics"}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three groups in place of twelve."""
    monkeypatch.setattr(invariance, "COMMUTATIVE", ("C5",))
    monkeypatch.setattr(invariance, "OTHERS", ("D3", "A4"))


def test_the_one_that_fails_has_a_sharper_one_beside_it(known: dict[str, PaperClaim]) -> None:
    assert len(known) == 14
    contexts = Contexts([0], "cpu")
    claim = known[FAILING]
    sharper = known[claim.sharper]
    assert (decide(claim, contexts)["verdict"], decide(sharper, contexts)["verdict"]) == (FAILS, HOLDS)
    assert (sharper.standing, sharper.paper, sharper.subject) == ("ours", claim.paper, claim.subject)


RIGHT: Callable[..., Any] = invariance.read_table


def transposed(found: Any) -> Any:
    return RIGHT(found).T


WRONG: dict[str, dict[str, Any]] = {
    "commutative_weights_are_characters": {"character_error": lambda *_: 0.01},
    "weights_are_irreps": {"orthogonality_error": lambda *_: 0.01},
    "tables_are_in_the_weights": {"read_table": transposed},
    "equal_characters_are_told_apart": {"read_table": lambda _: cyclic(8)},
    "published_regulariser_at_irreps": {"published_defect": lambda _: 0.3},
    "tables_survive_errors_below_the_radius": {"robust_radius": lambda _: 1.5},
    "the_radius_is_not_tight": {"robust_radius": lambda _: 0.02},
    "noise_leaves_the_table": {"read_table": transposed},
    "noise_hurts_where_samples_are_few": {"accuracy": lambda *_: 1.0},
    "success_depends_on_the_start": {"CERTIFICATE": 1e6},
    "wrong_dimensions_are_not_certified": {"LEAST_LOSS": 50.0},
    "moves_that_are_no_group_are_rejected": {"PermutationsConfig": lambda points: _Group()},
}


class _Group:
    """A group in place of random permutations."""

    moves = cyclic(6)

    def build(self) -> _Group:
        return self


@pytest.mark.parametrize("name", WRONG)
def test_what_is_measured_wrong_makes_a_claim_fail(name: str, known: dict[str, PaperClaim],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    for attribute, value in WRONG[name].items():
        monkeypatch.setattr(invariance, attribute, value)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_without_a_certificate_claims_are_undecided(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch
                                                    ) -> None:
    monkeypatch.setattr(Slots, "initial", lambda slots, restarts, _: np.tile(
        slots.identity_row, (restarts, slots.size, 1)) * (1 + 0j))
    finding = decide(known["weights_are_irreps"], Contexts([0], "cpu"))
    assert finding["verdict"] == UNDECIDED


@pytest.mark.slow
def test_all_claims(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    contexts = Contexts([0], "cpu")
    verdicts = {name: decide(claim, contexts)["verdict"] for name, claim in known.items()}
    assert {name for name, verdict in verdicts.items() if verdict != HOLDS} == {FAILING}
