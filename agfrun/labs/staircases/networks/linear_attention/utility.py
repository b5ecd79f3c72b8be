"""Utility of attention heads against a fixed drive, without the calls that only large networks are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from agfrun.labs.staircases.arrays import Array, as_tensor, namespace, native
from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility

if TYPE_CHECKING:
    from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention


class AttentionUtility(FrozenUtility):
    """U = <v (x) K^T Q, drive>, heads along the eigenvectors of the inputs' covariance."""

    def __init__(self, architecture: LinearAttention) -> None:
        self.architecture = architecture
        self.axes = architecture.axes
        self.head_dim = architecture.head_dim
        self.value_size, self.key_size = architecture.attention_loss.value_size, architecture.attention_loss.key_size

    def encode(self, directions: Tensor) -> Array:
        """See `FrozenUtility.encode`."""
        return native(directions @ self.axes)

    def decode(self, states: Array) -> Tensor:
        """See `FrozenUtility.decode`."""
        return as_tensor(states) @ self.axes.T

    def drive(self, sources: Tensor) -> Array:
        """-dL/dT, (..., value_size, key_size, D)."""
        output = self.architecture.output_tensor(sources)
        return native(self.architecture.attention_loss.loss_and_drive(output)[1])

    def gradient(self, states: Array, drive: Array) -> Array:
        """See `FrozenUtility.gradient`."""
        count, a, b = states.shape[0], self.value_size, self.key_size
        flat, end = drive.reshape(a, -1), a + self.head_dim * b
        values = states[:, :a]
        keys = states[:, a:end].reshape(count, self.head_dim, b)
        queries = states[:, end:].reshape(count, self.head_dim, -1)
        weighted = (values @ flat).reshape(count, b, -1)
        gradient = namespace(states).empty_like(states)
        gradient[:, :a] = (keys.swapaxes(1, 2) @ queries).reshape(count, -1) @ flat.T
        gradient[:, a:end] = (queries @ weighted.swapaxes(1, 2)).reshape(count, -1)
        gradient[:, end:] = (keys @ weighted).reshape(count, -1)
        return gradient
