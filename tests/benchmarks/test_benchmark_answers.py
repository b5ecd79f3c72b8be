"""What competitors answer: at the tolerance they are given, with drops located between the times of the grid."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from agfrun import train_by_gradient_flow
from benchmarks.compiled_flow import compiled_flow
from benchmarks.problems import Instance, build
from benchmarks.reference import (
    Answer,
    Reference,
    closer,
    crossing_time,
    errors_of,
    joined,
    reference_of,
    solve_reference,
)
from benchmarks.solvers import SOLVERS, TRIAL_STEPS, DiffraxSolver
from benchmarks.trajectories import located, own_states

LATE = 4.2


def up_to(name: str, horizon: float) -> Instance:
    instance = build(name)
    return replace(instance, experiment=replace(instance.experiment, horizon=horizon))


def logistic(times: np.ndarray) -> Answer:
    """One feature that reaches half its size at `LATE`."""
    size = 1 / (1 + np.exp(-3 * (times - LATE)))
    return Answer(times, size[:, None], (1 - size) ** 2, np.ones((1, 1)))


@pytest.fixture(scope="module")
def short() -> Instance:
    return up_to("diagonal", 30.0)


@pytest.fixture(scope="module")
def reference(short: Instance) -> Reference:
    return solve_reference(short, 1e-12)


def test_a_reference_of_a_path_in_closed_form() -> None:
    found = reference_of(logistic(np.linspace(0, 20, 6000)), 20.0, 1e-12)
    assert found.drop_times == pytest.approx([LATE], rel=1e-11)
    assert (found.grid[0], found.grid[-1]) == (0.0, 20.0)


def test_drops_are_located_far_below_the_distance_of_the_grids_times() -> None:
    reference = reference_of(logistic(np.linspace(0, 20, 6000)), 20.0, 1e-12)
    coarse = logistic(np.linspace(0, 20, 80))
    reference = replace(reference, grid=coarse.times)
    times = closer(coarse, reference)
    assert len(times) == len(reference.grid)
    assert (times[0], times[-1]) == (0.0, 20.0)
    assert (np.diff(times) > 0).all()
    before = abs(crossing_time(coarse.times, coarse.features[:, 0], 0.5) - LATE)
    dense = joined(coarse, logistic(times))
    after = abs(crossing_time(dense.times, dense.features[:, 0], 0.5) - LATE)
    assert before > 1e-5
    assert after < 1e-4 * before
    assert errors_of(dense, reference).drop_time == pytest.approx(after / LATE, abs=1e-10)


def test_an_answer_without_drops_is_asked_for_as_many_times() -> None:
    reference = reference_of(logistic(np.linspace(0, 20, 6000)), 20.0, 1e-12)
    flat = Answer(reference.grid, np.zeros((len(reference.grid), 1)), np.ones(len(reference.grid)), np.ones((1, 1)))
    times = closer(flat, reference)
    assert len(times) == len(reference.grid)
    assert (np.diff(times) > 0).all()


def test_drop_errors_follow_the_tolerance(short: Instance, reference: Reference) -> None:
    errors = []
    for tolerance in (1e-6, 1e-9):
        solver = SOLVERS["SciPy LSODA"]
        states = solver(short, reference.grid, tolerance, 60.0).states
        errors.append(errors_of(located(solver, short, reference, tolerance, states, 60.0), reference).drop_time)
    assert errors[0] > 1e-7
    assert errors[1] < 1e-8


def test_tolerances_are_arguments_of_compiled_solvers(short: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python number would be a constant of the program, which is kept for all tolerances."""
    seen: list[tuple[object, ...]] = []

    def program(*inputs: object) -> SimpleNamespace:
        seen.append(inputs)
        return SimpleNamespace(ys=np.zeros((2, *short.initial.shape)), result="done", stats={"num_steps": 3})

    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(numpy=np))
    monkeypatch.setitem(sys.modules, "diffrax", SimpleNamespace(
        RESULTS=SimpleNamespace(successful="done", max_steps_reached="late")))
    monkeypatch.setitem(sys.modules, "benchmarks.jax_networks", SimpleNamespace(array=lambda tensor: tensor.numpy()))
    solver = DiffraxSolver("Tsit5")
    solver.programs[short.name, 2, TRIAL_STEPS], solver.compile_seconds[short.name, 2, TRIAL_STEPS] = program, 0.0
    for tolerance in (1e-4, 1e-8):
        solver(short, np.array([0.0, 1.0]), tolerance, 60.0)
    assert all(isinstance(value, np.ndarray) for inputs in seen for value in inputs)
    assert [float(inputs[2]) for inputs in seen] == [1e-4, 1e-8]
    assert [float(inputs[3]) for inputs in seen] == pytest.approx([1e-4 * short.scale, 1e-8 * short.scale])


