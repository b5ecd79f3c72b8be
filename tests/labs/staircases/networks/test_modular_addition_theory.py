from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import CPU, ExplicitNetwork, modadd_network, paper_modadd, with_random_phases
from scipy.optimize import minimize
from torch import Tensor

from agfrun.labs.staircases.networks.quadratic_modadd.data import (
    GaussianModularAdditionConfig,
    ModularAddition,
    OneHotModularAdditionConfig,
    PowerLawModularAdditionConfig,
    modular_addition,
)
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import (
    blow_up_times,
    decoupled_events,
    lower_bounds,
    maximal_utilities,
    modular_addition_theory,
    shares_left,
    third_of,
)
from agfrun.labs.staircases.networks.theory import Theory

PAPER_UTILITIES = [3.042903, 0.380363, 0.047545]
PAPER_MSE_LEVELS = [0.65625, 0.15625, 0.03125, 0.0]


def architecture_of(network: ExplicitNetwork) -> QuadraticModadd:
    assert isinstance(network.architecture, QuadraticModadd)
    return network.architecture


def paper_data() -> ModularAddition:
    return architecture_of(paper_modadd()).data


def theory_of(data: ModularAddition, neurons: Tensor, threshold: float = 1.0) -> Theory:
    spectra = QuadraticModadd(data, len(neurons)).neuron_spectra(neurons)
    return modular_addition_theory(data, spectra, neurons, threshold)


def gaussian(data: ModularAddition, width: int, scale: float, seed: int = 0) -> Tensor:
    return QuadraticModadd(data, width).initialize("gaussian", scale, torch.Generator().manual_seed(seed))


