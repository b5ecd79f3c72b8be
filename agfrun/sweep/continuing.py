"""Going on with the jobs that a sweep's folder has planned: what its plan says was not typed by whoever goes on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from agfrun.configuration.guard import check_saved
from agfrun.configuration.hydra_errors import asked_study
from agfrun.files.sweep_jobs import Job, key_of
from agfrun.study import registry

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
                                                     if not (told and _is_tracking(text) or _is_removed(text, job))))
            for job in planned]
    for text in dict.fromkeys(text for job in kept for text in job.overrides):
        check_saved([text], f"the plan of {folder}")
    return [dataclasses.replace(job, overrides=(*job.overrides, *told)) for job in kept]


def _is_removed(override: str, job: Job) -> bool:
    """Whether it is of a key that its study has no more, which says nothing now."""
    kind = registry.study_type(asked_study(job.overrides))
    return kind is not None and key_of(override) in kind.settings.removed()  # type: ignore[attr-defined]


def _is_tracking(override: str) -> bool:
    return re.split(r"[.@]", key_of(override))[0] == TRACKING
