from __future__ import annotations

import csv
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfrun.labs.neuromanifolds.monomial_mlp import (
    MonomialMlpDimension,
    jacobian,
    matrix_entries,
    monomial_mlp_dimension,
    random_weights,
)
from agfrun.labs.neuromanifolds.monomial_mlp_theory import Widths
from agfrun.labs.neuromanifolds.prime_field import PRIMES, IntArray, random_elements, rank

DATA = Path(__file__).parent / "data" / "monomial_mlp_dimensions.csv"
# Expected and ambient dimensions are given where the source of the table gives them.
TABLE: list[tuple[Widths, int, int, int | None, int | None]] = [
    ((2, 2, 1), 2, 3, 3, 0), ((2, 3, 1), 2, 3, None, None), ((3, 2, 1), 2, 5, 6, 1), ((3, 3, 1), 2, 6, None, None),
    ((2, 2, 2), 2, 6, None, None), ((2, 2, 2), 3, 6, 8, 0), ((3, 2, 2), 2, 8, 12, 0), ((3, 2, 2), 3, 8, 20, 0),
    ((3, 3, 2), 2, 12, 12, 0), ((2, 3, 2), 3, 8, None, None), ((2, 2, 1), 3, 4, None, None), ((2, 2, 1), 4, 4, 5, 0),
    ((3, 4, 1), 3, 10, 10, 0), ((3, 5, 1), 4, 14, 15, 1), ((4, 9, 1), 4, 34, 35, 1), ((5, 7, 1), 3, 34, 35, 1),
    ((5, 14, 1), 4, 69, 70, 1), ((2, 2, 2, 1), 2, 5, None, None), ((2, 2, 2, 1), 3, 6, 10, 0),
    ((2, 2, 2, 2), 2, 8, None, None), ((3, 2, 2, 2), 2, 10, 30, 0), ((3, 3, 3, 1), 2, 12, 15, 3),
    ((3, 3, 3, 3), 2, 21, 45, 0), ((3, 3, 2, 1), 3, 12, 55, 0), ((2, 1, 2, 1), 2, 2, 5, 1),
    ((4, 3, 2, 1), 2, 14, 35, 1), ((2, 2, 2, 2, 1), 2, 7, 9, 1), ((5, 4, 3, 1), 2, 25, 70, 3),
    ((3, 2, 3, 2), 2, 10, 30, 3), ((2, 3, 3, 2), 2, 10, 10, 0), ((2, 3, 4, 5, 4, 6, 4, 1), 2, 65, 65, 0),
]


@pytest.mark.parametrize(("widths", "degree", "dimension", "ambient", "defect"), TABLE)
def test_table(widths: Widths, degree: int, dimension: int, ambient: int | None, defect: int | None) -> None:
    measured = monomial_mlp_dimension(widths, degree)
    assert (measured.dimension, measured.proved, measured.unanimous) == (dimension, True, True)
    assert ambient is None or (measured.ambient, measured.defect) == (ambient, defect)


def rows_of_other_software(smallest: int, largest: int) -> list[tuple[Widths, int, int]]:
    with DATA.open(newline="") as file:
        rows = [(tuple(map(int, row["widths"].split())), int(row["degree"]), int(row["dimension"]))
                for row in csv.DictReader(file)]
    assert len(rows) == 400
    return [row for row in rows if smallest <= row[2] < largest]


@pytest.mark.parametrize(("smallest", "largest"), [
    (0, 200), pytest.param(200, 1000, marks=pytest.mark.slow), pytest.param(1000, 10_000, marks=pytest.mark.slow),
])
def test_dimensions_that_other_software_found(smallest: int, largest: int) -> None:
    for widths, degree, dimension in rows_of_other_software(smallest, largest):
        measured = monomial_mlp_dimension(widths, degree)
        assert (measured.widths, measured.dimension, measured.unanimous) == (widths, dimension, True)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 4), st.integers(1, 10**6))
