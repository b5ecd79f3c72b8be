"""The files of a run folder, written atomically in the order in which they become known."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from agfrun.files import tables
from agfrun.files.folders import CHECKPOINTS_FOLDER, DONE_FILE, PLOTS_FOLDER
from agfrun.files.locking import FolderLock
from agfrun.files.saved_run import CONFIG_FILE, LABELS_FILE, PARAMETERS_FILE
from agfrun.files.writing import remove_temporaries, write_csv, write_json, write_safetensors, write_text
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.report.ensemble_tables import MEMBERS
from agfrun.labs.staircases.wording import Wording
from agfrun.study.errors import OutputError
from agfrun.study.schema import RunConfig, saved_values

MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.html"
LOCK_FILE = ".lock"


@contextmanager
def opened(folder: Path | str | None, overwrite: bool = False, resume: bool = False) -> Iterator[RunFiles | None]:
    """The files of a run within this context; None for a run that writes none.

    Raises:
        OutputError: see `RunFiles`.
    """
    if folder is None:
        yield None
        return
    files = RunFiles(Path(folder), overwrite, resume)
    try:
        yield files
    finally:
        files.close()


class RunFiles:
    """A run folder, which nobody else writes into before `close`.

    Args:
        overwrite: whether it may hold a run, which is cleared away.
        resume: whether it is the folder of a run to go on with.

    Raises:
        OutputError: the folder cannot be made, holds a run although it must not, or another process holds it.
    """

    def __init__(self, folder: Path, overwrite: bool = False, resume: bool = False) -> None:
        self.folder = folder
        keep = not overwrite and not resume
        self._refuse_if(keep and self.is_there())  # said before the folder is found to be read-only, or taken
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = FolderLock(folder / LOCK_FILE, f"the run in {folder}")
            try:
                self._refuse_if(keep and self.is_there())
                if not resume:
                    (folder / DONE_FILE).unlink(missing_ok=True)
                for part in (folder, folder / PLOTS_FOLDER, folder / CHECKPOINTS_FOLDER):
                    remove_temporaries(part)
            except BaseException:
                self.lock.release()
                raise
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error

    def close(self) -> None:
        """Let others have the folder."""
        self.lock.release()

    def is_there(self) -> bool:
        """Whether the folder holds a run, be it unfinished."""
        return (self.folder / CONFIG_FILE).exists()

    def _refuse_if(self, taken: bool) -> None:
        if taken:
            raise OutputError(f"{self.folder} already holds a run; choose another folder with hydra.run.dir=DIR, or "
                              "pass overwrite=true")

    def begin(self, config: RunConfig) -> None:
        """Write the resolved configuration, after clearing away the files of a run that is overwritten."""
        old = [schema.file for schema in (*tables.SCHEMAS, MEMBERS)] + [f"{name}.csv" for name in config.study.tables]
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*old, PARAMETERS_FILE, LABELS_FILE, MANIFEST_FILE, REPORT_FILE):
            (self.folder / name).unlink(missing_ok=True)
        self._write(write_text, CONFIG_FILE, yaml.safe_dump(saved_values(config), sort_keys=False))

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

    def write_endings(self, endings: Sequence[Mapping[str, Any]]) -> None:
        """Write how training and the prediction ended."""
        self._write(write_csv, tables.ENDINGS.file, tables.rows_table(tables.ENDINGS, endings))

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
