"""Plain NumPy training with a hand-written gradient, where the published code trains without autograd.

For small linear networks this is quicker than the autograd loop, and so the fairer comparison.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.clock import loss_factor
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from benchmarks.problems import Instance

Array = npt.NDArray[np.float64]


class Rule(Protocol):
    """The gradient of one network."""

    def draw(self) -> Array:
        """Inputs of the next step, (n, d)."""
        ...

    def gradient(self, neurons: Array, inputs: Array) -> tuple[Array, float, Array]:
        """Gradient (H, D) of the published loss, the loss, and what is recorded beside it."""
        ...


class NumpyLoop:
    """The training loop: a step and, after it, the loss and a record.

    Args:
        instance: the experiment.
        rule: its gradient.
        start: neurons (H, D).
    """

    def __init__(self, instance: Instance, rule: Rule, start: Array) -> None:
        self.rate = instance.published.learning_rate
        self.rule = rule
        self.neurons = start.copy()
        self.losses: list[float] = []
        self.records: list[Array] = []

    def run(self, steps: int) -> None:
        """Take so many steps."""
        for _ in range(steps):
            gradient, loss, record = self.rule.gradient(self.neurons, self.rule.draw())
            self.neurons -= self.rate * gradient
            self.losses.append(loss)
            self.records.append(record)


class DiagonalRule:
    """The full batch of (1/2n) ||X beta - y||^2; beta is recorded."""

    def __init__(self, instance: Instance) -> None:
        network: Any = instance.architecture
        self.inputs, self.targets = network.data.inputs.numpy(), network.data.targets.numpy()

    def draw(self) -> Array:
        """See `Rule.draw`."""
        return np.asarray(self.inputs)

    def gradient(self, neurons: Array, inputs: Array) -> tuple[Array, float, Array]:
        """See `Rule.gradient`."""
        coefficients = neurons[:, 0] * neurons[:, 1]
        errors = inputs @ coefficients - self.targets
        slope = inputs.T @ errors / len(errors)
        return slope[:, None] * neurons[:, ::-1], float(errors @ errors) / (2 * len(errors)), coefficients


class LinearRule:
    """A fresh batch for each step; the singular values of A W are recorded."""

    def __init__(self, instance: Instance) -> None:
        network: Any = instance.architecture
        self.factor, self.target_map = network.data.factor.numpy(), network.data.target_map.numpy()
        self.dimension, self.batch = network.input_dimension, instance.published.batch_size
        self.generator = np.random.default_rng(0)

    def draw(self) -> Array:
        """See `Rule.draw`."""
        assert self.batch is not None
        return np.asarray(self.generator.standard_normal((self.batch, self.factor.shape[1])) @ self.factor.T)

    def gradient(self, neurons: Array, inputs: Array) -> tuple[Array, float, Array]:
        """See `Rule.gradient`."""
        inner, outer = neurons[:, : self.dimension], neurons[:, self.dimension :]
        hidden = inputs @ inner.T
        errors = hidden @ outer - inputs @ self.target_map.T
        gradient = np.concatenate([(errors @ outer.T).T @ inputs, hidden.T @ errors], axis=1) * (2 / len(inputs))
        return gradient, float(np.mean(errors**2)), np.asarray(np.linalg.svd(outer.T @ inner, compute_uv=False))


RULES: dict[type, type[DiagonalRule] | type[LinearRule]] = {
    DiagonalLinear: DiagonalRule, FullyConnectedLinear: LinearRule}


def make_loop(instance: Instance, start: Tensor) -> NumpyLoop | None:
    """The NumPy loop from neurons (H, D), or None where the published loop uses autograd."""
    for kind, rule in RULES.items():
        if isinstance(instance.architecture, kind):
            return NumpyLoop(instance, rule(instance), start.numpy())
    return None


def gradient_error(instance: Instance, neurons: Tensor) -> float:
    """Relative difference of the loop's gradient from agfrun's: over all samples, or over one and the same batch."""
    loop = make_loop(instance, neurons)
    assert loop is not None
    training, architecture = instance.published, instance.architecture
    if training.batch_size is None:
        inputs, expected = loop.rule.draw(), architecture.loss_and_gradient(neurons)[1]
    else:
        factor: Tensor = architecture.data.factor  # type: ignore[attr-defined]
        drawn = torch.randn(training.batch_size, factor.shape[1], generator=torch.Generator().manual_seed(1),
                            dtype=factor.dtype)
        inputs = (drawn @ factor.T).numpy()
        expected = architecture.sampled_gradient(neurons, training.batch_size, torch.Generator().manual_seed(1))
    gradient = torch.from_numpy(np.ascontiguousarray(loop.rule.gradient(neurons.numpy(), inputs)[0]))
    gradient /= loss_factor(training.loss_normalization, architecture.output_dimension)
    return float((gradient - expected).norm() / expected.norm())
