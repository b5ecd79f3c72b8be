"""Coordinates of quadratic neurons on modular addition: all that moves, and what of it is stiff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from agfrun.architectures.quadratic_loss import QuadraticLoss
from agfrun.dynamics.coordinates import relative_error_of_neurons
from agfrun.dynamics.extrapolation import PartlyStiffCoordinates, Solver

if TYPE_CHECKING:
    from agfrun.architectures.quadratic_modadd import QuadraticModadd

# A neuron whose relaxation rate times the step is less needs no implicit treatment.
NOT_STIFF = 0.02
# Unknowns of the neurons that are treated implicitly, at most: a factorization of so many takes 0.1 s.
MOST_IMPLICIT = 1500


class TemplateCoordinates(PartlyStiffCoordinates):
    """u, v and w in orthonormal bases of all that can move.

    Components of u and v outside the span of the template's shifts have no influence on the output and
    hence no gradient: they are constants of the motion. Components of the w outside that span are mixed
    among the neurons, dw_i / dt = -sum_j M_ij w_j, and so stay in the space that they span at the start.
    Leaving out everything else is exact, and shrinks a neuron from 3p numbers to 2 * rank + q (rank =
    number of signed template frequencies, q at most rank + number of neurons).
    """

    def __init__(self, architecture: QuadraticModadd, neurons: Tensor) -> None:
        p = architecture.data.p
        self.count = neurons.shape[0]
        self.inputs = architecture.basis
        self.outputs = _output_basis(neurons[:, 2 * p :], self.inputs)
        self.rank = self.inputs.shape[1]
        input_map, output_map = self.inputs.T @ architecture.circulant, self.outputs.T @ architecture.circulant
        self.moments_loss = QuadraticLoss(input_map, output_map, architecture.moments_loss.target_energy)
        self.template_loss = QuadraticLoss(input_map, input_map, self.moments_loss.target_energy)
        output_loss = architecture.loss_through_output(self.count, output_map)
        self.loss_and_gradient = (output_loss or self.moments_loss).loss_and_gradient
        self.frozen = torch.zeros_like(neurons)
        self.frozen = neurons - self.decode(self.encode(neurons))

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        p = self.inputs.shape[0]
        inputs = neurons[:, : 2 * p].reshape(-1, 2, p) @ self.inputs
        return torch.cat([inputs.flatten(1), neurons[:, 2 * p :] @ self.outputs], dim=1).reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        reduced = y.view(self.count, -1)
        inputs = reduced[:, : 2 * self.rank].reshape(-1, 2, self.rank) @ self.inputs.T
        output = reduced[:, 2 * self.rank :] @ self.outputs.T
        return torch.cat([inputs.flatten(1), output], dim=1) + self.frozen

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        loss, gradient = self.loss_and_gradient(y.view(self.count, -1))
        return loss, -gradient.reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        return -self.moments_loss.hessian(y.view(self.count, -1))

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return relative_error_of_neurons(error, y, y_new, self.count)

    def stiff_part(self, y: Tensor, step: float) -> LargeNeurons:
        """See `PartlyStiffCoordinates.stiff_part`."""
        neurons = y.view(self.count, -1)
        rates = self._relaxation_rates(neurons)
        stiff = int((rates * step > NOT_STIFF).sum())
        most = max(1, MOST_IMPLICIT // (3 * self.rank))
        return LargeNeurons(self, neurons, rates.argsort(descending=True)[: min(stiff, most)])

    def _relaxation_rates(self, neurons: Tensor) -> Tensor:
        """About the fastest rate at which each neuron's own output is corrected, (K,).

        Traces or bounds of the diagonal blocks of the Hessian: E (A + B)^4 for w, (4 / p) |w|^2 (A^2 + E B^2)
        |x_hat|^2 for u and v.
        """
        p, moments = self.inputs.shape[0], self.moments_loss.moments(neurons)
        fourth = moments.squares.square().mean(-1).sum(0) + 6 * moments.means[0] * moments.means[1]
        steep = (8 / p) * moments.output.square().sum(1) * moments.means.sum(0)
        return fourth + steep * self.moments_loss.input_map.square().sum(1).max()


class LargeNeurons:
    """The Hessian's block of a few neurons, without the little that couples their template part to the rest.

    On the template's frequencies it is the Hessian of the chosen neurons among themselves. All other
    components of their output weights relax by dw_i / dt = -sum_j M_ij w_j.

    Args:
        neurons: all neurons in the coordinates' units, (K, 2r + q).
        chosen: indices of the large ones.
    """

    def __init__(self, coordinates: TemplateCoordinates, neurons: Tensor, chosen: Tensor) -> None:
        self.chosen, self.shape, self.inputs = chosen, neurons.shape, 2 * coordinates.rank
        self.template_part = coordinates.inputs.T @ coordinates.outputs
        inputs, output = self._template_part(neurons[chosen])
        self.hessian = coordinates.template_loss.hessian(torch.cat([inputs, output], dim=1))
        moments = coordinates.moments_loss.moments(neurons[chosen])
        gram = moments.responses @ moments.responses.transpose(1, 2) / coordinates.moments_loss.p
        self.coupling = coordinates.moments_loss.coupling(moments, moments, gram)

    def solver(self, step: float) -> Solver | None:
        """See `StiffPart.solver`."""
        if self.chosen.shape[0] == 0:
            return lambda right: right
        (template, failed), (rest, failed_rest) = (
            torch.linalg.cholesky_ex(_one_plus(step, matrix)) for matrix in (self.hessian, self.coupling))
        if bool(failed) or bool(failed_rest):
            return None

        def solve(right: Tensor) -> Tensor:
            result = right.clone().view(self.shape)
            inputs, output = self._template_part(result[self.chosen])
            outside = result[self.chosen][:, self.inputs :] - output @ self.template_part
            inside = torch.cholesky_solve(torch.cat([inputs, output], dim=1).reshape(-1, 1), template)
            inside = inside.view(self.chosen.shape[0], -1)
            result[self.chosen] = torch.cat([inside[:, : self.inputs], inside[:, self.inputs :] @ self.template_part
                                             + torch.cholesky_solve(outside, rest)], dim=1)
            return result.view(-1)

        return solve

    def _template_part(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """u, v (K, 2r) and the part of w on the template's frequencies (K, r)."""
        return neurons[:, : self.inputs], neurons[:, self.inputs :] @ self.template_part.T


def _one_plus(step: float, matrix: Tensor) -> Tensor:
    """I + step * matrix."""
    scaled = step * matrix
    scaled.diagonal().add_(1.0)
    return scaled


def _output_basis(weights: Tensor, basis: Tensor) -> Tensor:
    """Orthonormal basis of the template's frequencies and of all else that output weights (K, p) hold; (p, q).

    A direction of less than the root of the rounding error enters the loss squared, below rounding, and is
    left out. Where nearly everything is there, the basis is the identity.
    """
    p, rank = basis.shape
    rest = weights - (weights @ basis) @ basis.T
    sizes, directions = torch.linalg.svd(rest, full_matrices=False)[1:]
    smallest = torch.finfo(weights.dtype).eps ** 0.5 * torch.linalg.vector_norm(weights)
    kept = directions[sizes > smallest]
    if rank + kept.shape[0] >= p:
        return torch.eye(p, dtype=weights.dtype, device=weights.device)
    complete: Tensor = torch.linalg.qr(torch.cat([basis, kept.T], dim=1)).Q
    return complete
