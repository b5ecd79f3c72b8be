"""The fully connected linear network against autograd over explicit samples, and its initializations and features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import ExplicitNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun import ConfigError
from agfrun.labs.staircases.networks.fully_connected_linear.data import LinearMap, linear_map, published_moments
from agfrun.labs.staircases.networks.fully_connected_linear.network import (
    FullyConnectedLinear,
    FullyConnectedLinearConfig,
)

CPU = torch.device("cpu")
SIZES = st.integers(1, 4)
SEEDS = st.integers(0, 999)


def explicit_network(c: int, d: int, width: int, rank: int, seed: int, noisy: bool = False) -> ExplicitNetwork:
    """A finite sample whose moments are the population's exactly: noise is uncorrelated with the inputs in it."""
    generator = np.random.default_rng(seed)
    samples = d + c + 3
    inputs = generator.standard_normal((samples, rank)) @ generator.standard_normal((rank, d))
    target_map = generator.standard_normal((c, d))
    noise = generator.standard_normal((samples, c)) if noisy else np.zeros((samples, c))
    noise -= inputs @ np.linalg.pinv(inputs) @ noise
    data = linear_map(target_map, inputs.T @ inputs / samples, torch.float64, CPU,
                      noise.T @ noise / samples if noisy else None)
    x = torch.tensor(inputs)

    def answers(neurons: Tensor, index: Tensor | None) -> Tensor:
        return (neurons[:, :d] @ x.T)[:, :, None] * neurons[:, None, d:]

    return ExplicitNetwork("linear", FullyConnectedLinear(data, width), answers,
                           torch.tensor(inputs @ target_map.T + noise))


NETWORKS = {
    "square": (3, 3, 3, 3), "wide inputs": (2, 5, 3, 5), "wide outputs": (5, 2, 3, 2), "one neuron": (3, 4, 1, 4),
    "many neurons": (2, 2, 9, 2), "singular inputs": (3, 4, 3, 2), "scalar": (1, 1, 2, 1),
}
ALL = pytest.mark.parametrize("name", NETWORKS)


def assert_same(measured: Tensor, expected: Tensor, relative: float = 1e-10) -> None:
    assert measured.shape == expected.shape
    assert float((measured - expected).abs().max()) <= relative * float(expected.abs().max().clamp(min=1e-300))


def network_of(name: str, noisy: bool = False) -> ExplicitNetwork:
    return explicit_network(*NETWORKS[name], seed=0, noisy=noisy)


def linear(network: ExplicitNetwork) -> FullyConnectedLinear:
    assert isinstance(network.architecture, FullyConnectedLinear)
    return network.architecture


def published(commuting: bool, width: int = 10) -> FullyConnectedLinear:
    return FullyConnectedLinear(linear_map(*published_moments(10, 10, commuting, 0), torch.float64, CPU), width)


# ---- Loss and its derivatives


@given(c=SIZES, d=SIZES, width=SIZES, rank=SIZES, seed=SEEDS, noisy=st.booleans(), scale=st.floats(0.01, 3))
def test_loss_gradient_utility_and_hessian(
    c: int, d: int, width: int, rank: int, seed: int, noisy: bool, scale: float
) -> None:
    network = explicit_network(c, d, width, rank, seed, noisy)
    architecture, neurons = network.architecture, network.random_neurons(seed=seed, scale=scale)
    loss, gradient = architecture.loss_and_gradient(neurons)
    assert_same(loss, network.loss(neurons))
    assert_same(gradient, network.gradient(neurons))
    hessian = architecture.hessian(neurons)
    assert_same(hessian, network.hessian(neurons))
    assert_same(hessian, hessian.T, 1e-14)
    residual = architecture.residual(neurons)
    assert_same(architecture.utility(neurons, residual), network.utilities(neurons, network.residual(neurons)), 1e-9)


@ALL
def test_utility_of_probes_that_are_not_the_sources(name: str) -> None:
    network = network_of(name, noisy=True)
    sources, probes = network.random_neurons(2, seed=1), network.random_neurons(5, seed=2).requires_grad_()
    explicit = network.utilities(probes, network.residual(sources))
    expected = torch.autograd.grad(explicit.sum(), probes)[0]
    residual = network.architecture.residual(sources)
    assert_same(network.architecture.utility_gradient(probes.detach(), residual), expected)
    assert_same(network.architecture.loss(residual), network.loss(sources))


