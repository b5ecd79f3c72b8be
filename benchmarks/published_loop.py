"""The plain training loop of the published design, written from its description.

A `torch.nn.Module`, data materialized in full (or drawn anew for each step where the published code draws them),
autograd, SGD with momentum; after each epoch an evaluation and a snapshot. float32, torch's default, unless said
otherwise: that is the quicker choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from agfrun.labs.staircases.dynamics.clock import loss_factor
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from benchmarks.problems import Instance

Batch = tuple[Tensor, Tensor]


class Network(nn.Module):
    """A network as one would write it, beside agfrun's order of its parameters.

    Attributes:
        samples: all of its data, inputs and targets; None where each step draws its own.
    """

    samples: Batch | None = None

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """A batch of `count`; by default from the samples, with replacement."""
        assert self.samples is not None
        rows = torch.randint(len(self.samples[0]), (count,), generator=generator)
        return self.samples[0][rows], self.samples[1][rows]

    def evaluate(self) -> object:
        """What is computed for the record after an epoch, beside the loss."""
        return None

    def blocks(self) -> list[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
        """Parameters in agfrun's order, each with the view of it whose rows are neurons, (H, size)."""
        raise NotImplementedError

    def set_neurons(self, neurons: Tensor) -> None:
        """Load neurons (H, D)."""
        start = 0
        with torch.no_grad():
            for parameter, rows in self.blocks():
                view = rows(parameter)
                view.copy_(neurons[:, start : start + view.shape[1]])
                start += view.shape[1]

    def neurons(self) -> Tensor:
        """Neurons (H, D)."""
        return torch.cat([rows(parameter.detach()) for parameter, rows in self.blocks()], dim=1)

    def neuron_gradient(self) -> Tensor:
        """Gradient of the last backward pass, (H, D)."""
        return torch.cat([rows(_gradient_of(parameter)) for parameter, rows in self.blocks()], dim=1)


