"""One small run of each kind of network, from which every claim about it can be decided, and its evidence.

The features are far apart in time and the scales small, so that the claims hold whatever neurons a seed draws.
"""

from __future__ import annotations

from functools import cache

from agfrun import AgfConfig, GradientFlowConfig, InitConfig, Result, RunConfig, run
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.diagonal_linear.data import (
    RotatedRegressionConfig,
)
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.fully_connected_linear.data import CommutingLinearMapConfig
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinearConfig
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegressionConfig
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttentionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig
from agfrun.labs.staircases.networks.two_layer.network import MonomialConfig, ReluConfig
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig

EXACT = {"tolerance": 1e-10, "cost_tolerance": 1e-8}
RUNS: dict[str, RunConfig] = {
    # The paper's two coefficients, one of which collapses and comes back, by the general engine.
    "diagonal": RunConfig(
        model=DiagonalLinearConfig(), data=RotatedRegressionConfig(), init=InitConfig("deterministic", 1e-6),
        agf=AgfConfig(method="generic", **EXACT), device="cpu"),
    "linear": RunConfig(
        model=FullyConnectedLinearConfig(width=6),
        data=CommutingLinearMapConfig(input_dimension=4, output_dimension=3, data_seed=2),
        init=InitConfig("gaussian", 1e-8), train=GradientFlowConfig(convergence=1e-8),
        agf=AgfConfig(method="generic", loss_tolerance=1e-5, cost_tolerance=1e-9, tolerance=1e-10), device="cpu"),
    "attention": RunConfig(
        model=LinearAttentionConfig(width=6), data=InContextRegressionConfig(dimension=2),
        init=InitConfig("gaussian", 1e-3), device="cpu",
        agf=AgfConfig(cost_phase="decoupled", threshold=0.2, loss_tolerance=1e-6)),
    "modadd": RunConfig(
        model=QuadraticModaddConfig(width=6),
        data=ModularAdditionConfig(p=4, frequencies=[1, 2], amplitudes=[4.0, 2.0]), init=InitConfig("gaussian", 1e-3),
        train=GradientFlowConfig(convergence=1e-3),
        agf=AgfConfig(cost_phase="decoupled", threshold=0.2, loss_tolerance=1e-3), device="cpu"),
    "relu": RunConfig(
        model=ReluConfig(width=12), data=OrthogonalInputsConfig(targets=[1.0, -0.6]), init=InitConfig(scale=1e-8),
        device="cpu"),
    "monomial": RunConfig(
        model=MonomialConfig(width=8), data=OrthogonalInputsConfig(targets=[1.0, -0.6]), init=InitConfig(scale=1e-3),
        device="cpu"),
}


def evidence_of(result: Result) -> Evidence:
    """What the claims about a finished run see."""
    return Evidence(
        architecture=result.problem.architecture, initial=result.problem.initial,
        log_init_scale=result.config.init.log_scale, threshold=result.config.agf.threshold,
        prediction=result.prediction, training=result.training,
        is_flow=isinstance(result.config.train, GradientFlowConfig), theory=result.theory,
        predicted=result.events[result.prediction.source], measured=result.events["training"],
        comparison=result.main_rows)


@cache
def run_evidence(name: str) -> Evidence:
    """The evidence of a run by its name in `RUNS`, made once in a process."""
    return evidence_of(run(RUNS[name], progress=False))
