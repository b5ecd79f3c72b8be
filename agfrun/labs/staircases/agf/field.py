"""What drives dormant neurons: the gradient of their utilities at a moment, in coordinates of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import Array, as_tensor, native
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility

# (time, dormant neurons (K, D)) to the residual that drives them.
ResidualAt = Callable[[float, Tensor], Any]
# Chebyshev points of the second kind on [0, 1], at which a moving drive is evaluated.
NODES = 0.5 - 0.5 * np.cos(np.pi * np.arange(6) / 5)
# Barycentric weights of these points; a common factor cancels.
_WEIGHTS = np.array([0.5, -1, 1, -1, 1, -0.5])


class UtilityField(ABC):
    """Gradient of the utilities of K dormant neurons; coordinates are orthonormal.

    Attributes:
        order: of the pair by which the flow is best integrated, 5 or 8.
    """

    order = 8

    @abstractmethod
    def encode(self, directions: Tensor) -> Array:
        """Coordinates (K, m) of unit directions (K, D)."""

    @abstractmethod
    def decode(self, states: Array) -> Tensor:
        """Unit directions (K, D) of coordinates."""

    @abstractmethod
    def gradient(self, time: float, directions: Array, log_norms: Array) -> Array:
        """Gradient (K, m) of the utilities at directions (K, m), of neurons with these log norms (K,)."""


class ResidualField(UtilityField):
    """Any network under any residual, also one that depends on the dormant neurons themselves."""

    order = 5

    def __init__(self, architecture: Architecture, residual_at: ResidualAt, index: Tensor) -> None:
        self.architecture, self.residual_at, self.index = architecture, residual_at, index

    def encode(self, directions: Tensor) -> Array:
        """See `UtilityField.encode`."""
        return native(directions)

    def decode(self, states: Array) -> Tensor:
        """See `UtilityField.decode`."""
        return as_tensor(states)

    def gradient(self, time: float, directions: Array, log_norms: Array) -> Array:
        """See `UtilityField.gradient`."""
        units = as_tensor(directions)
        residual = self.residual_at(time, units * as_tensor(log_norms).exp()[:, None])
        return native(self.architecture.utility_gradient(units, residual, self.index))


class FrozenField(UtilityField):
    """A drive that stays as it is."""

    def __init__(self, utility: FrozenUtility, sources: Tensor) -> None:
        self.utility = utility
        self.drive = utility.drive(sources)

    def encode(self, directions: Tensor) -> Array:
        """See `UtilityField.encode`."""
        return self.utility.encode(directions)

    def decode(self, states: Array) -> Tensor:
        """See `UtilityField.decode`."""
        return self.utility.decode(states)

    def gradient(self, time: float, directions: Array, log_norms: Array) -> Array:
        """See `UtilityField.gradient`."""
        return self.utility.gradient(directions, self.drive)


class MovingField(UtilityField):
    """The drive of active neurons on their way, interpolated over one of their steps.

    A step changes them by little and their path in it is a polynomial, so that one of degree 5 through six
    moments is as exact as the path; it costs no evaluation at the stages of the dormant neurons.

    Args:
        active_at: active neurons (J, D) at a time between `start` and `end`.
    """

    def __init__(self, utility: FrozenUtility, active_at: Callable[[float], Tensor], start: float, end: float) -> None:
        self.utility = utility
        self.start, self.length = start, end - start
        # The last one at the end itself, which start + length may miss by rounding.
        moments = [active_at(start + float(node) * self.length) for node in NODES[:-1]]
        drives = utility.drive(torch.stack([*moments, active_at(end)]))
        self.shape = drives.shape[1:]
        self.drives = drives.reshape(len(NODES), -1)

    def encode(self, directions: Tensor) -> Array:
        """See `UtilityField.encode`."""
        return self.utility.encode(directions)

    def decode(self, states: Array) -> Tensor:
        """See `UtilityField.decode`."""
        return self.utility.decode(states)

    def gradient(self, time: float, directions: Array, log_norms: Array) -> Array:
        """See `UtilityField.gradient`."""
        return self.utility.gradient(directions, self.drive_at(time))

    def drive_at(self, time: float) -> Array:
        """Barycentric interpolation (Berrut & Trefethen, SIAM Review 46, 2004)."""
        distance = (time - self.start) / self.length - NODES
        exact = distance == 0
        # w_j / (t - t_j), normalized by their sum; on a node all weight is its own, where that would be infinite.
        shares = exact / 1.0 if exact.any() else _WEIGHTS / distance
        if isinstance(self.drives, Tensor):
            shares = torch.as_tensor(shares).to(self.drives)
        return ((shares / shares.sum()) @ self.drives).reshape(self.shape)
