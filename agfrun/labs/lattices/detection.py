"""MIMO detection: y = H x + noise with x from a QAM grid, by linear detectors, reduced bases and maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.labs.lattices.bases import FloatArray, IntArray
from agfrun.labs.lattices.data.random_lattices import rayleigh_channels, real_rows
from agfrun.labs.lattices.kernels.sphere import closest_points
from agfrun.labs.lattices.trial import reduced_batch


@dataclass(frozen=True)
class Transmission:
    """Symbol vectors on channels, as real numbers.

    Attributes:
        channels: H (N, m, n), real.
        sent: x (N, n), integers 0, ..., levels - 1: the grid's points are `2 x - levels + 1`.
        received: y (N, m) = H (2 x - levels + 1) + noise.
        noise: standard deviation of each real part of the noise.
        levels: of each real part.
    """

    channels: FloatArray
    sent: IntArray
    received: FloatArray
    noise: float
    levels: int

    @property
    def power(self) -> float:
        """Mean square of a real part of the grid's points."""
        return (self.levels**2 - 1) / 3


def transmit(vectors: int, antennas: int, levels: int, snr_db: float, generator: np.random.Generator) -> Transmission:
    """Send random symbols, each vector on a Rayleigh channel of its own.

    The signal-to-noise ratio is that of a receive antenna: antennas x mean power of a symbol over that of the noise.
    """
    channels = np.swapaxes(real_rows(rayleigh_channels(vectors, antennas, generator)), -1, -2)
    sent = generator.integers(0, levels, (vectors, 2 * antennas))
    noise = float(np.sqrt(antennas * (levels**2 - 1) / 3 / 10 ** (snr_db / 10)))
    points = 2.0 * sent - levels + 1
    received = (channels @ points[..., None])[..., 0] + noise * generator.normal(size=(vectors, 2 * antennas))
    return Transmission(channels, sent, received, noise, levels)


def linear(one: Transmission, regularized: bool) -> IntArray:
    """Zero forcing, or MMSE: (H^T H + noise^2 / power) x = H^T y, rounded to the grid."""
    channels, received = _extended(one) if regularized else (one.channels, one.received)
    return _to_grid(np.linalg.solve(_gram(channels), _projected(channels, received))[..., 0], one.levels)


def reduced(one: Transmission, regularized: bool, method: str, policy: str, seed: int) -> IntArray:
    """The same in a reduced basis: with Q from the reduction of H, z = Q^-1 x is rounded to integers.

    Integers x are those of `Transmission.sent`, shifted and halved; whatever leaves the grid is clipped.
    """
    channels, received = _extended(one) if regularized else (one.channels, one.received)
    # R of H = Q R has the same Gram matrix, and is square.
    factor = np.linalg.cholesky(_gram(channels))
    batch = reduced_batch(method, np.ascontiguousarray(factor), policy, None, seed)
    columns = np.swapaxes(batch.transforms, -1, -2).astype(float)
    better = 2 * channels @ columns
    integers = np.rint(np.linalg.solve(_gram(better), _projected(better, _from_zero(channels, received, one.levels))))
    found: IntArray = np.clip((columns @ integers)[..., 0], 0, one.levels - 1).astype(np.int64)
    return found


def most_likely(one: Transmission) -> IntArray:
    """Maximum likelihood."""
    found = np.zeros_like(one.sent)
    closest_points(np.ascontiguousarray(2 * one.channels), _from_zero(one.channels, one.received, one.levels),
                   one.levels, found)
    return found


def bit_errors(sent: IntArray, found: IntArray, levels: int) -> int:
    """Wrong bits, levels being Gray-coded."""
    different = (sent ^ (sent >> 1)) ^ (found ^ (found >> 1))
    return int(sum(((different >> bit) & 1).sum() for bit in range(levels.bit_length() - 1)))


def _extended(one: Transmission) -> tuple[FloatArray, FloatArray]:
    """Channel and received vector, noise / sqrt(power) times the identity and zeros below: zero forcing is then MMSE.

    The points' mean is zero, so that nothing but zeros stands below.
    """
    count, _, n = one.channels.shape
    ridge = np.broadcast_to(one.noise / np.sqrt(one.power) * np.eye(n), (count, n, n))
    return np.concatenate([one.channels, ridge], 1), np.concatenate([one.received, np.zeros((count, n))], 1)


def _from_zero(channels: FloatArray, received: FloatArray, levels: int) -> FloatArray:
    """What would be received of points 2 x in place of 2 x - levels + 1."""
    found: FloatArray = received + (channels @ np.full((channels.shape[-1], 1), levels - 1.0))[..., 0]
    return found


def _gram(channels: FloatArray) -> FloatArray:
    found: FloatArray = np.swapaxes(channels, -1, -2) @ channels
    return found


def _projected(channels: FloatArray, received: FloatArray) -> FloatArray:
    found: FloatArray = np.swapaxes(channels, -1, -2) @ received[..., None]
    return found


def _to_grid(points: npt.NDArray[np.floating[Any]], levels: int) -> IntArray:
    found: IntArray = np.clip(np.rint((points + levels - 1) / 2), 0, levels - 1).astype(np.int64)
    return found
