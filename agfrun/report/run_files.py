"""The files of a run folder, written atomically in the order in which they become known."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from agfrun.dynamics.trajectory import Trajectory
from agfrun.errors import OutputError
from agfrun.events.event import Event
from agfrun.report import tables
from agfrun.report.ensemble_tables import MEMBERS
from agfrun.report.saved_run import CONFIG_FILE, LABELS_FILE, PARAMETERS_FILE
from agfrun.report.writing import write_csv, write_json, write_safetensors, write_text
from agfrun.schema import RunConfig
from agfrun.wording import Wording

DONE_FILE = "done.json"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.html"


class RunFiles:
    """A run folder.

    Raises:
        OutputError: the folder cannot be made, or holds a run and `overwrite` is False.
    """

    def __init__(self, folder: Path, overwrite: bool = False) -> None:
        self.folder = folder
        if (folder / CONFIG_FILE).exists() and not overwrite:
            raise OutputError(f"{folder} already holds a run; choose another folder with hydra.run.dir=DIR, or pass "
                              "overwrite=true")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / DONE_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error

    def begin(self, config: RunConfig) -> None:
        """Write the resolved configuration, after clearing away the files of a run that is overwritten."""
        old = [schema.file for schema in (*tables.SCHEMAS, MEMBERS)] + [f"{name}.csv" for name in config.study.tables]
        for name in (*old, PARAMETERS_FILE, LABELS_FILE, MANIFEST_FILE, REPORT_FILE):
            (self.folder / name).unlink(missing_ok=True)
        self._write(write_text, CONFIG_FILE, yaml.safe_dump(dataclasses.asdict(config), sort_keys=False))

    def write_labels(self, wording: Wording, homogeneity_degree: int) -> None:
        """Write how features are called, for the figures."""
        self._write(write_json, LABELS_FILE, dataclasses.asdict(wording) | {"homogeneity_degree": homogeneity_degree})

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a study's own table, NAME.csv."""
        self._write(write_csv, f"{name}.csv", table)

    def write_paths(self, trajectories: Sequence[Trajectory], events: Mapping[str, Sequence[Event]]) -> None:
        """Write loss, features, neurons and events."""
        self._write(write_csv, tables.LOSS.file, tables.loss_table(trajectories))
        self._write(write_csv, tables.FEATURES.file, tables.features_table(
            [path for path in trajectories if np.isfinite(path.features).any()]))
        if any(path.observables for path in trajectories):
            self._write(write_csv, tables.OBSERVABLES.file, tables.observables_table(trajectories))
        self._write(write_csv, tables.NEURONS.file, tables.neurons_table(trajectories))
        self._write(write_csv, tables.EVENTS.file, tables.events_table(events))

    def write_comparison(self, comparison: Sequence[Mapping[str, Any]]) -> None:
        """Write the comparison."""
        self._write(write_csv, tables.COMPARISON.file, tables.rows_table(tables.COMPARISON, comparison))

    def write_claims(self, claims: Sequence[Mapping[str, Any]]) -> None:
        """Write the claims."""
        self._write(write_csv, tables.CLAIMS.file, tables.rows_table(tables.CLAIMS, claims))

    def write_parameters(self, arrays: dict[str, np.ndarray]) -> None:
        """Write neurons as safetensors."""
        self._write(write_safetensors, PARAMETERS_FILE, arrays, {"format": "agfrun neurons (H, D)"})

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write provenance."""
        self._write(write_json, MANIFEST_FILE, manifest)

    def plot(self, formats: Sequence[str]) -> list[Path]:
        """Draw the figures from the files written so far."""
        from agfrun.report.redraw import redraw  # Matplotlib, which a run without figures need not load

        return redraw(self.folder, formats)

    def report(self) -> Path | None:
        """Write report.html from the files written so far.

        A page that cannot be made is not worth a run: it is left out, and a line on standard error says why.
        """
        try:
            from agfrun.report.html.report import write_report  # Matplotlib and templates, as in `plot`

            return write_report(self.folder)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"agfrun: warning: no report was written for {self.folder}: {reason}", file=sys.stderr)
            return None

    def finish(self, done: Mapping[str, Any]) -> None:
        """Write the done-marker, last."""
        self._write(write_json, DONE_FILE, done)

    def _write(self, writer: Any, name: str, *content: Any) -> None:
        try:
            writer(self.folder / name, *content)
        except OSError as error:
            raise OutputError(f"cannot write {self.folder / name}: {error.strerror or error}") from error
