"""The exact alternation on orthonormal inputs, against SciPy, the generic engine and training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from agfrun import AlternationOptions, Samples, train_by_gradient_flow
from agfrun.labs.staircases.agf.alternation import Alternation
from agfrun.labs.staircases.networks.two_layer.activation import leaky_relu, relu
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig
from agfrun.labs.staircases.networks.two_layer.theory import (
    Array,
    Neuron,
    activation_time,
    advanced,
    alternation,
    orthogonal_inputs_theory,
)

TARGETS = [1.2, 0.9, -0.8, -0.5]
PROPERTY = settings(max_examples=25, deadline=None)


def network(targets: list[float], width: int, slope: float = 0.0, kink_width: float = 0.0,
            groups: str = "signs") -> TwoLayer:
    data = OrthogonalInputsConfig(targets=targets, groups=groups).build(torch.float64, torch.device("cpu"))
    return TwoLayer(data, width, leaky_relu(slope) if slope else relu(), kink_width)


def start(architecture: TwoLayer, scale: float, seed: int) -> torch.Tensor:
    return architecture.initialize("gaussian", scale, torch.Generator().manual_seed(seed))


def as_neurons(rows: torch.Tensor, log_factor: float = 0.0) -> list[Neuron]:
    return [Neuron.of(row[:-1].numpy(), float(row[-1]), log_factor) for row in rows]


def raw_path(p: Array, a: float, drives: Array, slope: float, duration: float) -> tuple[Array, Array]:
    """Times and states (T, n + 1) of da/dt = sum g sigma(p), dp/dt = a sigma'(p) g, by SciPy.

    The integrator stops at every sign change of a p, so that the kink costs it no accuracy.
    """
    state, time, times, states = np.append(p, a), 0.0, [0.0], [np.append(p, a)]
    sides = p > 0
    while time < duration:
        rates = np.where(sides, 1.0, slope) * drives

        def velocity(_: float, z: Array, rates: Array = rates) -> Array:
            return np.append(z[-1] * rates, rates @ z[:-1])

        def crossing(j: int, side: bool):  # type: ignore[no-untyped-def]
            def event(_: float, z: Array) -> float:
                return float(z[j])

            event.terminal, event.direction = True, -1 if side else 1  # type: ignore[attr-defined]
            return event

        moving = np.flatnonzero(rates)
        events = [crossing(j, bool(sides[j])) for j in moving]
        part = solve_ivp(velocity, (time, duration), state, "DOP853", rtol=1e-11, atol=1e-14, events=events)
        times += part.t[1:].tolist()
        states += list(part.y.T[1:])
        time, state = float(part.t[-1]), part.y[:, -1].copy()
        for j, hits in zip(moving, part.t_events, strict=True):
            if len(hits):
                sides[j], state[j] = not sides[j], 0.0
    return np.array(times), np.array(states)


@PROPERTY
@given(n=st.integers(1, 5), slope=st.sampled_from([0.0, 0.3, 1.0]), seed=st.integers(0, 10**6),
       duration=st.floats(0.1, 20))
def test_a_dormant_neuron_follows_its_flow(n: int, slope: float, seed: int, duration: float) -> None:
    generator = np.random.default_rng(seed)
    p, a, drives = generator.standard_normal(n), float(generator.standard_normal()), generator.standard_normal(n) / n
    neuron = advanced(Neuron.of(p, a), drives, slope, duration)
    expected = raw_path(p, a, drives, slope, duration)[1][-1]
    measured = math.exp(neuron.log_norm) * np.append(neuron.p, neuron.a)
    np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-8 * float(np.abs(expected).max()))


@PROPERTY
@given(n=st.integers(1, 5), slope=st.sampled_from([0.0, 0.3, 1.0]), seed=st.integers(0, 10**6),
       log10_scale=st.floats(-4, -1))
def test_activation_time(n: int, slope: float, seed: int, log10_scale: float) -> None:
    generator = np.random.default_rng(seed)
    direction = generator.standard_normal(n + 1)
    state = 10**log10_scale * direction / np.linalg.norm(direction)
    drives = generator.standard_normal(n) / n
    time = activation_time(Neuron.of(state[:-1], float(state[-1])), drives, slope, 1.0)
    horizon = 1.01 * time if math.isfinite(time) else 100.0
    times, states = raw_path(state[:-1], float(state[-1]), drives, slope, horizon)
    norms = np.linalg.norm(states, axis=1)
    assert (norms[times < time * (1 - 1e-7)] < 1).all()
    if math.isfinite(time):
        reached = advanced(Neuron.of(state[:-1], float(state[-1])), drives, slope, time)
        assert reached.log_norm == pytest.approx(0, abs=1e-7)
        assert norms[-1] > 1


def test_a_neuron_that_is_dead_on_all_samples_never_activates() -> None:
    neuron = Neuron.of(np.array([-1.0, -2.0]), 0.5, -10.0)
    drives = np.array([0.3, -0.4])
    assert activation_time(neuron, drives, 0.0, 1.0) == math.inf
    assert advanced(neuron, drives, 0.0, 1e6).log_norm == neuron.log_norm
    assert alternation([neuron], np.array([0.6, -0.8]), 0.0, 1.0) == []


@pytest.mark.parametrize(("slope", "seed", "scale"),
                         [(0.0, 0, 1e-3), (0.0, 1, 1e-20), (0.25, 0, 1e-3), (0.25, 1, 1e-9)])
def test_the_generic_engine_agrees(slope: float, seed: int, scale: float) -> None:
    """Same neurons, same times, same levels; without rounding the integrator's error is all that is left."""
    architecture = network([0.7, -1.1, 0.9], 6, slope)
    neurons = start(architecture, scale, seed)
    prediction = Alternation(architecture, neurons, AlternationOptions(tolerance=1e-10)).predict()
    exact = alternation(as_neurons(neurons), np.array([0.7, -1.1, 0.9]), slope, 1.0)
    # What a cost phase leaves undone may activate a neuron much later, to no effect.
    rounds, late = prediction.rounds[: len(exact)], prediction.rounds[len(exact) :]
    assert [stage.neuron for stage in rounds] == [stage.neuron for stage in exact]
    assert all(stage.time > 10 * exact[-1].time for stage in late)
    for measured, expected in zip(rounds, exact, strict=True):
        assert measured.time == pytest.approx(expected.time, rel=2e-9)
        # A cost phase ends when an e-fold of time changes less than 3e-3 of what it lowered.
        assert measured.loss == pytest.approx(expected.loss, abs=3e-3 * prediction.trajectory.loss[0])


