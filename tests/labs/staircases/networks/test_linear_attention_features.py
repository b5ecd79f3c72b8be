"""Linear attention's symmetries, features, initialization, configuration, and what its flow conserves."""

from __future__ import annotations

import pytest
import torch
from attention_transformer import CPU, PAPER, Matrices, assert_same, law, network, random_heads
from torch import Tensor

from agfrun import ConfigError, train_by_gradient_flow
from agfrun.labs.staircases.networks.linear_attention.data import in_context_regression
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention, LinearAttentionConfig

BOTH = pytest.mark.parametrize("parameterization", ["restricted", "full"])
RANKS = pytest.mark.parametrize("rank", [1, 2])


# ---- Symmetries


@BOTH
@RANKS
def test_order_of_the_heads_is_theirs_alone(parameterization: str, rank: int) -> None:
    architecture = network(PAPER, 4, rank, parameterization)
    heads, order = random_heads(architecture), [2, 0, 3, 1]
    (loss, gradient), (other, turned) = (architecture.loss_and_gradient(rows) for rows in (heads, heads[order]))
    assert_same(other, loss)
    assert_same(turned, gradient[order])
    assert_same(architecture.features(heads[order]), architecture.features(heads))
    assert_same(architecture.neuron_feature_strengths(heads[order]),
                architecture.neuron_feature_strengths(heads)[order])


@BOTH
@RANKS
def test_rotating_the_covariance_rotates_the_heads(parameterization: str, rank: int) -> None:
    straight = network(PAPER, 3, rank, parameterization, data_seed=None)
    turned = network(PAPER, 3, rank, parameterization, data_seed=7)
    rotation = turned.data.eigenvectors
    torch.testing.assert_close(rotation @ straight.data.covariance @ rotation.T, turned.data.covariance)

    def rotated(heads: Tensor) -> Tensor:
        matrices = Matrices.of(straight, heads)
        frame = torch.eye(5)
        frame[:4, :4] = rotation.T
        return Matrices(matrices.value @ frame, matrices.key @ frame, matrices.query @ frame).taken_from(turned)

    heads = random_heads(straight)
    loss, gradient = straight.loss_and_gradient(heads)
    other, other_gradient = turned.loss_and_gradient(rotated(heads))
    assert_same(other, loss)
    assert_same(other_gradient, rotated(gradient))
    assert_same(turned.features(rotated(heads)), straight.features(heads))
    assert_same(turned.neuron_feature_strengths(rotated(heads)), straight.neuron_feature_strengths(heads))


@BOTH
def test_rows_of_a_head_may_be_rotated_and_signs_turned(parameterization: str) -> None:
    architecture = network(PAPER, 2, 3, parameterization)
    heads = random_heads(architecture)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1))).Q
    matrices = Matrices.of(architecture, heads)
    changed = Matrices(-matrices.value, -rotation @ matrices.key, rotation @ matrices.query).taken_from(architecture)
    assert_same(architecture.loss_and_gradient(changed)[0], architecture.loss_and_gradient(heads)[0])
    assert_same(architecture.features(changed), architecture.features(heads))


@BOTH
def test_utility_is_homogeneous_of_degree_three(parameterization: str) -> None:
    architecture = network(PAPER, 3, 2, parameterization)
    residual = architecture.residual(random_heads(architecture, 1))
    heads = random_heads(architecture, 2)
    utility = architecture.utility(heads, residual)
    assert_same(architecture.utility(-1.7 * heads, residual), (-1.7) ** 3 * utility)
    variable = heads.clone().requires_grad_()
    own = (architecture.output_tensor(variable[:1]) * residual.drive).sum()
    assert_same(own.detach(), utility[0])
    assert_same(torch.autograd.grad(own, variable)[0][0], architecture.utility_gradient(heads, residual)[0])


@BOTH
@RANKS
def test_flow_conserves_the_balance_of_the_parts(parameterization: str, rank: int) -> None:
    """|v|^2 - |K|^2 and K K^T - Q Q^T, (1 + r (r + 1) / 2 constants a head)."""
    architecture = network([1.0, 0.5], 2, rank, parameterization, context_length=10)
    heads = random_heads(architecture, scale=0.1)
    result = train_by_gradient_flow(architecture, heads, 30.0, tolerance=1e-9)

    def constants(neurons: Tensor) -> Tensor:
        values, keys, queries = architecture.parts(neurons)
        return torch.cat([(values.square().sum(1) - keys.square().sum((1, 2)))[:, None],
                          (keys @ keys.mT - queries @ queries.mT).flatten(1)], dim=1)

    change = (constants(result.final) - constants(heads)).abs().max()
    assert float(change) <= 1e-6 * float(constants(result.final).abs().max())
    assert float((result.final - heads).abs().max()) > 0.05


