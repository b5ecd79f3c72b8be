"""Exact loss, gradient and Hessian of quadratic neurons on few frequencies, through the network's output.

With responses A = <u, a.x> and B = <v, b.x> a neuron answers (A[a] + B[b])^2 w. Responses lie in the
r-dimensional space of the template's frequencies (r is twice their number), so that the square lies in the
space of their products, of some r (2r + 1) dimensions however many neurons there are. In an orthonormal
basis of that space (over all pairs a, b) a neuron's square has coordinates F^T P(u, v), P the products of
two of the 2r entries of (u, v), and

    L = 1/2 ||Y - F^T V||^2,      V = sum_i P_i w_i^T,

with Y the target in that basis. Cost: O(H r^2 q) for a gradient in a handful of matrix products, against
O(H^2 p) by the moments of pairs of neurons (`staircases.networks.quadratic_modadd.loss`). A sum of squares: the
loss keeps its digits down to zero.

Arrays are native to their device (`staircases.arrays`) and may have leading batch dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import Array, empty, namespace, native

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Convolution = Callable[[Tensor, Tensor], Tensor]


def _quietly(kernel: Kernel) -> Kernel:
    """NumPy's warnings off: a flow that leaves the numbers is reported by whoever follows it. Torch gives none."""

    @wraps(kernel)
    def quiet(self: OutputLoss, *arguments: Any) -> Any:
        if isinstance(self.within, Tensor):
            return kernel(self, *arguments)
        with np.errstate(over="ignore", invalid="ignore"):
            return kernel(self, *arguments)

    return cast(Kernel, quiet)


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
        convolve: of two functions (m, p) on a group, where it is not that of addition modulo p.
    """

    def __init__(self, input_map: Tensor, output_map: Tensor, convolve: Convolution | None = None) -> None:
        self.rank, self.p = input_map.shape
        self.inputs = 2 * self.rank
        self.output_size = output_map.shape[0]
        self.dimension = self.inputs + self.output_size
        first, second = _pairs(self.rank, input_map.device)
        place = _place_of_pairs(first, second)
        within, across, target = _basis_and_target(input_map, output_map, first, second,
                                                   convolve or _cyclic_convolution)
        basis = target.new_zeros(first.shape[0], target.shape[0])
        basis[: within.shape[0], : within.shape[1]] = within
        basis[within.shape[0] :, within.shape[1] :] = torch.diag(across[:, 0])
        # The derivative of s_i s_j by s_i is s_j, but 2 s_i where j is i.
        doubling = torch.where(first == second, 2.0, 1.0).to(input_map)[:, None]
        # Derivative of the squares by the inputs is linear in these: (2r, 2r * g).
        turned = (basis * doubling)[place].flatten(1)
        identity = torch.eye(self.output_size, dtype=basis.dtype, device=basis.device)
        self.first, self.second, self.where_pair, self.within, self.across = (
            native(array.contiguous()) for array in (first, second, place, within, across))
        self.target, self.doubling, self.turned, self.identity = (
            native(array.contiguous()) for array in (target, doubling, turned, identity))

    def own(self, neurons: Tensor) -> Array:
        """The same numbers as this computes with."""
        return neurons if isinstance(self.within, Tensor) else native(neurons)

    @staticmethod
    def multiplications(rank: int, output_size: int, count: int) -> int:
        """Multiplications of one gradient for `count` neurons, about."""
        # Three products of this length for each neuron and output weight, and two with F, whose sides are about alike.
        products = rank * (2 * rank + 1)
        return products * output_size * (3 * count + 2 * products)

    def products(self, neurons: Array) -> Array:
        """Products of two entries of (u, v), those of u with v last, for neurons (..., K, 2r + q); (..., K, m)."""
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
        answers = self._in_blocks(self.within.T, self.products(neurons).swapaxes(-1, -2)).swapaxes(-1, -2)
        own = slopes @ residual.rest[..., :kept]
        straight = (slopes @ slopes.swapaxes(-1, -2)).reshape(*batch, count, self.inputs, count, self.inputs)
        straight *= (output @ output.swapaxes(-1, -2))[..., :, None, :, None]
        mixed = (slopes @ answers.swapaxes(-1, -2)).reshape(*batch, count, self.inputs, count, 1)
        mixed = mixed * output[..., None, None, :, :kept].swapaxes(-2, -4).swapaxes(-2, -3)
        bend = self._bend(neurons, residual.slope)
        own = own.reshape(*batch, count, self.inputs, kept)
        # Only within a neuron does the residual meet a second derivative of what it answers.
        for i in range(count):
            straight[..., i, :, i, :] -= bend[..., i, :, :]
            mixed[..., i, :, i, :] -= own[..., i, :, :]
        coupling = answers @ answers.swapaxes(-1, -2)
        return self._assembled(straight, mixed, coupling, kept), coupling

    def _residual(self, products: Array, neurons: Array) -> OutputResidual:
        tensor = products.swapaxes(-1, -2) @ neurons[..., self.inputs :]
        rest = self.target - self._in_blocks(self.within.T, tensor)
        slope = self._in_blocks(self.within, rest)
        # Halved before it is summed: NumPy 1 would make 0.5 times a single number of 32 bits one of 64.
        return OutputResidual(rest, slope, (0.5 * rest * rest).sum((-1, -2)))

    def _in_blocks(self, within: Array, columns: Array) -> Array:
        """F or, with its part `within` transposed, F^T times columns: that part, and a diagonal for products across."""
        inside = within.shape[1]
        return namespace(columns).concatenate(
            [within @ columns[..., :inside, :], self.across * columns[..., inside:, :]], -2)

    def _utility_gradient(self, neurons: Array, slope: Array, products: Array) -> Array:
        gradient = namespace(neurons).empty_like(neurons)
        bend = self._bend(neurons, slope)
        gradient[..., : self.inputs] = (bend * neurons[..., None, : self.inputs]).sum(-1)
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


def _pairs(rank: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and second members of all pairs of 2 rank things: within the first half, within the second, across."""
    first, second = torch.triu_indices(2 * rank, 2 * rank, device=device)
    kind = (first >= rank).long() + 2 * ((first < rank) & (second >= rank)).long()
    order = kind.argsort(stable=True)
    return first[order], second[order]


