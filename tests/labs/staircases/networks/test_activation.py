from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.staircases.networks.two_layer.activation import Activation, leaky_relu, monomial, relu

CASES = {"relu": relu(), "relu cubed": relu(3), "leaky": leaky_relu(0.2), "absolute value": leaky_relu(-1.0),
         "identity": monomial(1), "square": monomial(2), "cube": monomial(3)}
EXPLICIT = {"relu": torch.relu, "relu cubed": lambda z: torch.relu(z) ** 3, "absolute value": torch.abs,
            "leaky": lambda z: torch.nn.functional.leaky_relu(z, 0.2), "identity": lambda z: z,
            "square": torch.square, "cube": lambda z: z**3}
ALL = pytest.mark.parametrize("name", CASES)
POINTS = torch.linspace(-2, 2, 20, dtype=torch.float64)  # none of them zero


@ALL
def test_it_is_the_function_it_is_called_after(name: str) -> None:
    torch.testing.assert_close(CASES[name](POINTS), EXPLICIT[name](POINTS))


@ALL
def test_derivatives(name: str) -> None:
    z = POINTS.clone().requires_grad_()
    slope = torch.autograd.grad(EXPLICIT[name](z).sum(), z, create_graph=True)[0]
    curvature = torch.autograd.grad(slope.sum() + 0 * z.sum(), z)[0]
    torch.testing.assert_close(CASES[name].slope(POINTS), slope.detach())
    torch.testing.assert_close(CASES[name].curvature(POINTS), curvature)


@settings(max_examples=30, deadline=None)
@given(degree=st.integers(1, 5), positive=st.floats(-3, 3), negative=st.floats(-3, 3), factor=st.floats(0.01, 100))
def test_it_is_positively_homogeneous(degree: int, positive: float, negative: float, factor: float) -> None:
    activation = Activation(degree, positive, negative)
    torch.testing.assert_close(activation(factor * POINTS), factor**degree * activation(POINTS))


def test_at_zero_the_slope_is_that_of_the_left_side() -> None:
    zero = torch.zeros(1)
    assert relu().slope(zero) == 0
    assert leaky_relu(0.2).slope(zero) == 0.2
    assert monomial(1).slope(zero) == 1
    assert all(activation(zero) == 0 for activation in CASES.values())


def test_only_a_jump_of_the_slope_is_a_kink() -> None:
    kinked = {name for name, activation in CASES.items() if activation.has_kink}
    assert kinked == {"relu", "leaky", "absolute value"}
    assert not leaky_relu(1.0).has_kink
