"""What theory says about the dimension of the functions of a stack of attention layers.

A layer without normalization is X -> V X X^T A X with A = K^T Q of rank at most a (Henry, Marchetti & Kohn,
arXiv:2408.17221). With U_i = V_i ... V_1, a stack depends on its virtual weights alone: on W = U_L and on the forms
B_i = U_{i-1}^T A_i U_{i-1} in the entries of a first token, since f = W X S_1 ... S_L with S_i = Z^T B_i Z and
Z = X S_1 ... S_{i-1}. Each layer loses one dimension by a scale that moves between B_i and W; a softmax has no such
scale. The closed form below counts the virtual weights, with two corrections:

- one token, or a layer after one whose A has rank 1, sees proportional tokens, hence the symmetric part of A alone;
- where neither later forms nor W reach the whole row space of U_i, counting is too large, and the rank of the map from
  weights to virtual weights is taken instead, modulo a prime.

Only the cases that `ClosedForm.proved` names are theorems; the rest was derived, and agrees with measured ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from math import comb

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.derivatives import jacobian
from agfrun.labs.neuromanifolds.arithmetic.elements import Element, concatenate, einsum
from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, rank
from agfrun.labs.neuromanifolds.counts import SPARE_ROWS, ClosedForm
from agfrun.labs.neuromanifolds.geometry.fibres import elements, velocities
from agfrun.labs.neuromanifolds.networks.attention import heads
from agfrun.labs.neuromanifolds.networks.attention.heads import Sizes

HENRY = "Henry, Marchetti & Kohn, arXiv:2408.17221"
# Weights of a stack for which a rank is taken before anything is measured: a few seconds.
MOST_WEIGHTS = 2000


def output_degree(sizes: Sizes) -> int:
    """Degree 3^L of the outputs without normalization."""
    degree: int = 3**sizes.depth
    return degree


def ambient_dimension(sizes: Sizes) -> int:
    """Dimension of all tuples of d_L t forms of the outputs' degree in the d_0 t entries of X."""
    entries, degree = sizes.widths[0] * sizes.tokens, output_degree(sizes)
    return sizes.widths[-1] * sizes.tokens * comb(degree + entries - 1, degree)


def reached(sizes: Sizes) -> tuple[int, ...]:
    """Ranks rho_0, ..., rho_L of U_0, ..., U_L with generic weights: the least width so far."""
    return tuple(min(sizes.widths[:i + 1]) for i in range(len(sizes.widths)))


def score_ranks(sizes: Sizes) -> tuple[int, ...]:
    """Ranks alpha_1, ..., alpha_L of the forms B_i with generic weights."""
    return tuple(map(min, sizes.ranks, reached(sizes)))


def symmetric_layers(sizes: Sizes) -> tuple[bool, ...]:
    """Of each layer without normalization, whether its tokens are proportional, so that A counts as A + A^T."""
    alphas = score_ranks(sizes)
    return tuple(sizes.tokens == 1 or 1 in alphas[:i] for i in range(sizes.depth))


def starved(sizes: Sizes) -> bool:
    """Whether the row space of some U_i may be larger than what later layers see of it (a sufficient test)."""
    rho, alpha = reached(sizes), score_ranks(sizes)
    return any(2 * alpha[i] + rho[i + 1] < rho[i] for i in range(1, sizes.depth))


def virtual_dimension(sizes: Sizes, symmetric: tuple[bool, ...]) -> int:
    """Dimension of the virtual weights (W, B_1, ..., B_L) unless `starved`, by counting."""
    rho, alpha = reached(sizes), score_ranks(sizes)
    bases = sum(rho[i] * (rho[i - 1] - rho[i]) for i in range(1, sizes.depth)) + sizes.widths[-1] * rho[-2]
    return bases + sum(_forms(alpha[i], rho[i], symmetric[i]) for i in range(sizes.depth))


def _forms(alpha: int, size: int, symmetric: bool) -> int:
    """Dimension of square matrices of a rank of at most alpha, or of their symmetric parts, of rank at most 2 alpha."""
    if not symmetric:
        return alpha * (2 * size - alpha)
    most = min(2 * alpha, size)
    return most * size - comb(most, 2)


@cache
def virtual_rank(sizes: Sizes, symmetric: tuple[bool, ...]) -> int:
    """Dimension of the virtual weights as a rank modulo a prime: at most the dimension, and almost surely equal."""
    field = PrimeField(PRIMES[0])
    generator = np.random.default_rng(0)
    weights = {name: field.random(generator, shape) for name, shape in sizes.shapes().items()}
    rows = virtual_dimension(sizes, symmetric) + SPARE_ROWS
    length = sizes.widths[0] * (sizes.widths[-1] + sizes.depth * sizes.widths[0])
    combinations = Element(field, field.random(generator, (rows, length)))

    def combined(given: Mapping[str, Element]) -> Element:
        return einsum("o,o->", _virtual_weights(sizes, symmetric, given), combinations)

    return rank(jacobian(combined, weights, field, rows), field.prime)


