"""Dimensions, degrees and critical points of polynomial, convolutional and linear networks against a table."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.neuromanifolds import (
    MonomialMlpConfig,
    NetworkConfig,
    PolynomialCnnConfig,
    PolynomialMlpConfig,
    TwoLayerLinearConfig,
    measure,
)
from agfrun.labs.neuromanifolds.networks import segre_veronese


def dimension(network: NetworkConfig) -> int:
    found = measure(network, at_least=2)
    assert found.unanimous
    return found.dimension


# Widths of generic polynomial networks, and the smallest degree at which no weight is redundant.
THRESHOLDS = [
    ((2, 2, 1), 3), ((2, 3, 1), 3), ((3, 2, 1), 3), ((3, 4, 1), 3), ((2, 4, 1), 4), ((2, 2, 2, 1), 3),
    ((2, 3, 3, 1), 3), ((2, 4, 4, 2), 3), ((3, 2, 3, 2), 3), ((2, 2, 2, 2, 1), 3), ((1, 2, 2, 1), 3), ((1, 2, 1), 4),
    ((1, 3, 1), 6), ((2, 1, 2, 1), 4), ((2, 1, 3, 1), 6)]
# Of degree 2: dimension, and parameters.
QUADRATIC = [
    ((2, 2, 1), 5, 6), ((3, 2, 1), 7, 8), ((2, 2, 2, 1), 9, 10), ((3, 3, 3, 1), 18, 21), ((4, 3, 2, 1), 19, 20),
    ((2, 2, 2, 2, 1), 13, 14), ((3, 2, 3, 2), 16, 18), ((2, 2, 2), 8, 8), ((2, 2, 2, 2), 12, 12),
    ((3, 2, 2, 2), 14, 14), ((3, 3, 2, 2), 19, 19)]


@pytest.mark.parametrize(("widths", "degree"), THRESHOLDS)
def test_from_a_degree_on_generic_polynomials_waste_no_weight(widths: tuple[int, ...], degree: int) -> None:
    full = PolynomialMlpConfig(widths=list(widths), degree=degree)
    assert dimension(full) == full.parameters()
    if degree > 2:
        below = PolynomialMlpConfig(widths=list(widths), degree=degree - 1)
        assert dimension(below) < below.parameters()


@pytest.mark.parametrize(("widths", "known", "parameters"), QUADRATIC)
def test_generic_quadratic_activations(widths: tuple[int, ...], known: int, parameters: int) -> None:
    network = PolynomialMlpConfig(widths=list(widths), degree=2)
    assert (dimension(network), network.parameters()) == (known, parameters)


def test_one_input_has_as_many_dimensions_as_moments() -> None:
    for neurons in (1, 2, 3, 4):
        for degree in range(2, 10):
            network = PolynomialMlpConfig(widths=[1, neurons, 1], degree=degree)
            closed = network.closed_form()
            assert closed is not None
            assert dimension(network) == closed.dimension == min(degree, 2 * neurons)


def test_a_polynomial_that_is_a_power_is_the_monomial_network() -> None:
    for widths in ([2, 2, 1], [2, 3, 2], [2, 2, 2, 1]):
        power = PolynomialMlpConfig(widths=widths, degree=3, coefficients=[0, 0, 5])
        monomial = MonomialMlpConfig(widths=widths, degree=3)
        assert dimension(power) == dimension(monomial)
        assert power.symmetry_dimension() == monomial.symmetry_dimension()


def test_degrees_of_layers_by_themselves() -> None:
    uniform = MonomialMlpConfig(widths=[3, 3, 3, 1], degree=2)
    by_layer = MonomialMlpConfig(widths=[3, 3, 3, 1], degrees=[2, 2])
    assert dimension(uniform) == dimension(by_layer) == 12
    assert by_layer.counts() == uniform.counts()
    # A quadratic form of cubes, and a cubic of squares: both have forms of degree 6, and not the same dimension.
    first, second = (MonomialMlpConfig(widths=[2, 2, 2, 1], degrees=list(d)) for d in ((3, 2), (2, 3)))
    assert first.ambient() == second.ambient() == comb(7, 6)
    assert dimension(first) == 5 == first.proved_bound()  # the last layer turns: one less than of parameters
    assert dimension(second) == 6
    assert first.architecture() == "2-2-2-1 (3,2)"


# Filters, degree: dimension, degree of the variety, critical points of a generic loss.
CNN = [
    ((2, 2), 2, 3, 4, 14), ((2, 2), 3, 3, 6, 22), ((2, 2), 4, 3, 8, 30), ((2, 3), 2, 4, 6, 22), ((3, 2), 2, 4, 12, 79),
    ((3, 2), 3, 4, 27, 210), ((3, 3), 2, 5, 24, 219), ((2, 2, 2), 2, 4, 48, 404), ((2, 2, 2), 3, 4, 162, 1486),
    ((3, 2, 2), 2, 5, 384, 6778), ((4, 3), 3, 6, 270, 5801), ((2, 2, 2, 2), 2, 5, 1536, 29592),
    ((3, 3, 3), 2, 7, 5760, 287505), ((3, 4, 2), 2, 7, 7680, 427124), ((3, 1, 2), 2, 4, 48, 403), ((5,), 2, 5, 1, 1),
    ((1, 3), 2, 3, 1, 1)]


@pytest.mark.parametrize(("filters", "degree", "known", "of_variety", "points"), CNN)
def test_convolutional_networks(filters: tuple[int, ...], degree: int, known: int, of_variety: int, points: int
                                ) -> None:
    network = PolynomialCnnConfig(filters=list(filters), degree=degree)
    closed, invariants = network.closed_form(), network.invariants()
    assert closed is not None
    assert dimension(network) == known == closed.dimension
    assert invariants.degree is not None
    assert invariants.critical_points is not None
    assert (invariants.degree.value, invariants.critical_points.value) == (of_variety, points)


def test_chern_degrees() -> None:
    assert [segre_veronese._chern_degree((3, 3), (2, 1), i) for i in range(5)] == [24, 54, 51, 27, 9]
    assert [segre_veronese._chern_degree((2, 2, 2), (4, 2, 1), i) for i in range(4)] == [48, 56, 28, 8]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_strides_and_activations_of_convolutional_networks(filters: list[int], data: st.DataObject) -> None:
    strides = [data.draw(st.integers(1, 3)) for _ in filters]
    monomial = PolynomialCnnConfig(filters=filters, strides=strides, degree=2)
    assert dimension(monomial) == sum(filters) - len(filters) + 1
    degree = data.draw(st.sampled_from([2, 3]))
    generic = PolynomialCnnConfig(filters=filters, strides=strides, degree=degree, activation="polynomial")
    assert dimension(generic) == sum(filters)


@pytest.mark.parametrize(("widths", "known", "of_variety", "generic", "nearest"), [
    ((3, 2, 3), 8, 3, 39, 3), ((2, 1, 2), 3, 2, 6, 2), ((2, 1, 3), 4, 3, 10, 2), ((3, 1, 3), 5, 6, 39, 3),
    ((2, 3, 2), 4, 1, 1, 1), ((5, 2, 4), 14, 50, 4806, 6)])
def test_two_layer_linear_networks(widths: tuple[int, ...], known: int, of_variety: int, generic: int | None,
                                   nearest: int) -> None:
    network = TwoLayerLinearConfig(widths=list(widths))
    invariants = network.invariants()
    assert dimension(network) == known == network.closed_form().dimension
    assert invariants.degree is not None
    assert invariants.nearest_points is not None
    assert (invariants.degree.value, invariants.nearest_points.value) == (of_variety, nearest)
    assert (None if invariants.critical_points is None else invariants.critical_points.value) == generic


@settings(max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=3, max_size=5), st.integers(2, 4), st.integers(0, 10**6))
def test_no_network_exceeds_its_bounds_or_differs_from_its_closed_form(widths: list[int], degree: int, seed: int
                                                                       ) -> None:
    for network in (MonomialMlpConfig(widths=widths, degree=degree), PolynomialMlpConfig(widths=widths, degree=degree),
                    TwoLayerLinearConfig(widths=widths[:3])):
        found = measure(network, seed)
        assert found.dimension <= found.counts.bound <= found.counts.expected
        closed = network.closed_form()
        assert closed is None or found.dimension == closed.dimension
