"""What a world is: transitions to learn from, and scenes and transitions with true states to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agfrun.study.study import Choice

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Transitions:
    """What happened, n times.

    Attributes:
        before, after: images, shape (n, channels, height, width).
        actions: how far the agent meant to move, shape (n, 2), in parts of the field.
        states, later: true places of agent and object before and after, shape (n, 4): both coordinates of the agent,
            then of the object, in the units of the actions; None where nobody knows.
        contacts: whether the agent touched the object, shape (n,); None where nobody knows.
        directions: in which the object lies before, shape (n,), in radians, those by pi apart being the same; None
            where it lies in none, or nobody knows.
    """

    before: Tensor
    after: Tensor
    actions: Tensor
    states: Tensor | None = None
    later: Tensor | None = None
    contacts: Tensor | None = None
    directions: Tensor | None = None


class World(Protocol):
    """A world that images are drawn from.

    Attributes:
        shape: of an image: channels, height, width.
    """

    shape: tuple[int, int, int]

    def transitions(self, count: int, generator: torch.Generator) -> Transitions:
        """A batch to learn from; all that is random comes from the generator, on the CPU."""

    def held_out(self, count: int, generator: torch.Generator, balanced: bool = False) -> Transitions:
        """Transitions to judge by, of evenly spread states if the world can; `balanced`: with a batch's contacts."""

    def grids(self, side: int) -> Sequence[tuple[Tensor, npt.NDArray[np.float64]]]:
        """Images with the agent, then with the object, on a grid, the other at rest, and their places; or none."""


@dataclass
class WorldConfig(Choice):
    """Which world: base of the choices of the slot `data`."""

    def check(self) -> None:
        """Check the ranges of the choice's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def pixels(self) -> int:
        """Numbers of an image, as far as it is known without reading data."""
        raise NotImplementedError

    def build(self, dtype: torch.dtype, device: torch.device) -> World:
        """The world, its images of this type and on this device.

        Raises:
            ConfigError: data cannot be read, or do not suit.
        """
        raise NotImplementedError
