"""The jobs that overrides with many values ask for: one for each combination."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from agfrun.configuration.composing import behaving, loader
from agfrun.configuration.hydra_errors import explain
from agfrun.configuration.overrides import at_home
from agfrun.files.sweep_jobs import key_of
from agfrun.study.config_tree import config_directory
from agfrun.study.errors import ConfigError, UsageError
from agfrun.sweep.size import check_size


def split(overrides: Sequence[str], swept: Mapping[str, Any] | None = None,
          config_dirs: Sequence[str] = ()) -> list[list[str]]:
    """The overrides of each job, in order.

    Args:
        overrides: of the command line; of two for one key the last counts.
        swept: further ones, which those of the command line replace.
        config_dirs: further folders, in which choices of a group are found: `model=glob(*)`.

    Raises:
        UsageError: one cannot be read, or has values without end, or they are more jobs than a plan holds.
    """
    words = [*(f"{key}={value}" for key, value in (swept or {}).items()), *overrides]
    try:
        with behaving():
            parser = OverridesParser.create(config_loader=loader(config_dirs))
            read = parser.parse_overrides(at_home(words))
            check_size(read)
            values = {override.get_key_element(): _values(override) for override in read}
    except Exception as error:
        raise explain(error, words) from error
    return [list(job) for job in itertools.product(*values.values())]


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [override.input_line or key] if override.is_delete() else \
            [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UsageError(f"{override.input_line} has values without end; write them out: {key}=1,2,3")
    values = [f"{key}={value}" for value in override.sweep_string_iterator()]
    if not values:
        raise UsageError(f"{override.input_line} has no values to run over")
    return values


def in_batches(jobs: Sequence[Sequence[str]], size: Any) -> Iterator[Sequence[Sequence[str]]]:
    """The jobs, so many at a time; None: all.

    Raises:
        ConfigError: the number is not allowed.
    """
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise ConfigError("hydra.sweeper.max_batch_size", size, "must be an integer of at least 1, or null for all")
    return (jobs[start:start + (size or len(jobs))] for start in range(0, len(jobs), size or len(jobs)))


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
