"""Claims of diagonal networks beyond the paper's two layers: good runs confirm them, doctored ones do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from claims_runs import evidence_of
from torch import Tensor

from agfrun import AgfConfig, Claim, InitConfig, RunConfig, run
from agfrun.labs.staircases.claims import diagonal_linear
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.diagonal_linear.data import (
    RandomRegressionConfig,
    Regression,
    SparseRegressionConfig,
)
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear, DiagonalLinearConfig


def claims_of(evidence: Evidence) -> dict[str, Claim]:
    return {claim.claim: claim for check in diagonal_linear.CLAIMS for claim in check(evidence)}


@pytest.fixture(scope="module")
def deep() -> Evidence:
    """Three layers, every neuron with its own threshold, predicted by the general engine."""
    return evidence_of(run(RunConfig(
        model=DiagonalLinearConfig(depth=3), data=RandomRegressionConfig(), init=InitConfig("gaussian", 1e-3),
        agf=AgfConfig(method="generic", cost_tolerance=1e-8), device="cpu")))


@pytest.fixture(scope="module")
def unsigned() -> Evidence:
    return evidence_of(run(RunConfig(
        model=DiagonalLinearConfig(signed=False), data=SparseRegressionConfig(dimension=6, samples=9, noise=0.0),
        init=InitConfig("deterministic", 1e-6), device="cpu")))


def test_deep_run_confirms_every_claim(deep: Evidence) -> None:
    found = claims_of(deep)
    assert [name for name, claim in found.items() if not claim.holds] == []
    assert {"successive_saddles_order", "rescaled_time_5", "conserved_difference", "maximal_utility",
            "lasso_times"} <= set(found)
    # Thresholds differ between neurons, so that the order need not be the Lasso's.
    assert "lasso_order" not in found


def test_unsigned_run_confirms_every_claim(unsigned: Evidence) -> None:
    found = claims_of(unsigned)
    assert [name for name, claim in found.items() if not claim.holds] == ["successive_saddles_order"]
    assert found["successive_saddles_order"].holds is None  # predicted in closed form
    assert {"lasso_times", "lasso_order"} <= set(found)
    assert not {"conserved_difference", "maximal_utility"} & set(found)  # one parameter a neuron


class Steeper(DiagonalLinear):
    def utility_gradient(self, neurons: Tensor, residual: Any, index: Tensor | None = None) -> Tensor:
        return 1.001 * super().utility_gradient(neurons, residual, index)


class Shifted(DiagonalLinear):
    def data_arrays(self) -> dict[str, Tensor]:
        arrays = super().data_arrays()
        return {**arrays, "lasso/lambda": 1.001 * arrays["lasso/lambda"]}


def rebuilt(kind: type[DiagonalLinear]) -> Callable[[Evidence], Evidence]:
    def doctor(evidence: Evidence) -> Evidence:
        architecture = evidence.architecture
        assert isinstance(architecture, DiagonalLinear)
        return replace(evidence, architecture=kind(architecture.data, architecture.depth, architecture.signed))

    return doctor


def late_round(evidence: Evidence) -> Evidence:
    rounds = list(evidence.prediction.rounds)
    rounds[2] = replace(rounds[2], time=1.01 * rounds[2].time)
    return replace(evidence, prediction=replace(evidence.prediction, rounds=tuple(rounds)))


def uneven_growth(evidence: Evidence) -> Evidence:
    final = evidence.training.final * torch.tensor([1.0, 1.0, 1.01])
    return replace(evidence, training=replace(evidence.training, final=final))


@pytest.mark.parametrize(("claim", "doctor"), [
    ("rescaled_time_3", late_round), ("conserved_difference", uneven_growth),
    ("maximal_utility", rebuilt(Steeper)), ("lasso_times", rebuilt(Shifted)),
])
def test_deep_claim_fails_on_contradicting_evidence(
    deep: Evidence, claim: str, doctor: Callable[[Evidence], Evidence],
) -> None:
    assert claims_of(deep)[claim].holds
    assert claims_of(doctor(deep))[claim].holds is False


def test_decoupled_cost_phases_are_not_what_the_theorem_is_about(deep: Evidence) -> None:
    decoupled = replace(deep, prediction=replace(deep.prediction, cost_phase="decoupled"))
    assert diagonal_linear.agf_is_successive_saddles(decoupled) == []


def test_swapped_selections_are_not_the_lasso_s(unsigned: Evidence) -> None:
    activations = [event for event in unsigned.predicted if event.kind == "activation"]
    assert len(activations) >= 2
    first, second = activations[:2]
    swapped = [replace(first, feature=second.feature), replace(second, feature=first.feature), *activations[2:]]
    assert claims_of(replace(unsigned, predicted=swapped))["lasso_order"].holds is False


def test_an_order_that_agf_did_not_get_to_is_undecided(unsigned: Evidence) -> None:
    activations = [event for event in unsigned.predicted if event.kind == "activation"]
    stopped = claims_of(replace(unsigned, predicted=activations[:1]))["lasso_order"]
    assert stopped.holds is None
    assert "the Lasso selects" in stopped.why


def test_nothing_to_select_decides_nothing_about_the_lasso(unsigned: Evidence) -> None:
    silent = Regression(torch.eye(6), torch.zeros(6))
    for check, network in ((diagonal_linear.lasso_selection, DiagonalLinear(silent, 2, False)),
                           (diagonal_linear.maximal_utility, DiagonalLinear(silent))):
        assert [claim.holds for claim in check(replace(unsigned, architecture=network))] == [None]


def test_what_the_paper_says_of_two_layers_is_ours_of_three(deep: Evidence) -> None:
    found = claims_of(deep)
    for name in ("successive_saddles_order", "maximal_utility", "conserved_difference"):
        assert (found[name].stated, found[name].standing) == ("agfrun", "ours")


@pytest.mark.parametrize(("depth", "scale", "expected"), [
    (2, 1e-4, 0.108574), (2, 0.9, 1.0), (3, 1e-3, 1e-3), (4, 1e-2, 1e-4)])
def test_what_vanishes_with_the_scale(depth: int, scale: float, expected: float) -> None:
    assert diagonal_linear.vanishing_parameter(math.log(scale), depth) == pytest.approx(expected, rel=1e-5)


def test_a_scale_below_every_float_still_vanishes() -> None:
    assert 0 < diagonal_linear.vanishing_parameter(-400 * math.log(10), 2) < 2e-3
