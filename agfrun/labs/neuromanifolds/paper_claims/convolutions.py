"""Claims about polynomial convolutional networks and about linear ones."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from itertools import product

import numpy as np

from agfrun.labs.neuromanifolds.networks.cnn import shifts
from agfrun.labs.neuromanifolds.networks.cnn.network import PolynomialCnnConfig
from agfrun.labs.neuromanifolds.networks.linear.network import TwoLayerLinearConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig
from agfrun.labs.neuromanifolds.paper_claims.exact import (
    CNN,
    CONVOLUTIONAL,
    INVITATION,
    LINEAR,
    MONOMIAL,
    Exact,
)
from agfrun.study.paper_claim import OURS, Finding, small

FILTERS = [(2, 2), (2, 3), (3, 2), (3, 3), (2, 2, 2), (3, 2, 2), (4, 3), (2, 2, 2, 2), (3, 3, 3), (3, 1, 2), (1, 3)]
LINEAR_WIDTHS = [[3, 2, 3], [2, 1, 2], [4, 2, 3], [3, 1, 5], [5, 3, 4], [2, 3, 2]]


@CONVOLUTIONAL.claim(CNN, "theorem on the dimension", "theorem")
def convolutions_have_the_dimension_of_their_filters(exact: Exact) -> Finding:
    """The dimension of a convolutional network with the activation z^r is the number of weights less L - 1, whatever
    the strides.
    """
    rows = []
    for filters, degree in product(FILTERS, (2, 3)):
        for stride in (1, 2):
            network = PolynomialCnnConfig(filters=list(filters), strides=[stride] * len(filters), degree=degree)
            rows.append((network, sum(filters) - len(filters) + 1))
    return exact.compared(rows)


@CONVOLUTIONAL.claim(CNN, "theorem on fibres", "theorem")
def filters_are_determined_up_to_scales(exact: Exact) -> Finding:
    """Generic filters are determined by the function up to scales l_i with prod l_i^(r^(L-1-i)) = 1: these leave the
    function as it is, and give the whole dimension of the fibre.
    """
    cases = {}
    for filters in FILTERS:
        fibre = exact.fibre(PolynomialCnnConfig(filters=list(filters)))
        cases[str(filters)] = not fibre.unexplained and all(one.unchanged and one.tangent for one in fibre.symmetries)
    return exact.all_true(cases, "symmetries explain the fibre")


@CONVOLUTIONAL.claim(CNN, "theorem on regularity", "theorem")
def nodes_are_crossings_of_smooth_branches(exact: Exact) -> Finding:
    """Singular points other than 0 are self-intersections: at padded filters the rank of the Jacobian is the dimension,
    and tangent spaces at the two preimages span more.
    """
    cases = {}
    for filters in ((2, 2), (3, 2), (3, 3), (2, 2, 2), (4, 3)):
        network = PolynomialCnnConfig(filters=list(filters))
        known = exact.dimension(network)
        for stratum, ranks in exact.strata(network, "union"):
            if stratum.kind.startswith("node"):
                assert ranks.union_rank is not None
                cases[f"{filters} {stratum.kind}"] = ranks.rank == known < ranks.union_rank
    return exact.all_true(cases, "full rank, and two branches")


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def preimages_are_counted_by_shifts(exact: Exact) -> Finding:
    """The preimages of a function up to scales are the tuples of shifts of its filters within their zeros that keep the
    function: against a search through all filters over the field of five elements.
    """
    cases = {}
    for supports, strides in ((("0x", "x0"), (1, 1)), (("0x", "x0"), (2, 1)), (("00x", "x0"), (2, 1)),
                              (("0xx", "xx0"), (1, 1)), (("0x", "x0", "x0"), (1, 1, 1)), (("x0", "xx"), (1, 1))):
        filters = [np.array([0 if c == "0" else i + 2 for i, c in enumerate(word)]) for word in supports]
        cases[f"{supports} {strides}"] = len(shifts.shift_tuples(filters, strides)) == preimages(filters, strides, 5, 2)
    return exact.all_true(cases, "shifts equal preimages")


def preimages(filters: list[np.ndarray], strides: tuple[int, ...], prime: int, degree: int) -> int:
    """How many orbits of filters over a small prime field have the function of given ones, by trying all.

    Functions are compared by their coefficients: over a field as small as this, values do not decide.
    """
    wanted = _coefficients(filters, strides, degree, prime)
    found = set()
    for entries in product(*(product(range(prime), repeat=len(one)) for one in filters)):
        if any(not any(one) for one in entries):
            continue
        # One of each orbit: all filters but the last begin with 1 where they are not 0.
        if any(next(e for e in one if e) != 1 for one in entries[:-1]):
            continue
        if _coefficients([np.array(one) for one in entries], strides, degree, prime) == wanted:
            found.add(entries)
    return len(found)


def _coefficients(filters: list[np.ndarray], strides: tuple[int, ...], degree: int, prime: int) -> dict[
        tuple[int, ...], int]:
    """The function's coefficients modulo a prime, by exponents of the inputs."""
    lengths = [1]
    for one, stride in zip(reversed(filters), reversed(strides), strict=True):
        lengths.insert(0, stride * (lengths[0] - 1) + len(one))
    unit = np.eye(lengths[0], dtype=int)
    signal: list[dict[tuple[int, ...], int]] = [{tuple(row): 1} for row in unit]
    for i, (one, stride) in enumerate(zip(filters, strides, strict=True)):
        if i:
            signal = [_power(entry, degree, prime) for entry in signal]
        signal = [_combined([signal[stride * place + j] for j in range(len(one))], one, prime)
                  for place in range(lengths[i + 1])]
    return signal[0]


