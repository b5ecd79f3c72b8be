"""Dimensions of attention stacks against a table, measured ranks, and independent counts."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, rank
from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.networks.attention import theory
from agfrun.labs.neuromanifolds.networks.attention.heads import Sizes
from agfrun.labs.neuromanifolds.networks.attention.network import LightningAttentionConfig, SoftmaxAttentionConfig

# Widths, ranks, dimension with two tokens or more, and with one where the source of the table gives it.
TABLE: list[tuple[list[int], list[int], int, int | None]] = [
    ([2, 2], [1], 6, 6), ([2, 2], [2], 7, 6), ([3, 2], [1], 10, 10), ([3, 3], [2], 16, 14), ([3, 1], [2], 10, 8),
    ([4, 3], [2], 23, 21), ([3, 3], [5], 17, 14), ([2, 1], [1], 4, 4), ([2, 2, 2], [1, 1], 8, 8),
    ([2, 2, 2], [2, 2], 10, 8), ([3, 3, 3], [1, 1], 17, 17), ([3, 3, 3], [2, 2], 23, 19), ([3, 2, 2], [2, 1], 15, 13),
    ([3, 2, 3], [2, 2], 18, 15), ([2, 3, 2], [2, 2], 10, 8), ([2, 2, 2, 2], [1, 1, 1], 10, 10),
    ([3, 3, 3, 3], [2, 2, 2], 30, 24), ([4, 3, 2, 2], [2, 2, 1], 29, 25), ([4, 3, 2], [1, 1], 19, 19),
    ([4, 3, 1, 1], [1, 1, 1], 16, 16), ([4, 4, 4, 4], [2, 2, 2], 49, 43), ([3, 1, 2], [2, 1], 11, 9),
    ([5, 4, 1], [2, 1], 28, 26), ([3, 3, 3], [1, 2], 18, None), ([4, 3, 1], [1, 2], 17, None),
    ([4, 2, 4], [1, 2], 20, None), ([3, 3, 1, 4], [1, 3, 2], 15, None), ([2, 4, 2, 3], [1, 1, 3], 12, None),
]
SOFTMAX: list[tuple[list[int], list[int], int]] = [
    ([2, 2], [1], 7), ([2, 2], [2], 8), ([3, 3], [2], 17), ([3, 2], [1], 11), ([4, 3], [2], 24),
    ([2, 2, 2], [1, 1], 10), ([3, 3, 3], [2, 2], 25), ([3, 2, 2], [2, 1], 17), ([3, 3, 3, 3], [2, 2, 2], 33),
    ([2, 2, 2, 2], [1, 1, 1], 13), ([3, 3, 3], [1, 2], 22),
]


def network(widths: list[int], ranks: list[int], tokens: int) -> LightningAttentionConfig:
    made = LightningAttentionConfig(widths=widths, ranks=ranks, tokens=tokens)
    made.check()
    return made


def random_networks(count: int, seed: int) -> list[LightningAttentionConfig]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        layers = int(generator.integers(1, 4))
        widths = [int(width) for width in generator.integers(1, 5, layers + 1)]
        ranks = [int(rank) for rank in generator.integers(1, 4, layers)]
        found.append(network(widths, ranks, int(generator.integers(1, 4))))
    return found


@pytest.mark.parametrize(("widths", "ranks", "dimension", "single"), TABLE)
def test_table(widths: list[int], ranks: list[int], dimension: int, single: int | None) -> None:
    for tokens, known in ((2, dimension), (3, dimension), (1, single)):
        if known is None:
            continue
        model = network(widths, ranks, tokens)
        closed, found = model.closed_form(), measure(model, at_least=2)
        assert closed is not None
        assert (found.dimension, closed.dimension, found.unanimous) == (known, known, True)


def test_a_hundred_random_stacks_agree_with_the_closed_form_in_seconds() -> None:
    started = time.perf_counter()
    for model in random_networks(100, seed=2):
        closed = model.closed_form()
        assert closed is not None
        assert (model.architecture(), measure(model).dimension) == (model.architecture(), closed.dimension)
    # The target is 10 s of one core; a busy machine takes longer.
    assert time.perf_counter() - started < 40


def test_random_stacks_meet_the_corrected_cases() -> None:
    models = random_networks(100, seed=2)
    corrected = sum(any(theory.symmetric_layers(model.sizes)) and model.tokens > 1 for model in models)
    grown = sum(any(before < after for before, after in pairwise(model.widths[:-1])) for model in models)
    assert min(corrected, grown, sum(model.tokens == 1 for model in models)) >= 20


@pytest.mark.parametrize(("widths", "ranks", "tokens"), [
    ([5, 4, 1], [2, 1], 3), ([6, 5, 1], [2, 1], 2), ([6, 5, 2], [1, 1], 2), ([5, 5, 1, 3], [2, 1, 2], 2),
    ([5, 5, 5, 1], [3, 1, 1], 2), ([6, 6, 2], [5, 1], 1), ([5, 6, 1], [1, 1], 2), ([5, 5, 5, 1], [1, 1, 1], 2),
])
def test_starved_stacks(widths: list[int], ranks: list[int], tokens: int) -> None:
    model = network(widths, ranks, tokens)
    closed = model.closed_form()
    assert theory.starved(model.sizes)
    assert closed is not None
    assert (closed.dimension, closed.proved) == (measure(model).dimension, False)
    symmetric = theory.symmetric_layers(model.sizes)
    assert closed.dimension <= theory.virtual_dimension(model.sizes, symmetric) - len(ranks)


def test_corrections_are_needed() -> None:
    """Without them the formula is too large; `virtual_dimension` counts with the ones it is given."""
    for widths, ranks, wrong, right in (([4, 2, 4], [1, 2], 21, 20), ([3, 3, 2, 2], [1, 2, 1], 19, 17)):
        sizes = network(widths, ranks, 2).sizes
        assert theory.virtual_dimension(sizes, (False,) * sizes.depth) - sizes.depth == wrong
        assert theory.virtual_dimension(sizes, theory.symmetric_layers(sizes)) - sizes.depth == right
        assert measure(network(widths, ranks, 2)).dimension == right
    sizes = network([5, 4, 1], [2, 1], 2).sizes
    assert theory.starved(sizes)
    assert theory.virtual_dimension(sizes, (False, False)) - 2 == 29


def test_the_count_of_virtual_weights_is_their_rank_unless_starved() -> None:
    checked = 0
    for model in random_networks(60, seed=5):
        symmetric = theory.symmetric_layers(model.sizes)
        counted, found = theory.virtual_dimension(model.sizes, symmetric), theory.virtual_rank(model.sizes, symmetric)
        assert found <= counted
        if not theory.starved(model.sizes):
            checked += 1
            assert found == counted
    assert checked > 40


@pytest.mark.parametrize(("widths", "ranks"), [
    ([4, 3, 3, 2], [2, 3, 2]), ([5, 5, 2], [3, 2]), ([4, 4, 7], [5, 2]), ([3, 2], [2]),
])
def test_bottleneck_formula(widths: list[int], ranks: list[int]) -> None:
    alphas = [min(a, d) for a, d in zip(ranks, widths, strict=False)]
    heads = sum(a * (2 * d - a) for a, d in zip(alphas, widths, strict=False))
    stacked = sum(before * after for before, after in pairwise(widths)) - sum(d * d for d in widths[1:-1])
    closed = network(widths, ranks, 2).closed_form()
    assert closed is not None
    assert (closed.dimension, closed.proved) == (heads + stacked - len(ranks), True)


def test_theorems_are_told_from_what_was_derived() -> None:
    proved = [([3, 2], [1], 2), ([3, 2], [2], 1), ([4, 3, 3], [2, 2], 2)]
    derived = [([3, 4, 2], [2, 2], 2), ([4, 3, 3], [2, 2], 1), ([4, 3, 3], [1, 2], 2), ([5, 4, 1], [2, 1], 2)]
    for cases, expected in ((proved, True), (derived, False)):
        for case in cases:
            closed = network(*case).closed_form()
            assert closed is not None
            assert closed.proved == expected
            assert closed.standing == ("theorem" if expected else "ours")


@pytest.mark.parametrize(("widths", "ranks", "dimension"), SOFTMAX)
def test_softmax_closed_form(widths: list[int], ranks: list[int], dimension: int) -> None:
    closed = SoftmaxAttentionConfig(widths=widths, ranks=ranks).closed_form()
    assert closed is not None
    assert (closed.dimension, closed.proved) == (dimension, len(ranks) == 1)
    assert closed.proved or "Conjecture" in closed.source


def test_softmax_of_one_token_is_a_product_of_matrices() -> None:
    closed = SoftmaxAttentionConfig(widths=[4, 2, 3], ranks=[1, 2], tokens=1).closed_form()
    assert closed is not None
    assert (closed.dimension, closed.proved) == (2 * (4 + 3 - 2), True)


def test_orbit_dimension_is_the_rank_of_the_generators() -> None:
    """Where widths never grow it is counted, otherwise taken as a rank: both against the rank at other weights."""
    grew = 0
    for model in random_networks(60, seed=7):
        field, generator = PrimeField(PRIMES[1]), np.random.default_rng(1)
        weights = random_weights(model, field, generator)
        for scaled in (True, False):
            found = theory.orbit_dimension(model.sizes, scaled)
            assert found == orbit_rank(model.sizes, scaled, weights, field)
        grew += any(before < after for before, after in pairwise(model.widths[:-1]))
    assert grew > 5


def orbit_rank(sizes: Sizes, scaled: bool, weights: dict[str, np.ndarray], field: PrimeField) -> int:
    """Velocities by plain matrix products for every matrix unit of each Lie algebra."""
    rows = []

    def add(moves: dict[str, np.ndarray]) -> None:
        rows.append(np.concatenate([(moves[name] if name in moves else 0 * entries).reshape(-1) % field.prime
                                    for name, entries in weights.items()]))

    for i, a in enumerate(sizes.ranks, 1):
        q, k, v = (weights[f"{name}_{i}"] for name in ("query", "key", "value"))
        for unit in np.eye(a * a, dtype=np.int64).reshape(-1, a, a):
            add({f"query_{i}": unit @ q, f"key_{i}": -unit.T @ k})
        if scaled:
            add({f"query_{i}": q, f"value_{i}": -v})
        if i < sizes.depth:
            d = sizes.widths[i]
            for unit in np.eye(d * d, dtype=np.int64).reshape(-1, d, d):
                after = {f"{name}_{i + 1}": -weights[f"{name}_{i + 1}"] @ unit for name in ("query", "key", "value")}
                add({f"value_{i}": unit @ v} | after)
    return rank(np.stack(rows), field.prime)


def test_large_stacks_are_counted_without_a_rank() -> None:
    started = time.perf_counter()
    model = network([512, 4096, 512], [64, 64], 2)
    counts = model.counts()
    assert counts.bound > counts.parameters / 2
    assert counts.memory > 1e12
    assert model.closed_form() is not None
    starving = network([512, 512, 1], [8, 8], 2)
    assert starving.closed_form() is None
    assert "weights" in starving.why_no_closed_form()
    assert time.perf_counter() - started < 5


def test_ambient_dimension_counts_monomials() -> None:
    """Forms of degree 3 in 4 entries: 20 monomials, for 2 outputs of 2 tokens; and no function lies outside."""
    assert theory.ambient_dimension(Sizes((2, 2), (1,), 2)) == 4 * 20
    model = network([1, 2], [1], 2)
    assert model.ambient() == 2 * 2 * 4
    field, generator = PrimeField(PRIMES[0]), np.random.default_rng(3)
    drawn = Evaluations.draw(model, field, generator, 30)
    values = np.stack([drawn.values(random_weights(model, field, generator)) for _ in range(30)])
    assert rank(values, field.prime) <= 16


@pytest.mark.parametrize(("size", "outputs", "degree", "critical"), [(2, 1, 4, 14), (2, 2, 20, 284)])
def test_invariants(size: int, outputs: int, degree: int, critical: int) -> None:
    found = network([size, outputs], [size], 2).invariants()
    assert found.degree is not None
    assert found.critical_points is not None
    assert (found.degree.value, found.critical_points.value) == (degree, critical)
    assert (found.degree.proved, found.critical_points.proved) == (True, False)


def test_no_invariants_where_none_are_known() -> None:
    for model in (network([3, 2], [2], 2), network([2, 1], [2], 1), network([1, 2], [1], 2),
                  network([2, 2, 2], [2, 2], 2)):
        assert model.invariants().degree is None


def test_sizes_in_short() -> None:
    assert LightningAttentionConfig(widths=[4, 3, 2], ranks=[2, 1]).architecture() == "4-3-2 a=2,1 t=2"
    assert LightningAttentionConfig().weight_shapes() == {"query_1": (1, 3), "key_1": (1, 3), "value_1": (2, 3)}
    assert SoftmaxAttentionConfig.polynomial is False
