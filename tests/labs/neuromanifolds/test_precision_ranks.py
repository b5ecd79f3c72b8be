"""Ranks from singular values of many digits: softmax attention, and where floats go wrong."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from agfrun.labs.neuromanifolds.arithmetic.fields import Multiprecision
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.networks.attention.network import LightningAttentionConfig, SoftmaxAttentionConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig
from agfrun.labs.neuromanifolds.precision import (
    GAP,
    PreciseRank,
    precise_jacobian,
    precise_rank,
    singular_logarithms,
)

SOFTMAX: list[tuple[list[int], list[int], int]] = [
    ([2, 2], [1], 7), ([2, 2], [2], 8), ([3, 3], [2], 17), ([3, 2], [1], 11), ([4, 3], [2], 24),
    ([2, 2, 2], [1, 1], 10), ([3, 3, 3], [2, 2], 25), ([3, 2, 2], [2, 1], 17), ([3, 3, 3, 3], [2, 2, 2], 33),
    ([2, 2, 2, 2], [1, 1, 1], 13), ([3, 3, 3], [1, 2], 22),
]


@pytest.mark.parametrize("tokens", [2, 3])
@pytest.mark.parametrize(("widths", "ranks", "dimension"), SOFTMAX)
def test_softmax_table(widths: list[int], ranks: list[int], dimension: int, tokens: int) -> None:
    found = precise_rank(SoftmaxAttentionConfig(widths=widths, ranks=ranks, tokens=tokens), seed=0)
    assert (found.rank, found.decided, found.proved_rank) == (dimension, True, dimension)
    assert found.gap > 100
    assert found.rows >= dimension + 5


def test_softmax_table_takes_seconds() -> None:
    started = time.perf_counter()
    for widths, ranks, _ in SOFTMAX:
        precise_rank(SoftmaxAttentionConfig(widths=widths, ranks=ranks), seed=1)
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(("widths", "ranks", "tokens"), [
    ([2, 3, 2], [2, 2], 2), ([5, 4, 1], [2, 1], 2), ([4, 2, 4], [1, 2], 2), ([3, 3, 1, 4], [1, 3, 2], 2),
    ([3, 2], [2], 1),
])
def test_softmax_stacks_beyond_the_table_have_the_conjectured_dimension(widths: list[int], ranks: list[int], tokens: int
                                                                        ) -> None:
    model = SoftmaxAttentionConfig(widths=widths, ranks=ranks, tokens=tokens)
    closed, found = model.closed_form(), precise_rank(model, seed=0)
    assert closed is not None
    assert (found.rank, found.decided) == (closed.dimension, True)


def test_the_rank_depends_on_neither_seed_nor_digits() -> None:
    model = SoftmaxAttentionConfig(widths=[2, 2, 2], ranks=[1, 1])
    assert {precise_rank(model, seed, digits).rank for seed in range(4) for digits in (150, 300)} == {10}
    assert precise_rank(model, 3) == precise_rank(model, 3)


@pytest.mark.parametrize("model", [
    LightningAttentionConfig(widths=[3, 3, 3], ranks=[1, 2]),
    LightningAttentionConfig(widths=[3, 2], ranks=[2], tokens=1),
    MonomialMlpConfig(widths=[3, 5, 1], degree=4), MonomialMlpConfig(widths=[2, 2, 2, 1], degree=3),
])
def test_polynomial_networks_have_the_rank_modulo_primes(model: LightningAttentionConfig | MonomialMlpConfig) -> None:
    found = precise_rank(model, seed=0)
    assert (found.rank, found.decided) == (measure(model).dimension, True)


def test_zeros_of_a_deep_softmax_are_zeros() -> None:
    found = precise_rank(SoftmaxAttentionConfig(widths=[2, 2, 2, 2], ranks=[1, 1, 1]), seed=0)
    assert found.next < -40
    assert found.last > -20


def test_floats_find_too_large_a_rank() -> None:
    """Columns of tiny weights brought to one size, and the largest rank of many trials, in numbers of 15 digits."""
    model, found = SoftmaxAttentionConfig(widths=[2, 2, 2, 2], ranks=[1, 1, 1]), []
    for seed in range(60):
        jacobian = precise_jacobian(model, seed, digits=15, rows=30)
        floats = np.array([[float(entry) for entry in row] for row in jacobian])
        found.append(int(np.linalg.matrix_rank(floats / np.linalg.norm(floats, axis=1, keepdims=True))))
    assert max(found) == 14


def test_too_few_digits_leave_the_rank_undecided() -> None:
    found = precise_rank(SoftmaxAttentionConfig(widths=[3, 3, 3, 3], ranks=[2, 2, 2]), seed=0, digits=40)
    assert not found.decided


def test_a_drop_in_the_middle_is_no_decision() -> None:
    """Singular values of 1e-50 in numbers of 300 digits are no zeros, however wide the gap above them."""
    assert PreciseRank(3, -1, -148, 3, 300, 9, 9).decided
    assert not PreciseRank(3, -1, -50, 3, 300, 9, 9).decided
    assert not PreciseRank(3, -115, -149, 3, 300, 9, 9).decided
    assert PreciseRank(3, -1, -148, 3, 300, 9, 9).gap == 147 > GAP


def test_singular_values_of_known_matrices() -> None:
    field = Multiprecision(100)
    diagonal = field.array(np.diag([8, 4, 2]).astype(object))
    assert np.allclose(singular_logarithms(diagonal), [0, math.log10(1 / 2), math.log10(1 / 4)])
    wide = np.concatenate([diagonal, field.array(np.zeros((3, 2), dtype=object))], axis=1)
    assert np.allclose(singular_logarithms(wide), singular_logarithms(wide.T))
    generator = np.random.default_rng(1)
    whole = generator.integers(-9, 10, (4, 6))
    ordinary = np.linalg.svd(whole.astype(float), compute_uv=False)
    assert np.allclose(singular_logarithms(field.array(whole.astype(object))), np.log10(ordinary / ordinary[0]))
