"""The encoders: one of the agent's place, one of the scene's code, from which the object's place is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from agfrun.labs.interaction.config import LearnerConfig
from agfrun.training import initialization

# Of the layers from the contrastive code to the object's place.
_OBJECT_WIDTH = 32
_FIRST_KERNEL, _KERNEL = 5, 3


class Trunk(nn.Sequential):
    """Convolutions of stride 2, then one layer: images to features, shape (n, hidden), after a ReLU.

    Args:
        shape: of an image.
        channels: of the convolutions.
        hidden: width of the layer.
    """

    def __init__(self, shape: tuple[int, int, int], channels: Sequence[int], hidden: int) -> None:
        inputs, *size = shape
        layers: list[nn.Module] = []
        for place, outputs in enumerate(channels):
            kernel = _KERNEL if place else _FIRST_KERNEL
            layers += [nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2), nn.ReLU()]
            inputs, size = outputs, [-(-one // 2) for one in size]
        flat = inputs * size[0] * size[1]
        super().__init__(*layers, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU())


@dataclass(frozen=True)
class Codes:
    """What the encoders say of n images.

    Attributes:
        agent: its place, shape (n, 2).
        scene: the contrastive code, shape (n, embedding), of unit length.
        thing: the object's place, shape (n, 2).
        axis: the object's direction as a unit vector of twice its angle, which an object and the same object turned
            by 180 degrees have in common, shape (n, 2); None where no direction is learned.
    """

    agent: Tensor
    scene: Tensor
    thing: Tensor
    axis: Tensor | None = None

    def halves(self) -> tuple[Codes, Codes]:
        """Of the first and the second half of the images."""
        parts = [(None, None) if one is None else one.chunk(2) for one in (self.agent, self.scene, self.thing,
                                                                          self.axis)]
        first, second = (Codes(*(part[half] for part in parts)) for half in (0, 1))  # type: ignore[arg-type]
        return first, second


class InteractionNetwork(nn.Module):
    """Images to codes (Reichlin et al., section 4).

    The agent has a trunk of its own, of half the channels. In a common one the contrastive loss, whose gradients are
    1 / temperature as large, keeps the agent's place from being learned; weighted down, it collapses instead.

    Args:
        shape: of an image.
        settings: of the learner.
        seed: of the initialization, that of torch's layers.
    """

    def __init__(self, shape: tuple[int, int, int], settings: LearnerConfig, seed: int) -> None:
        super().__init__()
        with initialization(seed):
            self.agent = nn.Sequential(Trunk(shape, [-(-one // 2) for one in settings.channels], settings.hidden),
                                       nn.Linear(settings.hidden, 2), nn.Sigmoid())
            self.scene = nn.Sequential(Trunk(shape, settings.channels, settings.hidden),
                                       nn.Linear(settings.hidden, settings.embedding))
            self.thing = nn.Sequential(
                nn.Linear(settings.embedding, _OBJECT_WIDTH), nn.ReLU(), nn.Linear(_OBJECT_WIDTH, _OBJECT_WIDTH),
                nn.ReLU(), nn.Linear(_OBJECT_WIDTH, 2 + 2 * (settings.elongation > 1)))
        self.to(getattr(torch, settings.dtype))

    def forward(self, images: Tensor) -> Codes:
        """The codes of images, shape (n, channels, height, width)."""
        images = images.contiguous(memory_format=torch.channels_last)
        scene = functional.normalize(self.scene(images), dim=1)
        thing = self.thing(scene)
        axis = functional.normalize(thing[:, 2:], dim=1) if thing.shape[1] > 2 else None
        return Codes(self.agent(images), scene, thing[:, :2], axis)
