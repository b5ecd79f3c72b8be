"""The jobs of a sweep: their overrides, what their folders are called, and how they are put into batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agfrun.files.folders import FORMAT, folder_name
from agfrun.study.settings import NOT_IN_HASH

SWEEP = "sweep"
# A process of its own for each job costs its start; four batches a worker keep all of them busy to the end.
BATCHES_PER_WORKER = 4


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        overrides: what its configuration differs in from the shipped one.
        folder: name of its folder within the sweep's.
    """

    overrides: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class Batch:
    """Jobs that one process does.

    Attributes:
        jobs: in order.
        together: keys that only change numbers: jobs that differ in these alone are done together; none: one by one.
        imports: modules named with `--import`.
        config_dirs: folders named with `--config-dir`.
        format: of the sweep's folder when it was begun; what its jobs leave unsaid means what it meant then.
    """

    jobs: tuple[Job, ...]
    together: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    config_dirs: tuple[str, ...] = ()
    format: int = FORMAT


def key_of(override: str) -> str:
    """The key of an override such as `init.scale=0.1`, `+data=mine` or `~report`."""
    return override.lstrip("+~").partition("=")[0]


def value_of(override: str) -> str:
    """The value of an override, as written."""
    return override.partition("=")[2]


def job_of(overrides: Sequence[str]) -> Job:
    """The job of some overrides; how sweeps are run and where is no part of it."""
    kept = tuple(override for override in overrides if key_of(override).partition(".")[0] != SWEEP)
    named = sorted(override for override in kept if key_of(override).partition(".")[0] not in NOT_IN_HASH)
    return Job(kept, folder_name(",".join(named)))


def jobs_of(overrides: Iterable[Sequence[str]]) -> list[Job]:
    """The jobs of a sweep, each once, in whatever order its overrides come."""
    return list({job.folder: job for job in map(job_of, overrides)}.values())


def values(job: Job) -> dict[str, str]:
    """Its overrides by key."""
    return {key_of(override): value_of(override) for override in job.overrides}


def swept_keys(jobs: Sequence[Job]) -> list[str]:
    """Keys that do not have the same value in all jobs, in the order in which they are given."""
    tables = [values(job) for job in jobs]
    keys = dict.fromkeys(key for table in tables for key in table)
    return [key for key in keys if len({table.get(key) for table in tables}) > 1]


def in_common(job: Job, together: Collection[str]) -> tuple[str, ...]:
    """What jobs that can be done together have in common: their overrides but for those of some keys."""
    return tuple(override for override in job.overrides if override.partition("=")[0] not in together)


def batches_of(jobs: Sequence[Job], batch_size: int, workers: int | None, together: tuple[str, ...],
               **shared: Any) -> list[Batch]:
    """Share jobs out, so that every worker has something to do.

    Args:
        jobs: in order; those that can be done together go into one batch.
        batch_size: most jobs of a batch.
        workers: processes at once, None if there is no telling.
        together: keys that only change numbers; jobs that differ in these alone are done together.
        shared: further fields of every batch.
    """
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(in_common(job, together), []).append(job)
    pieces = -(-(workers or 1) // max(1, len(groups)))
    batches = []
    for group in groups.values():
        size = min(batch_size, -(-len(group) // pieces))
        batches += [Batch(tuple(group[start:start + size]), together, **shared)
                    for start in range(0, len(group), size)]
    most = -(-len(jobs) // (workers * BATCHES_PER_WORKER)) if workers else batch_size
    return _merged(batches, min(batch_size, most))


def _merged(batches: Sequence[Batch], most: int) -> list[Batch]:
    """Neighbouring batches as one, up to so many jobs."""
    merged: list[Batch] = []
    for batch in batches:
        if merged and len(merged[-1].jobs) + len(batch.jobs) <= most:
            batch = dataclasses.replace(batch, jobs=(*merged.pop().jobs, *batch.jobs))
        merged.append(batch)
    return merged
