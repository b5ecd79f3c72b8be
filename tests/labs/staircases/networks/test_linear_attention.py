"""Linear attention's loss, gradients and Hessian against the transformer written out."""

from __future__ import annotations

import pytest
import torch
from attention_transformer import (
    PAPER,
    Matrices,
    assert_same,
    cubature,
    explicit_loss,
    law,
    network,
    predictions,
    random_heads,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun.labs.staircases.networks.linear_attention import moments as attention_moments
from agfrun.labs.staircases.networks.linear_attention import network as module
from agfrun.labs.staircases.networks.linear_attention.moments import EvenSector
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention

BOTH = pytest.mark.parametrize("parameterization", ["restricted", "full"])
RANKS = pytest.mark.parametrize("rank", [1, 2])

# Small enough for 4 nodes a variable: D (N + 2) variables.
SMALL = [([1.3], 1), ([0.7], 4), ([1.1, 0.4], 1), ([0.9, 0.9], 2), ([1.0, 0.6, 0.3], 1)]


@pytest.mark.parametrize(("eigenvalues", "context_length"), SMALL)
@BOTH
@RANKS
def test_loss_and_gradient_are_those_of_the_transformer(
    eigenvalues: list[float], context_length: int, parameterization: str, rank: int
) -> None:
    architecture = network(eigenvalues, 2, rank, parameterization, context_length)
    heads = random_heads(architecture)
    variable = heads.clone().requires_grad_()
    expected = explicit_loss(Matrices.of(architecture, variable), cubature(architecture.data))
    gradient = torch.autograd.grad(expected, variable)[0]
    loss, own = architecture.loss_and_gradient(heads)
    residual = architecture.residual(heads)
    assert_same(loss, expected.detach())
    assert_same(architecture.loss(residual), expected.detach())
    assert_same(own, gradient)
    assert_same(architecture.utility_gradient(heads, residual), -gradient)


@settings(max_examples=12)
@given(case=st.sampled_from(SMALL[:4]), width=st.integers(1, 4), rank=st.integers(1, 3), seed=st.integers(0, 2**31),
       parameterization=st.sampled_from(["restricted", "full"]), scale=st.floats(0.05, 1.0))
def test_loss_and_gradient_of_random_networks(
    case: tuple[list[float], int], width: int, rank: int, seed: int, parameterization: str, scale: float
) -> None:
    architecture = network(case[0], width, rank, parameterization, case[1], data_seed=seed)
    variable = random_heads(architecture, seed, scale).requires_grad_()
    expected = explicit_loss(Matrices.of(architecture, variable), cubature(architecture.data))
    loss, gradient = architecture.loss_and_gradient(variable.detach())
    assert_same(loss, expected.detach())
    assert_same(gradient, torch.autograd.grad(expected, variable)[0])


@RANKS
def test_blocks_that_are_left_out_do_not_move(rank: int) -> None:
    """At restricted heads the gradient of the whole W_V, W_K and W_Q is nothing but that of the heads."""
    architecture = network([1.1, 0.4], 2, rank, context_length=2)
    heads = random_heads(architecture)
    entries = [part.requires_grad_() for part in vars(Matrices.of(architecture, heads)).values()]
    gradient = Matrices(*torch.autograd.grad(explicit_loss(Matrices(*entries), cubature(architecture.data)), entries))
    of_heads = gradient.taken_from(architecture)
    assert_same(of_heads, architecture.loss_and_gradient(heads)[1])
    total = sum(part.square().sum() for part in vars(gradient).values())
    assert float(total - of_heads.square().sum()) <= 1e-20 * float(total)


def test_blocks_without_influence_in_the_full_parameterization() -> None:
    """Rows of W_V that write no label, and W_Q on labels, neither matter nor move."""
    architecture = network([1.1, 0.4], 2, 1, "full", context_length=1)
    matrices = Matrices.of(architecture, random_heads(architecture))
    expectation = cubature(architecture.data)
    loss = explicit_loss(matrices, expectation)
    changed = Matrices(matrices.value.clone(), matrices.key, matrices.query.clone())
    changed.value[:, :-1] += 0.7
    changed.query[:, :, -1] -= 0.4
    assert_same(explicit_loss(changed, expectation), loss)


# ---- Any dimension and context length


def published_loss(architecture: LinearAttention, heads: Tensor) -> Tensor:
    """1/2 [tr S - 2 N tr(M S^2) + tr(M S M^T (N (N + 1) S^2 + N tr(S) S))], in the inputs' coordinates."""
    data = architecture.data
    matrices = Matrices.of(architecture, heads)
    covariance, length = data.covariance, data.context_length
    output = torch.einsum("h,hrb,hrj->bj", matrices.value[:, -1, -1], matrices.key[..., :-1], matrices.query[..., :-1])
    second = length * (length + 1) * covariance @ covariance + length * covariance.trace() * covariance
    cross = (output @ covariance @ covariance).trace()
    return 0.5 * (covariance.trace() - 2 * length * cross + (output @ covariance @ output.T @ second).trace())


@settings(max_examples=40)
@given(eigenvalues=st.lists(st.floats(0.1, 2), min_size=1, max_size=6), context_length=st.integers(1, 60),
       width=st.integers(1, 6), rank=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_completed_square_is_the_published_loss(
    eigenvalues: list[float], context_length: int, width: int, rank: int, seed: int
) -> None:
    architecture = network(eigenvalues, width, rank, context_length=context_length, data_seed=seed)
    heads = random_heads(architecture, seed)
    loss, gradient = architecture.loss_and_gradient(heads)
    assert_same(loss, published_loss(architecture, heads), 1e-10)
    variable = heads.clone().requires_grad_()
    assert_same(gradient, torch.autograd.grad(published_loss(architecture, variable), variable)[0], 1e-9)


def test_gradient_keeps_its_digits_near_the_optimum() -> None:
    """One part in 10^12 away from the optimum the gradient is still right to three digits."""
    architecture = network([0.8], width=1, context_length=10, data_seed=None)
    coefficient = float(architecture.data.optimal_coefficients[0])
    heads = torch.tensor([[coefficient, 1.0, 1.0 + 1e-12]])
    exact = float(architecture.data.second_moment[0] * 0.8) * coefficient**2 * (float(heads[0, 2]) - 1)
    assert float(architecture.loss_and_gradient(heads)[1][0, 2]) == pytest.approx(exact, rel=1e-3)


@BOTH
@RANKS
def test_population_gradient_is_the_mean_of_sampled_ones(parameterization: str, rank: int) -> None:
    architecture = network(PAPER, 3, rank, parameterization)
    heads = random_heads(architecture, scale=0.1)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([architecture.sampled_gradient(heads, 500, generator) for _ in range(120)])
    error = drawn.std(0) / 120**0.5
    deviation = (drawn.mean(0) - architecture.loss_and_gradient(heads)[1]) / error
    assert float(deviation.abs().max()) < 5
    assert 0.6 < float(deviation.square().mean().sqrt()) < 1.5


@BOTH
def test_sampling_in_pieces_averages_the_pieces(parameterization: str, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = network([1.0, 0.5], 2, 1, parameterization, context_length=6)
    heads = random_heads(architecture)
    monkeypatch.setattr(module, "NUMBERS_TOGETHER", 1)
    in_pieces = architecture.sampled_gradient(heads, 5, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    one_by_one = [architecture.sampled_gradient(heads, 1, generator) for _ in range(5)]
    assert_same(in_pieces, torch.stack(one_by_one).mean(0))


def test_sampled_gradient_is_that_of_the_transformer_on_the_sequences() -> None:
    architecture = network([1.0, 0.5], 2, 2, "full", context_length=6)
    heads = random_heads(architecture).requires_grad_()
    inputs, labels = architecture.data.sequences(40, torch.Generator().manual_seed(4))
    masked = torch.cat([labels[:, :-1], torch.zeros(40, 1)], 1)
    tokens = torch.cat([inputs @ architecture.data.eigenvectors.T, masked[..., None]], -1)
    errors = labels[:, -1] - predictions(Matrices.of(architecture, heads), tokens)
    expected = torch.autograd.grad(0.5 * errors.square().mean(), heads)[0]
    measured = architecture.sampled_gradient(heads.detach(), 40, torch.Generator().manual_seed(4))
    assert_same(measured, expected)


@BOTH
@RANKS
def test_hessian(parameterization: str, rank: int) -> None:
    architecture = network([1.0, 0.6, 0.6], 3, rank, parameterization, context_length=8)
    heads = random_heads(architecture)
    hessian = architecture.hessian(heads)
    expected = torch.autograd.functional.jacobian(lambda rows: architecture.loss_and_gradient(rows)[1], heads)
    assert_same(hessian, expected.view_as(hessian))
    assert_same(hessian, hessian.T, 1e-13)
    assert architecture.hessian(heads[:0]).shape == (0, 0)


def test_even_sector_by_matrix_and_by_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    by_matrix = network([1.0, 0.6, 0.3], 3, 2, "full", context_length=5)
    monkeypatch.setattr(attention_moments, "LARGEST_MATRIX", 0)
    by_sums = network([1.0, 0.6, 0.3], 3, 2, "full", context_length=5)
    heads = random_heads(by_matrix)
    for ours, theirs in zip(by_sums.loss_and_gradient(heads), by_matrix.loss_and_gradient(heads), strict=True):
        assert_same(ours, theirs)
    assert_same(by_sums.hessian(heads), by_matrix.hessian(heads))


def test_even_sector_only_costs() -> None:
    data = law([1.0, 0.6, 0.3], 4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        inputs, labels = torch.randn(3, 3, 3, generator=generator), torch.randn(3, generator=generator)
        inputs = inputs + inputs.transpose(0, 1)
        gradients = EvenSector(data).gradient(inputs, labels)
        assert float((inputs * gradients[0]).sum() + (labels * gradients[1]).sum()) > 0


@RANKS
def test_restricted_heads_are_full_ones_with_zeros(rank: int) -> None:
    restricted, full = network(PAPER, 3, rank), network(PAPER, 3, rank, "full")
    heads = random_heads(restricted)
    wide = Matrices.of(restricted, heads).taken_from(full)
    loss, gradient = restricted.loss_and_gradient(heads)
    wide_loss, wide_gradient = full.loss_and_gradient(wide)
    assert_same(wide_loss, loss)
    assert_same(wide_gradient, Matrices.of(restricted, gradient).taken_from(full))
    assert_same(full.features(wide), restricted.features(heads))
    assert_same(full.neuron_feature_strengths(wide), restricted.neuron_feature_strengths(heads))
    assert float(full.observables(wide)["loss of the even sector"]) <= 1e-20 * float(loss)
