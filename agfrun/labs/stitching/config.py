"""The settings of the studies of stitching: data, the encoder and how it is trained. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from agfrun.labs.stitching.datasets.sides import SidesConfig
from agfrun.labs.stitching.names import ACTIVATION_NAMES, PENALTIES, PLACEMENTS
from agfrun.study import registry
from agfrun.study.checks import one_of, positive, require
from agfrun.study.settings import RunSettings
from agfrun.study.study import Study
from agfrun.training import LoopSettings

DEFAULT_DATA = "emoji"


@dataclass
class EncoderConfig:
    """Layers of the encoder, each followed by the activation; none: features are the latents, and heads are trained."""

    widths: list[int] = field(default_factory=lambda: [128, 64])
    activation: str = "relu"

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("encoder.widths", self.widths, len(self.widths) <= 10
                and all(1 <= one <= 10_000 for one in self.widths),
                "at most ten widths from 1 to 10000")
        one_of("encoder.activation", self.activation, ACTIVATION_NAMES)


@dataclass
class TrainingConfig:
    """AdamW on batches of as many samples of every class, drawn anew in each step: for all rows alike."""

    steps: int = 300
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    per_class: int = 16

    def loop(self) -> LoopSettings:
        """The settings of the loop."""
        return LoopSettings(steps=self.steps, learning_rate=self.learning_rate, weight_decay=self.weight_decay,
                            optimizer="adamw", evaluate_every=max(1, self.steps))

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        self.loop().check("train")
        require("train.per_class", self.per_class, 3 <= self.per_class <= 10_000, "an integer from 3 to 10000")


@dataclass
class StitchingSettings(RunSettings):
    """The settings of a study that trains encoders with heads."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", "stitching", Study))
    data: SidesConfig = field(default_factory=lambda: registry.default_choice("data", DEFAULT_DATA, SidesConfig))
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    train: TrainingConfig = field(default_factory=TrainingConfig)

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        require("device", self.device, self.device in ("auto", "cpu"), f"auto or cpu with study={self.study.name}: its "
                "networks are small, and their inputs sparse")
        self.encoder.check()
        self.train.check()
        self.data.check()


@dataclass
class DensificationConfig:
    """The loss of topological densification beside the cross-entropy."""

    beta: float = 1.0
    weight: float = 0.02
    placement: str = "both"
    penalty: str = "absolute"

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("topology.beta", self.beta, positive(self.beta), "a number above 0, in the units of the representation")
        require("topology.weight", self.weight, math.isfinite(self.weight) and self.weight >= 0,
                "a number of at least 0")
        one_of("topology.placement", self.placement, PLACEMENTS)
        one_of("topology.penalty", self.penalty, PENALTIES)
