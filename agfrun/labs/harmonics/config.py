"""The settings of the studies of groups: what the network is to be invariant to, and what every run has.

A further source of symmetries is one class derived from `SymmetryConfig`, registered for the slot `data`, and one file
`configs/data/NAME.yaml`. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from agfrun.files.array_files import read_csv
from agfrun.groups import IntArray, check_group, irrep_dimensions
from agfrun.labs.harmonics.network.layout import Slots
from agfrun.study import registry
from agfrun.study.checks import require, require_a_day
from agfrun.study.errors import ConfigError
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.settings import RunSettings, require_float64_on_cpu
from agfrun.study.study import Choice, Study

DEFAULT_STUDY, DEFAULT_DATA = "invariant_network", "group"
# Measured for S4 and A5: of one loss and gradient of one network, for each n m d of each of a slot's d^2 columns.
SECONDS_A_STEP, USUAL_STEPS, BYTES_A_PRODUCT = 3e-8, 600, 96


@dataclass(frozen=True)
class Symmetries:
    """What moves the places of inputs.

    Attributes:
        name: in a few words.
        moves: shape (m, n), row h the places that h.x takes its entries from: (h.x)[g] = x[moves[h, g]].
        table: the Cayley table, where the moves are the rows of one; None where they make no group.
    """

    name: str
    moves: IntArray
    table: IntArray | None

    @property
    def places(self) -> int:
        """The number n of places of an input."""
        return int(self.moves.shape[1])

    @cached_property
    def dimensions(self) -> tuple[int, ...] | None:
        """The irreps' dimensions; None without a group."""
        return None if self.table is None else tuple(irrep_dimensions(self.table))


@dataclass
class SymmetryConfig(Choice):
    """What a network is to be invariant to."""

    def check(self) -> None:
        """Check the ranges of this choice's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def build(self) -> Symmetries:
        """The moves.

        Raises:
            ConfigError: they cannot be made; names the key.
        """
        raise NotImplementedError


@dataclass
class HarmonicsConfig(RunSettings):
    """The settings of a study of one group; `seed` is that of initializations, samples and noise."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", DEFAULT_STUDY, Study))
    data: SymmetryConfig = field(default_factory=lambda: registry.default_choice("data", DEFAULT_DATA, SymmetryConfig))

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        check_processor(self)
        self.data.check()


def check_processor(config: RunSettings) -> None:
    """Refuse what these studies do not have: they compute in double precision on the CPU.

    Raises:
        ConfigError: names the key.
    """
    require_float64_on_cpu(config, "it computes in double precision on the CPU")


def check_size(config: RunSettings, slots: Slots, moves: int, restarts: int, fits: int = 1) -> None:
    """Refuse trainings that need more memory than there is, or days.

    Args:
        config: what asks for them.
        slots: of the networks.
        moves: that they are to be invariant to.
        restarts: trained at once.
        fits: such trainings, one after another.

    Raises:
        ConfigError: names the key that is furthest above its default.
    """
    work = restarts * slots.size * moves * int(slots.column_dimensions.sum())
    require_memory(config, BYTES_A_PRODUCT * restarts * moves * slots.size**2)
    key, value = largest_key(config)
    require_a_day(key, value, fits * work * SECONDS_A_STEP * USUAL_STEPS, "training")


def read_integers(key: str, name: str) -> IntArray:
    """A rectangle of integers from a CSV file that the user names.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    path = Path(name).expanduser()
    try:
        values = read_csv(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(key, name, f"must be a CSV file of integers: {why}") from error
    require(key, name, values.size > 0 and bool(np.isfinite(values).all()) and np.array_equal(values, values.round()),
            "a CSV file of integers, a row a line")
    return values.astype(np.int64)


def group_or_none(table: IntArray) -> IntArray | None:
    """The table, if it is a group's whose identity is at place 0."""
    try:
        check_group(table)
    except ValueError:
        return None
    return table
