"""Exact loss and gradient of neurons of degree k on sequences of k elements, without the n^k sequences.

A neuron is theta = (u_1, ..., u_k, w) and answers (A_1[g_1] + ... + A_k[g_k])^k w, where A_l = input_map^T u_l are its
responses to all encodings x_g. All elements are independent and uniform, and the template has mean zero, so that

    L = E_y - sum_i T_i + 1/2 sum_ij M_ij <w_i, w_j>,
    T_i  = k!/n^k sum_s W_i[s] (A_i1 * ... * A_ik)[s],       W_i[s] = <w_i, x_s>, * the group's convolution,
    M_ij = E (sum_l A_il[g_l])^k (sum_l A_jl[g_l])^k.

Only products of all k responses see the target, as its mean over any one element is zero. M is a moment of a sum of
independent pairs: with m_l[a, b] = E A_il^a A_jl^b / (a! b!) it is (k!)^2 times the entry [k, k] of the convolution of
m_1, ..., m_k in both exponents. Cost: O(H n^2 k + H^2 n k^3) for a gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.group_composition.composition import Composition
from agfrun.labs.staircases.networks.quadratic_modadd.loss import Moments, QuadraticLoss

Grid = list[list[Tensor]]


@dataclass(frozen=True)
class Responses:
    """What K neurons contribute to the loss.

    Attributes:
        powers: A_l^a over a! at all elements, a from 0 to k, shape (k + 1, k, K, n).
        output: w, shape (K, q).
    """

    powers: Tensor
    output: Tensor


class SequenceLoss:
    """Loss of neurons (u_1, ..., u_k, w) whose inputs and outputs meet the template through two linear maps.

    Args:
        composition: of the group.
        length: k, at least 2.
        input_map: (m, n) with rows of mean zero; each u has m entries and responds with `u @ input_map`.
        output_map: (q, n); w has q entries, `w @ output_map`[s] = <w, x_s>.
        target_energy: E 1/2 ||y||^2.
    """

    def __init__(self, composition: Composition, length: int, input_map: Tensor, output_map: Tensor,
                 target_energy: float) -> None:
        self.composition, self.length, self.target_energy = composition, length, target_energy
        self.input_map, self.output_map = input_map, output_map
        self.m, self.order = input_map.shape
        self.inputs = length * self.m

    def responses(self, neurons: Tensor) -> Responses:
        """Responses of neurons (K, k m + q)."""
        inputs = neurons[:, : self.inputs].reshape(neurons.shape[0], self.length, self.m).transpose(0, 1)
        response = inputs @ self.input_map
        powers = [torch.ones_like(response)]
        for exponent in range(1, self.length + 1):
            powers.append(powers[-1] * response / exponent)
        return Responses(torch.stack(powers), neurons[:, self.inputs :])

    def target_gradient(self, probe: Responses) -> tuple[Tensor, Tensor]:
        """Derivatives of sum_i T_i with respect to the responses, (k, K, n), and to w @ output_map, (K, n)."""
        response, scale = probe.powers[1], math.factorial(self.length) / self.order**self.length
        products = [response[0]]  # A_1 * ... * A_l
        for following in response[1:]:
            products.append(self.composition.convolve(products[-1], following))
        outer, gradients = probe.output @ self.output_map, []
        for place in range(self.length - 1, 0, -1):
            gradients.append(self.composition.after(products[place - 1], outer))
            outer = self.composition.before(response[place], outer)
        return scale * torch.stack([outer, *reversed(gradients)]), scale * products[-1]

    def loss(self, source: Responses) -> Tensor:
        """Paper loss of the network made of the sources."""
        target = self.target_gradient(source)[1] @ self.output_map.T
        coupling = self._moment(self._all(self._moments(source, source)))
        return self.target_energy - (target * source.output).sum() + 0.5 * (
            coupling * (source.output @ source.output.T)).sum()

    def utility_gradient(self, probe: Responses, source: Responses) -> Tensor:
        """Gradient (K, k m + q) of the probes' utility given the sources."""
        return self._gradient(probe, source)[0]

    def loss_and_gradient(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its gradient (K, k m + q); the pair term of the loss comes from the gradient by Euler's theorem."""
        own = self.responses(neurons)
        gradient, target = self._gradient(own, own)
        utility = (gradient * neurons).sum() / (self.length + 1)
        return self.target_energy - 0.5 * (target.sum() + utility), -gradient

    def _gradient(self, probe: Responses, source: Responses) -> tuple[Tensor, Tensor]:
        """Gradient (K, k m + q) of the probes' utility, and each probe's T, (K,)."""
        to_responses, to_output = self.target_gradient(probe)
        overlap = probe.output @ source.output.T
        moments, scale = self._moments(probe, source), math.factorial(self.length) ** 2
        inputs = []
        for place in range(self.length):
            others = self._all(moments[:place] + moments[place + 1 :])
            drive = to_responses[place]
            # The derivative of A^a / a! is A^(a-1) / (a-1)!.
            for a, b in product(range(1, self.length + 1), range(self.length + 1)):
                pairs = scale / self.order * overlap * others[self.length - a][self.length - b]
                drive = drive - probe.powers[a - 1, place] * (pairs @ source.powers[b, place])
            inputs.append(drive @ self.input_map.T)
        target_output = to_output @ self.output_map.T
        coupling = self._moment(self._all(moments))
        output = target_output - coupling @ source.output
        return torch.cat([*inputs, output], dim=1), (target_output * probe.output).sum(-1)

    def _moments(self, probe: Responses, source: Responses) -> list[Grid]:
        """m_l[a][b] between probes and sources, (K, J) each, for each place l of a sequence."""
        exponents = range(self.length + 1)
        return [[[probe.powers[a, place] @ source.powers[b, place].T / self.order for b in exponents]
                 for a in exponents] for place in range(self.length)]

    def _all(self, grids: list[Grid]) -> Grid:
        """The convolution of moments in both exponents, up to k."""
        result, exponents = grids[0], range(self.length + 1)
        for grid in grids[1:]:
            result = [[sum((result[c][d] * grid[a - c][b - d] for c in range(a + 1) for d in range(b + 1)),
                           torch.zeros_like(grid[0][0])) for b in exponents] for a in exponents]
        return result

    def _moment(self, grid: Grid) -> Tensor:
        """M_ij, (K, J)."""
        return math.factorial(self.length) ** 2 * grid[self.length][self.length]


class PairLoss(QuadraticLoss):
    """The loss at k = 2, that of modular addition with the group's product in place of the sum."""

    def __init__(self, composition: Composition, input_map: Tensor, output_map: Tensor, target_energy: float) -> None:
        super().__init__(input_map, output_map, target_energy)
        self.composition = composition

    def target_gradient(self, probe: Moments) -> Tensor:
        """See `QuadraticLoss.target_gradient`."""
        (first, second), outer = probe.responses, probe.output @ self.output_map
        sums = [self.composition.before(second, outer), self.composition.after(first, outer),
                self.composition.convolve(first, second)]
        return torch.stack(sums) * (2 / self.p**2)

    def _partners(self, other: Tensor, place: int) -> Tensor:
        quotients = self.composition.right_quotients if place else self.composition.left_quotients
        return other[:, quotients]

    def _of_products(self, rows: Tensor) -> Tensor:
        return rows[:, self.composition.table]
