"""Attention networks as functions: values, symmetries, fibres and singular weights of one layer, bad settings."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from agfrun.labs.neuromanifolds.arithmetic.elements import Element
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field, Floats, Multiprecision, PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, rank
from agfrun.labs.neuromanifolds.arithmetic.rational import exact, random_invertible
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.evaluation import random_weights
from agfrun.labs.neuromanifolds.geometry.fibres import generic_fibre
from agfrun.labs.neuromanifolds.geometry.strata import measure_strata
from agfrun.labs.neuromanifolds.networks.attention.network import (
    Attention,
    LightningAttentionConfig,
    SoftmaxAttentionConfig,
)
from agfrun.study.errors import ConfigError

ONE_LAYER = ("query_1", "key_1", "value_1")


def one_layer(size: int, outputs: int, rows: int, tokens: int = 2) -> LightningAttentionConfig:
    return LightningAttentionConfig(widths=[size, outputs], ranks=[rows], tokens=tokens)


def outputs_of(model: NetworkConfig, field: Field, weights: dict[str, AnyArray],
               inputs: AnyArray) -> AnyArray:
    given = {name: Element(field, entries[None]) for name, entries in weights.items()}
    found: AnyArray = model.value(given, Element(field, inputs[None])).data[0]
    return found


# Values.


def test_lightning_layers_equal_integer_matrices() -> None:
    generator = np.random.default_rng(1)
    model = LightningAttentionConfig(widths=[3, 2, 4], ranks=[2, 3], tokens=3)
    weights = {name: generator.integers(-2, 3, shape) for name, shape in model.weight_shapes().items()}
    x = inputs = generator.integers(-2, 3, (3, 3))
    for i in (1, 2):
        x = weights[f"value_{i}"] @ x @ x.T @ weights[f"key_{i}"].T @ weights[f"query_{i}"] @ x
    field = PrimeField(PRIMES[0])
    found = outputs_of(model, field, {name: field.array(w) for name, w in weights.items()}, field.array(inputs))
    assert (found == x.reshape(-1) % field.prime).all()


def test_softmax_layers_equal_floats_and_average_tokens() -> None:
    generator, field = np.random.default_rng(2), Multiprecision(30)
    model = SoftmaxAttentionConfig(widths=[2, 3, 2], ranks=[1, 2], tokens=4)
    tenths = {name: generator.integers(-9, 10, shape) for name, shape in model.weight_shapes().items()}
    inputs = generator.integers(-9, 10, (2, 4))
    x = inputs / 10
    for i in (1, 2):
        query, key, value = (tenths[f"{name}_{i}"] / 10 for name in ("query", "key", "value"))
        attention = np.exp(x.T @ key.T @ query @ x)
        attention /= attention.sum(axis=0)
        x = value @ x @ attention
    given = {name: field.array(w.astype(object)) / field.array(10) for name, w in tenths.items()}
    found = outputs_of(model, field, given, field.array(inputs.astype(object)) / field.array(10))
    assert np.allclose(np.array([float(entry) for entry in found]), x.reshape(-1), rtol=1e-12, atol=0)


def test_equal_tokens_stay_as_they_are_under_softmax() -> None:
    """Columns of the attention sum to 1, so that a token among its copies becomes V x; rows need not."""
    field = Multiprecision(50)
    model = SoftmaxAttentionConfig(widths=[2, 2], ranks=[2], tokens=3)
    weights = random_weights(model, field, np.random.default_rng(3))
    token = field.random(np.random.default_rng(4), (2, 1))
    found = outputs_of(model, field, weights, np.repeat(token, 3, axis=1)).reshape(2, 3)
    alone = field.contract("ij", "jk", "ik", weights["value_1"], token)
    assert all(abs(entry - alone[i, 0]) < 1e-40 for (i, _), entry in np.ndenumerate(found))


# Symmetries.

STACKS = [([3, 2], [1], 2), ([2, 2], [3], 1), ([3, 2, 3], [2, 1], 2), ([2, 3, 2], [1, 4], 2),
          ([2, 4, 1, 2], [2, 1, 1], 3)]


@pytest.mark.parametrize(("widths", "ranks", "tokens"), STACKS)
def test_symmetries_of_lightning_attention(widths: list[int], ranks: list[int], tokens: int) -> None:
    model = LightningAttentionConfig(widths=widths, ranks=ranks, tokens=tokens)
    found = generic_fibre(model, model.parameters() - model.symmetry_dimension(), seed=1)
    assert len(found.symmetries) == (2 if len(ranks) == 1 else 3)
    assert all(one.unchanged and one.tangent for one in found.symmetries)
    assert found.conserved
    assert all(one.exact for one in found.conserved)
    assert found.orbit_dimension == model.symmetry_dimension()


@pytest.mark.parametrize(("widths", "ranks", "tokens"), STACKS)
def test_random_symmetries_move_every_weight(widths: list[int], ranks: list[int], tokens: int) -> None:
    model = LightningAttentionConfig(widths=widths, ranks=ranks, tokens=tokens)
    field, generator = PrimeField(PRIMES[0]), np.random.default_rng(5)
    weights = {name: Element(field, entries[None]) for name, entries in
               random_weights(model, field, generator).items()}
    still = set(weights)
    for symmetry in model.symmetries() * 3:
        moved = symmetry.act(weights, generator)
        assert set(moved) == set(weights)
        still -= {name for name in weights if (moved[name].data != weights[name].data).any()}
    assert not still


def test_scalings_are_no_symmetry_of_softmax() -> None:
    assert len(SoftmaxAttentionConfig(widths=[2, 2, 2], ranks=[1, 1]).symmetries()) == 2
    assert len(LightningAttentionConfig(widths=[2, 2, 2], ranks=[1, 1]).symmetries()) == 3


def test_softmax_symmetries_change_nothing_and_lie_in_the_kernel() -> None:
    field, generator = Multiprecision(120), np.random.default_rng(6)
    model = SoftmaxAttentionConfig(widths=[2, 3, 2], ranks=[1, 2])
    weights = random_weights(model, field, generator)
    given = {name: Element(field, entries[None]) for name, entries in weights.items()}
    inputs = field.random(generator, model.input_shape())
    before = outputs_of(model, field, weights, inputs)
    jacobian = slopes(model, given, inputs)
    for symmetry in model.symmetries():
        moved = symmetry.act(given, generator)
        after = outputs_of(model, field, {name: one.data[0] for name, one in moved.items()}, inputs)
        assert all(abs(one - other) < 1e-80 for one, other in zip(before, after, strict=True))
        for one in symmetry.generators(given):
            change = sum((entry * jacobian[name][place] for name, velocity in one.velocity.items()
                          for place, entry in np.ndenumerate(velocity.data[0])), field.array([0])[0])
            assert abs(change) < 1e-50


def slopes(model: Attention, weights: dict[str, Element], inputs: AnyArray) -> dict[str, AnyArray]:
    """Derivatives of the sum of all outputs by central differences of 1e-30, in numbers of 120 digits."""
    field = next(iter(weights.values())).field
    step = field.array([Fraction(1, 10**30)])[0]
    found = {}
    for name, element in weights.items():
        found[name] = np.empty(element.shape, dtype=object)
        for place in np.ndindex(*element.shape):
            ends = []
            for sign in (1, -1):
                moved = {other: one.data[0].copy() for other, one in weights.items()}
                moved[name][place] += sign * step
                ends.append(outputs_of(model, field, moved, inputs).sum())
            found[name][place] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_something_is_conserved_exactly_for_symmetric_generators() -> None:
    """X as a matrix, by its action on unit vectors: gradient flow conserves W^T X W if and only if X = X^T."""
    model = LightningAttentionConfig(widths=[2, 2, 1], ranks=[2, 1])
    shapes, field = model.weight_shapes(), PrimeField(PRIMES[0])
    columns: dict[str, list[AnyArray]] = {}
    quantities = {}
    for unit in np.eye(model.parameters(), dtype=np.int64):
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        weights = {name: Element(field, part.reshape(1, *shape)) for (name, shape), part in
                   zip(shapes.items(), np.split(unit, ends[:-1]), strict=True)}
        for symmetry in model.symmetries():
            for one in symmetry.generators(weights):
                moved = [(one.velocity[name].data[0] if name in one.velocity else np.zeros(shape, np.int64)).ravel()
                         for name, shape in shapes.items()]
                columns.setdefault(one.label, []).append(np.concatenate(moved))
                quantities[one.label] = one.conserved
    symmetric = {label: bool((np.stack(found) == np.stack(found).T).all()) for label, found in columns.items()}
    assert symmetric == {label: bool(words) for label, words in quantities.items()}
    assert set(symmetric.values()) == {True, False}


def test_random_invertible_matrices_come_with_their_inverse() -> None:
    for size in (1, 2, 5):
        matrix, inverse = random_invertible(size, np.random.default_rng(size))
        assert (matrix @ inverse == np.eye(size, dtype=int)).all()


# One layer: strata.


def by_kind(model: LightningAttentionConfig, what: str = "union") -> dict[str, tuple[int, int | None]]:
    return {stratum.kind: (ranks.rank, ranks.union_rank if what == "union" else ranks.exposed_dimension)
            for stratum, ranks in measure_strata(model, 0, what)}


@pytest.mark.parametrize(("size", "outputs", "generic", "node", "union", "boundary"), [
    (2, 1, 5, 5, 6, 4), (2, 2, 7, 7, 9, 6), (3, 1, 11, 11, 15, 9), (3, 2, 14, 14, 20, 12), (3, 3, 17, 17, 25, 15),
])
def test_rank_one_scores_and_values(size: int, outputs: int, generic: int, node: int, union: int, boundary: int
                                    ) -> None:
    for rows in (size, size + 1):
        model = one_layer(size, outputs, rows)
        closed, found = model.closed_form(), by_kind(model)
        assert closed is not None
        assert (closed.dimension, found["rank_one"], found["boundary"][0]) == (generic, (node, union), boundary)
        assert boundary == generic - (size - 1)
        assert set(found) == {"rank_one", "boundary"}


@pytest.mark.parametrize(("size", "outputs", "rows", "generic", "half", "both", "union"), [
    (3, 2, 2, 13, 12, 10, 14), (4, 2, 2, 19, 17, 14, 23), (4, 3, 3, 26, 25, 23, 27), (3, 3, 2, 16, 15, 13, 17),
])
def test_scores_of_low_rank(size: int, outputs: int, rows: int, generic: int, half: int, both: int, union: int) -> None:
    model = one_layer(size, outputs, rows)
    closed, found = model.closed_form(), by_kind(model)
    assert closed is not None
    assert closed.dimension == generic
    assert found["low_rank"] == (both, union)
    assert found["low_rank_key"] == found["low_rank_query"] == (half, union)


def test_no_strata_where_the_theory_has_none() -> None:
    assert one_layer(3, 2, 2, tokens=1).strata() == ()
    assert LightningAttentionConfig(widths=[2, 2, 2], ranks=[1, 1]).strata() == ()
    assert [stratum.kind for stratum in one_layer(2, 1, 1).strata()] == ["boundary"]
    assert one_layer(1, 3, 1).strata() == ()


@pytest.mark.parametrize("sizes", [(3, 2, 3), (2, 3, 4), (4, 2, 2), (3, 2, 1)])
def test_tangent_spaces_of_rank_one_matrices(sizes: tuple[int, int, int]) -> None:
    """Minors of keys and values, and of both on the boundary, stay 0 to first order; and no direction is missing."""
    size, outputs, rows = sizes
    field, generator = PrimeField(PRIMES[0]), np.random.default_rng(8)
    model = one_layer(size, outputs, rows)
    for stratum in model.strata()[:2]:
        weights = stratum.point(field, generator)
        tangent = stratum.tangent(weights, field)
        free = rows * size + (rows + size - 1) + (outputs + size - 1)
        expected = free - (size - 1) * (stratum.kind == "boundary")
        assert rank(tangent, field.prime) == expected
        ends = np.cumsum([weights[name].size for name in ONE_LAYER])
        for column in tangent.T:
            moved = dict(zip(ONE_LAYER, np.split(column, ends[:-1]), strict=True))
            for name in ("key_1", "value_1"):
                assert not minors(weights[name], moved[name].reshape(weights[name].shape), field.prime).any()
            if stratum.kind == "boundary":
                stacked = np.concatenate([weights["key_1"], weights["value_1"]])
                change = np.concatenate([moved["key_1"].reshape(-1, size), moved["value_1"].reshape(-1, size)])
                assert not minors(stacked, change, field.prime).any()


def minors(matrix: AnyArray, change: AnyArray, prime: int) -> AnyArray:
    """Derivatives of all 2 x 2 minors along a change."""
    found = []
    for (i, j), (k, m) in product(np.ndindex(*matrix.shape), repeat=2):
        found.append(change[i, j] * matrix[k, m] + matrix[i, j] * change[k, m]
                     - change[i, m] * matrix[k, j] - matrix[i, m] * change[k, j])
    return np.array(found) % prime


def test_floats_are_moved_onto_the_strata() -> None:
    model, generator = one_layer(3, 2, 3), np.random.default_rng(9)
    for stratum in model.strata():
        point = stratum.point(Floats(), generator)
        kept = stratum.projected(point)
        assert all(np.allclose(kept[name], point[name]) for name in point)
        near = stratum.projected({name: entries + 0.01 * generator.standard_normal(entries.shape)
                                  for name, entries in point.items()})
        assert np.linalg.matrix_rank(near["key_1"]) == np.linalg.matrix_rank(near["value_1"]) == 1
        both = np.linalg.matrix_rank(np.concatenate([near["key_1"], near["value_1"]]))
        assert both == (1 if stratum.kind == "boundary" else 2)
        assert all(np.allclose(near[name], point[name], atol=0.1) for name in point)


def test_exposedness_of_low_rank_scores() -> None:
    found = by_kind(one_layer(3, 2, 2), "exposed")
    assert found["low_rank"][1] == 36
    assert found["low_rank_key"][1] == 35


# One layer: fibres at given weights.


def weights_of(scores: list[list[int]], values: list[list[int]], rows: int) -> dict[str, AnyArray]:
    """Weights with given scores: queries are the identity, or the first rows of it."""
    size = len(scores)
    queries = np.eye(rows, size, dtype=int)
    keys = np.zeros((rows, size), dtype=int)
    keys[:min(rows, size)] = np.array(scores).T[:min(rows, size)]
    return {"query_1": exact(queries), "key_1": exact(keys), "value_1": exact(values)}


@pytest.mark.parametrize(("scores", "values", "rows", "verdict", "orbits", "words"), [
    ([[1, 2], [3, 4]], [[1, 0]], 2, "finite", 1, "up to (c A, V / c)"),
    ([[1, 0], [3, 0]], [[1, 0]], 1, "2 orbits", 2, "have the function of v q^T"),
    ([[2, 0], [4, 0]], [[1, 2]], 1, "finite", 1, "boundary"),
    ([[1, 0], [3, 0]], [[1, 0], [0, 1]], 1, "finite", 1, "up to (c A, V / c)"),
    ([[1, 0], [3, 0]], [[1, 0]], 2, "6 orbits", 6, "singular scores"),
    ([[1, 0], [3, 0]], [[1, 0], [0, 1]], 2, "3 orbits", 3, "singular scores"),
    ([[1, 0], [3, 0]], [[1, 0], [0, 1]], 3, "4 orbits", 4, "singular scores"),
    ([[1, 0, 0], [3, 0, 0], [1, 0, 0]], [[1, 0, 1]], 2, "infinite", None, "infinitely many"),
    ([[1, 0, 0], [3, 0, 0], [1, 0, 0]], [[1, 0, 1]], 3, "infinite", None, "infinitely many"),
    ([[0, 0], [0, 0]], [[1, 0]], 2, "infinite", None, "function is 0"),
    ([[1, 0], [0, 1]], [[0, 0]], 2, "infinite", None, "function is 0"),
])
def test_identifiability(scores: list[list[int]], values: list[list[int]], rows: int, verdict: str, orbits: int | None,
                         words: str) -> None:
    model = one_layer(len(scores), len(values), rows)
    found = model.identifiability(weights_of(scores, values, rows))
    assert found is not None
    assert (found.verdict, found.orbits) == (verdict, orbits)
    assert words in found.reason


def test_identifiability_of_stacks_and_of_one_token_is_left_open() -> None:
    given = weights_of([[1, 2], [3, 4]], [[1, 0]], 2)
    assert one_layer(2, 1, 2, tokens=1).identifiability(given) is None
    stack = LightningAttentionConfig(widths=[2, 1, 1], ranks=[2, 1])
    after = {name: exact([[1]]) for name in ("query_2", "key_2", "value_2")}
    assert stack.identifiability(given | after) is None
    found = stack.identifiability(given | after | {"value_2": exact([[0]])})
    assert found is not None
    assert found.verdict == "infinite"


@pytest.mark.parametrize(("rows", "prime", "orbits"), [(2, 2, 3), (2, 3, 3), (3, 2, 4)])
def test_orbits_of_queries_and_keys_are_those_over_small_fields(rows: int, prime: int, orbits: int) -> None:
    """All pairs with K^T Q = A of rank 1 in dimension 2, joined by all of GL(a)."""
    scores = np.array([[1, 0], [0, 0]])
    matrices = [np.array(entries).reshape(rows, 2) for entries in product(range(prime), repeat=2 * rows)]
    pairs = {(q.tobytes(), k.tobytes()) for q, k in product(matrices, repeat=2) if (k.T @ q % prime == scores).all()}
    group = list(invertible(rows, prime))
    found = 0
    while pairs:
        found += 1
        q, k = (np.frombuffer(part, dtype=np.int64).reshape(rows, 2) for part in next(iter(pairs)))
        pairs -= {((g @ q % prime).tobytes(), (h.T @ k % prime).tobytes()) for g, h in group}
    assert found == orbits


def invertible(size: int, prime: int) -> Iterator[tuple[AnyArray, AnyArray]]:
    """All invertible matrices with their inverses, found by taking powers."""
    one = np.eye(size, dtype=np.int64)
    for entries in product(range(prime), repeat=size * size):
        matrix = np.array(entries, dtype=np.int64).reshape(size, size)
        if round(np.linalg.det(matrix)) % prime:
            power = matrix
            while (power @ matrix % prime != one).any():
                power = power @ matrix % prime
            yield matrix, power if (matrix != one).any() else one


def test_canonical_weights_have_the_function_and_forget_symmetries() -> None:
    generator = np.random.default_rng(11)
    for size, outputs, rows in ((3, 2, 2), (2, 3, 4), (3, 1, 3)):
        model = one_layer(size, outputs, rows)
        given = {name: exact(generator.integers(-3, 4, shape)) for name, shape in model.weight_shapes().items()}
        matrix, inverse = random_invertible(rows, generator)
        factor = Fraction(-3, 7)
        moved = {"query_1": factor * matrix @ given["query_1"], "key_1": inverse.T @ given["key_1"],
                 "value_1": given["value_1"] / factor}
        first, second = model.canonical(given), model.canonical(moved)
        assert first is not None
        assert second is not None
        assert all((first[name] == second[name]).all() for name in ONE_LAYER)
        scores, canonical = (one["key_1"].T @ one["query_1"] for one in (given, first))
        assert (np.multiply.outer(scores, given["value_1"]) == np.multiply.outer(canonical, first["value_1"])).all()
        assert next(entry for entry in canonical.reshape(-1) if entry) == 1
    assert LightningAttentionConfig(widths=[2, 2, 2], ranks=[1, 1]).canonical({}) is None


def test_canonical_zero() -> None:
    model = one_layer(2, 1, 1)
    found = model.canonical(weights_of([[0, 0], [0, 0]], [[1, 0]], 1))
    assert found is not None
    assert not any(entries.any() for entries in found.values())


# Settings.


@pytest.mark.parametrize(("keys", "key", "allowed"), [
    ({"widths": [3]}, "model.widths", "at least two widths"),
    ({"widths": [3, 0]}, "model.widths", "widths from 1"),
    ({"widths": [3, 2, 2], "ranks": [1, 1, 1]}, "model.ranks", "a number of rows for each of the layers, 2 with widths "
     "3-2-2, or one for all"),
    ({"ranks": []}, "model.ranks", "a number of rows for each of the layers, 1 with"),
    ({"ranks": [0]}, "model.ranks", "numbers of rows from 1"),
    ({"tokens": 0}, "model.tokens", "an integer from 1"),
    ({"tokens": 3334}, "model.tokens", "an integer from 1 to 3333"),
])
def test_bad_settings(keys: dict[str, object], key: str, allowed: str) -> None:
    for kind in (LightningAttentionConfig, SoftmaxAttentionConfig):
        with pytest.raises(ConfigError) as raised:
            kind(**keys).check()  # type: ignore[arg-type]
        assert key in str(raised.value)
        assert allowed in str(raised.value)
        assert "\n" not in str(raised.value)


def test_one_rank_is_that_of_every_layer() -> None:
    for kind in (LightningAttentionConfig, SoftmaxAttentionConfig):
        assert kind(widths=[3, 3, 3], ranks=[2]).weight_shapes() == kind(widths=[3, 3, 3], ranks=[2, 2]).weight_shapes()


def test_depth_is_bounded_by_the_primes() -> None:
    LightningAttentionConfig(widths=[1] * 15, ranks=[1] * 14).check()
    with pytest.raises(ConfigError, match="triples the outputs' degree"):
        LightningAttentionConfig(widths=[1] * 16, ranks=[1] * 15).check()
    SoftmaxAttentionConfig(widths=[1] * 16, ranks=[1] * 15).check()
