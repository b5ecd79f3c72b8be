"""The published numbers of the diagonal network: two- and five-dimensional regression."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import regression_2d, regression_5d

from agfrun.architectures.diagonal_linear import DiagonalLinear
from agfrun.data.regression import Regression
from agfrun.theory.diagonal_linear import diagonal_linear_theory, limit_saddles
from agfrun.theory.theory import Theory

TIMES_2D, ORDER_2D = [0.193042, 0.600220, 3.457363], [0, 1, 0]
LEVELS_2D = [2.311099, 1.114650, 0.070000, 0.0]
TIMES_5D, ORDER_5D = [0.120120, 0.600696, 0.981709, 1.112283, 4.219254], [1, 2, 3, 0, 4]
LEVELS_5D = [82.416705, 13.322997, 2.267025, 0.988054, 0.165564, 0.0]
DIGITS = 6e-7  # the published numbers have six decimals


def data_of(dimension: int) -> Regression:
    architecture = (regression_2d() if dimension == 2 else regression_5d()).architecture
    assert isinstance(architecture, DiagonalLinear)
    return architecture.data


def test_two_dimensional_sequence() -> None:
    saddles = limit_saddles(data_of(2))
    assert [saddle.coordinate for saddle in saddles] == ORDER_2D
    assert [saddle.sign for saddle in saddles] == [1, 1, -1]
    assert [saddle.collapsed for saddle in saddles] == [(), (0,), ()]
    np.testing.assert_allclose([saddle.time for saddle in saddles], TIMES_2D, atol=DIGITS)
    np.testing.assert_allclose([saddle.loss for saddle in saddles], LEVELS_2D[1:], atol=DIGITS)
    expected = [[0.46193, 0.0], [0.0, 1.58431], [-0.2, 2.0]]
    np.testing.assert_allclose([saddle.coefficients for saddle in saddles], expected, atol=6e-6)


def test_two_dimensional_loss_after_the_collapse_is_exact() -> None:
    """On the second saddle only coordinate 2 is learned: 0.07 is half of (-0.2)^2 times the Schur complement."""
    covariance = data_of(2).inputs.T.numpy() @ data_of(2).inputs.numpy() / 2
    schur = covariance[0, 0] - covariance[0, 1] ** 2 / covariance[1, 1]
    second = limit_saddles(data_of(2))[1]
    assert second.loss == pytest.approx(0.5 * 0.04 * schur, rel=1e-12)


def test_two_dimensional_coordinate_flips_by_crossing_twice_the_distance() -> None:
    """The collapsed coordinate keeps its level 1 and slides to -1 under a constant drive."""
    first, second, third = limit_saddles(data_of(2))
    assert first.levels[0] == 1.0
    assert third.levels[0] == -1.0
    inputs, targets = data_of(2).inputs.numpy(), data_of(2).targets.numpy()
    drive = (inputs.T @ (targets - inputs @ second.coefficients) / 2)[0]
    assert third.time - second.time == pytest.approx((second.levels[0] + 1) / -drive, rel=1e-12)


def test_five_dimensional_sequence() -> None:
    saddles = limit_saddles(data_of(5))
    assert [saddle.coordinate for saddle in saddles] == ORDER_5D
    np.testing.assert_allclose([saddle.time for saddle in saddles], TIMES_5D, atol=DIGITS)
    np.testing.assert_allclose([saddle.loss for saddle in saddles], LEVELS_5D[1:], atol=DIGITS)
    planted = [1.17476, -19.07457, -9.22909, 4.69751, -1.44367]
    np.testing.assert_allclose(saddles[-1].coefficients, planted, atol=6e-6)


@pytest.mark.parametrize("scale", [1e-2, 1e-6, 1e-100])
def test_theory_is_the_limit_on_the_clock_of_the_scale(scale: float) -> None:
    theory = diagonal_linear_theory(data_of(5), scale)
    saddles = limit_saddles(data_of(5))
    activations = [event for event in theory.events if event.kind == "activation"]
    np.testing.assert_allclose([event.time for event in activations],
                               [saddle.time * -math.log(scale) for saddle in saddles], rtol=1e-12)
    assert theory.initial_loss == pytest.approx(LEVELS_5D[0], abs=DIGITS)
    assert [event.feature for event in activations] == [str(i + 1) for i in ORDER_5D]
    assert [event.neuron for event in activations] == ORDER_5D


def test_theory_events_chain_the_levels_and_plateaus() -> None:
    theory = diagonal_linear_theory(data_of(2), 1e-6)
    assert [event.kind for event in theory.events] == ["activation", "activation", "collapse", "activation"]
    activations = [event for event in theory.events if event.kind == "activation"]
    np.testing.assert_allclose([event.loss_before for event in activations], LEVELS_2D[:-1], atol=DIGITS)
    np.testing.assert_allclose([event.loss_after for event in activations], LEVELS_2D[1:], atol=DIGITS)
    assert [event.plateau_end for event in activations[:-1]] == [event.time for event in activations[1:]]
    assert math.isnan(activations[-1].plateau_end)
    collapse = theory.events[2]
    assert (collapse.neuron, collapse.feature, collapse.time) == (0, "1", activations[1].time)


def test_staircase_has_two_rows_at_each_drop() -> None:
    theory = diagonal_linear_theory(data_of(2), 1e-6)
    path = theory.trajectory(("1", "2"), end=100.0)
    assert path is not None
    times = [time * -math.log(1e-6) for time in TIMES_2D]
    np.testing.assert_allclose(path.times, np.repeat([0.0, *times, 100.0], 2)[1:-1], rtol=1e-5)
    np.testing.assert_allclose(path.loss, np.repeat(LEVELS_2D, 2), atol=DIGITS)
    assert path.source == "theory"
    assert path.neuron_norms.shape == (8, 0)
    assert np.isnan(path.features).all()


def test_staircase_never_ends_before_its_last_drop() -> None:
    path = diagonal_linear_theory(data_of(2), 1e-6).trajectory(("1", "2"), end=1.0)
    assert path is not None
    assert path.times[-1] == path.times[-2]


def test_theory_without_times_has_no_staircase() -> None:
    assert Theory("levels only", (("1", 0.0),), "", (), {}, 1.0).trajectory(("1",), 10.0) is None


def test_targets_that_are_zero_leave_nothing_to_learn() -> None:
    data = Regression(torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    theory = diagonal_linear_theory(data, 1e-3)
    assert theory.events == ()
    assert theory.initial_loss == 0.0
