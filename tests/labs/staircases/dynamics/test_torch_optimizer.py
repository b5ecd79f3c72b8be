"""Training by optimizers of torch: iterates against an independent loop with autograd, its label noise, its ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_5d, small_modadd
from torch import Tensor

from agfrun import ConfigError, train_by_gradient_descent
from agfrun.labs.staircases.dynamics.torch_optimizer import OptimizerSteps, train_by_optimizer
from agfrun.labs.staircases.networks.group_composition.data import GroupSequencesConfig
from agfrun.labs.staircases.networks.group_composition.network import GroupCompositionConfig
from agfrun.labs.staircases.networks.group_composition.utility import maximal_utilities
from agfrun.labs.staircases.networks.streams import NeuronStreams
from agfrun.labs.staircases.trainers.optimizer import OptimizerConfig

STEPS = 80
NETWORKS = [small_modadd(5, (1, 2), (5.0, 3.0), width=3), regression_5d()]
ALL = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)


def start(network: ExplicitNetwork) -> Tensor:
    return network.architecture.initialize("gaussian", 0.2, torch.Generator().manual_seed(3))


def settings(**changes: Any) -> OptimizerConfig:
    return OptimizerConfig(max_steps=STEPS, convergence=0.0, **{"loss_normalization": "paper", **changes})


def by_autograd(network: ExplicitNetwork, config: OptimizerConfig, scheduler: Any) -> Tensor:
    """The same training written as a user of torch would write it."""
    neurons = start(network).requires_grad_()
    optimizer = getattr(torch.optim, config.optimizer)([neurons], **config.arguments())
    schedule = scheduler(optimizer)
    for _ in range(config.max_steps):
        optimizer.zero_grad()
        (0.5 * (network.answers(neurons, None).sum(0) - network.targets).square().sum(1).mean()).backward()
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_([neurons], config.clip)
        optimizer.step()
        schedule.step()
    return neurons.detach()


def constant(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)


def cosine(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)


def linear(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)


@ALL
@pytest.mark.parametrize(("changes", "scheduler"), [
    ({"optimizer": "Adam", "beta1": 0.8, "beta2": 0.99}, constant),
    ({"optimizer": "AdamW", "weight_decay": 0.1, "schedule": "cosine"}, cosine),
    ({"optimizer": "SGD", "momentum": 0.5, "weight_decay": 0.02, "clip": 0.3}, constant),
    ({"optimizer": "RMSprop", "epsilon": 1e-3, "schedule": "linear"}, linear),
], ids=["adam", "adamw, cosine", "sgd, decay, clip", "rmsprop, linear"])
def test_iterates_are_those_of_a_loop_with_autograd(network: ExplicitNetwork, changes: dict[str, Any],
                                                    scheduler: Any) -> None:
    config = settings(**changes)
    config.check()
    result = train_by_optimizer(network.architecture, start(network), config)
    expected = by_autograd(network, config, scheduler)
    torch.testing.assert_close(result.final, expected, rtol=1e-9, atol=1e-11)
    assert float((expected - start(network)).norm()) > 0.1
    assert result.trajectory.steps is not None
    assert result.trajectory.steps[-1] == STEPS


@ALL
@pytest.mark.parametrize("batch_size", [None, 3])
def test_sgd_is_gradient_descent(network: ExplicitNetwork, batch_size: int | None) -> None:
    config = settings(momentum=0.5, batch_size=batch_size, loss_normalization="mean_over_outputs")
    result = train_by_optimizer(network.architecture, start(network), config, seed=4)
    other = train_by_gradient_descent(network.architecture, start(network), STEPS, learning_rate=0.01, momentum=0.5,
                                      batch_size=batch_size, seed=4, convergence=0.0)
    torch.testing.assert_close(result.final, other.final, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(result.trajectory.times[-1], other.trajectory.times[-1])


@ALL
def test_label_noise_has_the_covariance_of_noisy_targets(network: ExplicitNetwork) -> None:
    """Gradients of <f, e> with e white and E |e|^2 = s^2: mean zero, mean square s^2 |J|^2 / n."""
    draws, noise, neurons = 500, 0.7, start(network)
    steps = OptimizerSteps(network.architecture, neurons, settings(label_noise=noise), seed=1)
    squares, mean = [], torch.zeros_like(neurons)
    for _ in range(draws):
        gradient = steps._noise()
        squares.append(float(gradient.square().sum()))
        mean += gradient / draws
    jacobian = torch.func.jacfwd(network.architecture.function_values)(neurons)
    expected = noise**2 * float(jacobian.square().sum()) / len(jacobian)
    error = float(np.std(squares)) / np.sqrt(draws)
    assert abs(float(np.mean(squares)) - expected) < 5 * error
    assert error < 0.1 * expected
    assert float(mean.norm()) < 5 * np.sqrt(expected / draws)


def test_a_schedule_warms_up_and_ends_at_zero() -> None:
    config = OptimizerConfig(warmup=4, max_steps=10, schedule="linear")
    assert [config.rate_factor(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [config.rate_factor(step) for step in (4, 7, 10)] == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(("changes", "message"), [
    ({"optimizer": "Adm"}, "did you mean Adam|one of"),
    ({"optimizer": "LBFGS"}, "one of"),
    ({"optimizer": "Adam", "momentum": 0.9}, "torch.optim.Adam has no momentum"),
    ({"optimizer": "Adam", "beta1": 0.9}, "where train.beta1 is"),
    ({"label_noise": 1.0, "batch_size": 2}, "0 where there are batches"),
    ({"horizon": 3.0}, "train.max_steps says how long"),
    ({"warmup": STEPS}, "train.warmup"),
    ({"weight_decay": -1.0}, "train.weight_decay"),
    ({"clip": 0.0}, "train.clip"),
])
def test_bad_values_are_refused_in_a_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes).check()


def test_on_clocks_of_their_own_each_e_fold_of_the_scale_takes_as_long() -> None:
    """A neuron along an irrep grows at the rate (k + 1) U*: a smaller scale delays it by log(ratio) / ((k + 1) U*)."""
    data = GroupSequencesConfig(group="C7", irreps=[1], singular_values=[5.0], data_seed=0)
    network = GroupCompositionConfig(width=6).build(data.build(torch.float64, torch.device("cpu")))
    rate = 3 * maximal_utilities(network.data)[0]
    config = settings(learning_rate=0.01 / rate, own_clocks=True)

    def half_learned(scale: float) -> int:
        steps = OptimizerSteps(network, network.initialize("gaussian", scale, NeuronStreams(0)), config, 0)
        number = 0
        while float(network.features(steps.neurons)[0]) < 2.5:
            steps.step(number)
            number += 1
        return number

    delay = (half_learned(1e-5) - half_learned(1e-3)) * config.learning_rate
    assert delay == pytest.approx(np.log(1e2) / rate, rel=0.01)
    assert "clock of its own" in config.unpredicted()["times"]
