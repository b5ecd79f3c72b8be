"""What a page needs of one chart: a Vega-Lite specification, its data, and the sources that can be switched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agfrun.report.html.columns import Columns

Spec = dict[str, Any]


@dataclass(frozen=True)
class Toggle:
    """A switch of a chart's legend.

    Attributes:
        parameter: the specification's parameter that is true while the source is shown.
        label: what the reader sees.
        line: style of its sample: `solid`, `dashed`, `thin` or `dot`.
        colour: any CSS colour.
    """

    parameter: str
    label: str
    line: str
    colour: str


@dataclass(frozen=True)
class Chart:
    """One interactive chart.

    Attributes:
        name: identifies it within the page: letters, digits and dashes.
        title: heading above it, may be empty.
        description: what it shows, in words, for those who cannot see it.
        spec: Vega-Lite specification whose data are named.
        tables: the data by name, see `columns`.
        toggles: switches above it.
        zoom: fields on the x and y axis, if it can be zoomed.
        legend: names and colours of lines that no switch names.
        choices: by parameter, label and value of the options of a menu above it.
    """

    name: str
    title: str
    description: str
    spec: Spec
    tables: Mapping[str, Columns]
    toggles: Sequence[Toggle] = ()
    zoom: tuple[str, str] | None = None
    legend: Sequence[tuple[str, str]] = ()
    choices: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script is given."""
        return {"name": self.name, "spec": self.spec, "tables": self.tables, "zoom": self.zoom}


@dataclass(frozen=True)
class Column:
    """A column of a table in the page; a `wide` one holds sentences."""

    label: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell: its text, where it leads, and `good`, `bad` or nothing."""

    text: str
    tone: str = ""
    link: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table of a page."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
