"""Handwritten digits, seen alike by all networks: they differ in their random numbers alone."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
import torch

from agfrun.labs.stitching.datasets.sides import Side, Sides, SidesConfig, dense, require_counts
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

IMAGES = 1797
_LARGEST_PIXEL = 16.0
_FEWEST_TEST = 97


@register("data")
@dataclass
class DigitImagesConfig(SidesConfig):
    """Images of 8 x 8 pixels with ten classes, that scikit-learn ships (UCI, Alpaydin & Kaynak 1998).

    `networks` are trained on the same images from other initializations.
    """

    name: str = "digit_images"
    networks: int = 4
    anchors: int = 100
    train: int = 600
    split_seed: int = 0

    def check(self) -> None:
        """See `SidesConfig.check`."""
        require("data.networks", self.networks, 2 <= self.networks <= 100, "an integer from 2 to 100")
        require_counts(self.anchors, self.train, IMAGES, f"{IMAGES} images")
        require("data.train", self.train, self.train + self.anchors <= IMAGES - _FEWEST_TEST,
                f"smaller, or data.anchors: together at most {IMAGES - _FEWEST_TEST} of {IMAGES} images")
        require("data.split_seed", self.split_seed, 0 <= self.split_seed < 2**63, "an integer from 0 to 2**63 - 1")
        if importlib.util.find_spec("sklearn") is None:
            raise ConfigError("data.name", self.name, "it needs scikit-learn; pip install 'agfrun[images]'")

    def sides(self) -> int:
        """See `SidesConfig.sides`."""
        return self.networks

    def build(self) -> Sides:
        """See `SidesConfig.build`."""
        from sklearn.datasets import load_digits  # an extra that `check` asks for

        images, digits = load_digits(return_X_y=True)
        order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(self.split_seed)).numpy()
        anchors, train, test = np.split(order, [self.anchors, self.anchors + self.train])
        images, labels = images / _LARGEST_PIXEL, digits.astype(np.int64)
        return Sides(10, tuple(
            Side(f"network {place + 1}", dense(images[anchors]), dense(images[train]), labels[train],
                 dense(images[test]), labels[test]) for place in range(self.networks)))
