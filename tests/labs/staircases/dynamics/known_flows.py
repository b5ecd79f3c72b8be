"""Flows with exact solutions, as coordinates that a stepper can integrate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates, relative_error_of_neurons
from agfrun.labs.staircases.dynamics.integrate import Attempt, IntegrationStatistics, Segment, Stepper, integrate

Velocity = Callable[[Tensor], Tensor]


class KnownFlow(FlowCoordinates):
    """dy/dt = velocity(y) with its Jacobian by forward-mode differentiation; the loss is not used."""

    def __init__(self, velocity: Velocity, symmetric: bool) -> None:
        self.velocity = velocity
        self.symmetric = symmetric

    def encode(self, neurons: Tensor) -> Tensor:
        return neurons.reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        return y[None]

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y.square().sum(), self.velocity(y)

    def jacobian(self, y: Tensor) -> Tensor:
        return torch.func.jacfwd(self.velocity)(y)

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        return relative_error_of_neurons(error, y, y_new, 1)


class MixedLogistic:
    """y = M z with z_i' = r_i z_i (1 - z_i); a gradient flow in y if M is orthogonal."""

    def __init__(self, orthogonal: bool) -> None:
        generator = torch.Generator().manual_seed(0)
        matrix = torch.randn(3, 3, generator=generator, dtype=torch.float64)
        self.matrix = torch.linalg.qr(matrix).Q if orthogonal else matrix + 2 * torch.eye(3, dtype=torch.float64)
        self.inverse = torch.linalg.inv(self.matrix)
        self.rates = torch.tensor([1.0, 2.0, 3.5], dtype=torch.float64)
        self.z0 = torch.tensor([0.2, 0.05, 0.4], dtype=torch.float64)
        self.coordinates = KnownFlow(self.velocity, symmetric=orthogonal)

    def velocity(self, y: Tensor) -> Tensor:
        z = self.inverse @ y
        return self.matrix @ (self.rates * z * (1 - z))

    def exact(self, time: float) -> Tensor:
        return self.matrix @ (self.z0 / (self.z0 + (1 - self.z0) * torch.exp(-self.rates * time)))


def linear_flow(matrix: Tensor) -> KnownFlow:
    return KnownFlow(lambda y: matrix @ y, symmetric=bool(torch.allclose(matrix, matrix.T)))


def heat_equation(count: int) -> Tensor:
    laplacian = torch.diag(torch.full((count,), -2.0)) + sum(
        torch.diag(torch.ones(count - 1), offset) for offset in (-1, 1))
    return laplacian * (count + 1) ** 2


def prothero_robinson(stiffness: float) -> KnownFlow:
    """y = cos t is a slow solution that everything nearby falls onto at the rate `stiffness`; y = (y, t)."""

    def velocity(y: Tensor) -> Tensor:
        return torch.stack([-stiffness * (y[0] - torch.cos(y[1])) - torch.sin(y[1]), torch.ones_like(y[1])])

    return KnownFlow(velocity, symmetric=False)


def stiff_ring(stiffness: float) -> KnownFlow:
    """Gradient flow of stiffness/4 (|y|^2 - 1)^2 + y_0: fast onto the ring, then slowly along it."""

    def velocity(y: Tensor) -> Tensor:
        slope = torch.zeros_like(y)
        slope[0] = 1.0
        return -stiffness * (y.square().sum() - 1) * y - slope

    def jacobian(y: Tensor) -> Tensor:
        identity = torch.eye(y.numel(), dtype=y.dtype)
        return -stiffness * ((y.square().sum() - 1) * identity + 2 * torch.outer(y, y))

    flow = KnownFlow(velocity, symmetric=True)
    flow.jacobian = jacobian  # type: ignore[method-assign]
    return flow


StepperType = type[Stepper]


def make(stepper: StepperType, coordinates: FlowCoordinates) -> Stepper:
    return stepper(coordinates, IntegrationStatistics())


def one_step(stepper: Stepper, y: Tensor, step: float) -> Attempt:
    stepper.begin(y, stepper.coordinates.loss_and_velocity(y)[1])
    attempt = stepper.attempt(step)
    assert attempt is not None
    return attempt


def fixed_steps(stepper: Stepper, y: Tensor, step: float, count: int) -> list[tuple[Tensor, Attempt]]:
    path = []
    for _ in range(count):
        attempt = one_step(stepper, y, step)
        path.append((y, attempt))
        y = attempt.y
    return path


def segments(stepper: Stepper, y: Tensor, end: float, tolerance: float) -> list[Segment]:
    return list(integrate(stepper, y, 0.0, end, tolerance))
