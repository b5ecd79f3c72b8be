"""A gated unit without a gate's nonlinearity: f(x) = sum_i (u_i . x)(v_i . x), a sum of products of linear forms."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from agfrun import register, require
from agfrun.labs.neuromanifolds import ClosedForm, Counts, NetworkConfig, product, random_elements


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

    def counts(self) -> Counts:
        # u_i c and v_i / c give the same product: one symmetry a unit. The outputs are quadratic forms.
        return Counts(parameters=2 * self.units * self.inputs, symmetries=self.units, output_degree=2,
                      ambient=comb(self.inputs + 1, 2), proved_bound=self.closed_form().dimension)

    def closed_form(self) -> ClosedForm:
        rank = min(self.inputs, 2 * self.units)
        return ClosedForm(rank * self.inputs - comb(rank, 2), True, "symmetric matrices of bounded rank")

    def jacobian(self, prime: int, generator: np.random.Generator, evaluations: int) -> np.ndarray:
        u, v = (random_elements(generator, (self.units, self.inputs), prime) for _ in range(2))
        x = random_elements(generator, (self.inputs, evaluations), prime)
        by_u = product(v, x, prime)[:, None] * x % prime  # the derivative of (u . x)(v . x) by u is (v . x) x
        by_v = product(u, x, prime)[:, None] * x % prime
        return np.concatenate([by_u, by_v]).reshape(-1, evaluations)
