"""What a method is: a network, its loss on transitions, and what it says of images. The method of actions and contacts.

A method is trained by `agfrun.training.train` on batches `(step, transitions)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.interaction import losses
from agfrun.labs.interaction.config import LearnerConfig
from agfrun.labs.interaction.network import Codes, InteractionNetwork
from agfrun.labs.interaction.splits import SPLITTERS, Flags
from agfrun.labs.interaction.worlds.world import Transitions, World

FloatArray = npt.NDArray[np.float64]
Batch = tuple[int, Transitions]
# Images that are encoded at once.
_AT_ONCE = 1000


@dataclass(frozen=True)
class Places:
    """What a method says of n images.

    Attributes:
        agent, thing: places, shape (n, 2).
        angle: of the object's direction, shape (n,), in radians up to pi; None where it says none.
    """

    agent: FloatArray
    thing: FloatArray
    angle: FloatArray | None = None


class Method(ABC):
    """A way to find agent and object in images.

    Attributes:
        network: what is trained; None: nothing is.
    """

    network: Any = None

    def loss(self, network: Any, batch: Batch) -> Mapping[str, Tensor]:
        """The loss of a batch, and its parts."""
        raise NotImplementedError

    @abstractmethod
    def places(self, images: Tensor) -> Places:
        """Agent and object in images."""

    def contacts(self, batch: Transitions) -> tuple[FloatArray, Flags] | None:
        """Squared distances of codes, and which transitions of a batch it takes for contacts; None: it has no idea."""
        return None


class Interaction(Method):
    """Learns from actions and contacts (Reichlin et al., algorithm 1).

    Attributes:
        network: the encoders.

    Args:
        world: what images are of.
        settings: of the learner.
        split: name of the split; `labels` are the true contacts.
        seed: of the initialization.
        without: the loss that is left out, or `swapped`: classes are exchanged; None: neither.
    """

    def __init__(self, world: World, settings: LearnerConfig, split: str, seed: int, without: str | None = None
                 ) -> None:
        self.settings, self.split, self.without = settings, split, without
        self.network: InteractionNetwork = InteractionNetwork(world.shape, settings, seed)

    def loss(self, network: Any, batch: Batch) -> Mapping[str, Tensor]:
        """See `Method.loss`; a class that nothing is in adds nothing."""
        step, seen = batch
        codes: Codes = network(torch.cat([seen.before, seen.after]))
        before, after = codes.halves()
        parts = {"equivariance": losses.equivariance(before.agent, after.agent, seen.actions),
                 "contrast": losses.contrast(before.scene, after.scene, self.settings.temperature)}
        if step >= self.settings.warmup:
            touched = torch.from_numpy(self._split(before, after, seen)[1]).to(seen.before.device)
            touched = ~touched if self.without == "swapped" else touched
            parts |= {name: torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
                      for name, chosen, values in (("plus", touched, losses.touching(before, after, self.settings)),
                                                   ("minus", ~touched, losses.staying(before, after, self.settings)))}
        kept = [value for name, value in parts.items() if f"no_{name}" != self.without]
        return {"loss": torch.stack(kept).sum(), **{f"{name}_loss": value for name, value in parts.items()}}

    @torch.no_grad()
    def places(self, images: Tensor) -> Places:
        """See `Method.places`."""
        codes = [self.network(images[first:first + _AT_ONCE]) for first in range(0, len(images), _AT_ONCE)]
        agent, thing = (as_numbers(torch.cat([getattr(one, name) for one in codes])) for name in ("agent", "thing"))
        if codes[0].axis is None:
            return Places(agent, thing)
        axis = as_numbers(torch.cat([one.axis for one in codes]))
        return Places(agent, thing, np.arctan2(axis[:, 1], axis[:, 0]) / 2 % np.pi)

    @torch.no_grad()
    def contacts(self, batch: Transitions) -> tuple[FloatArray, Flags] | None:
        """See `Method.contacts`."""
        return self._split(self.network(batch.before), self.network(batch.after), batch)

    @torch.no_grad()
    def _split(self, before: Codes, after: Codes, batch: Transitions) -> tuple[FloatArray, Flags]:
        distances = as_numbers((before.scene - after.scene).square().sum(1))
        if self.split != "labels":
            return distances, SPLITTERS[self.split](distances)
        assert batch.contacts is not None
        return distances, batch.contacts.numpy()


def as_numbers(values: Tensor) -> FloatArray:
    """A tensor as NumPy's array of double precision."""
    numbers: FloatArray = values.detach().double().cpu().numpy()
    return numbers
