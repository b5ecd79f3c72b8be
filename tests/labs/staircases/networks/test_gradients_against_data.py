"""Losses, gradients, Hessians and utilities against autograd over the explicit data set."""

from __future__ import annotations

import pytest
import torch
from explicit_networks import ExplicitNetwork, modadd_network, networks, regression_network, with_random_phases
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

ALL = pytest.mark.parametrize("network", networks(), ids=lambda network: network.name)
PROPERTY = settings(max_examples=30, deadline=None)


def assert_same(measured: Tensor, expected: Tensor, relative: float = 1e-11) -> None:
    """Equal to a part of the largest entry: entries of one object share one rounding scale."""
    assert measured.shape == expected.shape
    assert float((measured - expected).abs().max()) <= relative * float(expected.abs().max().clamp(min=1e-300))


def assert_network_is_its_definition(network: ExplicitNetwork, neurons: Tensor) -> None:
    architecture = network.architecture
    residual = architecture.residual(neurons)
    loss, gradient = architecture.loss_and_gradient(neurons)
    expected = network.loss(neurons)
    assert_same(loss, expected)
    assert_same(architecture.loss(residual), expected)
    assert_same(gradient, network.gradient(neurons))
    assert_same(architecture.utility(neurons, residual), network.utilities(neurons, network.residual(neurons)))


