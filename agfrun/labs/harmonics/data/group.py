"""A finite group: by name, by permutations that generate it, or by its Cayley table in a file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agfrun.groups import IntArray, check_group, named_group, permutation_group, with_identity_first
from agfrun.labs.harmonics.config import Symmetries, SymmetryConfig, read_integers
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

DEFAULT_GROUP = "D4"
# The weights of one network have n^2 entries, and the products of a step n^3.
MOST_ELEMENTS = 240
_CYCLES = re.compile(r"(\s*\(\s*\d+([\s,]+\d+)*\s*\)\s*)+")


@register("data")
@dataclass
class GroupConfig(SymmetryConfig):
    """One of `group`, `generators` and `table`; the dihedral group D4 where none is given."""

    name: str = "group"
    group: str | None = None
    generators: list[str] = field(default_factory=list)
    table: str | None = None

    def check(self) -> None:
        """See `SymmetryConfig.check`."""
        given = [key for key in ("group", "generators", "table") if getattr(self, key)]
        if len(given) > 1:
            raise ConfigError(f"data.{given[0]}", getattr(self, given[0]), f"leave it out with data.{given[1]}: a "
                              "group is given in one way")

    def build(self) -> Symmetries:
        """See `SymmetryConfig.build`."""
        if self.table is not None:
            name, table = "table", self._of_file(self.table)
        elif self.generators:
            name, table = "permutations", self._generated()
        else:
            name = self.group or DEFAULT_GROUP
            try:
                table = named_group(name)
            except ValueError as error:
                raise ConfigError("data.group", name, f"must be {error}") from error
            require("data.group", name, len(table) <= MOST_ELEMENTS, f"a group of at most {MOST_ELEMENTS} elements; it "
                    f"has {len(table)}")
        return Symmetries(name, table, table)

    def _of_file(self, path: str) -> IntArray:
        table = read_integers("data.table", path)
        if table.shape[0] == table.shape[1]:
            # Counted from 1, as GAP does.
            table = with_identity_first(table - 1 if (table.min(), table.max()) == (1, len(table)) else table)
        require("data.table", path, len(table) <= MOST_ELEMENTS, f"a table of at most {MOST_ELEMENTS} elements")
        try:
            check_group(table)
        except ValueError as error:
            raise ConfigError("data.table", path, f"the table {error}; data=permutations takes one that is no group's"
                              ) from error
        return table

    def _generated(self) -> IntArray:
        cycles = [_cycles(text) for text in self.generators]
        points = max(point for one in cycles for cycle in one for point in cycle)
        try:
            return permutation_group([_permutation(one, points) for one in cycles], MOST_ELEMENTS)
        except ValueError as error:
            raise ConfigError("data.generators", self.generators, f"they {error}") from error


def _cycles(text: str) -> list[list[int]]:
    """Cycles of points from 1, such as `(1 2 3)(4 5)`.

    Raises:
        ConfigError: the text is not that.
    """
    require("data.generators", text, _CYCLES.fullmatch(text) is not None, "permutations as cycles of points from 1, "
            "such as ['(1 2 3 4)','(1 3)']")
    cycles = [list(map(int, re.findall(r"\d+", part))) for part in re.findall(r"\(([^)]*)\)", text)]
    points = [point for cycle in cycles for point in cycle]
    require("data.generators", text, len(set(points)) == len(points) and min(points) >= 1
            and max(points) <= MOST_ELEMENTS, f"disjoint cycles of points from 1 to {MOST_ELEMENTS}")
    return cycles


def _permutation(cycles: list[list[int]], points: int) -> list[int]:
    images = list(range(points))
    for cycle in cycles:
        for point, image in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            images[point - 1] = image - 1
    return images
