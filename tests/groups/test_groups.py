"""Groups: all of order up to 24, names, irreps and isomorphism."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.groups import (
    GROUPS_OF_ORDER,
    catalogue,
    character_table,
    check_group,
    conjugacy_classes,
    cyclic,
    cyclic_extension,
    direct_product,
    element_orders,
    find_isomorphism,
    identify,
    irrep_dimensions,
    irreps,
    is_commutative,
    named_group,
    permutation_group,
    with_identity_first,
)
from agfrun.groups.tables import relabelled

# Numbers of groups of order 1, 2, ..., OEIS A000001; of commutative ones, A000688.
COUNTS = [1, 1, 1, 2, 1, 2, 1, 5, 2, 2, 1, 5, 1, 2, 1, 14, 1, 5, 1, 5, 2, 2, 1, 15]
COMMUTATIVE = [1, 1, 1, 2, 1, 1, 1, 3, 2, 1, 1, 2, 1, 1, 1, 5, 1, 2, 1, 2, 1, 1, 1, 3]
ALL = dict(catalogue())
MORE = ("A5", "F42", "S5", "C7:C3:2", "C2^5")
# Orders of elements that tell groups from their relatives, with the numbers of the small groups library.
INVOLUTIONS = {"8:3": 5, "8:4": 1, "12:3": 3, "12:1": 1, "16:3": 7, "16:4": 3, "16:6": 3, "16:7": 9, "16:8": 5,
               "16:9": 1, "16:13": 7, "24:3": 1, "24:12": 9, "24:8": 9, "20:3": 5}


def test_the_catalogue_is_complete() -> None:
    found = Counter(len(table) for table in ALL.values())
    assert [found[order] for order in range(1, 25)] == COUNTS
    commutative = Counter(len(table) for table in ALL.values() if is_commutative(table))
    assert [commutative[order] for order in range(1, 25)] == COMMUTATIVE
    for table in ALL.values():
        check_group(table)
    for names in GROUPS_OF_ORDER.values():
        for one, other in itertools.combinations(names, 2):
            assert find_isomorphism(ALL[one], ALL[other]) is None, (one, other)


@pytest.mark.parametrize("name", INVOLUTIONS)
def test_numbers_are_those_of_the_small_groups_library(name: str) -> None:
    assert (element_orders(named_group(name)) == 2).sum() == INVOLUTIONS[name]


@pytest.mark.parametrize("name", [*ALL, *MORE])
def test_irreps(name: str) -> None:
    table = named_group(name)
    found = irreps(table)
    assert sum(block.shape[1] ** 2 for block in found) == len(table)
    assert len(found) == len(set(conjugacy_classes(table).tolist()))
    for block in found:
        assert np.abs(np.einsum("gab,hbc->ghac", block, block) - block[table]).max() < 1e-12
        assert np.abs(block.conj().transpose(0, 2, 1) @ block - np.eye(block.shape[1])).max() < 1e-12
    characters = np.array([np.trace(block, axis1=1, axis2=2) for block in found])
    assert np.abs(characters @ characters.conj().T / len(table) - np.eye(len(found))).max() < 1e-12


def test_character_tables_known_from_books() -> None:
    members, table = character_table(named_group("A5"))
    golden = (1 + np.sqrt(5)) / 2
    assert sorted(np.round(table[:, 0].real).astype(int)) == [1, 3, 3, 4, 5]
    assert np.isclose(table.real, golden).any()
    assert np.isclose(table.real, 1 - golden).any()
    assert np.abs(table.imag).max() < 1e-12
    assert irrep_dimensions(named_group("S4")) == [1, 1, 2, 3, 3]
    # D4 and Q8 have one character table.
    assert np.allclose(*(sorted(map(tuple, np.round(np.sort(character_table(named_group(name))[1].real, axis=1), 9)))
                         for name in ("D4", "Q8")))
    assert find_isomorphism(named_group("D4"), named_group("Q8")) is None
    assert len(members) == 5


@given(name=st.sampled_from([*ALL, "A5"]), seed=st.integers(0, 2**20))
@settings(max_examples=60, deadline=None)
def test_a_relabelled_group_is_recognized(name: str, seed: int) -> None:
    table = named_group(name)
    order = np.concatenate([[0], 1 + np.random.default_rng(seed).permutation(len(table) - 1)])
    moved = relabelled(table, order)
    found = find_isomorphism(table, moved)
    assert found is not None
    assert (found[table] == moved[np.ix_(found, found)]).all()
    assert identify(moved) == (name if len(table) <= 24 else None)


@given(name=st.sampled_from([name for name in ALL if len(ALL[name]) > 3]), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_table_with_a_wrong_entry_is_refused(name: str, data: Any) -> None:
    table = ALL[name].copy()
    n = len(table)
    g, h = data.draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))
    table[g, h] = (table[g, h] + data.draw(st.integers(1, n - 1))) % n
    with pytest.raises(ValueError, match="Latin square"):
        check_group(table)


@pytest.mark.parametrize(("table", "words"), [
    ([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]], "not associative"),
    ([[0, 1], [1, 0], [1, 0]], "3x2, not square"), ([[0, 5], [5, 0]], "entries outside 0 to 1"),
    ([[1, 0], [0, 1]], "no identity at place 0")])
def test_what_is_no_group(table: list[list[int]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_group(np.array(table))


def test_an_identity_elsewhere_is_put_first() -> None:
    moved = with_identity_first(relabelled(cyclic(5), np.array([3, 1, 0, 2, 4])))
    check_group(moved)
    assert find_isomorphism(moved, cyclic(5)) is not None


def test_groups_by_different_ways_are_one() -> None:
    pairs = [(permutation_group([[1, 2, 3, 0], [0, 3, 2, 1]], 100), "D4"), (permutation_group([[1, 2, 3, 0], [
        1, 0, 2, 3]], 100), "S4"), (named_group("C5:C4:2"), "F20"), (named_group("C2^3"), "C2xC2xC2"),
        (direct_product(cyclic(2), cyclic(3)), "C6"), (named_group("S3"), "D3"), (named_group("12:3"), "A4"),
        (named_group("Q8"), "Dic2"), (named_group("C3:C2:2"), "D3"), (named_group("D6"), "D3xC2")]
    for table, name in pairs:
        assert find_isomorphism(table, named_group(name)) is not None, name


@pytest.mark.parametrize(("name", "words"), [
    ("X3", "one of C4, D4"), ("C0", "one of"), ("12:9", "order 12 has 5"), ("25:1", "orders are from 1 to 24"),
    ("Q6", "a multiple of 4"), ("F15", "a divisor of p - 1"), ("S10", "at most 1000 elements"),
    ("C3:C2:3", "is 0 modulo 3"), ("F1", "F with an order"),
    ("", "one of"), ("C4x", "one of"), ("C2^99", "one of")])
def test_a_wrong_name_says_what_there_is(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        named_group(name)


def test_a_map_of_too_high_order_makes_no_extension() -> None:
    with pytest.raises(ValueError, match="order does not divide 2"):
        cyclic_extension(cyclic(7), 2, {1: 2})


def test_generators_of_too_large_a_group_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 100 elements"):
        permutation_group([[1, 2, 3, 4, 0], [1, 0, 2, 3, 4]], 100)
    with pytest.raises(ValueError, match="no permutation"):
        permutation_group([[0, 0]], 100)
