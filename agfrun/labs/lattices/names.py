"""Names that settings allow and the library knows: here, so that settings are read without compiled code."""

from __future__ import annotations

METHOD_WORDS = {
    "raw": "the basis as it is",
    "greedy": "the row addition with the largest relative gain, while there is one",
    "seysen": "the same for Seysen's measure",
    "lll_75": "LLL, delta .75",
    "lll_99": "LLL, delta .99",
    "hkz": "HKZ: block reduction with a block as large as the lattice",
    "lll_greedy": "LLL .99, then greedy",
    "seysen_greedy": "Seysen, then greedy",
    "seysen_support": "Seysen, then greedy, then additions of two rows at once",
    "random_8": "greedy with moves drawn by gain, best of 8",
    "random_32": "the same, best of 32",
    "beam": "beam of 8 bases, by defect and Seysen's measure",
    "product": "product rule: the move with the largest gain x Seysen drop, on past minima, best basis visited",
    "product_sampled": "the same with moves drawn, at the best of six temperatures",
    "learned": "learned scores, moves drawn, best basis visited",
    "learned_8": "the same, best of 8 draws",
    "minima": "shortest independent vectors, where they form a basis: no basis is better",
}
METHODS = tuple(METHOD_WORDS)
DISTRIBUTIONS = ("uniform", "qary", "ntru", "knapsack", "mimo")
TEMPERATURES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.5)
"""Those that the product rule is tried at, on the lattices that it is judged on: in its favour."""
POLICIES = ("small", "wide", "cheap", "cheap_ten", "linear")
"""Policies whose weights are shipped."""
