"""Doing a run again from what its manifest says, and how the tables differ."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype

from agfrun.files.folders import DONE_FILE, MANIFEST_FILE
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_object
from agfrun.files.saved_run import config_value, finished_status, of_this_format, read_config, study_of
from agfrun.files.tables import open_table, read_any_table
from agfrun.runner.execution import execute
from agfrun.study.conversion import from_mapping
from agfrun.study.errors import OutputError
from agfrun.study.settings import config_hash, hash_of_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Difference:
    """What of a table is not the same in both runs.

    Attributes:
        table: name of the file.
        column: where, or empty for the table as a whole.
        what: in words.
        size: largest difference of numbers over the largest number of the column; infinite for what is no number.
    """

    table: str
    column: str
    what: str
    size: float


@dataclass(frozen=True)
class Rerun:
    """A run done again.

    Attributes:
        tables: names of the files that both runs have.
        differences: what is not the same in them.
        provenance: what else is not the same: versions, platform and so on, before and now.
    """

    tables: Sequence[str]
    differences: Sequence[Difference]
    provenance: Mapping[str, tuple[Any, Any]]

    @property
    def largest(self) -> float:
        """The largest difference; 0 if all is the same."""
        return max((difference.size for difference in self.differences), default=0.0)

    def summary(self) -> str:
        """Lines for the terminal."""
        lines = [f"{name}: {before} before, {now} now" for name, (before, now) in self.provenance.items()]
        lines += [f"{difference.table}{f', {difference.column}' if difference.column else ''}: {difference.what}"
                  for difference in self.differences]
        differing = {difference.table for difference in self.differences}
        same = [table for table in self.tables if table not in differing]
        lines.append(f"{len(same)} of {len(self.tables)} tables are identical, number by number"
                     + (f"; the largest difference is {self.largest:.2g}" if 0 < self.largest < np.inf else ""))
        return "\n".join(lines)


def rerun(run_dir: Path, output_dir: Path | None = None, progress: bool | None = None) -> Rerun:
    """Do a finished run or study again and compare all tables.

    Args:
        run_dir: its folder.
        output_dir: where the new one is written; None: nowhere that stays.
        progress: show a bar; None decides by whether standard error is a terminal.

    Raises:
        OutputError: the folder holds no finished run, its study is not known here, or its files are damaged.
        ConfigError: the configuration is not allowed here.
    """
    if not is_there(run_dir / DONE_FILE):
        raise OutputError(f"{run_dir} holds no finished run: it has no {DONE_FILE}")
    if finished_status(run_dir) == "interrupted":
        raise OutputError(f"{run_dir} holds no finished run: it was interrupted")
    manifest = read_manifest(run_dir)
    saved = manifest.get("config")
    values = (of_this_format(run_dir, {"format": manifest.get("format", 1), **saved}) if isinstance(saved, dict)
              else read_config(run_dir))
    study_of(run_dir, values)
    values = _with_files_found(values, manifest)
    config = _without_decoration(from_mapping(values))
    # The hash of the first format was of keys that are no more.
    expected = manifest.get("config_hash")
    found = hash_of_values(saved) if isinstance(saved, dict) else config_hash(config)
    if "format" in manifest and expected != found:
        raise OutputError(f"{run_dir / MANIFEST_FILE} does not fit the configuration beside it (hash {expected}, not "
                          f"{found})")
    for path in run_dir.glob("*.csv"):  # what cannot be compared is said before anything is done again
        with open_table(path):
            pass
    with _folder(output_dir) as folder:
        execute(config, output_dir=folder, progress=progress, command=["agfrun", "rerun", str(run_dir)])
        names = sorted({path.name for path in run_dir.glob("*.csv")} | {path.name for path in folder.glob("*.csv")})
        differences = [found for name in names for found in differences_of(run_dir / name, folder / name)]
        return Rerun(names, differences, _changed(manifest, read_manifest(folder)))


def read_manifest(run_dir: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        OutputError: there is none, or it is damaged.
    """
    return read_object(run_dir / MANIFEST_FILE)


def differences_of(before: Path, now: Path) -> list[Difference]:
    """How two tables differ: in the columns, in the number of rows, or number by number.

    Columns of seconds say how long something took, and are left out.
    """
    for path, there in ((before, "now"), (now, "before")):
        if not is_there(path):
            return [Difference(path.name, "", f"is there {there} only", np.inf)]
    one, other = read_any_table(before), read_any_table(now)
    if list(one.columns) != list(other.columns):
        return [Difference(before.name, "", "the columns differ", np.inf)]
    if len(one) != len(other):
        return [Difference(before.name, "", f"{len(one)} rows before, {len(other)} now", np.inf)]
    found = (_difference(before.name, one[column], other[column]) for column in one.columns if "seconds" not in column)
    return [difference for difference in found if difference is not None]


def _difference(table: str, one: pd.Series[Any], other: pd.Series[Any]) -> Difference | None:
    if one.equals(other):
        return None
    column = str(one.name)
    if not (is_float_dtype(one) and is_float_dtype(other)) or (one.isna() != other.isna()).any():
        count = int(((one != other) & ~(one.isna() & other.isna())).sum())
        return Difference(table, column, f"{count} of {len(one)} entries differ", np.inf)
    size = float((one - other).abs().max() / max(one.abs().max(), other.abs().max()))
    return Difference(table, column, f"numbers differ by up to {size:.2g} of the largest", size)


def _with_files_found(values: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Files that are named from the folder in which the run was started, if they are not there from here."""
    found, directory = dict(values), manifest.get("directory")
    for key in manifest.get("inputs") or {}:
        group, _, name = str(key).partition(".")
        path = config_value(found, group, name, None)
        if not (isinstance(path, str) and isinstance(directory, str)) or Path(path).expanduser().exists():
            continue
        if (there := Path(directory) / path).is_file():
            found[group] = {**found[group], name: str(there)}
    return found


def _without_decoration(config: Any) -> Any:
    config.plots = config.report = config.overwrite = False
    return config


def _folder(output_dir: Path | None) -> AbstractContextManager[Path]:
    return nullcontext(output_dir) if output_dir is not None else _temporary_folder()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="agfrun-rerun-") as folder:
        yield Path(folder)


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two provenances, by name; versions one by one."""
    # Earlier folders have no checksums of their files.
    known = [{f"file of {key}": checksum for key, checksum in (values.get("inputs") or {}).items()}
             if before.get("inputs") else {} for values in (before, now)]
    flat = [{**{key: values.get(key) for key in ("agfrun", "git_revision", "platform")},
             **(values.get("versions") or {}), **files} for values, files in zip((before, now), known, strict=True)]
    return {key: (flat[0].get(key), flat[1].get(key)) for key in {**flat[0], **flat[1]}
            if flat[0].get(key) != flat[1].get(key)}
