"""Networks that train in a moment, as members of ensembles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

from agfrun import GradientFlowConfig, InitConfig, RunConfig, TrainConfig, validate
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.ensemble.members import Member, members_of
from agfrun.labs.staircases.ensemble.training import Batch, batches, train_members
from agfrun.labs.staircases.networks.diagonal_linear.data import RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.fully_connected_linear.data import NoncommutingLinearMapConfig
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinearConfig
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegressionConfig
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttentionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig
from agfrun.labs.staircases.networks.two_layer.network import ReluConfig
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig
from agfrun.labs.staircases.run.ladder import Predictions
from agfrun.labs.staircases.run.problem import build_architecture, draw_initialization
from agfrun.labs.staircases.run.result import Plan
from agfrun.labs.staircases.run.training import Watch, train


def flow(horizon: float, **changes: Any) -> GradientFlowConfig:
    return GradientFlowConfig(horizon=horizon, method="rosenbrock", **changes)


def config_of(network: str, **changes: Any) -> RunConfig:
    made = {
        "diagonal": RunConfig(model=DiagonalLinearConfig(), data=RotatedRegressionConfig(),
                              init=InitConfig("gaussian", 1e-4), train=flow(100.0)),
        "linear": RunConfig(model=FullyConnectedLinearConfig(width=5),
                            data=NoncommutingLinearMapConfig(input_dimension=4, output_dimension=3),
                            init=InitConfig("gaussian", 1e-6), train=flow(300.0)),
        "attention": RunConfig(model=LinearAttentionConfig(width=3), data=InContextRegressionConfig(dimension=3),
                               init=InitConfig("gaussian", 1e-2), train=flow(400.0)),
        "relu": RunConfig(model=ReluConfig(width=6), data=OrthogonalInputsConfig(targets=[1.2, -0.8]),
                          init=InitConfig("gaussian", 1e-3), train=flow(60.0)),
        "modadd": RunConfig(model=QuadraticModaddConfig(width=6),
                            data=ModularAdditionConfig(p=7, frequencies=[1, 2], amplitudes=[10.0, 5.0]),
                            init=InitConfig("gaussian", 1e-2), train=flow(12.0, tolerance=1e-5)),
    }[network]
    return dataclasses.replace(made, device="cpu", plots=False, **changes)


def members_without_prediction(config: RunConfig, seeds: int, scales: Sequence[float] = ()) -> list[Member]:
    """Members with plans for training alone; the horizon is the configured one.

    Seeds at each scale, the seeds of one scale next to one another; without scales at the configured one.
    """
    validate(config)
    inits = [dataclasses.replace(config.init, scale=scale) for scale in scales] or [config.init]
    configs = [dataclasses.replace(config, init=init) for init in inits]
    every = [member for at_scale in configs for member in members_of(at_scale, seeds)]
    members = [Member(number, member.config) for number, member in enumerate(every)]
    architecture = build_architecture(config)
    for member in members:
        problem = draw_initialization(member.config, architecture)
        assert member.config.train.horizon is not None
        member.plan = Plan(member.config, problem, cast(Predictions, None), member.config.train.horizon)
    return members


def trained_together(members: Sequence[Member]) -> tuple[list[TrainingResult], list[Batch]]:
    """Trainings of all members, and the batches in which they were trained."""
    made = list(batches(members))
    for batch in made:
        train_members(batch, None)
    return [training_of(member) for member in members], made


def trained_alone(member: Member, settings: TrainConfig | None = None) -> TrainingResult:
    assert member.plan is not None
    watch = Watch(member.config.seed, progress=False)
    return train(settings or member.config.train, member.plan.problem, member.plan.horizon, watch)


def training_of(member: Member) -> TrainingResult:
    assert member.training is not None, member.failure
    return member.training
