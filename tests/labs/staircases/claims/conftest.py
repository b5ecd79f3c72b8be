from __future__ import annotations

import pytest

from agfrun import AgfConfig, InitConfig, Result, RunConfig, run
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.diagonal_linear.data import RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig


def evidence_of(result: Result) -> Evidence:
    return Evidence(
        architecture=result.problem.architecture, initial=result.problem.initial,
        log_init_scale=result.config.init.log_scale, threshold=result.config.agf.threshold,
        prediction=result.prediction,
        training=result.training, is_flow=True, theory=result.theory, predicted=result.events[result.prediction.source],
        measured=result.events["training"], comparison=result.main_rows)


@pytest.fixture(scope="session")
def modadd_evidence() -> Evidence:
    """A run from which every claim can be decided: two features, both paths complete."""
    return evidence_of(run(RunConfig(
        model=QuadraticModaddConfig(width=8),
        data=ModularAdditionConfig(p=4, frequencies=[1, 2], amplitudes=[4.0, 2.0]),
        agf=AgfConfig(loss_tolerance=1e-3, cost_tolerance=1e-3), seed=1, device="cpu")))


@pytest.fixture(scope="session")
def diagonal_evidence() -> Evidence:
    """The paper's two-dimensional example at scale 1e-4, predicted by the general engine."""
    return evidence_of(run(RunConfig(
        model=DiagonalLinearConfig(), data=RotatedRegressionConfig(), init=InitConfig("deterministic", 1e-4),
        agf=AgfConfig(method="generic", tolerance=1e-10, cost_tolerance=1e-8), device="cpu")))