class DiagonalNetwork(Network):
    """f(x) = sum_i u_i v_i x_i."""

    def __init__(self, network: DiagonalLinear, dtype: torch.dtype) -> None:
        super().__init__()
        self.u, self.v = (nn.Parameter(torch.zeros(network.width, dtype=dtype)) for _ in range(2))
        self.samples = (network.data.inputs.to(dtype), network.data.targets.to(dtype)[:, None])

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (n, 1)."""
        return (inputs @ (self.u * self.v))[:, None]

    def blocks(self) -> list[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
        """See `Network.blocks`."""
        return [(self.u, _column), (self.v, _column)]


class LinearNetwork(Network):
    """f(x) = A W x on fresh Gaussian inputs; the singular values of A W are recorded."""

    def __init__(self, network: FullyConnectedLinear, dtype: torch.dtype) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(network.width, network.input_dimension, dtype=dtype))
        self.a = nn.Parameter(torch.zeros(network.output_dimension, network.width, dtype=dtype))
        self.factor, self.target_map = network.data.factor.to(dtype), network.data.target_map.to(dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (n, c)."""
        return inputs @ self.w.T @ self.a.T

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """See `Network.draw`."""
        normal = torch.randn(count, self.factor.shape[1], generator=generator, dtype=self.factor.dtype)
        inputs = normal @ self.factor.T
        return inputs, inputs @ self.target_map.T

    def evaluate(self) -> object:
        """See `Network.evaluate`."""
        return torch.linalg.svdvals(self.a @ self.w)

    def blocks(self) -> list[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
        """See `Network.blocks`."""
        return [(self.w, _as_is), (self.a, lambda a: a.T)]


class AttentionNetwork(Network):
    """X + sum_h W_V X (X^T W_K^T W_Q X) on fresh sequences; the answer is the query's label."""

    def __init__(self, network: LinearAttention, dtype: torch.dtype) -> None:
        super().__init__()
        data = network.data
        self.data = dataclasses.replace(data, eigenvalues=data.eigenvalues.to(dtype),
                                        eigenvectors=data.eigenvectors.to(dtype))
        token = data.dimension + 1
        self.values = nn.Parameter(torch.zeros(network.width, token, token, dtype=dtype))
        self.keys, self.queries = (nn.Parameter(torch.zeros(network.width, network.head_dim, token, dtype=dtype))
                                   for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Last entry of the last token, (B, 1), of tokens (B, N + 1, D + 1)."""
        result = tokens
        for value, key, query in zip(self.values, self.keys, self.queries, strict=True):
            scores = (tokens @ key.T) @ (tokens @ query.T).mT
            result = result + scores.mT @ (tokens @ value.T)
        return result[:, -1, -1:]

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """See `Network.draw`."""
        inputs, labels = self.data.sequences(count, generator)
        seen = torch.cat([labels[:, :-1], torch.zeros_like(labels[:, -1:])], dim=1)
        tokens = torch.cat([inputs @ self.data.eigenvectors.T, seen[..., None]], dim=2)
        return tokens, labels[:, -1:]

    def blocks(self) -> list[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
        """See `Network.blocks`."""
        return [(self.values, lambda v: v[:, -1, -1:]), (self.keys, lambda k: k[:, 0, :-1]),
                (self.queries, lambda q: q[:, 0, :-1])]


class ModularAdditionNetwork(Network):
    """(U a.x + V b.x)^2 W on all p^2 pairs."""

    def __init__(self, network: QuadraticModadd, dtype: torch.dtype) -> None:
        super().__init__()
        p, template = network.data.p, network.data.template.to(dtype)
        self.u, self.v, self.w = (nn.Parameter(torch.zeros(network.width, p, dtype=dtype)) for _ in range(3))
        pairs = [(a, b) for a in range(p) for b in range(p)]
        inputs = torch.stack([torch.cat([template.roll(a), template.roll(b)]) for a, b in pairs])
        self.samples = (inputs, torch.stack([template.roll(a + b) for a, b in pairs]))
        self.p = p

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (n, p) to inputs (n, 2p)."""
        hidden = inputs[:, : self.p] @ self.u.T + inputs[:, self.p :] @ self.v.T
        return hidden.square() @ self.w

    def blocks(self) -> list[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
        """See `Network.blocks`."""
        return [(self.u, _as_is), (self.v, _as_is), (self.w, _as_is)]


class ReluNetwork(Network):
    """A relu(W x), the kink as it is."""

    def __init__(self, network: TwoLayer, dtype: torch.dtype) -> None:
        super().__init__()
        self.samples = (network.data.inputs.to(dtype), network.data.targets.to(dtype))
        inputs, outputs = self.samples
        self.w = nn.Parameter(torch.zeros(network.width, inputs.shape[1], dtype=dtype))
        self.a = nn.Parameter(torch.zeros(outputs.shape[1], network.width, dtype=dtype))

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (n, c)."""
        return torch.relu(inputs @ self.w.T) @ self.a.T

    def blocks(self) -> list[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
        """See `Network.blocks`."""
        return [(self.w, _as_is), (self.a, lambda a: a.T)]


class PublishedLoop:
    """The training loop.

    Args:
        instance: the experiment.
        dtype: of parameters and data.
        start: neurons (H, D) to start from; the experiment's by default.
        bookkeeping: evaluate and take a snapshot after each epoch.
    """

    def __init__(self, instance: Instance, dtype: torch.dtype = torch.float32, start: Tensor | None = None,
                 bookkeeping: bool = True) -> None:
        training = self.training = instance.published
        self.network = make_network(instance, dtype)
        self.network.set_neurons(instance.initial if start is None else start)
        self.criterion = _criterion(training.loss_normalization)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=training.learning_rate,
                                         momentum=training.momentum)
        self.generator = torch.Generator().manual_seed(0)
        self.bookkeeping = bookkeeping
        samples = self.network.samples
        whole = samples is None or training.batch_size is None
        self.epoch = 1 if whole else -(-len(samples[0]) // training.batch_size)  # type: ignore[index, operator]
        self.losses: list[float] = []
        self.records: list[object] = []
        self.models: list[dict[str, Any]] = []
        self.done = 0

    def run(self, steps: int) -> None:
        """Take so many steps."""
        for _ in range(steps):
            batch = self.batch()
            self.optimizer.zero_grad()
            self.criterion(self.network(batch[0]), batch[1]).backward()
            self.optimizer.step()
            self.done += 1
            if self.bookkeeping and self.done % self.epoch == 0:
                self._record(batch)

    def batch(self) -> Batch:
        """The data of the next step."""
        if self.training.batch_size is None:
            assert self.network.samples is not None
            return self.network.samples
        return self.network.draw(self.training.batch_size, self.generator)

    def _record(self, batch: Batch) -> None:
        inputs, targets = batch if self.network.samples is None else self.network.samples
        with torch.no_grad():
            self.losses.append(self.criterion(self.network(inputs), targets).item())
            self.records.append(self.network.evaluate())
        # As published: references to the parameters rather than copies of them, which is cheaper.
        self.models.append(self.network.state_dict())


def make_network(instance: Instance, dtype: torch.dtype) -> Network:
    """The experiment's network with zero parameters."""
    for kind, make in _NETWORKS.items():
        if isinstance(instance.architecture, kind):
            return make(instance.architecture, dtype)
    raise NotImplementedError(f"no plain loop of {instance.architecture.name}")


def gradient_error(instance: Instance, neurons: Tensor) -> float:
    """Relative difference of the loop's gradient, in float64, from agfrun's.

    Over all samples where there are such; else over the same batch, drawn by both from one seed.
    """
    network, architecture = make_network(instance, torch.float64), instance.architecture
    network.set_neurons(neurons)
    training = instance.published
    if network.samples is not None:
        inputs, targets = network.samples
        expected = architecture.loss_and_gradient(neurons)[1]
    else:
        assert training.batch_size is not None
        inputs, targets = network.draw(training.batch_size, torch.Generator().manual_seed(1))
        expected = architecture.sampled_gradient(neurons, training.batch_size, torch.Generator().manual_seed(1))
    _criterion(training.loss_normalization)(network(inputs), targets).backward()
    gradient = network.neuron_gradient() / loss_factor(training.loss_normalization, architecture.output_dimension)
    return float((gradient - expected).norm() / expected.norm())


def _criterion(loss_normalization: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The published loss of outputs and targets (n, c)."""
    if loss_normalization == "mean_over_outputs":
        return nn.MSELoss()
    factor = {"paper": 0.5, "sum_over_outputs": 1.0}[loss_normalization]
    return lambda outputs, targets: factor * (targets - outputs).square().sum(1).mean()


def _gradient_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _as_is(parameter: Tensor) -> Tensor:
    return parameter


def _column(parameter: Tensor) -> Tensor:
    return parameter[:, None]


_NETWORKS: dict[type, Callable[[Any, torch.dtype], Network]] = {
    DiagonalLinear: DiagonalNetwork, FullyConnectedLinear: LinearNetwork, LinearAttention: AttentionNetwork,
    QuadraticModadd: ModularAdditionNetwork, TwoLayer: ReluNetwork,
}
