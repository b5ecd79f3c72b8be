"""Claims about self-attention without normalization, and with softmax."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import numpy as np

from agfrun.labs.neuromanifolds.networks.attention.network import LightningAttentionConfig, SoftmaxAttentionConfig
from agfrun.labs.neuromanifolds.paper_claims.exact import ATTENTION, LIGHTNING, SOFTMAX, Exact
from agfrun.labs.neuromanifolds.precision import precise_jacobian, precise_rank
from agfrun.study.paper_claim import OURS, Finding

ONE_LAYER = [([2, 2], [1]), ([2, 2], [2]), ([3, 2], [1]), ([3, 3], [2]), ([3, 1], [2]), ([4, 3], [2]), ([2, 1], [1])]
BOTTLENECKS = [([2, 2, 2], [2, 2]), ([3, 3, 3], [2, 2]), ([3, 2, 3], [2, 2]), ([3, 3, 3, 3], [2, 2, 2]),
               ([4, 4, 4, 4], [2, 2, 2])]
WIDE = [([2, 3, 2], [2, 2]), ([2, 4, 2, 3], [1, 1, 3]), ([3, 3, 1, 4], [1, 3, 2])]
CORRECTED = [([3, 3, 3], [1, 2], 18), ([4, 3, 1], [1, 2], 17), ([4, 2, 4], [1, 2], 20), ([3, 3, 1, 4], [1, 3, 2], 15),
             ([2, 4, 2, 3], [1, 1, 3], 12), ([5, 4, 1], [2, 1], 28), ([4, 3, 2], [1, 1], 19),
             ([4, 3, 1, 1], [1, 1, 1], 16), ([3, 1, 2], [2, 1], 11)]
SOFTMAX_DEEP = [([2, 2, 2], [1, 1], 10), ([3, 3, 3], [2, 2], 25), ([3, 2, 2], [2, 1], 17),
                ([2, 2, 2, 2], [1, 1, 1], 13), ([3, 3, 3], [1, 2], 22)]
SOFTMAX_ONE = [([2, 2], [1], 7), ([2, 2], [2], 8), ([3, 3], [2], 17), ([3, 2], [1], 11), ([4, 3], [2], 24)]


def lightning(widths: list[int], ranks: list[int], tokens: int = 2) -> LightningAttentionConfig:
    """Attention without normalization."""
    return LightningAttentionConfig(widths=widths, ranks=ranks, tokens=tokens)


def bottleneck_formula(widths: list[int], ranks: list[int]) -> int:
    """The paper's count: sum_i [alpha_i (2 d_(i-1) - alpha_i) + d_(i-1) d_i] - sum_(0<i<L) d_i^2 - L."""
    total = -len(ranks) - sum(width**2 for width in widths[1:-1])
    for before, after, rank in zip(widths, widths[1:], ranks, strict=False):
        alpha = min(rank, before)
        total += alpha * (2 * before - alpha) + before * after
    return total


@ATTENTION.claim(LIGHTNING, "theorems 3.2 and 3.3", "theorem")
def one_attention_layer(exact: Exact) -> Finding:
    """One layer has the dimension alpha (2 d - alpha) + d d' - 1, alpha = min(a, d), for two tokens or more."""
    return exact.compared((lightning(widths, ranks, tokens), bottleneck_formula(widths, ranks))
                          for widths, ranks in ONE_LAYER for tokens in (2, 3))


@ATTENTION.claim(LIGHTNING, "theorem 3.13 and its corollary", "theorem")
def bottlenecks_of_attention(exact: Exact) -> Finding:
    """With widths that do not grow before the last layer, and ranks of at least 2, the dimension of a stack is the
    count of weights less the groups that act.
    """
    return exact.compared((lightning(widths, ranks), bottleneck_formula(widths, ranks))
                          for widths, ranks in BOTTLENECKS)


@ATTENTION.claim(LIGHTNING, "formula for bottlenecks, read for wide middle layers", "theorem",
                 sharper="dimension_of_any_stack")
def formula_for_wide_middle_layers(exact: Exact) -> Finding:
    """The same count holds where a middle layer is wider than the one before it."""
    return exact.compared((lightning(widths, ranks), bottleneck_formula(widths, ranks)) for widths, ranks in WIDE)


@ATTENTION.claim(LIGHTNING, OURS, "ours")
def dimension_of_any_stack(exact: Exact) -> Finding:
    """The general closed form, counted in virtual weights, with its two corrections - tokens that a rank-one layer made
    proportional, and layers that do not see all of the tokens before - is right for random stacks of any widths.
    """
    generator = np.random.default_rng(exact.seed)
    rows: list[tuple[LightningAttentionConfig, int | None]] = [
        (lightning(widths, ranks), known) for widths, ranks, known in CORRECTED]
    for _ in range(40):
        depth = int(generator.integers(1, 4))
        network = lightning([int(w) for w in generator.integers(1, 5, depth + 1)],
                            [int(a) for a in generator.integers(1, 4, depth)], int(generator.integers(1, 4)))
        closed = network.closed_form()
        rows.append((network, None if closed is None else closed.dimension))
    return exact.compared(rows)