def _virtual_weights(sizes: Sizes, symmetric: tuple[bool, ...], weights: Mapping[str, Element]) -> Element:
    """All entries of B_1, ..., B_L, as far as they count, and W."""
    parts, product = [], None
    for i in range(1, sizes.depth + 1):
        queries, keys, values = (weights[name(i)] for name in (heads.query, heads.key, heads.value))
        if product is not None:
            queries, keys = queries @ product, keys @ product
        form = keys.T @ queries
        parts.append((form + form.T if symmetric[i - 1] else form).reshape(-1))
        product = values if product is None else values @ product
    assert product is not None
    return concatenate([*parts, product.reshape(-1)])


def lightning_closed_form(sizes: Sizes) -> ClosedForm | None:
    """The dimension without normalization; None where it takes a rank of too many weights."""
    symmetric = symmetric_layers(sizes)
    if starved(sizes):
        return _by_virtual_rank(sizes, symmetric, sizes.depth)
    dimension = virtual_dimension(sizes, symmetric) - sizes.depth
    if sizes.depth == 1 and sizes.tokens == 1:
        return ClosedForm(dimension, True, "unique factors: V x times the quadratic form of A + A^T")
    if sizes.depth == 1:
        return ClosedForm(dimension, True, f"{HENRY}, Theorems 3.2 and 3.3")
    if _bottleneck(sizes):
        return ClosedForm(dimension, True, f"{HENRY}, Theorem 3.13")
    corrected = ", corrected for proportional tokens" if any(symmetric) else ""
    return ClosedForm(dimension, False, f"count of virtual weights, less a scale for each layer{corrected}")


def _bottleneck(sizes: Sizes) -> bool:
    """Whether this is the case of the theorem: tokens that never grow before the last layer, no small ranks."""
    never_grow = all(before >= after for before, after in pairwise(sizes.widths[:-1]))
    return sizes.tokens > 1 and never_grow and min(sizes.ranks) > 1


def softmax_closed_form(sizes: Sizes) -> ClosedForm | None:
    """The dimension with a softmax; None where it takes a rank of too many weights."""
    if sizes.tokens == 1:
        least = min(sizes.widths)
        return ClosedForm(least * (sizes.widths[0] + sizes.widths[-1] - least), True,
                          "matrices of bounded rank: a single token attends to itself alone")
    symmetric = (False,) * sizes.depth
    if starved(sizes):
        return _by_virtual_rank(sizes, symmetric, 0)
    dimension = virtual_dimension(sizes, symmetric)
    if sizes.depth == 1:
        return ClosedForm(dimension, True, f"{HENRY}, its theorem on one layer with softmax")
    return ClosedForm(dimension, False, f"{HENRY}, Conjecture 3.16")


def _by_virtual_rank(sizes: Sizes, symmetric: tuple[bool, ...], scales: int) -> ClosedForm | None:
    if parameters(sizes) > MOST_WEIGHTS:
        return None
    less = f", less {scales} scales" if scales else ""
    return ClosedForm(virtual_rank(sizes, symmetric) - scales, False,
                      f"rank modulo {PRIMES[0]} of the map to virtual weights{less}: later layers see too little")


def why_no_closed_form(sizes: Sizes) -> str:
    """Why a closed form is missing."""
    return ("later layers do not see all of an earlier one's tokens, and the rank that counts them then would be of "
            f"{parameters(sizes)} weights, above {MOST_WEIGHTS}")


def parameters(sizes: Sizes) -> int:
    """Number of weights."""
    return sum(int(np.prod(shape)) for shape in sizes.shapes().values())


@cache
def orbit_dimension(sizes: Sizes, scaled: bool) -> int:
    """Dimension of the symmetries' orbit of generic weights: their number less that of those that move nothing.

    What moves no weight is X in gl(a) with X Q = 0 and X^T K = 0, of which there are (a - d)^2 if a > d, and Y_i in
    gl(d_i) with Y_i V_i = V_i Y_{i-1}, which is 0 as long as widths never grow: there counting is exact. Otherwise it
    is a rank modulo a prime, and with too many weights for that the count again, which then may be too low.
    """
    widths, hidden = sizes.widths, range(1, sizes.depth)
    turned = sum(a * a - max(0, a - d) ** 2 for a, d in zip(sizes.ranks, widths, strict=False))
    counted = turned + sum(widths[i] * min(widths[i], widths[i - 1]) for i in hidden) + scaled * sizes.depth
    exact = all(widths[i] <= widths[i - 1] for i in hidden)
    return counted if exact or parameters(sizes) > MOST_WEIGHTS else _orbit_rank(sizes, scaled)


def _orbit_rank(sizes: Sizes, scaled: bool) -> int:
    field, generator = PrimeField(PRIMES[0]), np.random.default_rng(0)
    weights = {name: field.random(generator, shape) for name, shape in sizes.shapes().items()}
    moves = [one for symmetry in heads.symmetries(sizes, scaled) for one in
             symmetry.generators(elements(weights, field))]
    return rank(velocities(moves, weights), field.prime)
