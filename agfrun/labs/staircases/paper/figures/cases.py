"""The tables of a paper figure, case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context, of_source
from agfrun.labs.staircases.wording import Wording

FloatArray = npt.NDArray[np.float64]


class PaperTables:
    """Tables with leading columns `case` and `seed`, and what is read off them again and again."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self._tables = {name: _with_labels(table) for name, table in tables.items()}

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run."""
        return self._tables["runs"]

    @property
    def cases(self) -> list[str]:
        """Names of the cases of which a run has finished, in order."""
        return list(self["loss"]["case"].unique())

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A whole table, empty if it was not saved."""
        return self._tables.get(name, pd.DataFrame(columns=["case", "seed", "source", "time", "feature"]))

    def of(self, name: str, case: str) -> pd.DataFrame:
        """The rows of one case, of all its seeds."""
        table = self[name]
        return table[table["case"] == case]

    def first(self, name: str, case: str) -> pd.DataFrame:
        """The rows of a case's first finished seed."""
        rows = self.of(name, case)
        seeds = self.of("loss", case)["seed"]
        return rows[rows["seed"] == seeds.iloc[0]]

    def run(self, case: str) -> pd.Series:
        """The row of `runs` of a case's first finished seed."""
        rows = self.of("runs", case)
        return rows[rows["status"] != "failed"].iloc[0]

    def seeds(self, case: str) -> int:
        """How many of a case's seeds have finished."""
        return int(self.of("loss", case)["seed"].nunique())

    def log_inverse_scale(self, case: str) -> float:
        """log(1/scale) of a case, in which the clock of homogeneity degree 2 counts."""
        return -float(self.run(case)["log10_scale"]) * math.log(10)

    def context(self, case: str) -> FigureContext:
        """Words, colours and time axis of a case, from its first seed."""
        row = self.run(case)
        symbol = row["symbol"] if isinstance(row["symbol"], str) else None
        wording = Wording(str(row["feature_word"]), str(row["value_word"]), symbol)
        features = self.first("features", case)
        return figure_context(wording, int(row["homogeneity_degree"]), self.first("loss", case), features,
                              self.first("events", case))


def curves(table: pd.DataFrame, source: str, column: str) -> list[tuple[FloatArray, FloatArray]]:
    """Times and values of each seed of one source."""
    return [(rows["time"].to_numpy(float), rows[column].to_numpy(float))
            for _, rows in of_source(table, source).groupby("seed", sort=False)]


def _with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Labels of features as text, also where they are numbers, which a cell without one has made floats."""
    if "feature" not in table:
        return table
    labels = table["feature"]
    if labels.dtype.kind == "f" and (labels.dropna() % 1 == 0).all():
        labels = labels.astype("Int64")
    return table.assign(feature=labels.astype(str))
