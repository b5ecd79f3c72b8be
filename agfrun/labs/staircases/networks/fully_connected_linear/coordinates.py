"""Coordinates for a network that is the same for every orthogonal mixture of its neurons.

f(x) = A W x does not change with A Q^T, Q W, and neither does its gradient flow, so that Q may be chosen. It
has to be: left to themselves all neurons turn to the one direction in which they grow fastest, and what comes
next is in the last digits of each, where neither a step's tolerance nor rounding respects it. Mixtures that
stay independent carry it in their leading digits, at any initialization scale. There are as many as the
neurons have independent directions, at most their dimension, however wide the network is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.arrays import native
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, plain
from agfrun.labs.staircases.dynamics.landscape import LossLandscape, UtilityLandscape
from agfrun.labs.staircases.dynamics.polar import PolarCoordinates
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.fully_connected_linear.data import LinearMap

# Mixtures are renewed once two of them are nearer than 60 degrees, and then made orthogonal to this cosine.
LARGEST_COSINE = 0.5
NEGLIGIBLE_COSINE = 1e-3
LARGEST_SWEEP_COUNT = 50


class IndependentNeurons(EuclideanCoordinates):
    """Mixtures Q^T Theta of the neurons Theta as parameters; `renewed` mixes anew.

    Args:
        mixing: Q with orthonormal columns, (K, r); that of `initial_mixing`, say.
    """

    def __init__(self, landscape: LossLandscape, data: LinearMap, neurons: Tensor, mixing: Tensor) -> None:
        self.data, self.mixing = data, mixing
        super().__init__(landscape, mixing.T @ neurons, None)

    def kernel(self) -> Any | None:
        """See `FlowCoordinates.kernel`."""
        if not plain(self.mixing):
            return None
        from agfrun.labs.staircases.networks.fully_connected_linear.kernel import MixturesKernel  # Numba

        factor = native(self.data.factor.contiguous())
        return MixturesKernel(native(self.data.target_map) @ factor, factor, factor @ factor.T, self.data.noise_loss,
                              LARGEST_COSINE)

    def encode(self, neurons: Tensor) -> Tensor:
        """Mixtures of neurons whose columns are combinations of those of the reference neurons."""
        return (self.mixing.T @ neurons).reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return self.mixing @ y.view(*y.shape[:-1], *self.shape)

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The mixtures make the same network, and flow as its neurons do."""
        loss, gradient = self.landscape.loss_and_gradient(y.view(self.shape))
        return loss, -gradient.reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        return -self.landscape.hessian(y.view(self.shape))

    def outworn(self, y: Tensor) -> Tensor:
        """Whether two mixtures have come near one another, a scalar."""
        rows = y.view(self.shape)
        return largest_cosine(rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)) >= LARGEST_COSINE

    def state(self) -> TrainingState:
        """See `FlowCoordinates.state`."""
        return TrainingState(arrays={"mixing": self.mixing})

    def restore(self, state: TrainingState) -> None:
        """See `FlowCoordinates.restore`."""
        self.mixing = state.tensor("mixing", self.mixing)

    def renewed(self, y: Tensor) -> Tensor:
        """Coordinates of the same neurons in mixtures that are independent again; y itself if they still are."""
        rows = y.view(self.shape)
        norms = torch.linalg.vector_norm(rows, dim=1)
        found = independent_mixtures(rows / norms[:, None], norms.log())
        if found is None:
            return y
        change, directions, log_norms = found
        self.mixing = self.mixing @ change
        return (directions * log_norms.exp()[:, None]).reshape(-1)


