"""Fibres: symmetries without rounding, preimages by exhaustive search, canonical forms, conserved quantities."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.neuromanifolds import (
    Generator,
    MonomialMlpConfig,
    NetworkConfig,
    PolynomialCnnConfig,
    PolynomialMlpConfig,
    Symmetry,
    TwoLayerLinearConfig,
    generic_fibre,
    measure,
    rank_at,
)
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, exact
from agfrun.labs.neuromanifolds.networks.cnn import shifts
from agfrun.labs.neuromanifolds.paper_claims.convolutions import preimages

NETWORKS: list[tuple[NetworkConfig, int]] = [
    (MonomialMlpConfig(widths=[3, 3, 2], degree=3), 3), (MonomialMlpConfig(widths=[2, 3, 2, 2], degrees=[4, 4]), 5),
    (PolynomialMlpConfig(widths=[2, 3, 2], degree=3), 0), (PolynomialCnnConfig(filters=[2, 3, 2]), 2),
    (PolynomialCnnConfig(filters=[3, 2], strides=[2, 1], degree=3), 1),
    (PolynomialCnnConfig(filters=[2, 2], activation="polynomial"), 0), (TwoLayerLinearConfig(widths=[3, 2, 3]), 4),
    (TwoLayerLinearConfig(widths=[2, 3, 2]), 8)]


@pytest.mark.parametrize(("network", "orbit"), NETWORKS, ids=lambda one: getattr(one, "name", ""))
def test_symmetries_leave_every_value_as_it_was(network: NetworkConfig, orbit: int) -> None:
    fibre = generic_fibre(network, measure(network, at_least=2).dimension, 0)
    assert all(one.unchanged and one.tangent for one in fibre.symmetries)
    assert all(one.exact for one in fibre.conserved)
    assert (fibre.orbit_dimension, fibre.orbit_dimension) == (orbit, network.symmetry_dimension())
    assert fibre.unexplained == 0


def test_what_is_no_symmetry_is_found_out() -> None:
    @dataclasses.dataclass
    class Wrong(MonomialMlpConfig):
        def symmetries(self) -> tuple[Symmetry, ...]:
            return (Symmetry("doubling", "W_1 -> 2 W_1", lambda w, _: dict(w) | {"layer_1": w["layer_1"] * 2},
                             lambda w: [Generator("all", {"layer_1": w["layer_1"]}, "|W_1|^2")]),)

    network = Wrong(widths=[2, 2, 2], degree=3)
    fibre = generic_fibre(network, 6, 0)
    assert not fibre.symmetries[0].unchanged
    assert not fibre.symmetries[0].tangent
    assert not fibre.conserved[0].exact


def test_a_rotation_is_tangent_and_conserves_nothing() -> None:
    @dataclasses.dataclass
    class Rotated(TwoLayerLinearConfig):
        def symmetries(self) -> tuple[Symmetry, ...]:
            def turned(w: object) -> list[Generator]:
                unit = np.array([[0, 1], [-1, 0]])
                into, out = w["layer_1"], w["layer_2"]  # type: ignore[index]
                return [Generator("turn", {"layer_1": into.constant(unit) @ into, "layer_2": out @ out.constant(-unit)},
                                  "nothing")]
            return (Symmetry("turns", "", lambda w, _: dict(w), turned),)

    fibre = generic_fibre(Rotated(widths=[3, 2, 3]), 8, 0)
    assert fibre.symmetries[0].tangent
    assert not fibre.conserved[0].exact


# Supports ('0' zero, 'x' free), strides: preimages up to scales.
SUPPORTS = [
    (("0x", "x0"), (1, 1), 2), (("0x", "x0"), (2, 1), 1), (("00x", "x00"), (1, 1), 3), (("00x", "x00"), (2, 1), 2),
    (("0xx", "xx0"), (1, 1), 2), (("0xx", "xx0"), (2, 1), 1), (("00x", "xx0"), (2, 1), 2), (("00x", "x0"), (2, 1), 2),
    (("0x", "x0", "xx"), (1, 1, 1), 2), (("0x", "xx", "x0"), (1, 1, 1), 2), (("0x", "xx", "x0"), (2, 1, 1), 1),
    (("0x", "x0", "x0"), (1, 1, 1), 3), (("00x", "xx", "x0"), (2, 1, 1), 2), (("xx", "xx"), (1, 1), 1),
    (("x0", "0x"), (1, 1), 2), (("x0", "xx"), (1, 1), 1), (("xx0", "0xx"), (1, 1), 2)]


def filters_of(supports: tuple[str, ...]) -> list[np.ndarray]:
    return [np.array([0 if c == "0" else i + 2 for i, c in enumerate(word)]) for word in supports]


@pytest.mark.parametrize(("supports", "strides", "known"), SUPPORTS)
def test_preimages_of_padded_filters(supports: tuple[str, ...], strides: tuple[int, ...], known: int) -> None:
    filters = filters_of(supports)
    found = shifts.shift_tuples(filters, strides)
    assert len(found) == known
    assert (0,) * len(filters) in found
    if sum(map(len, supports)) <= 5:
        assert preimages(filters, strides, 5, 2) == known
    network = PolynomialCnnConfig(filters=[len(word) for word in supports], strides=list(strides))
    weights = {f"filter_{i}": exact(one.tolist()) for i, one in enumerate(filters, 1)}
    told = network.identifiability(weights)
    assert told.orbits == known
    assert ("singular" in told.reason) == (known > 1)
    # At padded filters the Jacobian keeps its rank.
    assert rank_at(network, weights, sum(map(len, supports)) - len(supports) + 1, 0) == network.closed_form().dimension  # type: ignore[union-attr]


def fractions(shape: tuple[int, ...], seed: int) -> FractionArray:
    generator = np.random.default_rng(seed)
    return exact([[f"{a}/{b}" for a, b in zip(*rows, strict=True)] for rows in zip(
        generator.integers(1, 9, (shape[0], shape[1])), generator.integers(1, 9, (shape[0], shape[1])), strict=True)])


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.lists(st.fractions(Fraction(1, 9), 9), min_size=2, max_size=2), st.booleans())
def test_equivalent_monomial_weights_have_one_canonical_form(seed: int, scales: list[Fraction], swapped: bool) -> None:
    network = MonomialMlpConfig(widths=[3, 2, 2], degree=3)
    into, out = fractions((2, 3), seed), fractions((2, 2), seed + 1)
    factors = np.array(scales, dtype=object)
    order = [1, 0] if swapped else [0, 1]
    moved = {"layer_1": (into * factors[:, None])[order], "layer_2": (out / factors**3)[:, order]}
    first, second = network.canonical({"layer_1": into, "layer_2": out}), network.canonical(moved)
    assert all((first[name] == second[name]).all() for name in first)
    assert all(row[0] == 1 for row in first["layer_1"])


def test_canonical_forms_of_filters_and_matrices() -> None:
    cnn = PolynomialCnnConfig(filters=[2, 2], degree=2)
    first = cnn.canonical({"filter_1": exact([2, 6]), "filter_2": exact([1, "1/2"])})
    second = cnn.canonical({"filter_1": exact([1, 3]), "filter_2": exact([4, 2])})
    assert all((first[name] == second[name]).all() for name in first)
    linear = TwoLayerLinearConfig(widths=[3, 2, 2])
    into, out = fractions((2, 3), 1), fractions((2, 2), 2)
    change = exact([[1, 2], [3, 7]])
    inverse = exact([[7, -2], [-3, 1]])
    first_form = linear.canonical({"layer_1": into, "layer_2": out})
    moved = linear.canonical({"layer_1": change.dot(into), "layer_2": out.dot(inverse)})
    assert first_form is not None
    assert moved is not None
    assert all((first_form[name] == moved[name]).all() for name in moved)
    assert (first_form["layer_2"].dot(first_form["layer_1"]) == out.dot(into)).all()
    assert linear.canonical({"layer_1": exact([[1, 2, 3], [2, 4, 6]]), "layer_2": out}) is None


@pytest.mark.parametrize(("into", "out", "verdict", "words"), [
    ([[1, 2], [3, 5]], [[1, 1]], "finite", "no neuron can be spared"),
    ([[1, 2], [0, 0]], [[1, 1]], "infinite", "without incoming weights"),
    ([[1, 2], [3, 5]], [[1, 0]], "infinite", "without outgoing weights"),
    ([[1, 2], [2, 4]], [[1, 1]], "infinite", "proportional incoming weights")])
def test_which_given_weights_are_identifiable(into: list[list[int]], out: list[list[int]], verdict: str, words: str
                                              ) -> None:
    weights = {"layer_1": exact(into), "layer_2": exact(out)}
    told = MonomialMlpConfig(widths=[2, 2, 1], degree=4).identifiability(weights)
    assert (told.verdict, words in told.reason) == (verdict, True)
    generic = PolynomialMlpConfig(widths=[2, 2, 1], degree=4).identifiability(weights)
    assert (generic.verdict == "finite") == (verdict == "finite" or "proportional" in words)
    # Where a neuron can be spared the rank falls, or the fibre is larger than that of generic weights.
    at_weights = rank_at(MonomialMlpConfig(widths=[2, 2, 1], degree=4), weights, 4, 0)
    assert (at_weights < 4) == (verdict == "infinite")


def test_zero_filters_and_matrices_of_lower_rank() -> None:
    cnn = PolynomialCnnConfig(filters=[2, 2])
    assert cnn.identifiability({"filter_1": exact([0, 0]), "filter_2": exact([1, 2])}).orbits is None
    linear = TwoLayerLinearConfig(widths=[2, 2, 2])
    told = linear.identifiability({"layer_1": exact([[1, 0], [0, 1]]), "layer_2": exact([[1, 1], [1, 1]])})
    assert told.verdict == "infinite"


def test_exact_numbers_are_what_is_written() -> None:
    assert exact([0.1, "1/3", 2]).tolist() == [Fraction(1, 10), Fraction(1, 3), 2]
