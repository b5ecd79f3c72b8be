"""Which moves a policy makes, beside those of the product rule: shares by what a move does to a row and to its dual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.kernels.candidates import CHEAP
from agfrun.labs.lattices.kernels.walk import PolicyArrays
from agfrun.labs.lattices.reducers import Batch, room_for_record, walk_batch

BIN, LEAST, MOST = 0.25, -2.0, 3.0
# Of a move's features: how much shorter the row becomes, and the row of the dual basis that changes with it.
_GAINS = slice(2, 4)


def seen_product_rule() -> PolicyArrays:
    """The product rule as a linear policy that notices nothing else: its moves leave a record of features."""
    none, flat = np.empty(0), np.empty((0, 0))
    return PolicyArrays(np.zeros(CHEAP), np.ones(CHEAP), np.ones(2), flat, none, flat, none, flat, np.zeros(CHEAP))


def gains_of_moves(bases: FloatArray, policy: PolicyArrays, candidates: int, steps: int, temperature: float
                   ) -> FloatArray:
    """Logarithms (M, 2) of squared lengths before over after, of the row and of the dual's, for all moves of walks."""
    count = len(bases)
    record = room_for_record(steps, count, candidates, policy.mean.size)
    walk_batch(Batch.of(bases), np.random.default_rng(0), policy, temperature, candidates, steps, record)
    made = np.take_along_axis(record.features, record.chosen[..., None, None], axis=2)[..., 0, _GAINS]
    found: FloatArray = made.reshape(-1, 2)
    return found


def move_rows(gains: Mapping[str, FloatArray]) -> list[dict[str, Any]]:
    """Rows of moves.csv from gains by whose moves they are; those beyond the bins count to the outermost."""
    edges = np.arange(LEAST, MOST + BIN / 2, BIN)
    rows = []
    for who, made in gains.items():
        inside = np.clip(made, LEAST, MOST - BIN / 2)
        shares = np.histogram2d(inside[:, 0], inside[:, 1], bins=(edges, edges))[0] / len(made)
        rows += [{"policy": who, "gain": edges[i], "dual_gain": edges[j], "share": shares[i, j]}
                 for i, j in zip(*np.nonzero(shares), strict=True)]
    return rows
