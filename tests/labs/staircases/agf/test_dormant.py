from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from explicit_networks import regression_2d, regression_5d, small_modadd, with_random_phases
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from torch import Tensor

from agfrun import Architecture
from agfrun.labs.staircases.agf.alternation import threshold_distance
from agfrun.labs.staircases.agf.dormant import DormantFlow, DormantNeurons
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import blow_up_times, lower_bounds, maximal_utilities

Rows = list[tuple[float, DormantNeurons]]
FOREVER = 1e300


def advance(
    architecture: Architecture, neurons: Tensor, *, threshold: float = 1.0, end: float = FOREVER,
    tolerance: float = 1e-10, active: Tensor | None = None, start: float = 0.0,
) -> tuple[DormantNeurons, float, int | None, Rows]:
    """Flow under the residual of `active`, which stays as it is."""
    rows: Rows = []
    flow = DormantFlow(architecture, threshold, tolerance, IntegrationStatistics(),
                       lambda time, dormant: rows.append((time, dormant)))
    residual = architecture.empty_residual() if active is None else architecture.residual(active)
    dormant = DormantNeurons.of(neurons, torch.arange(len(neurons)))
    reached, time, row = flow.advance(dormant, lambda _, __: residual, start, end)
    return reached, time, row, rows


def raw_flow(architecture: Architecture, neurons: Tensor, active: Tensor | None, **options: Any) -> Any:
    """d theta / dt = grad U(theta; r) in the parameters themselves, by SciPy."""
    residual = architecture.empty_residual() if active is None else architecture.residual(active)

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        state = torch.tensor(flat).view(neurons.shape)
        return architecture.utility_gradient(state, residual, torch.arange(len(neurons))).flatten().numpy()

    return solve_ivp(velocity, y0=neurons.flatten().numpy(), method="DOP853", rtol=1e-12, atol=1e-30, **options)


def gaussian(architecture: Architecture, scale: float, seed: int = 0) -> Tensor:
    return architecture.initialize("gaussian", scale, torch.Generator().manual_seed(seed))


def cases() -> dict[str, tuple[Architecture, float, Tensor | None]]:
    """Architecture, how long to flow, and active neurons or None."""
    quadratic = small_modadd(5, (1, 2), (5.0, 3.0), width=4).architecture
    active = small_modadd(5, (1, 2), (5.0, 3.0), width=2).random_neurons(seed=7)
    return {
        "quadratic": (quadratic, 8.0, None),
        "quadratic beside active neurons": (quadratic, 0.15, active),
        "diagonal": (regression_5d().architecture, 0.4, None),
    }


@pytest.mark.parametrize("name", cases())
def test_log_norms_and_directions_match_the_raw_flow(name: str) -> None:
    architecture, end, active = cases()[name]
    neurons = gaussian(architecture, 1e-2)
    reached, time, row, rows = advance(architecture, neurons, end=end, active=active, threshold=1e3)
    assert (time, row) == (end, None)
    exact = raw_flow(architecture, neurons, active, t_span=(0, end), t_eval=[t for t, _ in rows])
    states = torch.tensor(exact.y.T).view(-1, *neurons.shape)
    norms = torch.linalg.vector_norm(states, dim=-1)
    assert float(norms[-1].max() / norms[0].max()) > 1.05  # it has moved
    torch.testing.assert_close(torch.stack([d.log_norms for _, d in rows]), norms.log(), atol=1e-8, rtol=0)
    directions = torch.stack([d.directions for _, d in rows])
    torch.testing.assert_close(directions, states / norms[..., None], atol=1e-8, rtol=0)
    torch.testing.assert_close(reached.neurons(), states[-1], atol=1e-9, rtol=1e-8)


@pytest.mark.parametrize("name", cases())
def test_directions_stay_of_unit_length(name: str) -> None:
    architecture, end, active = cases()[name]
    for _, dormant in advance(architecture, gaussian(architecture, 1e-2), end=end, active=active)[3]:
        lengths = torch.linalg.vector_norm(dormant.directions, dim=1)
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-14, rtol=0)


