"""Claims of papers about dimensions of monomial networks, each against ranks in exact arithmetic."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig
from agfrun.labs.neuromanifolds.networks.mlp.theory import (
    ALEXANDER_HIRSCHOWITZ_EXCEPTIONS,
    parameter_count,
    scaling_count,
    shallow_dimension,
    sufficient_degree,
)
from agfrun.labs.neuromanifolds.paper_claims.exact import MONOMIAL, RAZOR, Exact, paper
from agfrun.study.paper_claim import OURS, Finding

Architecture = tuple[tuple[int, ...], int]

TABLE: Mapping[Architecture, int] = {
    ((2, 2, 1), 2): 3, ((3, 2, 1), 2): 5, ((2, 2, 2), 3): 6, ((3, 2, 2), 2): 8, ((3, 2, 2), 3): 8, ((3, 3, 2), 2): 12,
    ((2, 2, 1), 4): 4, ((3, 4, 1), 3): 10, ((2, 2, 2, 1), 3): 6, ((3, 2, 2, 2), 2): 10, ((3, 3, 3, 1), 2): 12,
    ((3, 3, 3, 3), 2): 21, ((3, 3, 2, 1), 3): 12, ((2, 1, 2, 1), 2): 2, ((4, 3, 2, 1), 2): 14,
    ((2, 2, 2, 2, 1), 2): 7, ((5, 4, 3, 1), 2): 25, ((3, 2, 3, 2), 2): 10, ((2, 3, 3, 2), 2): 10,
    ((2, 3, 4, 5, 4, 6, 4, 1), 2): 65}


def monomials(expected: Mapping[Architecture, int]) -> list[tuple[NetworkConfig, int | None]]:
    """Networks with the dimension that is expected of each."""
    return [(MonomialMlpConfig(widths=list(widths), degree=degree), known) for (widths, degree), known in
            expected.items()]


ALEXANDER_HIRSCHOWITZ = paper("Alexander & Hirschowitz 1995")
USEVICH = paper("Usevich et al. 2025, arXiv:2506.17093")


@ALEXANDER_HIRSCHOWITZ.claim(MONOMIAL, "main theorem", "theorem")
def shallow_networks_fill_but_for_four(exact: Exact) -> Finding:
    """Networks (n, h, 1) of degree r >= 3 have the dimension min(n h, C(r + n - 1, r)), one less for (3, 5, 1), (4, 9,
    1) and (5, 14, 1) of degree 4 and for (5, 7, 1) of degree 3.
    """
    shapes = {(inputs, neurons, degree) for inputs, neurons, degree in product((2, 3, 4), range(1, 11), (3, 4))}
    return exact.compared(monomials({
        ((inputs, neurons, 1), degree): shallow_dimension(inputs, neurons, degree)
        for inputs, neurons, degree in shapes | ALEXANDER_HIRSCHOWITZ_EXCEPTIONS}))


@USEVICH.claim(MONOMIAL, "theorem 11 with proposition 12", "theorem")
def full_dimension_from_the_threshold_on(exact: Exact) -> Finding:
    """From degree r with r (min(d_l, m_l) - 1) >= 2 d_l - min(d_(l+1), d_l) on, m_l the least width before layer l, the
    dimension is the number of weights less that of hidden neurons: no symmetry is left but rescalings and permutations.
    """
    expected = {}
    for widths in [*product((2, 3, 4), (2, 3, 4), (1, 2)), *product((2, 3), (2, 3), (2, 3), (1, 2))]:
        threshold = sufficient_degree(widths)
        assert threshold is not None
        for degree in {max(threshold, 2), threshold + 1}:
            expected[widths, degree] = parameter_count(widths) - scaling_count(widths)
    return exact.compared(monomials(expected))


@RAZOR.claim(MONOMIAL, OURS, "ours")
def dimensions_of_deep_networks(exact: Exact) -> Finding:
    """Twenty monomial networks of up to seven layers have the dimensions of our table, from 2 to 65."""
    return exact.compared(monomials(TABLE))


@RAZOR.claim(MONOMIAL, OURS, "ours")
def quadratic_networks_turn_their_last_layer(exact: Exact) -> Finding:
    """With squares, one output and widths that do not increase the last hidden layer carries a quadratic form: the
    dimension is the number of weights less hidden neurons less C(d, 2), d the width of that layer.
    """
    expected = {}
    for depth in (2, 3, 4):
        for widths in product(*[(2, 3, 4)] * depth):
            if list(widths) == sorted(widths, reverse=True):
                whole = (*widths, 1)
                turned = widths[-1] * (widths[-1] - 1) // 2
                expected[whole, 2] = parameter_count(whole) - scaling_count(whole) - turned
    return exact.compared(monomials(expected))