# ---- Features


def learned_heads(architecture: LinearAttention, modes: list[int]) -> Tensor:
    """Rank-one heads at the optimum of the given modes, v, K, Q of one norm."""
    optimum = architecture.data.optimal_coefficients
    rows = []
    for mode in modes:
        size = float(optimum[mode]) ** (1 / 3)
        direction = size * architecture.data.eigenvectors[:, mode]
        rows.append(torch.cat([torch.tensor([size]), direction, direction]))
    return torch.stack(rows)


def test_learned_modes_stand_at_their_optimum() -> None:
    architecture = network(PAPER)
    heads = learned_heads(architecture, [2, 0])
    optimum = architecture.data.optimal_coefficients
    torch.testing.assert_close(architecture.features(heads), optimum * torch.tensor([1.0, 0.0, 1.0, 0.0]))
    assert architecture.neuron_feature_strengths(heads).argmax(-1).tolist() == [2, 0]
    singular = architecture.observables(heads)["singular value"]
    torch.testing.assert_close(singular, torch.tensor([float(optimum[2]), float(optimum[0]), 0, 0]))


def test_loss_of_learned_modes_is_the_published_level() -> None:
    architecture = network(PAPER)
    levels = [float(architecture.loss_and_gradient(learned_heads(architecture, list(range(count))))[0])
              for count in range(1, 5)]
    assert levels == pytest.approx([0.562185, 0.355549, 0.225103, 0.132199], abs=5e-7)
    assert float(architecture.loss(architecture.empty_residual())) == pytest.approx(1)
    gradient = architecture.loss_and_gradient(learned_heads(architecture, [0, 1, 2, 3]))[1]
    assert float(gradient.abs().max()) < 1e-13


@BOTH
def test_features_of_a_stack_of_states(parameterization: str) -> None:
    architecture = network([1.0, 0.5, 0.5], 3, 2, parameterization)
    states = torch.stack([random_heads(architecture, seed) for seed in range(4)])
    one_by_one = torch.stack([architecture.features(state) for state in states])
    assert_same(architecture.features(states), one_by_one)
    strengths = architecture.neuron_feature_strengths(states)
    assert_same(strengths, torch.stack([architecture.neuron_feature_strengths(state) for state in states]))
    assert bool((strengths >= 0).all())
    assert {name: tuple(values.shape) for name, values in architecture.observables(states).items()}.items() >= {
        "singular value": (4, 3)}.items()


