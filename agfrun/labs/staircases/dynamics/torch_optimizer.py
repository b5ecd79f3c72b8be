"""Training by an optimizer of `torch.optim`, step by step, with what may be done to its gradients."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from agfrun.files.training_state import Checkpoints, TrainingState
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step, loss_factor
from agfrun.labs.staircases.dynamics.descent_loop import descend, single_steps
from agfrun.labs.staircases.dynamics.descent_watch import DescentWatch, Progress
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.networks.base import Architecture

# A neuron that is zero has no clock.
SMALLEST_SIZE = 1e-100


class OptimizerSettings(Protocol):
    """What training by an optimizer asks of `staircases.trainers.optimizer.OptimizerConfig`."""

    optimizer: str
    learning_rate: float
    momentum: float | None
    clip: float | None
    own_clocks: bool
    label_noise: float
    max_steps: int
    batch_size: int | None
    loss_normalization: str
    convergence: float
    max_rows: int

    def arguments(self) -> dict[str, Any]:
        """What torch's optimizer is called with beside the parameters."""

    def rate_factor(self, step: int) -> float:
        """Learning rate of a step, counted from 0, over `learning_rate`."""


class OptimizerSteps:
    """Neurons (H, D), torch's optimizer of them, and the stream of batches and noise."""

    def __init__(self, architecture: Architecture, neurons: Tensor, settings: OptimizerSettings, seed: int) -> None:
        self.architecture, self.settings = architecture, settings
        self.factor = loss_factor(settings.loss_normalization, architecture.output_dimension)
        self.neurons = neurons.clone()
        self.optimizer = getattr(torch.optim, settings.optimizer)([self.neurons], **settings.arguments())
        self.generator = torch.Generator(device="cpu").manual_seed(seed)

    def state(self) -> TrainingState:
        """Where it is between two steps; torch keeps tensors and numbers for its one parameter."""
        kept = self.optimizer.state.get(self.neurons, {})
        arrays = {key: value for key, value in kept.items() if isinstance(value, Tensor)}
        numbers = {key: value for key, value in kept.items() if not isinstance(value, Tensor)}
        own = TrainingState(arrays={"neurons": self.neurons, "generator": self.generator.get_state()})
        return TrainingState.joined(own=own, kept=TrainingState(numbers, arrays))

    def restore(self, state: TrainingState) -> None:
        """Go on from a state."""
        own, kept = state.part("own"), state.part("kept")
        self.neurons.copy_(own.tensor("neurons", self.neurons))
        self.generator.set_state(own.arrays["generator"])
        of_parameter = {**kept.numbers, **{key: value.clone() for key, value in kept.arrays.items()}}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": {0: of_parameter} if of_parameter else {}, "param_groups": groups})

    def full_loss(self) -> float:
        """Paper loss on the full data."""
        return float(self.architecture.loss(self.architecture.residual(self.neurons)))

    def step(self, number: int) -> None:
        """One step, the number of those before it given."""
        self.neurons.grad = self.factor * self._gradient()
        if self.settings.own_clocks:
            # dtheta/ds = -|theta|^(2 - kappa) grad L: the norm of an aligned neuron grows at the constant rate kappa U.
            sizes = torch.linalg.vector_norm(self.neurons, dim=1, keepdim=True).clamp_min(SMALLEST_SIZE)
            self.neurons.grad *= sizes.pow(2 - self.architecture.homogeneity_degree)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_([self.neurons], self.settings.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * self.settings.rate_factor(number)
        self.optimizer.step()

    def _gradient(self) -> Tensor:
        """Of the paper loss, over a batch where there are batches, with noisy targets where these are asked for."""
        settings = self.settings
        if settings.batch_size is not None:
            return self.architecture.sampled_gradient(self.neurons, settings.batch_size, self.generator)
        gradient = self.architecture.loss_and_gradient(self.neurons)[1]
        return gradient - self._noise() if settings.label_noise else gradient

    def _noise(self) -> Tensor:
        """Jacobian of the function's values f, applied to noise e of the targets: the gradient of <f, e>, (H, D)."""
        neurons = self.neurons.detach().clone().requires_grad_()
        with torch.enable_grad():
            values = self.architecture.function_values(neurons)
            noise = torch.randn(values.shape, generator=self.generator, dtype=torch.float64).to(values)
            noise *= self.settings.label_noise / math.sqrt(values.numel())
            (gradient,) = torch.autograd.grad((values * noise).sum(), neurons)
        return gradient


def momentum_of(settings: OptimizerSettings) -> float:
    """The heavy ball's momentum; other optimizers have none that gradient-flow time knows."""
    return (settings.momentum or 0.0) if settings.optimizer == "SGD" else 0.0


def time_per_step(settings: OptimizerSettings, architecture: Architecture) -> float:
    """Time of a step, see `train_by_optimizer`."""
    return flow_time_per_step(settings.learning_rate, momentum_of(settings), settings.loss_normalization,
                              architecture.output_dimension)


def train_by_optimizer(
    architecture: Architecture, neurons: Tensor, settings: OptimizerSettings, *, seed: int = 0,
    progress: Progress | None = None, checkpoints: Checkpoints | None = None, resume: TrainingState | None = None,
) -> TrainingResult:
    """Steps of `settings.optimizer` from `neurons` (H, D).

    The time of a step is that of gradient descent at the same learning rate (and momentum of SGD); of an optimizer that
    rescales gradients, or a learning rate that changes, it only counts steps. The recorded loss is that of the full
    data, without decay and noise.

    Args:
        architecture, neurons: the network and where it starts.
        settings: the optimizer, and how long it goes on.
        seed: of batches and label noise.
        progress: called with time and loss.
        checkpoints, resume: as for gradient descent: taken up anywhere, the numbers are the same to the last bit.

    Raises:
        CheckpointError: `resume` is of another training.
        ConfigError: label noise is asked for, and the network does not give the values of its function.
    """
    momentum, per_step = momentum_of(settings), time_per_step(settings, architecture)
    recorder = Recorder(architecture, "training", settings.max_rows)
    watch = DescentWatch(recorder, per_step, settings.max_steps, settings.convergence, progress)
    steps = OptimizerSteps(architecture, neurons, settings, seed)
    status, reason = descend(
        steps, watch, lambda: single_steps(steps, watch, lambda: steps.step(watch.step),
                                           settings.batch_size is not None), neurons, checkpoints, resume)
    clock: dict[str, float | str] = {
        "optimizer": settings.optimizer, "learning_rate": settings.learning_rate, "momentum": momentum,
        "loss_normalization": settings.loss_normalization, "flow_time_per_step": per_step,
    }
    statistics = IntegrationStatistics(accepted_steps=watch.step, gradient_evaluations=watch.step)
    return TrainingResult(recorder.trajectory(), recorder, steps.neurons.clone(), status, reason, statistics, clock)
