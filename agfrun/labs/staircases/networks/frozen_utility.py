"""Utilities of single neurons against other neurons that do not answer to them.

A dormant neuron climbs U(theta; r) while the active neurons leave r of the target. U is linear in r, so that what
depends on r alone, the *drive*, is worked out once and serves all dormant neurons at every point of their
path; a residual that changes with time is a drive that does, and drives may be interpolated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from agfrun.labs.staircases.arrays import Array


class FrozenUtility(ABC):
    """The utility of dormant neurons in coordinates of their own, arrays native to their device.

    Coordinates are those of an orthonormal basis, neuron by neuron, so that norms and inner products stay what
    they are.
    """

    @abstractmethod
    def encode(self, directions: Tensor) -> Array:
        """Coordinates (K, m) of neurons (K, D), which fixes the basis of each neuron."""

    @abstractmethod
    def decode(self, states: Array) -> Tensor:
        """Neurons (K, D) of coordinates (K, m), of the same neurons that were encoded last."""

    @abstractmethod
    def drive(self, sources: Tensor) -> Array:
        """What sources (..., J, D) leave for others, (..., *shape) of any one shape, linear in the residual."""

    @abstractmethod
    def gradient(self, states: Array, drive: Array) -> Array:
        """Gradient of each neuron's utility in its coordinates, (K, m)."""
