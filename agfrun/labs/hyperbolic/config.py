"""The settings of the studies of hyperbolic points: labelled sets, and what every run has. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from agfrun.labs.hyperbolic.geometry.points import Points
from agfrun.study import registry
from agfrun.study.settings import RunSettings, require_float64_on_cpu
from agfrun.study.study import Choice, Study


@dataclass(frozen=True)
class Labelled:
    """Points of one space, each with the name of the set that it belongs to."""

    points: Points
    labels: tuple[str, ...]


@dataclass
class SetsConfig(Choice):
    """Which points: those of a file, or published ones."""

    def check(self) -> None:
        """Check the ranges of the own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def load(self) -> Labelled:
        """The points with their labels.

        Raises:
            UsageError: they cannot be read, or are no points of their model.
        """
        raise NotImplementedError


@dataclass
class HyperbolicConfig(RunSettings):
    """The settings of a study of labelled sets of points; `seed` is that of relabellings."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", "alignment", Study))
    data: SetsConfig = field(default_factory=lambda: registry.default_choice("data", "olsson", SetsConfig))

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        require_float64_on_cpu(self, "graphs are made on the CPU in double precision")
        self.data.check()
