"""Random numbers of initial neurons: every neuron from a stream of its own.

A neuron's stream depends on the seed and the neuron's number alone. So a wider network of the same seed begins with
the neurons of the narrower one, and the start depends neither on the scale nor on the precision of the run: numbers
are drawn in double precision and rounded at the end.

A plain `torch.Generator` in place of `NeuronStreams` is one stream for the whole network, drawn in the run's precision:
the draw of earlier versions (`init.stream=network`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class NeuronStreams(torch.Generator):
    """A generator whose neurons have streams of their own.

    Used like any `torch.Generator` it is one further stream, for what belongs to no single neuron.
    """

    def __new__(cls, seed: int) -> NeuronStreams:
        """On the CPU, whatever the run's device, so that all devices start alike."""
        return super().__new__(cls, device="cpu")  # type: ignore[call-arg]

    def __init__(self, seed: int) -> None:
        self.manual_seed(seed)
        self._seed = seed
        self._streams: list[np.random.RandomState] = []

    def of_neurons(self, count: int) -> list[np.random.RandomState]:
        """The streams of the first `count` neurons; each goes on where it was left."""
        self._streams += [_stream(self._seed, neuron) for neuron in range(len(self._streams), count)]
        return self._streams[:count]


def _stream(seed: int, neuron: int) -> np.random.RandomState:
    # The children of a SeedSequence are independent by construction, and no seed's child is another seed's, which
    # hashing (seed, neuron) as one number does not promise. RandomState's distributions are frozen, those of NumPy's
    # Generator and of torch may change from version to version.
    return np.random.RandomState(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(neuron,))))


def draw_normal(generator: torch.Generator, neurons: int, *shape: int, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers of each neuron, (neurons, *shape), on the CPU.

    Args:
        generator: `NeuronStreams`, or one stream for all.
        neurons: how many.
        shape: of one neuron's numbers.
        dtype: of the run, in which one stream for all draws; neurons' own streams draw in double precision.
    """
    if isinstance(generator, NeuronStreams):
        return _stacked([stream.standard_normal(shape) for stream in generator.of_neurons(neurons)], shape)
    return torch.randn(neurons, *shape, generator=generator, dtype=dtype)


def draw_uniform(generator: torch.Generator, neurons: int, *shape: int, dtype: torch.dtype) -> Tensor:
    """Numbers uniform from 0 to 1; see `draw_normal`."""
    if isinstance(generator, NeuronStreams):
        return _stacked([stream.random_sample(shape) for stream in generator.of_neurons(neurons)], shape)
    return torch.rand(neurons, *shape, generator=generator, dtype=dtype)


def draw_signs(generator: torch.Generator, neurons: int, *shape: int, dtype: torch.dtype) -> Tensor:
    """Signs, -1 or 1; see `draw_normal`."""
    if isinstance(generator, NeuronStreams):
        return 1 - 2 * (draw_uniform(generator, neurons, *shape, dtype=dtype) < 0.5).double()
    return (2 * torch.randint(2, (neurons, *shape), generator=generator) - 1).to(dtype)


def draw_shared(generator: torch.Generator, *shape: int, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers that belong to no single neuron; see `draw_normal`."""
    return torch.randn(*shape, generator=generator,
                       dtype=torch.float64 if isinstance(generator, NeuronStreams) else dtype)


def _stacked(rows: list[Any], shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, *shape, dtype=torch.float64)
