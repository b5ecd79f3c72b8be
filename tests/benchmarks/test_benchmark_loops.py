"""Competitors compute what agfrun computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agfrun.groups import named_group
from agfrun.labs.harmonics import Orthogonality, SampleLoss, Slots, TotalLoss, fit, sampled_pairs
from benchmarks.gradients import descend, paper_rate
from benchmarks.hyperbolic_scores import by_agfrun, by_definition, halves
from benchmarks.invariant_networks import by_scipy, published_loss
from benchmarks.numpy_loop import gradient_error as numpy_gradient_error
from benchmarks.numpy_loop import make_loop
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.published_loop import PublishedLoop, gradient_error, make_network

FULL_BATCH = [name for name, experiment in EXPERIMENTS.items() if experiment.published.batch_size is None]


def instance_of(name: str, *overrides: str) -> Instance:
    if name == "relu":
        pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    return build(name, *overrides)


def loop_instance(name: str) -> Instance:
    """With the kink as it is, as the plain loop has it."""
    return instance_of(name, *(["model.kink_width=0"] if name == "relu" else []))


def test_the_published_training_for_invariance_has_our_loss() -> None:
    table, slots, generator = named_group("D3"), Slots((1, 1, 2)), np.random.default_rng(0)
    weights = slots.initial(1, generator)
    pairs = sampled_pairs(table, 4, 0.0, generator, variance=2.0)
    ours = TotalLoss(SampleLoss(slots, *pairs), Orthogonality(slots, weighted=False))(weights)[0]
    theirs = published_loss(slots, *map(torch.from_numpy, (weights[0], *pairs)))
    assert float(theirs) == pytest.approx(float(ours[0]), rel=1e-12)
    # Minima are unique up to a change of basis within a slot.
    squares = [(np.abs(found[0]) ** 2).sum(axis=1) for found in (
        by_scipy(slots, table, weights), fit(slots, table, weights).weights)]
    assert squares[0] == pytest.approx(squares[1], abs=1e-3)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_gradient_of_the_plain_loop_is_ours(name: str) -> None:
    instance = loop_instance(name)
    assert gradient_error(instance, instance.neurons_at(0.5)) < 1e-12


def test_a_wrong_gradient_is_seen() -> None:
    instance = build("modular_addition")
    other = build("modular_addition", "data.amplitudes=[10.0,5.0,2.6]")
    wrong = Instance(instance.name, instance.experiment, other.architecture, instance.initial)
    network = make_network(wrong, torch.float64)
    network.set_neurons(instance.neurons_at(0.5))
    inputs, targets = network.samples
    (10 * torch.nn.functional.mse_loss(network(inputs), targets)).backward()
    ours = instance.architecture.loss_and_gradient(instance.neurons_at(0.5))[1]
    assert float((network.neuron_gradient() - ours).norm() / ours.norm()) > 1e-3


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_plain_loop_holds_the_neurons_it_was_given(name: str) -> None:
    instance = loop_instance(name)
    neurons = instance.neurons_at(0.5)
    assert torch.equal(PublishedLoop(instance, torch.float64, neurons).network.neurons(), neurons)


@pytest.mark.parametrize("name", FULL_BATCH)
def test_steps_of_the_plain_loop_are_those_of_gradient_descent(name: str) -> None:
    instance = build(name)
    start = instance.neurons_at(0.5)
    loop = PublishedLoop(instance, torch.float64, start)
    loop.run(20)
    expected = descend(instance, start, 20) - start
    assert float((loop.network.neurons() - start - expected).norm()) < 1e-9 * float(expected.norm())
    assert len(loop.losses) == len(loop.models) == 20


def test_an_epoch_of_mini_batches_is_one_pass_over_the_samples() -> None:
    loop = PublishedLoop(instance_of("relu"), start=instance_of("relu").neurons_at(0.5))
    assert loop.epoch == 8  # 1797 digits in batches of 256
    loop.run(17)
    assert len(loop.losses) == 2


def test_steps_of_the_numpy_loop_are_those_of_gradient_descent() -> None:
    instance = build("diagonal")
    start = instance.neurons_at(0.5)
    loop = make_loop(instance, start)
    assert loop is not None
    loop.run(20)
    expected = (descend(instance, start, 20) - start).numpy()
    assert np.linalg.norm(loop.neurons - start.numpy() - expected) < 1e-9 * np.linalg.norm(expected)
    assert make_loop(build("modular_addition"), start) is None


@pytest.mark.parametrize("name", ["diagonal", "linear"])
def test_gradient_of_the_numpy_loop_is_ours(name: str) -> None:
    instance = build(name)
    assert numpy_gradient_error(instance, instance.neurons_at(0.5)) < 1e-12


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_jax_gradient_and_scan_are_ours(name: str) -> None:
    jax = pytest.importorskip("jax", reason="JAX comes with agfrun[bench]")
    from benchmarks.jax_networks import array, gradient_descent, jax_loss

    instance = instance_of(name)
    neurons = instance.neurons_at(0.5)
    loss, gradient = instance.architecture.loss_and_gradient(neurons)
    found_loss, found_gradient = jax.jit(jax.value_and_grad(jax_loss(instance.architecture)))(array(neurons))
    assert float(found_loss) == pytest.approx(float(loss), rel=1e-12)
    assert float((torch.tensor(np.asarray(found_gradient)) - gradient).norm()) < 1e-11 * float(gradient.norm())
    scan = gradient_descent(jax_loss(instance.architecture), paper_rate(instance), instance.published.momentum, 10)
    moved = torch.tensor(np.asarray(scan(array(neurons)))) - neurons
    expected = descend(instance, neurons, 10) - neurons
    assert float((moved - expected).norm()) < 1e-8 * float(expected.norm())


@pytest.mark.parametrize("count", [12, 40])
def test_the_graph_by_definition_is_ours(count: int) -> None:
    a, b = halves(count, 2)
    assert by_definition(a, b) == by_agfrun(a, b)