@st.composite
def random_networks(draw: st.DrawFn) -> ExplicitNetwork:
    seed = draw(st.integers(0, 2**31))
    if draw(st.booleans()):
        p = draw(st.integers(2, 9))
        frequencies = draw(st.lists(st.integers(1, p // 2), min_size=1, unique=True))
        amplitudes = draw(st.lists(st.floats(0.1, 10), min_size=len(frequencies), max_size=len(frequencies)))
        width = draw(st.integers(1, 5))
        return modadd_network(with_random_phases(p, frequencies, amplitudes, seed), width)
    generator = torch.Generator().manual_seed(seed)
    samples, dimension = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    inputs = torch.randn(samples, dimension, generator=generator, dtype=torch.float64)
    targets = torch.randn(samples, generator=generator, dtype=torch.float64)
    return regression_network(Regression(inputs, targets))


@ALL
def test_loss_gradient_and_utility(network: ExplicitNetwork) -> None:
    assert_network_is_its_definition(network, network.random_neurons())


@PROPERTY
@given(network=random_networks(), seed=st.integers(0, 2**31), scale=st.floats(0.01, 3))
def test_loss_gradient_and_utility_of_random_networks(network: ExplicitNetwork, seed: int, scale: float) -> None:
    assert_network_is_its_definition(network, network.random_neurons(seed=seed, scale=scale))


@ALL
def test_hessian(network: ExplicitNetwork) -> None:
    neurons = network.random_neurons(seed=1)
    hessian = network.architecture.hessian(neurons)
    assert_same(hessian, network.hessian(neurons))
    assert_same(hessian, hessian.T, 1e-14)


@settings(max_examples=10, deadline=None)
@given(network=random_networks(), seed=st.integers(0, 2**31))
def test_hessian_of_random_networks(network: ExplicitNetwork, seed: int) -> None:
    neurons = network.random_neurons(seed=seed)
    assert_same(network.architecture.hessian(neurons), network.hessian(neurons))


@ALL
def test_gradient_and_hessian_against_finite_differences(network: ExplicitNetwork) -> None:
    neurons = network.random_neurons(seed=2)
    gradient, hessian = torch.zeros_like(neurons).view(-1), []
    for i in range(neurons.numel()):
        shift = torch.zeros_like(gradient)
        shift[i] = 1e-5
        forth = network.architecture.loss_and_gradient(neurons + shift.view_as(neurons))
        back = network.architecture.loss_and_gradient(neurons - shift.view_as(neurons))
        gradient[i] = (forth[0] - back[0]) / 2e-5
        hessian.append((forth[1] - back[1]).view(-1) / 2e-5)
    assert_same(gradient.view_as(neurons), network.architecture.loss_and_gradient(neurons)[1], 1e-7)
    assert_same(torch.stack(hessian), network.architecture.hessian(neurons), 1e-7)


@ALL
def test_hessian_default_agrees_with_the_architecture_s_own(network: ExplicitNetwork) -> None:
    architecture, neurons = network.architecture, network.random_neurons(seed=3)
    if isinstance(architecture, QuadraticModadd):
        architecture.output_loss = None  # whose kernel is not torch's, and cannot be differentiated
    default = super(type(architecture), architecture).hessian(neurons)
    assert_same(default, architecture.hessian(neurons))


@ALL
@pytest.mark.parametrize("sources", [0, 1, 4])
def test_utility_of_probes_that_are_not_the_sources(network: ExplicitNetwork, sources: int) -> None:
    architecture, width = network.architecture, network.architecture.width
    generator = torch.Generator().manual_seed(4)
    of_probes = torch.randint(width, (3,), generator=generator)
    of_sources = torch.randint(width, (sources,), generator=generator).unique()
    probes = network.random_neurons(3, seed=5).requires_grad_()
    source = network.random_neurons(of_sources.numel(), seed=6)
    explicit = network.utilities(probes, network.residual(source, of_sources), of_probes)
    expected = torch.autograd.grad(explicit.sum(), probes)[0]
    residual = architecture.residual(source, of_sources)
    assert_same(architecture.utility_gradient(probes.detach(), residual, of_probes), expected)
    assert_same(architecture.utility(probes.detach(), residual, of_probes), explicit.detach())
    assert_same(architecture.loss(residual), network.loss(source, of_sources))


@ALL
def test_network_without_neurons_leaves_the_target(network: ExplicitNetwork) -> None:
    architecture = network.architecture
    residual = architecture.empty_residual()
    assert_same(architecture.loss(residual), 0.5 * network.targets.square().sum(-1).mean())
    nothing = torch.zeros(0, architecture.neuron_dimension)
    assert architecture.loss_and_gradient(nothing, torch.zeros(0, dtype=torch.long))[1].shape == nothing.shape
    probes = network.random_neurons(seed=7)
    assert_same(architecture.utility(probes, residual), network.utilities(probes, network.targets))


@ALL
@pytest.mark.parametrize("factor", [0.3, 7.0, -1.5])
def test_utility_is_homogeneous(network: ExplicitNetwork, factor: float) -> None:
    architecture, degree = network.architecture, network.architecture.homogeneity_degree
    residual = architecture.residual(network.random_neurons(seed=8))
    probes = network.random_neurons(seed=9)
    utility = architecture.utility(probes, residual)
    gradient = architecture.utility_gradient(probes, residual)
    assert_same(architecture.utility(factor * probes, residual), factor**degree * utility)
    assert_same(architecture.utility_gradient(factor * probes, residual), factor ** (degree - 1) * gradient)


@ALL
def test_euler_s_theorem_against_explicit_utility(network: ExplicitNetwork) -> None:
    sources, probes = network.random_neurons(seed=10), network.random_neurons(seed=11)
    gradient = network.architecture.utility_gradient(probes, network.architecture.residual(sources))
    explicit = network.utilities(probes, network.residual(sources))
    assert_same((gradient * probes).sum(-1), network.architecture.homogeneity_degree * explicit)


@ALL
def test_gradient_is_minus_the_utility_gradient_at_fixed_residual(network: ExplicitNetwork) -> None:
    neurons = network.random_neurons(seed=12)
    probes = neurons.clone().requires_grad_()
    utilities = network.utilities(probes, network.residual(neurons))
    utility_gradient = torch.autograd.grad(utilities.sum(), probes)[0]
    assert_same(network.architecture.loss_and_gradient(neurons)[1], -utility_gradient)
