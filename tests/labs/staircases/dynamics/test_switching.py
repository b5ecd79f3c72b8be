"""The method of less work: its estimate against what steps really cost, and what it does along a path."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics import switching
from agfrun.labs.staircases.dynamics.coordinates import Work
from agfrun.labs.staircases.dynamics.gradient_flow import make_stepper, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, integrate
from agfrun.labs.staircases.dynamics.rock import Rock4
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.dynamics.switching import Estimate, QuickestIntegration
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import ChosenNeurons, TemplateCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.data import modular_addition
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd


def one_hot(p: int, width: int) -> tuple[QuadraticModadd, TemplateCoordinates, Tensor]:
    frequencies = range(1, p // 2 + 1)
    data = modular_addition(p, frequencies, [10.0] * len(frequencies), torch.float64, torch.device("cpu"))
    network = QuadraticModadd(data, width)
    neurons = network.initialize("gaussian", 1e-2, torch.Generator().manual_seed(0))
    coordinates = network.flow_coordinates(neurons)
    assert isinstance(coordinates, TemplateCoordinates)
    assert coordinates.output_loss is None
    return network, coordinates, neurons


def path(coordinates: TemplateCoordinates, y: Tensor, end: float, tolerance: float = 1e-6) -> QuickestIntegration:
    work = coordinates.work()
    assert work is not None
    return QuickestIntegration(IntegrationStatistics(), coordinates, work, y, 0.0, end, tolerance)


@pytest.mark.parametrize("p", [11, 13])
def test_the_dense_hessian_leads_to_the_same_place(p: int) -> None:
    """Across the first frequencies: two methods that share the gradient alone."""
    _, coordinates, neurons = one_hot(p, 2 * p)
    y, horizon = coordinates.encode(neurons), {11: 7.0, 13: 8.0}[p]
    quickest = path(coordinates, y, horizon)
    assert list(quickest)
    dense = list(integrate(Rosenbrock(coordinates, IntegrationStatistics()), y, 0.0, horizon, 1e-6))
    assert float(quickest.loss) < 0.97 * coordinates.moments_loss.target_energy
    assert float((quickest.loss / dense[-1].loss_end - 1).abs()) < 1e-4
    assert float(coordinates.relative_error(quickest.y - dense[-1].y_end, quickest.y, quickest.y)) < 1e-3


def test_the_hessian_is_the_derivative_of_the_gradient_for_any_template() -> None:
    _, coordinates, neurons = one_hot(11, 20)
    y = 30 * coordinates.encode(neurons)

    def velocity(point: Tensor) -> Tensor:
        return coordinates.loss_and_velocity(point)[1]

    exact = torch.func.jacrev(velocity)(y)
    torch.testing.assert_close(coordinates.jacobian(y), exact, rtol=1e-10, atol=1e-10 * float(exact.abs().max()))


def test_the_stiff_part_is_the_hessian_of_the_largest_neurons_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, coordinates, neurons = one_hot(11, 20)
    rows = coordinates.encode(neurons).view(20, -1).clone()
    large = [3, 7, 12]
    rows[large] *= 100
    part = coordinates.stiff_part(rows.view(-1), 0.01)
    assert isinstance(part, ChosenNeurons)
    assert sorted(part.chosen.tolist()) == large
    right = torch.linspace(-1, 1, rows.numel())
    solve = part.solver(1e-3)
    assert solve is not None
    solved = solve(right).view(20, -1)
    others = [i for i in range(20) if i not in large]
    assert torch.equal(solved[others], right.view(20, -1)[others])
    hessian = coordinates.moments_loss.hessian(rows[part.chosen])
    back = solved[part.chosen].reshape(-1)
    torch.testing.assert_close(back + 1e-3 * (hessian @ back), right.view(20, -1)[part.chosen].reshape(-1))
    # However many are stiff, no more are factorized than the bound allows.
    monkeypatch.setattr("agfrun.labs.staircases.networks.quadratic_modadd.coordinates.MOST_IMPLICIT", 70)
    capped = coordinates.stiff_part(rows.view(-1), 1e9)
    assert isinstance(capped, ChosenNeurons)
    assert len(capped.chosen) == 2


def test_extrapolation_with_the_stiff_neurons_keeps_to_the_path() -> None:
    _, coordinates, neurons = one_hot(11, 22)
    y, statistics = coordinates.encode(neurons), IntegrationStatistics()
    end = list(integrate(make_stepper("extrapolation", coordinates, y.numel(), statistics), y, 0.0, 5.5, 1e-6))[-1]
    dense = list(integrate(Rosenbrock(coordinates, IntegrationStatistics()), y, 0.0, 5.5, 1e-6))[-1]
    assert float((end.loss_end / dense.loss_end - 1).abs()) < 1e-4


@pytest.mark.parametrize("radius", [1.0, 1e3, 1e5])
def test_the_estimate_counts_what_a_step_evaluates(radius: float) -> None:
    """Gradients as the steppers count them; the factor's multiplications are n^3 / 6."""
    _, coordinates, neurons = one_hot(11, 20)
    y, step, work = coordinates.encode(neurons), 0.02, Work(gradient=1.0, jacobian=0.0)
    estimate = Estimate.of(work, 0, step, radius)
    velocity = coordinates.loss_and_velocity(y)[1]
    for method, counted, length in ((Rock4, estimate.rock4, step),
                                    (Rosenbrock, estimate.rosenbrock, switching.LONGER * step)):
        statistics = IntegrationStatistics()
        stepper = method(coordinates, statistics)
        stepper.begin(y, velocity)
        if isinstance(stepper, Rock4):
            stepper.radius = radius
            statistics.gradient_evaluations = 1  # the power iteration's, once it has settled
        assert stepper.attempt(step) is not None
        # Rosenbrock's new velocity is evaluated by the loop.
        own = statistics.gradient_evaluations + (method is Rosenbrock)
        assert counted * length == pytest.approx(own)


