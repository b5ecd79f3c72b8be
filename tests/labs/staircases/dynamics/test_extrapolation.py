"""Extrapolated linearly implicit Euler: order whatever its matrix, stability with the stiff part in it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from explicit_networks import CPU, with_random_phases
from known_flows import KnownFlow, MixedLogistic, make, one_step, segments, stiff_ring
from scipy.integrate import solve_ivp
from torch import Tensor

from agfrun.labs.staircases.dynamics.extrapolation import ExtrapolatedEuler, PartlyStiffCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, Stepper, integrate
from agfrun.labs.staircases.dynamics.linearization import Solver
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates, TemplateLinearization
from agfrun.labs.staircases.networks.quadratic_modadd.data import modular_addition
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd


class Matrix:
    """A stiff part that is given."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def solver(self, step: float) -> Solver | None:
        factor, failed = torch.linalg.cholesky_ex(torch.eye(len(self.matrix)) - step * self.matrix)
        return None if bool(failed) else lambda right: torch.cholesky_solve(right[:, None], factor)[:, 0]


class PartlyStiff(KnownFlow, PartlyStiffCoordinates):
    """A known flow whose stiff part at y is what `choose` makes of its Jacobian."""

    def __init__(self, flow: KnownFlow, choose: Callable[[Tensor], Tensor]) -> None:
        super().__init__(flow.velocity, symmetric=True)
        self.flow, self.choose, self.asked = flow, choose, 0

    def jacobian(self, y: Tensor) -> Tensor:
        return self.flow.jacobian(y)

    def stiff_part(self, y: Tensor, step: float) -> Matrix:
        self.asked += 1
        return Matrix(self.choose(self.flow.jacobian(y)))


def nothing(jacobian: Tensor) -> Tensor:
    return torch.zeros_like(jacobian)


def all_of_it(jacobian: Tensor) -> Tensor:
    return jacobian


def something_else(jacobian: Tensor) -> Tensor:
    """Symmetric and unrelated."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(jacobian.shape, generator=generator, dtype=jacobian.dtype)
    return -matrix @ matrix.T


@pytest.mark.parametrize("choose", [nothing, all_of_it, something_else])
def test_order_is_5_whatever_the_matrix(choose: Callable[[Tensor], Tensor]) -> None:
    logistic = MixedLogistic(orthogonal=True)
    errors = []
    for count in (64, 128):
        stepper, y = make(ExtrapolatedEuler, PartlyStiff(logistic.coordinates, choose)), logistic.exact(0.0)
        for _ in range(count):
            y = one_step(stepper, y, 2 / count).y
        errors.append(float((y - logistic.exact(2.0)).norm()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(5, abs=0.5)
    assert errors[1] < 1e-6


@pytest.mark.parametrize("choose", [nothing, all_of_it, something_else])
def test_error_estimate_is_that_of_order_4(choose: Callable[[Tensor], Tensor]) -> None:
    logistic = MixedLogistic(orthogonal=True)
    stepper = make(ExtrapolatedEuler, PartlyStiff(logistic.coordinates, choose))
    estimates = [one_step(stepper, logistic.exact(0.0), h).error.norm() for h in (0.01, 0.005)]
    assert float(torch.log2(estimates[0] / estimates[1])) == pytest.approx(5, abs=0.2)


def test_dense_output_meets_both_ends_with_their_velocities() -> None:
    logistic = MixedLogistic(orthogonal=True)
    start, step, small = logistic.exact(0.0), 0.1, 1e-6
    attempt = one_step(make(ExtrapolatedEuler, PartlyStiff(logistic.coordinates, all_of_it)), start, step)
    torch.testing.assert_close(attempt.interpolant(0.0), start, rtol=0, atol=0)
    torch.testing.assert_close(attempt.interpolant(1.0), attempt.y, rtol=0, atol=0)
    torch.testing.assert_close((attempt.interpolant(small) - start) / (small * step), logistic.velocity(start),
                               rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((attempt.y - attempt.interpolant(1 - small)) / (small * step),
                               logistic.velocity(attempt.y), rtol=1e-5, atol=1e-6)
    short = one_step(make(ExtrapolatedEuler, PartlyStiff(logistic.coordinates, all_of_it)), start, 0.02)
    torch.testing.assert_close(short.interpolant(0.5), logistic.exact(0.01), rtol=0, atol=1e-8)


def test_stiff_gradient_flow_against_radau() -> None:
    flow, start = stiff_ring(1e5), torch.tensor([0.8, 0.7, 0.1])
    stepper = make(ExtrapolatedEuler, PartlyStiff(flow, all_of_it))
    end = segments(stepper, start, 1.0, 1e-8)[-1].y_end
    reference = solve_ivp(lambda t, y: flow.velocity(torch.tensor(y)).numpy(), (0, 1), start.numpy(), method="Radau",
                          jac=lambda t, y: flow.jacobian(torch.tensor(y)).numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(end.numpy(), reference.y[:, -1], rtol=0, atol=1e-5)
    assert stepper.statistics.accepted_steps < 400


def test_a_step_beyond_what_grows_is_refused_and_shortened() -> None:
    growing = KnownFlow(lambda y: 2.0 * y, symmetric=True)
    stepper = make(ExtrapolatedEuler, PartlyStiff(growing, all_of_it))
    stepper.begin(torch.ones(1), torch.full((1,), 2.0))
    assert stepper.attempt(0.6) is None
    end = segments(make(ExtrapolatedEuler, PartlyStiff(growing, all_of_it)), torch.ones(1), 2.0, 1e-8)[-1].y_end
    assert float(end) == pytest.approx(math.exp(4), rel=1e-6)


def test_the_stiff_part_is_asked_once_for_a_step_and_its_shorter_repetitions() -> None:
    coordinates = PartlyStiff(MixedLogistic(orthogonal=True).coordinates, all_of_it)
    stepper, y = make(ExtrapolatedEuler, coordinates), MixedLogistic(orthogonal=True).exact(0.0)
    stepper.begin(y, coordinates.velocity(y))
    for step, asked in ((0.1, 1), (0.05, 1), (0.2, 2)):
        stepper.attempt(step)
        assert coordinates.asked == asked
    stepper.begin(y, coordinates.velocity(y))
    stepper.attempt(0.01)
    assert coordinates.asked == 3
    statistics = stepper.statistics
    assert (statistics.factorizations, statistics.jacobian_evaluations) == (20, 3)
    assert statistics.gradient_evaluations == 4 * (0 + 1 + 2 + 3 + 4)


# ---- The stiff part of modular addition


def network(width: int, norms: Tensor | None = None) -> tuple[TemplateCoordinates, Tensor]:
    """Coordinates and a state in which neurons have the norms given, 1 unless told."""
    architecture = QuadraticModadd(with_random_phases(11, [1, 4], [5.0, 3.0], seed=1), width)
    neurons = architecture.initialize("gaussian", 1.0, torch.Generator().manual_seed(2))
    neurons *= (torch.ones(width) if norms is None else norms)[:, None] / neurons.norm(dim=1, keepdim=True)
    coordinates = architecture.flow_coordinates(neurons)
    assert isinstance(coordinates, TemplateCoordinates)
    return coordinates, coordinates.encode(neurons)


@pytest.mark.parametrize("chosen", [None, torch.tensor([3, 0, 4, 1, 2])], ids=["all", "all in another order"])
def test_linearization_holds_the_jacobian_on_the_template(chosen: Tensor | None) -> None:
    """With no output weight off the template's frequencies the solver inverts I - h J exactly."""
    coordinates, y = network(5)
    neurons = y.view(5, -1).clone()
    output = neurons[:, 8:] @ coordinates.outputs.T @ coordinates.inputs @ coordinates.inputs.T @ coordinates.outputs
    y = torch.cat([neurons[:, :8], output], dim=1).view(-1)
    assert coordinates.output_loss is not None
    solve = TemplateLinearization(coordinates.output_loss, y.view(5, -1), chosen).solver(0.01)
    assert solve is not None
    right = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    expected = torch.linalg.solve(torch.eye(len(y)) - 0.01 * coordinates.jacobian(y), right)
    torch.testing.assert_close(solve(right), expected, rtol=1e-10, atol=1e-12)


