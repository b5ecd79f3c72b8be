"""The gathered tables of a sweep, and which of its keys a figure can be drawn over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.files.saved_run import LABELS_FILE, read_labels
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import swept_keys
from agfrun.files.sweep_rows import ENDED, column_of
from agfrun.files.tables import read_any_table

SEED = "seed"
SCALES = ("init.scale", "init.log10_scale")


@dataclass(frozen=True)
class SavedSweep:
    """What the figures of a sweep need.

    Attributes:
        runs: the table `runs.csv`; those that have ended only, each swept key as numbers where all values are.
        comparison: the table `comparison.csv`, with the same keys; empty if there is none.
        keys: swept keys but the seed, in order: a figure averages over seeds.
        homogeneity_degree: of a neuron in its parameters, None if unknown.
    """

    runs: pd.DataFrame
    comparison: pd.DataFrame
    keys: tuple[str, ...]
    homogeneity_degree: int | None

    @property
    def scale_key(self) -> str | None:
        """The key of the initialization scale, if that is swept."""
        return next((key for key in self.keys if key in SCALES), None)


def read_sweep(folder: Path) -> SavedSweep:
    """Read the gathered tables of a sweep.

    Raises:
        OutputError: a table is missing or damaged.
    """
    jobs = SweepFolder(folder).read_plan()
    keys = tuple(column_of(key) for key in swept_keys(jobs) if key != SEED)
    runs = read_any_table(folder / "runs.csv")
    comparison = folder / "comparison.csv"
    runs = runs[runs["status"].isin(ENDED)]
    degree = next((read_labels(folder / run / LABELS_FILE)[1] for run in runs["run"]
                   if (folder / run / LABELS_FILE).exists()), None)
    return SavedSweep(runs, read_any_table(comparison) if comparison.exists() else pd.DataFrame(), keys, degree)


def ordered_values(column: pd.Series) -> list[object]:
    """The different values of a key, in order; those of a run that does not give it left out."""
    return sorted(column.dropna().unique().tolist(), key=lambda value: (isinstance(value, str), value))


def is_numeric(values: list[object]) -> bool:
    """Whether all values are numbers."""
    return bool(values) and not any(isinstance(value, str | bool) for value in values)


def is_logarithmic(values: list[object]) -> bool:
    """Whether numbers are better shown on a logarithmic axis."""
    if not is_numeric(values):
        return False
    numbers = np.array(values, dtype=float)
    return bool((numbers > 0).all() and numbers.max() > 15 * numbers.min())


def flags(column: pd.Series) -> npt.NDArray[np.float64]:
    """A column of True, False and nothing as 1, 0 and NaN."""
    return np.array([{"True": 1.0, "False": 0.0}.get(str(value), np.nan) for value in column])
