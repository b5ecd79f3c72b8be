"""What the laboratory of staircases is extended with from outside: a choice of each of its groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from agfrun import (
    Choice,
    DataConfig,
    InitConfig,
    ModelConfig,
    SampleNetwork,
    Samples,
    TrainConfig,
    register,
    require,
    train_by_gradient_flow,
)


class Product(SampleNetwork):
    """f(x) = sum_i a_i (w_i . x), with an initialization of its own."""

    name = "product"
    homogeneity_degree = 2

    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        return {"w": (input_dimension,), "a": (output_dimension,)}

    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return parameters["a"] * (parameters["w"] @ x)

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        drawn = super().draw("gaussian", scale, generator)
        return drawn.abs() if kind == "upright" else drawn


@register("model")
@dataclass
class ProductConfig(ModelConfig):
    name: str = "product"
    width: int = 3

    data_type: ClassVar[type] = Samples
    initializations: ClassVar[tuple[str, ...]] = ("gaussian", "upright")

    def build(self, data: Samples) -> Product:
        return Product(data, self.width)


@register("data")
@dataclass
class TwoPointsConfig(DataConfig):
    name: str = "two_points"
    height: float = 1.0

    provides: ClassVar[type] = Samples

    def check(self) -> None:
        require("data.height", self.height, self.height > 0, "a positive number")

    def build(self, dtype: torch.dtype, device: torch.device) -> Samples:
        return Samples(torch.eye(2, dtype=dtype, device=device),
                       torch.tensor([[self.height], [-1.0]], dtype=dtype, device=device), ("1",))


@register("train")
@dataclass
class StrictFlowConfig(TrainConfig):
    """Gradient flow with a tolerance that is not asked about."""

    name: str = "strict_flow"
    shown: bool = True

    def run(self, problem: Any, horizon: float, watch: Any) -> Any:
        return train_by_gradient_flow(
            problem.architecture, problem.initial, horizon, tolerance=1e-9, convergence=self.convergence,
            max_rows=self.max_rows, log_factor=problem.log_factor, checkpoints=watch.checkpoints, resume=watch.resume)


@register("init")
@dataclass
class UprightConfig(InitConfig):
    name: str = "upright"


class Saturating(SampleNetwork):
    """Its neurons are homogeneous of no degree."""

    name = "saturating"
    homogeneity_degree = 2

    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        return {"w": (input_dimension,), "a": (output_dimension,)}

    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return parameters["a"] * torch.tanh(parameters["w"] @ x)


@register("model")
@dataclass
class SaturatingConfig(ModelConfig):
    name: str = "saturating"

    data_type: ClassVar[type] = Samples

    def build(self, data: Samples) -> Saturating:
        return Saturating(data, 2)


@register("model")
@dataclass
class ModuleConfig(ModelConfig):
    """An ordinary network, which is no sum of homogeneous neurons at all."""

    name: str = "module"

    data_type: ClassVar[type] = Samples

    def build(self, data: Samples) -> nn.Module:  # type: ignore[override]
        return nn.Linear(2, 1)


@register("model")
@dataclass
class StrangerConfig(Choice):
    """A model of another laboratory."""

    name: str = "stranger"
