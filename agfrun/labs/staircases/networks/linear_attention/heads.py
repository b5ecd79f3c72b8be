"""Attention heads as rows of numbers: where v, K and Q are in a row, and what heads make of the input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression


@dataclass(frozen=True)
class HeadLayout:
    """Heads theta = (v, K, Q), the label last in v and in each row of K, both row by row.

    Attributes:
        axes: a head along the eigenvectors of the inputs' covariance is its parameters times this, (p, p), orthogonal.
        head_dim: rows r of K and Q.
        value_size: entries of v.
        key_size: columns of K.
        dimension: columns of Q, the inputs' dimension D.
    """

    axes: Tensor
    head_dim: int
    value_size: int
    key_size: int
    dimension: int

    @classmethod
    def of(cls, data: InContextRegression, head_dim: int, value_size: int, key_size: int) -> HeadLayout:
        """The layout of heads on some data; `value_size` is 1 (labels alone) or D + 1."""
        size = value_size + head_dim * (key_size + data.dimension)
        axes = torch.eye(size, dtype=data.eigenvectors.dtype, device=data.eigenvectors.device)
        starts = [] if value_size == 1 else [0]
        starts += [value_size + row * key_size for row in range(head_dim)]
        starts += [value_size + head_dim * key_size + row * data.dimension for row in range(head_dim)]
        for start in starts:
            block = slice(start, start + data.dimension)
            # Label entries, between the blocks, are left as they are.
            axes[block, block] = data.eigenvectors
        return cls(axes, head_dim, value_size, key_size, data.dimension)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers in v, K and Q."""
        return self.value_size, self.head_dim * self.key_size, self.head_dim * self.dimension

    def parts(self, neurons: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """v, K and Q along the eigenvectors: (..., H, value_size), (..., H, r, key_size), (..., H, r, D)."""
        values, keys, queries = torch.split(neurons @ self.axes, list(self.sizes), dim=-1)
        rows = (*neurons.shape[:-1], self.head_dim)
        return values, keys.reshape(*rows, self.key_size), queries.reshape(*rows, self.dimension)

    def output_tensor(self, neurons: Tensor) -> Tensor:
        """T = sum_h v_h (x) K_h^T Q_h along the eigenvectors, (..., value_size, key_size, D)."""
        values, keys, queries = self.parts(neurons)
        return output_of_products(values, keys.mT @ queries)


def output_of_products(values: Tensor, products: Tensor) -> Tensor:
    """Sum over heads of v (x) K^T Q, (..., H, a) and (..., H, b, j) to (..., a, b, j)."""
    flat = values.mT @ products.flatten(-2)
    return flat.reshape(*flat.shape[:-1], *products.shape[-2:])
