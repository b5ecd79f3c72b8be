"""What Hydra's launcher and sweeper plugins call: from Hydra's configuration of a multirun to a sweep."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from agfrun.files.sweep_jobs import key_of
from agfrun.report.saved_sweep import gathered_file, read_sweeps
from agfrun.study.config_tree import config_directory
from agfrun.study.conversion import chosen_study, from_plain
from agfrun.study.errors import AgfrunError
from agfrun.study.registry import command_of, named_modules
from agfrun.study.settings import SweepConfig, TrackingConfig, check_sweep
from agfrun.study.study import Study
from agfrun.study.termination import exit_status, heed_termination
from agfrun.sweep.engines.engine import Engine
from agfrun.sweep.launch import Origin, Outcome, check_folder, gathering, launch
from agfrun.tracking import check_installed


class SweepFailed(Exception):
    """Some run of a sweep has failed, or it was interrupted; all is said, and the argument is the exit status."""


def folder_of(config: DictConfig) -> Path:
    """The folder of the sweep."""
    return Path(config.hydra.sweep.dir).absolute()


def settings_of(config: DictConfig) -> SweepConfig:
    """The keys `sweep.*`.

    Raises:
        ConfigError: a value is not allowed.
    """
    return from_plain(SweepConfig, OmegaConf.to_container(config.sweep, resolve=True), "sweep")


def check(config: DictConfig) -> None:
    """Before anything is written: whether the sweep can go into its folder, and what it needs is installed.

    Raises:
        AgfrunError: it cannot, or a key of `sweep` or `tracking` is wrong.
    """
    check_installed(from_plain(TrackingConfig, OmegaConf.to_container(config.tracking, resolve=True), "tracking"))
    settings = settings_of(config)
    check_sweep(settings)
    tables = [name for schema in study_of(config).tables if schema.in_sweeps != "none"
              for name in (gathered_file(str(config.study.name), schema), f"{schema.name}.parquet")]
    check_folder(folder_of(config), settings, bool(config.overwrite), tables)


def launch_multirun(overrides: Sequence[Sequence[str]], config: DictConfig, engine: Engine) -> Outcome:
    """Run the jobs of a multirun, gather their tables and say what came of them."""
    folder, settings = folder_of(config), settings_of(config)
    formats = list(config.plot_formats) if config.plots else []
    engine.preload = study_of(config).preload
    heed_termination()
    try:
        with gathering(folder, formats, bool(config.report), settings.parquet):
            outcome = launch(overrides, folder, settings, engine, _origin(config))
    except KeyboardInterrupt as interruption:
        folders = "".join(f"--config-dir {name} " for name in _origin(config).config_dirs)
        print(f"\nagfrun: interrupted; continue with: {command_of(f'{folders}-m sweep.resume={folder}')}",
              file=sys.stderr)
        raise SweepFailed(exit_status(interruption)) from None
    told = _told_of_runs(folder)
    print(f"{outcome.summary()}\n{told}written to {folder}", flush=True)
    return outcome


def _told_of_runs(folder: Path) -> str:
    """What the study says of the ended runs; nothing where they cannot be read."""
    try:
        lines = [sweep.study.sweep_text(sweep.runs) for sweep in read_sweeps(folder) if len(sweep.runs)]
    except (AgfrunError, OSError):
        return ""
    return "".join(f"{line}\n" for line in lines if line)


def covering(jobs: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Some of the jobs, so that each key and each choice of a group is in one of them.

    That finds wrong keys and choices before anything is run; a wrong value is its jobs' own failure.
    """
    groups = {path.name for path in config_directory().iterdir() if path.is_dir()}
    seen: set[str] = set()
    for job in jobs:
        looked_at = {override if key_of(override) in groups or "/" in key_of(override) else key_of(override)
                     for override in job}
        if not seen.issuperset(looked_at):
            seen.update(looked_at)
            yield job


def plain(settings: Any) -> Any:
    """Hydra's containers as plain lists and dictionaries."""
    return OmegaConf.to_container(settings, resolve=True) if OmegaConf.is_config(settings) else settings


def study_of(config: DictConfig) -> type[Study]:
    """The study that the sweep's base configuration names.

    Raises:
        ConfigError: there is none of that name.
    """
    return chosen_study(OmegaConf.to_container(config, resolve=False))


def _origin(config: DictConfig) -> Origin:
    sources = config.hydra.runtime.config_sources
    named = [str(Path(source.path).absolute()) for source in sources
             if source.provider == "command-line" and source.schema == "file"]
    return Origin(tuple(named_modules()), tuple(named), study_of(config).together_keys)