@pytest.mark.parametrize("threshold", [0.3, 1.0])
def test_crossing_is_where_the_raw_flow_reaches_the_threshold(threshold: float) -> None:
    architecture = small_modadd(5, (1, 2), (5.0, 3.0), width=4).architecture
    neurons = gaussian(architecture, 1e-2)
    reached, time, row, _ = advance(architecture, neurons, threshold=threshold, tolerance=1e-12)
    assert row is not None

    def excess(_: float, flat: np.ndarray) -> float:
        return float(np.linalg.norm(flat.reshape(4, -1), axis=1).max() - threshold)

    excess.terminal = True  # type: ignore[attr-defined]
    exact = raw_flow(architecture, neurons, None, t_span=(0, 2 * time), events=excess)
    assert time == pytest.approx(float(exact.t_events[0][0]), rel=1e-9)
    assert row == int(np.linalg.norm(exact.y_events[0][0].reshape(4, -1), axis=1).argmax())
    assert float(reached.log_norms[row]) == pytest.approx(math.log(threshold), abs=1e-11)
    others = torch.arange(4) != row
    assert bool((reached.log_norms[others] < math.log(threshold)).all())


@pytest.mark.parametrize(("p", "seed"), [(7, 0), (7, 1), (6, 0), (6, 3)])
def test_single_frequency_neurons_reach_a_large_threshold_at_the_three_wave_time(p: int, seed: int) -> None:
    """When |u| = |v| = |w| = A is large the norm is sqrt(6 / p) A (Nyquist: sqrt(3 / p)) and the time left
    1 / (g A)."""
    data = with_random_phases(p, [3], [4.0], seed=seed)
    architecture = QuadraticModadd(data, 3)
    neurons, threshold = gaussian(architecture, 1e-2, seed), 1e3
    _, time, row, _ = advance(architecture, neurons, threshold=threshold, tolerance=1e-10)
    times = blow_up_times(data, architecture.neuron_spectra(neurons))[:, 0]
    rate = 2 * 4.0**3 / p**2
    amplitude = threshold / math.sqrt(3 * float(data.multiplicities[0]) / p)
    assert row == int(times.argmin())
    assert time == pytest.approx(float(times.min()) - 1 / (rate * amplitude), rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.3, 1.0])
def test_no_activation_before_the_lower_bound(seed: int, threshold: float) -> None:
    data = with_random_phases(5, [2], [4.0], seed=seed)
    architecture = QuadraticModadd(data, 6)
    neurons = gaussian(architecture, 1e-2, seed)
    largest = float(torch.linalg.vector_norm(neurons, dim=1).max())
    time = advance(architecture, neurons, threshold=threshold)[1]
    assert time > float(lower_bounds(data, largest, threshold)[0])


@pytest.mark.parametrize("threshold", [0.5, 1.0, 30.0])
def test_aligned_neuron_activates_exactly_at_the_lower_bound(threshold: float) -> None:
    data = with_random_phases(7, [2], [4.0], seed=0)
    architecture = QuadraticModadd(data, 1)
    position = 2 * math.pi * 2 * torch.arange(7) / 7
    turn = float(data.spectrum[0].angle())
    neuron = torch.cat([torch.cos(position), torch.cos(position), torch.cos(position - turn)])
    neuron *= 1e-3 / neuron.norm()
    time = advance(architecture, neuron[None], threshold=threshold)[1]
    assert time == pytest.approx(float(lower_bounds(data, 1e-3, threshold)[0]), rel=1e-9)
    assert time == pytest.approx((1e3 - 1 / threshold) / (3 * float(maximal_utilities(data)[0])), rel=1e-9)


