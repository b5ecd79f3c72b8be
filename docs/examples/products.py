"""A gated unit without a gate's nonlinearity: f(x) = sum_i (u_i . x)(v_i . x), a sum of products of linear forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

from agfrun import register, require
from agfrun.labs.neuromanifolds import ClosedForm, Element, NetworkConfig


@register("model")
@dataclass
class Products(NetworkConfig):
    name: str = "products"
    inputs: int = 4
    units: int = 2

    def check(self) -> None:
        for key in ("inputs", "units"):
            require(f"model.{key}", getattr(self, key), 1 <= getattr(self, key) <= 500, "an integer from 1 to 500")

    def architecture(self) -> str:
        return f"{self.inputs}-{self.units}"

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"u": (self.units, self.inputs), "v": (self.units, self.inputs)}

    def input_shape(self) -> tuple[int, ...]:
        return (self.inputs,)

    def output_degree(self) -> int:
        return 2

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        products = (weights["u"] @ inputs) * (weights["v"] @ inputs)
        return products.sum().reshape(1)

    # What follows is optional: what is known without measuring.

    def symmetry_dimension(self) -> int:
        return self.units  # u_i c and v_i / c give the same product

    def ambient(self) -> int:
        return comb(self.inputs + 1, 2)  # quadratic forms

    def closed_form(self) -> ClosedForm:
        rank = min(self.inputs, 2 * self.units)
        return ClosedForm(rank * self.inputs - comb(rank, 2), True, "symmetric matrices of bounded rank")

    def proved_bound(self) -> int:
        return self.closed_form().dimension
