"""Degree and critical points of products of projective spaces, which several neuromanifolds are the projections of.

P^(k_0 - 1) x ... x P^(k_m - 1), embedded by forms of degree e_j in the coordinates of factor j, is the variety of
convolutional networks (Shahverdi, Marchetti & Kohn, arXiv:2410.00722), of matrices of rank one, and of single
attention heads. A generic linear projection that is birational keeps both numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb, factorial, prod

SOURCE = "Segre and Veronese embeddings (Draisma et al. 2016, Theorem 5.8)"


def degree(sizes: Sequence[int], exponents: Sequence[int]) -> int:
    """Degree n! prod_j e_j^(k_j - 1) / (k_j - 1)!, n the dimension of the product."""
    return _chern_degree(sizes, exponents, 0)


def critical_points(sizes: Sequence[int], exponents: Sequence[int]) -> int:
    """Complex critical points of the distance to a generic point, for a generic inner product.

    sum_i (-1)^i (2^(n + 1 - i) - 1) c_i with the degrees c_i of the Chern classes (Draisma et al., Found. Comput.
    Math. 16 (2016), Theorem 5.8).
    """
    n = sum(size - 1 for size in sizes)
    return sum((-1) ** i * (2 ** (n + 1 - i) - 1) * _chern_degree(sizes, exponents, i) for i in range(n + 1))


def _chern_degree(sizes: Sequence[int], exponents: Sequence[int], order: int) -> int:
    """c_i = (n - i)! sum over i_0 + ... = i of prod_j C(k_j, i_j) e_j^(k_j - 1 - i_j) / (k_j - 1 - i_j)!."""
    n = sum(size - 1 for size in sizes)
    total = 0
    for parts in product(*(range(size) for size in sizes)):
        if sum(parts) == order:
            left = [size - 1 - part for size, part in zip(sizes, parts, strict=True)]
            # The quotient of factorials is a multinomial coefficient.
            shared = factorial(n - order) // prod(map(factorial, left))
            total += shared * prod(comb(size, part) * exponent**rest for size, part, exponent, rest in
                                   zip(sizes, parts, exponents, left, strict=True))
    return total