def _place_of_pairs(first: Tensor, second: Tensor) -> Tensor:
    """Where the pair of things i and j is among the pairs, (n, n)."""
    count = int(first.max()) + 1
    place = torch.zeros(count, count, dtype=torch.long, device=first.device)
    order = torch.arange(first.shape[0], device=first.device)
    place[first, second] = order
    place[second, first] = order
    return place


def _basis_and_target(
    input_map: Tensor, output_map: Tensor, first: Tensor, second: Tensor, convolve: Convolution
) -> tuple[Tensor, Tensor, Tensor]:
    """F in an orthonormal basis, and the target there, (g, q).

    Products of a response to a with one to b are orthogonal to each other and to all else, so that F is diagonal
    on them, which come last. Functions of a alone and of b alone have their means in common, and nothing more.

    Returns:
        F without the products across, (m - r^2, g - r^2); its diagonal on these, (r^2, 1); the target.
    """
    rank, p = input_map.shape
    # In a square, a product of two different responses comes twice.
    shared = torch.where(first == second, 1.0, 2.0).to(input_map)
    own, across = rank * (rank + 1) // 2, slice(rank * (rank + 1), None)
    sizes = torch.linalg.vector_norm(input_map, dim=1)
    alone = input_map[first[:own]] * input_map[second[:own]] * shared[:own, None]
    means = alone.mean(1)
    varying = _orthonormal(alone - means[:, None], torch.linalg.vector_norm(alone))
    count = varying.shape[0]
    within = input_map.new_zeros(2 * own, 1 + 2 * count)
    for rows, start in ((slice(0, own), 1), (slice(own, None), 1 + count)):
        within[rows, 0] = means
        # e(a) of length 1 makes sqrt(p) e of mean square 1 over all pairs: E f sqrt(p) e = sum_a f e / sqrt(p).
        within[rows, start : start + count] = (alone @ varying.T) / p**0.5
    a, b = first[across], second[across] - rank
    # From 2 A B in (A + B)^2; products of responses of length 1 have a root mean square of 1 / p over all pairs.
    scales = 2 * sizes[a] * sizes[b] / p
    # x(a + b) averages to zero over a or b alone: only products across see the target.
    target = input_map.new_zeros(1 + 2 * count + rank**2, output_map.shape[0])
    unit = input_map / sizes[:, None]
    # sum_ab e(a) e'(b) x(a + b): the convolution of the two, against x.
    target[1 + 2 * count :] = convolve(unit[a], unit[b]) @ output_map.T / p
    return within, scales[:, None], target


def _cyclic_convolution(first: Tensor, second: Tensor) -> Tensor:
    convolved: Tensor = torch.fft.irfft(torch.fft.rfft(first) * torch.fft.rfft(second), n=first.shape[-1])
    return convolved


def _orthonormal(rows: Tensor, size: Tensor) -> Tensor:
    """Orthonormal basis of the span of rows (n, p), (rank, p).

    Args:
        size: norm of what the rows were computed from, of which the rounding error is in them.
    """
    if not bool(torch.isfinite(rows).all()):  # data that overflow: no loss is finite, which the flow will say
        return rows[:0]
    values, directions = torch.linalg.svd(rows, full_matrices=False)[1:]
    smallest = 1e3 * torch.finfo(rows.dtype).eps * size.clamp(min=torch.finfo(rows.dtype).tiny)
    kept: Tensor = directions[values > smallest]
    return kept
