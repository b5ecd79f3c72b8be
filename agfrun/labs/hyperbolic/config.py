"""The settings of the studies of hyperbolic points: labelled sets, and what every run has. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from agfrun.labs.hyperbolic.geometry.points import Points
from agfrun.study import registry
from agfrun.study.checks import require
from agfrun.study.settings import RunSettings
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

    study: Study = field(default_factory=lambda: _default_study())
    data: SetsConfig = field(default_factory=lambda: _default_sets())

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        check_cpu(self)
        self.data.check()


def check_cpu(config: RunSettings) -> None:
    """That neither a device nor a number type is asked for, of which nothing here makes use.

    Raises:
        ConfigError: one is.
    """
    for key, allowed in (("device", ("auto", "cpu")), ("dtype", ("float64",))):
        value = getattr(config, key)
        require(key, value, value in allowed, f"{' or '.join(allowed)} with study={config.study.name}: graphs are "
                "made on the CPU in double precision")


def _default_study() -> Study:
    kind = registry.study_type("alignment")
    assert kind is not None
    return kind()  # type: ignore[no-any-return]


def _default_sets() -> SetsConfig:
    made: SetsConfig = registry.choices("data", SetsConfig)["olsson"]()
    return made
