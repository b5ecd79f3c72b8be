"""The Jacobian of a monomial fully connected network modulo a prime, by reverse accumulation in integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agfrun.labs.neuromanifolds.networks.monomial_mlp.theory import Widths
from agfrun.labs.neuromanifolds.prime_field import IntArray, power, product, random_elements


def random_jacobian(widths: Widths, degree: int, prime: int, generator: np.random.Generator,
                    evaluations: int) -> IntArray:
    """Derivatives at random weights of random combinations of the outputs at random inputs.

    Returns:
        (P, evaluations), with P the parameters less the hidden neurons: one weight of each is left out.
    """
    weights = random_weights(widths, prime, generator)
    inputs = random_elements(generator, (widths[0], evaluations), prime)
    outputs = random_elements(generator, (widths[-1], evaluations), prime)
    blocks = jacobian(weights, inputs, outputs, degree, prime)
    # The derivative along each neuron's rescaling vanishes. It moves the neuron's first incoming weight, and of the
    # other neurons' first incoming weights only some of the next layer's. So, from the last layer to the first, the
    # derivatives by these weights follow from all others, and need no rows.
    free = [block[:, 1:] for block in blocks[:-1]] + [blocks[-1]]
    return np.concatenate([block.reshape(-1, evaluations) for block in free])


def random_weights(widths: Widths, prime: int, generator: np.random.Generator) -> list[IntArray]:
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