def alone(data: ModularAddition, place: int) -> ModularAddition:
    """The template with only one of its frequencies."""
    spectrum = np.zeros(data.p // 2 + 1, dtype=complex)
    spectrum[data.frequencies[place]] = complex(data.spectrum[place])
    return ModularAddition(torch.tensor(np.fft.irfft(spectrum, n=data.p)), (data.frequencies[place],),
                           data.spectrum[place : place + 1])


# ---- Utility


def largest_utility(data: ModularAddition, starts: int) -> float:
    """Maximum over unit neurons of the utility as the network's definition gives it, from random starts."""
    network = modadd_network(data, 1)
    target = network.targets
    rng = np.random.default_rng(data.p)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.tensor(flat, requires_grad=True)
        utility = -network.utilities((theta / theta.norm())[None], target)[0]
        return utility.item(), torch.autograd.grad(utility, theta)[0].numpy()

    return max(-float(minimize(objective, rng.normal(size=3 * data.p), jac=True, method="BFGS",
                               options={"gtol": 1e-10}).fun) for _ in range(starts))


def test_published_maximal_utilities() -> None:
    np.testing.assert_allclose(maximal_utilities(paper_data()), PAPER_UTILITIES, atol=6e-7)


@pytest.mark.parametrize(("p", "frequencies", "amplitudes"), [
    (5, [1, 2], [5.0, 3.0]),
    (7, [3, 1], [4.0, 2.0]),
    (6, [1, 2], [3.0, 4.0]),
    (4, [1, 2], [3.0, 4.0]),  # frequency 2 is Nyquist's
    (6, [3, 2], [3.0, 3.1]),  # Nyquist's wins with the smaller amplitude
    (2, [1], [2.0]),
    (3, [1], [1.5]),
])
def test_maximal_utilities_against_maximization(p: int, frequencies: list[int], amplitudes: list[float]) -> None:
    data = with_random_phases(p, frequencies, amplitudes, seed=p)
    expected = maximal_utilities(data)
    assert largest_utility(data, 5) == pytest.approx(float(expected.max()), rel=1e-8)
    for place in range(len(frequencies)):
        assert largest_utility(alone(data, place), 3) == pytest.approx(float(expected[place]), rel=1e-8)


def test_published_maximizers_attain_the_published_utilities() -> None:
    """Over all 400 pairs: u, v, w of equal norm on one frequency with phases s_u + s_v = s_w."""
    data = paper_data()
    position = 2 * math.pi * torch.arange(20) / 20
    for place, k in enumerate(data.frequencies):
        u, v, w = (math.sqrt(2 / 60) * torch.cos(k * position + phase) for phase in (0.4, 1.3, 1.7))
        network = modadd_network(data, 1)
        utility = network.utilities(torch.cat([u, v, w])[None], network.targets)
        assert float(utility[0]) == pytest.approx(PAPER_UTILITIES[place], abs=6e-7)


@pytest.mark.parametrize("p", [5, 6, 8])
def test_utility_is_a_sum_over_frequencies(p: int) -> None:
    """And each summand is (2 / p^3) |x|^2 conj(x) u v conj(w), over signed frequencies."""
    frequencies = list(range(1, p // 2 + 1))
    data = with_random_phases(p, frequencies, [5.0, 3.0, 2.0, 4.0][: len(frequencies)], seed=p)
    network = modadd_network(data, 4)
    neurons = network.random_neurons(4)
    together = network.utilities(neurons, network.targets)
    waves = torch.fft.fft(neurons.view(4, 3, p))
    separate = torch.zeros(4)
    for k in frequencies:
        kept = torch.zeros(p)
        kept[[k, -k % p]] = 1
        only = torch.fft.ifft(waves * kept).real.flatten(1)
        utility = network.utilities(only, network.targets)
        u, v, w = (waves[:, part, k] for part in range(3))
        x = complex(np.fft.fft(data.template.numpy())[k])
        formula = (2 / p**3) * abs(x) ** 2 * (np.conj(x) * u * v * w.conj()).real * (1 if 2 * k == p else 2)
        torch.testing.assert_close(utility, formula, rtol=1e-10, atol=1e-12)
        separate += utility
    torch.testing.assert_close(together, separate, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("p", [5, 6])
def test_dormant_gradient_is_three_waves_for_each_frequency(p: int) -> None:
    """u' = g x conj(v) w and so on, g = 2 |x|^2 / p^2, Nyquist included."""
    data = with_random_phases(p, [1, p // 2], [5.0, 3.0], seed=p)
    network = modadd_network(data, 3)
    neurons = network.random_neurons(3).requires_grad_()
    gradient = torch.autograd.grad(network.utilities(neurons, network.targets).sum(), neurons)[0]
    architecture = architecture_of(network)
    velocity = architecture.neuron_spectra(gradient)
    u, v, w = architecture.neuron_spectra(neurons.detach()).unbind(1)
    x = data.spectrum
    rate = 2 * x.abs().square() / p**2
    expected = torch.stack([rate * x * v.conj() * w, rate * x * u.conj() * w, rate * x.conj() * u * v], dim=1)
    torch.testing.assert_close(velocity, expected, rtol=1e-10, atol=1e-12)


# ---- Bounds and times


def test_lower_bounds_are_the_growth_of_an_aligned_neuron() -> None:
    """n' = 3 U* n^2 from n_0 to the threshold."""
    bounds = lower_bounds(paper_data(), 0.02, threshold=0.5)
    np.testing.assert_allclose(bounds, (50 - 2) / (3 * maximal_utilities(paper_data())), rtol=1e-12)


def test_published_bounds_in_optimizer_steps() -> None:
    """From the typical norm sqrt(2) * 1e-2, learning rate 0.01, momentum 0.9, mean over 20 outputs."""
    per_step = 2 / 20 * 0.01 / (1 - 0.9)
    steps = lower_bounds(paper_data(), math.sqrt(2) * 1e-2) / per_step
    np.testing.assert_allclose(steps, [764, 6109, 48873], atol=0.5)


def radial(data: ModularAddition, scale: float) -> Tensor:
    """Aligned neurons of norm `scale`, one for each frequency."""
    position = 2 * math.pi * torch.arange(data.p) / data.p
    rows = []
    for place, k in enumerate(data.frequencies):
        turn = float(data.spectrum[place].angle())
        parts = torch.cat([torch.cos(k * position + phase) for phase in (0.0, 0.0, -turn)])
        rows.append(scale * parts / parts.norm())
    return torch.stack(rows)


@pytest.mark.parametrize("p", [7, 6])
def test_aligned_neurons_blow_up_at_the_bound(p: int) -> None:
    """Blow-up is the threshold at infinity: t = 1 / (3 U* n_0)."""
    data = with_random_phases(p, [1, 3], [4.0, 3.0], seed=1)
    neurons = radial(data, 1e-3)
    times = blow_up_times(data, QuadraticModadd(data, 2).neuron_spectra(neurons))
    np.testing.assert_allclose(np.diag(times), lower_bounds(data, 1e-3, threshold=math.inf), rtol=1e-9)
    assert np.isinf(times[[0, 1], [1, 0]]).all() or times[[0, 1], [1, 0]].min() > 1e6 * np.diag(times).max()


@pytest.mark.parametrize("p", [5, 6, 11])
@pytest.mark.parametrize("scale", [1e-1, 1e-4])
def test_no_random_neuron_beats_the_bound(p: int, scale: float) -> None:
    data = with_random_phases(p, [1, p // 2], [4.0, 3.0], seed=1)
    neurons = gaussian(data, 200, scale)
    times = blow_up_times(data, QuadraticModadd(data, 200).neuron_spectra(neurons))
    norms = torch.linalg.vector_norm(neurons, dim=1).tolist()
    for row, norm in zip(times, norms, strict=True):
        assert np.all(row >= lower_bounds(data, norm, threshold=math.inf).numpy())


def test_blow_up_times_follow_the_scale() -> None:
    data = paper_data()
    spectra = QuadraticModadd(data, 6).neuron_spectra(gaussian(data, 6, 1e-2))
    np.testing.assert_allclose(blow_up_times(data, 1e-3 * spectra), 1e3 * blow_up_times(data, spectra), rtol=1e-9)


# ---- Levels, order and the staircase


def test_published_levels_and_order() -> None:
    theory = theory_of(paper_data(), gaussian(paper_data(), 18, 1e-2))
    assert [feature for feature, _ in theory.levels] == ["1", "3", "5"]
    levels = [theory.initial_loss, *(level for _, level in theory.levels)]
    np.testing.assert_allclose([2 / 20 * level for level in levels], PAPER_MSE_LEVELS, rtol=1e-12, atol=1e-15)
    assert theory.undecided == ""


def test_order_follows_the_utilities_whatever_the_order_of_the_config() -> None:
    data = modular_addition(11, [4, 2, 5], [1.0, 3.0, 2.0], torch.float64, CPU)
    theory = theory_of(data, gaussian(data, 4, 1e-2))
    assert [feature for feature, _ in theory.levels] == ["2", "5", "4"]
    np.testing.assert_allclose([level for _, level in theory.levels], [5 / 11, 1 / 11, 0.0], atol=1e-15)


def test_nyquist_frequency_is_worth_more_utility_but_less_loss() -> None:
    data = modular_addition(10, [1, 5], [3.0, 2.8], torch.float64, CPU)
    theory = theory_of(data, gaussian(data, 4, 1e-2))
    assert [feature for feature, _ in theory.levels] == ["5", "1"]
    assert theory.initial_loss == pytest.approx(9 / 10 + 2.8**2 / 20)
    assert theory.levels[0][1] == pytest.approx(9 / 10)


def test_learned_frequencies_leave_these_levels() -> None:
    """The loss of the exact solution on the first frequencies, by the network's own definition."""
    network = paper_modadd()
    for learned in range(4):
        solution = six_neuron_solution(paper_data(), learned)
        loss = float(network.loss(solution)) if learned else float(network.loss(torch.zeros(1, 60)))
        assert 2 / 20 * loss == pytest.approx(PAPER_MSE_LEVELS[learned], abs=1e-12)


def test_equal_amplitudes_leave_the_order_open() -> None:
    data = modular_addition(9, [1, 2, 4], [3.0, 2.0, 3.0], torch.float64, CPU)
    theory = theory_of(data, gaussian(data, 4, 1e-2))
    assert "1 and 4" in theory.undecided
    assert "2" not in theory.undecided


def test_one_hot_templates_leave_everything_but_nyquist_open() -> None:
    for p, tied in ((7, "frequencies 1 and 2 and 3 are"), (8, "frequencies 1 and 2 and 3 are"),
                    (31, "frequencies 1, 2, 3, 4, 5, ... and 15 (15 of them) are")):
        data = OneHotModularAdditionConfig(p=p).build(torch.float64, CPU)
        theory = theory_of(data, gaussian(data, 4, 1e-2))
        assert theory.undecided == f"{tied} equally strong: their order is undetermined"
        names = [feature for feature, _ in theory.levels]
        assert sorted(names, key=int) == [str(k) for k in data.frequencies]
        assert (names[0] == "4") == (p == 8)
        falls = -np.diff([theory.initial_loss, *(level for _, level in theory.levels)])
        np.testing.assert_allclose(falls, sorted(data.energies.tolist(), reverse=p != 8), rtol=1e-9)


def test_distinct_amplitudes_leave_nothing_open() -> None:
    for config in (GaussianModularAdditionConfig(p=113), PowerLawModularAdditionConfig(p=60)):
        data = config.build(torch.float64, CPU)
        theory = theory_of(data, gaussian(data, 6, 1e-2))
        utilities = dict(zip(map(str, data.frequencies), maximal_utilities(data).tolist(), strict=True))
        in_order = [utilities[feature] for feature, _ in theory.levels]
        assert in_order == sorted(in_order, reverse=True)
        assert theory.undecided == ""
        assert len(theory.levels) == len(theory.lower_bounds) == data.p // 2


def complex_cases() -> list[ModularAddition]:
    return [with_random_phases(11, [1, 4], [7.0, 3.0], seed=1),
            with_random_phases(8, [4, 1, 3], [3.0, 4.0, 2.0], seed=2),
            GaussianModularAdditionConfig(p=9).build(torch.float64, CPU),
            OneHotModularAdditionConfig(p=6).build(torch.float64, CPU)]


@pytest.mark.parametrize("data", complex_cases(), ids=lambda data: f"p={data.p}")
def test_no_neuron_blows_up_before_the_bound_from_its_own_norm(data: ModularAddition) -> None:
    """Elliptic integrals against the bound, and the bound attained by an aligned neuron of equal parts."""
    neurons = gaussian(data, 200, 1e-2)
    architecture = QuadraticModadd(data, 200)
    times = blow_up_times(data, architecture.neuron_spectra(neurons))
    bounds = torch.stack([lower_bounds(data, norm, math.inf) for norm in neurons.norm(dim=1).tolist()])
    assert bool((times >= bounds.numpy()).all())
    for place, k in enumerate(data.frequencies):
        angle, turn = 2 * math.pi * k * torch.arange(data.p) / data.p, float(data.spectrum[place].angle())
        phases = (0.0, math.pi, math.pi - turn) if 2 * k == data.p else (0.4, 1.1, 1.5 - turn)
        aligned = torch.cat([torch.cos(angle + phase) for phase in phases])
        aligned *= 0.03 / aligned.norm()
        time = blow_up_times(data, architecture.neuron_spectra(aligned[None]))[0, place]
        assert time == pytest.approx(float(lower_bounds(data, 0.03, math.inf)[place]), rel=1e-9)


def test_the_published_bound_from_the_typical_norm_is_beaten_by_a_large_neuron() -> None:
    data, scale = paper_data(), 1e-2
    position = 2 * math.pi * torch.arange(20) / 20
    large = torch.cat([torch.cos(position)] * 3)
    large *= 1.5 * math.sqrt(2) * scale / large.norm()
    neurons = torch.cat([gaussian(data, 17, scale), large[None]])
    published = float(lower_bounds(data, math.sqrt(2) * scale)[0])
    theory = theory_of(data, neurons)
    assert theory.events[0].neuron == 17
    assert theory.lower_bounds["1"] < theory.events[0].time < published


@pytest.mark.parametrize("p", range(5, 14))
def test_a_half_learned_frequency_drives_its_own_neurons_to_its_triple_and_nowhere_else(p: int) -> None:
    """One neuron on k is the best single one; how another neuron on k is driven at k', by autograd over the data."""
    frequencies = list(range(1, p // 2 + 1))
    data = with_random_phases(p, frequencies, [3.0] * len(frequencies), seed=p)
    network, driven = modadd_network(data, 1), set()
    # Equally strong but for Nyquist's, which a weaker frequency cannot hasten by definition.
    for place, k in enumerate(frequencies):
        active, probe = (pure_neuron(data, place, seed) for seed in (0, 1))
        residual = network.residual(0.8 * active)
        variable = probe.clone().requires_grad_()
        gradient = torch.autograd.grad(network.utilities(variable, residual).sum(), variable)[0]
        inputs = torch.fft.rfft(gradient.view(3, p))[:2].abs().amax(0)
        driven |= {(k, other) for other in frequencies if other != k and inputs[other] > 1e-9 * inputs.max()}
    triples = {(k, other) for k in frequencies for other in frequencies
               if other != k and ((3 * k - other) % p == 0 or (3 * k + other) % p == 0)}
    assert driven == triples
    for place, k in enumerate(frequencies):
        third = third_of(data, place)
        assert third is None or (third, k) in triples
        if 2 * k != p:
            assert (third is not None) == any(other == k for _, other in triples)


def pure_neuron(data: ModularAddition, place: int, seed: int) -> Tensor:
    """A neuron of random phases on one frequency, (1, 3p)."""
    angle = 2 * math.pi * data.frequencies[place] * torch.arange(data.p) / data.p
    phases = torch.rand(3, generator=torch.Generator().manual_seed(seed)) * 2 * math.pi
    return torch.cat([torch.cos(angle + phase) for phase in phases])[None]


def test_only_a_stronger_frequency_hastens_its_triple() -> None:
    assert [third_of(paper_data(), place) for place in range(3)] == [None, 1, None]
    weaker_first = modular_addition(20, [1, 3], [2.0, 5.0], torch.float64, CPU)
    assert [third_of(weaker_first, place) for place in range(2)] == [None, None]


def test_bounds_take_the_largest_neuron() -> None:
    data = paper_data()
    neurons = gaussian(data, 5, 1e-2)
    neurons[3] *= 4
    theory = theory_of(data, neurons, threshold=0.7)
    norm = float(neurons[3].norm())
    expected = (1 / norm - 1 / 0.7) / (3 * maximal_utilities(data))
    assert theory.lower_bounds == pytest.approx(dict(zip(["1", "3", "5"], expected.tolist(), strict=True)))


def test_decoupled_events_use_each_neuron_once_and_stop_at_the_last_share() -> None:
    data = modular_addition(8, [1, 2], [3.0, 2.0], torch.float64, CPU)  # frequency 2 has order 4
    times = np.array([[10.0 + i, 1.0 + i] for i in range(10)])
    times[9] = [math.inf, math.inf]
    events = decoupled_events(data, times)
    on_second = [event for event in events if event.feature == "2"]
    assert [event.neuron for event in on_second] == [0, 1, 2]
    on_first = [event for event in events if event.feature == "1"]
    assert [event.neuron for event in on_first] == [3, 4, 5, 6]  # the other frequency is learned by now
    assert [event.time for event in events] == sorted(event.time for event in events)
    first, second = data.energies.tolist()
    expected = [*(first + second * share for share in shares_left(8, 2, False)[1:]),
                *(first * share for share in shares_left(8, 1, True)[1:])]
    np.testing.assert_allclose([event.loss_after for event in events], expected, atol=1e-12)
    np.testing.assert_allclose([event.loss_before for event in events], [first + second, *expected[:-1]])


def test_frequencies_that_start_together_have_no_help_from_each_other() -> None:
    data = modular_addition(7, [1, 2], [3.0, 2.0], torch.float64, CPU)
    events = decoupled_events(data, np.array([[1.0, 9.0], [9.0, 2.0], [3.0, 9.0], [9.0, 4.0]]))
    first, second = data.energies.tolist()
    np.testing.assert_allclose([event.loss_after for event in events],
                               [first * 8 / 9 + second, (first + second) * 8 / 9,
                                first * 5 / 9 + second * 8 / 9, (first + second) * 5 / 9])


def test_decoupled_events_run_out_of_neurons() -> None:
    data = paper_data()
    events = decoupled_events(data, np.array([[1.0, 2.0, 3.0], [4.0, 0.5, 9.0]]))
    assert [(event.neuron, event.feature, event.time) for event in events] == [(1, "3", 0.5), (0, "1", 1.0)]


def test_relabelling_neurons_relabels_the_events() -> None:
    data = paper_data()
    neurons, order = gaussian(data, 9, 1e-2), [4, 7, 0, 8, 2, 1, 6, 3, 5]
    reference, relabelled = theory_of(data, neurons), theory_of(data, neurons[order])
    assert [(order[e.neuron or 0], e.feature) for e in relabelled.events] == [
        (e.neuron, e.feature) for e in reference.events]
    np.testing.assert_allclose([e.time for e in relabelled.events], [e.time for e in reference.events], rtol=1e-12)


# ---- Six neurons solve a frequency


def six_neuron_solution(data: ModularAddition, frequencies: int) -> Tensor:
    """Phases 2 pi i / 6 times (1, 4, 5) for (u, v, w): every wave but the wanted one cancels."""
    position, rows = 2 * math.pi * torch.arange(data.p) / data.p, []
    for k, size in zip(data.frequencies[:frequencies], data.spectrum.abs().tolist(), strict=False):
        amplitude = (2 / (3 * data.p * size)) ** (1 / 3)
        for i in range(6):
            rows.append(torch.cat([amplitude * torch.cos(k * position + math.pi / 3 * i * turn)
                                   for turn in (1, 4, 5)]))
    return torch.stack(rows) if rows else torch.zeros(0, 3 * data.p)


@pytest.mark.parametrize(("p", "frequencies", "amplitudes"), [
    (20, [1, 3, 5], [10.0, 5.0, 2.5]), (7, [2], [3.0]), (3, [1], [1.0]), (11, [1, 4], [2.0, 30.0]),
])
def test_six_neurons_solve_a_frequency_exactly(p: int, frequencies: list[int], amplitudes: list[float]) -> None:
    data = modular_addition(p, frequencies, amplitudes, torch.float64, CPU)
    neurons = six_neuron_solution(data, len(frequencies))
    network = modadd_network(data, len(neurons))
    assert float(network.residual(neurons).abs().max()) < 1e-12
    loss, gradient = network.architecture.loss_and_gradient(neurons)
    assert abs(float(loss)) < 1e-12
    assert abs(float(network.architecture.loss(network.architecture.residual(neurons)))) < 1e-12
    assert float(gradient.abs().max()) < 1e-12
    np.testing.assert_allclose(network.architecture.features(neurons), amplitudes, rtol=1e-12)


def test_five_of_the_six_do_not() -> None:
    data = paper_data()
    neurons = six_neuron_solution(data, 1)[:5]
    network = modadd_network(data, 5)
    assert float(network.loss(neurons)) > float(data.energies[1:].sum()) + 0.01 * float(data.energies[0])
