"""A surface of functions around a subnetwork, in three dimensions: where the neuromanifold is pinched.

A neuron without outgoing weights has free incoming ones. So the functions with outgoing weights s * a and incoming
weights w + t * v are one function at s = 0, whatever t is, and a surface through it elsewhere: a cone, or a pinch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import Floats
from agfrun.labs.neuromanifolds.evaluation import Evaluations

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig

Array = np.ndarray

ROWS, COLUMNS = 21, 61
_EVALUATIONS = 40
_ROUNDING = 1e-10


def pinched_surface(network: NetworkConfig, seed: int) -> dict[str, Array] | None:
    """Functions around a random point of the first stratum of a neuron without outgoing weights.

    Inputs are of length one half to one and a half, so that all degrees count. The three coordinates are those
    directions of the values at random inputs along which the surface extends most, in units of its extent.

    Args:
        network: the architecture.
        seed: of the point, the directions and the inputs.

    Returns:
        `outgoing` s, `turn` t, and `first`, `second`, `third`, each of `ROWS` by `COLUMNS` entries in one row; None for
        a network without such a stratum.
    """
    stratum = next((one for one in network.strata() if one.kind == "out"), None)
    if stratum is None:
        return None
    field, generator = Floats(), np.random.default_rng(seed)
    weights = stratum.point(field, generator)
    names = list(weights)
    into, out = names[stratum.layer - 1], names[stratum.layer]
    drawn = Evaluations.draw(network, field, generator, _EVALUATIONS)
    lengths = np.linalg.norm(drawn.inputs, axis=1, keepdims=True) / generator.uniform(0.5, 1.5, (_EVALUATIONS, 1))
    evaluations = Evaluations(network, field, drawn.constants, drawn.inputs / lengths, drawn.outputs)
    start, end = (_unit(generator, weights[into].shape[1]) for _ in range(2))
    # With one input the incoming weight itself is moved from 1 to -1.
    end = _unit_of(end - (start @ end) * start) if len(start) > 1 else np.zeros(1)
    leaving = _unit(generator, len(weights[out]))
    scales, turns = np.linspace(-1, 1, ROWS), np.linspace(0, np.pi, COLUMNS)
    values = []
    for scale in scales:
        for turn in turns:
            moved = {name: entries.copy() for name, entries in weights.items()}
            moved[into][-1] = np.cos(turn) * start + np.sin(turn) * end
            moved[out][:, -1] = scale * leaving
            values.append(evaluations.values(moved))
    table = np.array(values) - evaluations.values(weights)
    found = np.linalg.svd(table, full_matrices=False)
    axes = found.Vh[:3] * (found.S[:3] > _ROUNDING * found.S[0])[:, None]
    places = table @ axes.T / np.abs(table @ axes.T).max()
    grid = np.meshgrid(scales, turns, indexing="ij")
    return {"outgoing": grid[0].ravel(), "turn": grid[1].ravel(),
            **{name: places[:, i] for i, name in enumerate(("first", "second", "third"))}}


def _unit(generator: np.random.Generator, length: int) -> Array:
    return _unit_of(generator.standard_normal((length,)))


def _unit_of(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))
