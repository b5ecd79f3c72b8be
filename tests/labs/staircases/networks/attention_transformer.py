"""The transformer of linear attention written out: matrices W_V, W_K, W_Q, tokens, exact expectations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression, in_context_regression
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention

CPU = torch.device("cpu")
PAPER = [0.96, 0.48, 0.32, 0.24]


def law(eigenvalues: list[float], context_length: int = 32, data_seed: int | None = 0) -> InContextRegression:
    return in_context_regression(eigenvalues, context_length, data_seed, torch.float64, CPU)


def network(eigenvalues: list[float], width: int = 3, rank: int = 1, parameterization: str = "restricted",
            context_length: int = 32, data_seed: int | None = 0) -> LinearAttention:
    return LinearAttention(law(eigenvalues, context_length, data_seed), width, rank, parameterization)


def random_heads(architecture: LinearAttention, seed: int = 0, scale: float = 0.3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(architecture.width, architecture.neuron_dimension, generator=generator)


def assert_same(measured: Tensor, expected: Tensor, relative: float = 1e-11) -> None:
    assert measured.shape == expected.shape
    assert float((measured - expected).abs().max()) <= relative * float(expected.abs().max().clamp(min=1e-300))


@dataclass(frozen=True)
class Matrices:
    """W_V (H, D + 1, D + 1), W_K and W_Q (H, r, D + 1), in the coordinates of the tokens."""

    value: Tensor
    key: Tensor
    query: Tensor

    @classmethod
    def of(cls, architecture: LinearAttention, heads: Tensor) -> Matrices:
        """Heads put into their places; all other entries are zero."""
        count, rank, size = len(heads), architecture.head_dim, architecture.data.dimension
        value = torch.zeros(count, size + 1, size + 1)
        key, query = torch.zeros(count, rank, size + 1), torch.zeros(count, rank, size + 1)
        v, k, q = torch.split(heads, list(architecture.sizes), dim=1)
        if architecture.parameterization == "restricted":
            value[:, -1, -1:], key[:, :, :-1] = v, k.reshape(count, rank, size)
        else:
            value[:, -1], key[:] = v, k.reshape(count, rank, size + 1)
        query[:, :, :-1] = q.reshape(count, rank, size)
        return cls(value, key, query)

    def taken_from(self, architecture: LinearAttention) -> Tensor:
        """The entries that the heads hold, (H, p): the inverse of `of`."""
        if architecture.parameterization == "restricted":
            value, key = self.value[:, -1, -1:], self.key[:, :, :-1]
        else:
            value, key = self.value[:, -1], self.key
        return torch.cat([value, key.flatten(1), self.query[:, :, :-1].flatten(1)], dim=1)


def predictions(matrices: Matrices, tokens: Tensor) -> Tensor:
    """X + sum_h W_V X (X^T W_K^T W_Q X), last token's last entry; tokens (B, N + 1, D + 1) as rows."""
    output = tokens
    for value, key, query in zip(matrices.value, matrices.key, matrices.query, strict=True):
        scores = (tokens @ key.T) @ (tokens @ query.T).mT
        output = output + scores.mT @ (tokens @ value.T)
    return output[:, -1, -1]


def cubature(data: InContextRegression, nodes: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, targets and weights: exact for polynomials up to degree 2 nodes - 1 in each Gaussian variable."""
    size, length = data.dimension, data.context_length
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    count = size * (length + 2)
    grid = np.stack(np.meshgrid(*[np.arange(nodes)] * count, indexing="ij"), -1).reshape(-1, count)
    drawn = torch.tensor(points[grid])
    weight = torch.tensor((weights[grid] / math.sqrt(2 * math.pi)).prod(-1))
    task, inputs = drawn[:, :size], drawn[:, size:].reshape(-1, length + 1, size)
    inputs = (inputs * data.eigenvalues.sqrt()) @ data.eigenvectors.T
    labels = (inputs @ task[..., None])[..., 0]
    masked = torch.cat([labels[:, :-1], torch.zeros_like(labels[:, -1:])], 1)
    return torch.cat([inputs, masked[..., None]], -1), labels[:, -1], weight


def explicit_loss(matrices: Matrices, expectation: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    tokens, targets, weight = expectation
    return 0.5 * (weight * (targets - predictions(matrices, tokens)).square()).sum()