@ALL
def test_network_without_neurons_leaves_the_target(name: str) -> None:
    network = network_of(name, noisy=True)
    expected = 0.5 * network.targets.square().sum(1).mean()
    assert_same(network.architecture.loss(network.architecture.empty_residual()), expected)


def test_a_loss_near_zero_keeps_its_digits() -> None:
    """A W = B + delta E: the loss is delta^2 / 2 tr(E Sigma_xx E^T), far below the rounding of the target's."""
    architecture = published(commuting=False)
    size = 2.0**-30
    error = torch.zeros(10, 10)
    error[3, 4] = size * float(2 ** torch.floor(torch.log2(architecture.data.target_map[3, 4].abs())))
    target = architecture.data.target_map + error
    neurons = torch.cat([torch.eye(10), target.T], dim=1)
    error = target - architecture.data.target_map  # as it has been rounded
    expected = 0.5 * float((error @ architecture.data.inputs * error).sum())
    loss = float(architecture.loss(architecture.residual(neurons)))
    assert loss < 1e-17 * float(architecture.loss(architecture.empty_residual()))
    assert loss == pytest.approx(expected, rel=1e-10)


@ALL
def test_orthogonal_mixtures_of_neurons_are_the_same_network(name: str) -> None:
    network = network_of(name)
    architecture, neurons = linear(network), network.random_neurons(seed=3)
    mixing = torch.linalg.qr(torch.randn(len(neurons), len(neurons), generator=torch.Generator().manual_seed(4)))[0]
    mixed = mixing @ neurons
    loss, gradient = architecture.loss_and_gradient(neurons)
    assert_same(architecture.loss_and_gradient(mixed)[0], loss)
    assert_same(architecture.loss_and_gradient(mixed)[1], mixing @ gradient)
    assert_same(architecture.features(mixed), architecture.features(neurons))
    for quantity, values in architecture.observables(neurons).items():
        assert_same(architecture.observables(mixed)[quantity], values, 1e-7)


@given(c=SIZES, d=SIZES, seed=SEEDS)
def test_growth_directions_are_eigenvectors_of_the_dormant_flow(c: int, d: int, seed: int) -> None:
    network = explicit_network(c, d, 2, d, seed)
    architecture = linear(network)
    residual = architecture.residual(network.random_neurons(seed=seed, scale=0.1))
    directions = architecture.growth_directions(residual)
    assert_same(directions.T @ directions, torch.eye(c + d))
    # The utility's gradient is the dormant flow, linear in the neuron.
    flow = directions.T @ architecture.utility_gradient(directions.T.contiguous(), residual).T
    rates = flow.diagonal()
    assert_same(flow, torch.diag(rates), 1e-9)
    assert bool((rates.diff() <= 1e-9 * rates.abs().max()).all())


# ---- Sampling


@pytest.mark.parametrize("noisy", [False, True])
def test_sampled_gradient_is_the_population_s_within_its_error(noisy: bool) -> None:
    network = explicit_network(2, 3, 2, 3, 5, noisy)
    neurons, generator = network.random_neurons(seed=6), torch.Generator().manual_seed(7)
    gradients = torch.stack([network.architecture.sampled_gradient(neurons, 50, generator) for _ in range(2000)])
    expected = network.architecture.loss_and_gradient(neurons)[1]
    deviations = (gradients.mean(0) - expected) / (gradients.std(0) / 2000**0.5)
    assert float(deviations.abs().max()) < 4.5
    # Ten entries of unit variance: a wrong expectation in any of them would show here.
    assert float(deviations.square().mean()) < 3


def test_noise_alone_is_left_where_the_map_is_right() -> None:
    """There the gradient by A is -E noise x^T over the batch, of variance Sigma_noise[o, o] Sigma_xx[i, i] / n."""
    architecture = linear(explicit_network(2, 3, 3, 3, 5, noisy=True))
    data, generator = architecture.data, torch.Generator().manual_seed(1)
    neurons = torch.cat([torch.eye(3), data.target_map.T], dim=1)
    draws = torch.stack([architecture.sampled_gradient(neurons, 20, generator)[:, 3:] for _ in range(4000)])
    noise = (data.noise_factor @ data.noise_factor.T).diagonal()
    expected = data.inputs.diagonal()[:, None] * noise / 20
    torch.testing.assert_close(draws.square().mean(0), expected, rtol=0.15, atol=0)


