"""What leaves the networks' loss alone: permuting neurons, rotating the template, reflecting neurons."""

from __future__ import annotations

import pytest
import torch
from explicit_networks import (
    ExplicitNetwork,
    modadd_network,
    networks,
    regression_5d,
    roll_neurons,
    rolled,
    small_modadd,
    with_random_phases,
)
from torch import Tensor

from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition

P = 7
SHIFTS = pytest.mark.parametrize("shift", [1, 3, 6])


def task() -> ModularAddition:
    return with_random_phases(P, [1, 3], [5.0, 3.0], seed=4)


def assert_equivariant(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(first[0], second[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(first[1], second[1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("network", networks(), ids=lambda network: network.name)
def test_order_of_the_neurons_is_theirs_alone(network: ExplicitNetwork) -> None:
    architecture, neurons = network.architecture, network.random_neurons()
    order = torch.randperm(architecture.width, generator=torch.Generator().manual_seed(1))
    loss, gradient = architecture.loss_and_gradient(neurons, torch.arange(architecture.width))
    assert_equivariant((loss, gradient[order]), architecture.loss_and_gradient(neurons[order], order))
    width, size = neurons.shape
    hessian = architecture.hessian(neurons).view(width, size, width, size)[order][:, :, order]
    permuted = architecture.hessian(neurons[order], order).view(width, size, width, size)
    torch.testing.assert_close(permuted, hessian, rtol=1e-11, atol=1e-10)


def test_permuting_neurons_permutes_only_their_labels() -> None:
    architecture = small_modadd(P, (1, 3), (5.0, 3.0), width=4).architecture
    neurons, order = torch.randn(4, 3 * P, generator=torch.Generator().manual_seed(0)), [2, 0, 3, 1]
    torch.testing.assert_close(architecture.features(neurons[order]), architecture.features(neurons))
    torch.testing.assert_close(architecture.neuron_feature_strengths(neurons[order]),
                               architecture.neuron_feature_strengths(neurons)[order])


@SHIFTS
def test_rotating_the_template_rotates_the_gradient(shift: int) -> None:
    network, turned = modadd_network(task(), 3), modadd_network(rolled(task(), shift), 3)
    neurons = network.random_neurons()
    loss, gradient = network.architecture.loss_and_gradient(neurons)
    rotated = roll_neurons(neurons, shift, shift, shift)
    assert_equivariant((loss, roll_neurons(gradient, shift, shift, shift)),
                       turned.architecture.loss_and_gradient(rotated))
    torch.testing.assert_close(turned.architecture.features(rotated), network.architecture.features(neurons))
    torch.testing.assert_close(turned.architecture.neuron_feature_strengths(rotated),
                               network.architecture.neuron_feature_strengths(neurons))


@pytest.mark.parametrize("shifts", [(1, 0), (0, 5), (2, 6)])
def test_shifting_the_inputs_shifts_the_output_by_their_sum(shifts: tuple[int, int]) -> None:
    """f(a, b) of the shifted neurons is f(a - s, b - t) shifted by s + t: a symmetry of the task."""
    network, (s, t) = modadd_network(task(), 3), shifts
    neurons = network.random_neurons()
    loss, gradient = network.architecture.loss_and_gradient(neurons)
    moved = network.architecture.loss_and_gradient(roll_neurons(neurons, s, t, s + t))
    assert_equivariant((loss, roll_neurons(gradient, s, t, s + t)), moved)
    torch.testing.assert_close(network.architecture.features(roll_neurons(neurons, s, t, s + t)),
                               network.architecture.features(neurons))


def test_other_shifts_are_no_symmetry() -> None:
    network = modadd_network(task(), 3)
    neurons = network.random_neurons()
    loss = float(network.architecture.loss_and_gradient(neurons)[0])
    moved = float(network.architecture.loss_and_gradient(roll_neurons(neurons, 1, 2, 4))[0])
    assert abs(moved - loss) > 1e-3 * loss


def test_swapping_the_two_inputs_swaps_the_gradient() -> None:
    network = modadd_network(task(), 3)
    neurons = network.random_neurons()

    def swap(rows: Tensor) -> Tensor:
        return torch.cat([rows[:, P : 2 * P], rows[:, :P], rows[:, 2 * P :]], dim=1)

    loss, gradient = network.architecture.loss_and_gradient(neurons)
    assert_equivariant((loss, swap(gradient)), network.architecture.loss_and_gradient(swap(neurons)))


def test_rescaling_inputs_against_output_changes_nothing() -> None:
    """(u, v, w) -> (c u, c v, w / c^2), the symmetry behind the conserved |u|^2 + |v|^2 - 2 |w|^2."""
    network = modadd_network(task(), 3)
    neurons, c = network.random_neurons(), 1.7
    factors = torch.cat([torch.full((2 * P,), c), torch.full((P,), c**-2)])
    loss, gradient = network.architecture.loss_and_gradient(neurons)
    assert_equivariant((loss, gradient / factors), network.architecture.loss_and_gradient(factors * neurons))
    u, v, w = (neurons * gradient).unflatten(1, (3, P)).sum(-1).unbind(1)
    torch.testing.assert_close(u + v, 2 * w, rtol=1e-10, atol=1e-10)


@SHIFTS
def test_rotating_the_samples_of_a_regression_changes_nothing(shift: int) -> None:
    data = regression_5d().architecture.data  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(shift)
    rotation = torch.linalg.qr(torch.randn(20, 20, generator=generator, dtype=torch.float64)).Q
    turned = DiagonalLinear(Regression(rotation @ data.inputs, rotation @ data.targets))
    neurons = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    assert_equivariant(turned.loss_and_gradient(neurons), DiagonalLinear(data).loss_and_gradient(neurons))


def test_diagonal_neuron_conserves_the_difference_of_squares() -> None:
    network = regression_5d()
    neurons = network.random_neurons()
    gradient = network.architecture.loss_and_gradient(neurons)[1]
    torch.testing.assert_close(neurons[:, 0] * gradient[:, 0], neurons[:, 1] * gradient[:, 1])


def test_reflecting_a_coordinate_reflects_its_neuron() -> None:
    data = regression_5d().architecture.data  # type: ignore[attr-defined]
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    turned = DiagonalLinear(Regression(data.inputs * signs, data.targets))
    reflect = torch.stack([torch.ones_like(signs), signs], dim=1)
    neurons = regression_5d().random_neurons()
    loss, gradient = DiagonalLinear(data).loss_and_gradient(neurons)
    assert_equivariant((loss, reflect * gradient), turned.loss_and_gradient(reflect * neurons))