def test_dimension_depends_on_neither_seed_nor_primes(widths: list[int], degree: int, seed: int) -> None:
    first = monomial_mlp_dimension(widths, degree)
    other = monomial_mlp_dimension(widths, degree, seed, PRIMES[:1:-1])
    assert first.ranks[0][0] != other.ranks[0][0]
    assert first.dimension == other.dimension


def test_same_arguments_give_the_same_result() -> None:
    assert monomial_mlp_dimension([2, 3, 3, 2], 3, seed=4) == monomial_mlp_dimension((2, 3, 3, 2), 3, seed=4)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=5), st.integers(2, 3), st.data())
def test_a_narrower_network_has_no_more_dimensions(widths: list[int], degree: int, data: st.DataObject) -> None:
    layer = data.draw(st.integers(0, len(widths) - 1))
    wider = [*widths[:layer], widths[layer] + 1, *widths[layer + 1:]]
    assert monomial_mlp_dimension(widths, degree).dimension <= monomial_mlp_dimension(wider, degree).dimension


def test_outputs_of_unequal_use_are_sampled_often_enough() -> None:
    # All outputs at dim / d_L inputs do not suffice: the outputs share one form of degree 16 with 17 coefficients.
    assert monomial_mlp_dimension((2, 10, 20, 20, 10, 1, 3), 2).dimension == 19


def test_two_primes_decide_where_theory_does_not() -> None:
    measured = monomial_mlp_dimension((2, 13, 15, 11, 4, 6, 5, 2), 2)
    assert measured.bound == 85
    assert not measured.proved
    assert measured.ranks == ((PRIMES[0], 84), (PRIMES[1], 84))
    assert measured.unanimous


def test_a_prime_that_loses_rank_is_outvoted() -> None:
    # The outputs have degree 64: modulo 67 there are too few values to tell the tangent vectors apart.
    measured = monomial_mlp_dimension((2, 13, 15, 11, 4, 6, 5, 2), 2, primes=(67, *PRIMES))
    assert measured.dimension == 84
    assert not measured.unanimous
    assert len(measured.ranks) == 3


def test_properties() -> None:
    measured = MonomialMlpDimension((3, 2, 1), 2, 5, 5, 6, 6, 8, ((PRIMES[0], 5),))
    assert measured == monomial_mlp_dimension((3, 2, 1), 2)
    assert (measured.defect, measured.fibre_dimension, measured.filling, measured.proved) == (1, 3, False, True)
    assert monomial_mlp_dimension((2, 3, 1), 2).filling


def test_size_of_the_matrix_is_known_before() -> None:
    assert matrix_entries((3, 2, 1), 2) == (5 + 5) * (8 - 2)
    assert matrix_entries([4000, 4000, 4000, 4000], 2) > 10**14


def test_degree_beyond_the_primes_is_refused() -> None:
    with pytest.raises(ValueError, match="is not below the prime"):
        monomial_mlp_dimension((2,) * 26, 2)
    with pytest.raises(ValueError, match="must be at least"):
        monomial_mlp_dimension((2, 0, 1), 2)


# Independent derivatives: dual numbers and expanded polynomials over the rationals.


class Dual(NamedTuple):
    """A number and its derivative by one weight."""

    value: Fraction
    slope: Fraction


def dual_outputs(weights: list[IntArray], inputs: IntArray, degree: int, moved: tuple[int, int, int]) -> list[Dual]:
    """Outputs at one input, with their derivatives by weight [row, column] of a layer, moved = (layer, row, column)."""
    signals = [Dual(Fraction(int(entry)), Fraction(0)) for entry in inputs]
    for i, weight in enumerate(weights):
        sums = [Dual(Fraction(0), Fraction(0))] * len(weight)
        for row, column in product(*map(range, weight.shape)):
            entry, signal = int(weight[row, column]), signals[column]
            extra = signal.value if (i, row, column) == moved else Fraction(0)
            sums[row] = Dual(sums[row].value + entry * signal.value, sums[row].slope + entry * signal.slope + extra)
        last = i == len(weights) - 1
        signals = sums if last else [Dual(z.value**degree, degree * z.value**(degree - 1) * z.slope) for z in sums]
    return signals


