"""Exact loss, gradient and Hessian of quadratic neurons on few frequencies, through the network's output.

With responses A = <u, a.x> and B = <v, b.x> a neuron answers (A[a] + B[b])^2 w. Responses lie in the
r-dimensional space of the template's frequencies (r is twice their number), so that the square lies in the
space of their products, of some r (2r + 1) dimensions however many neurons there are. In an orthonormal
basis of that space (over all pairs a, b) a neuron's square has coordinates F^T P(u, v), P the products of
two of the 2r entries of (u, v), and

    L = 1/2 ||Y - F^T V||^2,      V = sum_i P_i w_i^T,

with Y the target in that basis. Cost: O(H r^2 q) for a gradient in a handful of matrix products, against
O(H^2 p) by the moments of pairs of neurons (`agfrun.architectures.quadratic_loss`). A sum of squares: the
loss keeps its digits down to zero.

Arrays are native to their device (`agfrun.arrays`) and may have leading batch dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.arrays import Array, empty, namespace, native

# A flow that leaves the numbers is reported by whoever follows it.
_quietly = np.errstate(over="ignore", invalid="ignore")


@dataclass(frozen=True)
class OutputResidual:
    """What the sources leave of the target.

    Attributes:
        rest: Y - F^T V, shape (g, q).
        slope: F (Y - F^T V), with which products meet output weights in the utility, shape (m, q).
        loss: paper loss, a scalar.
    """

    rest: Array
    slope: Array
    loss: Array


class OutputLoss:
    """Loss of neurons (u, v, w) whose inputs and outputs meet the template through two linear maps.

    Args:
        input_map: (r, p) with orthogonal rows of mean zero; u and v have r entries each and respond with
            `u @ input_map`.
        output_map: (q, p) with `w @ output_map`[s] = <w, x shifted by s>.
    """

    def __init__(self, input_map: Tensor, output_map: Tensor) -> None:
        self.rank, self.p = input_map.shape
        self.inputs = 2 * self.rank
        self.output_size = output_map.shape[0]
        self.dimension = self.inputs + self.output_size
        first, second = _pairs(self.inputs, input_map.device)
        place = _place_of_pairs(first, second)
        basis, target = _basis_and_target(input_map, output_map, first, second)
        doubling = torch.where(first == second, 2.0, 1.0).to(input_map)[:, None]
        # Derivative of the squares by the inputs is linear in these: (2r, 2r * g).
        turned = (basis * doubling)[place].flatten(1)
        self.first, self.second, self.where_pair = native(first), native(second), native(place)
        self.basis, self.target, self.doubling, self.turned = (
            native(array.contiguous()) for array in (basis, target, doubling, turned))
        self.identity = native(torch.eye(self.output_size, dtype=basis.dtype, device=basis.device))

    @staticmethod
    def multiplications(rank: int, output_size: int, count: int) -> int:
        """Multiplications of one gradient for `count` neurons, about."""
        products = rank * (2 * rank + 1)
        return products * output_size * (3 * count + 2 * products)

    def products(self, neurons: Array) -> Array:
        """Products of two entries of (u, v), squares first, for neurons (..., K, 2r + q); (..., K, m)."""
        return neurons[..., self.first] * neurons[..., self.second]

    @_quietly
    def residual(self, neurons: Array) -> OutputResidual:
        """What neurons (..., K, 2r + q) leave of the target."""
        return self._residual(self.products(neurons), neurons)

    @_quietly
    def utility_gradient(self, neurons: Array, slope: Array) -> Array:
        """Gradient (..., K, 2r + q) of the probes' utility against a residual with this slope."""
        return self._utility_gradient(neurons, slope, self.products(neurons))

    @_quietly
    def loss_and_utility_gradient(self, neurons: Array) -> tuple[Array, Array]:
        """Loss and minus its gradient (..., K, 2r + q)."""
        products = self.products(neurons)
        residual = self._residual(products, neurons)
        return residual.loss, self._utility_gradient(neurons, residual.slope, products)

    @_quietly
    def curvature(self, neurons: Array, residual: OutputResidual, kept: int) -> tuple[Array, Array]:
        """Hessian of the loss on (u, v) and the first `kept` output weights, and on any one other weight.

        Args:
            neurons: (..., K, 2r + q).
            residual: of all the network's neurons, of which these may be some.
            kept: the output weights from this one on are taken on their own, without what couples them to
                (u, v).

        Returns:
            Hessian (..., n, n), n = K (2r + kept), neuron by neuron; and its block (..., K, K) for one output
            weight of each neuron, the same for all of them.
        """
        batch, count, output = neurons.shape[:-2], neurons.shape[-2], neurons[..., self.inputs :]
        slopes = (neurons[..., : self.inputs] @ self.turned).reshape(*batch, count * self.inputs, -1)
        answers = self.products(neurons) @ self.basis
        own = slopes @ residual.rest[..., :kept]
        straight = (slopes @ slopes.swapaxes(-1, -2)).reshape(*batch, count, self.inputs, count, self.inputs)
        straight *= (output @ output.swapaxes(-1, -2))[..., :, None, :, None]
        mixed = (slopes @ answers.swapaxes(-1, -2)).reshape(*batch, count, self.inputs, count, 1)
        mixed = mixed * output[..., None, None, :, :kept].swapaxes(-2, -4).swapaxes(-2, -3)
        bend = self._bend(neurons, residual.slope)
        own = own.reshape(*batch, count, self.inputs, kept)
        for i in range(count):
            straight[..., i, :, i, :] -= bend[..., i, :, :]
            mixed[..., i, :, i, :] -= own[..., i, :, :]
        coupling = answers @ answers.swapaxes(-1, -2)
        return self._assembled(straight, mixed, coupling, kept), coupling

    def _residual(self, products: Array, neurons: Array) -> OutputResidual:
        rest = self.target - self.basis.T @ (products.swapaxes(-1, -2) @ neurons[..., self.inputs :])
        # Halved before it is summed: NumPy 1 would make 0.5 times a single number of 32 bits one of 64.
        return OutputResidual(rest, self.basis @ rest, (0.5 * rest * rest).sum((-1, -2)))

    def _utility_gradient(self, neurons: Array, slope: Array, products: Array) -> Array:
        gradient = namespace(neurons).empty_like(neurons)
        bend = self._bend(neurons, slope)
        gradient[..., : self.inputs] = (bend @ neurons[..., : self.inputs, None])[..., 0]
        gradient[..., self.inputs :] = products @ slope
        return gradient

    def _bend(self, neurons: Array, slope: Array) -> Array:
        """Hessian (..., K, 2r, 2r) of each neuron's utility by its (u, v) with the residual held fixed."""
        steep = slope * self.doubling
        return (neurons[..., self.inputs :] @ steep.swapaxes(-1, -2))[..., self.where_pair]

    def _assembled(self, straight: Array, mixed: Array, coupling: Array, kept: int) -> Array:
        """Hessian (..., n, n) from its blocks by (u, v), between (u, v) and w, and by one output weight."""
        batch, count, size = coupling.shape[:-2], coupling.shape[-1], self.inputs + kept
        blocks = empty(coupling, (*batch, count, size, count, size))
        blocks[..., : self.inputs, :, : self.inputs] = straight
        blocks[..., : self.inputs, :, self.inputs :] = mixed
        blocks[..., self.inputs :, :, : self.inputs] = mixed.swapaxes(-4, -2).swapaxes(-3, -1)
        blocks[..., self.inputs :, :, self.inputs :] = (
            coupling[..., :, None, :, None] * self.identity[:kept, None, :kept])
        return blocks.reshape(*batch, count * size, count * size)