def _combined(polynomials: list[dict[tuple[int, ...], int]], factors: np.ndarray, prime: int) -> dict[
        tuple[int, ...], int]:
    total: dict[tuple[int, ...], int] = {}
    for factor, polynomial in zip(factors, polynomials, strict=True):
        for exponents, coefficient in polynomial.items():
            total[exponents] = (total.get(exponents, 0) + int(factor) * coefficient) % prime
    return {exponents: value for exponents, value in total.items() if value}


def _power(polynomial: dict[tuple[int, ...], int], degree: int, prime: int) -> dict[tuple[int, ...], int]:
    result = polynomial
    for _ in range(degree - 1):
        total: dict[tuple[int, ...], int] = {}
        for (a, x), (b, y) in product(result.items(), polynomial.items()):
            exponents = tuple(i + j for i, j in zip(a, b, strict=True))
            total[exponents] = (total.get(exponents, 0) + x * y) % prime
        result = {exponents: value for exponents, value in total.items() if value}
    return result


@CONVOLUTIONAL.claim(CNN, "smoothness without overlap", "theorem")
def filters_that_do_not_overlap_make_it_smooth(exact: Exact) -> Finding:
    """With strides at least as large as filters no two tuples of shifts keep a function: nothing but 0 is singular."""
    cases = {}
    for sizes in ((2, 2), (3, 2), (2, 3), (2, 2, 2), (3, 3)):
        supports = [[flags for flags in product((0, 1), repeat=size) if any(flags)] for size in sizes]
        strides = tuple(sizes)
        for chosen in product(*supports):
            cases[f"{sizes} {chosen}"] = len(shifts.shift_tuples([np.array(one) for one in chosen], strides)) == 1
    return exact.all_true(cases, "one preimage")


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def zero_is_exposed_by_long_enough_filters(exact: Exact) -> Finding:
    """The zero function is critical by a vanishing last filter for an open set of targets iff the sizes of the others,
    each less one, sum to at least its own.
    """
    cases = {}
    for filters in ((2, 2), (3, 3), (2, 2, 3), (3, 2), (2, 2, 2), (4, 3)):
        network = PolynomialCnnConfig(filters=list(filters))
        last = next(ranks for stratum, ranks in exact.strata(network, "exposed")
                    if stratum.kind == "zero" and stratum.layer == len(filters))
        cases[str(filters)] = last.exposed == (sum(size - 1 for size in filters[:-1]) >= filters[-1])
    return exact.all_true(cases, "as the inequality says")


