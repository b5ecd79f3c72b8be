"""All irreducible unitary representations of a group from its table, by one eigenproblem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from agfrun.groups.tables import IntArray, inverses

ComplexArray = npt.NDArray[np.complex128]

# Eigenvalues of one irrep are equal to rounding; those of different ones differ by order 1/n.
_EQUAL = 1e-8


def irreps(table: IntArray, seed: int = 0) -> list[ComplexArray]:
    """One matrix representation of each class, unitary, by dimension; the trivial one is first.

    A random Hermitian combination of right translations commutes with left translations, and its eigenspaces are
    irreducible: one of dimension d for each of the d copies of an irrep in the regular representation. Costs O(n^3).

    Args:
        table: shape (n, n).
        seed: of the combination; another one gives equivalent representations.

    Returns:
        For each class an array (n, d, d) with rho[g] rho[h] = rho[T[g, h]].
    """
    n = len(table)
    generator = np.random.default_rng(seed)
    coefficients = generator.normal(size=n) + 1j * generator.normal(size=n)
    # (R_h x)[g] = x[g h]: the entry at (g, gh) is c_h, so at (g, k) it is c of g^-1 k.
    combination = coefficients[table[inverses(table)]]
    values, vectors = np.linalg.eigh(combination + combination.conj().T)
    found: list[ComplexArray] = []
    for basis in _eigenspaces(values, vectors):
        # Left translations (L_g x)[k] = x[g k] restricted to the space satisfy L_g L_h = L_hg: the adjoint is a rho.
        moved = np.einsum("ka,gkb->gba", basis.conj(), basis[table]).conj()
        character = np.trace(moved, axis1=1, axis2=2)
        if all(abs(np.vdot(np.trace(other, axis1=1, axis2=2), character)) < n / 2 for other in found):
            found.append(moved)
    return sorted(found, key=_place)


def _eigenspaces(values: npt.NDArray[np.float64], vectors: ComplexArray) -> Iterator[ComplexArray]:
    edges = np.flatnonzero(np.diff(values) > _EQUAL * max(1.0, float(np.abs(values).max()))) + 1
    for places in np.split(np.arange(len(values)), edges):
        yield vectors[:, places]


def _place(representation: ComplexArray) -> tuple[float, ...]:
    """By dimension, the trivial one first, then by characters: the same order whatever the seed."""
    character = np.trace(representation, axis1=1, axis2=2)
    trivial = bool(np.abs(character - 1).max() < 1e-6)
    return (representation.shape[1], not trivial, *np.round(np.concatenate([-character.real, character.imag]), 6))


def irrep_dimensions(table: IntArray) -> list[int]:
    """Their dimensions, ascending; the sum of squares is the order."""
    return [block.shape[1] for block in irreps(table)]


def characters(representations: Sequence[ComplexArray]) -> ComplexArray:
    """Traces, shape (representations, n)."""
    return np.array([np.trace(block, axis1=1, axis2=2) for block in representations])


def conjugacy_classes(table: IntArray) -> IntArray:
    """The least member of the class of each element, shape (n,)."""
    inverse = inverses(table)
    conjugates = table[table, inverse[:, None]]
    least: IntArray = conjugates.min(axis=0)
    return least


def character_table(table: IntArray) -> tuple[list[int], ComplexArray]:
    """The least member of each conjugacy class, and the characters of the irreps there, shape (classes, classes)."""
    members = sorted(set(conjugacy_classes(table).tolist()))
    return members, characters(irreps(table))[:, members]
