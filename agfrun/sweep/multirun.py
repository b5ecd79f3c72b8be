"""A command line that makes a sweep: from its composition to what came of its jobs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from agfrun.configuration.composition import Composition, compose
from agfrun.configuration.hydra_folders import made
from agfrun.configuration.overrides import quoted
from agfrun.files.marks import MULTIRUN_FILE, MULTIRUN_MARK
from agfrun.files.writing import write_text
from agfrun.report.saved_sweep import gathered_file, read_sweeps
from agfrun.study.conversion import chosen_study, from_plain
from agfrun.study.errors import AgfrunError
from agfrun.study.registry import command_of, named_modules
from agfrun.study.settings import SweepConfig, TrackingConfig, check_sweep
from agfrun.study.study import Study
from agfrun.study.termination import exit_status, heed_termination
from agfrun.sweep.engines.engine import Engine
from agfrun.sweep.launch import Origin, check_folder, gathering, launch
from agfrun.sweep.launchers import engine_of
from agfrun.sweep.splitting import covering, in_batches, split
from agfrun.tracking import check_installed


def run_sweep(composition: Composition) -> int:
    """Run the jobs that a composition asks for, gather their tables and say what came of them.

    Returns:
        The exit status: 0, or the smallest of the jobs'.

    Raises:
        AgfrunError: the sweep cannot go into its folder, or what it needs, or a key or choice of a job, is wrong;
            nothing is written then.
    """
    folder, engine = folder_of(composition), engine_of(composition.value("hydra.launcher"))
    jobs = split(composition.run_overrides, composition.value("hydra.sweeper.params"), composition.config_dirs)
    batches = list(in_batches(jobs, composition.value("hydra.sweeper.max_batch_size")))
    settings = _checked(composition, folder, jobs)
    engine.preload = study_of(composition).preload
    for job in covering(jobs):
        compose(job, composition.config_dirs)
    with made(folder, MULTIRUN_FILE):
        write_text(folder / MULTIRUN_FILE, MULTIRUN_MARK + OmegaConf.to_yaml(composition.tree))
        statuses = {_launched(batch, composition, settings, engine) for batch in batches}
    return min(statuses - {0}, default=0)


def folder_of(composition: Composition) -> Path:
    """The folder of the sweep."""
    return Path(str(composition.value("hydra.sweep.dir"))).absolute()


def study_of(composition: Composition) -> type[Study]:
    """The study that the sweep's base configuration names.

    Raises:
        ConfigError: there is none of that name.
    """
    return chosen_study(OmegaConf.to_container(composition.run, resolve=False))


def _checked(composition: Composition, folder: Path, jobs: Sequence[Sequence[str]]) -> SweepConfig:
    """The keys `sweep.*`, once the sweep is known to be able to go into its folder, and what it needs is installed."""
    check_installed(from_plain(TrackingConfig, composition.value("tracking"), "tracking"))
    settings: SweepConfig = from_plain(SweepConfig, composition.value("sweep"), "sweep")
    check_sweep(settings)
    tables = [name for schema in study_of(composition).tables if schema.in_sweeps != "none"
              for name in (gathered_file(str(composition.value("study.name")), schema), f"{schema.name}.parquet")]
    check_folder(folder, jobs, settings, bool(composition.value("overwrite")), tables)
    return settings


def _launched(jobs: Sequence[Sequence[str]], composition: Composition, settings: SweepConfig, engine: Engine) -> int:
    """Run some jobs; the exit status."""
    folder = folder_of(composition)
    formats = list(composition.value("plot_formats")) if composition.value("plots") else []
    origin = Origin(tuple(named_modules()), composition.config_dirs, study_of(composition).together_keys)
    heed_termination()
    try:
        with gathering(folder, formats, bool(composition.value("report")), settings.parquet):
            outcome = launch(jobs, folder, settings, engine, origin)
    except KeyboardInterrupt as interruption:
        print(f"\nagfrun: interrupted; continue with: {_continuing(folder, composition.config_dirs)}", file=sys.stderr)
        return exit_status(interruption)
    print(f"{outcome.summary()}\n{_told_of_runs(folder)}written to {folder}", flush=True)
    return outcome.exit_status


def _continuing(folder: Path, config_dirs: Sequence[str]) -> str:
    """The command that goes on with a sweep, as a shell takes it."""
    words = [*(word for named in config_dirs for word in ("--config-dir", named)), "-m",
             f"sweep.resume={quoted(str(folder))}"]
    return command_of(*words)


def _told_of_runs(folder: Path) -> str:
    """What the study says of the ended runs; nothing where they cannot be read."""
    try:
        lines = [sweep.study.sweep_text(sweep.runs) for sweep in read_sweeps(folder) if len(sweep.runs)]
    except (AgfrunError, OSError):
        return ""
    return "".join(f"{line}\n" for line in lines if line)
