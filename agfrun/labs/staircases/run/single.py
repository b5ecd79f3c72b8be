"""Single runs and seeds of the studies that make several."""

from __future__ import annotations

import dataclasses
from typing import Any

from agfrun.labs.staircases.config import DEFAULT_STUDY, RunConfig
from agfrun.study import registry
from agfrun.study.checks import require, require_seeds
from agfrun.study.table import Number

# What a study of several runs says of them in done.json.
RUN_COUNTS = (
    Number("runs", "runs", "integer", in_figures=False, in_pages=False),
    Number("finished_runs", "runs that finished", "integer", of="runs", in_figures=False),
)


def one_run(config: RunConfig, **changes: Any) -> RunConfig:
    """A single run of a study's configuration, with some of its groups or values replaced."""
    return dataclasses.replace(config, study=_compare(), plots=False, **changes)


def check_seeds(config: RunConfig, count: int, key: str = "study.seeds") -> None:
    """Check a number of seeds; `key` is what it is called.

    Raises:
        ConfigError: none, or several where the initialization is not random.
    """
    require_seeds(count, key)
    require(key, count, count == 1 or config.init.name != "deterministic",
            "1 with init=deterministic, which no seed changes")


def seeds_of(config: RunConfig, count: int) -> list[int]:
    """`count` seeds, from the configured one on."""
    return [config.seed + number for number in range(count)]


def _compare() -> Any:
    kind = registry.study_type(DEFAULT_STUDY)
    assert kind is not None
    return kind()