@pytest.mark.slow
def test_two_tolerances_of_diffrax_give_different_errors(short: Instance, reference: Reference) -> None:
    pytest.importorskip("diffrax", reason="comes with agfrun[bench]")
    solver, errors = SOLVERS["diffrax Tsit5"], []
    for tolerance in (1e-4, 1e-8):
        states = solver(short, reference.grid, tolerance, 60.0).states
        errors.append(errors_of(located(solver, short, reference, tolerance, states, 60.0), reference).drop_time)
    assert errors[0] > 1e-5
    assert errors[1] < 1e-7


@pytest.mark.parametrize("method", ["auto", "rkc", "lsoda"])
def test_states_at_given_times_are_those_of_training(short: Instance, method: str) -> None:
    horizon = 5.0
    states = own_states(short, np.array([0.0, 1.0, horizon]), 1e-6, method)
    trained = train_by_gradient_flow(short.architecture, short.initial, horizon, tolerance=1e-6, convergence=0.0,
                                     method=method)
    np.testing.assert_allclose(states[-1], trained.final.numpy(), rtol=1e-12)
    assert np.array_equal(states[0], short.initial.numpy())


@pytest.mark.parametrize("method", ["LSODA", "BDF", "Radau"])
def test_scipy_in_our_coordinates_takes_up_renewed_ones(method: str) -> None:
    """The linear network's neurons are mixed anew on the way."""
    instance = up_to("linear", 40.0)
    times = np.array([0.0, 5.0, 20.0, 40.0])
    found = SOLVERS[f"SciPy {method}, our coordinates"](instance, times, 1e-8, 60.0)
    expected = own_states(instance, times, 1e-10)
    np.testing.assert_allclose(found.states, expected, atol=1e-4 * np.abs(expected).max())


def test_modular_addition_has_half_the_unknowns_in_our_coordinates() -> None:
    instance = up_to("modular_addition", 1.0)
    found = SOLVERS["SciPy LSODA, our coordinates"](instance, np.array([0.0, 1.0]), 1e-6, 60.0)
    assert (found.note, instance.initial.numel()) == ("576 unknowns", 1080)


@pytest.mark.parametrize("name", ["diagonal", "linear", "attention"])
def test_compiled_parts_are_those_of_the_coordinates(name: str) -> None:
    instance = build(name)
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y = coordinates.encode(instance.initial)
    flow = compiled_flow(coordinates, y.numel())
    assert flow is not None
    assert flow.dense
    loss, velocity = coordinates.loss_and_velocity(y)
    found = flow.loss_and_velocity(y.numpy(), times=3)
    assert found[0] == pytest.approx(float(loss), rel=1e-12)
    np.testing.assert_allclose(found[1], velocity.numpy(), atol=1e-12 * float(velocity.abs().max()))
    jacobian, right, step = coordinates.jacobian(y).numpy(), np.linspace(1.0, 2.0, y.numel()), 1e-3
    np.testing.assert_allclose(flow.jacobian(y.numpy()), jacobian, atol=1e-12 * np.abs(jacobian).max())
    solved = flow.solved(flow.factorized(flow.jacobian(y.numpy()), step), right, times=2)
    np.testing.assert_allclose(solved - step * jacobian @ solved, right, rtol=1e-10)


def test_what_is_not_written_out_has_no_compiled_parts() -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    instance = build("relu")
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    assert compiled_flow(coordinates, coordinates.encode(instance.initial).numel()) is None
