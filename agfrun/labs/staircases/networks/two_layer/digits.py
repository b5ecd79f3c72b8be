"""Images of handwritten digits, 8 x 8 pixels, that scikit-learn ships (UCI, Alpaydin & Kaynak 1998)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.networks.two_layer.samples import Samples, samples, whitened
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

IMAGE_COUNT = 1797


@register("data")
@dataclass
class DigitsConfig(DataConfig):
    """Handwritten digits, whitened, with one-hot targets minus their mean (scikit-learn's load_digits)."""

    name: str = "digits"
    samples: int | None = None
    classes: list[int] = field(default_factory=lambda: list(range(10)))

    provides: ClassVar[type] = Samples

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.classes", self.classes, len(self.classes) >= 2 and len(set(self.classes)) == len(self.classes)
                and all(0 <= digit <= 9 for digit in self.classes), "at least two digits from 0 to 9, each once")
        require("data.samples", self.samples, self.samples is None or 2 <= self.samples <= IMAGE_COUNT,
                f"an integer from 2 to {IMAGE_COUNT}, or null for all")
        if importlib.util.find_spec("sklearn") is None:
            raise ConfigError("data.name", self.name, "it needs scikit-learn; pip install 'agfrun[images]'")

    def build(self, dtype: torch.dtype, device: torch.device) -> Samples:
        """See `DataConfig.build`."""
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        chosen = np.isin(digits, self.classes)
        available = int(chosen.sum())
        count = available if self.samples is None else self.samples
        require("data.samples", self.samples, count <= available,
                f"at most {available}, the images there are of the digits {self.classes}")
        images, digits = images[chosen][:count], digits[chosen][:count]
        missing = sorted(set(self.classes) - set(digits.tolist()))
        require("data.samples", self.samples, not missing, f"more: the first {count} images show no {missing}")
        one_hot = (digits[:, None] == np.array(self.classes)).astype(np.float64)
        return samples(whitened(images), one_hot - one_hot.mean(0), dtype, device,
                       tuple(str(digit) for digit in self.classes))
