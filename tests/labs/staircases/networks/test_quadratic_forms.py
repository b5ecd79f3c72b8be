"""The two exact forms of the quadratic network's loss, by moments of pairs and through the output."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from explicit_networks import CPU, modadd_network, roll_neurons, rolled, with_random_phases
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.networks.quadratic_modadd.data import (
    GaussianModularAdditionConfig,
    ModularAddition,
    OneHotModularAdditionConfig,
    PowerLawModularAdditionConfig,
    modular_addition,
)
from agfrun.labs.staircases.networks.quadratic_modadd.loss import Moments, QuadraticLoss
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss


def all_frequencies(p: int, seed: int = 0) -> ModularAddition:
    half = p // 2
    return with_random_phases(p, list(range(1, half + 1)), [5.0 - 0.3 * k for k in range(half)], seed)


def both_forms(data: ModularAddition) -> tuple[QuadraticLoss, OutputLoss]:
    architecture = QuadraticModadd(data, 1)
    input_map = architecture.basis.T @ architecture.circulant
    energy = float(data.energies.sum())
    return QuadraticLoss(input_map, architecture.circulant, energy), OutputLoss(input_map, architecture.circulant)


def close(measured: Tensor, expected: Tensor, relative: float = 1e-12) -> bool:
    return float((measured - expected).abs().max()) <= relative * float(expected.abs().max())


def neurons_for(form: QuadraticLoss | OutputLoss, count: int, seed: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, form.dimension, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("amplitude", [0.7, 3.3, 8.0])
@pytest.mark.parametrize("p", [2, 8, 14, 26, 30])
def test_a_template_that_alternates(p: int, amplitude: float, dtype: torch.dtype) -> None:
    """The square of its one response is constant: what is left of it without its mean is rounding."""
    architecture = QuadraticModadd(with_random_phases(p, [p // 2], [amplitude], 0), 6)
    circulant = architecture.circulant.to(dtype)
    input_map = architecture.basis.to(dtype).T @ circulant
    moments_form = QuadraticLoss(input_map, circulant, architecture.moments_loss.target_energy)
    output_form = OutputLoss(input_map, circulant)
    neurons = neurons_for(moments_form, 6, 1, 0.5).to(dtype)
    loss, gradient = moments_form.loss_and_gradient(neurons)
    through_output = output_form.loss_and_utility_gradient(neurons.numpy())
    precision = 1e-12 if dtype == torch.float64 else 1e-4
    assert close(torch.as_tensor(through_output[0]), loss, precision)
    assert close(-torch.as_tensor(through_output[1]), gradient, precision)


@settings(max_examples=60, deadline=None)
@given(p=st.integers(2, 12), count=st.integers(1, 7), seed=st.integers(0, 10**6), scale=st.floats(0.01, 3),
       choose=st.data())
def test_both_forms_are_one_loss(p: int, count: int, seed: int, scale: float, choose: st.DataObject) -> None:
    frequencies = choose.draw(st.lists(st.integers(1, p // 2), min_size=1, unique=True))
    moments_form, output_form = both_forms(with_random_phases(p, frequencies, [2.0 + k for k in frequencies], seed))
    sources, probes = neurons_for(moments_form, count, seed, scale), neurons_for(moments_form, 3, seed + 1)
    loss, gradient = moments_form.loss_and_gradient(sources)
    through_output = output_form.loss_and_utility_gradient(sources.numpy())
    assert close(torch.as_tensor(through_output[0]), loss)
    assert close(-torch.as_tensor(through_output[1]), gradient)
    expected = moments_form.utility_gradient(moments_form.moments(probes), moments_form.moments(sources))[0]
    residual = output_form.residual(sources.numpy())
    assert close(torch.as_tensor(output_form.utility_gradient(probes.numpy(), residual.slope)), expected)


@settings(max_examples=30, deadline=None)
@given(p=st.integers(2, 12), count=st.integers(1, 6), members=st.integers(1, 3), seed=st.integers(0, 10**6),
       choose=st.data())
def test_curvature_is_the_hessian_of_each_member(p: int, count: int, members: int, seed: int, choose: st.DataObject
                                                 ) -> None:
    """With all output weights kept; for a batch of networks at once."""
    frequencies = choose.draw(st.lists(st.integers(1, p // 2), min_size=1, unique=True))
    moments_form, form = both_forms(with_random_phases(p, frequencies, [2.0 + k for k in frequencies], seed))
    networks = torch.stack([neurons_for(moments_form, count, seed + member) for member in range(members)])
    arrays = networks.numpy()
    residual = form.residual(arrays)
    hessians, couplings = form.curvature(arrays, residual, form.output_size)
    weight = form.inputs + form.dimension * torch.arange(count)
    for neurons, hessian, coupling in zip(networks, hessians, couplings, strict=True):
        expected = moments_form.hessian(neurons)
        assert close(torch.as_tensor(hessian), expected, 1e-11)
        assert close(torch.as_tensor(coupling), expected[weight][:, weight], 1e-11)


@pytest.mark.parametrize("form", [0, 1], ids=["moments", "output"])
def test_no_neurons_leave_the_target(form: int) -> None:
    data = all_frequencies(8)
    chosen = both_forms(data)[form]
    nothing = torch.zeros(0, chosen.dimension)
    if isinstance(chosen, OutputLoss):
        loss, gradient = (torch.as_tensor(array) for array in chosen.loss_and_utility_gradient(nothing.numpy()))
    else:
        loss, gradient = chosen.loss_and_gradient(nothing)
    torch.testing.assert_close(loss, data.energies.sum(), rtol=1e-13, atol=0)
    assert gradient.shape == (0, chosen.dimension)


def test_loss_through_the_output_keeps_its_digits_down_to_zero() -> None:
    """Six neurons solve a frequency; perturbed by e they leave a loss of order e^2, to full relative accuracy."""
    data, turns = modular_addition(11, [2], [4.0], torch.float64, CPU), 2 * torch.pi * torch.arange(6)[:, None] / 6
    position = 2 * torch.pi * 2 * torch.arange(11) / 11
    parts = [torch.cos(position + multiple * turns) for multiple in (1, 4, 5)]
    neurons = (2 / (3 * 11 * 4.0)) ** (1 / 3) * torch.cat(parts, dim=1)
    architecture = QuadraticModadd(data, 6)
    assert architecture.output_loss is not None
    losses = [float(architecture.loss_and_gradient(neurons * (1 + e))[0]) for e in (1e-6, 1e-9)]
    assert losses[0] / losses[1] == pytest.approx(1e6, rel=1e-4)
    assert float(architecture.loss(architecture.residual(neurons))) < 1e-28


@pytest.mark.parametrize(("data", "width"), [
    (modular_addition(7, [1, 2, 3], [3.0, 2.0, 1j], torch.float64, CPU), 4),
    (all_frequencies(31), 6), (modular_addition(31, [3, 5], [9.0, 4j], torch.float64, CPU), 40),
    (all_frequencies(20), 9),
], ids=["small", "dense", "sparse and wide", "dense and even"])
def test_the_network_is_its_definition_in_either_form(data: ModularAddition, width: int) -> None:
    network = modadd_network(data, width)
    architecture, neurons = network.architecture, network.random_neurons(scale=0.2)
    probes = network.random_neurons(3, seed=5)
    residual = architecture.residual(neurons)
    assert close(architecture.loss(residual), network.loss(neurons))
    assert close(architecture.loss_and_gradient(neurons)[1], network.gradient(neurons), 1e-11)
    expected = network.utilities(probes, network.residual(neurons))
    assert close(architecture.utility(probes, residual), expected, 1e-11)


def test_the_cheaper_form_is_chosen() -> None:
    """Through the output for few frequencies, by pairs of neurons where all frequencies are there."""
    sparse = QuadraticModadd(modular_addition(113, [3, 11, 50], [9.0, 6.0, 3.0], torch.float64, CPU), 512)
    assert sparse.output_loss is not None
    dense = QuadraticModadd(all_frequencies(61), 100)
    assert isinstance(dense.residual(torch.zeros(1, 183)), Moments)


@pytest.mark.parametrize("data", [all_frequencies(9), all_frequencies(31)], ids=["output", "moments"])
def test_single_precision(data: ModularAddition) -> None:
    double = QuadraticModadd(data, 4)
    rounded = ModularAddition(data.template.float(), data.frequencies, data.spectrum.to(torch.complex64))
    single = QuadraticModadd(rounded, 4)
    neurons = double.initialize("gaussian", 1.0, torch.Generator().manual_seed(0))
    loss, gradient = single.loss_and_gradient(neurons.float())
    assert loss.dtype == gradient.dtype == torch.float32
    expected = double.loss_and_gradient(neurons)
    assert close(loss.double(), expected[0], 1e-5)
    assert close(gradient.double(), expected[1], 1e-5)
    assert single.features(neurons.float()).dtype == torch.float32


# ---- Sampled and population gradients, templates of every kind


@pytest.mark.parametrize("config", [
    PowerLawModularAdditionConfig(p=6), GaussianModularAdditionConfig(p=5),
    OneHotModularAdditionConfig(p=4, amplitude=3.0),
], ids=lambda config: config.name)
def test_sampled_gradient_is_unbiased(
    config: PowerLawModularAdditionConfig | GaussianModularAdditionConfig | OneHotModularAdditionConfig
) -> None:
    network = modadd_network(config.build(torch.float64, CPU), 2)
    neurons, generator = network.random_neurons(), torch.Generator().manual_seed(3)
    samples = torch.stack([network.architecture.sampled_gradient(neurons, 8, generator) for _ in range(1500)])
    population = network.architecture.loss_and_gradient(neurons)[1]
    assert close(population, network.gradient(neurons))
    scores = (samples.mean(0) - population) / (samples.std(0) / 1500**0.5)
    assert float(scores.abs().max()) < 4.5


# ---- Translation


@pytest.mark.parametrize("shifts", [(2, 2, 2), (1, 4, 5)], ids=["template", "inputs"])
def test_training_follows_a_translation(shifts: tuple[int, int, int]) -> None:
    """Turning the template with all weights, or u by s, v by t and w by s + t, turns the whole flow."""
    data = all_frequencies(5, seed=2)
    turned = rolled(data, 2) if len(set(shifts)) == 1 else data
    architecture, other = QuadraticModadd(data, 4), QuadraticModadd(turned, 4)
    neurons = architecture.initialize("gaussian", 0.1, torch.Generator().manual_seed(1))
    reference = train_by_gradient_flow(architecture, neurons, 4.0, tolerance=1e-8)
    moved = train_by_gradient_flow(other, roll_neurons(neurons, *shifts), 4.0, tolerance=1e-8)
    assert float(reference.trajectory.loss[-1]) < 0.7 * float(reference.trajectory.loss[0])
    torch.testing.assert_close(moved.final, roll_neurons(reference.final, *shifts), rtol=0, atol=1e-6)
    torch.testing.assert_close(other.features(moved.final), architecture.features(reference.final), rtol=0, atol=1e-5)


# ---- Memory

MEMORY = """
import resource, sys, torch
torch.set_num_threads(1)
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.data import modular_addition
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
frequencies = {frequencies}
data = modular_addition(113, frequencies, [56 / k for k in range(1, len(frequencies) + 1)], torch.float64,
                        torch.device("cpu"))
warm = QuadraticModadd(modular_addition(5, [1], [1.0], torch.float64, torch.device("cpu")), 2)
warm.loss_and_gradient(torch.ones(2, 15, dtype=torch.float64))
before = peak()
network = QuadraticModadd(data, 512)
neurons = network.initialize("gaussian", 1e-2, torch.Generator().manual_seed(0))
network.loss_and_gradient(neurons)
coordinates = network.flow_coordinates(neurons)
coordinates.loss_and_velocity(coordinates.encode(neurons))
network.utility_gradient(neurons, network.empty_residual())
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("frequencies", [[3, 11, 20, 31, 50], list(range(1, 57))], ids=["five", "all"])
def test_memory_of_a_large_gradient(frequencies: list[int]) -> None:
    """p = 113, 512 neurons: 1.4 MB of parameters, 60 MiB at most for gradients in both coordinates.

    One number for each neuron and pair (a, b), as over the data set, would take 50 MiB; outputs and their
    errors 11 MiB each, and autograd keeps several of both.
    """
    result = subprocess.run([sys.executable, "-c", MEMORY.format(frequencies=frequencies)], check=True, text=True,
                            capture_output=True)
    assert float(result.stdout) < 60
