"""Complex critical points: tables of known counts, counted by Groebner bases and by closed forms."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise, product
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscapes import SOLVER, WITHOUT, attention, cnn, count, generic, linear, mlp

from agfrun.labs.neuromanifolds import NetworkConfig
from agfrun.labs.neuromanifolds.arithmetic.rational import matrix_product
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.counting import (
    BOMBIERI,
    DEGREE,
    GENERIC,
    IDENTITY,
    INFINITE,
    SAMPLES,
    UNFINISHED,
    count_functions,
    counted,
    preimages,
)
from agfrun.labs.neuromanifolds.landscape.staircase import standard_monomials
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.networks.determinantal import polar_degrees, symmetric_polar_degrees
from agfrun.labs.neuromanifolds.networks.segre_veronese import critical_points, degree

solver = pytest.mark.skipif(not SOLVER, reason=WITHOUT)

COUNTED = [
    (cnn([2, 2]), 4, 14), (cnn([2, 2], 3), 6, 22), (cnn([2, 3]), 6, 22), (cnn([3, 2]), 12, 79),
    (cnn([3, 2], 3), 27, 210), (cnn([3, 3]), 24, 219), (cnn([2, 2], 2, [2, 1]), 4, 14), (cnn([1, 3]), 1, 1),
    (mlp([2, 1, 1], 2), 2, 4), (mlp([2, 1, 1], 3), 3, 7), (mlp([3, 1, 1], 2), 4, 13), (mlp([2, 1, 2], 2), 4, 14),
    (mlp([2, 2, 1], 4), 3, 13), (mlp([2, 2, 1], 5), 6, 34), (mlp([3, 2, 1], 2), 3, 13), (mlp([2, 2, 1], 2), 1, 1),
    (linear([2, 1, 2]), 2, 6), (linear([2, 1, 3]), 3, 10), (linear([3, 1, 3]), 6, 39), (linear([3, 2, 3]), 3, 39),
    (linear([3, 2, 2]), 1, 1), (linear([2, 3, 2]), 1, 1), (attention([2, 1], 2), 4, 14)]
LONG = [(cnn([2, 2, 2]), 48, 404), (attention([2, 2], 2), 20, 284), (attention([2, 2], 1), 20, 196),
        (mlp([2, 2, 2], 3), 6, 83), (generic([2, 2, 1], [0, 1, 1]), 3, 39)]


@solver
@pytest.mark.parametrize(("network", "of_variety", "points"), [
    *COUNTED, *(pytest.param(*row, marks=pytest.mark.slow) for row in LONG)],
    ids=lambda value: f"{value.name} {value.architecture()} {getattr(value, 'degree', '')}" if isinstance(
        value, NetworkConfig) else str(value))
def test_degree_and_generic_count(network: NetworkConfig, of_variety: int, points: int) -> None:
    assert count(network, DEGREE) == of_variety
    assert count(network, GENERIC) == points
    known = network.invariants()
    assert known.degree is None or known.degree.value == of_variety
    assert known.critical_points is None or known.critical_points.value == points


@solver
@pytest.mark.parametrize(("network", "known"), [
    (cnn([3, 2]), 1), (cnn([2, 2], 3), 1), (linear([3, 2, 3]), 1), (attention([2, 2], 2), 1),
    (mlp([2, 2, 1], 4), factorial(2)), (mlp([3, 2, 1], 3), factorial(2)), (mlp([2, 3, 1], 6), factorial(3))])
def test_complex_preimages_are_those_of_permutations(network: NetworkConfig, known: int) -> None:
    """Of identifiable networks: convolutions have none but rescalings, H neurons of one layer H! orders."""
    assert preimages(network, measure(network, 0).dimension, 0, 100.0) == known


def test_preimages_that_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    squares, small = mlp([2, 2, 1], 2), cnn([2, 2])
    assert preimages(squares, 3, 0, 100.0) is None  # a rotation is left, which no chart takes away
    assert preimages(small, 3, 0, 0.0) is None
    assert preimages(cnn([9, 9]), 17, 0, 100.0) is None
    monkeypatch.setattr(counting, "executable", lambda: None)
    assert preimages(small, 3, 0, 100.0) is None


@solver
@pytest.mark.parametrize(("network", "identity", "bombieri"), [
    (cnn([2, 2], 2, [2, 1]), 6, 4), (cnn([2, 2]), 14, 14), (cnn([2, 3]), 22, 20), (cnn([3, 2]), 71, 43),
    pytest.param(cnn([3, 3]), 219, 203, marks=pytest.mark.slow), (linear([2, 1, 2]), 2, 2), (linear([3, 2, 3]), 3, 3)])
def test_special_inner_products_are_not_generic(network: NetworkConfig, identity: int, bombieri: int) -> None:
    assert (count(network, IDENTITY), count(network, BOMBIERI)) == (identity, bombieri)


@solver
@pytest.mark.parametrize(("network", "samples", "found"), [
    (cnn([2, 2]), 1, INFINITE), (cnn([2, 2]), 2, INFINITE), (cnn([2, 2]), 3, 14), (cnn([2, 2]), 4, 14),
    (cnn([3, 2]), 3, INFINITE), (cnn([3, 2]), 4, 79), (cnn([3, 3]), 4, INFINITE), (cnn([3, 3]), 5, 219)])
def test_as_many_samples_as_dimensions(network: NetworkConfig, samples: int, found: int | str) -> None:
    assert count(network, SAMPLES, samples) == found


@solver
def test_counts_do_not_depend_on_the_seed_and_the_time_limit_is_kept() -> None:
    assert [count(cnn([2, 2]), GENERIC, seed=seed) for seed in range(4)] == [14] * 4
    late = count_functions(cnn([2, 2, 2]), 4, GENERIC, None, 0, 1e-3)
    assert (late.verdict, late.count, late.expected) == (UNFINISHED, None, 404)


def test_solutions_that_functions_do_not_share_evenly_are_no_count() -> None:
    assert counted(GENERIC, None, lambda: 26, 2, None).count == 13
    odd = counted(GENERIC, None, lambda: 27, 2, None)
    assert (odd.count, odd.solutions) == (None, 27)
    assert "not shared out" in odd.note


@pytest.mark.parametrize(("filters", "power", "of_variety", "points"), [
    ([2, 2], 4, 8, 30), ([2, 2, 2], 3, 162, 1486), ([3, 2, 2], 2, 384, 6778), ([4, 3], 3, 270, 5801),
    ([2, 2, 2, 2], 2, 1536, 29592), ([3, 3, 3], 2, 5760, 287505), ([3, 4, 2], 2, 7680, 427124),
    ([3, 1, 2], 2, 48, 403)])
def test_closed_forms_of_larger_convolutions(filters: list[int], power: int, of_variety: int, points: int) -> None:
    known = cnn(filters, power).invariants()
    assert known.degree is not None
    assert known.critical_points is not None
    assert (known.degree.value, known.critical_points.value) == (of_variety, points)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 3), (3, 4), (4, 4), (3, 6)])
def test_polar_degrees_of_rank_one_are_those_of_segre_varieties(shape: tuple[int, int]) -> None:
    polar = polar_degrees(*shape, 1)
    assert polar is not None
    assert (polar[0], sum(polar)) == (degree(shape, (1, 1)), critical_points(shape, (1, 1)))


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_symmetric_rank_one_is_the_veronese_variety(size: int) -> None:
    polar = symmetric_polar_degrees(size, 1)
    assert polar is not None
    assert (polar[0], sum(polar)) == (degree((size,), (2,)), critical_points((size,), (2,)))


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(2, 5), st.data())
def test_dual_varieties_have_the_same_polar_degrees_in_reverse(rows: int, columns: int, data: st.DataObject) -> None:
    """Matrices of rank at most r and of corank at least r are dual; the degree is a product of binomials."""
    rank = data.draw(st.integers(1, min(rows, columns) - 1))
    polar, dual = polar_degrees(rows, columns, rank), polar_degrees(rows, columns, min(rows, columns) - rank)
    assert polar is not None
    assert dual is not None
    assert [one for one in polar if one] == [one for one in reversed(dual) if one]
    below, above = sorted((rows, columns))
    expected = np.prod([comb(above + i, rank) / comb(rank + i, rank) for i in range(below - rank)])
    assert polar[0] == pytest.approx(expected, rel=1e-12)


def test_degree_of_symmetric_matrices_is_harris_and_tus() -> None:
    for size in range(2, 6):
        for rank in range(1, size):
            polar = symmetric_polar_degrees(size, rank)
            assert polar is not None
            harris_tu = np.prod([comb(size + a, size - rank - a) / comb(2 * a + 1, a) for a in range(size - rank)])
            assert polar[0] == pytest.approx(harris_tu, rel=1e-12)
    assert sum(polar_degrees(4, 4, 2) or ()) == 1350
    assert polar_degrees(60, 60, 30) is None


@settings(max_examples=50)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.lists(st.lists(st.integers(0, 4), min_size=4,
                                                                          max_size=4), max_size=4))
def test_standard_monomials_are_those_of_a_box_that_nothing_divides(sides: list[int], more: list[list[int]]) -> None:
    variables = len(sides)
    leading = [tuple(side if i == j else 0 for j in range(variables)) for i, side in enumerate(sides)]
    leading += [tuple(row[:variables]) for row in more if any(row[:variables])]
    free = [place for place in product(*(range(side) for side in sides))
            if not any(all(a <= b for a, b in zip(one, place, strict=True)) for one in leading)]
    assert standard_monomials(leading) == len(free)
    bounded = any(one[0] and not any(one[1:]) for one in leading[1:])
    rest = standard_monomials(leading[1:] or [(0,) * variables])
    assert (rest is None) != (bounded or variables == len(leading) == 1)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.data())
def test_exact_products_are_those_of_fractions(sizes: list[int], data: st.DataObject) -> None:
    numbers = st.one_of(st.fractions(), st.integers(-2**80, 2**80))
    matrices = [np.array(data.draw(st.lists(numbers, min_size=a * b, max_size=a * b)), dtype=object).reshape(a, b)
                for a, b in pairwise(sizes)]
    assert (matrix_product(*matrices) == reduce(np.dot, matrices)).all()


def test_standard_monomials_of_no_and_of_many_solutions() -> None:
    assert standard_monomials([(0, 0)]) == 0
    assert standard_monomials([(9, 0), (0, 9)], most=50) is None
    simplex = [one for one in product(range(7), repeat=3) if sum(one) == 6]
    assert standard_monomials(simplex) == factorial(8) // (factorial(5) * 6)