def test_the_estimate_picks_what_was_measured_to_be_quicker() -> None:
    """Modulo 13 and 23 by 24 and 32 neurons `Rock4` was 1.2 and 10 times quicker to the end or the first drops."""
    for p, width, step, radius in ((13, 24, 0.01, 2000.0), (23, 32, 0.02, 600.0)):
        _, coordinates, neurons = one_hot(p, width)
        work, size = coordinates.work(), coordinates.encode(neurons).numel()
        assert work is not None
        estimate = Estimate.of(work, size, step, radius)
        assert estimate.rock4 < estimate.rosenbrock
        stiffer = Estimate.of(work, size, step, 1e5 / step)
        assert stiffer.rosenbrock < stiffer.rock4


class Counted(TemplateCoordinates):
    """Whose work is declared to be such that the Jacobian is free, or dear."""

    jacobian_work = 0.0

    def work(self) -> Work:
        return Work(gradient=1e9, jacobian=self.jacobian_work)


def test_a_path_changes_its_method_and_goes_on_after_an_interruption() -> None:
    """Once the Jacobian becomes dear Rosenbrock's steps give way; a state holds which method it was, to the bit."""
    network, _, neurons = one_hot(11, 20)

    def follow(interrupted: bool) -> tuple[list[str], Tensor]:
        coordinates = Counted(network.shifts, neurons)
        integration, names = path(coordinates, coordinates.encode(neurons), 5.0), []
        for _ in integration:
            names.append(type(integration.stepper).__name__)
            if len(names) == 25:
                coordinates.jacobian_work = 1e13
                state = TrainingState.joined(path=integration.state()).part("path")
                if interrupted:
                    break
                integration.work = coordinates.work()
        if interrupted:
            integration = path(coordinates, coordinates.encode(neurons), 5.0)
            integration.restore(state)
            names += [type(integration.stepper).__name__ for _ in integration]
        return names, integration.y

    (names, straight), (_, resumed) = follow(False), follow(True)
    assert names[0] == names[-1] == "Rock4"
    assert "Rosenbrock" in names[:25]
    assert torch.equal(straight, resumed)


def test_training_chooses_by_work_where_it_is_counted() -> None:
    network, coordinates, neurons = one_hot(11, 20)
    result = train_by_gradient_flow(network, neurons, 1.0)
    assert result.statistics.factorizations == 0
    assert result.statistics.drop_time_error is None
    again = train_by_gradient_flow(network, neurons, 1.0)
    assert torch.equal(result.final, again.final)
    statistics = IntegrationStatistics()
    assert isinstance(make_stepper("auto", coordinates, 3000, statistics), Rock4)
