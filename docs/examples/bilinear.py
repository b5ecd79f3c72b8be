"""A bilinear network, f(x) = sum_i a_i (w_i . x) (g_i . x): two linear maps that gate one another."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from agfrun import ModelConfig, SampleNetwork, Samples, register, require


class Bilinear(SampleNetwork):
    name = "bilinear"
    homogeneity_degree = 3

    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        return {"w": (input_dimension,), "g": (input_dimension,), "a": (output_dimension,)}

    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return parameters["a"] * (parameters["w"] @ x) * (parameters["g"] @ x)


@register("model")
@dataclass
class BilinearConfig(ModelConfig):
    name: str = "bilinear"
    width: int = 6

    data_type: ClassVar[type] = Samples
    initializations: ClassVar[tuple[str, ...]] = ("gaussian", "balanced")

    def check(self) -> None:
        require("model.width", self.width, self.width >= 1, "an integer of at least 1")

    def build(self, data: Samples) -> Bilinear:
        return Bilinear(data, self.width)
