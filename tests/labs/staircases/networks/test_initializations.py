from __future__ import annotations

import pytest
import torch
from explicit_networks import ExplicitNetwork, networks, paper_modadd, regression_2d, regression_5d, small_modadd
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun import ConfigError
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear


def initialize(network: ExplicitNetwork, kind: str, scale: float = 1e-2, seed: int = 0) -> Tensor:
    return network.architecture.initialize(kind, scale, torch.Generator().manual_seed(seed))


def wide_diagonal(dimension: int = 3000) -> DiagonalLinear:
    return DiagonalLinear(Regression(torch.zeros(1, dimension), torch.zeros(1)))


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
@pytest.mark.parametrize("network", networks(), ids=lambda network: network.name)
def test_same_seed_same_numbers_and_scale_scales(network: ExplicitNetwork, kind: str) -> None:
    neurons = initialize(network, kind)
    assert neurons.shape == (network.architecture.width, network.architecture.neuron_dimension)
    assert neurons.dtype == torch.float64
    assert torch.equal(neurons, initialize(network, kind))
    torch.testing.assert_close(initialize(network, kind, scale=1e-8), 1e-6 * neurons, rtol=1e-14, atol=0)


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
@pytest.mark.parametrize("network", [paper_modadd(), regression_5d()], ids=lambda network: network.name)
def test_seeds_differ(network: ExplicitNetwork, kind: str) -> None:
    states = [initialize(network, kind, seed=seed) for seed in range(8)]
    assert any(not torch.equal(states[0], other) for other in states[1:])


def test_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for kind in ("gaussian", "balanced"):
        initialize(paper_modadd(), kind)
        initialize(regression_5d(), kind)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("p", [20, 7])
def test_gaussian_neurons_of_the_quadratic_network_have_the_published_norms(p: int) -> None:
    """U, V = alpha randn / sqrt(2p), W = alpha randn / sqrt(p): a mean square norm of 2 alpha^2."""
    width, scale = 4000, 1e-3
    network = small_modadd(p, (1,), (5.0,), width=width)
    squares = (initialize(network, "gaussian", scale) / scale).unflatten(1, (3, p)).square()
    for part, variance in enumerate((1 / (2 * p), 1 / (2 * p), 1 / p)):
        spread = variance * (2 / (width * p)) ** 0.5
        assert float(squares[:, part].mean()) == pytest.approx(variance, abs=4.5 * spread)
    spread = ((2 * p * (1 / (2 * p)) ** 2 * 2 + p * (1 / p) ** 2 * 2) / width) ** 0.5
    assert float(squares.sum((1, 2)).mean()) == pytest.approx(2, abs=4.5 * spread)


def test_gaussian_neurons_of_the_diagonal_network_have_the_published_norms() -> None:
    neurons = wide_diagonal().initialize("gaussian", 1e-3, torch.Generator().manual_seed(0)) / 1e-3
    assert float(neurons.square().sum(1).mean()) == pytest.approx(2, abs=4.5 * (4 / 3000) ** 0.5)
    assert float(neurons.prod(1).mean()) == pytest.approx(0, abs=4.5 / 3000**0.5)


@pytest.mark.parametrize("network", [regression_2d(), regression_5d()], ids=lambda network: network.name)
def test_deterministic_initialization(network: ExplicitNetwork) -> None:
    neurons = initialize(network, "deterministic", 1e-6)
    assert torch.equal(neurons[:, 0], torch.full((network.architecture.width,), 2**0.5 * 1e-6))
    assert torch.equal(neurons[:, 1], torch.zeros(network.architecture.width))
    assert torch.equal(neurons, initialize(network, "deterministic", 1e-6, seed=1))


def test_balanced_diagonal_neurons_conserve_exactly_zero() -> None:
    neurons = wide_diagonal().initialize("balanced", 1e-6, torch.Generator().manual_seed(0))
    assert torch.equal(neurons[:, 0].square() - neurons[:, 1].square(), torch.zeros(3000))
    assert torch.equal(neurons.abs(), torch.full((3000, 2), 1e-6))
    signs = neurons.sign()
    for average in (*signs.mean(0).tolist(), float(signs.prod(1).mean())):
        assert abs(average) < 4.5 / 3000**0.5


@settings(max_examples=30, deadline=None)
@given(p=st.integers(2, 12), seed=st.integers(0, 10**6), scale=st.sampled_from([1e-1, 1e-6, 1e-90]))
def test_balanced_quadratic_neurons_conserve_zero_at_every_frequency(p: int, seed: int, scale: float) -> None:
    """|u_k|^2 = |v_k|^2 = |w_k|^2 for every k, hence also |u|^2 + |v|^2 = 2 |w|^2."""
    network = small_modadd(p, (1,), (5.0,), width=4, seed=seed)
    parts = (initialize(network, "balanced", scale, seed) / scale).unflatten(1, (3, p))
    powers = torch.fft.fft(parts).abs().square()
    largest = float(powers.max())
    torch.testing.assert_close(powers[:, 0], powers[:, 1], rtol=0, atol=1e-13 * largest)
    torch.testing.assert_close(powers[:, 0], powers[:, 2], rtol=0, atol=1e-13 * largest)
    torch.testing.assert_close(parts.flatten(1).norm(dim=1), torch.full((4,), 2**0.5), rtol=1e-13, atol=0)


def test_balanced_quadratic_phases_are_spread_over_the_circle() -> None:
    network = small_modadd(7, (1,), (5.0,), width=2000)
    spectra = torch.fft.fft(initialize(network, "balanced").unflatten(1, (3, 7)))[..., 1:4]
    for multiple in (1, 2):
        mean = torch.polar(torch.ones(2000, 3, 3), multiple * spectra.angle()).mean(0)
        assert float(mean.abs().max()) < 4.5 / 2000**0.5


@pytest.mark.parametrize("kind", ["Gaussian", "orthogonal", ""])
@pytest.mark.parametrize("network", [paper_modadd(), regression_5d()], ids=lambda network: network.name)
def test_unknown_kind(network: ExplicitNetwork, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"^init\.name=.*no such initialization$"):
        initialize(network, kind)


def test_deterministic_is_for_the_diagonal_network_only() -> None:
    with pytest.raises(ConfigError, match=r"init\.name=deterministic .*model=quadratic_modadd"):
        initialize(paper_modadd(), "deterministic")
