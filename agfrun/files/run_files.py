"""The folder of a run, written atomically in the order in which things become known; one process at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import yaml

from agfrun.files.folders import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    DONE_FILE,
    FORMAT,
    LABELS_FILE,
    MANIFEST_FILE,
    PARAMETERS_FILE,
    PLOTS_FOLDER,
    REPORT_FILE,
)
from agfrun.files.inside import is_there, made, refuse_link
from agfrun.files.json_files import read_json
from agfrun.files.locking import FolderLock
from agfrun.files.marks import refuse_foreign
from agfrun.files.saved_run import read_config, study_name
from agfrun.files.steps import STEPS_FILE, StepLog
from agfrun.files.tables import conforming, rows_table
from agfrun.files.writing import (
    remove_file,
    remove_folder,
    remove_temporaries,
    write_csv,
    write_json,
    write_safetensors,
    write_text,
)
from agfrun.study import registry
from agfrun.study.claim import CLAIMS, Claim
from agfrun.study.errors import OutputError
from agfrun.study.settings import RunSettings, config_hash, saved_values
from agfrun.study.table import Schema

if TYPE_CHECKING:
    import pandas as pd

    from agfrun.files.checkpoints import CheckpointFolder

LOCK_FILE = ".lock"
# What any run may write, beside the tables of its study.
OF_ANY_RUN = (CONFIG_FILE, LABELS_FILE, PARAMETERS_FILE, MANIFEST_FILE, DONE_FILE, REPORT_FILE, CLAIMS.file,
              PLOTS_FOLDER, CHECKPOINTS_FOLDER)


@contextmanager
def opened(config: RunSettings, folder: Path | str | None, resume: bool = False) -> Iterator[RunFiles | None]:
    """The files of a run within this context; None for a run that writes none.

    Raises:
        OutputError: see `RunFiles`.
    """
    if folder is None:
        yield None
        return
    files = RunFiles(config, Path(folder), resume)
    try:
        yield files
    finally:
        files.close()


@contextmanager
def beside(files: RunFiles) -> Iterator[RunFiles]:
    """The files of the same run in a new folder beside its own, which is gone.

    Raises:
        OutputError: the folder cannot be made.
    """
    there, number = files.folder.absolute(), 2
    while is_there(there.with_name(f"{there.name}_{number}")):
        number += 1
    others = RunFiles(files.config, there.with_name(f"{there.name}_{number}"))
    try:
        others.begin()
        yield others
    finally:
        others.close()


class RunFiles:
    """A run folder, which nobody else writes into before `close`.

    Nothing of the run is written before the first call of `save`, so that a configuration that is refused late leaves
    nothing behind.

    Args:
        config: of the run.
        folder: may hold a run if `overwrite` is on, which is cleared away then.
        resume: whether it is the folder of a run to go on with.

    Raises:
        OutputError: the folder cannot be made, holds a run although it must not, or files of such names that are not
            this program's, or a link in place of a folder; or another process holds it.
    """

    def __init__(self, config: RunSettings, folder: Path, resume: bool = False) -> None:
        self.config, self.folder = config, folder
        self.schemas: dict[str, Schema] = {schema.name: schema for schema in config.study.tables}
        self.begun = False
        self._resume = resume
        self._checkpoints: dict[str, CheckpointFolder] = {}
        self._steps: StepLog | None = None
        keep = not config.overwrite and not resume
        self._refuse_others()
        self._refuse_if(keep and self.is_there())  # said before the folder is found to be read-only, or taken
        try:
            made(folder)
            self.lock = FolderLock(folder / LOCK_FILE, f"the run in {folder}")
            try:
                self._refuse_if(keep and self.is_there())
                if not resume:
                    remove_file(folder / DONE_FILE)
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
        return is_there(self.folder / CONFIG_FILE)

    def _refuse_others(self) -> None:
        """What is not this program's stays as it is, whatever is asked for."""
        refuse_foreign(self.folder, files_of(self.config))
        for name in (PLOTS_FOLDER, CHECKPOINTS_FOLDER):
            refuse_link(self.folder / name)

    def _refuse_if(self, taken: bool) -> None:
        if taken:
            raise OutputError(f"{self.folder} already holds a run; choose another folder with hydra.run.dir=DIR, or "
                              "pass overwrite=true")

    def begin(self) -> None:
        """Write the resolved configuration, after clearing away the files of a run that is overwritten."""
        made(self.folder)
        if self.is_there():  # files of these names in another folder are the user's
            _remove_run(self.folder, self.schemas.values())
        if not self.begun and not self._resume:
            self._remove_checkpoints()  # those of a run that is overwritten
        self._write(write_text, CONFIG_FILE, yaml.safe_dump({"format": FORMAT, **saved_values(self.config)},
                                                            sort_keys=False))
        self.begun = True

    def save(self, tables: Mapping[str, pd.DataFrame], words: Mapping[str, Any]) -> None:
        """Write tables that the study declares, and words for labels.json, as they are now.

        Raises:
            OutputError: they cannot be written.
            ValueError: the study declares no such table, or a table has other columns.
        """
        self._ensure_begun()
        if words:
            self._write(write_json, LABELS_FILE, words)
        for name in tables:
            if name not in self.schemas:
                raise ValueError(f"study={self.config.study.name} declares no table {name}")
            self._write(write_csv, f"{name}.csv", conforming(tables[name], self.schemas[name]))

    def write_claims(self, claims: Sequence[Claim]) -> None:
        """Write the claims."""
        rows = [dataclasses.asdict(claim) for claim in claims]
        self._write(write_csv, CLAIMS.file, rows_table(CLAIMS, rows))

    def write_arrays(self, arrays: Mapping[str, Any]) -> None:
        """Write arrays as safetensors, if there are any."""
        if arrays:
            self._write(write_safetensors, PARAMETERS_FILE, arrays, {"format": "agfrun arrays"})

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write provenance."""
        self._write(write_json, MANIFEST_FILE, manifest)

    def finish(self, done: Mapping[str, Any]) -> None:
        """Write the done-marker, last."""
        self._write(write_json, DONE_FILE, done)

    def clear_checkpoints(self) -> None:
        """Remove all that an interrupted run would go on from."""
        self._steps = None
        self._remove_checkpoints()

    def _remove_checkpoints(self) -> None:
        remove_folder(self.folder / CHECKPOINTS_FOLDER)

    def _ensure_begun(self) -> None:
        if not self.begun:
            self.begin()

    def checkpoints(self, name: str = "") -> CheckpointFolder:
        """Where states of a training under way are kept; `name` tells one of several trainings from the others."""
        self._ensure_begun()  # a checkpoint without a configuration is nobody's
        if name not in self._checkpoints:
            from agfrun.files.checkpoints import CheckpointFolder  # torch, which most studies without a training lack

            self._checkpoints[name] = CheckpointFolder(self.folder, self.config.checkpoint, config_hash(self.config),
                                                       name)
        return self._checkpoints[name]

    def steps(self) -> StepLog:
        """What is remembered of the run's steps."""
        if self._steps is None:
            self._steps = StepLog(self.folder / CHECKPOINTS_FOLDER / STEPS_FILE, config_hash(self.config), self._resume,
                                  self._ensure_begun)
        return self._steps

    def _write(self, writer: Any, name: str, *content: Any) -> None:
        try:
            writer(self.folder / name, *content)
        except OSError as error:
            raise OutputError(f"cannot write {self.folder / name}: {error.strerror or error}") from error


