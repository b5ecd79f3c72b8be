"""What a set of lattices is: integer bases of one dimension."""

from __future__ import annotations

from dataclasses import dataclass

from agfrun.labs.lattices.bases import FloatArray
from agfrun.study.study import Choice


@dataclass
class LatticesConfig(Choice):
    """Which lattices: base of the choices of the slot `data`."""

    def check(self) -> None:
        """Check the ranges of the choice's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def size(self) -> tuple[int, int] | None:
        """How many lattices there are and their dimension; None: that is known once they are built."""
        return None

    def build(self) -> FloatArray:
        """The bases (N, n, n); rows are basis vectors, entries integers of at most 2^53.

        Raises:
            ConfigError: they cannot be read, or are no bases.
        """
        raise NotImplementedError
