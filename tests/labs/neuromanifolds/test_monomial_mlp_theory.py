from __future__ import annotations

from itertools import combinations_with_replacement, product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polynomial_networks import measured

from agfrun.labs.neuromanifolds.networks.mlp.theory import (
    ALEXANDER_HIRSCHOWITZ_EXCEPTIONS,
    Widths,
    ambient_dimension,
    closed_form,
    dimension_bound,
    expected_dimension,
    parameter_count,
    scaling_count,
    shallow_dimension,
    sufficient_degree,
)

SMALL_WIDTHS = st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple)


@given(SMALL_WIDTHS, st.integers(1, 4))
def test_bound_is_at_most_the_expected_dimension_and_at_least_the_dimension(widths: Widths, degree: int) -> None:
    assert measured(widths, degree).dimension <= dimension_bound(widths, degree)
    assert dimension_bound(widths, degree) <= expected_dimension(widths, degree)


@settings(max_examples=200)
@given(SMALL_WIDTHS, st.integers(1, 4))
def test_closed_forms_equal_the_rank(widths: Widths, degree: int) -> None:
    prediction = closed_form(widths, degree)
    if prediction is not None:
        assert measured(widths, degree).dimension == prediction.dimension


def test_sufficient_degree_gives_defect_0_and_is_not_necessary() -> None:
    beyond = []
    for widths in [*product((2, 3, 4), (2, 3, 4), (1, 2, 3)), *product((2, 3, 4), (2, 3, 4), (2, 3, 4), (1, 2, 3))]:
        for degree in (2, 3, 4):
            full = parameter_count(widths) - scaling_count(widths)
            found, threshold = measured(widths, degree).dimension, sufficient_degree(widths)
            assert threshold is not None
            if degree >= threshold:
                assert found == full
            elif found == full:
                beyond.append((widths, degree))
    assert len(beyond) == 12
    assert ((2, 3, 3, 2), 3) in beyond


def test_quadratic_networks_of_one_output_and_non_increasing_widths() -> None:
    for hidden in (2, 3, 4):
        for before in combinations_with_replacement((5, 4, 3, 2), hidden):
            widths = (*before, 1)
            without_rotations = parameter_count(widths) - scaling_count(widths) - comb(widths[-2], 2)
            assert measured(widths, 2).dimension == without_rotations


@pytest.mark.parametrize(("widths", "degree", "dimension"), [
    ((3, 2, 4), 1, 10), ((3, 2, 4, 2), 1, 6), ((5, 3), 7, 15),  # matrices of bounded rank
    ((1, 4, 5, 3), 2, 3), ((3, 1, 4, 2), 2, 4), ((3, 3, 1, 2, 2), 2, 7), ((2, 1, 2, 1), 2, 2),  # a layer of width 1
    ((3, 2, 1), 2, 5), ((3, 5, 1), 4, 14), ((3, 4, 1), 4, 12), ((2, 5, 1), 3, 4),  # one hidden layer, one output
    ((2, 2, 2, 2), 4, 8), ((3, 3, 3, 1), 2, 12),
])
def test_closed_form(widths: Widths, degree: int, dimension: int) -> None:
    prediction = closed_form(widths, degree)
    assert prediction is not None
    assert prediction.dimension == dimension == measured(widths, degree).dimension


def test_no_closed_form_is_claimed_where_none_is_known() -> None:
    assert closed_form((2, 3, 3, 2), 3) is None
    assert closed_form((2, 3, 1, 3), 5) is not None
    assert closed_form((2, 3, 3, 3, 1, 3), 2) is None


def test_only_the_quadratic_rule_is_not_a_theorem() -> None:
    rule = closed_form((4, 3, 2, 1), 2)
    theorem = closed_form((4, 3, 2, 1), 4)
    assert rule is not None
    assert not rule.proved
    assert theorem is not None
    assert theorem.proved


def test_exceptions_are_one_below_what_counting_gives() -> None:
    for inputs, neurons, degree in ALEXANDER_HIRSCHOWITZ_EXCEPTIONS:
        expected = expected_dimension((inputs, neurons, 1), degree)
        assert shallow_dimension(inputs, neurons, degree) == expected - 1
        assert measured((inputs, neurons, 1), degree).dimension == expected - 1


@pytest.mark.parametrize(("widths", "degree", "ambient"), [
    ((2, 2, 2), 3, 8), ((3, 2, 2, 2), 2, 30), ((3, 3, 2, 1), 3, 55), ((5, 4, 3, 1), 2, 70), ((1, 7, 4), 5, 4),
])
def test_ambient_dimension(widths: Widths, degree: int, ambient: int) -> None:
    assert ambient_dimension(widths, degree) == ambient


@pytest.mark.parametrize(("widths", "degree"), [
    ((2, 3, 1), 5), ((3, 3, 1), 3), ((2, 2, 2, 2), 2), ((2, 3, 3), 3), ((4, 2), 1), ((3, 3, 2), 2), ((2, 3, 3, 2), 4),
])
def test_sufficient_degree(widths: Widths, degree: int) -> None:
    assert sufficient_degree(widths) == degree


def test_no_sufficient_degree_with_a_width_of_1_before_the_output() -> None:
    assert sufficient_degree((3, 1, 3)) is None


@pytest.mark.parametrize(("widths", "degree"), [((3,), 2), ((), 2), ((3, 0, 1), 2), ((3, 2, -1), 2), ((3, 2, 1), 0)])
def test_what_is_no_network_is_refused(widths: Widths, degree: int) -> None:
    for function in (ambient_dimension, expected_dimension, dimension_bound, closed_form):
        with pytest.raises(ValueError, match="must be at least"):
            function(widths, degree)
