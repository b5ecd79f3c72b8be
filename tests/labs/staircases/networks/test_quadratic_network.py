from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import (
    CPU,
    ExplicitNetwork,
    modadd_answers,
    modadd_network,
    modadd_targets,
    networks,
    paper_modadd,
    rolled,
    small_modadd,
    with_random_phases,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun.labs.staircases.networks.quadratic_modadd.data import modular_addition
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

QUADRATIC = [network for network in networks() if isinstance(network.architecture, QuadraticModadd)]
ALL = pytest.mark.parametrize("network", QUADRATIC, ids=lambda network: network.name)


def quadratic(network: ExplicitNetwork) -> QuadraticModadd:
    assert isinstance(network.architecture, QuadraticModadd)
    return network.architecture


def explicit_features(architecture: QuadraticModadd, answers: Tensor) -> np.ndarray:
    """Shift each answer back by a + b, average, and read the Fourier amplitude along the template's phase."""
    p, template = architecture.data.p, architecture.data.template.numpy()
    mean = np.zeros(p)
    for pair, answer in enumerate(answers.sum(0).numpy()):
        mean += np.roll(answer, -(pair // p + pair % p)) / p**2
    phases = np.fft.fft(template)[list(architecture.data.frequencies)]
    coefficients = np.fft.fft(mean)[list(architecture.data.frequencies)]
    return np.real(coefficients * phases.conj() / np.abs(phases))


@ALL
def test_outputs_and_targets_are_the_explicit_ones(network: ExplicitNetwork) -> None:
    architecture, neurons = quadratic(network), network.random_neurons()
    p = architecture.data.p
    a, b = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    expected = modadd_answers(architecture.data.template, neurons).sum(0)
    torch.testing.assert_close(architecture.outputs(neurons, a, b), expected, rtol=1e-12, atol=1e-11)
    torch.testing.assert_close(architecture.targets(a, b), network.targets, rtol=0, atol=0)


@ALL
def test_features_are_amplitudes_of_the_output(network: ExplicitNetwork) -> None:
    architecture, neurons = quadratic(network), network.random_neurons(seed=1)
    expected = explicit_features(architecture, network.answers(neurons, None))
    np.testing.assert_allclose(architecture.features(neurons).numpy(), expected, rtol=1e-11, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(p=st.integers(2, 9), shift=st.integers(0, 8), seed=st.integers(0, 10**6), data=st.data())
def test_features_of_a_rolled_template(p: int, shift: int, seed: int, data: st.DataObject) -> None:
    frequencies = data.draw(st.lists(st.integers(1, p // 2), min_size=1, unique=True))
    task = with_random_phases(p, frequencies, [1.0 + k for k in frequencies], seed)
    network = modadd_network(rolled(task, shift), width=2)
    neurons = network.random_neurons(seed=seed)
    expected = explicit_features(quadratic(network), network.answers(neurons, None))
    np.testing.assert_allclose(quadratic(network).features(neurons).numpy(), expected, rtol=1e-10, atol=1e-10)


@ALL
def test_features_of_the_target_itself_are_the_template_s_amplitudes(network: ExplicitNetwork) -> None:
    measured = explicit_features(quadratic(network), network.targets[None])
    np.testing.assert_allclose(measured, quadratic(network).data.spectrum.abs().numpy(), rtol=1e-12)


def test_features_are_blind_to_output_that_ignores_the_sum() -> None:
    """A neuron of one input only answers with a function of a or of b."""
    network = small_modadd(7, (1, 2, 3), (5.0, 3.0, 2.0))
    neurons = network.random_neurons()
    neurons[:, 7:14] = 0
    torch.testing.assert_close(network.architecture.features(neurons), torch.zeros(3), rtol=0, atol=1e-14)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_features_and_strengths_of_batches_of_networks(batch: tuple[int, ...]) -> None:
    network = small_modadd(6, (1, 3), (5.0, 3.0))
    architecture = network.architecture
    states = torch.randn(*batch, 3, 18, generator=torch.Generator().manual_seed(0))
    one_by_one = states.reshape(-1, 3, 18)
    features = torch.stack([architecture.features(state) for state in one_by_one])
    strengths = torch.stack([architecture.neuron_feature_strengths(state) for state in one_by_one])
    torch.testing.assert_close(architecture.features(states), features.reshape(*batch, 2), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(architecture.neuron_feature_strengths(states), strengths.reshape(*batch, 3, 2))


def test_strengths_are_geometric_means_of_the_three_spectra() -> None:
    architecture = quadratic(small_modadd(8, (1, 4, 3), (5.0, 3.0, 2.0), width=4))
    neurons = torch.randn(4, 24, generator=torch.Generator().manual_seed(3))
    spectra = np.abs(np.fft.fft(neurons.view(4, 3, 8).numpy())[..., [1, 4, 3]])
    template = np.abs(np.fft.fft(architecture.data.template.numpy()))[[1, 4, 3]]
    expected = np.cbrt(spectra.prod(1)) * template
    np.testing.assert_allclose(architecture.neuron_feature_strengths(neurons).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("feature", [0, 1, 2])
def test_strength_of_a_pure_neuron_lies_on_its_frequency(feature: int) -> None:
    architecture = quadratic(small_modadd(8, (1, 4, 3), (5.0, 3.0, 2.0)))
    wave = torch.cos(2 * torch.pi * architecture.data.frequencies[feature] * torch.arange(8) / 8 + 0.3)
    strengths = architecture.neuron_feature_strengths(torch.cat([wave, wave, wave])[None])[0]
    others = torch.arange(3) != feature
    assert strengths.argmax() == feature
    assert float(strengths[others].max()) < 1e-12 * float(strengths[feature])


def unit_circle_neurons(count: int, p: int, frequency: int, amplitude: float) -> Tensor:
    """Phases 2 pi i / count times (1, 4, 5) for u, v, w: the symmetric solution of one frequency."""
    position = 2 * torch.pi * frequency * torch.arange(p) / p
    turns = 2 * torch.pi * torch.arange(count)[:, None] / count
    parts = [torch.cos(position + multiple * turns) for multiple in (1, 4, 5)]
    return amplitude * torch.cat(parts, dim=1)


@pytest.mark.parametrize("p", [7, 20])
def test_six_neurons_remove_one_frequency_exactly(p: int) -> None:
    data = modular_addition(p, [2], [4.0], torch.float64, CPU)
    network = modadd_network(data, 6)
    # sum_i w_hat conj(u_hat v_hat) of six neurons of amplitude s is 6 (s p / 2)^3; features of 4 need
    # (2 / p^2) 4^2 * 6 (s p / 2)^3 = 4.
    amplitude = (4.0 / (2 / p**2 * 16 * 6)) ** (1 / 3) * 2 / p
    neurons = unit_circle_neurons(6, p, 2, amplitude)
    loss, gradient = network.architecture.loss_and_gradient(neurons)
    torch.testing.assert_close(network.architecture.features(neurons), torch.tensor([4.0]))
    assert float(network.residual(neurons).abs().max()) < 1e-12
    assert abs(float(loss)) < 1e-12
    assert float(gradient.abs().max()) < 1e-12


def single_neuron(p: int, frequency: int, norm: float) -> Tensor:
    """Unit directions aligned with a template of real spectrum: u, v, w equal cosines."""
    wave = torch.cos(2 * torch.pi * frequency * torch.arange(p) / p)
    neuron = torch.cat([wave, wave, wave])
    return norm * neuron[None] / torch.linalg.vector_norm(neuron)


@pytest.mark.parametrize(("p", "frequency", "amplitude"), [(20, 1, 10.0), (20, 3, 5.0), (20, 5, 2.5), (7, 2, 4.0)])
def test_utility_of_an_aligned_neuron_is_the_published_maximum(p: int, frequency: int, amplitude: float) -> None:
    data = modular_addition(p, [frequency], [amplitude], torch.float64, CPU)
    architecture = QuadraticModadd(data, 1)
    residual = architecture.empty_residual()
    maximum = (2 / (27 * p**3)) ** 0.5 * amplitude**3
    aligned = architecture.utility(single_neuron(p, frequency, 1.0), residual)
    assert float(aligned) == pytest.approx(maximum, rel=1e-12)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2000, 3 * p, generator=generator)
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    assert float(architecture.utility(directions, residual).max()) < maximum


def test_utility_maximum_at_the_nyquist_frequency() -> None:
    data = modular_addition(8, [4], [3.0], torch.float64, CPU)
    architecture = QuadraticModadd(data, 1)
    utility = architecture.utility(single_neuron(8, 4, 1.0), architecture.empty_residual())
    assert float(utility) == pytest.approx((4 / (27 * 8**3)) ** 0.5 * 27, rel=1e-12)


def test_best_single_neuron_leaves_eight_ninths_of_its_frequency() -> None:
    network = paper_modadd()
    scales = torch.linspace(0.1, 3, 2000)
    losses = torch.stack([network.architecture.loss_and_gradient(single_neuron(20, 1, float(s)))[0] for s in scales])
    left = (float(losses.min()) - (25 + 6.25) / 20) / (100 / 20)
    assert left == pytest.approx(8 / 9, abs=1e-5)


def pair_gradients(network: ExplicitNetwork, neurons: Tensor) -> Tensor:
    """Gradient of the loss of each single pair (a, b), (p^2, H, D)."""
    variable = neurons.clone().requires_grad_()
    errors = 0.5 * network.residual(variable).square().sum(-1)
    return torch.stack([torch.autograd.grad(error, variable, retain_graph=True)[0] for error in errors])


def test_a_sample_is_one_pair_and_every_pair_is_equally_likely() -> None:
    network = small_modadd(3, (1,), (5.0,), width=2)
    neurons = network.random_neurons()
    of_pairs = pair_gradients(network, neurons)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(9)
    for _ in range(900):
        sample = network.architecture.sampled_gradient(neurons, 1, generator)
        distance = (of_pairs - sample).abs().amax((1, 2))
        # Of sizes of 1e4: rounding is in parts of them.
        assert float(distance.min()) < 1e-12 * float(of_pairs.abs().max()) < float(distance.sort().values[1])
        counts[distance.argmin()] += 1
    assert float(((counts - 100) ** 2 / 100).sum()) < 26.1  # 99.9% of chi-squared with 8 degrees of freedom


def test_sampled_gradient_is_unbiased() -> None:
    network = small_modadd(6, (1, 3), (5.0, 3.0), width=2)
    neurons, generator = network.random_neurons(), torch.Generator().manual_seed(1)
    samples = torch.stack([network.architecture.sampled_gradient(neurons, 5, generator) for _ in range(2000)])
    scores = (samples.mean(0) - network.gradient(neurons)) / (samples.std(0) / 2000**0.5)
    assert float(scores.abs().max()) < 4.5


def test_sampled_gradient_variance_falls_like_the_batch_size() -> None:
    network = small_modadd(5, (1, 2), (5.0, 3.0), width=2)
    neurons, generator = network.random_neurons(), torch.Generator().manual_seed(2)
    variances = [torch.stack([network.architecture.sampled_gradient(neurons, size, generator)
                              for _ in range(1000)]).var(0).sum() for size in (2, 32)]
    assert float(variances[0] / variances[1]) == pytest.approx(16, rel=0.2)


def test_targets_of_the_data_set_agree_with_the_energy() -> None:
    network = paper_modadd()
    energy = 0.5 * modadd_targets(quadratic(network).data.template).square().sum(-1).mean()
    assert float(network.architecture.loss(network.architecture.empty_residual())) == pytest.approx(float(energy))
    assert float(energy) == pytest.approx((100 + 25 + 6.25) / 20)
