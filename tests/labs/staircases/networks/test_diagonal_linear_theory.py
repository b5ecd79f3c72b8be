"""The published numbers of the diagonal network: two- and five-dimensional regression; other depths beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import regression_2d, regression_5d
from scipy.optimize import nnls
from scipy.special import beta

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import successive_saddles
from agfrun.labs.staircases.networks.diagonal_linear.theory import first_collapse, first_selections, limit_saddles
from agfrun.labs.staircases.networks.quadratic_modadd.three_wave import blow_up_time
from agfrun.labs.staircases.networks.theory import Theory

TIMES_2D, ORDER_2D = [0.193042, 0.600220, 3.457363], [0, 1, 0]
LEVELS_2D = [2.311099, 1.114650, 0.070000, 0.0]
TIMES_5D, ORDER_5D = [0.120120, 0.600696, 0.981709, 1.112283, 4.219254], [1, 2, 3, 0, 4]
LEVELS_5D = [82.416705, 13.322997, 2.267025, 0.988054, 0.165564, 0.0]
DIGITS = 6e-7  # the published numbers have six decimals


def data_of(dimension: int) -> Regression:
    architecture = (regression_2d() if dimension == 2 else regression_5d()).architecture
    assert isinstance(architecture, DiagonalLinear)
    return architecture.data


def theory_of(
    data: Regression, scale: float, depth: int = 2, kind: str = "deterministic", signed: bool = True,
) -> Theory:
    architecture = DiagonalLinear(data, depth, signed)
    initial = architecture.initialize(kind, scale, torch.Generator().manual_seed(0))
    theory = architecture.theory(initial, math.log(scale), 1.0)
    assert theory is not None
    return theory


def activations_of(theory: Theory) -> list[Event]:
    return [event for event in theory.events if event.kind == "activation"]


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
    theory = theory_of(data_of(5), scale)
    saddles = limit_saddles(data_of(5))
    activations = activations_of(theory)
    np.testing.assert_allclose([event.time for event in activations],
                               [saddle.time * -math.log(scale) for saddle in saddles], rtol=1e-12)
    assert theory.initial_loss == pytest.approx(LEVELS_5D[0], abs=DIGITS)
    assert [event.feature for event in activations] == [str(i + 1) for i in ORDER_5D]
    assert [event.neuron for event in activations] == ORDER_5D


def test_theory_events_chain_the_levels_and_plateaus() -> None:
    theory = theory_of(data_of(2), 1e-6)
    assert [event.kind for event in theory.events] == ["activation", "activation", "collapse", "activation"]
    activations = [event for event in theory.events if event.kind == "activation"]
    np.testing.assert_allclose([event.loss_before for event in activations], LEVELS_2D[:-1], atol=DIGITS)
    np.testing.assert_allclose([event.loss_after for event in activations], LEVELS_2D[1:], atol=DIGITS)
    assert [event.plateau_end for event in activations[:-1]] == [event.time for event in activations[1:]]
    assert math.isnan(activations[-1].plateau_end)
    collapse = theory.events[2]
    assert (collapse.neuron, collapse.feature, collapse.time) == (0, "1", activations[1].time)


def test_staircase_has_two_rows_at_each_drop() -> None:
    theory = theory_of(data_of(2), 1e-6)
    path = theory.trajectory(("1", "2"), end=100.0)
    assert path is not None
    times = [time * -math.log(1e-6) for time in TIMES_2D]
    np.testing.assert_allclose(path.times, np.repeat([0.0, *times, 100.0], 2)[1:-1], rtol=1e-5)
    np.testing.assert_allclose(path.loss, np.repeat(LEVELS_2D, 2), atol=DIGITS)
    assert path.source == "theory"
    assert path.neuron_norms.shape == (8, 0)
    assert np.isnan(path.features).all()


def test_staircase_never_ends_before_its_last_drop() -> None:
    path = theory_of(data_of(2), 1e-6).trajectory(("1", "2"), end=1.0)
    assert path is not None
    assert path.times[-1] == path.times[-2]


def test_theory_without_times_has_no_staircase() -> None:
    assert Theory("levels only", (("1", 0.0),), "", (), {}, 1.0).trajectory(("1",), 10.0) is None


def test_targets_that_are_zero_leave_nothing_to_learn() -> None:
    data = Regression(torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    theory = theory_of(data, 1e-3)
    assert theory.events == ()
    assert theory.initial_loss == 0.0


# ---- Other depths, initializations and signs


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("dimension", [2, 5])
def test_neurons_that_start_alike_follow_the_published_sequence_at_any_depth(dimension: int, depth: int) -> None:
    """Order, levels and ratios of times are those of depth 2; the unit is the common blow-up, an integral."""
    scale = 1e-3
    theory = theory_of(data_of(dimension), scale, depth)
    published = TIMES_2D if dimension == 2 else TIMES_5D
    activations = activations_of(theory)
    assert [event.neuron for event in activations] == (ORDER_2D if dimension == 2 else ORDER_5D)
    np.testing.assert_allclose([level for _, level in theory.levels],
                               (LEVELS_2D if dimension == 2 else LEVELS_5D)[1:], atol=DIGITS)
    # Layers (c, ..., c, 0): dr/dq = (r^2 + c^2)^((L - 1) / 2), up to infinity a beta function.
    size = math.sqrt(2 / (depth - 1)) * scale
    unit = 0.5 * beta(0.5, 0.5 * (depth - 2)) * size ** (2 - depth)
    times = np.array([event.time for event in activations])
    np.testing.assert_allclose(times / unit, [s.time for s in limit_saddles(data_of(dimension))], rtol=1e-10)
    np.testing.assert_allclose(times / unit, published, atol=DIGITS)


def test_depth_three_uses_each_neuron_s_own_blow_up() -> None:
    """Gaussian neurons: thresholds are elliptic integrals of their directions."""
    data, scale = data_of(5), 1e-4
    architecture = DiagonalLinear(data, 3)
    neurons = architecture.initialize("gaussian", scale, torch.Generator().manual_seed(0))
    upper = np.array([blow_up_time(u, v, w, 1.0) for u, v, w in neurons.tolist()])
    lower = -np.array([blow_up_time(-u, v, w, 1.0) for u, v, w in neurons.tolist()])
    expected = successive_saddles(data.inputs.numpy(), data.targets.numpy(), lower, upper)
    theory = architecture.theory(neurons, math.log(scale), 1.0)
    assert theory is not None
    assert [event.neuron for event in activations_of(theory)] == [saddle.coordinate for saddle in expected]
    np.testing.assert_allclose([event.time for event in activations_of(theory)], [s.time for s in expected], rtol=1e-9)


def test_unsigned_theory_is_nonnegative_least_squares() -> None:
    data = data_of(5)
    for depth in (2, 3):
        theory = theory_of(data, 1e-3, depth, signed=False)
        _, residual = nnls(data.inputs.numpy(), data.targets.numpy())
        assert theory.levels[-1][1] == pytest.approx(0.5 * residual**2 / 20, rel=1e-10)
        unit = 0.5 * math.log(1e3) if depth == 2 else (math.sqrt(2) * 1e-3) ** -1 / 3
        np.testing.assert_allclose([event.time / unit for event in activations_of(theory)],
                                   [saddle.time for saddle in limit_saddles(data, signed=False)], rtol=1e-10)


def test_balanced_neurons_keep_their_signs() -> None:
    theory = theory_of(data_of(5), 1e-3, kind="balanced")
    architecture = DiagonalLinear(data_of(5))
    signs = architecture.initialize("balanced", 1e-3, torch.Generator().manual_seed(0)).prod(1).sign().numpy()
    inputs, targets = data_of(5).inputs.numpy(), data_of(5).targets.numpy()
    assert theory.levels[-1][1] == pytest.approx(0.5 * nnls(inputs * signs, targets)[1] ** 2 / 20, rel=1e-10)


def test_ties_are_named() -> None:
    data = Regression(torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    assert "coefficients 1 and 2 activate together" in theory_of(data, 1e-3).undecided
    assert theory_of(data_of(5), 1e-3).undecided == ""


def test_first_selections_and_first_collapse() -> None:
    saddles = limit_saddles(data_of(2))
    assert [coordinate for coordinate, _ in first_selections(saddles)] == [0, 1]
    assert first_collapse(saddles) == saddles[1].time
    assert first_collapse(limit_saddles(data_of(5))) == math.inf


def test_a_scale_below_every_float_has_the_same_limit() -> None:
    architecture = DiagonalLinear(data_of(2))
    start = architecture.initialize("deterministic", 1.0, torch.Generator())
    log_scale = -400 * math.log(10)
    theory = architecture.theory(start, log_scale, 1.0, log_scale)
    times = [event.time for event in theory.events if event.kind == "activation"]
    np.testing.assert_allclose(np.array(times) / -log_scale, [0.193042, 0.600220, 3.457363], atol=1e-6)
