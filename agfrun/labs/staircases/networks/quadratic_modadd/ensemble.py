"""Many networks of quadratic neurons on one template at once: `TemplateCoordinates` with a leading dimension."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import as_tensor, native
from agfrun.labs.staircases.dynamics.linearization import SMALLEST_BY_TRIANGLES, Solver, lapack_of_members, step_matrix
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import (
    TemplateCoordinates,
    expanded,
    reduced,
    solve_template,
)


class TemplateEnsemble(EnsembleFlow):
    """The coordinates of members whose loss goes through the output.

    They differ in the output weights off the template alone, whose spaces may have different dimensions: the
    smaller ones are filled up with weights that are zero and stay so.

    Args:
        members: at least one; all on one network.
    """

    description = "one batch, with the network's own kernels"
    isometric = True

    def __init__(self, members: Sequence[TemplateCoordinates]) -> None:
        largest = max(members, key=lambda member: member.outputs.shape[1])
        assert largest.output_loss is not None
        self.output_loss, self.shared_inputs, self.count = largest.output_loss, largest.inputs, largest.count
        size = largest.outputs.shape[1]
        self.outputs = torch.stack([
            torch.nn.functional.pad(member.outputs, (0, size - member.outputs.shape[1])) for member in members])
        self.frozen = torch.stack([member.frozen for member in members])

    def encode(self, neurons: Tensor) -> Tensor:
        """See `EnsembleFlow.encode`."""
        return reduced(neurons, self.shared_inputs, self.outputs).flatten(1)

    def decode(self, y: Tensor) -> Tensor:
        """See `EnsembleFlow.decode`."""
        return expanded(self._rows(y), self.shared_inputs, self.outputs) + self.frozen

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `EnsembleFlow.loss_and_velocity`."""
        loss, utility_gradient = self.output_loss.loss_and_utility_gradient(native(self._rows(y)))
        return as_tensor(loss), as_tensor(utility_gradient).flatten(1)

    def linearization(self, y: Tensor) -> TemplateEnsembleLinearization:
        """See `TemplateCoordinates.linearization`."""
        return TemplateEnsembleLinearization(self, self._rows(y))

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `EnsembleFlow.relative_error`."""
        errors, before, after = (torch.linalg.vector_norm(self._rows(part), dim=-1) for part in (error, y, y_new))
        sizes: Tensor = (errors / torch.maximum(before, after)).square().mean(-1).sqrt()
        return sizes

    def select(self, members: Tensor) -> TemplateEnsemble:
        """See `EnsembleFlow.select`."""
        chosen = copy.copy(self)
        chosen.outputs, chosen.frozen = self.outputs[members], self.frozen[members]
        return chosen

    def _rows(self, y: Tensor) -> Tensor:
        """Neurons (B, K, 2r + q) in the coordinates' units."""
        return y.view(y.shape[0], self.count, -1)


class TemplateEnsembleLinearization:
    """`TemplateLinearization` of all neurons of B members (B, K, 2r + q)."""

    def __init__(self, flow: TemplateEnsemble, rows: Tensor) -> None:
        loss, neurons = flow.output_loss, native(rows)
        self.inside, self.shape = loss.inputs + loss.rank, rows.shape
        self.jacobian, self.coupling = (
            -as_tensor(part) for part in loss.curvature(neurons, loss.residual(neurons), loss.rank))

    def solver(self, steps: Tensor) -> tuple[Solver, Tensor]:
        """See `EnsembleLinearization.solver`."""
        template = step_matrix(self.jacobian, steps[:, None, None])
        rest, undone = torch.linalg.cholesky_ex(step_matrix(self.coupling, steps[:, None, None]))
        if template.device.type == "cpu" and template.shape[-1] >= SMALLEST_BY_TRIANGLES:
            return self._lapack_solver(template, rest, undone)
        factor, failed = torch.linalg.cholesky_ex(template)

        def solve(right: Tensor) -> Tensor:
            return solve_template(factor, rest, right.view(self.shape), self.inside).flatten(1)

        return solve, (failed != 0) | (undone != 0)

    def _lapack_solver(self, template: Tensor, rest: Tensor, undone: Tensor) -> tuple[Solver, Tensor]:
        """The same, with the large matrices member by member."""
        solve_known, failed = lapack_of_members(template, symmetric=True)

        def solve(right: Tensor) -> Tensor:
            rows = right.view(self.shape)
            known = rows[..., : self.inside]
            solved = solve_known(known.flatten(1)).view(known.shape)
            if self.inside == rows.shape[-1]:
                return solved.flatten(1)
            return torch.cat([solved, torch.cholesky_solve(rows[..., self.inside :], rest)], dim=-1).flatten(1)

        return solve, failed | (undone != 0)
