"""Strata: kinds of weights whose function a smaller network has, with what is needed to measure them there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field

Arrays = Mapping[str, AnyArray]


@dataclass(frozen=True)
class Stratum:
    """A set of weights, by a random point of it.

    Attributes:
        layer: which layer is degenerate, from 1 on.
        kind: in what way, in a word.
        words: the same in a few words.
        point: a random point, of a field.
        tangent: vectors that span the tangent space of the set at a point, (P, K), columns in any number.
        fibre: further weights with the function of a point, of every kind that is known.
        projected: weights near the set moved onto it, in floats; the identity where the set is flat.
        strict: whether all weights of a neuron vanish, so that nothing but the rest of the network is left.
    """

    layer: int
    kind: str
    words: str
    point: Callable[[Field, np.random.Generator], dict[str, AnyArray]]
    tangent: Callable[[Arrays, Field], AnyArray]
    fibre: Callable[[Arrays, Field, np.random.Generator], Iterator[dict[str, AnyArray]]]
    strict: bool = False
    projected: Callable[[dict[str, AnyArray]], dict[str, AnyArray]] = lambda weights: weights


def coordinate_tangent(free: Mapping[str, AnyArray]) -> Callable[[Arrays, Field], AnyArray]:
    """`Stratum.tangent` of the weights at which others vanish; `free` has a flag for each weight."""
    flags = np.concatenate([np.asarray(mask, dtype=bool).reshape(-1) for mask in free.values()])
    units = np.eye(len(flags), dtype=np.int64)[:, flags]
    return lambda _, field: field.array(units)
