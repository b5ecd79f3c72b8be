"""The settings of the study of interaction: world, learner and training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from agfrun.labs.interaction.names import SEGMENTS
from agfrun.labs.interaction.worlds.world import WorldConfig
from agfrun.study import registry
from agfrun.study.checks import one_of, positive, require
from agfrun.study.settings import DTYPES, RunSettings
from agfrun.study.study import Study
from agfrun.training import LoopSettings

DEFAULT_DATA = "sprites"


@dataclass
class LearnerConfig:
    """The encoders and their losses.

    `channels` are those of convolutions of stride 2, the first 5 x 5 and the others 3 x 3, which all encoders share;
    `hidden` is the width of the layer after them, `embedding` the dimension of the contrastive code. `temperature` is
    the contrastive loss's, `variance` that of the object's place in parts of the squared field, `elongation` the ratio
    of its deviations along and across the object; above 1 a further head says in which direction it lies. `segment` is
    exact, or sampled at random points as published. `warmup` steps go by before the object's place is learned, for the
    split means nothing before. `dtype` is the encoders'.
    """

    channels: list[int] = field(default_factory=lambda: [16, 32, 32])
    hidden: int = 64
    embedding: int = 8
    temperature: float = 0.01
    variance: float = 0.01
    elongation: float = 1.0
    segment: str = "exact"
    warmup: int = 50
    dtype: str = "float32"

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("learner.channels", self.channels, 1 <= len(self.channels) <= 8
                and all(1 <= one <= 1024 for one in self.channels), "one to eight integers from 1 to 1024")
        require("learner.hidden", self.hidden, 1 <= self.hidden <= 10_000, "an integer from 1 to 10000")
        require("learner.embedding", self.embedding, 2 <= self.embedding <= 1000, "an integer from 2 to 1000")
        for key in ("temperature", "variance"):
            value = getattr(self, key)
            require(f"learner.{key}", value, positive(value) and 1e-6 <= value <= 1e6, "a number from 1e-6 to 1e6")
        require("learner.elongation", self.elongation, 1 <= self.elongation <= 100, "a number from 1 to 100")
        one_of("learner.segment", self.segment, SEGMENTS)
        require("learner.warmup", self.warmup, self.warmup >= 0, "an integer of at least 0")
        one_of("learner.dtype", self.dtype, DTYPES)


@dataclass
class TrainingConfig:
    """Adam on fresh transitions in every step."""

    steps: int = 500
    batch_size: int = 128
    learning_rate: float = 2e-3
    evaluate_every: int = 100

    def loop(self) -> LoopSettings:
        """The settings of the loop."""
        return LoopSettings(steps=self.steps, learning_rate=self.learning_rate, evaluate_every=self.evaluate_every)

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        self.loop().check("train")
        require("train.batch_size", self.batch_size, 8 <= self.batch_size <= 100_000, "an integer from 8 to 100000")


@dataclass
class InteractionSettings(RunSettings):
    """The settings of `study=interaction`."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", "interaction", Study))
    data: WorldConfig = field(default_factory=lambda: registry.default_choice("data", DEFAULT_DATA, WorldConfig))
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    train: TrainingConfig = field(default_factory=TrainingConfig)

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        require("dtype", self.dtype, self.dtype == "float64", f"float64 with study={self.study.name}: errors are "
                "measured in it; learner.dtype is that of the encoders")
        self.learner.check()
        self.train.check()
        self.data.check()