@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_the_rounded_kink_changes_the_times_by_little(slope: float) -> None:
    architecture = network([1.0, -0.6], 5, slope, kink_width=1e-2)
    neurons = start(architecture, 1e-4, 0)
    prediction = Alternation(architecture, neurons, AlternationOptions()).predict()
    exact = alternation(as_neurons(neurons), np.array([1.0, -0.6]), slope, 1.0)
    assert len(exact) == len(prediction.rounds) > 0
    for measured, expected in zip(prediction.rounds, exact, strict=True):
        assert (measured.neuron, measured.time) == (expected.neuron, pytest.approx(expected.time, rel=1e-4))


def test_training_approaches_the_times_as_the_initialization_vanishes() -> None:
    """Errors of the first two activations shrink like 1 / log(1 / scale): to a third from 1e-10 to 1e-30."""
    errors = []
    for scale in (1e-10, 1e-30):
        architecture = network(TARGETS, 12)
        neurons = start(architecture, scale, 0)
        exact = alternation(as_neurons(neurons), np.array(TARGETS), 0.0, 1.0)
        assert [stage.loss for stage in exact] == [pytest.approx((0.8**2 + 0.5**2) / 8), 0]
        path = train_by_gradient_flow(architecture, neurons, 1.1 * exact[-1].time, tolerance=1e-5,
                                      convergence=0).trajectory
        halfway = [0.5 * (path.loss[0] + exact[0].loss), 0.5 * exact[0].loss]
        times = [path.times[int(np.argmax(path.loss < level))] for level in halfway]
        between = path.loss[int(np.argmin(np.abs(path.times - 0.5 * (times[0] + times[1]))))]
        assert between == pytest.approx(exact[0].loss, rel=2e-3)
        errors.append([abs(time / stage.time - 1) for time, stage in zip(times, exact, strict=True)])
    assert max(errors[0]) < 3 / math.log(1e10)
    for first, second in zip(*errors, strict=True):
        assert second < 0.5 * first


