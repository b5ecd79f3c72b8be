"""Permutations of which nobody has said that they are a group: of a file, at random, or of a loop that is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.groups import IntArray
from agfrun.labs.harmonics.config import Symmetries, SymmetryConfig, group_or_none, read_integers
from agfrun.study.checks import require
from agfrun.study.registry import register

# A Latin square with an identity that is not associative, the smallest there is.
LOOP = ((0, 1, 2, 3, 4), (1, 0, 3, 4, 2), (2, 4, 0, 1, 3), (3, 2, 4, 0, 1), (4, 3, 1, 2, 0))
MOST_POINTS = 200


@register("data")
@dataclass
class PermutationsConfig(SymmetryConfig):
    """Rows of `path`; else, with `points`, the identity and as many random permutations less one; else the loop."""

    name: str = "permutations"
    path: str | None = None
    points: int | None = None
    data_seed: int = 0

    def check(self) -> None:
        """See `SymmetryConfig.check`."""
        require("data.points", self.points, self.points is None or (self.path is None and 2 <= self.points
                <= MOST_POINTS), f"an integer from 2 to {MOST_POINTS}, or null, as it has to be with data.path")
        require("data.data_seed", self.data_seed, self.data_seed >= 0, "an integer of at least 0")

    def build(self) -> Symmetries:
        """See `SymmetryConfig.build`."""
        if self.path is not None:
            moves = read_integers("data.path", self.path)
            require("data.path", self.path, 2 <= moves.shape[1] <= MOST_POINTS and bool(
                (np.sort(moves, axis=1) == np.arange(moves.shape[1])).all()),
                f"a file whose rows are permutations of 0, ..., n - 1, n from 2 to {MOST_POINTS}")
            name = "permutations"
        elif self.points is not None:
            generator = np.random.default_rng(self.data_seed)
            moves = np.array([np.arange(self.points), *(generator.permutation(self.points)
                                                        for _ in range(self.points - 1))])
            name = "random permutations"
        else:
            moves, name = np.array(LOOP), "a loop of order 5"
        return Symmetries(name, moves, table_of(moves))


def table_of(moves: IntArray) -> IntArray | None:
    """The Cayley table whose rows the moves are, in any order, if that is a group with the identity at place 0."""
    rows = np.unique(moves, axis=0)
    return group_or_none(rows) if rows.shape[0] == rows.shape[1] else None
