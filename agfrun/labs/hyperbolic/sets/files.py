"""Points from the user's own files: one file with labels, or two files, one a set."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from agfrun.files.array_files import read_npy
from agfrun.files.reading import read_named_text, reading_named
from agfrun.labs.hyperbolic.config import Labelled, SetsConfig
from agfrun.labs.hyperbolic.geometry.hydra import geodesic_distances, hydra
from agfrun.labs.hyperbolic.geometry.points import MODELS, Array, PointsError, joined, points_of
from agfrun.study.checks import one_of, require
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.registry import register

SUFFIXES = (".npy", ".csv")


@register("data")
@dataclass
class LabelledPointsConfig(SetsConfig):
    """A `.csv` file: a line of column names, one of them `label_column`, all others coordinates in order."""

    name: str = "labelled_points"
    path: str | None = None
    model: str = "poincare"
    label_column: str = "label"

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `SetsConfig.check`."""
        one_of("data.model", self.model, MODELS)
        require("data.path", self.path, self.path is not None and self.path.endswith(".csv"),
                "a file that ends in .csv (two files without labels: data=two_sets)")

    def load(self) -> Labelled:
        """See `SetsConfig.load`."""
        return read_labelled("data.path", Path(self.path or ""), self.model, self.label_column)


@register("data")
@dataclass
class TwoSetsConfig(SetsConfig):
    """Two files of coordinates, a row for each point: `.npy`, or `.csv` with a line of column names."""

    name: str = "two_sets"
    a: str | None = None
    b: str | None = None
    model: str = "poincare"

    file_keys: ClassVar[tuple[str, ...]] = ("a", "b")

    def check(self) -> None:
        """See `SetsConfig.check`."""
        one_of("data.model", self.model, MODELS)
        for key in ("a", "b"):
            value = getattr(self, key)
            require(f"data.{key}", value, value is not None and Path(value).suffix in SUFFIXES,
                    f"a file that ends in {' or '.join(SUFFIXES)}")
        require("data.b", self.b, self.a != self.b, "another file than data.a: a set is not compared with itself")

    def load(self) -> Labelled:
        """See `SetsConfig.load`."""
        sets = []
        for key in ("a", "b"):
            path = Path(getattr(self, key) or "")
            given = _read_matrix(f"data.{key}", path)
            try:
                sets.append(points_of(given, self.model))
            except PointsError as error:
                raise ConfigError(f"data.{key}", str(path), str(error)) from None
        try:
            points = joined(*sets)
        except PointsError as error:
            raise ConfigError("data.b", self.b, str(error)) from None
        return Labelled(points, ("a",) * len(sets[0]) + ("b",) * len(sets[1]))


@dataclass
class EmbeddedConfig(SetsConfig):
    """Samples that have no hyperbolic model: they are embedded by hydra.

    Distances are lengths of shortest paths between nearest `neighbours`, scaled so that the largest is `diameter`.
    """

    neighbours: int = 15
    diameter: float = 6.0
    dimension: int = 2

    def check(self) -> None:
        """See `SetsConfig.check`."""
        require("data.neighbours", self.neighbours, self.neighbours >= 1, "an integer of at least 1")
        require("data.diameter", self.diameter, 0 < self.diameter <= 20, "a number above 0 and at most 20")
        require("data.dimension", self.dimension, 2 <= self.dimension <= 5, "an integer from 2 to 5")

    def embedded(self, key: str, path: Path, label_column: str) -> Labelled:
        """The samples of a `.csv` file as points.

        Raises:
            ConfigError: it cannot be read, or its samples cannot be embedded.
        """
        labels, numbers = _labelled_numbers(key, path, label_column)
        require(key, str(path), bool(np.isfinite(numbers).all()), "a file of finite numbers")
        try:
            between = geodesic_distances(numbers, self.neighbours)
            return Labelled(hydra(between * self.diameter / between.max(), self.dimension), labels)
        except PointsError as error:
            raise ConfigError(key, str(path), str(error)) from None


@register("data")
@dataclass
class FeaturesConfig(EmbeddedConfig):
    """A `.csv` file of samples: a line of column names, one of them `label_column`, all others features."""

    name: str = "features"
    path: str | None = None
    label_column: str = "label"

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `SetsConfig.check`."""
        super().check()
        require("data.path", self.path, self.path is not None and self.path.endswith(".csv"),
                "a file that ends in .csv")

    def load(self) -> Labelled:
        """See `SetsConfig.load`."""
        return self.embedded("data.path", Path(self.path or ""), self.label_column)


def read_labelled(key: str, path: Path, model: str, label_column: str) -> Labelled:
    """Points and labels of a `.csv` file.

    Raises:
        ConfigError: it cannot be read, has no such column, or a row is no point of the model.
    """
    labels, numbers = _labelled_numbers(key, path, label_column)
    try:
        return Labelled(points_of(numbers, model), labels)
    except PointsError as error:
        raise ConfigError(key, str(path), str(error)) from None


def _labelled_numbers(key: str, path: Path, label_column: str) -> tuple[tuple[str, ...], Array]:
    """The column of labels, and all others."""
    columns, rows = _read_rows(key, path)
    if label_column not in columns:
        raise ConfigError("data.label_column", label_column, f"{path} has the columns {', '.join(columns)}"
                          f"{did_you_mean(closest(label_column, columns))}")
    place = columns.index(label_column)
    numbers = _numbers(key, path, [[*row[:place], *row[place + 1:]] for row in rows])
    return tuple(row[place].strip() for row in rows), numbers


def _read_matrix(key: str, path: Path) -> Array:
    if path.suffix == ".csv":
        return _numbers(key, path, _read_rows(key, path)[1])
    with reading_named(key, str(path)):
        array = read_npy(path.expanduser())
    require(key, str(path), array.ndim == 2 and array.dtype.kind in "fiu",
            f"a file with a row of numbers for each point, not {array.dtype} of shape {array.shape}")
    return array.astype(np.float64)


def _read_rows(key: str, path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows."""
    with reading_named(key, str(path)):
        lines = [row for row in csv.reader(read_named_text(path.expanduser()), strict=True) if row]
    require(key, str(path), len(lines) >= 2, "a file with a line of column names and at least one point")
    columns = [name.strip() for name in lines[0]]
    for number, row in enumerate(lines[1:], 1):
        require(key, str(path), len(row) == len(columns),
                f"a file with {len(columns)} cells in every row; point {number} has {len(row)}")
    return columns, lines[1:]


def _numbers(key: str, path: Path, rows: list[list[str]]) -> Array:
    for number, row in enumerate(rows, 1):
        for cell in row:
            try:
                float(cell)
            except ValueError:
                raise ConfigError(key, str(path), f"point {number} has {cell!r}, which is no number") from None
    return np.array(rows, dtype=np.float64)
