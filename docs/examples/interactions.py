"""Targets that are sums of products of two inputs: y = sum_k c_k x_(2k-1) x_(2k), x standard normal."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from agfrun import DataConfig, Samples, register, require


@register("data")
@dataclass
class InteractionsConfig(DataConfig):
    name: str = "interactions"
    coefficients: list[float] = field(default_factory=lambda: [1.0, 0.7, 0.4])
    samples: int = 400
    data_seed: int = 0

    provides: ClassVar[type] = Samples

    def check(self) -> None:
        require("data.coefficients", self.coefficients, len(self.coefficients) > 0, "a list of numbers")
        require("data.samples", self.samples, self.samples >= 1, "an integer of at least 1")
        require("data.data_seed", self.data_seed, self.data_seed >= 0, "an integer of at least 0")

    def build(self, dtype: torch.dtype, device: torch.device) -> Samples:
        generator = np.random.default_rng(self.data_seed)
        inputs = generator.standard_normal((self.samples, 2 * len(self.coefficients)))
        products = inputs[:, 0::2] * inputs[:, 1::2]
        targets = products @ np.array(self.coefficients)[:, None]
        return Samples(torch.tensor(inputs, dtype=dtype, device=device),
                       torch.tensor(targets, dtype=dtype, device=device), output_names=("1",))
