"""What can be read from weights: the group's table, its irreps, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from agfrun.groups.irreps import characters
from agfrun.groups.tables import IntArray
from agfrun.labs.harmonics.network.layout import ComplexArray, Slots


def weights_of(representations: Sequence[ComplexArray]) -> ComplexArray:
    """The weights (n, n) that irreps are: W_i[g] = rho_i(g)^dagger."""
    slots = Slots(tuple(one.shape[1] for one in representations))
    return slots.joined([one.conj().transpose(0, 2, 1) for one in representations])


def representations_of(slots: Slots, weights: ComplexArray) -> list[ComplexArray]:
    """The adjoint blocks R_i[g] = W_i[g]^dagger, which multiply like the group where the network is invariant."""
    return [block.conj().transpose(0, 2, 1) for block in slots.blocks(weights)]


def read_table(representations: Sequence[ComplexArray]) -> IntArray:
    """The product of g and h is the k whose R[k] is nearest to R[g] R[h].

    Distances are sum_i d_i |R_i[g] R_i[h] - R_i[k]|^2: with these weights all wrong candidates are equally far at
    irreps, 2n.
    """
    n = len(representations[0])
    distances = np.zeros((n, n, n))
    for one in representations:
        d = one.shape[1]
        products = np.einsum("gab,hbc->ghac", one, one).reshape(n * n, d * d)
        flat = one.reshape(n, d * d)
        overlaps = (products.conj() @ flat.T).real.reshape(n, n, n)
        distances += d * ((np.abs(flat) ** 2).sum(axis=1) - 2 * overlaps)
    return np.asarray(np.argmin(distances, axis=2))


def accuracy(table: IntArray, truth: IntArray) -> float:
    """The share of entries that are right."""
    return float((table == truth).mean())


def unitarity_error(representations: Sequence[ComplexArray]) -> float:
    """The largest entry of R^dagger R - I."""
    return max(float(np.abs(one.conj().transpose(0, 2, 1) @ one - np.eye(one.shape[1])).max())
               for one in representations)


def orthogonality_error(slots: Slots, weights: ComplexArray) -> float:
    """The largest entry of sum_i d_i vec W_i vec W_i^dagger - n I: Schur's relations, weighted."""
    gram = (weights * slots.column_dimensions) @ weights.conj().T
    return float(np.abs(gram - len(weights) * np.eye(len(weights))).max())


def character_error(found: Sequence[ComplexArray], expected: Sequence[ComplexArray]) -> float:
    """The largest difference of characters, each slot beside the irrep with the nearest one, every irrep once.

    Infinite where the dimensions are others.
    """
    if sorted(one.shape[1] for one in found) != sorted(one.shape[1] for one in expected):
        return float("inf")
    distances = np.abs(characters(found)[:, None] - characters(expected)[None]).max(axis=2)
    nearest = distances.argmin(axis=1)
    return float(distances.min(axis=1).max()) if len(set(nearest.tolist())) == len(nearest) else float("inf")


def homomorphism_error(representations: Sequence[ComplexArray], table: IntArray) -> float:
    """The largest entry of R[g] R[h] - R[gh]."""
    return max(float(np.abs(np.einsum("gab,hbc->ghac", one, one) - one[table]).max()) for one in representations)


def robust_radius(slots: Slots) -> float:
    """The error of irreps below which every entry of the table is right, whatever the errors are.

    If |R_i[g] - rho_i(g)|_F <= eta for all i and g, products err by at most 3 eta + eta^2 beside their factors, and
    candidates are sqrt(2n) apart: enough is (3 eta + eta^2) sqrt(sum_i d_i) < sqrt(n/2).
    """
    return (-3 + sqrt(9 + 4 * sqrt(slots.size / (2 * sum(slots.dimensions))))) / 2


def published_defect(representations: Sequence[ComplexArray]) -> float:
    """The published regulariser at irreps: the mean over elements of |sum_i chi_i|^2, the identity's left out."""
    total = characters(representations).sum(axis=0)
    return float((np.abs(total[1:]) ** 2).sum() / len(total))
