"""Claims about hyperbolic graphs and the score: exact ones hold, wrong graphs make them fail."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from independent_graphs import by_poincare_ball, cloud, edges_of

from agfrun import Contexts, decide
from agfrun.labs.hyperbolic import Graph, delaunay, points_of
from agfrun.labs.hyperbolic.paper_claims import statements
from agfrun.labs.hyperbolic.paper_claims.constructions import by_poincare_balls, by_power_diagram
from agfrun.study.claim import FAILS, HOLDS
from agfrun.study.paper_claim import PaperClaim, chosen_claims

FAILING = {"rescaling_coordinates_is_harmless", "scores_grow_with_noise"}


@pytest.fixture(scope="module")
def known() -> dict[str, PaperClaim]:
    return {claim.name: claim for claim in chosen_claims(["hyperbolic"])}


def test_there_are_claims_and_sharper_ones_are_ours(known: dict[str, PaperClaim]) -> None:
    assert len(known) == 14
    for claim in known.values():
        if claim.sharper:
            sharper = known[claim.sharper]
            assert (sharper.standing, sharper.paper, sharper.subject) == ("ours", claim.paper, claim.subject)


def test_claims_without_training_are_decided(known: dict[str, PaperClaim]) -> None:
    contexts = Contexts([0], "cpu")
    verdicts = {name: decide(claim, contexts)["verdict"] for name, claim in known.items()
                if claim.subject != "autoencoders"}
    assert len(verdicts) == 10
    assert {name for name, verdict in verdicts.items() if verdict != HOLDS} == {"rescaling_coordinates_is_harmless"}


@pytest.mark.parametrize("name", ["constructions_give_one_graph", "graphs_are_invariant_to_isometries"])
def test_a_missing_edge_makes_a_claim_fail(name: str, known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch
                                           ) -> None:
    asked: list[int] = []

    def one_edge_less(points: Any) -> Graph:
        asked.append(1)
        graph = delaunay(points)
        return dataclasses.replace(graph, edges=graph.edges[1:]) if len(asked) == 1 else graph

    monkeypatch.setattr(statements, "delaunay", one_edge_less)
    assert decide(known[name], Contexts([0], "cpu"))["verdict"] == FAILS


def test_a_wrong_null_makes_a_claim_fail(known: dict[str, PaperClaim], monkeypatch: pytest.MonkeyPatch) -> None:
    right = statements.null_moments
    monkeypatch.setattr(statements, "null_moments", lambda *given: tuple(x + 1e-9 for x in right(*given)))
    assert decide(known["the_null_mean_is_exact"], Contexts([0], "cpu"))["verdict"] == FAILS


@pytest.mark.parametrize("seed", range(4))
def test_constructions_of_claims_are_those_of_tests(seed: int) -> None:
    p = cloud(np.random.default_rng(seed), 60, 2, 0.5 + seed)
    points = points_of(p, "poincare")
    assert by_power_diagram(points) == by_poincare_balls(points) == by_poincare_ball(p) == edges_of(
        delaunay(points).edges)


@pytest.mark.slow
def test_all_claims_at_three_seeds(known: dict[str, PaperClaim]) -> None:
    """Among them that the score follows training: rank correlation at most -0.7 at each."""
    contexts = Contexts([0, 1, 2], "cpu")
    verdicts = {name: decide(claim, contexts)["verdict"] for name, claim in known.items()}
    assert {name for name, verdict in verdicts.items() if verdict != HOLDS} == FAILING
    assert all(verdicts[name] == FAILS for name in FAILING)
