"""What a gradient flow would still lower, mode by mode of the Hessian where it is.

Around a point the loss is L + sum_k (g_k x_k + lambda_k x_k^2 / 2) in the Hessian's eigenvectors, and the flow
x_k' = -(g_k + lambda_k x_k) lowers it by g_k^2 (1 - e^(-2 lambda_k T)) / (2 lambda_k) within the time T: for
lambda_k > 0 by the Newton decrement g_k^2 / (2 lambda_k) at the most, for lambda_k < 0 by an amount that grows without
end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.config import LARGEST_FACTORIZED
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.stability import curvature_along
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.base import Architecture

# Of the largest curvature: what rounding of the Hessian makes of a curvature of zero.
FLAT = 1e-12
# Of exp: the largest exponent of floats is 709.
LARGEST_EXPONENT = 600.0
# Krylov spaces beyond `LARGEST_FACTORIZED` unknowns.
LARGEST_KRYLOV = 120


@dataclass(frozen=True)
class Modes:
    """The modes of a loss at a point: m orthonormal directions.

    Attributes:
        curvatures: lambda_k, (m,).
        squares: g_k^2, the gradient's squared components, (m,).
        gradient: the gradient, (n,).
        vectors: the directions, (n, m).
        step: which step of the neurons (K, D) a direction (n,) is.
    """

    curvatures: FloatArray
    squares: FloatArray
    gradient: Tensor
    vectors: Tensor
    step: Callable[[Tensor], Tensor]

    @classmethod
    def at(cls, architecture: Architecture, coordinates: FlowCoordinates, y: Tensor, velocity: Tensor, neurons: Tensor,
           index: Tensor) -> Modes:
        """The modes at coordinates y, where the neurons are `neurons` (K, D).

        In an orthonormal basis of the parameters that move: that of the coordinates, where they are one.
        Beyond 2500 unknowns only the modes that the gradient has a part in, by Lanczos iteration from it.
        """
        if (y if coordinates.isometric else neurons).numel() > LARGEST_FACTORIZED:
            return cls._by_lanczos(architecture, neurons, index)
        if coordinates.isometric:
            gradient, hessian = velocity, -coordinates.jacobian(y)
        else:
            gradient = architecture.loss_and_gradient(neurons, index)[1].reshape(-1)
            hessian = architecture.hessian(neurons, index)

        def step(direction: Tensor) -> Tensor:
            if not coordinates.isometric:
                return direction.view_as(neurons)
            return coordinates.decode(y + direction) - coordinates.decode(y)

        curvatures, vectors = torch.linalg.eigh(hessian)
        return cls(_array(curvatures), _array((gradient @ vectors).square()), gradient, vectors, step)

    @classmethod
    def _by_lanczos(cls, architecture: Architecture, neurons: Tensor, index: Tensor) -> Modes:
        """Gauss quadrature of the gradient's spectral measure (Golub & Meurant, Matrices, Moments and Quadrature).

        The Ritz values of the Krylov space of the gradient are its nodes, the squared first components of the Ritz
        vectors its weights.
        """
        gradient = architecture.loss_and_gradient(neurons, index)[1].reshape(-1)

        def step(direction: Tensor) -> Tensor:
            return direction.view_as(neurons)

        size = float(torch.linalg.vector_norm(gradient))
        if size == 0:
            return cls(np.zeros(1), np.zeros(1), gradient, torch.zeros_like(gradient).reshape(-1, 1), step)
        basis, rows = [gradient / size], []
        for _ in range(min(LARGEST_KRYLOV, gradient.numel())):
            image = curvature_along(architecture, neurons, step(basis[-1]), index).reshape(-1)
            space = torch.stack(basis)
            rows.append(space @ image)
            # Twice, so that rounding leaves no part along the basis.
            for _ in range(2):
                image = image - (space @ image) @ space
            length = float(torch.linalg.vector_norm(image))
            if length <= FLAT * float(rows[-1].abs().max()):
                break
            basis.append(image / length)
        count = len(rows)
        matrix = np.zeros((count, count))
        for column, row in enumerate(rows):
            matrix[: column + 1, column] = _array(row)
        curvatures, vectors = np.linalg.eigh(matrix, UPLO="U")
        ritz_vectors = torch.stack(basis[:count], dim=1) @ torch.as_tensor(vectors).to(gradient)
        return cls(curvatures, size**2 * vectors[0] ** 2, gradient, ritz_vectors, step)

    def way_left(self, above: float, up_to: float) -> Tensor:
        """Newton's step -g_k / lambda_k of the modes with positive curvatures in (above, up_to], (n,)."""
        chosen = torch.as_tensor((self.curvatures > above) & (self.curvatures <= up_to), device=self.vectors.device)
        vectors = self.vectors[:, chosen]
        curvatures = torch.as_tensor(self.curvatures).to(vectors)[chosen]
        return -vectors @ ((self.gradient @ vectors) / curvatures)

    def falling_way(self) -> Tensor:
        """Minus the gradient along the modes of negative curvature, (n,)."""
        vectors = self.vectors[:, torch.as_tensor(self.curvatures < 0, device=self.vectors.device)]
        return -vectors @ (self.gradient @ vectors)

    def remaining(self) -> float:
        """What the convex modes still lower, in all time: half the Newton decrement."""
        return float(self._decrements()[1].sum())

    def remaining_curvature(self) -> float:
        """Geometric mean of the positive curvatures, each weighted by what it still lowers; 0 where nothing is."""
        curvatures, decrements = self._decrements()
        total = decrements.sum()
        return float(np.exp((decrements * np.log(curvatures)).sum() / total)) if total > 0 else 0.0

    def _decrements(self) -> tuple[FloatArray, FloatArray]:
        """The curvatures that are positive beyond rounding, and g^2 / (2 lambda) of each."""
        convex = self.curvatures > FLAT * self.curvatures.max(initial=0.0)
        return self.curvatures[convex], self.squares[convex] / (2 * self.curvatures[convex])

    @property
    def smallest_curvature(self) -> float:
        """The smallest eigenvalue, or Ritz value beyond 2500 unknowns; 0 without modes."""
        return float(self.curvatures.min()) if len(self.curvatures) else 0.0

    def lowered(self, time: float, above: float = -math.inf, up_to: float = math.inf) -> float:
        """What the modes with curvatures in (above, up_to] lower within a time, which may be infinite.

        A curvature that is zero but for rounding counts as zero.
        """
        chosen = (self.curvatures > above) & (self.curvatures <= up_to) & (self.squares > 0)
        curvatures, squares = self.curvatures[chosen], self.squares[chosen]
        flat = np.abs(curvatures) <= FLAT * np.abs(self.curvatures).max(initial=0.0)
        if bool((flat | (curvatures < 0)).any()) and not math.isfinite(time):
            return math.inf
        exponents = np.clip(-2 * curvatures * time, -LARGEST_EXPONENT, LARGEST_EXPONENT)
        # (1 - e^(-2 lambda T)) / (2 lambda), which is T where lambda is 0.
        times = np.where(flat, min(time, 1e300), -np.expm1(exponents) / np.where(flat, 1.0, 2 * curvatures))
        return float((squares * times).sum())


def _array(values: Tensor) -> FloatArray:
    return np.asarray(values.double().cpu().numpy())