@INVITATION.claim(LINEAR, "matrices of bounded rank", "theorem")
def linear_networks_are_matrices_of_bounded_rank(exact: Exact) -> Finding:
    """Two linear layers of widths N_0, N_1, N_2 have the dimension N_1 (N_0 + N_2 - N_1), N_1 at most the others, and
    changes of the hidden basis explain the whole fibre.
    """
    cases = {}
    for widths in LINEAR_WIDTHS:
        network = TwoLayerLinearConfig(widths=widths)
        cases[str(widths)] = (exact.dimension(network) == network.closed_form().dimension
                              and not exact.fibre(network).unexplained)
    return exact.all_true(cases, "dimension and fibre")


@INVITATION.claim(LINEAR, "singular locus", "theorem")
def lower_rank_is_singular(exact: Exact) -> Finding:
    """Matrices of lower rank than the hidden width allows are singular points of the set of matrices."""
    cases = {}
    for widths in ([3, 2, 3], [4, 2, 3], [5, 3, 4]):
        network = TwoLayerLinearConfig(widths=widths)
        for stratum, ranks in exact.strata(network, "union"):
            assert ranks.union_rank is not None
            cases[f"{widths} {stratum.kind}"] = ranks.union_rank > exact.dimension(network)
    return exact.all_true(cases, "certified by a union of tangents")


@INVITATION.claim(LINEAR, "critical points of the Frobenius norm", "theorem")
def critical_matrices_are_truncations(exact: Exact) -> Finding:
    """Critical points of the Frobenius distance to a generic target among matrices of rank N_1 are the C(n, N_1)
    choices of as many of its n singular values: at each the gradient by both layers vanishes.
    """
    generator, worst, counted = np.random.default_rng(exact.seed), 0.0, True
    for widths in ([3, 2, 3], [2, 1, 3], [4, 2, 3]):
        target = generator.standard_normal((widths[2], widths[0]))
        left, values, right = np.linalg.svd(target, full_matrices=False)
        chosen = [flags for flags in product((0, 1), repeat=len(values)) if sum(flags) == widths[1]]
        nearest = TwoLayerLinearConfig(widths=widths).invariants().nearest_points
        counted &= nearest is not None and nearest.value == len(chosen)
        for flags in chosen:
            kept = np.flatnonzero(flags)
            outer, inner = left[:, kept] * values[kept], right[kept]
            residual = target - outer @ inner
            worst = max(worst, float(np.abs(outer.T @ residual).max()), float(np.abs(residual @ inner.T).max()))
    return small(worst if counted else 1.0, 1e-12, "largest entry of a gradient, in floats", str(exact.seed))


@INVITATION.claim(MONOMIAL, "conserved quantities", "theorem")
def gradient_flow_conserves_symmetric_generators(exact: Exact) -> Finding:
    """Gradient flow of any loss conserves W_2^T W_2 - W_1 W_1^T in linear networks and |out|^2 - |in|^2 / r in monomial
    ones, and the like for filters.
    """
    networks = [TwoLayerLinearConfig(widths=[3, 2, 3]), MonomialMlpConfig(widths=[3, 3, 2], degree=3),
                MonomialMlpConfig(widths=[2, 3, 2, 1], degree=2), PolynomialCnnConfig(filters=[2, 3, 2])]
    return exact.all_true({f"{network.name} {one.generator}": one.exact for network in networks
                           for one in exact.fibre(network).conserved}, "conserved")
