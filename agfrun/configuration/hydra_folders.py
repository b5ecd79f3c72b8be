"""The folders that Hydra makes: where a sweep's lies, and none left behind empty by a run that wrote nothing."""

from __future__ import annotations

import atexit
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def first_given(*values: object) -> object:
    """The first of the values that is not null: the resolver `agfrun.first` of configurations."""
    return next((value for value in values if value is not None), None)


def run_name(*, _root_: Any) -> str:
    """Name of the model of a configuration, of its study where it has none: the resolver `agfrun.run_name`."""
    for group in ("model", "study"):
        chosen = OmegaConf.select(_root_, f"{group}.name")
        if isinstance(chosen, str):
            return chosen
    return "run"


def register_resolvers() -> None:
    """Make what the shipped configurations look up known to OmegaConf."""
    OmegaConf.register_new_resolver("agfrun.first", first_given, replace=True)
    OmegaConf.register_new_resolver("agfrun.run_name", run_name, replace=True)


class RemoveEmptyFolders(Callback):
    """Hydra makes a run's folder before it starts the run; remove it at exit if nothing came of it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note which folders exist before Hydra makes the run's."""
        with suppress(OmegaConfBaseException):  # an unresolvable folder name is Hydra's to report
            folder = Path(config.hydra.run.dir).absolute()
            atexit.register(remove_empty, folder, _deepest_existing(folder))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note which folders exist before Hydra makes the sweep's."""
        with suppress(OmegaConfBaseException):
            folder = Path(config.hydra.sweep.dir).absolute()
            atexit.register(remove_empty_sweep, folder, _deepest_existing(folder))


def remove_empty(folder: Path, kept: Path) -> None:
    """Remove `folder` and the folders above it, as far as they are empty, up to `kept`."""
    for made in (folder, *folder.parents):
        if made == kept:
            return
        try:
            made.rmdir()
        except OSError:
            return


def remove_empty_sweep(folder: Path, kept: Path) -> None:
    """Remove the empty folders of a sweep's jobs, and the sweep's folder if no job wrote anything."""
    if not folder.is_dir():
        return
    for job_folder in folder.iterdir():
        with suppress(OSError):
            job_folder.rmdir()
    if folder != kept and [path.name for path in folder.iterdir()] == ["multirun.yaml"]:
        (folder / "multirun.yaml").unlink()
    remove_empty(folder, kept)


def _deepest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
