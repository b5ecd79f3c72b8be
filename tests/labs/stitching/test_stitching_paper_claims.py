"""Claims of papers about relative representations: exact ones hold, wrong transforms make them fail."""

from __future__ import annotations

import numpy as np
import pytest

from agfrun import Contexts, decide
from agfrun.labs.stitching.paper_claims import statements, trials
from agfrun.labs.stitching.transforms import TRANSFORMS, cosine
from agfrun.study.claim import FAILS, HOLDS
from agfrun.study.paper_claim import PaperClaim, chosen_claims

FAILING = {"a_foreign_head_costs_nothing", "relative_representations_beat_affine_maps"}


@pytest.fixture(scope="module")
def known() -> dict[str, PaperClaim]:
    return {claim.name: claim for claim in chosen_claims(["stitching"]) if claim.paper.laboratory == "stitching"}


def test_there_are_claims_and_sharper_ones_are_ours(known: dict[str, PaperClaim]) -> None:
    assert len(known) == 21
    for claim in known.values():
        if claim.sharper:
            assert (known[claim.sharper].standing, known[claim.sharper].paper) == ("ours", claim.paper)
            assert known[claim.sharper].subject == claim.subject


def test_exact_claims_hold(known: dict[str, PaperClaim]) -> None:
    exact = [claim for claim in known.values() if claim.subject == "representations"]
    exact.append(known["deaths_are_edges_of_a_spanning_tree"])
    assert len(exact) == 9
    contexts = Contexts([0, 1], "cpu")
    assert {claim.name for claim in exact if decide(claim, contexts)["verdict"] != HOLDS} == set()


@pytest.mark.parametrize(("name", "wrong"), [
    ("robust_is_invariant_to_scaled_permutations", {"robust": cosine}), ("robust_is_invariant_to_signs", {
        "robust": cosine}), ("robust_gives_up_rotations", {"robust": cosine}), ("cosines_change_with_scales", {
            "cosine": TRANSFORMS["robust"]}), ("cosines_are_invariant_to_rotations", {"cosine": TRANSFORMS["robust"]})])
def test_a_wrong_transform_makes_a_claim_fail(name: str, wrong: dict[str, object], known: dict[str, PaperClaim],
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "TRANSFORMS", TRANSFORMS | wrong)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_wrong_death_times_make_a_claim_fail(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    right = statements.h0_deaths
    monkeypatch.setattr(statements, "h0_deaths", lambda points: np.asarray(right(points)) * (1 + 1e-9))
    assert decide(known["deaths_are_edges_of_a_spanning_tree"], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.slow
def test_all_claims(known: dict[str, PaperClaim]) -> None:
    """Whether the robust transform leads on images depends on the seed: that claim may do either."""
    contexts = Contexts([0], "cpu")
    verdicts = {name: decide(claim, contexts)["verdict"] for name, claim in known.items()}
    failing = {name for name, verdict in verdicts.items() if verdict == FAILS}
    assert failing - {"robust_stitches_images_better_than_cosines"} == FAILING
    assert all(verdicts[known[name].sharper] == HOLDS for name in failing)
