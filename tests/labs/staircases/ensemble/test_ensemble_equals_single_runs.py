"""Members of an ensemble are the separate runs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_ensembles import (
    config_of,
    flow,
    members_without_prediction,
    trained_alone,
    trained_together,
    training_of,
)

from agfrun import GradientDescentConfig, InitConfig
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.ensemble.training import ALONE
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.networks.fully_connected_linear.data import NoncommutingLinearMapConfig
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinearConfig

# The tensor program of all members, which networks take that nothing is compiled for.
pytestmark = pytest.mark.usefixtures("without_kernels")

KINDS = ("activation", "acquisition", "collapse")
VECTORIZED = ("diagonal", "linear", "attention", "relu")


def assert_same_staircase(one: TrainingResult, other: TrainingResult, kinds: tuple[str, ...] = KINDS,
                          rtol: float = 1e-4) -> None:
    expected, found = ([event for event in detect_events(result.trajectory, 1.0) if event.kind in kinds]
                       for result in (one, other))
    assert expected
    # Sorted, since events at one time, to the last digit, come in no order; that of others follows from their times.
    names, expected_names = (sorted((event.kind, event.feature, str(event.neuron)) for event in events)
                             for events in (found, expected))
    assert names == expected_names
    np.testing.assert_allclose([event.time for event in found], [event.time for event in expected], rtol=rtol)
    room = rtol * float(one.trajectory.loss[0])
    np.testing.assert_allclose([event.loss_after for event in found], [event.loss_after for event in expected],
                               rtol=rtol, atol=room)


@pytest.mark.parametrize("network", ["diagonal", "linear", "attention", "modadd"])
def test_members_are_the_separate_runs(network: str) -> None:
    members = members_without_prediction(config_of(network), 3)
    together, _ = trained_together(members)
    for member, result in list(zip(members, together, strict=True))[1:]:
        alone = trained_alone(member)
        assert result.status == alone.status
        assert_same_staircase(alone, result)
        # An estimate, from steps that are not the same: over seeds it differs by up to 15%, a wrong one by a factor.
        assert result.statistics.drop_time_error == pytest.approx(alone.statistics.drop_time_error, rel=0.3)
        room = 1e-4 * float(alone.final.abs().max())
        torch.testing.assert_close(result.final, alone.final, rtol=0, atol=room)


def test_relu_members_are_the_separate_runs() -> None:
    """Where a kink rounds which neuron moves, only the network is determined: a change of the initialization by
    1e-15 moves a single run's neurons by 1e-3, and the times at which it learns by 4e-5."""
    members = members_without_prediction(config_of("relu"), 2)
    together, _ = trained_together(members)
    for member, result in zip(members, together, strict=True):
        alone = trained_alone(member)
        assert result.status == alone.status
        assert_same_staircase(alone, result, kinds=("acquisition",))
        np.testing.assert_allclose(result.trajectory.features[-1], alone.trajectory.features[-1], rtol=2e-3)


@pytest.mark.parametrize("network", VECTORIZED)
def test_these_networks_make_one_batch(network: str) -> None:
    batches = trained_together(members_without_prediction(config_of(network, train=flow(1.0)), 3))[1]
    assert len(batches) == 1
    assert batches[0].flow is not None
    assert batches[0].reason == ""


def test_vanishing_scales_below_the_smallest_float_work_too() -> None:
    """Products of directions and log norms, which are mixed anew on the way."""
    config = config_of("linear", init=InitConfig("gaussian", log10_scale=-400.0), train=flow(600.0, tolerance=1e-4),
                       model=FullyConnectedLinearConfig(width=3), data=NoncommutingLinearMapConfig(2, 2))
    members = members_without_prediction(config, 2)
    together, batches = trained_together(members)
    assert batches[0].flow is not None
    assert_same_staircase(trained_alone(members[1]), together[1])


def test_scales_that_are_held_differently_make_batches_of_their_own() -> None:
    config = config_of("diagonal", train=flow(80.0))
    members = members_without_prediction(config, 2, [1e-3, 1e-200])
    together, batches = trained_together(members)
    assert [[member.number for member in batch.members] for batch in batches] == [[0, 1], [2, 3]]
    for member, result in zip(members[1:], together[1:], strict=True):
        assert_same_staircase(trained_alone(member), result)


def test_recorded_rows_are_those_of_a_single_run() -> None:
    """Step lengths follow the fifth root of an error estimate that is near rounding; the path does not."""
    members = members_without_prediction(config_of("diagonal", train=flow(40.0)), 2)
    for member, result in zip(members, trained_together(members)[0], strict=True):
        alone = trained_alone(member).trajectory
        path = result.trajectory
        np.testing.assert_allclose(path.times, alone.times, rtol=1e-5)
        for ours, expected in ((path.loss[:, None], alone.loss[:, None]), (path.log_norms, alone.log_norms),
                               (path.features, alone.features)):
            there = np.stack([np.interp(path.times, alone.times, column) for column in expected.T], axis=1)
            np.testing.assert_allclose(ours, there, rtol=1e-5, atol=1e-5)  # as exactly as the times


# ---- Every member has a clock of its own


