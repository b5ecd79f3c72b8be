"""Quick forms of the utility against the architectures' own, and drives that move."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import small_modadd, with_random_phases
from torch import Tensor

from agfrun import Architecture
from agfrun.labs.staircases.agf.dormant import DormantFlow, DormantNeurons
from agfrun.labs.staircases.agf.field import FrozenField, MovingField, ResidualField
from agfrun.labs.staircases.arrays import as_tensor, native
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegressionConfig
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

CPU = torch.device("cpu")


def networks() -> dict[str, Architecture]:
    attention = InContextRegressionConfig().build(torch.float64, CPU)
    return {
        "odd": small_modadd(7, (1, 2), (5.0, 3.0), width=4).architecture,
        "Nyquist": QuadraticModadd(with_random_phases(8, [4, 1, 3], [4.0, 3.0, 2.0], seed=1), 9),
        "wide": small_modadd(7, (1, 3), (5.0, 3.0), width=60).architecture,
        "attention": LinearAttention(attention, 5, 2),
        "full attention": LinearAttention(attention, 4, 1, "full"),
    }


EVERY = pytest.mark.parametrize("name", networks())


def quick(architecture: Architecture, sources: Tensor) -> FrozenUtility:
    utility = architecture.frozen_utility(sources)
    assert utility is not None
    return utility


def drawn(architecture: Architecture, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, architecture.neuron_dimension, generator=generator, dtype=torch.float64)


@EVERY
@pytest.mark.parametrize("sources", [0, 1, 6])
def test_gradient_is_that_of_the_architecture(name: str, sources: int) -> None:
    architecture = networks()[name]
    others, neurons = 0.5 * drawn(architecture, sources, 0), drawn(architecture, 5, 1)
    utility = quick(architecture, others)
    states = utility.encode(neurons)
    torch.testing.assert_close(utility.decode(states), neurons, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(as_tensor(states).norm(dim=1), neurons.norm(dim=1), rtol=1e-12, atol=0)
    gradient = utility.decode(utility.gradient(states, utility.drive(others)))
    expected = architecture.utility_gradient(neurons, architecture.residual(others), torch.arange(5))
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-10 * float(expected.abs().max()))


@EVERY
def test_drives_are_batched(name: str) -> None:
    architecture = networks()[name]
    moments = torch.stack([drawn(architecture, 3, seed) for seed in range(4)])
    utility = quick(architecture, moments[0])
    together = utility.drive(moments)
    for moment, drive in zip(moments, together, strict=True):
        np.testing.assert_allclose(drive, utility.drive(moment), rtol=1e-12, atol=1e-12)


@EVERY
def test_the_form_holds_for_what_active_neurons_become(name: str) -> None:
    """Along their own cost's gradient, which mixes their output weights."""
    architecture = networks()[name]
    active, probes = 0.3 * drawn(architecture, 2, 2), drawn(architecture, 3, 3)
    utility = quick(architecture, active)
    for _ in range(3):
        active = active - 0.02 * architecture.loss_and_gradient(active)[1]
    gradient = utility.decode(utility.gradient(utility.encode(probes), utility.drive(active)))
    expected = architecture.utility_gradient(probes, architecture.residual(active), torch.arange(3))
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-9 * float(expected.abs().max()))


def test_what_has_no_utility_is_carried_unchanged() -> None:
    architecture = QuadraticModadd(with_random_phases(11, [2], [4.0], seed=0), 4)
    neurons = drawn(architecture, 4, 0)
    utility = quick(architecture, neurons[:0])
    states = utility.encode(neurons)
    assert states.shape == (4, 7)  # two numbers for each of u, v, w, and the rest
    assert not utility.gradient(states, utility.drive(neurons[:0]))[:, -1].any()


@pytest.mark.parametrize("name", ["odd", "attention"])
def test_moving_drive_is_the_one_of_that_moment(name: str) -> None:
    architecture = networks()[name]
    start, slope = 0.5 * drawn(architecture, 3, 4), drawn(architecture, 3, 5)

    def active_at(time: float) -> Tensor:  # a tenth of their size over the step, as an accepted step takes
        return start + 0.05 * slope * (time - 2.0) + 0.02 * start * (time - 2.0) ** 2

    utility = quick(architecture, torch.cat([start, slope]))  # the path leaves the span of the start
    assert utility is not None
    field = MovingField(utility, active_at, 2.0, 3.0)
    for time in (2.0, 2.1, 2.345, 2.5, 2.9, 3.0):
        exact = utility.drive(active_at(time))
        np.testing.assert_allclose(field.drive_at(time), exact, atol=1e-7 * float(np.abs(exact).max()))
    np.testing.assert_allclose(field.drive_at(3.0), utility.drive(active_at(3.0)), rtol=1e-13, atol=1e-14)


@EVERY
def test_flow_in_quick_coordinates_is_that_under_the_residual(name: str) -> None:
    architecture = networks()[name]
    active, neurons = 0.3 * drawn(architecture, 2, 6), 0.01 * drawn(architecture, 4, 7)
    dormant = DormantNeurons.of(neurons, torch.arange(4))
    utility = quick(architecture, active)
    residual = architecture.residual(active)
    found = []
    for field in (FrozenField(utility, active), ResidualField(architecture, lambda *_: residual, dormant.index)):
        flow = DormantFlow(architecture, 1.0, 1e-10, IntegrationStatistics(), lambda *_: None)
        found.append(flow.advance(dormant, field, 0.0, 1e300))
    (reached, time, row), (plain, expected, other) = found
    assert row is not None
    assert row == other
    assert time == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(reached.neurons(), plain.neurons(), rtol=1e-7, atol=1e-9)


def test_fields_keep_the_arrays_native() -> None:
    architecture = networks()["odd"]
    field = ResidualField(architecture, lambda *_: architecture.empty_residual(), torch.arange(4))
    directions = drawn(architecture, 4, 0)
    states = field.encode(directions)
    assert isinstance(states, np.ndarray)
    gradient = field.gradient(0.0, states, np.zeros(4))
    expected = architecture.utility_gradient(directions, architecture.empty_residual(), None)
    np.testing.assert_allclose(gradient, native(expected), rtol=1e-13)