class IndependentPolarNeurons(PolarCoordinates):
    """The same mixtures as directions and log norms, for neurons `neurons * exp(log_factor)` of any size."""

    def __init__(self, landscape: UtilityLandscape, neurons: Tensor, mixing: Tensor, log_factor: float) -> None:
        self.mixing = mixing
        super().__init__(landscape, mixing.T @ neurons, None, log_factor)

    def encode(self, neurons: Tensor) -> Tensor:
        """See `IndependentNeurons.encode`; of `neurons * exp(log_factor)`."""
        return super().encode(self.mixing.T @ neurons)

    def decode(self, y: Tensor) -> Tensor:
        """Neurons; one below the smallest float is zero."""
        return self.mixing @ super().decode(y)

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Neurons over the norm of the largest mixture, and its logarithm."""
        directions, log_norms = self._split(y)
        # Over the largest mixture nothing overflows, and what underflows is nothing beside it.
        largest = log_norms.amax(-2, keepdim=True)
        neurons = self.mixing @ (directions * (log_norms - largest).exp())
        return neurons, largest[..., 0].expand(neurons.shape[:-1])

    def outworn(self, y: Tensor) -> Tensor:
        """See `IndependentNeurons.outworn`."""
        return largest_cosine(self._split(y)[0]) >= LARGEST_COSINE

    def state(self) -> TrainingState:
        """See `FlowCoordinates.state`."""
        return TrainingState(arrays={"mixing": self.mixing})

    def restore(self, state: TrainingState) -> None:
        """See `FlowCoordinates.restore`."""
        self.mixing = state.tensor("mixing", self.mixing)

    def renewed(self, y: Tensor) -> Tensor:
        """See `IndependentNeurons.renewed`."""
        directions, log_norms = self._split(y)
        found = independent_mixtures(directions, log_norms[:, 0])
        if found is None:
            return y
        change, directions, renewed_norms = found
        self.mixing = self.mixing @ change
        return torch.cat([directions, renewed_norms[:, None]], dim=1).reshape(-1)


def initial_mixing(neurons: Tensor, growth_directions: Tensor) -> Tensor:
    """Q, (K, r), r the rank of the neurons (K, D): row j of Q^T neurons has no part in the j - 1 fastest directions.

    Args:
        growth_directions: orthonormal directions in which neurons grow, fastest first; columns, (D, D).
    """
    # Row j of the triangle is zero before column j: no part in the directions that grow faster.
    mixing, mixtures = torch.linalg.qr(neurons @ growth_directions)
    sizes = torch.linalg.vector_norm(mixtures, dim=1)
    # Rows of the triangle at rounding stand for neurons that depend on the others.
    independent: Tensor = mixing[:, sizes > 100 * torch.finfo(sizes.dtype).eps * sizes.max()]
    return independent


def largest_cosine(directions: Tensor) -> Tensor:
    """Largest |cosine| between two of the unit directions (r, D), a scalar."""
    cosines = directions @ directions.T
    return (cosines - torch.diag(cosines.diagonal())).abs().max()


def independent_mixtures(directions: Tensor, log_norms: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """Orthogonal mixtures of neurons exp(log_norms) * directions that point in orthogonal directions.

    One-sided Jacobi rotations of pairs of rows, in an arithmetic that carries each row's size apart: each row
    keeps all its digits however small it is beside the others.

    Args:
        directions: unit directions of the neurons, (r, D).
        log_norms: logarithms of their norms, (r,).

    Returns:
        The orthogonal change (r, r) with new neurons = change^T old ones, and the new directions and log norms;
        None if all pairs are still independent.
    """
    if float(largest_cosine(directions)) < LARGEST_COSINE:
        return None
    rows, sizes = directions.cpu().double().numpy().copy(), log_norms.cpu().double().numpy().copy()
    change = np.eye(len(rows))
    for _ in range(LARGEST_SWEEP_COUNT):
        order = np.argsort(-sizes, kind="stable").tolist()
        pairs = [(large, small) for place, large in enumerate(order) for small in order[place + 1 :]]
        rotated = [_separate(rows, sizes, change, large, small) for large, small in pairs]
        if not any(rotated):
            break
    change_, rows_, sizes_ = (torch.tensor(array).to(directions) for array in (change, rows, sizes))
    return change_, rows_, sizes_


def _separate(rows: FloatArray, sizes: FloatArray, change: FloatArray, large: int, small: int) -> bool:
    """Rotate two rows so that they become orthogonal, in place; False if they were."""
    cosine = float(rows[large] @ rows[small])
    if abs(cosine) < NEGLIGIBLE_COSINE:
        return False
    if sizes[small] > sizes[large]:  # an earlier rotation has changed which is which
        large, small = small, large
    ratio = math.exp(sizes[small] - sizes[large])
    # The rotation that diagonalizes the pair's Gram matrix, [[1, c ratio], [c ratio, ratio^2]] in units of the larger.
    angle = 0.5 * math.atan2(2 * cosine * ratio, 1 - ratio**2)
    c, s = math.cos(angle), math.sin(angle)
    # Relative to the rows' own sizes; sin(angle) / ratio tends to the cosine as the ratio vanishes.
    s_over_ratio = s / ratio if ratio > 1e-150 else cosine
    grown = c * rows[large] + s * ratio * rows[small]
    left = c * rows[small] - s_over_ratio * rows[large]
    for row, new in ((large, grown), (small, left)):
        norm = float(np.linalg.norm(new))
        rows[row], sizes[row] = new / norm, sizes[row] + math.log(norm)
    change[:, [large, small]] = change[:, [large, small]] @ np.array([[c, -s], [s, c]])
    return True
