"""AGF of modular addition against its three-wave theory: who activates when, and who is left for later features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import CPU, with_random_phases
from torch import Tensor

from agfrun import AlternationOptions
from agfrun.labs.staircases.agf.alternation import Alternation
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.networks.quadratic_modadd.data import (
    GaussianModularAdditionConfig,
    ModularAddition,
    OneHotModularAdditionConfig,
    modular_addition,
)
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import blow_up_times, decoupled_events


def predict(data: ModularAddition, neurons: Tensor, **options: object) -> Prediction:
    return Alternation(QuadraticModadd(data, len(neurons)), neurons, AlternationOptions(**options)).predict()  # type: ignore[arg-type]


def gaussian(data: ModularAddition, width: int, seed: int) -> Tensor:
    return QuadraticModadd(data, width).initialize("gaussian", 1e-2, torch.Generator().manual_seed(seed))


def times_of(data: ModularAddition, neurons: Tensor) -> np.ndarray:
    return blow_up_times(data, QuadraticModadd(data, len(neurons)).neuron_spectra(neurons))


CASES = [
    with_random_phases(9, [2, 3], [6.0, 4.0], seed=3),  # complex coefficients, odd modulus
    with_random_phases(8, [4], [5.0], seed=1),  # the Nyquist frequency alone
    with_random_phases(6, [3, 1], [4.0, 3.0], seed=2),  # Nyquist's is the strongest
    GaussianModularAdditionConfig(p=7, data_seed=1).build(torch.float64, CPU),
    OneHotModularAdditionConfig(p=5).build(torch.float64, CPU),
]


@pytest.mark.parametrize("data", CASES, ids=["complex", "nyquist", "nyquist first", "gaussian", "one hot"])
def test_the_first_activation_is_on_its_way_to_the_earliest_blow_up(data: ModularAddition) -> None:
    """Time of the activation and the closed form's time from there to infinity add up to the closed form's."""
    neurons = gaussian(data, 5, 0)
    times = times_of(data, neurons)
    prediction = predict(data, neurons, cost_phase="decoupled", max_events=1, threshold=3.0, tolerance=1e-10)
    (first,) = prediction.rounds
    neuron, place = np.unravel_index(times.argmin(), times.shape)
    assert (first.neuron, first.feature) == (neuron, str(data.frequencies[place]))
    left = times_of(data, prediction.final[first.neuron][None])[0, place]
    assert float(prediction.final[first.neuron].norm()) == pytest.approx(3.0, rel=1e-10)
    assert first.time + left == pytest.approx(times.min(), rel=1e-7)


@pytest.mark.parametrize("cost_phase", ["instantaneous", "decoupled"])
def test_neurons_are_used_once_and_share_features(cost_phase: str) -> None:
    data = modular_addition(4, [1, 2], [4.0 * 1j, 2.0], torch.float64, CPU)
    prediction = predict(data, gaussian(data, 8, 2), cost_phase=cost_phase, loss_tolerance=1e-2, tolerance=1e-6)
    assert not any(kept.collapsed for kept in prediction.rounds)
    used = [kept.neuron for kept in prediction.rounds]
    assert len(set(used)) == len(used)
    features = [kept.feature for kept in prediction.rounds]
    assert features.count("1") >= 3
    assert prediction.complete


def torn_neurons(data: ModularAddition, width: int) -> Tensor:
    """Aligned on both frequencies at once, with phases of their own: neuron 0 is the fastest on either, then 1, ..."""
    position = 2 * math.pi * torch.arange(data.p) / data.p
    generator, rows = torch.Generator().manual_seed(0), []
    for place in range(width):
        parts = torch.zeros(3, data.p)
        for k, x in zip(data.frequencies, data.spectrum, strict=True):
            u, v = (2 * math.pi * torch.rand(2, generator=generator)).tolist()
            for part, phase in enumerate((u, v, u + v - float(x.angle()))):
                parts[part] += torch.cos(k * position + phase)
        rows.append(0.02 * 0.8**place * parts.flatten())
    return torch.stack(rows)


def test_a_later_feature_takes_the_neurons_that_are_left() -> None:
    """In theory and in AGF alike, although the neurons of the first frequency would be the first on the second."""
    data = modular_addition(7, [2, 1], [7.0, 3.5 * 1j], torch.float64, CPU)
    neurons = torn_neurons(data, 14)
    times = times_of(data, neurons)
    assert bool((np.diff(times, axis=0) > 0).all())
    events = decoupled_events(data, times)
    rounds = predict(data, neurons, cost_phase="decoupled", max_events=12, threshold=0.3, tolerance=1e-6).rounds
    for activations in ([(event.neuron, event.feature) for event in events],
                        [(kept.neuron, kept.feature) for kept in rounds]):
        on_first = [neuron for neuron, feature in activations if feature == "2"]
        on_second = [neuron for neuron, feature in activations if feature == "1"]
        assert on_first[0] == 0
        assert len(on_first) >= 4
        assert len(on_second) >= 1
        assert set(on_first).isdisjoint(on_second)
    theory_first = [event.neuron for event in events if event.feature == "2"]
    assert theory_first == list(range(len(theory_first)))
    assert next(event.neuron for event in events if event.feature == "1") == len(theory_first)