def test_members_of_very_different_scales_do_not_change_each_other() -> None:
    """Without the slowest the others are the same to rounding."""
    config = config_of("diagonal", train=flow(60.0, tolerance=1e-5))
    scales = [1e-1, 1e-3, 1e-8, 1e-12]
    everyone = trained_together(members_without_prediction(config, 1, scales))[0]
    fewer = trained_together(members_without_prediction(config, 1, scales[:3]))[0]
    for one, other in zip(everyone[:3], fewer, strict=True):
        assert one.statistics.accepted_steps == other.statistics.accepted_steps
        np.testing.assert_allclose(one.trajectory.times, other.trajectory.times, rtol=1e-11)
        torch.testing.assert_close(one.final, other.final, rtol=1e-9, atol=1e-12)
    drops = [detect_events(result.trajectory, 1.0)[0].time for result in everyone]
    assert drops[3] > 4 * drops[0]


def test_horizons_are_each_members_own() -> None:
    members = members_without_prediction(config_of("diagonal"), 3)
    for member, horizon in zip(members, (0.5, 2.0, 1.0), strict=True):
        assert member.plan is not None
        member.plan = dataclasses.replace(member.plan, horizon=horizon)
    results = trained_together(members)[0]
    assert [result.trajectory.times[-1] for result in results] == [0.5, 2.0, 1.0]
    assert [result.reason for result in results] == [
        f"the horizon {horizon} was reached".replace(".0", "") for horizon in (0.5, 2.0, 1.0)]


@given(order=st.permutations(range(4)))
@settings(max_examples=3)
def test_the_order_of_members_does_not_matter(order: list[int]) -> None:
    config = config_of("diagonal", train=flow(5.0, tolerance=1e-4))
    straight = trained_together(members_without_prediction(config, 2, [1e-2, 1e-6]))[0]
    shuffled = members_without_prediction(config, 2, [1e-2, 1e-6])
    trained_together([shuffled[place] for place in order])
    for expected, member in zip(straight, shuffled, strict=True):
        torch.testing.assert_close(training_of(member).final, expected.final, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(training_of(member).trajectory.times, expected.trajectory.times, rtol=1e-10)


# ---- Gradient descent


@pytest.mark.parametrize("network", ["attention", "relu"])
def test_gradient_descent_takes_the_same_steps(network: str) -> None:
    descent = GradientDescentConfig(learning_rate=0.05, momentum=0.5, max_steps=400, horizon=1.0)
    members = members_without_prediction(config_of(network, train=descent, init=InitConfig("gaussian", 0.1)), 3)
    together, batches = trained_together(members)
    assert batches[0].flow is not None
    for member, result in zip(members, together, strict=True):
        alone = trained_alone(member)
        torch.testing.assert_close(result.final, alone.final, rtol=1e-11, atol=1e-13)
        assert (result.status, result.reason, result.clock) == (alone.status, alone.reason, alone.clock)
        assert result.statistics == alone.statistics
        np.testing.assert_array_equal(result.trajectory.steps, alone.trajectory.steps)
        np.testing.assert_allclose(result.trajectory.loss, alone.trajectory.loss, rtol=1e-10)


def test_a_member_whose_descent_diverges_ends_alone() -> None:
    descent = GradientDescentConfig(learning_rate=0.06, max_steps=300, horizon=1.0)
    config = config_of("diagonal", train=descent)
    results = trained_together(members_without_prediction(config, 2, [1e-2, 0.99]))[0]
    alone = [trained_alone(member) for member in members_without_prediction(config, 2, [1e-2, 0.99])]
    assert [result.status for result in results] == [result.status for result in alone]
    assert [result.statistics.accepted_steps for result in results] == [
        result.statistics.accepted_steps for result in alone]


def test_members_that_draw_batches_are_trained_one_after_another() -> None:
    descent = GradientDescentConfig(learning_rate=0.01, max_steps=50, horizon=1.0, batch_size=2)
    members = members_without_prediction(config_of("attention", train=descent), 2)
    together, batches = trained_together(members)
    assert batches[0].flow is None
    assert batches[0].report(0.0, "")["program"] == ALONE
    for member, result in zip(members, together, strict=True):
        torch.testing.assert_close(result.final, trained_alone(member).final, rtol=0, atol=0)


def test_other_methods_are_integrated_one_after_another() -> None:
    members = members_without_prediction(config_of("attention", train=dataclasses.replace(flow(1.0), method="rkc")), 2)
    batches = trained_together(members)[1]
    assert batches[0].flow is None
    assert "rkc" in batches[0].reason
    assert math.isclose(float(training_of(members[0]).trajectory.times[-1]), 1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is available here")
@pytest.mark.parametrize("network", VECTORIZED)
def test_the_same_on_cuda(network: str) -> None:
    config = config_of(network)
    on_cpu = trained_together(members_without_prediction(config, 3))[0]
    members = members_without_prediction(dataclasses.replace(config, device="cuda"), 3)
    results, batches = trained_together(members)
    assert batches[0].flow is not None
    for one, other in zip(on_cpu, results, strict=True):
        assert_same_staircase(one, other)