def test_degree_two_grows_exponentially_on_its_hyperbola() -> None:
    """u v g with constant drive g: u + v = (u0 + v0) e^(gt), u - v = (u0 - v0) e^(-gt)."""
    architecture = regression_2d().architecture
    neurons = gaussian(architecture, 1e-4, 3)
    drives = architecture.empty_residual().drives
    reached = advance(architecture, neurons, end=1.5)[0]
    total, difference = neurons.sum(1) * (1.5 * drives).exp(), (neurons[:, 0] - neurons[:, 1]) * (-1.5 * drives).exp()
    expected = 0.5 * torch.stack([total + difference, total - difference], dim=1)
    torch.testing.assert_close(reached.neurons(), expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("name", ["quadratic", "diagonal"])
def test_norm_identity_of_the_accumulated_utility(name: str) -> None:
    """S = integral of kappa U(direction): log norm for degree 2, minus inverse norm for degree 3."""
    architecture, end, _ = cases()[name]
    neurons = gaussian(architecture, 1e-2)
    # Close enough for a spline; the flow itself takes longer steps.
    rows: Rows = []
    for stop in torch.linspace(0, end, 200)[1:].tolist():
        reached = advance(architecture, rows[-1][1].neurons() if rows else neurons, end=stop, tolerance=1e-10,
                          start=rows[-1][0] if rows else 0.0)
        rows.append((reached[1], reached[0]))
    residual = architecture.empty_residual()
    start = DormantNeurons.of(neurons, torch.arange(len(neurons)))
    times = np.array([0.0, *(time for time, _ in rows)])
    utilities = [architecture.utility(d.directions, residual, d.index).numpy()
                 for d in [start, *(dormant for _, dormant in rows)]]
    density = architecture.homogeneity_degree * np.array(utilities)
    integral = np.concatenate([[np.zeros(len(neurons))], _running_integral(times, density)])
    norms = torch.stack([start.log_norms, *(d.log_norms for _, d in rows)]).exp().numpy()
    expected = (np.log(norms / norms[0]) if architecture.homogeneity_degree == 2 else 1 / norms[0] - 1 / norms)
    np.testing.assert_allclose(integral, expected, atol=1e-6 * np.abs(expected).max())


def _running_integral(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Running integral of columns by cubic splines."""
    return CubicSpline(times, values).antiderivative()(times[1:])


@pytest.mark.parametrize("degree", [2, 3])
def test_threshold_distance(degree: int) -> None:
    """-log ||theta_0|| for degree 2 and 1 / ||theta_0|| - 1 for degree 3, at threshold 1."""
    norms = torch.tensor([1e-3, 0.2])
    expected = -norms.log() if degree == 2 else 1 / norms - 1
    torch.testing.assert_close(threshold_distance(norms.log(), 1.0, degree), expected)
    other = threshold_distance(norms.log(), 0.5, degree) - threshold_distance(norms.log(), 1.0, degree)
    torch.testing.assert_close(other, torch.full((2,), math.log(0.5) if degree == 2 else -1.0))


def test_activation_time_is_the_threshold_distance_over_the_growth_rate() -> None:
    """One aligned neuron: S(t) = 3 U* t."""
    data = with_random_phases(7, [2], [4.0], seed=0)
    rate = 3 * float(maximal_utilities(data)[0])
    distance = float(threshold_distance(torch.tensor(1e-3).log(), 1.0, 3))
    assert distance / rate == pytest.approx(float(lower_bounds(data, 1e-3)[0]), rel=1e-12)


def test_any_scale_costs_the_same_and_scales_the_time() -> None:
    """Degree 3: time is inverse to the scale (up to the threshold); nothing underflows."""
    data = with_random_phases(7, [2], [4.0], seed=0)
    architecture = QuadraticModadd(data, 3)
    neurons = gaussian(architecture, 1.0)
    times, steps = [], []
    for scale in (1e-3, 1e-90):
        _, time, row, rows = advance(architecture, scale * neurons, threshold=scale * 1e4)
        assert row is not None
        times.append(time * scale)
        steps.append(len(rows))
    assert times[1] == pytest.approx(times[0], rel=1e-9)
    assert steps[1] == steps[0]


def test_neurons_are_integrated_independently_of_their_order() -> None:
    architecture = small_modadd(5, (1, 2), (5.0, 3.0), width=4).architecture
    neurons, order = gaussian(architecture, 1e-2), [2, 0, 3, 1]
    reached, time, row, _ = advance(architecture, neurons)
    permuted, again, where, _ = advance(architecture, neurons[order])
    assert again == pytest.approx(time, rel=1e-12)
    assert row == order[where or 0]
    torch.testing.assert_close(permuted.neurons(), reached.neurons()[order], rtol=1e-9, atol=1e-12)


def test_flow_pauses_and_resumes() -> None:
    architecture = small_modadd(5, (1, 2), (5.0, 3.0), width=4).architecture
    neurons = gaussian(architecture, 1e-2)
    whole = advance(architecture, neurons)
    half, time, row, _ = advance(architecture, neurons, end=0.5 * whole[1])
    assert (time, row) == (0.5 * whole[1], None)
    rest = advance(architecture, half.neurons(), start=time)
    assert rest[1] == pytest.approx(whole[1], rel=1e-8)
    assert rest[2] == whole[2]


def test_neuron_on_the_threshold_activates_only_if_it_grows() -> None:
    """Unit neurons along (1, sign) on their way out and in: utility +-g / 2."""
    architecture = regression_2d().architecture
    sign = float(architecture.empty_residual().drives[0].sign())
    outwards = torch.tensor([[1.0, sign], [1e-6, 1e-6]]) / math.sqrt(2)
    _, time, row, _ = advance(architecture, outwards)
    assert (time, row) == (0.0, 0)
    inwards = torch.tensor([[1.0, -sign], [1e-9, 0.0]]) / math.sqrt(2)
    _, time, row, _ = advance(architecture, inwards, end=0.05)
    assert (time, row) == (0.05, None)


def test_neurons_without_drive_rest() -> None:
    architecture = regression_2d().architecture
    neurons = gaussian(architecture, 1e-2)
    flow = DormantFlow(architecture, 1.0, 1e-8, IntegrationStatistics(), lambda *_: None)
    nothing_left = architecture.residual(torch.tensor([[1.0, -0.2], [1.0, 2.0]]))
    dormant = DormantNeurons.of(neurons, torch.arange(2))
    reached, time, row = flow.advance(dormant, lambda *_: nothing_left, 0.0, 5.0)
    assert (time, row) == (5.0, None)
    torch.testing.assert_close(reached.neurons(), neurons, rtol=1e-9, atol=0)


def test_no_neurons_no_activation() -> None:
    architecture = regression_2d().architecture
    empty = DormantNeurons.of(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))
    flow = DormantFlow(architecture, 1.0, 1e-8, IntegrationStatistics(), lambda *_: None)
    assert flow.advance(empty, lambda *_: architecture.empty_residual(), 1.0, 3.0)[1:] == (3.0, None)


def test_time_dependent_residual_is_followed() -> None:
    """Drive g(t) = g (1 + t): the norm's exponent is the integral of g."""
    architecture = regression_2d().architecture
    target = architecture.empty_residual()
    sign = float(target.drives[1].sign())
    neuron = 1e-6 * torch.tensor([[1.0, sign]]) / math.sqrt(2)
    flow = DormantFlow(architecture, 1.0, 1e-10, IntegrationStatistics(), lambda *_: None)

    def residual_at(time: float, _: Tensor) -> Any:
        return type(target)(target.errors, target.drives * (1 + time))

    _, time, row = flow.advance(DormantNeurons.of(neuron, torch.tensor([1])), residual_at, 0.0, FOREVER)
    exponent = float(target.drives[1].abs()) * (time + time**2 / 2)
    assert row == 0
    assert exponent == pytest.approx(6 * math.log(10), rel=1e-9)


def test_subsets_and_unions_of_dormant_neurons() -> None:
    neurons = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    dormant = DormantNeurons.of(neurons, torch.tensor([5, 2, 8, 1]))
    torch.testing.assert_close(dormant.neurons(), neurons)
    rest = dormant.without(1)
    assert rest.index.tolist() == [5, 8, 1]
    torch.testing.assert_close(rest.neurons(), neurons[[0, 2, 3]])
    back = rest.joined(DormantNeurons.of(neurons[1:2], torch.tensor([2])))
    assert back.index.tolist() == [5, 8, 1, 2]
    torch.testing.assert_close(back.neurons(), neurons[[0, 2, 3, 1]])


def test_every_evaluation_and_step_is_counted() -> None:
    calls = 0
    statistics = IntegrationStatistics()
    architecture = small_modadd(5, (1, 2), (5.0, 3.0), width=4).architecture
    target = architecture.empty_residual()

    def residual_at(_: float, __: Tensor) -> Any:
        nonlocal calls
        calls += 1
        return target

    rows: Rows = []
    flow = DormantFlow(architecture, 1.0, 1e-8, statistics, lambda time, dormant: rows.append((time, dormant)))
    flow.advance(DormantNeurons.of(gaussian(architecture, 1e-2), torch.arange(4)), residual_at, 0.0, FOREVER)
    assert statistics.gradient_evaluations == calls
    assert statistics.accepted_steps == len(rows)
