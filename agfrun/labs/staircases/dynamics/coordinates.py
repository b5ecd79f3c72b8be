"""Coordinates in which a gradient flow is integrated.

The flow of the parameters is always the same; the coordinates decide what it costs and how its error
is measured. Every set of coordinates measures a neuron's error relative to that neuron's own norm, so
that no absolute tolerance exists that could swamp a tiny initialization.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.landscape import LossLandscape
from agfrun.labs.staircases.dynamics.linearization import DenseLinearization, Linearization


@dataclass(frozen=True)
class Work:
    """Multiplications of a gradient and of a Jacobian, about; what takes as long as some counts as these."""

    gradient: float
    jacobian: float


class FlowCoordinates(ABC):
    """A vector y of n numbers whose velocity is the gradient flow.

    Attributes:
        symmetric: whether the Jacobian of the velocity is symmetric (a gradient flow in y itself).
        isometric: whether y are the parameters that move in an orthonormal basis, so that gradient descent
            in y is gradient descent in the parameters.
    """

    symmetric: bool = True
    isometric: bool = False

    @abstractmethod
    def encode(self, neurons: Tensor) -> Tensor:
        """Neurons (K, D) to coordinates (n,)."""

    @abstractmethod
    def decode(self, y: Tensor) -> Tensor:
        """Coordinates (..., n) to neurons (..., K, D)."""

    def renewed(self, y: Tensor) -> Tensor:
        """The same neurons in coordinates better suited from here on; y itself where these still are.

        Called between steps. What was decoded before stays as it is; coordinates from before are void.
        """
        return y

    def state(self) -> TrainingState:
        """What `renewed` has changed; these coordinates never change unless a subclass says so."""
        return TrainingState()

    def restore(self, state: TrainingState) -> None:
        """Take up a state of coordinates that were made from the same neurons."""
        if state.arrays:
            raise ValueError(f"{type(self).__name__} never change")

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Neurons as (..., K, D) times exp of log factors (..., K), for norms below the smallest float; None: all zero.

        Args:
            y: (..., n).
        """
        return self.decode(y), None

    @abstractmethod
    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Paper loss (scalar) and dy/dt (n,)."""

    @abstractmethod
    def jacobian(self, y: Tensor) -> Tensor:
        """Derivative of the velocity, (n, n)."""

    def kernel(self) -> Any | None:
        """This flow written out for compiled steps (`staircases.compiled`), on the CPU in float64; None: it is not."""
        return None

    def work(self) -> Work | None:
        """What the flow costs, where no method is known beforehand to be the quicker one; None: one is."""
        return None

    def gradient_kernel(self) -> Any | None:
        """Of a kernel what gradient descent needs, loss and velocity; None: they are not written out."""
        return self.kernel()

    def linearization(self, y: Tensor) -> Linearization:
        """The Jacobian at y, or what of it matters to an implicit step, in a form to solve with."""
        return DenseLinearization(self.jacobian(y), self.symmetric)

    def sizes(self, y: Tensor) -> Tensor:
        """What an error of each entry of y is relative to, (n,); 1 where y itself is a logarithm."""
        return torch.ones_like(y)

    @abstractmethod
    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """Root mean square over neurons of the error relative to each neuron's norm, a scalar."""


class EuclideanCoordinates(FlowCoordinates):
    """The parameters themselves: y = Theta, dy/dt = -grad L."""

    isometric = True

    def __init__(self, landscape: LossLandscape, neurons: Tensor, index: Tensor | None) -> None:
        self.landscape = landscape
        self.shape = neurons.shape
        self.index = index

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        return neurons.reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return y.view(*y.shape[:-1], *self.shape)

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        loss, gradient = self.landscape.loss_and_gradient(self.decode(y), self.index)
        return loss, -gradient.reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        return -self.landscape.hessian(self.decode(y), self.index)

    def sizes(self, y: Tensor) -> Tensor:
        """The norm of the neuron that an entry belongs to."""
        return sizes_of_neurons(y, self.shape[0])

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return relative_error_of_neurons(error, y, y_new, self.shape[0])


def plain(tensor: Tensor) -> bool:
    """Whether compiled steps can take it: on the CPU, in float64."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float64


def relative_error_of_neurons(error: Tensor, y: Tensor, y_new: Tensor, neurons: int) -> Tensor:
    """Root mean square over neurons of ||error_i|| / max(||y_i||, ||y_new_i||)."""
    norms = torch.linalg.vector_norm(torch.stack([error, y, y_new]).view(3, neurons, -1), dim=-1)
    # By the larger end: a neuron that comes near zero in a step would shorten it for nothing.
    ratio: Tensor = norms[0] / torch.maximum(norms[1], norms[2])
    return ratio.square().mean().sqrt()


def sizes_of_neurons(y: Tensor, neurons: int) -> Tensor:
    """For each entry of y (n,) the norm of its neuron, (n,)."""
    rows = y.view(neurons, -1)
    sizes: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True).expand_as(rows).reshape(-1)
    return sizes
