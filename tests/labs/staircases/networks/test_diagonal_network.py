from __future__ import annotations

import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_2d, regression_5d

ALL = pytest.mark.parametrize("network", [regression_2d(), regression_5d()], ids=lambda network: network.name)


@ALL
def test_features_are_the_coefficients_of_the_output(network: ExplicitNetwork) -> None:
    """The network is linear in its input: least squares on its output gives the features back."""
    neurons = network.random_neurons()
    inputs = network.architecture.data.inputs  # type: ignore[attr-defined]
    output = network.answers(neurons, None).sum(0)[:, 0]
    fitted = torch.linalg.lstsq(inputs, output[:, None]).solution[:, 0]
    torch.testing.assert_close(network.architecture.features(neurons), fitted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_features_and_strengths_of_batches(batch: tuple[int, ...]) -> None:
    architecture = regression_5d().architecture
    states = torch.randn(*batch, 5, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(architecture.features(states), states[..., 0] * states[..., 1])
    strengths = architecture.neuron_feature_strengths(states)
    assert strengths.shape == (*batch, 5, 5)
    torch.testing.assert_close(strengths.diagonal(dim1=-2, dim2=-1), states.norm(dim=-1))
    assert torch.equal(strengths.argmax(-1), torch.arange(5).expand(*batch, 5))
    assert int(strengths.count_nonzero()) == states.norm(dim=-1).numel()


@ALL
def test_residual_of_coefficients_leaves_errors_and_drives(network: ExplicitNetwork) -> None:
    data = network.architecture.data  # type: ignore[attr-defined]
    coefficients = torch.linspace(-1, 2, network.architecture.width).requires_grad_()
    errors = data.targets - data.inputs @ coefficients
    drives = -torch.autograd.grad(0.5 * errors.square().mean(), coefficients)[0]
    residual = network.architecture.data.residual(coefficients.detach())  # type: ignore[attr-defined]
    torch.testing.assert_close(residual.errors, errors.detach(), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(residual.drives, drives, rtol=1e-13, atol=1e-13)


@ALL
def test_true_coefficients_leave_nothing(network: ExplicitNetwork) -> None:
    data = network.architecture.data  # type: ignore[attr-defined]
    truth = torch.linalg.lstsq(data.inputs, data.targets[:, None]).solution[:, 0]
    neurons = torch.stack([truth.abs().sqrt(), truth.sign() * truth.abs().sqrt()], dim=1)
    loss, gradient = network.architecture.loss_and_gradient(neurons)
    assert float(loss) < 1e-24
    assert float(gradient.abs().max()) < 1e-12


def test_maximal_utility_is_half_the_drive_on_the_diagonal() -> None:
    architecture = regression_5d().architecture
    residual = architecture.empty_residual()
    angles = torch.linspace(-torch.pi, torch.pi, 4001)[:, None]
    directions = torch.stack([angles.cos().expand(-1, 5), angles.sin().expand(-1, 5)], dim=-1)
    utilities = torch.stack([architecture.utility(direction, residual) for direction in directions])
    torch.testing.assert_close(utilities.max(0).values, residual.drives.abs() / 2, rtol=1e-6, atol=0)
    best = directions[utilities.argmax(0), torch.arange(5)]
    torch.testing.assert_close(best.prod(-1), residual.drives.sign() / 2, rtol=1e-6, atol=0)


@pytest.mark.parametrize("index", [[2], [3, 0], [0, 1, 2, 3, 4], [4, 2, 1]])
def test_subset_is_the_network_with_the_other_coefficients_zero(index: list[int]) -> None:
    network = regression_5d()
    chosen, neurons = torch.tensor(index), network.random_neurons(len(index), seed=1)
    whole = torch.zeros(5, 2).index_copy(0, chosen, neurons)
    loss, gradient = network.architecture.loss_and_gradient(neurons, chosen)
    loss_of_whole, gradient_of_whole = network.architecture.loss_and_gradient(whole)
    assert float(loss) == pytest.approx(float(loss_of_whole), rel=1e-13)
    torch.testing.assert_close(gradient, gradient_of_whole[chosen], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network.architecture.hessian(neurons, chosen), network.hessian(neurons, chosen))


def test_a_sample_is_one_row_and_every_row_is_equally_likely() -> None:
    network = regression_5d()
    variable = network.random_neurons().requires_grad_()
    errors = 0.5 * network.residual(variable)[:, 0].square()
    of_rows = torch.stack([torch.autograd.grad(error, variable, retain_graph=True)[0] for error in errors])
    generator, counts = torch.Generator().manual_seed(0), torch.zeros(20)
    for _ in range(2000):
        sample = network.architecture.sampled_gradient(variable.detach(), 1, generator)
        distance = (of_rows - sample).abs().amax((1, 2))
        assert float(distance.min()) < 1e-12 < float(distance.sort().values[1])
        counts[distance.argmin()] += 1
    assert float(((counts - 100) ** 2 / 100).sum()) < 43.8  # 99.9% of chi-squared with 19 degrees of freedom


def test_sampled_gradient_is_unbiased() -> None:
    network = regression_5d()
    neurons, generator = network.random_neurons(), torch.Generator().manual_seed(1)
    samples = torch.stack([network.architecture.sampled_gradient(neurons, 4, generator) for _ in range(4000)])
    scores = (samples.mean(0) - network.gradient(neurons)) / (samples.std(0) / 4000**0.5)
    assert float(scores.abs().max()) < 4
