"""The weights of a stack of attention layers: their names, the functions they make, and the symmetries of these.

A layer has queries Q and keys K of shape (a, d) and values V of shape (d', d); tokens are the columns of X, (d, t).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, random_invertible
from agfrun.labs.neuromanifolds.symmetry import Generator, Symmetry, Weights


@dataclass(frozen=True)
class Sizes:
    """Sizes of a stack.

    Attributes:
        widths: d_0, ..., d_L.
        ranks: a_1, ..., a_L.
        tokens: t.
    """

    widths: tuple[int, ...]
    ranks: tuple[int, ...]
    tokens: int

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.ranks)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The weights by name, with their shapes."""
        found: dict[str, tuple[int, ...]] = {}
        for i, rank in enumerate(self.ranks, 1):
            before, after = self.widths[i - 1], self.widths[i]
            found |= {query(i): (rank, before), key(i): (rank, before), value(i): (after, before)}
        return found


def query(layer: int) -> str:
    """Name of a layer's queries, from 1 on."""
    return f"query_{layer}"


def key(layer: int) -> str:
    """Name of a layer's keys."""
    return f"key_{layer}"


def value(layer: int) -> str:
    """Name of a layer's values."""
    return f"value_{layer}"


def lightning(weights: Weights, layer: int, tokens: Element) -> Element:
    """V X X^T K^T Q X, (d', t) from X of shape (d, t)."""
    return weights[value(layer)] @ tokens @ _scores(weights, layer, tokens)


def softmax(weights: Weights, layer: int, tokens: Element) -> Element:
    """V X S, where each column of S, the attention that one token pays to all, is positive and sums to 1."""
    positive = _scores(weights, layer, tokens).exp()
    return weights[value(layer)] @ tokens @ (positive * positive.sum(0).reciprocal())


def _scores(weights: Weights, layer: int, tokens: Element) -> Element:
    """X^T K^T Q X, (t, t): rows are the tokens that are looked at, columns those that look."""
    return (weights[key(layer)] @ tokens).T @ (weights[query(layer)] @ tokens)


def symmetries(sizes: Sizes, scaled: bool) -> tuple[Symmetry, ...]:
    """What changes the weights and no function (arXiv:2408.17221, Theorem 3.13).

    Args:
        sizes: of the stack.
        scaled: whether scores may be scaled against values, which a softmax forbids.
    """
    layers = range(1, sizes.depth + 1)
    found = [Symmetry("changes of basis of queries and keys", "Q_i -> G_i Q_i, K_i -> G_i^(-T) K_i",
                      partial(_rotated_heads, layers), partial(_head_generators, layers))]
    if scaled:
        found.append(Symmetry("scalings of scores against values", "Q_i -> c_i Q_i, V_i -> V_i / c_i",
                              partial(_scaled, layers), partial(_scalings, layers)))
    if sizes.depth > 1:
        hidden = range(1, sizes.depth)
        found.append(Symmetry("changes of basis between layers", "V_i -> C_i V_i, (Q, K, V)_(i+1) -> (Q, K, V)_(i+1) "
                              "C_i^(-1)", partial(_rotated_tokens, hidden), partial(_token_generators, hidden)))
    return tuple(found)


def _rotated_heads(layers: Sequence[int], weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
    moved = dict(weights)
    for i in layers:
        matrix, inverse = random_invertible(moved[query(i)].shape[0], generator)
        moved[query(i)] = _times(matrix, moved[query(i)])
        moved[key(i)] = _times(inverse.T, moved[key(i)])
    return moved


def _scaled(layers: Sequence[int], weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
    moved = dict(weights)
    for i in layers:
        exponent, sign = int(generator.integers(1, 4)), int(generator.choice([-1, 1]))
        factor = sign * Fraction(2) ** exponent
        moved[query(i)] = moved[query(i)] * _constant(factor)
        moved[value(i)] = moved[value(i)] * _constant(1 / factor)
    return moved


def _times(matrix: AnyArray, element: Element) -> Element:
    return element.constant(matrix) @ element


def _constant(number: Fraction) -> FractionArray:
    return np.array(number, dtype=object)


def _rotated_tokens(hidden: Sequence[int], weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
    moved = dict(weights)
    for i in hidden:
        matrix, inverse = random_invertible(moved[value(i)].shape[0], generator)
        moved[value(i)] = _times(matrix, moved[value(i)])
        for name in (query(i + 1), key(i + 1), value(i + 1)):
            moved[name] = moved[name] @ inverse
    return moved


def _head_generators(layers: Sequence[int], weights: Weights) -> Iterator[Generator]:
    for i in layers:
        for label, matrix, symmetric in _matrices(weights[query(i)].shape[0]):
            velocity = {query(i): _times(matrix, weights[query(i)]), key(i): -_times(matrix.T, weights[key(i)])}
            conserved = f"entry {label} of Q_{i} Q_{i}^T - K_{i} K_{i}^T" if symmetric else ""
            yield Generator(f"{label} of the basis of queries and keys {i}", velocity, conserved)


def _scalings(layers: Sequence[int], weights: Weights) -> Iterator[Generator]:
    for i in layers:
        yield Generator(f"scale of layer {i}", {query(i): weights[query(i)], value(i): -weights[value(i)]},
                        f"|Q_{i}|^2 - |V_{i}|^2")


def _token_generators(hidden: Sequence[int], weights: Weights) -> Iterator[Generator]:
    for i in hidden:
        for label, matrix, symmetric in _matrices(weights[value(i)].shape[0]):
            after = {name: -(weights[name] @ matrix) for name in (query(i + 1), key(i + 1), value(i + 1))}
            form = f"V_{i} V_{i}^T - " + " - ".join(f"{w}_{i + 1}^T {w}_{i + 1}" for w in "QKV")
            moved = {value(i): _times(matrix, weights[value(i)])} | after
            yield Generator(f"{label} of the basis after layer {i}", moved,
                            f"entry {label} of {form}" if symmetric else "")


def _matrices(size: int) -> Iterator[tuple[str, AnyArray, bool]]:
    """A basis of all matrices: symmetric ones, of which something is conserved, and antisymmetric ones."""
    for j in range(size):
        for k in range(j, size):
            unit = np.zeros((size, size), dtype=np.int64)
            unit[j, k] = 1
            if j == k:
                yield f"{j + 1},{k + 1}", unit, True
            else:
                yield f"{j + 1},{k + 1}", unit + unit.T, True
                yield f"{j + 1},{k + 1} turned", unit - unit.T, False
