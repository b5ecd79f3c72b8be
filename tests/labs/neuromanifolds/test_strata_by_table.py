"""Ranks, tangent unions and exposedness of dead neurons and padded filters against tables, and in floats."""

from __future__ import annotations

import pytest

from agfrun import UsageError
from agfrun.labs.neuromanifolds import (
    MonomialMlpConfig,
    NetworkConfig,
    PolynomialCnnConfig,
    PolynomialMlpConfig,
    TwoLayerLinearConfig,
    measure,
    measure_strata,
    perturbed_targets,
)
from agfrun.labs.neuromanifolds.geometry import strata as module
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks, agreed_strata


def generic(*widths: int, degree: int) -> PolynomialMlpConfig:
    return PolynomialMlpConfig(widths=list(widths), degree=degree)


def without_linear_term(*widths: int) -> PolynomialMlpConfig:
    return PolynomialMlpConfig(widths=list(widths), degree=3, coefficients=[0, 1, 1])


def monomial(*widths: int, degree: int) -> MonomialMlpConfig:
    return MonomialMlpConfig(widths=list(widths), degree=degree)


# Network, layer: dimension, dimension without the neuron, ranks (in&out, out, in, duplicate), tangent union, span.
DEAD_NEURONS = [
    (without_linear_term(2, 2, 1), 1, 6, 3, (3, 4, 3, 3), 7, 7),
    (generic(2, 2, 1, degree=3), 1, 6, 3, (3, 4, 5, 3), 9, 9),
    (generic(2, 3, 1, degree=5), 1, 9, 6, (6, 7, 8, 6), 20, 20),
    (generic(3, 3, 1, degree=4), 1, 12, 8, (8, 9, 11, 8), 23, 34),
    (generic(2, 2, 2, degree=4), 1, 8, 4, (4, 6, 6, 6), 28, 28),
    (generic(2, 2, 2, 1, degree=3), 1, 10, 5, (5, 7, 7, 7), 19, 54),
    (generic(2, 2, 2, 1, degree=3), 2, 10, 7, (7, 8, 9, 7), 13, 54),
    (generic(3, 3, 2, 1, degree=3), 1, 17, 12, (12, 14, 15, 15), 40, 219),
    (monomial(2, 2, 1, degree=4), 1, 4, 2, (2, 3, 2, 2), 5, 5),
    (monomial(2, 2, 2, degree=3), 1, 6, 3, (3, 5, 3, 4), 8, 8),
    (monomial(3, 2, 2, degree=2), 1, 8, 4, (4, 6, 4, 6), 12, 12),
    (monomial(3, 3, 3, 3, degree=2), 2, 21, 16, (16, 19, 16, 18), 24, 45),
    (monomial(3, 3, 3, 3, degree=2), 1, 21, 13, (13, 16, 13, 15), 21, 45),
    (monomial(2, 2, 2, 1, degree=3), 1, 6, 2, (2, 3, 2, 2), 4, 10)]
INCONCLUSIVE = {(3, 3, 3, 3, 1), (2, 2, 2, 1, 1)}  # of monomials


def name(row: tuple[object, ...]) -> str:
    network = row[0]
    assert isinstance(network, NetworkConfig)
    return f"{network.name} {network.architecture()} {network.activation_degree()} {row[1]}"


@pytest.mark.parametrize(("network", "layer", "known", "without", "ranks", "union", "span"), DEAD_NEURONS,
                         ids=map(name, DEAD_NEURONS))
def test_one_dead_neuron(network: PolynomialMlpConfig, layer: int, known: int, without: int, ranks: tuple[int, ...],
                         union: int, span: int) -> None:
    assert measure(network, at_least=2).dimension == known
    found = {stratum.kind: one for stratum, one in measure_strata(network, 0, "union") if stratum.layer == layer}
    assert tuple(found[kind].rank for kind in ("in&out", "out", "in", "duplicate")) == ranks
    assert {one.stratum_dimension for one in found.values()} == {without}
    assert {one.span for one in found.values()} == {span}
    smaller = network.without_neuron(layer)
    assert smaller is not None
    assert measure(smaller, at_least=2).dimension == without
    inconclusive = isinstance(network, MonomialMlpConfig) and (*network.widths, layer) in INCONCLUSIVE
    for one in found.values():
        assert one.union_rank is not None
        assert (one.union_rank <= known) == inconclusive
        # How far beyond the dimension depends on how many points of the fibre are drawn.
        assert union - 2 <= one.union_rank <= union + 2


# Network: by layer, rank and exposed dimension of in&out, out, in; span.
EXPOSED_NEURONS = [
    (without_linear_term(2, 2, 1), 1, ((3, 7), (4, 7), (3, 7)), 7),
    (generic(2, 2, 1, degree=3), 1, ((3, 9), (4, 9), (5, 7)), 9),
    (monomial(3, 2, 1, degree=2), 1, ((3, 6), (4, 6), (3, 6)), 6),
    (monomial(3, 3, 1, degree=4), 1, ((6, 15), (7, 15), (6, 15)), 15),
    (monomial(2, 2, 2, degree=3), 1, ((3, 8), (5, 7), (3, 8)), 8),
    (monomial(3, 2, 2, degree=2), 1, ((4, 12), (6, 12), (4, 12)), 12),
    (without_linear_term(2, 2, 2, 1), 1, (None, None, None), 45),
    (generic(2, 2, 2, 1, degree=3), 1, (None, None, None), 54),
    (monomial(3, 3, 2, 1, degree=3), 1, (None, None, None), 55),
    (TwoLayerLinearConfig(widths=[3, 2, 3]), 1, ((5, 9), (7, 8), (7, 8)), 9)]


