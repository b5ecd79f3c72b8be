"""Claims about critical points: how many there are, which are spurious, and where gradient flow ends."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from collections.abc import Iterable
from math import comb

import numpy as np

from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.descent import Flow
from agfrun.labs.neuromanifolds.landscape.equations import NONE
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.loss import Loss
from agfrun.labs.neuromanifolds.landscape.msolve import NOT_INSTALLED, Timer, executable
from agfrun.labs.neuromanifolds.landscape.real_points import RealPoint, isolated, real_points
from agfrun.labs.neuromanifolds.landscape.samples import random_samples
from agfrun.labs.neuromanifolds.networks.attention.network import LightningAttentionConfig
from agfrun.labs.neuromanifolds.networks.cnn.network import PolynomialCnnConfig
from agfrun.labs.neuromanifolds.networks.linear.network import TwoLayerLinearConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig, PolynomialMlpConfig
from agfrun.labs.neuromanifolds.paper_claims.exact import (
    CNN,
    CONVOLUTIONAL,
    INVITATION,
    LIGHTNING,
    LINEAR,
    MONOMIAL,
    POLYNOMIAL,
    Exact,
)
from agfrun.study.paper_claim import OURS, Finding, Inconclusive, same_text

SECONDS = 120.0
DATA_SETS, STARTS = 3, 60
Asked = tuple[NetworkConfig, str, int | None, int | None]
"""Network, question, samples, and the expected count; None: infinitely many."""


def cnn(filters: Iterable[int], degree: int = 2, strides: list[int] | None = None) -> PolynomialCnnConfig:
    """A convolutional network."""
    return PolynomialCnnConfig(filters=list(filters), degree=degree, strides=strides)


def mlp(widths: Iterable[int], degree: int) -> MonomialMlpConfig:
    """A monomial network."""
    return MonomialMlpConfig(widths=list(widths), degree=degree)


def attention(widths: Iterable[int], rank: int) -> LightningAttentionConfig:
    """One layer of attention."""
    return LightningAttentionConfig(widths=list(widths), ranks=[rank])


def require_solver() -> None:
    """Leave a claim undecided where there is no msolve."""
    if executable() is None:
        raise Inconclusive(NOT_INSTALLED)


def count(exact: Exact, network: NetworkConfig, question: str, samples: int | None = None) -> int | None:
    """The number of functions that answer a question; None: infinitely many."""
    require_solver()
    found = counting.count_functions(network, exact.dimension(network), question, samples, exact.seed, SECONDS)
    if found.count is None and found.verdict != counting.INFINITE:
        raise Inconclusive(found.note)
    return found.count


def counted(exact: Exact, asked: Iterable[Asked]) -> Finding:
    """Whether all counts are as expected."""
    expected, found = [], []
    for network, question, samples, number in asked:
        expected.append(_word(number))
        found.append(_word(count(exact, network, question, samples)))
    return same_text(", ".join(expected), ", ".join(found), "complex solutions modulo a prime, by Groebner bases",
                     str(exact.seed))


def _word(number: int | None) -> str:
    return counting.INFINITE if number is None else str(number)


def all_real_points(exact: Exact, network: NetworkConfig) -> list[tuple[str, list[RealPoint]]]:
    """Real critical points of random data sets, each with which degenerate weights were left out."""
    require_solver()
    return exact.once(f"real points of {network!r}", lambda: _real_points(exact, network))


def _real_points(exact: Exact, network: NetworkConfig) -> list[tuple[str, list[RealPoint]]]:
    dimension, timer, found = exact.dimension(network), Timer(SECONDS), []
    equations = counting.equations_of(network, dimension, exact.seed)
    for number in range(DATA_SETS):
        loss = Loss.of_samples(equations.expansion, *random_samples(
            equations.expansion, 2 * dimension, exact.seed, number))
        finite = isolated(equations, loss, timer)
        points = None if finite is None else real_points(equations, loss, finite[0], timer)
        if finite is None or points is None:
            raise Inconclusive(f"{network.name} {network.architecture()}: critical points come in families")
        found.append((finite[0], points))
    return found


@CONVOLUTIONAL.claim(CNN, "theorem on the degree", "theorem")
def convolutions_have_the_degree_of_segre_veronese(exact: Exact) -> Finding:
    """The degree of a convolutional network with z^r is that of the Segre-Veronese variety of its filters."""
    return counted(exact, [(cnn(filters, degree), counting.DEGREE, None, number) for filters, degree, number in (
        ((2, 2), 2, 4), ((2, 2), 3, 6), ((2, 3), 2, 6), ((3, 2), 2, 12), ((3, 2), 3, 27), ((3, 3), 2, 24),
        ((2, 2, 2), 2, 48))])


@CONVOLUTIONAL.claim(CNN, "theorem on critical points", "theorem")
def generic_losses_of_convolutions(exact: Exact) -> Finding:
    """A quadratic loss with generic data has as many complex critical points other than 0 as the Segre-Veronese variety
    has for a generic inner product: 14, 22, 22, 79, 210, 219 and 404 for filters 2-2, 2-2 (cubic), 2-3, 3-2, 3-2
    (cubic), 3-3 and 2-2-2.
    """
    return counted(exact, [(cnn(filters, degree), counting.GENERIC, None, number) for filters, degree, number in (
        ((2, 2), 2, 14), ((2, 2), 3, 22), ((2, 3), 2, 22), ((3, 2), 2, 79), ((3, 2), 3, 210), ((3, 3), 2, 219),
        ((2, 2, 2), 2, 404))])


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def strides_do_not_change_the_count(exact: Exact) -> Finding:
    """Strides change the functions, and neither the degree nor the number of critical points of a generic loss."""
    return counted(exact, [(cnn(filters, 2, list(strides)), counting.GENERIC, None, number)
                           for filters, strides, number in (((2, 2), (2, 1), 14), ((2, 2), (3, 1), 14),
                                                            ((2, 3), (2, 1), 22), ((3, 2), (2, 1), 79))])


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def as_many_samples_as_dimensions(exact: Exact) -> Finding:
    """With as many random samples as dimensions, or more, a loss has the generic number of critical points; with one
    sample less it has infinitely many.
    """
    return counted(exact, [(cnn(filters), counting.SAMPLES, dimension + more, number if more >= 0 else None)
                           for filters, dimension, number in (((2, 2), 3, 14), ((3, 2), 4, 79), ((3, 3), 5, 219))
                           for more in (-1, 0, 1)])


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def special_inner_products_have_fewer(exact: Exact) -> Finding:
    """The sum of squares of the coefficients, and Bombieri's inner product, have fewer critical points than generic
    ones, or as many: 6 and 4 for filters 2-2 with strides 2 and 1 (generic: 14), 71 and 43 for 3-2 (79), 219 and 203
    for 3-3 (219), 22 and 20 for 2-3 (22), 14 and 14 for 2-2 (14).
    """
    cases = ((cnn((2, 2), 2, [2, 1]), 6, 4), (cnn((3, 2)), 71, 43), (cnn((3, 3)), 219, 203), (cnn((2, 3)), 22, 20),
             (cnn((2, 2)), 14, 14))
    return counted(exact, [(network, question, None, number) for network, identity, bombieri in cases
                           for question, number in ((counting.IDENTITY, identity), (counting.BOMBIERI, bombieri))])


@CONVOLUTIONAL.claim(CNN, "theorem on critical points", "theorem")
def only_zero_is_spurious_in_convolutions(exact: Exact) -> Finding:
    """Critical points of the weights whose function is not 0 are critical points of the function."""
    spurious = sum(not one.pure and not one.at_zero for filters in ((2, 2), (2, 3), (3, 2))
                   for _, points in all_real_points(exact, cnn(filters)) for one in points)
    return same_text("0 others", f"{spurious} others", "certified real points of random data sets", str(exact.seed))


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def indices_add_up_to_an_euler_characteristic(exact: Exact) -> Finding:
    """Over all real critical points, those of f = 0 included, (-1)^index adds up to the product of the Euler
    characteristics of the projective spaces of all filters but the last.
    """
    sums, expected = [], []
    for filters in ((2, 2), (2, 3), (3, 2)):
        network = cnn(filters)
        for left_out, points in all_real_points(exact, network):
            known = all(one.index is not None for one in points) and left_out == NONE
            sums.append(str(sum((-1) ** (one.index or 0) for one in points)) if known else "uncertain")
            expected.append(str(network.morse_sum()))
    return same_text(", ".join(expected), ", ".join(sums), "certified indices", str(exact.seed))


@CONVOLUTIONAL.claim(CNN, OURS, "ours")
def real_points_have_the_parity_of_complex_ones(exact: Exact) -> Finding:
    """Real critical points other than 0 are as many as complex ones, modulo 2, and their number differs between data
    sets.
    """
    found = [[sum(not one.at_zero for one in points) for _, points in all_real_points(exact, cnn(filters))]
             for filters in ((2, 2), (3, 2))]
    right = all(number % 2 == 0 for number in found[0]) and all(number % 2 for number in found[1])
    varies = all(len(set(numbers)) > 1 for numbers in found)
    return same_text("even and odd, different", f"{'even and odd' if right else 'not so'}, "
                     f"{'different' if varies else 'the same'}", f"{found} of 14 and 79", str(exact.seed))


@INVITATION.claim(LINEAR, "generic Euclidean distance degree", "theorem")
def generic_losses_of_linear_networks(exact: Exact) -> Finding:
    """For a generic inner product the matrices of rank at most N_1 have as many critical points as their polar degrees
    add up to: 6, 10, 39 and 39 for widths 2-1-2, 2-1-3, 3-1-3 and 3-2-3; and their degree is 2, 3, 6 and 3.
    """
    cases = (([2, 1, 2], 2, 6), ([2, 1, 3], 3, 10), ([3, 1, 3], 6, 39), ([3, 2, 3], 3, 39))
    return counted(exact, [(TwoLayerLinearConfig(widths=widths), question, None, number)
                           for widths, degree, points in cases
                           for question, number in ((counting.DEGREE, degree), (counting.GENERIC, points))])


@INVITATION.claim(LINEAR, "critical points of the squared error", "theorem")
def squared_errors_of_linear_networks_have_only_real_points(exact: Exact) -> Finding:
    """The squared error of a linear network has C(min(N_0, N_2), N_1) critical matrices of full rank N_1, all of them
    real, and one minimum.
    """
    found, expected = [], []
    for widths in ([2, 1, 2], [3, 1, 3], [3, 2, 3]):
        number = comb(min(widths[0], widths[2]), widths[1])
        for _, points in all_real_points(exact, TwoLayerLinearConfig(widths=widths)):
            whole = [one for one in points if not one.subnetwork]
            found.append(f"{len(whole)} with {sum(one.index == 0 for one in points)}")
            expected.append(f"{number} with 1")
    return same_text(", ".join(expected), ", ".join(found), "certified real points", str(exact.seed))


@INVITATION.claim(LIGHTNING, OURS, "ours")
def generic_losses_of_attention(exact: Exact) -> Finding:
    """One attention layer has the degree and the number of critical points of rank-one matrices, or of rank-one tensors
    where its scores have rank one: 4 and 14, 20 and 284, 20 and 196 for widths 2-1 and 2-2 with free scores, and for
    2-2 with scores of rank one.
    """
    cases = ((attention((2, 1), 2), 4, 14), (attention((2, 2), 2), 20, 284), (attention((2, 2), 1), 20, 196))
    return counted(exact, [(network, question, None, number) for network, degree, points in cases
                           for question, number in ((counting.DEGREE, degree), (counting.GENERIC, points))])


@INVITATION.claim(MONOMIAL, "generic Euclidean distance degree", "theorem")
def generic_losses_of_one_neuron(exact: Exact) -> Finding:
    """A monomial network of one hidden neuron is a Segre-Veronese variety: degrees 2, 3, 4 and 4, and 4, 7, 13 and 14
    critical points for 2-1-1 (z^2), 2-1-1 (z^3), 3-1-1 (z^2) and 2-1-2 (z^2).
    """
    cases = ((mlp((2, 1, 1), 2), 2, 4), (mlp((2, 1, 1), 3), 3, 7), (mlp((3, 1, 1), 2), 4, 13),
             (mlp((2, 1, 2), 2), 4, 14))
    return counted(exact, [(network, question, None, number) for network, degree, points in cases
                           for question, number in ((counting.DEGREE, degree), (counting.GENERIC, points))])


@INVITATION.claim(MONOMIAL, OURS, "ours")
def generic_losses_of_two_neurons(exact: Exact) -> Finding:
    """Two hidden neurons, up to their exchange: degrees 3, 6 and 6, and 13, 34 and 83 critical points for 2-2-1 (z^4),
    2-2-1 (z^5) and 2-2-2 (z^3).
    """
    cases = ((mlp((2, 2, 1), 4), 3, 13), (mlp((2, 2, 1), 5), 6, 34), (mlp((2, 2, 2), 3), 6, 83))
    return counted(exact, [(network, question, None, number) for network, degree, points in cases
                           for question, number in ((counting.DEGREE, degree), (counting.GENERIC, points))])


@INVITATION.claim(MONOMIAL, "quadratic forms of bounded rank", "theorem")
def generic_losses_of_quadratic_forms(exact: Exact) -> Finding:
    """A quadratic network with one output and d_1 < d_0 neurons is the quadratic forms of rank at most d_1: degrees 3
    and 4, and 13 and 13 critical points for 3-2-1 and 3-1-1, the sums of their polar degrees.
    """
    return counted(exact, [(mlp((3, hidden, 1), 2), question, None, number) for hidden, degree, points in (
        (2, 3, 13), (1, 4, 13)) for question, number in ((counting.DEGREE, degree), (counting.GENERIC, points))])


@INVITATION.claim(POLYNOMIAL, OURS, "ours")
def generic_losses_of_a_generic_activation(exact: Exact) -> Finding:
    """The network 2-2-1 with the activation z^3 + z^2 is a cubic hypersurface with 39 critical points."""
    network = PolynomialMlpConfig(widths=[2, 2, 1], coefficients=[0, 1, 1])
    return counted(exact, [(network, counting.DEGREE, None, 3), (network, counting.GENERIC, None, 39)])


@INVITATION.claim(MONOMIAL, "spurious critical points of fully connected networks", "theorem")
def flow_ends_at_spurious_minima_with_positive_probability(exact: Exact) -> Finding:
    """The squared error of the network 2-2-1 with z^2 has one critical function alone, the target's best quadratic
    form; and gradient flow from random weights ends elsewhere, where a neuron vanishes, with positive probability.
    """
    network = mlp((2, 2, 1), 2)
    full = Expansion.of(network, exact.seed, charted=False)
    dimension = exact.dimension(network)
    loss = Loss.of_samples(full, *random_samples(full, 2 * dimension, exact.seed, 0))
    form, linear = loss.form.astype(float), loss.linear.astype(float)
    best = np.linalg.solve(form, linear)
    least = float(loss.constant - linear @ best)
    flow, generator = Flow(full, loss, dimension), np.random.default_rng(exact.seed)
    ended = [flow.descended(generator.standard_normal(len(full.free)), [best]) for _ in range(STARTS)]
    elsewhere = [one for one in ended if one.end in ("subnetwork", "zero") and one.loss > 1.001 * least]
    at_best = [one for one in ended if one.point == 0]
    return Finding("some elsewhere, some at the best", f"{len(elsewhere)} elsewhere, {len(at_best)} at the best", None,
                   f"of {STARTS} starts that came to rest", bool(elsewhere) and bool(at_best), str(exact.seed))
