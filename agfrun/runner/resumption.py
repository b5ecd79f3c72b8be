"""Going on with a run that was interrupted or killed, from what it has left in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from agfrun.files.folders import DONE_FILE
from agfrun.files.saved_run import read_config
from agfrun.labs.staircases.run.pipeline import Result, run
from agfrun.study.conversion import from_mapping
from agfrun.study.errors import OutputError
from agfrun.study.schema import DEFAULT_STUDY, RunConfig


def resume_run(run_dir: Path, *, progress: bool | None = None, command: Sequence[str] | None = None) -> Result | None:
    """Go on with a run from its last checkpoint, or from the start where it has left none.

    Args:
        run_dir: folder of a run that was interrupted or killed.
        progress, command: see `agfrun.labs.staircases.run.pipeline.run`.

    Returns:
        What an uninterrupted run would have given; None if the run had come to its end before.

    Raises:
        OutputError: the folder holds no run, one that cannot be resumed, or one that is under way.
        ConfigError: its configuration is not allowed.
    """
    config = read_run_config(run_dir)
    if finished_status(run_dir) not in (None, "interrupted"):
        return None
    if config.study.name != DEFAULT_STUDY or config.ensemble.is_asked_for:
        what = "an ensemble" if config.ensemble.is_asked_for else f"study={config.study.name}"
        raise OutputError(f"{run_dir} holds {what}, which has no checkpoints; run it anew with overwrite=true")
    return run(config, output_dir=run_dir, progress=progress, command=command, resume=True)


def read_run_config(run_dir: Path) -> RunConfig:
    """The configuration that a run has saved.

    Raises:
        OutputError: the folder holds no run.
        ConfigError: the configuration is not allowed.
    """
    return from_mapping(read_config(run_dir))


def finished_status(run_dir: Path) -> str | None:
    """The status in done.json; None if there is no such file, or it is damaged."""
    try:
        done = json.loads((run_dir / DONE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(done.get("status")) if isinstance(done, dict) else None