@pytest.mark.parametrize(("network", "layer", "known", "span"), EXPOSED_NEURONS, ids=map(name, EXPOSED_NEURONS))
def test_exposedness_of_dead_neurons(network: NetworkConfig, layer: int, known: tuple[tuple[int, int] | None, ...],
                                     span: int) -> None:
    found = {stratum.kind: one for stratum, one in measure_strata(network, 0, "exposed") if stratum.layer == layer}
    for kind, numbers in zip(("in&out", "out", "in"), known, strict=True):
        assert found[kind].span == span
        expected = (found[kind].rank, span) if numbers is None else numbers
        assert (found[kind].rank, found[kind].exposed_dimension) == expected
        assert found[kind].exposed == (expected[1] == span)


def cnn(*filters: int, strides: list[int] | None = None, coefficients: list[int] | None = None) -> PolynomialCnnConfig:
    return PolynomialCnnConfig(filters=list(filters), strides=strides, coefficients=coefficients,
                               activation="monomial" if coefficients is None else "polynomial")


# Network, kind: rank, span, exposed dimension.
FILTERS = [
    (cnn(2, 2), "node 1-2", 3, 5, 3), (cnn(2, 2, coefficients=[1, 1]), "node 1-2", 4, 8, 6),
    (cnn(3, 3), "node 1-2", 5, 12, 10), (cnn(2, 2, 2), "node 1-2", 4, 19, 17),
    (cnn(3, 2, strides=[2, 1], coefficients=[1, 1]), "node 1-2", 5, 16, 13)]
# The zero function by the first or the last filter: dimension of its targets, span.
ZERO = [((2, 2), 1, 5, 5), ((2, 2), 2, 4, 5), ((3, 3), 2, 11, 12), ((2, 2, 3), 3, 25, 26), ((3, 2), 2, 9, 9),
        ((2, 2, 2), 3, 19, 19), ((4, 3), 2, 18, 18), ((2, 2, 2), 2, 19, 19)]


@pytest.mark.parametrize(("network", "kind", "rank", "span", "targets"), FILTERS, ids=map(name, FILTERS))
def test_padded_filters_are_not_exposed(network: PolynomialCnnConfig, kind: str, rank: int, span: int, targets: int
                                        ) -> None:
    found = {stratum.kind: one for stratum, one in measure_strata(network, 0, "exposed")}[kind]
    assert (found.rank, found.span, found.exposed_dimension) == (rank, span, targets)
    assert not found.exposed
    union = {stratum.kind: one for stratum, one in measure_strata(network, 0, "union")}[kind].union_rank
    assert union is not None
    assert union > measure(network).dimension  # two smooth branches


@pytest.mark.parametrize(("filters", "layer", "targets", "span"), ZERO)
def test_the_zero_function_is_exposed_where_the_filters_before_are_long_enough(
        filters: tuple[int, ...], layer: int, targets: int, span: int) -> None:
    found = {stratum.layer: one for stratum, one in measure_strata(cnn(*filters), 0, "exposed")
             if stratum.kind == "zero"}[layer]
    assert (found.exposed_dimension, found.span) == (targets, span)
    if layer == len(filters):
        assert found.exposed == (sum(size - 1 for size in filters[:-1]) >= filters[-1])


@pytest.mark.parametrize("network", [generic(2, 2, 1, degree=3), monomial(2, 2, 2, degree=3), cnn(2, 2), cnn(3, 2),
                                     TwoLayerLinearConfig(widths=[3, 2, 3])], ids=lambda network: network.name)
def test_floats_confirm_which_strata_are_exposed(network: NetworkConfig) -> None:
    for stratum, ranks in measure_strata(network, 0, "exposed"):
        found = perturbed_targets(network, stratum, ranks.span, 4, 0)
        # The targets of a stratum that is not exposed have measure zero.
        assert (found.followed > 0) == ranks.exposed, stratum.words


def test_two_primes_must_agree() -> None:
    right, wrong = [StratumRanks(7, 3, 3, 7)], [StratumRanks(7, 2, 3, 7)]
    answers = {5: wrong, 7: right, 11: right}
    assert agreed_strata(answers.__getitem__, (5, 7, 11)) == right
    with pytest.raises(UsageError, match="disagree"):
        agreed_strata(answers.__getitem__, (5, 7))


def test_a_span_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.spanning_evaluations.__globals__, "LARGEST_SPAN", 30)
    with pytest.raises(UsageError, match="span a space of more than 30 dimensions"):
        measure_strata(generic(3, 3, 2, 1, degree=3), 0, "union")