def test_neurons_that_are_not_chosen_are_left_alone() -> None:
    coordinates, y = network(5)
    chosen = torch.tensor([1, 4])
    assert coordinates.output_loss is not None
    solve = TemplateLinearization(coordinates.output_loss, y.view(5, -1), chosen).solver(0.01)
    assert solve is not None
    right = torch.randn(5, y.numel() // 5, generator=torch.Generator().manual_seed(0))
    solved = solve(right.view(-1)).view(5, -1)
    others = torch.tensor([0, 2, 3])
    assert torch.equal(solved[others], right[others])
    assert bool((solved[chosen].norm(dim=1) < right[chosen].norm(dim=1)).all())


def test_what_is_stiff_are_the_large_neurons_of_a_long_step() -> None:
    coordinates, y = network(6, torch.tensor([0.01, 1.0, 0.02, 2.0, 0.015, 0.5]))

    def chosen(step: float) -> list[int]:
        part = coordinates.stiff_part(y, step)
        assert isinstance(part, TemplateLinearization)
        assert part.chosen is not None
        return part.chosen.tolist()

    assert chosen(1e-9) == []
    assert chosen(1.0) == [3, 1, 5]
    assert len(chosen(1e9)) == 6


def test_relaxation_rates_bound_what_is_stiff() -> None:
    """Spectral radius of the Hessian of each neuron alone, within a factor of three."""
    coordinates, y = network(6)
    neurons = y.view(6, -1)
    rates = coordinates._relaxation_rates(neurons)
    for neuron, rate in zip(neurons, rates, strict=True):
        hessian = coordinates.moments_loss.hessian(neuron[None])
        target = coordinates.moments_loss.hessian(1e-6 * neuron[None]) * 1e6  # linear in a small neuron
        largest = float(torch.linalg.eigvalsh(hessian - target).max())
        assert largest / 3 < float(rate) < 3 * largest


def path(stepper: type[Stepper], coordinates: TemplateCoordinates, y: Tensor, end: float, tolerance: float
         ) -> tuple[Tensor, IntegrationStatistics]:
    statistics = IntegrationStatistics()
    for segment in integrate(stepper(coordinates, statistics), y, 0.0, end, tolerance):
        last = segment.y_end
    return last, statistics


def test_training_agrees_with_the_factorized_method() -> None:
    """Through the drops of one frequency to the plateau that follows."""
    architecture = QuadraticModadd(modular_addition(7, [1, 2], [7.0, 3.5 * 1j], torch.float64, CPU), 9)
    neurons = architecture.initialize("gaussian", 1e-2, torch.Generator().manual_seed(0))
    coordinates = architecture.flow_coordinates(neurons)
    assert isinstance(coordinates, TemplateCoordinates)
    y = coordinates.encode(neurons)
    reference = path(Rosenbrock, coordinates, y, 20.0, 1e-8)[0]
    end, statistics = path(ExtrapolatedEuler, coordinates, y, 20.0, 1e-6)
    assert float(coordinates.loss_and_velocity(reference)[0]) < 0.4 * float(architecture.data.energies.sum())
    assert float((end - reference).norm() / reference.norm()) < 3e-5
    assert statistics.gradient_evaluations < 4000
