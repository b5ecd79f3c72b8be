"""Data sets with integer or rational entries: random ones, and those that are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, exact
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.landscape.expansion import Expansion

# Numbers of few digits: the solutions' digits grow with them.
LARGEST_INPUT, LARGEST_TARGET = 3, 9
# Rows that are drawn in search of one that is no multiple of another; of one-dimensional inputs all are.
_TRIES = 100

Samples = tuple[FractionArray, FractionArray]
"""Inputs (samples, entries) and targets (samples, outputs)."""


def random_samples(expansion: Expansion, count: int, seed: int, number: int) -> Samples:
    """Integer inputs from -3 to 3, none a multiple of another where there is a choice, and targets from -9 to 9.

    Args:
        expansion: of the network.
        count: of samples.
        seed, number: of the data set.
    """
    generator = np.random.default_rng((seed, 6, number))
    inputs: list[list[int]] = []
    for _ in range(count):
        for _ in range(_TRIES):
            row = generator.integers(-LARGEST_INPUT, LARGEST_INPUT + 1, expansion.terms.shape[1] - 1).tolist()
            if any(row) and not any(_proportional(row, other) for other in inputs):
                break
        inputs.append(row)
    targets = generator.integers(-LARGEST_TARGET, LARGEST_TARGET + 1, (count, int(expansion.terms[:, 0].max()) + 1))
    return exact(inputs), exact(targets)


def _proportional(first: list[int], second: list[int]) -> bool:
    return all(a * d == b * c for a, c in zip(first, second, strict=True) for b, d in zip(first, second, strict=True))


def given_samples(data: Mapping[str, Any], entries: int, outputs: int) -> Samples:
    """Samples as they stand in the configuration, where a single output needs no list of its own.

    Raises:
        ConfigError: they are no numbers, or have other shapes.
    """
    require("study.data", data, set(data) == {"inputs", "targets"}, "null, or have inputs and targets")
    found = []
    for name, width in (("inputs", entries), ("targets", outputs)):
        key, values = f"study.data.{name}", data[name]
        rows = [one if isinstance(one, list) else [one] for one in values] if isinstance(values, list) else []
        require(key, values, bool(rows) and all(len(row) == width for row in rows),
                f"a list of samples with {width} numbers each")
        try:
            found.append(exact(rows))
        except (ValueError, ZeroDivisionError):
            raise ConfigError(key, values, "must be integers, decimals or fractions") from None
    require("study.data.targets", data["targets"], len(found[0]) == len(found[1]),
            f"as many as there are inputs, {len(found[0])}")
    return found[0], found[1]
