"""Going on with a run that was interrupted or killed, from what it has left in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agfrun.files.saved_run import finished_status, read_config, study_of
from agfrun.runner.execution import INTERRUPTED, execute
from agfrun.study.conversion import from_mapping
from agfrun.study.study import StudyResult


def resume_run(run_dir: Path, *, progress: bool | None = None,
               command: Sequence[str] | None = None) -> StudyResult | None:
    """Go on with a run of any study from where it was, or from the start where it has left nothing.

    Args:
        run_dir: folder of a run that was interrupted or killed.
        progress, command: see `execute`.

    Returns:
        What an uninterrupted run would have given; None if the run had come to its end before.

    Raises:
        OutputError: the folder holds no run, or one that is under way.
        ConfigError: its configuration is not allowed.
    """
    config = read_run_config(run_dir)
    if finished_status(run_dir) not in (None, INTERRUPTED):
        return None
    return execute(config, output_dir=run_dir, progress=progress, command=command, resume=True)


def read_run_config(run_dir: Path) -> Any:
    """The configuration that a run has saved.

    Raises:
        OutputError: the folder holds no run, or one of a study that is not known here.
        ConfigError: the configuration is not allowed.
    """
    config = read_config(run_dir)
    study_of(run_dir, config)
    return from_mapping(config)
