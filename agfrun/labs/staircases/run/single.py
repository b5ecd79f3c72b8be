"""Single runs and seeds of the studies that make several."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agfrun.labs.staircases.config import DEFAULT_STUDY, RunConfig
from agfrun.study import registry
from agfrun.study.checks import require, require_seeds
from agfrun.study.table import Number

if TYPE_CHECKING:
    from agfrun.labs.staircases.run.result import Result

# Below, the exponent is of no scale that anything could be told of.
SMALLEST_EXPONENT = -1e6
# What a study of several runs says of them in done.json.
RUN_COUNTS = (
    Number("runs", "runs", "integer", in_figures=False, in_pages=False),
    Number("finished_runs", "runs that finished", "integer", of="runs", in_figures=False),
)


def one_run(config: RunConfig, **changes: Any) -> RunConfig:
    """A single run of a study's configuration, with some of its groups or values replaced."""
    return dataclasses.replace(config, study=_compare(), plots=False, **changes)


def run_at(config: RunConfig, log10_scale: float, seed: int) -> Result:
    """A single run of a study's configuration at another initialization scale, from another seed."""
    from agfrun.labs.staircases.run.pipeline import run  # torch

    init = dataclasses.replace(config.init, log10_scale=log10_scale)
    return run(one_run(config, init=init, seed=seed), progress=False)


def check_log10_scales(scales: Sequence[float], fewest: int, or_else: str = "") -> None:
    """Check decimal exponents of scales, `fewest` of them or more; `or_else` is what else a study allows.

    Raises:
        ConfigError: too few, one of them twice, or out of range.
    """
    different = "one exponent, or different ones," if fewest == 1 else f"{fewest} different exponents"
    require("study.log10_scales", scales, len(set(scales)) == len(scales) >= fewest
            and all(SMALLEST_EXPONENT <= scale < 0 for scale in scales),
            f"at least {different} from -1e6 up to but not including 0{or_else}")


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
