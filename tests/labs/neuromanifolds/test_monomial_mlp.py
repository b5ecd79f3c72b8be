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
from polynomial_networks import TABLE, measured

from agfrun.labs.neuromanifolds import (
    PRIMES,
    Counts,
    Evaluations,
    Measurement,
    ModularRank,
    MonomialMlpConfig,
    PrimeField,
    dimension,
    random_weights,
    rank,
)
from agfrun.labs.neuromanifolds.arithmetic.prime_field import IntArray
from agfrun.labs.neuromanifolds.networks.mlp.theory import Widths

DATA = Path(__file__).parent / "data" / "monomial_mlp_dimensions.csv"


@pytest.mark.parametrize(("widths", "degree", "dimension", "ambient", "defect"), TABLE)
def test_table(widths: Widths, degree: int, dimension: int, ambient: int | None, defect: int | None) -> None:
    found = measured(widths, degree, at_least=2)
    assert (found.dimension, found.proved, found.unanimous) == (dimension, True, True)
    assert ambient is None or (found.counts.ambient, found.defect) == (ambient, defect)


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
    for widths, degree, known in rows_of_other_software(smallest, largest):
        found = measured(widths, degree)
        assert (widths, found.dimension, found.unanimous) == (widths, known, True)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 4), st.integers(1, 10**6))
def test_dimension_depends_on_neither_seed_nor_primes(widths: list[int], degree: int, seed: int) -> None:
    first = measured(widths, degree)
    other = measured(widths, degree, seed, PRIMES[:1:-1])
    assert first.ranks[0].prime != other.ranks[0].prime
    assert first.dimension == other.dimension


def test_same_arguments_give_the_same_result() -> None:
    assert measured([2, 3, 3, 2], 3, seed=4) == measured((2, 3, 3, 2), 3, seed=4)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=5), st.integers(2, 3), st.data())
def test_a_narrower_network_has_no_more_dimensions(widths: list[int], degree: int, data: st.DataObject) -> None:
    layer = data.draw(st.integers(0, len(widths) - 1))
    wider = [*widths[:layer], widths[layer] + 1, *widths[layer + 1:]]
    assert measured(widths, degree).dimension <= measured(wider, degree).dimension


def test_outputs_of_unequal_use_are_sampled_often_enough() -> None:
    # All outputs at dim / d_L inputs do not suffice: the outputs share one form of degree 16 with 17 coefficients.
    assert measured((2, 10, 20, 20, 10, 1, 3), 2).dimension == 19


def values(found: Measurement) -> list[tuple[int, int]]:
    return [(one.prime, one.rank) for one in found.ranks]


def test_two_primes_decide_where_theory_does_not() -> None:
    found = measured((2, 13, 15, 11, 4, 6, 5, 2), 2)
    assert found.counts.bound == 85
    assert not found.proved
    assert values(found) == [(PRIMES[0], 84), (PRIMES[1], 84)]
    assert [one.compression for one in found.ranks] == ["sparse", "dense"]
    assert found.unanimous


def test_a_prime_that_loses_rank_is_outvoted() -> None:
    # The outputs have degree 64: modulo 67 there are too few values to tell the tangent vectors apart.
    found = measured((2, 13, 15, 11, 4, 6, 5, 2), 2, primes=(67, *PRIMES))
    assert found.dimension == 84
    assert not found.unanimous
    assert len(found.ranks) == 3


def test_more_primes_are_taken_where_they_are_asked_for() -> None:
    assert values(measured((3, 2, 1), 2)) == [(PRIMES[0], 5)]
    assert values(measured((3, 2, 1), 2, at_least=3)) == [(prime, 5) for prime in PRIMES[:3]]


def test_a_rank_depends_on_its_prime_and_the_seed_alone() -> None:
    together = measured((2, 13, 15, 11, 4, 6, 5, 2), 2, seed=3).ranks
    assert measured((2, 13, 15, 11, 4, 6, 5, 2), 2, seed=3, primes=PRIMES[1:]).ranks[0].prime == together[1].prime
    assert measured((3, 3, 2), 2, seed=3, primes=PRIMES[1:]).ranks == measured((3, 3, 2), 2, 3, at_least=2).ranks[1:]


def test_properties() -> None:
    found = Measurement(Counts(8, 2, 2, 6, 5), (ModularRank(PRIMES[0], 5, 10, 6, "none"),))
    assert found == measured((3, 2, 1), 2)
    assert (found.defect, found.fibre_dimension, found.filling, found.proved) == (1, 3, False, True)
    assert measured((2, 3, 1), 2).filling
    assert dimension([3, 2, 1], 2) == 5


def test_size_of_the_matrix_is_known_before() -> None:
    assert Counts(8, 2, 2, 6, 5).evaluations == 10
    assert MonomialMlpConfig(widths=[4000, 4000, 4000, 4000]).counts().memory > 1e15


def test_degree_beyond_the_primes_is_refused() -> None:
    with pytest.raises(ValueError, match="is not below the prime"):
        measured((2,) * 26, 2)
    with pytest.raises(ValueError, match="must be at least"):
        measured((2, 0, 1), 2)


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
    network, field = MonomialMlpConfig(widths=list(widths), degree=degree), PrimeField(PRIMES[0])
    named = {f"layer_{i + 1}": field.array(weight) for i, weight in enumerate(weights)}
    evaluations = Evaluations(network, field, {}, field.array(inputs.T), field.array(outputs.T))
    rows = iter(evaluations.jacobian(named))
    for i, weight in enumerate(weights):
        for row, column in product(*map(range, weight.shape)):
            found = next(rows)
            for sample in range(3):
                duals = dual_outputs(weights, inputs[:, sample], degree, (i, row, column))
                exact = sum(int(u) * dual.slope for u, dual in zip(outputs[:, sample], duals, strict=True))
                assert found[sample] == exact % PRIMES[0]


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
    assert measured(widths, degree).dimension == rational_rank(rows)


def test_weights_that_rescalings_can_fix_are_not_needed_for_the_rank() -> None:
    network = MonomialMlpConfig(widths=[3, 5, 6, 4, 2], degree=2)
    found, field, generator = measured((3, 5, 6, 4, 2), 2), PrimeField(PRIMES[1]), np.random.default_rng(8)
    evaluations = Evaluations.draw(network, field, generator, found.counts.expected + 20)
    assert found.ranks[0].columns == network.parameters() - 15
    assert rank(evaluations.jacobian(random_weights(network, field, generator)), PRIMES[1]) == found.dimension
