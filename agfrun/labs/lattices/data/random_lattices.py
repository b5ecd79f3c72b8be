"""Random lattices of five kinds, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.data.lattices import LatticesConfig
from agfrun.labs.lattices.names import DISTRIBUTIONS
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

SMALLEST, LARGEST = 2, 32
FIXED_POINT = 2**20
"""Channels are real numbers; times this and rounded, their bases are exact integers."""
_LEAST_VOLUME = 0.5


@register("data")
@dataclass
class RandomLatticesConfig(LatticesConfig):
    """Random integer bases.

    `distribution`: `uniform`, entries from -`entry` to `entry`; `qary`, rows (1 A; 0 q) of the modulus q; `ntru`, the
    same with a circulant A; `knapsack`, the identity with a last column of numbers of `bits` bits; `mimo`, a channel
    of dimension / 2 antennas each, its complex entries i.i.d. Gaussian, as a real matrix times 2^20.
    """

    name: str = "random_lattices"
    distribution: str = "uniform"
    dimension: int = 10
    count: int = 300
    seed: int = 17
    entry: int = 32
    modulus: int = 1009
    bits: int = 20

    def check(self) -> None:
        """See `LatticesConfig.check`."""
        one_of("data.distribution", self.distribution, DISTRIBUTIONS)
        require("data.dimension", self.dimension, SMALLEST <= self.dimension <= LARGEST,
                f"an integer from {SMALLEST} to {LARGEST}")
        any_dimension = self.distribution in ("uniform", "knapsack")
        require("data.dimension", self.dimension, any_dimension or self.dimension % 2 == 0,
                f"even with data.distribution={self.distribution}")
        require("data.count", self.count, 1 <= self.count <= 1_000_000, "an integer from 1 to 1000000")
        require("data.seed", self.seed, 0 <= self.seed < 2**63, "an integer from 0 to 2**63 - 1")
        require("data.entry", self.entry, 1 <= self.entry <= 2**26, "an integer from 1 to 2**26")
        require("data.modulus", self.modulus, 2 <= self.modulus <= 2**26, "an integer from 2 to 2**26")
        require("data.bits", self.bits, 2 <= self.bits <= 26, "an integer from 2 to 26")

    def size(self) -> tuple[int, int]:
        """See `LatticesConfig.size`."""
        return self.count, self.dimension

    def build(self) -> FloatArray:
        """See `LatticesConfig.build`."""
        if self.distribution == "uniform":
            return uniform_bases(self.dimension, self.count, self.seed, self.entry)
        generator, n = np.random.default_rng(self.seed), self.dimension
        if self.distribution == "mimo":
            channels = rayleigh_channels(self.count, n // 2, generator)
            return np.rint(FIXED_POINT * real_rows(channels))
        made = np.zeros((self.count, n, n))
        made[:, range(n), range(n)] = 1
        if self.distribution == "knapsack":
            made[:, :, -1] = generator.integers(2**(self.bits - 1), 2**self.bits, (self.count, n))
            return made
        half = n // 2
        made[:, range(half, n), range(half, n)] = self.modulus
        if self.distribution == "qary":
            made[:, :half, half:] = generator.integers(0, self.modulus, (self.count, half, half))
        else:
            first = generator.integers(0, self.modulus, (self.count, half))
            for row in range(half):
                made[:, row, half:] = np.roll(first, row, axis=1)
        return made


def uniform_bases(dimension: int, count: int, seed: int, entry: int = 32) -> FloatArray:
    """Bases with independent entries from -entry to entry; singular ones are left out.

    Torch's generator draws a fifth more than are asked for, all at once, and as many again where too many are singular.
    """
    import torch  # help and configurations do without

    generator = torch.Generator().manual_seed(seed)
    found = np.empty((0, dimension, dimension))
    while len(found) < count:
        drawn = torch.randint(-entry, entry + 1, (int(1.2 * count) + 8, dimension, dimension),
                              generator=generator).double()
        found = np.concatenate([found, drawn[torch.linalg.det(drawn).abs() > _LEAST_VOLUME].numpy()])
    return found[:count]


def rayleigh_channels(count: int, antennas: int, generator: np.random.Generator) -> np.ndarray:
    """Complex channels (N, r, t) of as many antennas on both sides; entries i.i.d. Gaussian of mean power 1."""
    parts = generator.normal(size=(2, count, antennas, antennas))
    found: np.ndarray = (parts[0] + 1j * parts[1]) / np.sqrt(2)
    return found


def real_rows(channels: np.ndarray) -> FloatArray:
    """Bases of the real lattices of complex channels H: the columns of [[Re, -Im], [Im, Re]], as rows."""
    top = np.concatenate([channels.real, -channels.imag], -1)
    real: FloatArray = np.concatenate([top, np.concatenate([channels.imag, channels.real], -1)], -2)
    return np.ascontiguousarray(np.swapaxes(real, -1, -2))
