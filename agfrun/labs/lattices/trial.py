"""One method on one set of lattices, from a seed of its own."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.methods import methods_of
from agfrun.labs.lattices.reducers import Batch, hkz_batch, minima_of


def generator_of(seed: int, word: str) -> np.random.Generator:
    """A generator for what a word names, the same whatever else is drawn."""
    return np.random.default_rng([seed, zlib.crc32(word.encode())])


def reduced_batch(method: str, bases: FloatArray, policy: str, steps: int | None, seed: int, trace: int = 0
                  ) -> tuple[Batch, npt.NDArray[np.bool_]]:
    """Reduce lattices; returns the batch, and where there is a basis: of `minima` only where they form one."""
    batch, generator = Batch.of(bases, trace), generator_of(seed, method)
    if method == "minima":
        hkz_batch(batch, generator)
        return batch, minima_of(batch)[1]
    methods_of(policy, steps)[method](batch, generator)
    return batch, np.ones(len(bases), dtype=bool)
