"""What a data set is for stitching: for each network its own view of the samples, and anchors that all share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from agfrun.study.checks import require
from agfrun.study.study import Choice

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """What one network sees: a language, a seed, or latents that somebody else's network made.

    Attributes:
        name: of the network.
        anchors: features of the anchors, shape (m, f); the same samples, in the same order, for every side.
        train, test: features, shapes (n, f); sides may have other samples, and other features.
        train_labels, test_labels: classes, integers from 0, shape (n,).
    """

    name: str
    anchors: csr_array
    train: csr_array
    train_labels: Labels
    test: csr_array
    test_labels: Labels


@dataclass(frozen=True)
class Sides:
    """A data set.

    Attributes:
        classes: their number.
        parts: a side each; at least two.
    """

    classes: int
    parts: tuple[Side, ...]

    @property
    def majority(self) -> float:
        """Accuracy of saying the most frequent class of the test samples, on average over sides."""
        return float(np.mean([np.bincount(side.test_labels).max() / len(side.test_labels) for side in self.parts]))


@dataclass
class SidesConfig(Choice):
    """Which data: base of the choices of the slot `data`."""

    def check(self) -> None:
        """Check the ranges of the choice's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def sides(self) -> int:
        """Number of networks, as far as it is known without reading data; at least 2."""
        return 2

    def build(self) -> Sides:
        """Read the data.

        Raises:
            ConfigError: they cannot be read, or do not suit.
        """
        raise NotImplementedError


def require_counts(anchors: int, train: int, most: int, items: str) -> None:
    """Require numbers of anchors and of training samples that can be taken.

    Raises:
        ConfigError: a number is too small or too large.
    """
    require("data.train", train, 8 <= train <= most, f"an integer from 8 to {most}, of {items}")
    require("data.anchors", anchors, 2 <= anchors <= most, f"an integer from 2 to {most}, of {items}")


def dense(features: Any) -> csr_array:
    """Features of any array."""
    return csr_array(np.asarray(features, dtype=np.float64))