def test_rates_in_the_limit_of_vanishing_initialization() -> None:
    """Boursier, Pillaud-Vivien & Flammarion: time over log(1/scale) is 1/|D_+|, then 1/|D_-|, D = (1/n) sum y_j x_j."""
    p = np.array([[0.5, 0.3, 0.2, 0.4], [0.6, 0.3, 0.1, 0.2]])
    neurons = [Neuron.of(p[0], 1.0, -1e6), Neuron.of(p[1], -1.0, -1e6)]
    first, second = alternation(neurons, np.array(TARGETS), 0.0, 1.0)
    assert (first.neuron, first.learned, second.neuron, second.learned) == (0, (0, 1), 1, (2, 3))
    assert first.time / 1e6 == pytest.approx(4 / math.hypot(1.2, 0.9), rel=1e-5)
    assert second.time / 1e6 == pytest.approx(4 / math.hypot(0.8, 0.5), rel=1e-5)


def test_neurons_alive_on_part_of_a_sign_learn_that_part() -> None:
    """A neuron can only learn samples that it is alive on; its rate is that of the samples that are left."""
    neurons = [Neuron.of(np.array([0.5, -0.5, 0.1]), 1.0, -1e6), Neuron.of(np.array([0.5, 0.5, -0.1]), 1.0, -1e6 - 4e5)]
    rounds = alternation(neurons, np.array([2.0, 1.0, -1.0]), 0.0, 1.0)
    assert [(stage.neuron, stage.learned) for stage in rounds] == [(0, (0,)), (1, (1,))]
    assert [stage.loss for stage in rounds] == [pytest.approx(2 / 6), pytest.approx(1 / 6)]
    first = 3 / 2
    grown = first * math.hypot(2.0, 1.0) / 3  # log norm of the second neuron gained up to then, over 1e6
    assert [stage.time / 1e6 for stage in rounds] == [pytest.approx(first, rel=1e-4),
                                                      pytest.approx(first + (1.4 - grown) * 3, rel=1e-4)]


def test_theory_of_the_network() -> None:
    architecture = network(TARGETS, 12, kink_width=1e-2)
    neurons = start(architecture, 1e-6, 0)
    theory = architecture.theory(neurons, math.log(1e-6), 1.0)
    assert theory is not None
    assert theory.levels == (("positive", pytest.approx((0.8**2 + 0.5**2) / 8)), ("negative", 0.0))
    assert theory.undecided == ""
    assert theory.initial_loss == pytest.approx(float(architecture.loss(architecture.empty_residual())))
    exact = alternation(as_neurons(neurons), np.array(TARGETS), 0.0, 1.0)
    assert [(event.time, event.neuron, event.feature) for event in theory.events] == [
        (exact[0].time, exact[0].neuron, "positive"), (exact[1].time, exact[1].neuron, "negative")]


def test_features_learned_in_parts_count_from_where_they_are_half_learned() -> None:
    """A small part of the positive group, the negative one, then the large part of the positive group."""
    neurons = [Neuron.of(np.array([0.5, -0.5, -0.5]), 1.0, -1.0), Neuron.of(np.array([-1.0, -1.0, 1.0]), -1.1, -1e3),
               Neuron.of(np.array([-0.5, 0.5, -0.1]), 1.0, -1e5)]
    theory = orthogonal_inputs_theory(neurons, np.array([0.5, 2.0, -1.0]), 0.0, 1.0, ("positive", "negative"),
                                      (0, 0, 1))
    assert theory is not None
    assert [event.feature for event in theory.events] == ["positive", "negative", "positive"]
    assert theory.levels == (("negative", pytest.approx(4 / 6)), ("positive", 0.0))


def test_leaky_relu_learns_all_with_one_neuron_and_leaves_the_order_open() -> None:
    architecture = network(TARGETS, 12, 0.25)
    theory = architecture.theory(start(architecture, 1e-6, 0), math.log(1e-6), 1.0)
    assert theory is not None
    assert len(theory.events) == 1
    assert {feature for feature, _ in theory.levels} == {"positive", "negative"}
    assert "no order" in theory.undecided


def test_where_there_is_no_closed_form() -> None:
    architecture = network(TARGETS, 3)
    assert architecture.theory(start(architecture, 1.0, 0), math.log(1.0), 1e-3) is None  # starts above the threshold
    data = architecture.data
    for activation in (relu(2), leaky_relu(-0.5)):
        assert TwoLayer(data, 3, activation).theory(start(architecture, 1e-3, 0), math.log(1e-3), 1.0) is None
    inputs = torch.eye(4)
    inputs[0, 1] = 1e-3
    tilted = Samples(inputs, data.targets, data.output_names, data.group_names, data.group_of)
    assert TwoLayer(tilted, 3, relu()).theory(start(architecture, 1e-3, 0), math.log(1e-3), 1.0) is None
