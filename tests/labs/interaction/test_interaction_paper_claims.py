"""Claims about representations from interaction: exact ones hold, wrong worlds and codes make them fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agfrun import Contexts, decide
from agfrun.labs.interaction import Transitions
from agfrun.labs.interaction.names import OURS
from agfrun.labs.interaction.paper_claims.trials import Trials
from agfrun.labs.interaction.worlds.sprites import Sprites
from agfrun.study.claim import FAILS, HOLDS
from agfrun.study.paper_claim import PaperClaim, chosen_claims

FAILING = {"random_paths_are_free"}
GOOD = {"agent_r2": 1.0, "object_r2": 0.9, "isometry_error": 0.01, "contact_accuracy": 0.98}
WORSE = {"otsu": {"contact_accuracy": 0.85, "isometry_error": 0.03}, "no_plus": {"object_r2": 0.0},
         "no_contrast": {"object_r2": 0.1, "contact_accuracy": 0.5}, "vae": {"isometry_error": 0.2},
         "keypoints": {"isometry_error": 0.2}}


@pytest.fixture(scope="module")
def known() -> dict[str, PaperClaim]:
    return {claim.name: claim for claim in chosen_claims(["interaction"]) if claim.paper.laboratory == "interaction"}


def test_there_are_claims_and_sharper_ones_are_ours(known: dict[str, PaperClaim]) -> None:
    assert len(known) == 15
    for claim in known.values():
        if claim.sharper:
            assert (known[claim.sharper].standing, known[claim.sharper].paper) == ("ours", claim.paper)
            assert known[claim.sharper].subject == claim.subject


def test_exact_claims_are_decided_as_they_should(known: dict[str, PaperClaim]) -> None:
    exact = [claim for claim in known.values() if claim.subject in ("codes", "worlds")]
    assert len(exact) == 5
    contexts = Contexts([0, 1], "cpu")
    verdicts = {claim.name: decide(claim, contexts)["verdict"] for claim in exact}
    assert {name for name, verdict in verdicts.items() if verdict == FAILS} == FAILING
    assert set(verdicts.values()) == {HOLDS, FAILS}


def test_objects_that_stay_where_they_are_touched_make_a_claim_fail(known: dict[str, PaperClaim],
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    right = Sprites.transitions

    def published(self: Sprites, count: int, generator: torch.Generator) -> Transitions:
        seen = right(self, count, generator)
        assert seen.states is not None
        assert seen.later is not None
        return replace(seen, later=torch.cat([seen.later[:, :2], seen.states[:, 2:]], dim=1))

    monkeypatch.setattr(Sprites, "transitions", published)
    assert decide(known["every_transition_is_what_it_says"], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.parametrize(("name", "key", "column", "value"), [
    ("agents_are_found", OURS, "agent_r2", 0.98), ("objects_are_found", OURS, "object_r2", 0.7),
    ("representations_are_isometric", OURS, "isometry_error", 0.05),
    ("otsu_tells_contacts", "otsu", "contact_accuracy", 0.7),
    ("a_mixture_tells_contacts_better", "otsu", "isometry_error", 0.005),
    ("contacts_place_the_object", "no_plus", "object_r2", 0.5),
    ("contrast_tells_contacts", "no_contrast", "object_r2", 0.8),
    ("autoencoders_are_beaten", "vae", "isometry_error", 0.005),
    ("keypoints_are_beaten", "keypoints", "isometry_error", 0.005),
    ("keypoints_are_beaten_in_perspective", "keypoints", "isometry_error", 0.005)])
def test_numbers_decide_claims(name: str, key: str, column: str, value: float, known: dict[str, PaperClaim],
                               monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, dict[str, float]] = {OURS: GOOD, **WORSE}

    def end(self: Trials, method: str, split: str, view: str, seed: int) -> dict[str, Any]:
        return found["otsu" if split == "otsu" else method]

    monkeypatch.setattr(Trials, "_end", end)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == HOLDS
    found[key] = {**found[key], column: value}
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS
