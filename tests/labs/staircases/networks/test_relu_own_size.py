"""Own-size steps of ReLU networks on orthonormal inputs, against the logistic law and training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.two_layer.activation import leaky_relu, relu
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig
from agfrun.labs.staircases.networks.two_layer.own_size import own_size_rounds
from agfrun.labs.staircases.networks.two_layer.theory import Neuron

TARGETS = [1.2, 0.9, -0.8, -0.5]


def network(width: int, targets: list[float] | None = None, groups: str = "signs", kink_width: float = 0.0) -> TwoLayer:
    config = OrthogonalInputsConfig(targets=targets or TARGETS, groups=groups)
    return TwoLayer(config.build(torch.float64, torch.device("cpu")), width, relu(), kink_width)


def gaussian(width: int, dimension: int, scale: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(width, dimension, generator=generator, dtype=torch.float64) / math.sqrt(dimension)
    return scale * torch.cat([inputs, torch.randn(width, 1, generator=generator, dtype=torch.float64)], dim=1)


def predicted(architecture: TwoLayer, neurons: torch.Tensor, log_factor: float = 0.0) -> OwnSizePrediction:
    prediction = architecture.own_size(neurons, log_factor)
    assert prediction is not None
    return prediction


def half_time(architecture: TwoLayer, neurons: torch.Tensor, feature: str, size: float, horizon: float) -> float:
    path = train_by_gradient_flow(architecture, neurons, horizon, tolerance=1e-6, convergence=1e-7, max_rows=20000
                                  ).trajectory
    shares = path.features[:, path.feature_names.index(feature)] / size
    row = int(np.argmax(shares >= 0.5))
    return float(np.interp(0.5, shares[row - 1: row + 1], path.times[row - 1: row + 1]))


def test_one_neuron_on_its_ray_is_logistic() -> None:
    """p = a y / |y| stays so: a^2 = |y| m with m' = 2 omega m (1 - m)."""
    targets, a = np.array([0.6, 1.1]), 1e-4
    size = float(np.linalg.norm(targets))
    architecture = network(1, targets.tolist(), "signs")
    neurons = torch.tensor(np.append(a * targets / size, a))[None]
    (event,) = predicted(architecture, neurons).events
    start, rate = a**2 / size, size / 2
    # The first m of the logistic curve is start, that of free growth smaller by 1 - start.
    assert event.time == pytest.approx(math.log((1 - start) / start) / (2 * rate), rel=1e-8)
    assert event.size == pytest.approx(size / math.sqrt(2))
    assert event.time == pytest.approx(half_time(architecture, neurons, "positive", event.size, 60.0), rel=1e-5)


def test_equal_neurons_share_what_one_would_learn() -> None:
    neuron = torch.tensor([[1e-4, 2e-4, 1e-5, 0.0, 3e-4]], dtype=torch.float64)
    alone = predicted(network(1), neuron).events[0]
    four = predicted(network(4), neuron.expand(4, -1)).events[0]
    rate = math.hypot(1.2, 0.9) / 4
    assert alone.step - four.step == pytest.approx(math.log(4) / (2 * rate), rel=1e-9)
    assert alone.time - four.time == pytest.approx(math.log(4) / (2 * rate), rel=1e-3)


def test_neurons_that_learn_nothing_are_left_out() -> None:
    """Dead on all samples, or alive only where a has the wrong sign, which it keeps."""
    dead = Neuron.of(np.array([-1e-3, -1e-3]), 1e-2)
    useful = Neuron.of(np.array([1e-3, 1e-3]), 1e-2)
    rounds = own_size_rounds([dead, useful], np.array([1.0, 2.0]))
    assert [(stage.neurons, stage.learned) for stage in rounds] == [((1,), (0, 1))]
    assert not own_size_rounds([dead], np.array([1.0, 2.0]))


@pytest.mark.parametrize("groups", ["signs", "samples"])
def test_times_are_as_good_as_they_say(groups: str) -> None:
    architecture = network(8, groups=groups)
    neurons = gaussian(8, 4, 1e-3, 1)
    for event in predicted(architecture, neurons).events:
        time = half_time(architecture, neurons, event.feature, event.size, 60.0)
        assert event.time == pytest.approx(time, rel=min(event.error + 3e-5, 0.02))


def test_separate_rounds_are_exact_at_small_scales() -> None:
    """At 1e-40, neurons held over the scale; training in polar coordinates, interpolated between rows 0.3 apart."""
    architecture, neurons = network(3), gaussian(3, 4, 1.0, 1)
    log_factor = -40 * math.log(10)
    events = predicted(architecture, neurons, log_factor).events
    path = train_by_gradient_flow(architecture, neurons, 1.1 * events[-1].time, tolerance=1e-6, convergence=1e-7,
                                  max_rows=20000, log_factor=log_factor).trajectory
    for event in events:
        shares = path.features[:, path.feature_names.index(event.feature)] / event.size
        row = int(np.argmax(shares >= 0.5))
        assert event.time == pytest.approx(
            np.interp(0.5, shares[row - 1: row + 1], path.times[row - 1: row + 1]), rel=3e-5)


def test_order_of_the_neurons_is_nothing() -> None:
    neurons, order = gaussian(8, 4, 1e-3, 5), torch.tensor([7, 2, 5, 0, 1, 6, 3, 4])
    one, other = (predicted(network(8), rows).events for rows in (neurons, neurons[order]))
    assert [event.time for event in other] == pytest.approx([event.time for event in one], rel=1e-10)
    assert [int(order[event.neuron]) for event in other if event.neuron is not None] == [
        event.neuron for event in one]


@pytest.mark.slow
def test_seeds_at_a_large_scale() -> None:
    """Also where neurons on one and on two samples are alike."""
    errors = []
    for seed in range(5):
        architecture, neurons = network(12), gaussian(12, 4, 1e-2, seed)
        for event in predicted(architecture, neurons).events:
            errors.append(abs(event.time / half_time(architecture, neurons, event.feature, event.size, 60.0) - 1))
    assert np.median(errors) < 3e-3
    assert max(errors) < 2e-2


def test_networks_without_such_steps() -> None:
    data = OrthogonalInputsConfig(targets=TARGETS).build(torch.float64, torch.device("cpu"))
    assert TwoLayer(data, 3, leaky_relu(0.1)).own_size(gaussian(3, 4, 1e-3, 0)) is None
    assert TwoLayer(data, 3, relu(2)).own_size(gaussian(3, 4, 1e-3, 0)) is None
