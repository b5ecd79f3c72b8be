"""The settings of trees, of the autoencoder and of its training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from agfrun.study import registry
from agfrun.study.checks import one_of, positive, require
from agfrun.study.settings import RunSettings, require_float64_on_cpu
from agfrun.study.study import Study
from agfrun.training import LoopSettings

ACTIVATIONS = ("relu", "tanh")


@dataclass
class TreeConfig:
    """A binary tree of 2^depth - 1 nodes; bit j of a node says whether j is it or above it, and each bit may flip."""

    depth: int = 8
    noise: float = 0.1
    copies: int = 2

    def nodes(self) -> int:
        """Number of nodes, which is that of bits too."""
        return int(2**self.depth - 1)

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("tree.depth", self.depth, 3 <= self.depth <= 11, "an integer from 3 to 11")
        require("tree.noise", self.noise, 0 <= self.noise <= 0.5, "a number from 0 to 0.5")
        require("tree.copies", self.copies, 1 <= self.copies <= 100, "an integer from 1 to 100")


@dataclass
class AutoencoderConfig:
    """Encoder and decoder of one hidden layer, and the dimension of the hyperbolic space between them."""

    dimension: int = 2
    hidden: int = 100
    activation: str = "relu"

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("autoencoder.dimension", self.dimension, 2 <= self.dimension <= 5, "an integer from 2 to 5")
        require("autoencoder.hidden", self.hidden, 1 <= self.hidden <= 10_000, "an integer from 1 to 10000")
        one_of("autoencoder.activation", self.activation, ACTIVATIONS)


@dataclass
class AutoencoderTraining:
    """Adam on batches of nodes, each with noise that is drawn anew.

    `beta` weighs the divergence from the prior, and `alignment` the smooth relative of the score of the encodings of a
    batch and of those of their reconstructions.
    """

    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 1e-3
    beta: float = 1.0
    alignment: float = 0.0
    snapshot_every: int = 100

    def loop(self) -> LoopSettings:
        """The settings of the loop."""
        return LoopSettings(steps=self.steps, learning_rate=self.learning_rate, optimizer="adam",
                            evaluate_every=self.snapshot_every)

    def check(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("train.batch_size", self.batch_size, 1 <= self.batch_size <= 100_000, "an integer from 1 to 100000")
        require("train.beta", self.beta, positive(self.beta), "a number above 0")
        require("train.alignment", self.alignment, self.alignment == 0 or positive(self.alignment),
                "a number of at least 0")
        require("train.snapshot_every", self.snapshot_every, 1 <= self.snapshot_every <= self.steps,
                "an integer from 1 to train.steps")
        self.loop().check("train")


@dataclass
class AutoencoderSettings(RunSettings):
    """The settings of a study that trains autoencoders with hyperbolic latents."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", "hyperbolic_vae", Study))
    tree: TreeConfig = field(default_factory=TreeConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    train: AutoencoderTraining = field(default_factory=AutoencoderTraining)

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        require_float64_on_cpu(self, "autoencoders are trained and scored on the CPU in double precision")
        self.tree.check()
        self.autoencoder.check()
        self.train.check()
        require("train.alignment", self.train.alignment, self.train.alignment == 0 or self.autoencoder.dimension == 2,
                "0 unless autoencoder.dimension=2: Voronoi sides are measured in the plane")