@ATTENTION.claim(LIGHTNING, "theorem 3.13", "theorem")
def symmetries_of_attention(exact: Exact) -> Finding:
    """Changes of basis of queries and keys and of the tokens between layers, and scales of each layer, leave the
    function as it is, and explain the whole fibre where widths do not grow and ranks are at least 2.
    """
    cases = {}
    for widths, ranks in [*ONE_LAYER, *BOTTLENECKS[:3]]:
        fibre = exact.fibre(lightning(widths, ranks))
        cases[f"{widths} {ranks}"] = not fibre.unexplained and all(
            one.unchanged and one.tangent for one in fibre.symmetries)
    return exact.all_true(cases, "symmetries explain the fibre")


@ATTENTION.claim(LIGHTNING, "theorem 3.4", "theorem")
def attention_of_rank_one_is_singular(exact: Exact) -> Finding:
    """Where A = p q^T and V = u v^T both have rank one, a layer with a >= d is singular: with p not parallel to v the
    Jacobian has full rank and there are two preimages, with p = v its rank is lower by d - 1.
    """
    cases = {}
    for d, outputs in ((2, 1), (2, 2), (3, 1), (3, 2), (3, 3)):
        network = lightning([d, outputs], [d])
        known = exact.dimension(network)
        for stratum, ranks in exact.strata(network, "union"):
            assert ranks.union_rank is not None
            if stratum.kind == "rank_one":
                cases[f"{d} {outputs} node"] = ranks.rank == known < ranks.union_rank
            elif stratum.kind == "boundary":
                cases[f"{d} {outputs} boundary"] = ranks.rank == known - (d - 1)
    return exact.all_true(cases, "ranks as stated")


@ATTENTION.claim(SOFTMAX, "theorem on one layer", "theorem")
def one_softmax_layer(exact: Exact) -> Finding:
    """One layer with softmax has the dimension alpha (2 d - alpha) + d d': there is no scale to lose."""
    return _precise(exact, [*((widths, ranks, known) for widths, ranks, known in SOFTMAX_ONE)])


@ATTENTION.claim(SOFTMAX, "conjecture 3.16", "conjecture")
def deep_softmax_layers(exact: Exact) -> Finding:
    """A stack with softmax has the dimension of one without normalization plus one for each layer."""
    return _precise(exact, SOFTMAX_DEEP)


@ATTENTION.claim(SOFTMAX, "dimensions by automatic differentiation in floats", "numerics",
                 sharper="softmax_needs_many_digits")
def float_ranks_of_softmax(exact: Exact) -> Finding:
    """Ranks of the Jacobian in ordinary floats, the largest over many random points, give the dimension of deep stacks
    with softmax: 13 for widths 2-2-2-2 and ranks 1.
    """
    network = SoftmaxAttentionConfig(widths=[2, 2, 2, 2], ranks=[1, 1, 1])
    found = 0
    for seed in range(exact.seed, exact.seed + 60):
        jacobian = precise_jacobian(network, seed, 15, 30).astype(float)
        found = max(found, int(np.linalg.matrix_rank(jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True))))
    return Finding(13, found, None, "15 digits, derivatives by each weight brought to one size, the largest rank over "
                   "60 random points; 300 digits give 13 at each",
                   found == 13, str(exact.seed))


@ATTENTION.claim(SOFTMAX, OURS, "ours")
def softmax_needs_many_digits(exact: Exact) -> Finding:
    """In 300 digits the singular values of 2-2-2-2 with softmax and ranks 1 drop by 40 digits and more after the
    thirteenth, at each of ten random points, to what rounding leaves of zeros.
    """
    cases = {}
    for seed in range(exact.seed, exact.seed + 10):
        found = precise_rank(SoftmaxAttentionConfig(widths=[2, 2, 2, 2], ranks=[1, 1, 1]), seed)
        cases[f"seed {seed}"] = found.decided and found.rank == 13
    return exact.all_true(cases, "thirteen, and a drop of 40 digits")


def _precise(exact: Exact, rows: list[tuple[list[int], list[int], int]]) -> Finding:
    cases = {}
    for widths, ranks, known in rows:
        found = precise_rank(SoftmaxAttentionConfig(widths=widths, ranks=ranks), exact.seed)
        cases[f"{widths} {ranks}"] = found.decided and found.rank == known
    return exact.all_true(cases, "a drop of singular values of at least 40 digits at the dimension")