def test_sampled_gradient_vanishes_where_every_sample_is_fitted() -> None:
    architecture = published(commuting=False)
    neurons = torch.cat([torch.eye(10), architecture.data.target_map.T], dim=1)
    gradient = architecture.sampled_gradient(neurons, 8, torch.Generator().manual_seed(0))
    assert float(gradient.abs().max()) < 1e-12


def test_batches_follow_the_generator() -> None:
    network = network_of("square", noisy=True)
    neurons = network.random_neurons()
    draws = [network.architecture.sampled_gradient(neurons, 4, torch.Generator().manual_seed(seed))
             for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


# ---- Initializations


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
@pytest.mark.parametrize("shape", [(10, 10), (3, 12), (12, 3)])
def test_a_typical_neuron_has_norm_sqrt_two_scale(kind: str, shape: tuple[int, int]) -> None:
    c, d = shape
    data = linear_map(np.random.default_rng(0).standard_normal((c, d)), np.eye(d), torch.float64, CPU)
    neurons = FullyConnectedLinear(data, 2000).initialize(kind, 1e-7, torch.Generator().manual_seed(0))
    assert float(neurons.square().sum(1).mean().sqrt()) == pytest.approx(math.sqrt(2) * 1e-7, rel=0.05)


@given(c=SIZES, d=SIZES, width=st.integers(1, 6), seed=SEEDS)
def test_balanced_layers(c: int, d: int, width: int, seed: int) -> None:
    architecture = linear(explicit_network(c, d, width, d, 0))
    inner, outer = architecture.split(architecture.initialize("balanced", 1e-3, torch.Generator().manual_seed(seed)))
    assert_same(outer @ outer.T, inner @ inner.T, 1e-12)
    assert torch.linalg.matrix_rank(inner) == min(c, d, width)


def test_gaussian_layers_are_not_balanced() -> None:
    architecture = linear(network_of("square"))
    inner, outer = architecture.split(architecture.initialize("gaussian", 1.0, torch.Generator().manual_seed(0)))
    assert float((outer @ outer.T - inner @ inner.T).abs().max()) > 0.1


def test_an_unknown_initialization_is_refused() -> None:
    with pytest.raises(ConfigError, match="no such initialization"):
        network_of("square").architecture.initialize("deterministic", 1e-3, torch.Generator())


# ---- Features and observables


def neurons_of(target: Tensor) -> Tensor:
    """Balanced neurons with A W = target."""
    left, sizes, right = torch.linalg.svd(target, full_matrices=False)
    return torch.cat([sizes.sqrt()[:, None] * right, sizes.sqrt()[:, None] * left.T], dim=1)


@pytest.mark.parametrize("commuting", [True, False])
def test_each_mode_rises_once_along_the_predicted_saddles(commuting: bool) -> None:
    architecture = published(commuting)
    settled = torch.tensor(np.linalg.norm(architecture.stages.modes.least_squares, axis=1))
    for k in range(11):
        neurons = neurons_of(torch.tensor(architecture.stages.saddle(k)))
        learned = torch.arange(10) < k
        torch.testing.assert_close(architecture.features(neurons), settled * learned, atol=1e-10, rtol=1e-10)
        seen = architecture.observables(neurons)
        expected = torch.tensor(architecture.stages.singular_values()[k])
        torch.testing.assert_close(seen["singular value"], expected, atol=1e-10, rtol=1e-10)
        for side in ("left", "right"):
            alignment = seen[f"{side} alignment"]
            assert alignment.shape == (10,)
            assert k == 0 or float(alignment[k - 1]) == pytest.approx(1.0, abs=1e-9)
            grown = ~alignment.isnan()
            assert int(grown.sum()) <= k
            assert bool(((alignment[grown] >= 0) & (alignment[grown] <= 1 + 1e-12)).all())


def test_alignment_is_the_cosine_between_lines() -> None:
    data = linear_map(np.diag([2.0, 1.0]), np.eye(2), torch.float64, CPU)
    architecture = FullyConnectedLinear(data, 2)
    angle = torch.tensor(0.3)
    rank_one = torch.outer(torch.tensor([1.0, 0.0]), torch.stack([angle.cos(), angle.sin()]))
    seen = architecture.observables(neurons_of(rank_one))
    assert float(seen["left alignment"][0]) == pytest.approx(1.0)
    assert float(seen["right alignment"][0]) == pytest.approx(math.cos(0.3) ** 2)
    assert math.isnan(float(seen["right alignment"][1]))  # the second mode has not grown: any vector is singular
    seen = architecture.observables(neurons_of(rank_one + 0.1 * torch.eye(2)))
    # The two singular vectors together span everything.
    assert float(seen["right alignment"][1]) == pytest.approx(1.0)


@ALL
def test_shapes_over_a_batch_of_states(name: str) -> None:
    network = network_of(name)
    architecture = linear(network)
    states = torch.stack([network.random_neurons(seed=seed) for seed in range(3)])
    count, values = len(architecture.feature_names), min(NETWORKS[name][:2])
    assert architecture.features(states).shape == (3, count)
    assert architecture.neuron_feature_strengths(states).shape == (3, architecture.width, count)
    seen = architecture.observables(states)
    assert seen["singular value"].shape == (3, values)
    assert seen["left alignment"].shape == seen["right alignment"].shape == (3, count)
    for quantity, rows in seen.items():
        torch.testing.assert_close(rows[1], architecture.observables(states[1])[quantity], atol=1e-12, rtol=0)
    assert bool((architecture.neuron_feature_strengths(states) >= 0).all())
    # Strengths squared are the sizes of the neurons' own contributions.
    contributions = torch.stack([architecture.features(states[:, i : i + 1]) for i in range(architecture.width)], 1)
    torch.testing.assert_close(architecture.neuron_feature_strengths(states).square(), contributions.abs())


def test_what_figures_get() -> None:
    architecture = published(commuting=False, width=4)
    arrays = architecture.data_arrays()
    assert arrays["stage_times"].shape == (4,)
    assert arrays["stage_levels"].shape == (5,)
    assert arrays["stage_singular_values"].shape == (5, 10)


# ---- Building


def test_configuration_builds_the_network() -> None:
    data = linear_map(np.eye(2), np.eye(2), torch.float64, CPU)
    architecture = FullyConnectedLinearConfig(width=3).build(data)
    assert (architecture.width, architecture.neuron_dimension, architecture.output_dimension) == (3, 4, 2)
    with pytest.raises(ConfigError, match="model.width=0"):
        FullyConnectedLinearConfig(width=0).check()


@pytest.mark.parametrize("target_map", [np.zeros((2, 2)), np.array([[0.0, 1.0]])])
def test_a_target_without_inputs_is_refused(target_map: np.ndarray) -> None:
    data: LinearMap = linear_map(target_map, np.diag([1.0, 0.0]), torch.float64, CPU)
    with pytest.raises(ConfigError, match="do not depend on the inputs"):
        FullyConnectedLinear(data, 2)


def test_single_precision() -> None:
    data = linear_map(*published_moments(10, 10, False, 0), torch.float32, CPU)
    architecture = FullyConnectedLinear(data, 5)
    neurons = architecture.initialize("balanced", 0.5, torch.Generator().manual_seed(0))
    exact = published(commuting=False, width=5)
    loss, gradient = architecture.loss_and_gradient(neurons)
    assert neurons.dtype == gradient.dtype == architecture.features(neurons).dtype == torch.float32
    torch.testing.assert_close(gradient.double(), exact.loss_and_gradient(neurons.double())[1], rtol=1e-4, atol=1e-4)
    assert float(loss) == pytest.approx(float(exact.loss_and_gradient(neurons.double())[0]), rel=1e-5)
    y = architecture.flow_coordinates(neurons).encode(neurons)
    assert y.dtype == torch.float32


@settings(max_examples=10)
@given(seed=SEEDS)
def test_the_range_of_the_inputs_is_all_that_counts(seed: int) -> None:
    """Two maps that agree on the inputs' range give the same network."""
    generator = np.random.default_rng(seed)
    root, target_map = generator.standard_normal((4, 2)), generator.standard_normal((3, 4))
    hidden = generator.standard_normal((3, 4)) @ (np.eye(4) - root @ np.linalg.pinv(root))
    networks = [FullyConnectedLinear(linear_map(m, root @ root.T, torch.float64, CPU), 2)
                for m in (target_map, target_map + hidden)]
    neurons = torch.randn(2, 7, generator=torch.Generator().manual_seed(seed))
    (loss, gradient), (other_loss, other_gradient) = (network.loss_and_gradient(neurons) for network in networks)
    assert_same(other_loss, loss, 1e-9)
    assert_same(other_gradient, gradient, 1e-9)
    assert_same(networks[1].features(neurons).abs(), networks[0].features(neurons).abs(), 1e-6)
