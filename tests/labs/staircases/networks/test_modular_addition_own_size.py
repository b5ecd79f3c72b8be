"""The first frequency of modular addition, against training and the three-wave system."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd


def network(width: int = 18, **data: object) -> QuadraticModadd:
    return QuadraticModadd(ModularAdditionConfig(**data).build(torch.float64, torch.device("cpu")), width)  # type: ignore[arg-type]


def gaussian(architecture: QuadraticModadd, scale: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = [deviation * torch.randn(architecture.width, size, generator=generator, dtype=torch.float64)
             for size, deviation in architecture.parameter_blocks]
    return scale * torch.cat(parts, dim=1)


def first(architecture: QuadraticModadd, neurons: torch.Tensor) -> OwnSizeEvent:
    (event,) = architecture.own_size(neurons).events
    return event


def trained_half(architecture: QuadraticModadd, neurons: torch.Tensor, event: OwnSizeEvent) -> float:
    path = train_by_gradient_flow(architecture, neurons, 1.2 * event.time, tolerance=1e-6, max_rows=20000).trajectory
    shares = path.features / architecture.data.spectrum.abs().numpy()
    crossed = [int(np.argmax(shares[:, place] >= 0.5)) if (shares[:, place] >= 0.5).any() else math.inf
               for place in range(shares.shape[1])]
    place = int(np.argmin(crossed))
    assert path.feature_names[place] == event.feature
    rows = slice(int(crossed[place]) - 1, int(crossed[place]) + 1)
    return float(np.interp(0.5, shares[rows, place], path.times[rows]))


def test_first_frequency_is_that_of_training() -> None:
    architecture = network()
    neurons = gaussian(architecture, 1e-2, 4)
    event = first(architecture, neurons)
    assert event.feature == "1"
    assert event.size == pytest.approx(10.0)
    assert event.time == pytest.approx(trained_half(architecture, neurons, event), rel=1e-3)


def test_seed_of_which_blow_up_takes_another_order() -> None:
    """The five neurons that blow up first are not those that take the frequency; they alone are 10 % off."""
    architecture = network()
    neurons = gaussian(architecture, 1e-2, 6)
    event = first(architecture, neurons)
    assert event.time == pytest.approx(trained_half(architecture, neurons, event), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("data", [{"p": 11, "frequencies": [2, 4], "amplitudes": [6.0, 4.0]},
                                  {"p": 12, "frequencies": [3, 6], "amplitudes": [6.0, 3.0]}])
def test_other_groups(data: dict[str, object]) -> None:
    architecture = network(14, **data)
    for seed in range(3):
        neurons = gaussian(architecture, 1e-2, seed)
        event = first(architecture, neurons)
        assert event.time == pytest.approx(trained_half(architecture, neurons, event), rel=event.error)


@pytest.mark.slow
def test_many_seeds() -> None:
    architecture = network()
    for seed in range(100, 108):
        neurons = gaussian(architecture, 1e-2, seed)
        event = first(architecture, neurons)
        assert event.time == pytest.approx(trained_half(architecture, neurons, event), rel=event.error)


def test_it_costs_a_part_of_training() -> None:
    architecture = network()
    neurons = gaussian(architecture, 1e-2, 0)
    prediction = architecture.own_size(neurons)
    path = train_by_gradient_flow(architecture, neurons, 2 * prediction.events[0].time, tolerance=1e-6)
    # Of eight neurons in eighteen.
    assert prediction.evaluations * 8 / 18 < 0.1 * path.statistics.gradient_evaluations


def test_order_of_the_neurons_is_nothing() -> None:
    architecture = network()
    neurons = gaussian(architecture, 1e-2, 1)
    assert first(architecture, neurons.flip(0)).time == pytest.approx(first(architecture, neurons).time, rel=1e-9)


def test_what_is_not_predicted_is_said() -> None:
    assert "half grown" in network().own_size(gaussian(network(), 1e-2, 0)).void
    alone = network(8, p=11, frequencies=[1], amplitudes=[5.0])
    assert not alone.own_size(gaussian(alone, 1e-2, 0)).void
    resting = network(3)
    assert resting.own_size(torch.zeros(3, 60, dtype=torch.float64)).void
