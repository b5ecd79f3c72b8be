"""Largest utilities of neurons on sequences of group elements.

Utility of a neuron: U = k! / n^(k+1) sum d tr(y_hat^* w_hat u_k_hat^* x_hat ... u_1_hat^* x_hat) over complex irreps,
with y_hat what is left of x_hat in the target: irreps do not meet. On one irrep Hoelder's inequality for Schatten norms
bounds the trace by those of the factors.

Source: Sequential Group Composition (arXiv 2602.03655), theorem 4.1, of the largest singular value of an irrep. Its
constant C is 1 or 2; C n_rho is the real dimension N of the irrep, which says what it is for the quaternionic type too.
"""

from __future__ import annotations

import math

from agfrun.labs.staircases.networks.group_composition.data import GroupSequences, SpectralPart


def maximal_utility(data: GroupSequences, part: SpectralPart) -> float:
    """Largest utility of a unit neuron along a feature once larger singular values of its irrep are learned.

    k! s^2 s_1^(k-1) / ((k+1) n)^((k+1)/2) N^((1-k)/2), s_1 the largest of the irrep: y_hat ends on the singular vectors
    of s, and with them the x_hat of u_1; those of u_2, ..., u_k may take the largest value, learned as it is.
    """
    k = data.length
    largest = max(other.value for other in data.parts if other.irrep.number == part.irrep.number)
    unit = math.factorial(k) / ((k + 1) * data.order) ** ((k + 1) / 2) * part.irrep.dimension ** ((1 - k) / 2)
    return float(unit * part.value**2 * largest ** (k - 1))


def maximal_utilities(data: GroupSequences) -> list[float]:
    """That of each feature."""
    return [maximal_utility(data, part) for part in data.parts]