def files_of(config: RunSettings) -> list[str]:
    """Names of the files and folders that a run may write; figures lie in a folder of their own."""
    return [*OF_ANY_RUN, *(schema.file for schema in config.study.tables)]


def remove_unfinished(config: RunSettings, folder: Path) -> None:
    """Remove what a run that failed or was killed has left in the folder of another one, its configuration last.

    Raises:
        OutputError: the folder holds files that are not this program's, or some cannot be removed.
    """
    refuse_foreign(folder, files_of(config))
    if is_there(folder / CONFIG_FILE):
        _remove_run(folder, config.study.tables)
        remove_folder(folder / CHECKPOINTS_FOLDER)
        for name in (DONE_FILE, CONFIG_FILE):
            remove_file(folder / name)


def _remove_run(folder: Path, schemas: Iterable[Schema]) -> None:
    """Remove the files of a run but its configuration: of whatever study it is, and tables of these schemas."""
    refuse_link(folder / PLOTS_FOLDER)
    for name in (*_written(folder, schemas), PARAMETERS_FILE, LABELS_FILE, MANIFEST_FILE, REPORT_FILE):
        remove_file(folder / name)


def _written(folder: Path, schemas: Iterable[Schema]) -> list[str]:
    """The tables and figures that a run which is overwritten, of whatever study, says it has written."""
    written, kind = [], None
    with suppress(OutputError):  # what cannot be read is nobody's
        files = read_json(folder / MANIFEST_FILE).get("files")
        written = files if isinstance(files, list) else []
    with suppress(OutputError):
        kind = registry.study_type(study_name(read_config(folder)))
    tables = [*(kind.tables if kind is not None else ()), *schemas, CLAIMS]  # type: ignore[attr-defined]
    named = [name for name in written if isinstance(name, str) and _is_plain(name)]
    return list(dict.fromkeys([*(schema.file for schema in tables), *named]))


def _is_plain(name: str) -> bool:
    """Whether a name leads to a table in the folder or a figure in its `plots`, and nowhere else."""
    path = PurePath(name)
    return (path.suffix == ".csv" and path.name == name) or (
        path.suffix in (".png", ".pdf") and path == PurePath(PLOTS_FOLDER) / path.name)
