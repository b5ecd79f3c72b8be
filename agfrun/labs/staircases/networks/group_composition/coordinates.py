"""Coordinates of neurons on sequences of more than two elements: all that moves."""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates, relative_error_of_neurons, sizes_of_neurons
from agfrun.labs.staircases.networks.group_composition.shifts import GroupShifts
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import output_basis


class SequenceCoordinates(FlowCoordinates):
    """u_1, ..., u_k and w in orthonormal bases of all that can move, as `TemplateCoordinates` for two inputs.

    Args:
        shifts: of the template.
        length: k.
        neurons: where the flow starts, (K, (k + 1) n).
    """

    isometric = True

    def __init__(self, shifts: GroupShifts, length: int, neurons: Tensor) -> None:
        self.count, self.length, self.order = neurons.shape[0], length, shifts.p
        self.inputs = shifts.basis
        self.outputs = output_basis(neurons[:, length * shifts.p :], self.inputs)
        self.sequence_loss = shifts.sequence_loss(length, shifts.input_map, self.outputs.T @ shifts.circulant)
        # What the bases leave out, as in `TemplateCoordinates`.
        self.frozen = torch.zeros_like(neurons)
        self.frozen = neurons - self.decode(self.encode(neurons))

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        places = self.length * self.order
        inputs, output = neurons[..., :places], neurons[..., places:]
        parts = inputs.reshape(*neurons.shape[:-1], self.length, self.order) @ self.inputs
        return torch.cat([parts.flatten(-2), output @ self.outputs], dim=-1).reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        rows, rank = y.view(*y.shape[:-1], self.count, -1), self.inputs.shape[1]
        parts = rows[..., : self.length * rank].reshape(*rows.shape[:-1], self.length, rank) @ self.inputs.T
        return torch.cat([parts.flatten(-2), rows[..., self.length * rank :] @ self.outputs.T], dim=-1) + self.frozen

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        loss, gradient = self.sequence_loss.loss_and_gradient(y.view(self.count, -1))
        return loss, -gradient.reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        found: Tensor = torch.func.jacfwd(lambda at: self.loss_and_velocity(at)[1])(y)
        return 0.5 * (found + found.T)  # which it is but for rounding

    def sizes(self, y: Tensor) -> Tensor:
        """The norm of the neuron that an entry belongs to."""
        return sizes_of_neurons(y, self.count)

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return relative_error_of_neurons(error, y, y_new, self.count)
