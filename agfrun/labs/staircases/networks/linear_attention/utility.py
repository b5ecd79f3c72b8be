"""Utility of attention heads against a fixed drive, without the calls that only large networks are worth."""

from __future__ import annotations

from torch import Tensor

from agfrun.labs.staircases.arrays import Array, as_tensor, namespace, native
from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility
from agfrun.labs.staircases.networks.linear_attention.heads import HeadLayout
from agfrun.labs.staircases.networks.linear_attention.moments import AttentionLoss


class AttentionUtility(FrozenUtility):
    """U = <v (x) K^T Q, drive>, heads along the eigenvectors of the inputs' covariance."""

    def __init__(self, layout: HeadLayout, loss: AttentionLoss) -> None:
        self.layout, self.loss = layout, loss

    def encode(self, directions: Tensor) -> Array:
        """See `FrozenUtility.encode`."""
        return native(directions @ self.layout.axes)

    def decode(self, states: Array) -> Tensor:
        """See `FrozenUtility.decode`."""
        return as_tensor(states) @ self.layout.axes.T

    def drive(self, sources: Tensor) -> Array:
        """-dL/dT, (..., value_size, key_size, D)."""
        return native(self.loss.loss_and_drive(self.layout.output_tensor(sources))[1])

    def gradient(self, states: Array, drive: Array) -> Array:
        """See `FrozenUtility.gradient`."""
        count, a, b, rows = states.shape[0], self.layout.value_size, self.layout.key_size, self.layout.head_dim
        flat, end = drive.reshape(a, -1), a + rows * b
        values = states[:, :a]
        keys = states[:, a:end].reshape(count, rows, b)
        queries = states[:, end:].reshape(count, rows, -1)
        weighted = (values @ flat).reshape(count, b, -1)
        gradient = namespace(states).empty_like(states)
        gradient[:, :a] = (keys.swapaxes(1, 2) @ queries).reshape(count, -1) @ flat.T
        gradient[:, a:end] = (queries @ weighted.swapaxes(1, 2)).reshape(count, -1)
        gradient[:, end:] = (keys @ weighted).reshape(count, -1)
        return gradient
