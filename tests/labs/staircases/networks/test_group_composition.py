"""Networks on sequences of group elements, against sums over all sequences and closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from explicit_networks import CPU, paper_modadd
from torch import Tensor

from agfrun import ConfigError, load_config
from agfrun.groups import named_group
from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.networks.group_composition.coordinates import SequenceCoordinates
from agfrun.labs.staircases.networks.group_composition.data import (
    CustomGroupSequencesConfig,
    GroupSequences,
    GroupSequencesConfig,
    OneHotGroupSequencesConfig,
    group_of,
    group_sequences,
)
from agfrun.labs.staircases.networks.group_composition.dormant import first_blow_ups
from agfrun.labs.staircases.networks.group_composition.network import (
    GroupComposition,
    GroupCompositionConfig,
    PairComposition,
)
from agfrun.labs.staircases.networks.group_composition.spectrum import with_singular_values
from agfrun.labs.staircases.networks.group_composition.theory import composition_theory, lower_bounds
from agfrun.labs.staircases.networks.group_composition.utility import maximal_utilities
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.data import from_template
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import blow_up_times
from agfrun.labs.staircases.networks.quadratic_modadd.theory import maximal_utilities as of_frequencies
from agfrun.labs.staircases.networks.streams import NeuronStreams
from agfrun.labs.staircases.paper.claims.group_composition import best_neuron

CASES = [(group, length) for group in ("C5", "D3", "Q8") for length in (2, 3)]
ALL = pytest.mark.parametrize(("group", "length"), CASES)


def drawn(group: str, length: int, width: int = 3) -> tuple[GroupComposition, Tensor]:
    """A network on a random template, and random neurons of order one."""
    generator = np.random.default_rng(0)
    data = group_sequences(group, length, generator.standard_normal(len(named_group(group))), torch.float64, CPU)
    network = GroupCompositionConfig(width=width).build(data)
    return network, torch.tensor(generator.standard_normal((width, network.neuron_dimension)))


def spectral(group: str, length: int, irreps: list[int], values: list[float], seed: int | None = 0) -> GroupSequences:
    config = GroupSequencesConfig(group=group, length=length, irreps=irreps, singular_values=values, data_seed=seed)
    config.check()
    return config.build(torch.float64, CPU)


def all_sequences(network: GroupComposition) -> Tensor:
    return torch.cartesian_prod(*[torch.arange(network.data.order)] * network.data.length).T


def written_out(network: GroupComposition, neurons: Tensor) -> Tensor:
    """The loss, sequence by sequence, from the template and the table alone."""
    table, template = network.data.composition.table, network.data.template
    total = torch.zeros((), dtype=torch.float64)
    parts = neurons.view(len(neurons), -1, network.data.order)
    for sequence in all_sequences(network).T.tolist():
        product = sequence[0]
        for element in sequence[1:]:
            product = int(table[product, element])
        hidden = sum(parts[:, place] @ template[table[element]] for place, element in enumerate(sequence))
        answer = torch.as_tensor(hidden).pow(network.data.length) @ parts[:, -1]
        total = total + 0.5 * (template[table[product]] - answer).square().sum()
    mean: Tensor = total / network.data.order**network.data.length
    return mean


@ALL
def test_loss_and_gradient_are_those_over_all_sequences(group: str, length: int) -> None:
    network, neurons = drawn(group, length)
    variable = neurons.clone().requires_grad_()
    expected = written_out(network, variable)
    gradient = torch.autograd.grad(expected, variable)[0]
    for loss, found in (network.loss_and_gradient(neurons), GroupComposition.loss_and_gradient(network, neurons)):
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
        torch.testing.assert_close(found, gradient, rtol=1e-10, atol=1e-12 * float(gradient.abs().max()))
    residual = network.residual(neurons)
    torch.testing.assert_close(network.loss(residual), expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(network.utility_gradient(neurons, residual), -gradient, rtol=1e-10,
                               atol=1e-12 * float(gradient.abs().max()))


@ALL
def test_outputs_and_targets_follow_the_order_of_the_sequence(group: str, length: int) -> None:
    network, neurons = drawn(group, length)
    elements = all_sequences(network)
    loss = 0.5 * (network.targets(elements) - network.outputs(neurons, elements)).square().sum(1).mean()
    torch.testing.assert_close(loss, written_out(network, neurons), rtol=1e-12, atol=0)
    differ = bool((network.targets(elements) - network.targets(elements.flip(0))).abs().max() > 1e-6)
    assert differ == (group != "C5")


@pytest.mark.parametrize("group", ["C5", "D3", "Q8"])
def test_hessian_of_pairs_is_the_derivative_of_the_gradient(group: str) -> None:
    network, neurons = drawn(group, 2, 2)
    assert isinstance(network, PairComposition)
    expected_hessian = GroupComposition.hessian(network, neurons)
    torch.testing.assert_close(network.hessian(neurons), expected_hessian, rtol=1e-9, atol=1e-9)
    coordinates = network.flow_coordinates(neurons)
    assert isinstance(coordinates, TemplateCoordinates)
    y = coordinates.encode(neurons)
    assert coordinates.output_loss is not None
    expected = float(written_out(network, neurons))
    assert float(coordinates.loss_and_velocity(y)[0]) == pytest.approx(expected, rel=1e-11)
    assert float(coordinates.output_loss.residual(y.view(2, -1).numpy()).loss) == pytest.approx(expected, rel=1e-11)


def test_coordinates_of_longer_sequences_leave_out_nothing_that_moves() -> None:
    network, neurons = drawn("D3", 3)
    coordinates = network.flow_coordinates(neurons)
    assert isinstance(coordinates, SequenceCoordinates)
    y = coordinates.encode(neurons)
    torch.testing.assert_close(coordinates.decode(y), neurons)
    loss, velocity = coordinates.loss_and_velocity(y)
    expected, gradient = network.loss_and_gradient(neurons)
    torch.testing.assert_close(loss, expected)
    moved = coordinates.decode(y + 1e-3 * velocity) - neurons
    torch.testing.assert_close(moved, -1e-3 * gradient, rtol=1e-7, atol=1e-9 * float(gradient.abs().max()))
    assert coordinates.jacobian(y).shape == (len(y), len(y))


@ALL
def test_features_are_singular_values_of_outputs_moved_back(group: str, length: int) -> None:
    network, neurons = drawn(group, length)
    elements, table = all_sequences(network), network.data.composition.table
    inverse = (table == 0).long().argmax(1)[network.data.composition.product(elements)]
    answers, targets = network.outputs(neurons, elements), network.targets(elements)
    for values, found in ((answers, network.features(neurons)), (targets, network.data.values)):
        mean = torch.stack([row[table[back]] for row, back in zip(values, inverse, strict=True)]).mean(0).numpy()
        expected = [float(np.trace(part.left.conj().T @ part.irrep.coefficient(mean) @ part.right).real)
                    / part.left.shape[1] for part in network.data.parts]
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_a_batch_estimates_the_gradient() -> None:
    network, neurons = drawn("D3", 2)
    generator = torch.Generator().manual_seed(0)
    mean = network.sampled_gradient(neurons, 200_000, generator)
    exact = network.loss_and_gradient(neurons)[1]
    assert float((mean - exact).norm() / exact.norm()) < 0.02


@pytest.mark.parametrize("p", [7, 8])
def test_modular_addition_is_the_cyclic_case(p: int) -> None:
    template = np.random.default_rng(1).standard_normal(p)
    data = group_sequences(f"C{p}", 2, template, torch.float64, CPU)
    addition = QuadraticModadd(from_template(template, torch.float64, CPU), 5)
    network = GroupCompositionConfig(width=5).build(data)
    assert network.feature_names == addition.feature_names
    assert network.parameter_blocks == addition.parameter_blocks
    neurons = 0.3 * torch.tensor(np.random.default_rng(2).standard_normal((5, 3 * p)))
    for one, other in (*zip(network.loss_and_gradient(neurons), addition.loss_and_gradient(neurons), strict=True),
                       (network.features(neurons), addition.features(neurons)),
                       (network.neuron_feature_strengths(neurons), addition.neuron_feature_strengths(neurons)),
                       (network.hessian(neurons), addition.hessian(neurons)),
                       (torch.tensor(maximal_utilities(data)), of_frequencies(addition.data)),
                       (torch.tensor([part.energy for part in data.parts]), addition.data.energies)):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12 * float(other.abs().max()))
    times = blow_up_times(addition.data, addition.neuron_spectra(neurons))
    np.testing.assert_allclose([time for time, _ in first_blow_ups(data, neurons.numpy())], times.min(0), rtol=1e-4)
    assert [neuron for _, neuron in first_blow_ups(data, neurons.numpy())] == times.argmin(0).tolist()


def test_the_paper_s_modular_addition_trains_alike() -> None:
    addition = paper_modadd().architecture
    assert isinstance(addition, QuadraticModadd)
    data = group_sequences("C20", 2, addition.data.template.numpy(), torch.float64, CPU)
    network = GroupCompositionConfig(width=addition.width).build(data)
    initial = addition.initialize("gaussian", 1e-2, NeuronStreams(0))
    torch.testing.assert_close(network.initialize("gaussian", 1e-2, NeuronStreams(0)), initial)
    ends = [train_by_gradient_flow(one, initial, 10.0, tolerance=1e-8).final for one in (network, addition)]
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-9)


# Group, length, irrep, singular values, real dimension.
UTILITIES = [("D5", 2, [2], [3.0], 2), ("D3", 3, [2, 2], [3.0, 1.0], 2), ("C5", 3, [1], [2.0], 2),
             ("D3", 2, [1], [2.0], 1), ("Q8", 2, [4], [3.0], 4), ("A4", 2, [2], [3.0], 3)]


@pytest.mark.parametrize(("group", "length", "irreps", "values", "dimension"), UTILITIES)
def test_largest_utility_is_the_closed_form(group: str, length: int, irreps: list[int], values: list[float],
                                            dimension: int) -> None:
    data = spectral(group, length, irreps, values)
    order = len(named_group(group))
    expected = math.factorial(length) / ((length + 1) * order) ** ((length + 1) / 2) * max(values) ** (length + 1) \
        / dimension ** ((length - 1) / 2)
    assert max(maximal_utilities(data)) == pytest.approx(expected, rel=1e-12)
    assert best_neuron(GroupCompositionConfig().build(data))[0] == pytest.approx(expected, rel=1e-9)


def test_the_rest_of_an_irrep_is_found_through_its_largest_singular_value() -> None:
    for length in (2, 3):
        data = spectral("D3", length, [2, 2], [3.0, 1.0])
        second = data.parts[1]
        rest = second.irrep.function(second.value * second.left @ second.right.conj().T)
        found = best_neuron(GroupCompositionConfig().build(data), torch.tensor(rest))[0]
        assert found == pytest.approx(maximal_utilities(data)[1], rel=1e-9)
        assert maximal_utilities(data)[1] / maximal_utilities(data)[0] == pytest.approx(1 / 9, rel=1e-12)


@pytest.mark.parametrize("name", ["C6", "D4", "Q8", "S4", "A5", "F21", "Dic3", "C3xC3"])
def test_power_is_that_of_the_template(name: str) -> None:
    table, irreps = group_of(name)
    assert sum(irrep.dimension * irrep.singular_values for irrep in irreps) == len(table)
    data = group_sequences(name, 2, np.random.default_rng(0).standard_normal(len(table)), torch.float64, CPU)
    assert 2 * sum(part.energy for part in data.parts) == pytest.approx(float(data.template.square().sum()), rel=1e-12)
    whole = sum(irrep.function(irrep.coefficient(data.template.numpy())) for irrep in irreps)
    np.testing.assert_allclose(whole, data.template.numpy(), atol=1e-12)


def test_spectra_are_those_asked_for() -> None:
    data = spectral("A5", 2, [3, 1, 1, 1, 4], [2.0, 5.0, 4.5, 4.0, 3.0])
    assert [(part.name, round(part.value, 9), part.multiplicity) for part in data.parts] == [
        ("1.1", 5.0, 1), ("1.2", 4.5, 1), ("1.3", 4.0, 1), ("3", 2.0, 4), ("4", 3.0, 5)]
    quaternions = spectral("Q8", 2, [4], [3.0])
    assert [(part.name, part.multiplicity) for part in quaternions.parts] == [("4", 1)]
    assert quaternions.parts[0].energy == pytest.approx(4 * 9 / 16)
    scalar = spectral("D5", 2, [2], [3.0], seed=None).parts[0]
    np.testing.assert_allclose(scalar.irrep.coefficient(spectral("D5", 2, [2], [3.0], seed=None).template.numpy()),
                               3 * np.eye(2), atol=1e-12)
    one_hot = OneHotGroupSequencesConfig(group="S4").build(torch.float64, CPU)
    np.testing.assert_allclose(one_hot.values, 10.0)
    assert one_hot.parts[2].multiplicity == 3


def test_theory_orders_by_utility_and_falls_by_energies() -> None:
    data = spectral("D3", 2, [1, 2], [8.0, 7.0])
    network = GroupCompositionConfig(width=10).build(data)
    initial = network.initialize("gaussian", 1e-3, NeuronStreams(0))
    theory = composition_theory(data, initial, 1.0)
    assert [name for name, _ in theory.levels] == ["1", "2"]
    np.testing.assert_allclose([level for _, level in theory.levels], [2 * 2 * 49 / 12, 0.0])
    assert theory.initial_loss == pytest.approx(64 / 12 + 2 * 2 * 49 / 12)
    assert not theory.undecided
    assert "one maximal utility" in composition_theory(spectral("D5", 2, [2, 3], [4.0, 4.0]), torch.ones(1, 30),
                                                       1.0).undecided
    # One number below the largest norm nothing can have come to the threshold.
    largest = float(initial.norm(dim=1).max())
    for (time, _), bound in zip(first_blow_ups(data, initial.numpy()), lower_bounds(data, largest), strict=True):
        assert time > bound
    aligned = best_neuron(network)[1][None]
    (time, _), *_ = first_blow_ups(spectral("D3", 2, [1], [8.0]), 1e-2 * aligned.numpy())
    assert time == pytest.approx(1e2 / (3 * maximal_utilities(data)[0]), rel=1e-6)


@pytest.mark.parametrize(("changes", "message"), [
    ({"group": "D"}, "data.group=D is not allowed: must be one of C4"),
    ({"group": "C1"}, "data.group=C1 is not allowed: must be a group of 2 to 256 elements; this one has 1"),
    ({"length": 1}, "data.length=1 is not allowed: must be an integer from 2 to 5"),
    ({"irreps": [3]}, "a list of irreps of D3: 1 (dimension 1), 2 (dimension 2)"),
    ({"irreps": [1, 1]}, "a list with irrep 1 once, or 1 times"),
    ({"irreps": [2]}, "one singular value for each of the 1 places"),
    ({"singular_values": [0.0, 1.0]}, "numbers from 1e-6 to 1e6"),
    ({"data_seed": -1}, "data.data_seed=-1"),
])
def test_wrong_keys_are_refused(changes: dict[str, object], message: str) -> None:
    """As a user writes them: the memory that data take is asked for before their own check."""
    words = [f"data.{key}={str(value).replace(' ', '')}" for key, value in changes.items()]
    with pytest.raises(ConfigError) as caught:
        load_config(["model=group_composition", *words])
    assert message in str(caught.value)


def test_a_template_of_the_user_s_own(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(6)
    np.save(tmp_path / "six.npy", values)
    config = CustomGroupSequencesConfig(path=str(tmp_path / "six.npy"))
    config.check()
    np.testing.assert_allclose(config.build(torch.float64, CPU).template.numpy(), values - values.mean())
    with pytest.raises(ConfigError, match="a file of 8 numbers, one for each element of Q8; it has 6"):
        CustomGroupSequencesConfig(group="Q8", path=config.path).build(torch.float64, CPU)
    irrep = OneHotGroupSequencesConfig(group="D3").build(torch.float64, CPU).parts[1].irrep
    np.save(tmp_path / "lame.npy", irrep.function(with_singular_values(irrep, np.array([1.0, 0.0]), 0)))
    with pytest.raises(ConfigError, match="the template has 1 of the 2 singular values of irrep 2"):
        CustomGroupSequencesConfig(path=str(tmp_path / "lame.npy")).build(torch.float64, CPU)
    with pytest.raises(ConfigError, match="a file that ends in"):
        CustomGroupSequencesConfig(path="six.txt").check()


@pytest.mark.slow
def test_training_learns_by_utility_rank_by_rank() -> None:
    """Second moments of the plateau between: the features are at the first singular value and near zero."""
    data = spectral("D3", 2, [2, 2], [9.0, 3.0])
    network = GroupCompositionConfig(width=30).build(data)
    initial = network.initialize("gaussian", 1e-3, NeuronStreams(0))
    trained = train_by_gradient_flow(network, initial, 1e4, convergence=1e-5)
    losses, second = trained.trajectory.loss, data.parts[1].energy
    plateau = np.abs(losses / second - 1) < 1e-3
    assert plateau.any()
    state = trained.recorder.state_near(float(trained.trajectory.times[plateau].mean()))[1]
    np.testing.assert_allclose(network.features(state).numpy(), [9.0, 0.0], atol=0.05)
    np.testing.assert_allclose(network.features(trained.final).numpy(), [9.0, 3.0], rtol=2e-2)
