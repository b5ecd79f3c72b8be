"""One method on one set of lattices, from a seed of its own."""

from __future__ import annotations

import zlib

import numpy as np

from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.methods import methods_of
from agfrun.labs.lattices.reducers import Batch


def generator_of(seed: int, word: str) -> np.random.Generator:
    """A generator for what a word names, the same whatever else is drawn."""
    return np.random.default_rng([seed, zlib.crc32(word.encode())])


def reduced_batch(method: str, bases: FloatArray, policy: str, steps: int | None, seed: int, trace: int = 0) -> Batch:
    """Lattices reduced by a method, named in `methods_of`."""
    batch = Batch.of(bases, trace)
    methods_of(policy, steps)[method](batch, generator_of(seed, method))
    return batch
