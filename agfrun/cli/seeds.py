"""`ensemble.seeds=N` and `ensemble.scales=[A,B]`: a short form of a sweep over seeds and initialization scales."""

from __future__ import annotations

from collections.abc import Sequence

from agfrun.study.checks import MOST_SEEDS
from agfrun.study.errors import ConfigError

SEEDS, SCALES = "ensemble.seeds", "ensemble.scales"
MULTIRUN = ("--multirun", "-m")


def as_sweep(arguments: Sequence[str]) -> list[str]:
    """The command line with the short form written out; the same where it has none.

    Raises:
        ConfigError: a value is not allowed, or stands beside a sweep over the same key.
    """
    asked = {key: value for key, _, value in (argument.partition("=") for argument in arguments)
             if key in (SEEDS, SCALES)}
    if not asked:
        return list(arguments)
    others = [argument for argument in arguments if argument.partition("=")[0] not in asked]
    swept = []
    if SEEDS in asked:
        first = _last_value(others, "seed", "0")
        others = [argument for argument in others if argument.partition("=")[0] != "seed"]
        swept.append(_seeds(asked[SEEDS], first))
    if SCALES in asked and asked[SCALES] != "null":
        others = [argument for argument in others if argument.partition("=")[0] != "init.scale"]
        swept.append(f"init.scale={_scales(asked[SCALES])}")
    flags = [] if any(flag in others for flag in MULTIRUN) else [MULTIRUN[0]]
    return [*flags, *others, *swept]


def _seeds(count: str, first: str) -> str:
    if not count.isdecimal() or not 1 <= int(count) <= MOST_SEEDS:
        raise ConfigError(SEEDS, count, f"must be an integer from 1 to {MOST_SEEDS}; it is short for -m seed=0,1,...")
    if not first.isdecimal():
        raise ConfigError("seed", first, f"must be an integer of at least 0 beside {SEEDS}, which counts from it")
    start, stop = int(first), int(first) + int(count)
    return f"seed={start}" if stop == start + 1 else f"seed=range({start},{stop})"


def _scales(text: str) -> str:
    values = text.strip("[]").replace(" ", "")
    if not (text.startswith("[") and text.endswith("]") and values):
        raise ConfigError(SCALES, text, "must be a list such as [1e-2,1e-3]; it is short for -m init.scale=1e-2,1e-3")
    return values


def _last_value(arguments: Sequence[str], key: str, default: str) -> str:
    return next((value for name, _, value in (argument.partition("=") for argument in reversed(arguments))
                 if name == key), default)
