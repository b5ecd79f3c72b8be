"""Claims of "Learning on a Razor's Edge": generic activations, subnetworks, their singularity and exposedness."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks
from agfrun.labs.neuromanifolds.networks.cnn.network import PolynomialCnnConfig
from agfrun.labs.neuromanifolds.networks.linear.network import TwoLayerLinearConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig, PolynomialMlpConfig
from agfrun.labs.neuromanifolds.paper_claims.exact import CNN, MONOMIAL, POLYNOMIAL, RAZOR, Exact
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.study.paper_claim import OURS, Finding

# Widths of generic networks, and the least degree of the activation from which on no weight is redundant.
THRESHOLDS = {
    (2, 2, 1): 3, (2, 3, 1): 3, (3, 2, 1): 3, (3, 4, 1): 3, (2, 4, 1): 4, (2, 2, 2, 1): 3, (2, 3, 3, 1): 3,
    (2, 4, 4, 2): 3, (3, 2, 3, 2): 3, (2, 2, 2, 2, 1): 3, (1, 2, 2, 1): 3, (1, 2, 1): 4, (1, 3, 1): 6,
    (2, 1, 2, 1): 4, (2, 1, 3, 1): 6}
GENERIC = [((2, 2, 1), 3), ((2, 3, 1), 5), ((3, 3, 1), 4), ((2, 2, 2), 4), ((2, 2, 2, 1), 3)]
MONOMIALS = [((2, 2, 1), 4), ((2, 2, 2), 3), ((3, 2, 2), 2), ((3, 3, 3, 3), 2), ((2, 2, 2, 1), 3)]


def generic(widths: tuple[int, ...], degree: int) -> PolynomialMlpConfig:
    """A network with a generic activation of a degree."""
    return PolynomialMlpConfig(widths=list(widths), degree=degree)


def monomial(widths: tuple[int, ...], degree: int) -> MonomialMlpConfig:
    """A network with the activation z^degree."""
    return MonomialMlpConfig(widths=list(widths), degree=degree)


def named(network: NetworkConfig, layer: int, kind: str = "") -> str:
    """A stratum of a network in a few words."""
    fixed = " x^3+x^2" if getattr(network, "coefficients", None) else ""
    return f"{network.architecture()} degree {network.activation_degree()}{fixed} layer {layer} {kind}".strip()


@RAZOR.claim(POLYNOMIAL, "theorem 4.1", "theorem")
def generic_activations_waste_no_weight(exact: Exact) -> Finding:
    """With a generic activation c_1 z + ... + c_r z^r of large degree r the dimension is the number of weights."""
    return exact.compared((network, network.parameters()) for network in (
        generic(widths, degree + more) for widths, degree in THRESHOLDS.items() for more in (0, 1)))


@RAZOR.claim(POLYNOMIAL, "sequel on compositions, sufficient degree", "bound", sharper="thresholds_of_the_degree")
def sufficient_degree_is_sharp(exact: Exact) -> Finding:
    """Below the degree k^2 - 1, k twice the largest hidden width, which suffices for weights to be identifiable, a
    generic network of widths 2-2-1 has fewer dimensions than weights: the sufficient degree is necessary as well.
    """
    below = generic((2, 2, 1), 14)
    found = exact.dimension(below)
    return Finding(f"below {below.parameters()}", found, None, f"degree 14, where the sufficient one is 15; {found} is "
                   "reached from degree 3 on", found < below.parameters(), str(exact.seed))


@RAZOR.claim(POLYNOMIAL, OURS, "ours")
def thresholds_of_the_degree(exact: Exact) -> Finding:
    """The dimension is the number of weights from degree 3 on for most widths with two inputs or more, and from 2 h on
    where h neurons see one variable; at the degree below it falls short.
    """
    cases = {}
    for widths, degree in THRESHOLDS.items():
        full, below = generic(widths, degree), generic(widths, degree - 1)
        cases[named(full, 1)] = exact.dimension(full) == full.parameters() and (
            exact.dimension(below) < below.parameters())
    return exact.all_true(cases, "full at the threshold and not below")


@RAZOR.claim(POLYNOMIAL, "version 1, dimension of strata", "theorem")
def strata_are_smaller_networks(exact: Exact) -> Finding:
    """Where a neuron's incoming and outgoing weights vanish, the Jacobian's rank is the dimension of the network
    without it.
    """
    cases = {}
    for network in [*(generic(*one) for one in GENERIC), *(monomial(*one) for one in MONOMIALS)]:
        for stratum, ranks in exact.strata(network, "union"):
            if stratum.strict:
                smaller = network.without_neuron(stratum.layer)
                assert smaller is not None
                cases[named(network, stratum.layer)] = ranks.rank == exact.dimension(smaller)
    return exact.all_true(cases, "ranks equal dimensions of smaller networks")


@RAZOR.claim(POLYNOMIAL, "theorem 4.2", "theorem")
def subnetworks_are_singular(exact: Exact) -> Finding:
    """Functions of a subnetwork are singular points of the neuromanifold of a generic activation."""
    return exact.all_true({named(network, stratum.layer, stratum.kind): _certified(exact, network, ranks.union_rank)
                           for network in (generic(*one) for one in GENERIC)
                           for stratum, ranks in exact.strata(network, "union")}, "certified by a union of tangents")


@RAZOR.claim(MONOMIAL, OURS, "ours")
def subnetworks_of_monomials_are_singular(exact: Exact) -> Finding:
    """For monomial activations the tangent spaces of one function certify singularity too, but for a dead neuron of the
    first hidden layer of 3-3-3-3 with squares and of either of 2-2-2-1 with cubes, where they span too little to say.
    """
    silent = {((3, 3, 3, 3), 1), ((2, 2, 2, 1), 1), ((2, 2, 2, 1), 2)}
    cases = {}
    for widths, degree in MONOMIALS:
        network = monomial(widths, degree)
        for stratum, ranks in exact.strata(network, "union"):
            certified = _certified(exact, network, ranks.union_rank)
            cases[named(network, stratum.layer, stratum.kind)] = certified != ((widths, stratum.layer) in silent)
    return exact.all_true(cases, "certified, but for the three")


def _certified(exact: Exact, network: NetworkConfig, union: int | None) -> bool:
    return union is not None and union > exact.dimension(network)


@RAZOR.claim(POLYNOMIAL, "theorem 4.3", "theorem")
def strict_subnetworks_are_exposed(exact: Exact) -> Finding:
    """Subnetworks of fully connected networks, all weights of a neuron being 0, are critically exposed: for an open set
    of targets they hold a critical point of the loss.
    """
    networks = [*(generic(*one) for one in GENERIC), *(monomial(*one) for one in MONOMIALS),
                TwoLayerLinearConfig(widths=[3, 2, 3])]
    return exact.all_true({named(network, stratum.layer): ranks.exposed for network in networks
                           for stratum, ranks in exact.strata(network, "exposed") if stratum.strict}, "exposed")


@RAZOR.claim(POLYNOMIAL, "theorem 4.3, read for half-dead neurons", "theorem", sharper="half_dead_neurons_depend")
def half_dead_neurons_are_exposed(exact: Exact) -> Finding:
    """Neurons of which the incoming or the outgoing weights alone vanish are critically exposed as well."""
    return exact.all_true({named(network, stratum.layer, stratum.kind): ranks.exposed
                           for network, stratum, ranks in _half_dead(exact)}, "exposed")


@RAZOR.claim(POLYNOMIAL, OURS, "ours")
def half_dead_neurons_depend(exact: Exact) -> Finding:
    """A neuron without incoming weights is exposed where s'(0) = 0, and with two outputs one without outgoing weights
    is not: its incoming weights, fewer than equations, cannot satisfy them. Both exceptions of 2-2-1 with a linear term
    and of 2-2-2 with cubes are of this kind, and without them all are exposed.
    """
    cases = {}
    for network, stratum, ranks in _half_dead(exact):
        linear_term = isinstance(network, PolynomialMlpConfig) and network.coefficients is None
        free = network.weight_shapes()[f"layer_{stratum.layer}"][1] - (not linear_term)
        equations = network.weight_shapes()[f"layer_{stratum.layer + 1}"][0]
        expected = not linear_term if stratum.kind == "in" else free >= equations
        cases[named(network, stratum.layer, stratum.kind)] = ranks.exposed == expected
    return exact.all_true(cases, "as counted")


def _half_dead(exact: Exact) -> list[tuple[NetworkConfig, Stratum, StratumRanks]]:
    networks = [generic((2, 2, 1), 3), PolynomialMlpConfig(widths=[2, 2, 1], degree=3, coefficients=[0, 1, 1]),
                monomial((2, 2, 2), 3), monomial((3, 2, 2), 2), monomial((3, 3, 1), 4)]
    return [(network, stratum, ranks) for network in networks for stratum, ranks in exact.strata(network, "exposed")
            if stratum.kind in ("in", "out")]


@RAZOR.claim(CNN, "theorem 4.5", "theorem")
def padded_filters_are_not_exposed(exact: Exact) -> Finding:
    """Subnetworks of convolutional networks, filters that begin or end with zeros, are not critically exposed unless
    the function vanishes.
    """
    networks = [PolynomialCnnConfig(filters=[2, 2]), PolynomialCnnConfig(filters=[3, 3]),
                PolynomialCnnConfig(filters=[2, 2, 2]), PolynomialCnnConfig(filters=[4, 3], degree=3),
                PolynomialCnnConfig(filters=[2, 2], activation="polynomial", coefficients=[1, 1]),
                PolynomialCnnConfig(filters=[3, 2], strides=[2, 1], activation="polynomial", coefficients=[1, 1])]
    return exact.all_true({named(network, stratum.layer, stratum.kind): not ranks.exposed for network in networks
                           for stratum, ranks in exact.strata(network, "exposed") if stratum.kind.startswith("node")},
                          "not exposed")


@RAZOR.claim(CNN, "theorem 4.4", "theorem")
def generic_convolutions_waste_no_weight(exact: Exact) -> Finding:
    """With a generic polynomial activation the dimension of a convolutional network is its number of weights."""
    return exact.compared((network, network.parameters()) for network in (
        PolynomialCnnConfig(filters=list(filters), degree=degree, activation="polynomial")
        for filters in ((2, 2), (3, 2), (2, 3), (3, 3), (2, 2, 2), (3, 2, 2), (1, 3)) for degree in (2, 3)))
