"""Exact loss and gradient of many quadratic neurons on few frequencies, through the network's output.

With responses A = <u, a.x> and B = <v, b.x> the output is

    f(a, b) = sum_i (A_i[a]^2 + B_i[b]^2 + 2 A_i[a] B_i[b]) w_i = P[a] + Q[b] + C[a, b].

Responses lie in the r-dimensional space of the template's frequencies (r is twice their number), so that C
is a tensor of r x r x p numbers, whatever the number of neurons. For a mean-zero template it is orthogonal
over all pairs to functions of a alone and of b alone:

    L = 1/2 E ||y - C||^2 + 1/2 E ||P[a] + Q[b]||^2.

Cost: O(H r^2 p + H p^2) for a gradient, against O(H^2 p) by the moments of pairs of neurons
(`agfrun.architectures.quadratic_loss`). A sum of squares: the loss keeps its digits down to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OutputResidual:
    """What the sources leave of the target, each part divided by the weight with which it enters the loss.

    Attributes:
        cross: minus dL / dC: (y - C) / p^2 as coefficients on pairs of responses, shape (r, r, q).
        own: dL / dP[a] and dL / dQ[b], shape (2, p, q).
        loss: paper loss, a scalar.
    """

    cross: Tensor
    own: Tensor
    loss: Tensor


@dataclass(frozen=True)
class Responses:
    """K neurons as the output sees them.

    Attributes:
        coefficients: A and B in the orthonormal basis of responses, shape (K, 2, r).
        products: outer products of the two, shape (K, r^2).
        responses: A and B at all p shifts, shape (2, K, p).
        output: w, shape (K, q).
    """

    coefficients: Tensor
    products: Tensor
    responses: Tensor
    output: Tensor


class OutputLoss:
    """Loss of neurons (u, v, w) whose inputs and outputs meet the template through two linear maps.

    Args:
        input_map: (r, p) with orthogonal rows; u and v have r entries each and respond with `u @ input_map`.
        output_map: (q, p) with `w @ output_map`[s] = <w, x shifted by s>.
    """

    def __init__(self, input_map: Tensor, output_map: Tensor) -> None:
        self.rank, self.p = input_map.shape
        self.output_size = output_map.shape[0]
        self.dimension = 2 * self.rank + self.output_size
        self.sizes = torch.linalg.vector_norm(input_map, dim=1)
        self.basis = input_map / self.sizes[:, None]
        shift = torch.arange(self.p, device=input_map.device)
        first = output_map[:, (shift[:, None] + shift[None, :]) % self.p] @ self.basis.T
        target = torch.einsum("ma,qan->mnq", self.basis, first)
        self.target = target.reshape(self.rank**2, self.output_size)

    def responses(self, neurons: Tensor) -> Responses:
        """Responses of neurons (K, 2r + q)."""
        count, r = neurons.shape[0], self.rank
        coefficients = neurons[:, : 2 * r].reshape(count, 2, r) * self.sizes
        products = coefficients[:, 0, :, None] * coefficients[:, 1, None, :]
        return Responses(coefficients, products.view(count, r * r), coefficients.transpose(0, 1) @ self.basis,
                         neurons[:, 2 * r :])

    def residual(self, source: Responses) -> OutputResidual:
        """What the sources leave of the target."""
        p, r = self.p, self.rank
        cross = torch.addmm(self.target, source.products.T, source.output, alpha=-2.0)
        own = source.responses.square().transpose(1, 2) @ source.output
        means = own.mean(1)
        loss = cross.square().sum() / (2 * p**2) + own.square().sum() / (2 * p) + (means[0] * means[1]).sum()
        own = (own + means.flip(0)[:, None]) / p
        return OutputResidual((cross / p**2).view(r, r, self.output_size), own, loss)

    def utility_gradient(self, probe: Responses, residual: OutputResidual) -> Tensor:
        """Gradient (K, 2r + q) of the probes' utility against a residual."""
        count, r = probe.output.shape[0], self.rank
        cross = residual.cross.view(r * r, self.output_size)
        partner = (probe.output @ cross.T).view(count, r, r)
        mutual = torch.stack([torch.bmm(partner, probe.coefficients[:, 1, :, None])[..., 0],
                              torch.bmm(probe.coefficients[:, 0, None, :], partner)[:, 0]])
        drive = probe.responses * (probe.output @ residual.own.transpose(1, 2))
        inputs = 2 * (mutual - drive @ self.basis.T) * self.sizes
        output = 2 * (probe.products @ cross)
        output -= (probe.responses.square() @ residual.own).sum(0)
        return torch.cat([inputs[0], inputs[1], output], dim=1)

    def loss_and_gradient(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its gradient (K, 2r + q)."""
        responses = self.responses(neurons)
        residual = self.residual(responses)
        return residual.loss, -self.utility_gradient(responses, residual)
