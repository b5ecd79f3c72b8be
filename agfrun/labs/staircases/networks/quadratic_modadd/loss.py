"""Exact loss, gradient and Hessian of quadratic neurons on modular addition, without the p^2 data set.

A neuron is theta = (u, v, w) and answers (A[a] + B[b])^2 w, where A = input_map^T u and
B = input_map^T v are its responses to all shifts of the template. With a mean-zero template

    L = E_y - sum_i T_i + 1/2 sum_ij M_ij <w_i, w_j>,
    T_i  = (2/p^2) sum_ab A_i[a] B_i[b] <w_i, x_(a+b)>,
    M_ij = E_ab (A_i + B_i)^2 (A_j + B_j)^2
         = <A_i^2, A_j^2>/p + <B_i^2, B_j^2>/p + alpha_i beta_j + beta_i alpha_j + 4 G^A_ij G^B_ij,

with alpha_i = E A_i^2, beta_i = E B_i^2, G^A_ij = E A_i A_j, G^B_ij = E B_i B_j. Cost: O(H^2 p + H p^2)
for a gradient against O(H p^3) over the data set.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """What K neurons contribute to the loss: responses and their second moments.

    Attributes:
        responses: A and B at all p shifts, shape (2, K, p).
        squares: their elementwise squares, shape (2, K, p).
        means: alpha and beta, means of the squares, shape (2, K).
        output: w, shape (K, q).
    """

    responses: Tensor
    squares: Tensor
    means: Tensor
    output: Tensor


class QuadraticLoss:
    """Loss of neurons (u, v, w) whose inputs and outputs meet the template through two linear maps.

    Args:
        input_map: (m, p); u and v have m entries each and respond with `u @ input_map`.
        output_map: (q, p); w has q entries, `w @ output_map`[s] = <w, x shifted by s>.
        target_energy: E 1/2 ||y||^2.
    """

    def __init__(self, input_map: Tensor, output_map: Tensor, target_energy: float) -> None:
        self.input_map = input_map
        self.output_map = output_map
        self.target_energy = target_energy
        self.m, self.p = input_map.shape
        self.output_size = output_map.shape[0]
        self.dimension = 2 * self.m + self.output_size

    def multiplications(self, count: int) -> int:
        """Multiplications of one gradient for `count` neurons, about: its products over pairs of neurons."""
        return count**2 * (8 * self.p + 2 * self.output_size)

    def moments(self, neurons: Tensor) -> Moments:
        """Moments of neurons (K, 2m + q)."""
        inputs = neurons[:, : 2 * self.m].reshape(neurons.shape[0], 2, self.m).transpose(0, 1)
        responses = inputs @ self.input_map
        squares = responses * responses
        return Moments(responses, squares, squares.mean(-1), neurons[:, 2 * self.m :])

    def target_gradient(self, probe: Moments) -> Tensor:
        """Derivatives of sum_i T_i with respect to A, B and w @ output_map, shape (3, K, p)."""
        if probe.output.shape[0] == 0:  # the FFT refuses an empty batch
            return probe.responses.new_zeros(3, 0, self.p)
        # Sums over one shift of A, B or W at a, b and a + b are correlations and convolutions, products of transforms.
        waves = torch.fft.rfft(torch.cat([probe.responses, (probe.output @ self.output_map)[None]]))
        a, b, w = waves[0], waves[1], waves[2]
        products = torch.stack([b.conj() * w, a.conj() * w, a * b])
        gradient: Tensor = torch.fft.irfft(products, n=self.p) * (2 / self.p**2)
        return gradient

    def utility_gradient(self, probe: Moments, source: Moments) -> tuple[Tensor, Tensor]:
        """Gradient (K, 2m + q) of the probes' utility given the sources, and each probe's T, (K,)."""
        scale = 2 / self.p
        target = self.target_gradient(probe)
        target_output = target[2] @ self.output_map.T
        gram = self.gram(probe, source)
        overlap = probe.output @ source.output.T
        output = target_output - self.coupling(probe, source, gram) @ source.output
        # dM_ij / dA_i = (2 / p) A_i (A_j^2 + beta_j) + (4 / p) G^B_ij A_j.
        own = overlap @ torch.cat([*(source.squares + source.means.flip(0)[..., None])], dim=1)
        # Whatever is as large as pairs of neurons is passed over as seldom as can be: that takes longer than products.
        mutual = (gram * overlap) @ source.responses.flip(0)
        drive = target[:2] - scale * own.view(-1, 2, self.p).transpose(0, 1) * probe.responses
        inputs = (drive - 2 * scale * mutual.flip(0)) @ self.input_map.T
        gradient = torch.cat([inputs[0], inputs[1], output], dim=1)
        return gradient, (target_output * probe.output).sum(-1)

    def gram(self, probe: Moments, source: Moments) -> Tensor:
        """G^A_ij and G^B_ij between probes and sources, (2, K, J)."""
        return (probe.responses / self.p) @ source.responses.transpose(1, 2)

    def coupling(self, probe: Moments, source: Moments, gram: Tensor) -> Tensor:
        """M_ij between probes and sources, shape (K, J)."""
        left = torch.cat([*(probe.squares / self.p), probe.means.T], dim=1)
        right = torch.cat([*source.squares, source.means.flip(0).T], dim=1)
        return torch.addcmul(left @ right.T, gram[0], gram[1], value=4)

    def loss(self, source: Moments) -> Tensor:
        """Paper loss of the network made of the sources."""
        gram = self.gram(source, source)
        overlap = source.output @ source.output.T
        target = self.target_gradient(source)[2] @ self.output_map.T
        pairs = (self.coupling(source, source, gram) * overlap).sum()
        return self.target_energy - (target * source.output).sum() + 0.5 * pairs

    def loss_and_gradient(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its gradient (K, 2m + q), sharing every intermediate.

        The pair term of the loss comes from Euler's theorem: 3 U_i = <theta_i, grad U_i> and
        sum_ij M_ij <w_i, w_j> = sum_i (T_i - U_i).
        """
        moments = self.moments(neurons)
        gradient, target = self.utility_gradient(moments, moments)
        utility = (gradient * neurons).sum() / 3
        return self.target_energy - 0.5 * (target.sum() + utility), -gradient

    def hessian(self, neurons: Tensor) -> Tensor:
        """Hessian of the loss, (K(2m + q), K(2m + q)), assembled block by block."""
        moments = self.moments(neurons)
        count, m = neurons.shape[0], self.m
        gram = self.gram(moments, moments)
        overlap = moments.output @ moments.output.T
        blocks = neurons.new_empty(count, self.dimension, count, self.dimension)
        for z in range(2):
            rows = slice(z * m, (z + 1) * m)
            blocks[:, rows, :, rows] = self._input_input(moments, gram, overlap, z)
            mixed = self._input_output(moments, gram, z)
            blocks[:, rows, :, 2 * m :] = mixed
            blocks[:, 2 * m :, :, rows] = mixed.permute(2, 3, 0, 1)
        across = self._across_inputs(moments, overlap)
        blocks[:, :m, :, m : 2 * m] = across
        blocks[:, m : 2 * m, :, :m] = across.permute(2, 3, 0, 1)
        coupling = self.coupling(moments, moments, gram)
        identity = torch.eye(self.output_size, dtype=neurons.dtype, device=neurons.device)
        blocks[:, 2 * m :, :, 2 * m :] = coupling[:, None, :, None] * identity[None, :, None, :]
        return blocks.view(count * self.dimension, count * self.dimension)

    def _input_input(self, moments: Moments, gram: Tensor, overlap: Tensor, z: int) -> Tensor:
        """d^2 L / d A d A (z = 0) or d B d B (z = 1), mapped to u or v; shape (K, m, K, m)."""
        responses, p = moments.responses[z], self.p
        # d^2 M_ij / dA_i dA_j = (4 / p) (A_i A_j + G^B_ij) at equal shifts, 0 at others.
        pairs = responses[:, None, :] * responses[None, :, :] + gram[1 - z][..., None]
        diagonal = (4 / p) * overlap[..., None] * pairs
        own = (2 / p) * (overlap @ (moments.squares[z] + moments.means[1 - z][:, None]))
        diagonal.diagonal(dim1=0, dim2=1).add_(own.T)
        blocks = (self.input_map * diagonal[:, :, None, :]) @ self.input_map.T
        return blocks.permute(0, 2, 1, 3)

    def _input_output(self, moments: Moments, gram: Tensor, z: int) -> Tensor:
        """d^2 L / d A d w (z = 0) or d B d w (z = 1), mapped to u or v; shape (K, m, K, q)."""
        p, output = self.p, moments.output
        responses, other = moments.responses[z], moments.responses[1 - z]
        slope = (2 / p) * responses[:, None, :] * (moments.squares[z] + moments.means[1 - z][:, None])
        slope = (slope + (4 / p) * gram[1 - z][..., None] * responses) @ self.input_map.T
        blocks = slope[:, :, :, None] * output[:, None, None, :]
        target = self.input_map @ self._partners(other, z) @ self.output_map.T
        own = torch.einsum("ijm,jc->imc", slope, output) - (2 / p**2) * target
        blocks.diagonal(dim1=0, dim2=1).add_(own.permute(1, 2, 0))
        return blocks.permute(0, 2, 1, 3)

    def _across_inputs(self, moments: Moments, overlap: Tensor) -> Tensor:
        """d^2 L / d A d B, mapped to u and v; shape (K, m, K, m)."""
        p = self.p
        u, v = (moments.responses @ self.input_map.T).unbind(0)
        straight = u[:, None, :, None] * v[None, :, None, :]
        swapped = u[None, :, :, None] * v[:, None, None, :]
        blocks = (4 / p**2) * overlap[:, :, None, None] * (straight + swapped)
        target = self.input_map @ self._of_products(moments.output @ self.output_map) @ self.input_map.T
        own = (4 / p**2) * torch.einsum("ij,jm,jn->imn", overlap, u, v) - (2 / p**2) * target
        blocks.diagonal(dim1=0, dim2=1).add_(own.permute(1, 2, 0))
        return blocks.permute(0, 2, 1, 3)

    def _partners(self, other: Tensor, place: int) -> Tensor:
        """Responses (K, p) at what makes s with a, in front of it or behind: entry [i, a, s], (K, p, p).

        Args:
            place: of a in the pair, 0 or 1; it matters in a group that is not commutative.
        """
        return _shifted(other, -1)

    def _of_products(self, rows: Tensor) -> Tensor:
        """Rows (K, p) at what a and b make: entry [i, a, b], (K, p, p)."""
        return _shifted(rows, 1)


def _shifted(rows: Tensor, sign: int) -> Tensor:
    """Shift rows (K, p) to (K, p, p): entry [i, a, s] = rows[i, (s + sign * a) mod p]."""
    p = rows.shape[1]
    shift = torch.arange(p, device=rows.device)
    return rows[:, (shift[None, :] + sign * shift[:, None]) % p]
