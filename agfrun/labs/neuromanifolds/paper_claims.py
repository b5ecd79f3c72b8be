"""Claims of papers about dimensions of monomial networks, each against ranks in exact arithmetic."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from agfrun.labs.neuromanifolds.networks.monomial_mlp.network import dimension
from agfrun.labs.neuromanifolds.networks.monomial_mlp.theory import (
    ALEXANDER_HIRSCHOWITZ_EXCEPTIONS,
    parameter_count,
    scaling_count,
    shallow_dimension,
    sufficient_degree,
)
from agfrun.study.paper_claim import OURS, Finding, Paper, small

Architecture = tuple[tuple[int, ...], int]
SUBJECTS = ("monomial_mlp",)
(MLP,) = SUBJECTS
INTEGERS = "dimensions are integers, measured without rounding"

TABLE: Mapping[Architecture, int] = {
    ((2, 2, 1), 2): 3, ((3, 2, 1), 2): 5, ((2, 2, 2), 3): 6, ((3, 2, 2), 2): 8, ((3, 2, 2), 3): 8, ((3, 3, 2), 2): 12,
    ((2, 2, 1), 4): 4, ((3, 4, 1), 3): 10, ((2, 2, 2, 1), 3): 6, ((3, 2, 2, 2), 2): 10, ((3, 3, 3, 1), 2): 12,
    ((3, 3, 3, 3), 2): 21, ((3, 3, 2, 1), 3): 12, ((2, 1, 2, 1), 2): 2, ((4, 3, 2, 1), 2): 14,
    ((2, 2, 2, 2, 1), 2): 7, ((5, 4, 3, 1), 2): 25, ((3, 2, 3, 2), 2): 10, ((2, 3, 3, 2), 2): 10,
    ((2, 3, 4, 5, 4, 6, 4, 1), 2): 65}


class Dimensions:
    """Dimensions measured once each, from the first of the seeds: they do not depend on it."""

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seed = seeds[0]
        self._found: dict[Architecture, int] = {}

    def of(self, widths: tuple[int, ...], degree: int) -> int:
        """Dimension of the functions of a network."""
        if (widths, degree) not in self._found:
            self._found[widths, degree] = dimension(widths, degree, self.seed)
        return self._found[widths, degree]

    def compared(self, expected: Mapping[Architecture, int]) -> Finding:
        """Whether every network has the dimension that is expected of it."""
        worst = max(abs(self.of(*architecture) - told) for architecture, told in expected.items())
        return small(float(worst), 0.5, f"{INTEGERS}; the worst of {len(expected)} networks", str(self.seed))


ALEXANDER_HIRSCHOWITZ = Paper("neuromanifolds", "Alexander & Hirschowitz 1995", SUBJECTS, Dimensions)
USEVICH = Paper("neuromanifolds", "Usevich et al. 2025, arXiv:2506.17093", SUBJECTS, Dimensions)
SHAHVERDI = Paper("neuromanifolds", "Shahverdi, Marchetti & Kohn 2025, arXiv:2505.11846", SUBJECTS, Dimensions)


@ALEXANDER_HIRSCHOWITZ.claim(MLP, "main theorem", "theorem")
def shallow_networks_fill_but_for_four(dimensions: Dimensions) -> Finding:
    """Networks (n, h, 1) of degree r >= 3 have the dimension min(n h, C(r + n - 1, r)), one less for (3, 5, 1), (4, 9,
    1) and (5, 14, 1) of degree 4 and for (5, 7, 1) of degree 3.
    """
    shapes = {(inputs, neurons, degree) for inputs, neurons, degree in product((2, 3, 4), range(1, 11), (3, 4))}
    return dimensions.compared({((inputs, neurons, 1), degree): shallow_dimension(inputs, neurons, degree)
                                for inputs, neurons, degree in shapes | ALEXANDER_HIRSCHOWITZ_EXCEPTIONS})


@USEVICH.claim(MLP, "theorem 11 with proposition 12", "theorem")
def full_dimension_from_the_threshold_on(dimensions: Dimensions) -> Finding:
    """From degree r with r (min(d_l, m_l) - 1) >= 2 d_l - min(d_(l+1), d_l) on, m_l the least width before layer l, the
    dimension is the number of weights less that of hidden neurons: no symmetry is left but rescalings and permutations.
    """
    expected = {}
    for widths in [*product((2, 3, 4), (2, 3, 4), (1, 2)), *product((2, 3), (2, 3), (2, 3), (1, 2))]:
        threshold = sufficient_degree(widths)
        assert threshold is not None
        for degree in {max(threshold, 2), threshold + 1}:
            expected[widths, degree] = parameter_count(widths) - scaling_count(widths)
    return dimensions.compared(expected)


@SHAHVERDI.claim(MLP, OURS, "ours")
def dimensions_of_deep_networks(dimensions: Dimensions) -> Finding:
    """Twenty monomial networks of up to seven layers have the dimensions of our table, from 2 to 65."""
    return dimensions.compared(TABLE)


@SHAHVERDI.claim(MLP, OURS, "ours")
def quadratic_networks_turn_their_last_layer(dimensions: Dimensions) -> Finding:
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
    return dimensions.compared(expected)
