"""Coordinates of quadratic neurons on modular addition: all that moves, and what of it is stiff."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import as_tensor, native
from agfrun.labs.staircases.config import MOST_IMPLICIT
from agfrun.labs.staircases.dynamics.coordinates import Work, plain, relative_error_of_neurons, sizes_of_neurons
from agfrun.labs.staircases.dynamics.extrapolation import PartlyStiffCoordinates
from agfrun.labs.staircases.dynamics.linearization import (
    ArraySolver,
    DenseLinearization,
    Linearization,
    Solver,
    lapack_cholesky,
    step_matrix,
)
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss
from agfrun.labs.staircases.networks.quadratic_modadd.shifts import TemplateShifts

# A neuron whose relaxation rate times the step is less needs no implicit treatment.
NOT_STIFF = 0.02
# Multiplications that take as long as the calls which a gradient consists of, 0.25 ms.
CALLS = 4e6


class TemplateCoordinates(PartlyStiffCoordinates):
    """u, v and w in orthonormal bases of all that can move.

    Components of u and v outside the span of the template's shifts have no influence on the output and
    hence no gradient: they are constants of the motion. Components of the w outside that span are mixed
    among the neurons, dw_i / dt = -sum_j M_ij w_j, and so stay in the space that they span at the start.
    Leaving out everything else is exact, and shrinks a neuron from 3p numbers to 2 * rank + q (rank =
    number of signed template frequencies, q at most rank + number of neurons). The first `rank` of the q
    are those on the template.
    """

    isometric = True

    def __init__(self, shifts: TemplateShifts, neurons: Tensor) -> None:
        self.count = neurons.shape[0]
        self.inputs = shifts.basis
        self.outputs = output_basis(neurons[:, 2 * shifts.p :], self.inputs)
        self.rank = self.inputs.shape[1]
        output_map = self.outputs.T @ shifts.circulant
        self.moments_loss = shifts.loss_by_moments(shifts.input_map, output_map)
        self.output_loss = shifts.loss_through_output(self.count, output_map)
        # What the bases leave out; `decode` adds it, so that it is zero until it is known.
        self.frozen = torch.zeros_like(neurons)
        self.frozen = neurons - self.decode(self.encode(neurons))

    def kernel(self) -> Any | None:
        """See `FlowCoordinates.kernel`; none where the loss goes by pairs of neurons."""
        loss = self.output_loss
        if loss is None or not plain(self.inputs):
            return None
        from agfrun.labs.staircases.networks.quadratic_modadd.kernel import TemplateKernel  # Numba

        return TemplateKernel(loss.within, np.ascontiguousarray(loss.within.T), np.ascontiguousarray(loss.across[:, 0]),
                              loss.target, loss.first, loss.second, loss.where_pair, loss.rank)

    def work(self) -> Work | None:
        """See `FlowCoordinates.work`: known where the loss goes by pairs of neurons."""
        if self.output_loss is not None:
            return None
        unknowns = self.count * (2 * self.rank + self.outputs.shape[1])
        # The Hessian's blocks are passed over some twenty times.
        return Work(CALLS + self.moments_loss.multiplications(self.count), 4 * CALLS + 20 * float(unknowns) ** 2)

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        return reduced(neurons, self.inputs, self.outputs).reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return expanded(y.view(*y.shape[:-1], self.count, -1), self.inputs, self.outputs) + self.frozen

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        neurons = y.view(self.count, -1)
        if self.output_loss is None:
            loss, gradient = self.moments_loss.loss_and_gradient(neurons)
            return loss, -gradient.reshape(-1)
        value, utility_gradient = self.output_loss.loss_and_utility_gradient(self.output_loss.own(neurons))
        return as_tensor(value), as_tensor(utility_gradient).reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        return -self.moments_loss.hessian(y.view(self.count, -1))

    def linearization(self, y: Tensor) -> Linearization:
        """The Jacobian without what couples output weights off the template to all else."""
        if self.output_loss is None:
            return super().linearization(y)
        return TemplateLinearization(self.output_loss, y.view(self.count, -1), None)

    def sizes(self, y: Tensor) -> Tensor:
        """The norm of the neuron that an entry belongs to."""
        return sizes_of_neurons(y, self.count)

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return relative_error_of_neurons(error, y, y_new, self.count)

    def stiff_part(self, y: Tensor, step: float) -> Linearization:
        """See `PartlyStiffCoordinates.stiff_part`."""
        neurons = y.view(self.count, -1)
        rates = self._relaxation_rates(neurons)
        stiff = int((rates * step > NOT_STIFF).sum())
        # A neuron has 2r unknowns for u and v, r for its output weights on the template; all, where pairs are summed.
        unknowns = neurons.shape[1] if self.output_loss is None else 3 * self.rank
        most = max(1, MOST_IMPLICIT // unknowns)
        chosen = rates.argsort(descending=True)[: min(stiff, most)]
        if self.output_loss is None:
            # Of these neurons alone: what the others leave of the target to them is not stiff.
            return ChosenNeurons(-self.moments_loss.hessian(neurons[chosen]), chosen)
        return TemplateLinearization(self.output_loss, neurons, chosen)

    def _relaxation_rates(self, neurons: Tensor) -> Tensor:
        """About the fastest rate at which each neuron's own output is corrected, (K,).

        Traces or bounds of the diagonal blocks of the Hessian: E (A + B)^4 for w, (4 / p) |w|^2 (A^2 + E B^2)
        |x_hat|^2 for u and v.
        """
        p, moments = self.inputs.shape[0], self.moments_loss.moments(neurons)
        # a and b are independent and E A = E B = 0: E A^4 + E B^4 + 6 E A^2 E B^2.
        fourth = moments.squares.square().mean(-1).sum(0) + 6 * moments.means[0] * moments.means[1]
        steep = (8 / p) * moments.output.square().sum(1) * moments.means.sum(0)
        return fourth + steep * self.moments_loss.input_map.square().sum(1).max()


class ChosenNeurons:
    """A Jacobian (k d, k d) of k `chosen` neurons of d unknowns each; nothing couples the others."""

    def __init__(self, jacobian: Tensor, chosen: Tensor) -> None:
        self.dense, self.chosen = DenseLinearization(jacobian, symmetric=True), chosen

    def solver(self, step: float) -> Solver | None:
        """See `Linearization.solver`."""
        count = len(self.chosen)
        if count == 0:
            return lambda right: right
        within = self.dense.solver(step)
        if within is None:
            return None

        def solve(right: Tensor) -> Tensor:
            result = right.clone()
            rows = result.view(-1, len(self.dense.jacobian) // count)
            rows[self.chosen] = within(rows[self.chosen].reshape(-1)).view(count, -1)
            return result

        return solve


class TemplateLinearization:
    """The Hessian's blocks of some neurons, without the little that couples their template part to the rest.

    On the template's frequencies it is the Hessian of the chosen neurons. All other components of their
    output weights relax by dw_i / dt = -sum_j M_ij w_j; they are small, and smaller the larger a neuron is.

    Args:
        neurons: all neurons in the coordinates' units, (K, 2r + q).
        chosen: indices of some of them; None is all.
    """

    def __init__(self, output_loss: OutputLoss, neurons: Tensor, chosen: Tensor | None) -> None:
        self.chosen, self.shape = chosen, neurons.shape
        self.inside = output_loss.inputs + output_loss.rank
        self.count = neurons.shape[0] if chosen is None else chosen.shape[0]
        if self.count == 0:
            return
        some = neurons if chosen is None else neurons[chosen]
        hessian, coupling = output_loss.curvature(
            native(some), output_loss.residual(native(neurons)), output_loss.rank)
        self.jacobian, self.coupling = -as_tensor(hessian), -as_tensor(coupling)

    def solver(self, step: float) -> Solver | None:
        """See `Linearization.solver`."""
        if self.count == 0:
            return lambda right: right
        if self.jacobian.device.type == "cpu":
            return self._lapack_solver(step)
        template, rest = (torch.linalg.cholesky_ex(step_matrix(matrix, step))
                          for matrix in (self.jacobian, self.coupling))
        if bool(template.info) or bool(rest.info):
            return None

        def solve(right: Tensor) -> Tensor:
            rows = right.view(self.shape)
            if self.chosen is None:
                return solve_template(template.L, rest.L, rows, self.inside).view(-1)
            result = rows.clone()
            result[self.chosen] = solve_template(template.L, rest.L, rows[self.chosen], self.inside)
            return result.view(-1)

        return solve

    def _lapack_solver(self, step: float) -> Solver | None:
        """The same without a copy of the factors for every right side."""
        template, rest = (lapack_cholesky(step_matrix(matrix, step).numpy())
                          for matrix in (self.jacobian, self.coupling))
        if template is None or rest is None:
            return None
        chosen: Any = slice(None) if self.chosen is None else self.chosen.numpy()

        def solve(right: Tensor) -> Tensor:
            rows = right.view(self.shape).numpy()
            result = rows.copy()
            result[chosen] = self._solved(template, rest, rows[chosen])
            return torch.from_numpy(result.reshape(-1))

        return solve

    def _solved(self, template: ArraySolver, rest: ArraySolver, rows: FloatArray) -> FloatArray:
        """Rows (K, 2r + q) of the chosen neurons, solved for; see `solve_template`."""
        result = np.empty_like(rows)
        known = rows[:, : self.inside]
        result[:, : self.inside] = template(known.reshape(-1)).reshape(known.shape)
        if self.inside < rows.shape[1]:
            result[:, self.inside :] = rest(rows[:, self.inside :])
        return result


def solve_template(template: Tensor, rest: Tensor, rows: Tensor, inside: int) -> Tensor:
    """Solve for what belongs to neurons (..., K, 2r + q), given Cholesky factors.

    Args:
        template: factor for (u, v) and the output weights on the template, neuron by neuron, (..., n, n).
        rest: factor for each other output weight, (..., K, K).
        inside: where the output weights off the template begin in a row.
    """
    known = rows[..., :inside]
    solved = torch.cholesky_solve(known.flatten(-2)[..., None], template).view(known.shape)
    if inside == rows.shape[-1]:
        return solved
    return torch.cat([solved, torch.cholesky_solve(rows[..., inside:], rest)], dim=-1)


def reduced(neurons: Tensor, inputs: Tensor, outputs: Tensor | None) -> Tensor:
    """Neurons (..., K, 3p) with u and v in the basis `inputs` (p, r), w in `outputs` (..., p, q) or as it is.

    Returns:
        (..., K, 2r + q).
    """
    p = inputs.shape[0]
    coordinates = neurons[..., : 2 * p].reshape(*neurons.shape[:-1], 2, p) @ inputs
    output = neurons[..., 2 * p :]
    return torch.cat([coordinates.flatten(-2), output if outputs is None else output @ outputs], dim=-1)


def expanded(coordinates: Tensor, inputs: Tensor, outputs: Tensor | None) -> Tensor:
    """The inverse of `reduced` on what the bases span, (..., K, 3p)."""
    rank = inputs.shape[1]
    parts = coordinates[..., : 2 * rank].reshape(*coordinates.shape[:-1], 2, rank) @ inputs.T
    output = coordinates[..., 2 * rank :]
    return torch.cat([parts.flatten(-2), output if outputs is None else output @ outputs.mT], dim=-1)


def output_basis(weights: Tensor, basis: Tensor) -> Tensor:
    """Orthonormal basis of the template's frequencies and then of all else that output weights (K, p) hold; (p, q).

    A direction of less than the root of the rounding error enters the loss squared, below rounding, and is
    left out.
    """
    rest = weights - (weights @ basis) @ basis.T
    sizes, directions = torch.linalg.svd(rest, full_matrices=False)[1:]
    smallest = torch.finfo(weights.dtype).eps ** 0.5 * torch.linalg.vector_norm(weights)
    kept = directions[sizes > smallest][: basis.shape[0] - basis.shape[1]]
    # A second projection: the first leaves rounding of the size of the weights in a small direction.
    kept = kept - (kept @ basis) @ basis.T
    complete: Tensor = torch.cat([basis, torch.linalg.qr(kept.T).Q], dim=1)
    return complete
