"""The gathered tables of a sweep, and which of its keys a figure can be drawn over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.files.folders import LABELS_FILE
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_json
from agfrun.files.saved_run import FIRST_STUDY, read_config, study_of
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import swept_keys
from agfrun.files.sweep_rows import column_of
from agfrun.files.tables import of_now, read_any_table
from agfrun.study.study import Study
from agfrun.study.table import Schema

SEED = "seed"
RUNS_FILE = "runs.csv"


@dataclass(frozen=True)
class SavedSweep:
    """The runs of one study in a sweep, for its figures.

    Attributes:
        folder: of the sweep.
        study: what was done, as the first of them was configured.
        runs: the table `runs.csv`; those that have ended only, each swept key as numbers where all values are.
        keys: swept keys but the seed, in order: a figure shows bands over seeds.
        tables: the gathered tables by name, with the swept keys in leading columns.
        words: what the first run says in labels.json.
    """

    folder: Path
    study: Study
    runs: pd.DataFrame
    keys: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    words: Mapping[str, Any]

    @property
    def varied(self) -> list[str]:
        """The keys that have more than one value among the ended runs."""
        return [key for key in self.keys if key in self.runs and len(ordered_values(self.runs[key])) > 1]

    def name_of(self, key: str) -> str:
        """A key as an axis calls it."""
        return self.study.key_names.get(key, key)


def read_sweeps(folder: Path) -> list[SavedSweep]:
    """Read the gathered tables of a sweep: for each study that its runs are of, those runs that have ended.

    Raises:
        OutputError: a table is missing or damaged, or a study is not known here.
    """
    sweep = SweepFolder(folder)
    jobs = sweep.read_plan()
    keys = tuple(column_of(key) for key in swept_keys(jobs) if key != SEED)
    runs = read_any_table(folder / RUNS_FILE)
    runs = runs[runs["config_hash"].notna()] if "config_hash" in runs else runs.head(0)
    names = runs["study"].fillna(FIRST_STUDY) if "study" in runs else pd.Series(FIRST_STUDY, index=runs.index)
    return [_of_study(sweep, runs[names == name], keys) for name in dict.fromkeys(names)]


def _of_study(sweep: SweepFolder, runs: pd.DataFrame, keys: tuple[str, ...]) -> SavedSweep:
    folder, first = sweep.path, sweep.inside(str(runs["run"].iloc[0]))
    study = study_of(first, read_config(first))
    runs = runs[runs["status"].isin(study.ended)]
    tables = {schema.name: of_now(read_any_table(folder / gathered_file(study.name, schema)), schema)
              for schema in study.tables
              if schema.in_sweeps != "none" and is_there(folder / gathered_file(study.name, schema))}
    labels = (read_json(sweep.inside(str(run)) / LABELS_FILE) for run in runs["run"].head(3))
    words = next((said for said in labels if said), {})
    return SavedSweep(folder, study, runs, keys, tables, words)


def gathered_file(study: str, schema: Schema) -> str:
    """Name of the file that gathers a table of a study; one that is called as the sweep's own is told from that."""
    return f"{study}_{schema.file}" if schema.file == RUNS_FILE else schema.file


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