def test_equal_eigenvalues_give_features_that_need_no_basis() -> None:
    """One head along any direction of the eigenspace is one learned feature, the first of the space."""
    architecture = network([1.0, 0.5, 0.5, 0.5], width=2, data_seed=3)
    plane = architecture.data.eigenvectors[:, 1:] @ torch.tensor([0.6, 0.0, 0.8])
    size = float(architecture.data.optimal_coefficients[1]) ** (1 / 3)
    rows = [torch.cat([torch.tensor([size]), size * plane, size * plane]),
            learned_heads(architecture, [0])[0]]
    heads = torch.stack(rows)
    expected = architecture.data.optimal_coefficients * torch.tensor([1.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(architecture.features(heads), expected)
    assert architecture.neuron_feature_strengths(heads).argmax(-1).tolist() == [1, 0]


def test_strengths_do_not_underflow() -> None:
    architecture = network(PAPER)
    strengths = architecture.neuron_feature_strengths(1e-120 * random_heads(architecture))
    assert_same(1e120 * strengths, architecture.neuron_feature_strengths(random_heads(architecture)))


@pytest.mark.parametrize(("width", "rank"), [(1, 1), (2, 1), (1, 2), (3, 2), (5, 1)])
def test_minimal_loss_is_what_so_many_rows_can_reach(width: int, rank: int) -> None:
    """The best M of rank width * rank, by singular values in the loss's own metric (Eckart & Young)."""
    architecture = network(PAPER, width, rank)
    data = architecture.data
    target = data.second_moment.sqrt() * data.optimal_coefficients * data.eigenvalues.sqrt()
    missed = target.sort(descending=True).values[width * rank :].square().sum()
    assert architecture.minimal_loss == pytest.approx(float(data.minimal_losses.sum() + 0.5 * missed))


# ---- Initialization and configuration


@BOTH
@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
def test_a_typical_head_starts_at_norm_sqrt_two(parameterization: str, kind: str) -> None:
    architecture = network(PAPER, 4000, 2, parameterization)
    heads = architecture.initialize(kind, 1e-3, torch.Generator().manual_seed(0))
    mean_square = float(heads.square().sum(1).mean())
    assert mean_square == pytest.approx(2e-6, rel=0.05 if kind == "gaussian" else 1e-9)


def test_entries_have_one_deviation_and_values_are_positive_when_restricted() -> None:
    architecture = network(PAPER, 20_000)
    heads = architecture.initialize("gaussian", 3 / 2**0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(heads.square().mean(0), torch.ones(9), rtol=0.05, atol=0)
    assert bool((heads[:, 0] > 0).all())
    assert float(heads[:, 1:].mean().abs()) < 0.02
    full = network(PAPER, 200, 1, "full").initialize("gaussian", 1e-3, torch.Generator().manual_seed(0))
    assert bool((full < 0).any(0).all())


@BOTH
def test_balanced_parts_have_one_norm(parameterization: str) -> None:
    architecture = network(PAPER, 6, 2, parameterization)
    heads = architecture.initialize("balanced", 1e-2, torch.Generator().manual_seed(0))
    norms = torch.stack([part.flatten(1).norm(dim=1) for part in architecture.parts(heads)])
    torch.testing.assert_close(norms, torch.full((3, 6), (2 / 3) ** 0.5 * 1e-2))


def test_other_initializations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"init\.name"):
        network(PAPER).initialize("deterministic", 1e-2, torch.Generator())


@pytest.mark.parametrize(("changes", "key"), [
    ({"width": 0}, "model.width"), ({"head_dim": 0}, "model.head_dim"),
    ({"parameterization": "complete"}, "model.parameterization"),
])
def test_refused(changes: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LinearAttentionConfig(**changes).check()  # type: ignore[arg-type]
    assert caught.value.key == key


@pytest.mark.parametrize(("parameterization", "rank", "size"), [
    ("restricted", 1, 9), ("restricted", 3, 25), ("full", 1, 14), ("full", 2, 23),
])
def test_build(parameterization: str, rank: int, size: int) -> None:
    config = LinearAttentionConfig(head_dim=rank, parameterization=parameterization)
    config.check()
    architecture = config.build(law(PAPER))
    assert (architecture.width, architecture.neuron_dimension) == (5, size)
    assert sum(part for part, _ in architecture.parameter_blocks) == size
    assert architecture.feature_names == ("1", "2", "3", "4")


def test_float32() -> None:
    architecture = LinearAttention(in_context_regression(PAPER, 32, 0, torch.float32, CPU), 3, 1, "full")
    heads = architecture.initialize("gaussian", 0.1, torch.Generator().manual_seed(0))
    loss, gradient = architecture.loss_and_gradient(heads)
    assert {heads.dtype, loss.dtype, gradient.dtype, architecture.hessian(heads).dtype} == {torch.float32}


# ---- Training


def test_full_heads_settle_on_one_way_of_reading_the_context() -> None:
    """Values from labels with keys on inputs, or the other way round; nothing of the even sector is left."""
    architecture = network([1.0, 0.4], 3, 1, "full", context_length=10)
    heads = architecture.initialize("gaussian", 3e-2, torch.Generator().manual_seed(0))
    final = train_by_gradient_flow(architecture, heads, 3000.0, convergence=1e-12).final
    values, keys, _ = architecture.parts(final)
    active = final.norm(dim=1) > 0.3
    ways = torch.stack([values[:, -1].abs() * keys[:, 0, :-1].norm(dim=1),
                        values[:, :-1].norm(dim=1) * keys[:, 0, -1].abs()])[:, active]
    assert int(active.sum()) == 2
    assert float((ways.min(0).values / ways.max(0).values).max()) < 1e-3
    torch.testing.assert_close(architecture.features(final), architecture.data.optimal_coefficients, rtol=1e-3, atol=0)
    assert float(architecture.observables(final)["loss of the even sector"]) < 1e-8
    assert float(architecture.loss_and_gradient(final)[0]) == pytest.approx(architecture.minimal_loss, rel=1e-4)
