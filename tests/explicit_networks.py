"""Both networks written out over their whole data set, one row for each sample, with no algebra to trust.

The package never forms these tensors; autograd through them is the oracle for what it does instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun import Architecture
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression, random_regression, rotated_regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition, modular_addition
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

CPU = torch.device("cpu")


@dataclass(frozen=True)
class ExplicitNetwork:
    """An architecture beside its definition.

    `answers` maps neurons (K, D) and their index to the answers of each to each sample, (K, N, c).
    """

    name: str
    architecture: Architecture
    answers: Callable[[Tensor, Tensor | None], Tensor]
    targets: Tensor

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        return self.targets - self.answers(neurons, index).sum(0)

    def loss(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        return 0.5 * self.residual(neurons, index).square().sum(-1).mean()

    def gradient(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        variable = neurons.clone().requires_grad_()
        return torch.autograd.grad(self.loss(variable, index), variable)[0]

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        count = neurons.numel()
        hessian = torch.autograd.functional.hessian(
            lambda flat: self.loss(flat.view_as(neurons), index), neurons.reshape(-1), vectorize=True)
        return hessian.view(count, count)

    def utilities(self, probes: Tensor, residual: Tensor, index: Tensor | None = None) -> Tensor:
        return (self.answers(probes, index) * residual).sum(-1).mean(-1)

    def random_neurons(self, count: int | None = None, seed: int = 0, scale: float = 1.0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        shape = (self.architecture.width if count is None else count, self.architecture.neuron_dimension)
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def shifted_templates(template: Tensor) -> Tensor:
    """Row a is a.x, the template shifted by a."""
    return torch.stack([torch.roll(template, a) for a in range(template.shape[0])])


def modadd_answers(template: Tensor, neurons: Tensor) -> Tensor:
    """(<u, a.x> + <v, b.x>)^2 w of each neuron to all pairs (a, b), shape (K, p^2, p)."""
    p = template.shape[0]
    shifts = shifted_templates(template)
    u, v, w = neurons[:, :p], neurons[:, p : 2 * p], neurons[:, 2 * p :]
    hidden = (u @ shifts.T)[:, :, None] + (v @ shifts.T)[:, None, :]
    return hidden.square().flatten(1)[:, :, None] * w[:, None, :]


def modadd_targets(template: Tensor) -> Tensor:
    """(a + b).x for all pairs (a, b), shape (p^2, p)."""
    p = template.shape[0]
    return torch.stack([torch.roll(template, a + b) for a in range(p) for b in range(p)])


def numpy_modadd_gradient(template: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Gradient of the paper loss over all pairs, written for SciPy's integrators; neurons (H, 3p)."""
    p = template.size
    shifts = np.stack([np.roll(template, a) for a in range(p)])
    targets = np.stack([np.roll(template, a + b) for a in range(p) for b in range(p)])

    def gradient(neurons: np.ndarray) -> np.ndarray:
        u, v, w = neurons[:, :p], neurons[:, p : 2 * p], neurons[:, 2 * p :]
        hidden = (u @ shifts.T)[:, :, None] + (v @ shifts.T)[:, None, :]
        squares = (hidden**2).reshape(len(neurons), -1)
        errors = (squares.T @ w - targets) / p**2
        back = 2 * hidden * (w @ errors.T).reshape(hidden.shape)
        return np.concatenate([back.sum(2) @ shifts, back.sum(1) @ shifts, squares @ errors], axis=1)

    return gradient


def modadd_network(data: ModularAddition, width: int, name: str = "modadd") -> ExplicitNetwork:
    return ExplicitNetwork(name, QuadraticModadd(data, width),
                           lambda neurons, index: modadd_answers(data.template, neurons),
                           modadd_targets(data.template))


def regression_network(data: Regression, name: str = "regression") -> ExplicitNetwork:
    def answers(neurons: Tensor, index: Tensor | None) -> Tensor:
        inputs = data.inputs if index is None else data.inputs[:, index]
        return (neurons[:, 0] * neurons[:, 1])[:, None, None] * inputs.T[:, :, None]

    return ExplicitNetwork(name, DiagonalLinear(data), answers, data.targets[:, None])


def from_template(template: Tensor, frequencies: tuple[int, ...]) -> ModularAddition:
    return ModularAddition(template, frequencies, torch.fft.fft(template)[list(frequencies)])


def with_random_phases(p: int, frequencies: list[int], amplitudes: list[float], seed: int) -> ModularAddition:
    """A template with the given amplitudes and random phases (random signs at the Nyquist frequency)."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(frequencies))
    spectrum = np.zeros(p // 2 + 1, dtype=complex)
    for k, amplitude, angle in zip(frequencies, amplitudes, angles, strict=True):
        spectrum[k] = amplitude * (np.sign(np.cos(angle)) if 2 * k == p else np.exp(1j * angle))
    return from_template(torch.tensor(np.fft.irfft(spectrum, n=p)), tuple(frequencies))


def rolled(data: ModularAddition, shift: int) -> ModularAddition:
    return from_template(torch.roll(data.template, shift), data.frequencies)


def roll_neurons(neurons: Tensor, *shifts: int) -> Tensor:
    """Roll u, v, w of each neuron by the three shifts."""
    parts = neurons.unflatten(-1, (3, -1))
    return torch.cat([torch.roll(parts[..., i, :], shift, dims=-1) for i, shift in enumerate(shifts)], dim=-1)


def paper_modadd(width: int = 18) -> ExplicitNetwork:
    data = modular_addition(20, [1, 3, 5], [10.0, 5.0, 2.5], torch.float64, CPU)
    return modadd_network(data, width, "paper")


def small_modadd(p: int = 5, frequencies: tuple[int, ...] = (1, 2), amplitudes: tuple[float, ...] = (5.0, 3.0),
                 width: int = 3, seed: int = 0) -> ExplicitNetwork:
    return modadd_network(with_random_phases(p, list(frequencies), list(amplitudes), seed), width, f"p={p}")


def regression_2d() -> ExplicitNetwork:
    return regression_network(rotated_regression([1.0, 25.0], 150.0, [-0.2, 2.0], torch.float64, CPU), "2d")


def regression_5d() -> ExplicitNetwork:
    return regression_network(random_regression(5, 20, 10, torch.float64, CPU), "5d")


def networks() -> list[ExplicitNetwork]:
    """Even and odd p, with and without the Nyquist frequency; tall and wide designs."""
    cases = [(2, (1,), 1), (3, (1,), 2), (4, (1, 2), 3), (5, (1, 2), 4), (6, (1, 3), 2), (7, (3, 1, 2), 3),
             (8, (2, 4), 2), (9, (1, 4), 5), (10, (5,), 2)]
    quadratic = [small_modadd(p, frequencies, (5.0, 3.0, 2.0)[: len(frequencies)], width, seed=p)
                 for p, frequencies, width in cases]
    wide = regression_network(random_regression(6, 3, 1, torch.float64, CPU), "wide")
    single = regression_network(random_regression(1, 4, 2, torch.float64, CPU), "1d")
    return [*quadratic, regression_2d(), regression_5d(), wide, single]