@pytest.mark.parametrize(("widths", "degree"), [((2, 3, 2, 2), 3), ((3, 2, 1), 2), ((2, 2, 2, 2, 1), 2), ((3, 2), 2)])
def test_jacobian_equals_exact_derivatives(widths: Widths, degree: int) -> None:
    generator = np.random.default_rng(5)
    weights = [generator.integers(-3, 4, (widths[i], widths[i - 1])) for i in range(1, len(widths))]
    inputs, outputs = generator.integers(-3, 4, (widths[0], 3)), generator.integers(-3, 4, (widths[-1], 3))
    prime = PRIMES[0]
    blocks = jacobian([weight % prime for weight in weights], inputs % prime, outputs % prime, degree, prime)
    for i, block in enumerate(blocks):
        assert block.shape == (*weights[i].shape, 3)
        for row, column, sample in product(*map(range, block.shape)):
            found = dual_outputs(weights, inputs[:, sample], degree, (i, row, column))
            exact = sum(int(u) * dual.slope for u, dual in zip(outputs[:, sample], found, strict=True))
            assert block[row, column, sample] == exact % prime


def rational_rank(rows: list[list[Fraction]]) -> int:
    found = 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            factor = rows[i][column] / rows[found][column]
            rows[i] = [entry - factor * top for entry, top in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


@pytest.mark.parametrize(("widths", "degree"), [((3, 2, 1), 2), ((2, 2, 2), 3), ((2, 2, 2, 1), 2), ((2, 3, 1), 3)])
def test_dimension_equals_a_rank_over_the_rationals(widths: Widths, degree: int) -> None:
    generator = np.random.default_rng(6)
    weights = [generator.integers(1, 50, (widths[i], widths[i - 1])) for i in range(1, len(widths))]
    samples = generator.integers(-9, 10, (widths[0], 14))
    places = [(i, *place) for i, weight in enumerate(weights) for place in np.ndindex(*weight.shape)]
    rows = [[dual.slope for sample in samples.T for dual in dual_outputs(weights, sample, degree, place)]
            for place in places]
    assert monomial_mlp_dimension(widths, degree).dimension == rational_rank(rows)


def test_rescaling_a_neuron_gives_a_vector_in_the_kernel() -> None:
    generator, prime, degree = np.random.default_rng(7), PRIMES[0], 3
    weights = random_weights((3, 4, 3, 2), prime, generator)
    inputs, outputs = random_elements(generator, (3, 20), prime), random_elements(generator, (2, 20), prime)
    blocks = jacobian(weights, inputs, outputs, degree, prime)
    for i, neuron in ((0, 3), (1, 2)):
        into = (weights[i][neuron, :, None] * blocks[i][neuron] % prime).sum(axis=0)
        out = (weights[i + 1][:, neuron, None] * blocks[i + 1][:, neuron] % prime).sum(axis=0)
        assert ((into - degree * out) % prime == 0).all()


def test_leaving_out_one_weight_per_neuron_and_compressing_keeps_the_rank() -> None:
    widths, degree, prime = (3, 5, 6, 4, 2), 2, PRIMES[1]
    measured = monomial_mlp_dimension(widths, degree)
    generator, samples = np.random.default_rng(8), measured.expected + 20
    blocks = jacobian(random_weights(widths, prime, generator), random_elements(generator, (3, samples), prime),
                      random_elements(generator, (2, samples), prime), degree, prime)
    assert rank(np.concatenate([block.reshape(-1, samples) for block in blocks]), prime) == measured.dimension
