"""The folders of runs: what their names look up, and none left behind empty by a run that wrote nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from agfrun.configuration.hydra_errors import explain


def first_given(*values: object) -> str | int | float | bool | None:
    """The first of the values that is not null: the resolver `agfrun.first` of configurations.

    Raises:
        ValueError: it is none of a single value: what is put together by a lookup was never looked at.
    """
    found = next((value for value in values if value is not None), None)
    if found is not None and not isinstance(found, str | int | float | bool):
        raise ValueError(f"${{agfrun.first:...}} gives a single value, not {type(found).__name__}")
    return found


def run_name(*, _root_: Any) -> str:
    """Name of the model of a configuration: the resolver `agfrun.run_name`.

    It is that of the study where there is no model, or where the study reads another run, `study.run`, in its place.
    """
    for group in ("study",) if OmegaConf.select(_root_, "study.run") else ("model", "study"):
        chosen = OmegaConf.select(_root_, f"{group}.name")
        if isinstance(chosen, str):
            return chosen
    return "run"


def register_resolvers() -> None:
    """Make what the shipped configurations look up known to OmegaConf."""
    renamed = "replace" in inspect.signature(OmegaConf.register_resolver).parameters  # in OmegaConf 2.4
    register: Any = OmegaConf.register_resolver if renamed else OmegaConf.register_new_resolver
    register("agfrun.first", first_given, replace=True)
    register("agfrun.run_name", run_name, replace=True)
    if not OmegaConf.has_resolver("now"):  # Hydra's own, in a process where it has run nothing yet
        register("now", lambda pattern: datetime.now().strftime(pattern), use_cache=True)


@contextmanager
def made(folder: Path, record: str = "") -> Iterator[None]:
    """Make a folder; at the end of the block remove it, and what was made above it, if nothing came of it.

    Args:
        folder: of a run or a sweep.
        record: of a sweep: name of the file that is there before any job has written.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        kept = _deepest_existing(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, ()) from error
    try:
        yield
    finally:
        if record:
            remove_empty_sweep(folder, kept, record)
        else:
            remove_empty(folder, kept)


def remove_empty(folder: Path, kept: Path) -> None:
    """Remove `folder` and the folders above it, as far as they are empty, up to `kept`."""
    for made in (folder, *folder.parents):
        if made == kept:
            return
        try:
            made.rmdir()
        except OSError:
            return


def remove_empty_sweep(folder: Path, kept: Path, record: str) -> None:
    """Remove the empty folders of a sweep's jobs, and the sweep's folder if no job wrote anything."""
    if not folder.is_dir():
        return
    for job_folder in folder.iterdir():
        with suppress(OSError):
            job_folder.rmdir()
    if folder != kept and [path.name for path in folder.iterdir()] == [record]:
        (folder / record).unlink()
    remove_empty(folder, kept)


def _deepest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
