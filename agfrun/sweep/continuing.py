"""Going on with the jobs that a sweep's folder has planned: what its plan says was not typed by whoever goes on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from agfrun.configuration.guard import check_saved
from agfrun.files.sweep_jobs import Job, key_of

TRACKING = "tracking"


def continued(planned: Sequence[Job], typed: Sequence[str], folder: Path) -> list[Job]:
    """The jobs of a plan, as they are to be run now: where they are recorded is what was typed, if anything was.

    Args:
        planned: the jobs.
        typed: the overrides of the command line.
        folder: of the sweep.

    Raises:
        ConfigError: a job asks for what only a command line may.
        UsageError: an override of it cannot be read.
    """
    told = tuple(text for text in typed if _is_tracking(text))
    kept = [dataclasses.replace(job, overrides=tuple(text for text in job.overrides
                                                     if not told or not _is_tracking(text)))
            for job in planned]
    for text in dict.fromkeys(text for job in kept for text in job.overrides):
        check_saved([text], f"the plan of {folder}")
    return [dataclasses.replace(job, overrides=(*job.overrides, *told)) for job in kept]


def _is_tracking(override: str) -> bool:
    return re.split(r"[.@]", key_of(override))[0] == TRACKING
