"""Gaussian inputs labelled by a random two-layer network, the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.networks.two_layer.activation import Activation, leaky_relu, monomial, relu
from agfrun.labs.staircases.networks.two_layer.samples import Samples, samples
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

ACTIVATIONS = ("relu", "leaky_relu", "monomial")


@register("data")
@dataclass
class TeacherStudentConfig(DataConfig):
    """Gaussian inputs, targets y = sum_k b_k sigma(v_k . x) + noise with orthonormal teacher directions v_k.

    |b_k| = 1 / k with random directions in output space, so that the teacher's neurons are of graded importance.
    """

    name: str = "teacher_student"
    input_dimension: int = 10
    output_dimension: int = 1
    samples: int = 500
    teacher_width: int = 3
    activation: str = "relu"
    slope: float = 0.1
    degree: int = 2
    noise: float = 0.0
    data_seed: int = 0

    provides: ClassVar[type] = Samples

    def check(self) -> None:
        """See `DataConfig.check`."""
        for key in ("input_dimension", "output_dimension", "samples", "teacher_width"):
            value = getattr(self, key)
            require(f"data.{key}", value, value >= 1, "an integer of at least 1")
        require("data.teacher_width", self.teacher_width, self.teacher_width <= self.input_dimension,
                f"at most data.input_dimension={self.input_dimension}: the teacher's directions are orthonormal")
        one_of("data.activation", self.activation, ACTIVATIONS)
        require("data.slope", self.slope, -1 <= self.slope <= 1, "a number from -1 to 1")
        require("data.degree", self.degree, 1 <= self.degree <= 8, "an integer from 1 to 8")
        require("data.noise", self.noise, 0 <= self.noise <= 1e6, "a standard deviation from 0 to 1e6")
        require("data.data_seed", self.data_seed, 0 <= self.data_seed < 2**32, "an integer from 0 to 2**32 - 1")

    def memory(self) -> float:
        """See `DataConfig.memory`: samples in several copies, and the teacher."""
        return 8 * 8 * (float(self.samples) * (self.input_dimension + self.output_dimension + self.teacher_width)
                        + float(self.input_dimension) * (self.teacher_width + self.input_dimension))

    def build(self, dtype: torch.dtype, device: torch.device) -> Samples:
        """See `DataConfig.build`."""
        generator = np.random.default_rng(self.data_seed)
        inputs = generator.standard_normal((self.samples, self.input_dimension))
        directions = np.linalg.qr(generator.standard_normal((self.input_dimension, self.teacher_width)))[0]
        outputs = generator.standard_normal((self.teacher_width, self.output_dimension))
        outputs /= np.linalg.norm(outputs, axis=1, keepdims=True) * np.arange(1, self.teacher_width + 1)[:, None]
        hidden = self._activation()(torch.tensor(inputs @ directions)).numpy()
        noise = self.noise * generator.standard_normal((self.samples, self.output_dimension))
        return samples(inputs, hidden @ outputs + noise, dtype, device)

    def _activation(self) -> Activation:
        if self.activation == "leaky_relu":
            return leaky_relu(self.slope)
        return monomial(self.degree) if self.activation == "monomial" else relu()
