"""Reducers against published means, against exact arithmetic, and what no reduction may change."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.lattices import (
    METHODS,
    determinant,
    exact_lll,
    is_lll_reduced,
    is_unimodular,
    log_defect,
    methods_of,
    reduce,
    same_lattice,
)
from agfrun.labs.lattices.bases import defects_of
from agfrun.labs.lattices.data.random_lattices import RandomLatticesConfig, uniform_bases
from agfrun.labs.lattices.names import DISTRIBUTIONS
from agfrun.labs.lattices.reducers import (
    Batch,
    best_of,
    greedy_batch,
    lll_batch,
    minima_of,
    product_rule,
    walk_batch,
)

# Mean log defects of fplll's LLL and BKZ, and of independent implementations of the others: dimension, seed 7, count.
MEANS = {
    (2, 500): {"raw": .6418, "lll_75": .0227, "lll_99": .0220, "hkz": .0220, "greedy": .0220, "seysen": .0220,
               "lll_greedy": .0220, "minima": .0220},
    (3, 200): {"raw": 1.4452, "lll_75": .0761, "lll_99": .0746, "hkz": .0746, "greedy": .0757, "seysen": .0742,
               "lll_greedy": .0744, "minima": .0737},
    (4, 500): {"raw": 1.8884, "lll_75": .1759, "lll_99": .1706, "hkz": .1707, "greedy": .1742, "seysen": .1721,
               "lll_greedy": .1692, "seysen_greedy": .1688, "seysen_support": .1684, "product": .1684, "minima": .1684},
    (6, 500): {"raw": 3.0725, "lll_75": .4994, "lll_99": .4806, "hkz": .4805, "greedy": .5478, "seysen": .4862,
               "lll_greedy": .4711, "seysen_greedy": .4688, "seysen_support": .4649, "product": .4646},
    (8, 500): {"lll_99": .9604, "greedy": 1.2234, "seysen": .9806, "lll_greedy": .9379, "seysen_greedy": .9333,
               "seysen_support": .9219, "product": .9264},
}
# What a policy has to reach by one draw.
LEARNED = {4: .169, 6: .465, 8: .915}
ALL = methods_of()


def reduced(method: str, bases: np.ndarray, seed: int = 0) -> Batch:
    batch = Batch.of(bases)
    ALL[method](batch, np.random.default_rng(seed))
    return batch


@pytest.mark.parametrize(("dimension", "count"), MEANS)
def test_means_are_those_of_other_implementations(dimension: int, count: int) -> None:
    bases = uniform_bases(dimension, count, 7)
    found = {method: float(reduced(method, bases).defects.mean()) for method in MEANS[dimension, count]}
    assert found == pytest.approx(MEANS[dimension, count], abs=1e-3)


@pytest.mark.parametrize("dimension", LEARNED)
def test_one_learned_draw(dimension: int) -> None:
    bases = uniform_bases(dimension, 500, 7)
    assert reduced("learned", bases, 1).defects.mean() <= LEARNED[dimension]


def test_drawn_methods() -> None:
    """Of the first 200 lattices in 6 dimensions; the last digit depends on the seed."""
    bases = uniform_bases(6, 500, 7)[:200]
    for draws, mean in ((8, .4705), (32, .4646)):
        batch = Batch.of(bases)
        best_of(partial(greedy_batch, temperature=1.0), draws)(batch, np.random.default_rng(1))
        assert batch.defects.mean() == pytest.approx(mean, abs=0.004)


def test_the_optimum_of_three_dimensions_by_brute_force() -> None:
    bases = uniform_bases(3, 12, 3)
    batch = reduced("minima", bases)
    vectors = np.array([v for v in itertools.product(range(-3, 4), repeat=3) if v > (0, 0, 0)])
    triples = np.array(list(itertools.combinations(range(len(vectors)), 3)))
    unimodular = triples[np.abs(np.linalg.det(vectors[triples].astype(float)).round()) == 1]
    for basis, defect in zip(reduced("lll_99", bases).reduced, batch.defects, strict=True):
        lengths = np.log(np.linalg.norm(vectors @ basis, axis=1))
        least = lengths[unimodular].sum(1).min() - np.linalg.slogdet(basis)[1]
        assert defect == pytest.approx(least, abs=1e-9)


def test_minima_are_a_bound_that_nothing_undercuts() -> None:
    bases = uniform_bases(7, 60, 5)
    batch = reduced("hkz", bases)
    bounds = minima_of(batch)
    assert batch.found.all()
    assert batch.defects == pytest.approx(bounds, abs=1e-9)
    for method in METHODS:
        assert (reduced(method, bases).defects >= bounds - 1e-9).all(), method


@pytest.mark.parametrize("delta", [0.75, 0.99])
def test_lll_in_floats_is_that_of_integers(delta: float) -> None:
    bases = uniform_bases(7, 25, 11)
    batch = Batch.of(bases)
    lll_batch(batch, np.random.default_rng(0), delta)
    for basis, found in zip(bases.astype(int).tolist(), batch.reduced.astype(int), strict=True):
        assert is_lll_reduced(found, delta)
        exact, transform = exact_lll(basis, delta)
        assert is_lll_reduced(exact, delta, 0.5)
        assert is_unimodular(transform)
        assert (np.array(transform) @ np.array(basis)).tolist() == exact
        assert log_defect(exact) == pytest.approx(log_defect(found), abs=0.2)


def test_exact_lll_takes_integers_of_any_size() -> None:
    big = 10**40
    basis = [[big + 7, 3, 0], [5, big - 9, 11], [big, big, big + 1]]
    found, transform = exact_lll(basis)
    assert is_unimodular(transform)
    assert is_lll_reduced(found, 0.99)
    assert abs(determinant(found)) == abs(determinant(basis))


def test_hkz_has_shortest_vectors_first() -> None:
    bases = RandomLatticesConfig(distribution="qary", dimension=6, count=15, seed=2).build()
    minima = reduced("minima", bases)
    for basis, other in zip(reduced("hkz", bases).reduced, minima.reduced, strict=True):
        assert np.linalg.norm(basis[0]) == pytest.approx(np.linalg.norm(other, axis=1).min())


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_method_keeps_the_lattice(distribution: str) -> None:
    bases = RandomLatticesConfig(distribution=distribution, dimension=6, count=4, seed=1).build()
    for method in METHODS:
        batch = reduced(method, bases)
        for basis, transform in zip(bases.astype(int), batch.transforms, strict=True):
            assert is_unimodular(transform), method
            assert same_lattice(basis, (transform.astype(object) @ basis.astype(object)).tolist()), method
        assert (batch.defects <= defects_of(bases) + 1e-9).all(), method
        assert (batch.defects >= 0).all()


@given(st.integers(0, 10**6), st.integers(2, 6))
@settings(max_examples=15, deadline=None)
def test_walks_do_not_depend_on_the_order_and_signs_of_vectors(seed: int, dimension: int) -> None:
    generator = np.random.default_rng(seed)
    bases = generator.normal(size=(4, dimension, dimension))
    signed = np.eye(dimension)[generator.permutation(dimension)] * generator.choice([-1.0, 1.0], (dimension, 1))
    turned = np.linalg.qr(generator.normal(size=(dimension, dimension)))[0]
    found = []
    for one in (bases, signed @ bases, bases @ turned, 2.5 * bases):
        batch = Batch.of(np.ascontiguousarray(one))
        walk_batch(batch, generator, product_rule(), 0.0, 8, 12)
        found.append(batch.defects)
    assert np.ptp(found, axis=0).max() < 1e-9


def test_orthogonal_bases_stay_as_they_are() -> None:
    generator = np.random.default_rng(0)
    bases = np.stack([np.linalg.qr(generator.normal(size=(5, 5)))[0] * s for s in (0.1, 1, 30)])
    for method in METHODS:
        assert reduced(method, bases).defects == pytest.approx(0, abs=1e-9), method


def test_traces_are_the_best_so_far_and_end_where_the_batch_is() -> None:
    bases = uniform_bases(5, 30, 1)
    for method in ("greedy", "seysen", "lll_99", "product"):
        batch = Batch.of(bases, 40)
        ALL[method](batch, np.random.default_rng(0))
        assert batch.trace is not None
        assert batch.trace[:, 0] == pytest.approx(defects_of(bases))
        assert batch.trace[:, -1] == pytest.approx(batch.defects), method
        if method == "product":
            assert (np.diff(batch.trace, axis=1) <= 0).all()
            steps = np.argmax(batch.trace < batch.trace[:, -1:] + 1e-9, axis=1)
            assert (steps == batch.at).all()


def test_traces_of_another_length_are_refused() -> None:
    for method in ("product", "beam"):
        with pytest.raises(ValueError, match="a trace of 7 moves is none of 28"):
            ALL[method](Batch.of(uniform_bases(4, 2, 0), 7), np.random.default_rng(0))


def test_a_basis_made_long_reaches_nearly_the_same() -> None:
    bases = uniform_bases(6, 100, 9)
    generator = np.random.default_rng(0)
    longer = bases.copy()
    for _ in range(30):
        i, j = generator.choice(6, 2, replace=False)
        longer[:, j] += generator.choice([-1, 1]) * longer[:, i]
    for method, gap in (("learned", 0.002), ("product_sampled", 0.004), ("seysen_support", 0.02)):
        assert abs(reduced(method, longer).defects.mean() - reduced(method, bases).defects.mean()) < gap


def test_columns_are_reduced_from_the_other_side() -> None:
    basis = uniform_bases(4, 1, 3)[0].astype(int)
    rows, columns = reduce(basis), reduce(basis.T, vectors="columns")
    assert (columns.basis == rows.basis.T).all()
    assert (basis.T @ columns.transform == columns.basis).all()
    assert (rows.transform @ basis == rows.basis).all()
    assert log_defect(columns, "columns") == pytest.approx(log_defect(rows))
