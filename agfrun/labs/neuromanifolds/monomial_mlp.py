"""The exact dimension of the functions of a monomial fully connected network, as the rank of a Jacobian modulo primes.

The dimension is the generic rank of the derivative of W -> f_W (Kileel, Trager & Bruna, arXiv:1905.12207). The
coefficients of f are never expanded: a tangent vector is a tuple of forms, and as many random evaluations as there are
dimensions, each of a random combination of the outputs at a random input, tell all tangent vectors apart.

`monomial_mlp_theory` gives counts, an upper bound and closed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.neuromanifolds.monomial_mlp_theory import (
    Widths,
    ambient_dimension,
    dimension_bound,
    expected_dimension,
    output_degree,
    parameter_count,
    scaling_count,
)
from agfrun.labs.neuromanifolds.prime_field import (
    PRIMES,
    IntArray,
    combine_rows,
    power,
    product,
    project_rows,
    random_elements,
    rank,
)

# Evaluations beyond the largest possible dimension, so that the number of rows never is what bounds the rank.
SPARE_ROWS = 5
# Terms with which a parameter enters the first, cheap compression.
SPARSE_TERMS = 3


@dataclass(frozen=True)
class MonomialMlpDimension:
    """A measured dimension and what it compares to.

    Attributes:
        widths: d_0, ..., d_L.
        degree: r of the activation z^r.
        dimension: of the neuromanifold: the largest rank found.
        bound: what theory proves the dimension cannot exceed (`dimension_bound`).
        ambient: dimension of all tuples of forms of the outputs' degree.
        expected: the smaller of `ambient` and the parameters less the rescalings.
        parameters: number of weights.
        ranks: each prime with the rank of the Jacobian at random weights modulo it. One prime suffices where the rank
            equals the bound; else there are two, and more after a disagreement.
    """

    widths: Widths
    degree: int
    dimension: int
    bound: int
    ambient: int
    expected: int
    parameters: int
    ranks: tuple[tuple[int, int], ...]

    @property
    def proved(self) -> bool:
        """Whether the dimension is certain: a rank modulo a prime never exceeds it, and this one equals the bound."""
        return self.dimension == self.bound

    @property
    def unanimous(self) -> bool:
        """Whether all primes gave the same rank."""
        return len({rank for _, rank in self.ranks}) == 1

    @property
    def defect(self) -> int:
        """How far the dimension falls short of the expected one."""
        return self.expected - self.dimension

    @property
    def filling(self) -> bool:
        """Whether the functions fill the ambient space up to closure and a set of measure zero."""
        return self.dimension == self.ambient

    @property
    def fibre_dimension(self) -> int:
        """Dimension of the weights that give the same function as generic weights do."""
        return self.parameters - self.dimension


def matrix_entries(widths: Sequence[int], degree: int) -> int:
    """Entries of the Jacobian that `monomial_mlp_dimension` fills; it takes some 50 bytes of memory for each."""
    sizes = tuple(widths)
    return (dimension_bound(sizes, degree) + SPARE_ROWS) * (parameter_count(sizes) - scaling_count(sizes))


def monomial_mlp_dimension(widths: Sequence[int], degree: int, seed: int = 0,
                           primes: Sequence[int] = PRIMES) -> MonomialMlpDimension:
    """Measure the dimension; the same arguments give the same result.

    The first prime is tried with a sparse compression of the Jacobian. If the rank equals the proved upper bound, this
    is the dimension. If not, a second prime and a dense projection must agree, and further primes are tried until two
    ranks agree on the largest value, or none is left.

    Args:
        widths: d_0, ..., d_L, at least two.
        degree: r of the activation z^r.
        seed: of the random weights and inputs.
        primes: below 2^23, tried in this order.

    Raises:
        ValueError: for what is no network, or outputs whose degree r^(L-1) reaches a prime, where polynomials
            modulo it are no longer told apart by their values.
    """
    sizes = tuple(int(width) for width in widths)
    bound = dimension_bound(sizes, degree)
    if output_degree(sizes, degree) >= min(primes):
        raise ValueError(f"the outputs' degree {degree}^{len(sizes) - 2} is not below the prime {min(primes)}")
    generator = np.random.default_rng(seed)
    ranks: list[tuple[int, int]] = []
    for prime in primes:
        ranks.append((prime, _rank(sizes, degree, bound + SPARE_ROWS, prime, generator, sparse=not ranks)))
        values = [value for _, value in ranks]
        if max(values) == bound or values.count(max(values)) > 1:
            break
    return MonomialMlpDimension(sizes, degree, max(values), bound, ambient_dimension(sizes, degree),
                                expected_dimension(sizes, degree), parameter_count(sizes), tuple(ranks))


def _rank(widths: Widths, degree: int, rows: int, prime: int, generator: np.random.Generator, sparse: bool) -> int:
    """Rank of the Jacobian at random weights, on `rows` random evaluations."""
    weights = random_weights(widths, prime, generator)
    inputs = random_elements(generator, (widths[0], rows), prime)
    outputs = random_elements(generator, (widths[-1], rows), prime)
    blocks = jacobian(weights, inputs, outputs, degree, prime)
    # The derivative along each neuron's rescaling vanishes. It moves the neuron's first incoming weight, and of the
    # other neurons' first incoming weights only some of the next layer's. So, from the last layer to the first, the
    # derivatives by these weights follow from all others, and need no rows.
    free = [block[:, 1:] for block in blocks[:-1]] + [blocks[-1]]
    matrix = np.concatenate([block.reshape(-1, rows) for block in free])
    if sparse:
        return rank(combine_rows(matrix, rows, SPARSE_TERMS, prime, generator), prime)
    return rank(project_rows(matrix, rows, prime, generator), prime)


def random_weights(widths: Sequence[int], prime: int, generator: np.random.Generator) -> list[IntArray]:
    """Non-zero random weights W_1, ..., W_L modulo a prime, of shapes (d_l, d_{l-1})."""
    return [random_elements(generator, (widths[i], widths[i - 1]), prime) for i in range(1, len(widths))]


def jacobian(weights: Sequence[IntArray], inputs: IntArray, outputs: IntArray, degree: int,
             prime: int) -> list[IntArray]:
    """Derivatives of sum_k u_k(s) f_k(x(s)) by the weights, for each evaluation s, by reverse accumulation.

    Args:
        weights: W_1, ..., W_L of shapes (d_l, d_{l-1}).
        inputs: x, (d_0, S).
        outputs: u, the combination of outputs, (d_L, S).
        degree: r of the activation.
        prime: all arrays hold residues modulo it.

    Returns:
        One array per layer, (d_l, d_{l-1}, S).
    """
    activations, slopes = [inputs], []
    for weight in weights[:-1]:
        values = product(weight, activations[-1], prime)
        lower = power(values, degree - 1, prime)
        activations.append(lower * values % prime)
        slopes.append(degree * lower % prime)
    sensitivity = outputs
    blocks: list[IntArray] = []
    for i in reversed(range(len(weights))):
        blocks.insert(0, sensitivity[:, None] * activations[i] % prime)
        if i:
            sensitivity = product(weights[i].T, sensitivity, prime) * slopes[i - 1] % prime
    return blocks
