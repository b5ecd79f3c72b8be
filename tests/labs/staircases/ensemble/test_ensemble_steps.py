"""The pieces of the batched integration: step control, stages, records and stacking, against their single forms."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import StepController
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.ensemble import recording
from agfrun.labs.staircases.ensemble.flow import DenseEnsembleLinearization
from agfrun.labs.staircases.ensemble.integrate import AT_END, NOT_FINITE, RUNNING, STALLED, EnsembleIntegration
from agfrun.labs.staircases.ensemble.recording import EnsembleRecorder, Moments
from agfrun.labs.staircases.ensemble.stacked_flow import StackedFlow, stacked_flow
from agfrun.labs.staircases.ensemble.stacking import NotStackable, Stack, structure
from agfrun.labs.staircases.ensemble.step_control import EnsembleStepController
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig

ERRORS = st.one_of(st.floats(1e-14, 1e3), st.sampled_from([0.0, math.inf, math.nan]))


@given(errors=st.lists(st.tuples(ERRORS, ERRORS, ERRORS), min_size=1, max_size=12))
def test_step_control_is_that_of_a_single_run(errors: list[tuple[float, float, float]]) -> None:
    singles = [StepController(1e-6, 5) for _ in range(3)]
    steps = [0.1, 1.0, 20.0]
    together, step = EnsembleStepController(1e-6, 5, torch.tensor(steps)), torch.tensor(steps)
    for error in errors:
        accepted = together.accepts(torch.tensor(error))
        assert accepted.tolist() == [single.accepts(value) for single, value in zip(singles, error, strict=True)]
        step = together.next_step(step, torch.tensor(error))
        steps = [single.next_step(length, value) for single, length, value in zip(singles, steps, error, strict=True)]
        np.testing.assert_allclose(step.numpy(), steps, rtol=1e-12)


class Scalar(FlowCoordinates):
    """dy_k/dt = rate * y_k^power; the loss is finite below 1e4."""

    def __init__(self, rate: Tensor, power: float) -> None:
        self.rate, self.power = rate, power

    def encode(self, neurons: Tensor) -> Tensor:
        return neurons.reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        return y[None]

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        size = y.square().sum()
        return torch.where(size < 1e8, size, torch.inf), self.rate * y**self.power

    def jacobian(self, y: Tensor) -> Tensor:
        return torch.diag(self.rate * self.power * y ** (self.power - 1))

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        return torch.linalg.vector_norm(error) / torch.linalg.vector_norm(y)


def scalar_flow(rates: list[float], power: float, start: Tensor) -> StackedFlow:
    return stacked_flow([Scalar(torch.tensor(rate), power) for rate in rates], start[:, None])


def run_to_end(integration: EnsembleIntegration) -> tuple[Tensor, Tensor, list[int]]:
    """Last coordinates and states of all members, and how many were running at each step."""
    count = len(integration.y)
    y, states, members, running = integration.y.clone(), torch.zeros(count), torch.arange(count), []
    while len(members):
        running.append(len(members))
        step = integration.attempt()
        y[members], states[members] = step.y_end, step.state.double()
        kept = torch.nonzero(step.state == RUNNING)[:, 0]
        members = members[kept]
        if len(kept):
            integration.keep(kept)
    return y, states, running


def test_exponentials_reach_their_ends_each_on_its_own_clock() -> None:
    """Ends far apart, stiff and not: exp(rate * t) within the tolerance."""
    rates, ends = [-1.0, -1e6, 0.5, -30.0], torch.tensor([3.0, 1e-4, 2.0, 1e-3])
    start = torch.ones(4, 2)
    y, states, running = run_to_end(EnsembleIntegration(scalar_flow(rates, 1.0, start), start, ends, 1e-6))
    exact = torch.exp(torch.tensor(rates) * ends)[:, None].expand(4, 2)
    torch.testing.assert_close(y, exact, rtol=1e-4, atol=0)
    assert states.tolist() == [AT_END] * 4
    assert running[-1] < 4


def test_points_within_a_step_lie_on_the_solution() -> None:
    start = torch.ones(3, 1)
    integration = EnsembleIntegration(scalar_flow([-1.0, -2.0, -4.0], 1.0, start), start, torch.full((3,), 9.0), 1e-9)
    for _ in range(4):
        step = integration.attempt()
    members, fractions = torch.tensor([2, 0, 2]), torch.tensor([0.25, 0.5, 1.0])
    times = step.start[members] + fractions * (step.end - step.start)[members]
    exact = torch.exp(torch.tensor([-4.0, -1.0, -4.0]) * times)[:, None]
    torch.testing.assert_close(step.at(members, fractions), exact, rtol=1e-6, atol=0)


def test_a_member_that_blows_up_leaves_the_others_alone() -> None:
    """y' = y^2 from 1 ends at time 1; from -1 it lives on as -1 / (1 + t)."""
    start = torch.tensor([[-1.0], [1.0], [-2.0]])
    flow, ends = scalar_flow([1.0, 1.0, 1.0], 2.0, start), torch.full((3,), 5.0)
    y, states, _ = run_to_end(EnsembleIntegration(flow, start, ends, 1e-8))
    assert states[1] == NOT_FINITE
    assert states[[0, 2]].tolist() == [AT_END] * 2
    torch.testing.assert_close(y[[0, 2], 0], torch.tensor([-1 / 6, -2 / 11]), rtol=1e-6, atol=0)
    alone = EnsembleIntegration(flow.select(torch.tensor([0])), start[:1], ends[:1], 1e-8)
    torch.testing.assert_close(run_to_end(alone)[0], y[:1], rtol=1e-12, atol=0)


