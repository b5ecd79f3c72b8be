"""What a table is: its columns, their kinds and meanings. Reading and writing are `agfrun.files.tables`'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

ColumnKind = Literal["number", "integer", "flag", "text", "number or text"]
InSweeps = Literal["all", "thinned", "none"]


@dataclass(frozen=True)
class Column:
    """One column: its name, what its cells hold and what they mean."""

    name: str
    kind: ColumnKind
    meaning: str


@dataclass(frozen=True)
class Schema:
    """One table: the file's name in the run folder and its columns in order.

    Attributes:
        file: NAME.csv.
        columns: in order.
        meaning: what the table holds, in a few words, for whoever looks at the folder.
        in_sweeps: whether a sweep gathers `all` rows of its runs, `thinned` ones (evenly, for each word in the first
            column by itself), or `none`.
        optional: columns that older files lack; they are read as missing.
        earlier: what older files call a column, by its name.
        open: whether further columns may follow, of kinds that their cells show (the keys of a search).
    """

    file: str
    columns: tuple[Column, ...]
    meaning: str = ""
    in_sweeps: InSweeps = "all"
    open: bool = False
    optional: Sequence[str] = ()
    earlier: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.file.removesuffix(".csv")

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [column.name for column in self.columns]

    def with_leading(self, columns: Sequence[Column]) -> Schema:
        """The same table with further columns before its own."""
        return replace(self, columns=(*columns, *self.columns))


@dataclass(frozen=True)
class Number:
    """One number of a study's result: a key of `done.json`, a column of a sweep's `runs.csv`.

    Attributes:
        name: its key.
        meaning: in a few words: a column's heading, an axis's label.
        kind: `number`, `integer` or `flag`.
        of: the number that this one counts a part of; shown as `3 of 5`.
        is_share: whether it is shown in percent.
        in_figures: whether a sweep draws it over the keys that were swept; a flag is drawn as a share of the runs.
        in_pages: whether pages of several runs have a column for it.
        logarithmic: whether its axis is logarithmic where all values are positive.
    """

    name: str
    meaning: str
    kind: Literal["number", "integer", "flag"] = "number"
    of: str = ""
    is_share: bool = False
    in_figures: bool = True
    in_pages: bool = True
    logarithmic: bool = False