def _pairs(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and second members of all pairs of `count` things, those of a thing with itself first."""
    alone = torch.arange(count, device=device)
    others = torch.triu_indices(count, count, offset=1, device=device)
    return torch.cat([alone, others[0]]), torch.cat([alone, others[1]])


def _place_of_pairs(first: Tensor, second: Tensor) -> Tensor:
    """Where the pair of things i and j is among the pairs, (n, n)."""
    count = int(first.max()) + 1
    place = torch.zeros(count, count, dtype=torch.long, device=first.device)
    order = torch.arange(first.shape[0], device=first.device)
    place[first, second] = order
    place[second, first] = order
    return place


def _basis_and_target(
    input_map: Tensor, output_map: Tensor, first: Tensor, second: Tensor
) -> tuple[Tensor, Tensor]:
    """F, (m, g), with products @ F a neuron's square in an orthonormal basis; and the target there, (g, q).

    Products of a response to a with one to b are orthogonal to each other and to all else. Functions of a
    alone and of b alone have their means in common, and nothing more.
    """
    rank, p = input_map.shape
    shared = torch.where(first == second, 1.0, 2.0).to(input_map)
    of_a, of_b = second < rank, first >= rank
    sizes = torch.linalg.vector_norm(input_map, dim=1)
    alone = input_map[first[of_a]] * input_map[second[of_a]] * shared[of_a, None]
    means = alone.mean(1)
    varying = _orthonormal(alone - means[:, None]) if len(alone) else alone
    own = (alone @ varying.T) / p**0.5
    across = ~of_a & ~of_b
    g = int(across.sum()) + 1 + 2 * varying.shape[0]
    basis = input_map.new_zeros(first.shape[0], g)
    n = int(across.sum())
    basis[across, torch.arange(n, device=first.device)] = (
        2 * sizes[first[across]] * sizes[second[across] - rank] / p)
    for rows, start in ((of_a, n + 1), (of_b, n + 1 + varying.shape[0])):
        basis[rows, n] = means
        basis[rows, start : start + varying.shape[0]] = own
    target = input_map.new_zeros(g, output_map.shape[0])
    unit = torch.fft.rfft(input_map / sizes[:, None])
    waves = unit[first[across]] * unit[second[across] - rank]
    # sum_ab e(a) e'(b) x(a + b): the convolution of the two, against x.
    convolved = torch.fft.irfft(waves, n=p) if n else waves.new_zeros(0, p).real
    target[:n] = convolved @ output_map.T / p
    return basis, target


def _orthonormal(rows: Tensor) -> Tensor:
    """Orthonormal basis of the span of rows (n, p), (rank, p)."""
    if not bool(torch.isfinite(rows).all()):  # data that overflow: no loss is finite, which the flow will say
        return rows[:0]
    values, directions = torch.linalg.svd(rows, full_matrices=False)[1:]
    smallest = 1e3 * torch.finfo(rows.dtype).eps * values.max().clamp(min=torch.finfo(rows.dtype).tiny)
    kept: Tensor = directions[values > smallest]
    return kept