def test_a_member_without_a_velocity_stalls_alone() -> None:
    start = torch.tensor([[1.0], [-1.0]])
    flow = StackedFlow([Scalar(torch.tensor(-1.0), 0.5), Scalar(torch.tensor(-2.0), 0.5)])
    y, states, _ = run_to_end(EnsembleIntegration(flow, start, torch.ones(2), 1e-8))
    assert states.tolist() == [AT_END, STALLED]
    torch.testing.assert_close(y[0], torch.tensor([0.25]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_failed_factorization_is_one_members_own(symmetric: bool) -> None:
    jacobian = torch.tensor([[[-1.0, 0.5], [0.5, -2.0]], [[4.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    solve, failed = DenseEnsembleLinearization(jacobian, symmetric).solver(torch.tensor([1.0, 0.25, 1.0]))
    assert failed.tolist() == [False, True, False]
    right = torch.tensor([[1.0, 2.0], [1.0, 1.0], [3.0, 4.0]])
    solved = solve(right)
    expected = torch.linalg.solve(torch.eye(2) - jacobian[0], right[0])
    torch.testing.assert_close(solved[0], expected)
    torch.testing.assert_close(solved[2], right[2])


# ---- Stacking


@dataclass
class Inner:
    shift: Tensor
    name: str = "inner"

    def total(self) -> Tensor:
        return self.shift.sum()


class Outer:
    def __init__(self, shift: float, shared: Tensor) -> None:
        self.inner = Inner(torch.tensor([shift, 0.0]))
        self.shared = shared
        self.total = self.inner.total


def test_stack_finds_what_differs_however_deep() -> None:
    shared = torch.tensor(10.0)
    stack = Stack([Outer(1.0, shared), Outer(2.0, shared.clone())])
    assert set(stack.tensors) == {("inner", "shift"), ("total", "__self__", "shift")}
    chosen = stack.select(torch.tensor([1, 0, 1]))
    bound = chosen.bind({path: tensor[0] for path, tensor in chosen.tensors.items()})
    assert (bound.total(), bound.inner.shift[0]) == (2.0, 2.0)
    assert (stack.prototype.total(), stack.prototype.inner.shift[0]) == (1.0, 1.0)


def test_an_object_that_is_part_of_itself_is_refused() -> None:
    objects = [Outer(1.0, torch.tensor(1.0)), Outer(2.0, torch.tensor(1.0))]
    for made in objects:
        made.itself = made  # type: ignore[attr-defined]
    with pytest.raises(NotStackable, match="part of itself"):
        Stack(objects)


def test_a_changed_object_replaces_its_row() -> None:
    objects = [Inner(torch.tensor([1.0])), Inner(torch.tensor([2.0]))]
    stack = Stack(objects)
    stack.replace(1, Inner(torch.tensor([5.0])))
    assert stack.tensors["shift",].tolist() == [[1.0], [5.0]]
    with pytest.raises(NotStackable, match="shift"):
        stack.replace(1, Inner(torch.tensor([5.0, 6.0])))


@pytest.mark.parametrize("other", [Inner(torch.tensor([1.0]), "other"), Inner(torch.tensor([1.0, 2.0])),
                                   Inner(torch.tensor([1.0], dtype=torch.float32))])
def test_objects_that_differ_otherwise_are_refused(other: Inner) -> None:
    one = Inner(torch.tensor([1.0]))
    with pytest.raises(NotStackable):
        Stack([one, other])
    assert structure(one) != structure(other)


class Undecided(Scalar):
    """Its velocity depends on an `if`, which cannot be vectorized."""

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return super().loss_and_velocity(y if float(y.sum()) > 0 else -y)


class Wrong(Scalar):
    """Vectorized it gives something else."""

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        loss, velocity = super().loss_and_velocity(y)
        return loss, velocity * (2.0 if torch._C._functorch.is_batchedtensor(y) else 1.0)


@pytest.mark.parametrize(("kind", "message"), [(Undecided, "vmap"), (Wrong, "velocity has other values")])
def test_coordinates_that_cannot_be_vectorized_are_found_out(kind: type[Scalar], message: str) -> None:
    members = [kind(torch.tensor(rate), 1.0) for rate in (1.0, 2.0)]
    with pytest.raises(NotStackable, match=message):
        stacked_flow(members, torch.ones(2, 1, 3))


def test_members_coordinates_are_not_changed_by_stacking() -> None:
    members = [Scalar(torch.tensor(rate), 1.0) for rate in (1.0, 2.0)]
    before = copy.deepcopy(members)
    stacked_flow(members, torch.ones(2, 1, 3))
    assert all(torch.equal(one.rate, other.rate) for one, other in zip(members, before, strict=True))


# ---- Recording


def test_recorders_of_many_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "STATE_BYTES", 2 * 40 * 12 * 5 * 8 // 3)
    architecture = QuadraticModaddConfig(width=5).build(
        ModularAdditionConfig(p=4, frequencies=[1], amplitudes=[4.0]).build(torch.float64, torch.device("cpu")))
    generator = torch.Generator().manual_seed(0)
    together = EnsembleRecorder(architecture, 2, 100)
    alone = [Recorder(architecture, "training", 100) for _ in range(2)]
    for time in range(20):
        members = np.array([0, 1, 1]) if time % 2 else np.array([1, 0])
        times = np.array([time, time, time + 0.5]) if time % 2 else np.array([float(time)] * 2)
        states = torch.randn(len(members), 5, 12, generator=generator)
        losses = np.exp(-times)
        together.record(Moments(members, times, losses, np.full(len(members), -1)), states)
        for member, moment, loss, state in zip(members, times, losses, states, strict=True):
            alone[member].record(float(moment), state, float(loss))
    for one, expected in zip(together.recorders(), alone, strict=True):
        found, path = one.trajectory(), expected.trajectory()
        for name in ("times", "loss", "features", "log_norms", "accumulated_utility", "direction_feature"):
            np.testing.assert_allclose(getattr(found, name), getattr(path, name), rtol=1e-14, atol=1e-14)
        assert one.states[0][0] == 0.0
        assert len(one.states) < len(expected.states)
        kept = dict(expected.states)
        assert all(torch.equal(kept[moment], state) for moment, state in one.states)
