"""Sprites on a square field: an agent that moves by its action, and an object that jumps when it is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.interaction.geometry import segments_apart
from agfrun.labs.interaction.names import BACKGROUNDS, RESPONSES, SHAPES, VIEWS
from agfrun.labs.interaction.worlds.world import Transitions, WorldConfig
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

# In how many directions a bar lies: along an axis or a diagonal.
ORIENTATIONS = 4


@register("data")
@dataclass
class SpritesConfig(WorldConfig):
    """A square agent of radius size / 25 and an object twice as large, in images of `size` x `size` pixels.

    Of size 100 these are the lengths of Reichlin et al., section 5.2, of size 40 those of a small version. Both centres
    are uniform where the sprite is wholly visible. A contact is a path of the agent's centre that comes nearer to the
    object's core than both radii together. Then the object jumps: it, and its direction, is drawn anew. Or it is pushed
    (`response=push`): ahead of the agent along its path, so that both just touch, or to the border; against the paper's
    assumption it then stays near the path. All other paths leave it.

    `shape` is diamond, or a bar, longer and thinner, in one of four directions. `view` is from above, or from an edge,
    in perspective: then equal steps are not equally long in the image. `background` is none, squares that move with
    the agent as in the paper, or squares that are elsewhere in every image (`random`). `contact` is the share of
    transitions with a contact in a batch, `noise` the deviation of Gaussian noise on each pixel.
    """

    name: str = "sprites"
    size: int = 40
    shape: str = "diamond"
    response: str = "jump"
    view: str = "above"
    background: str = "none"
    contact: float = 0.5
    noise: float = 0.0

    def check(self) -> None:
        """See `WorldConfig.check`."""
        require("data.size", self.size, 16 <= self.size <= 256, "an integer from 16 to 256, of pixels")
        one_of("data.shape", self.shape, SHAPES)
        one_of("data.response", self.response, RESPONSES)
        one_of("data.view", self.view, VIEWS)
        one_of("data.background", self.background, BACKGROUNDS)
        require("data.contact", self.contact, 0.01 <= self.contact <= 0.99, "a number from 0.01 to 0.99")
        require("data.noise", self.noise, 0 <= self.noise <= 10, "a number from 0 to 10")

    def pixels(self) -> int:
        """See `WorldConfig.pixels`."""
        return (2 + (self.background != "none")) * self.size**2

    def build(self, dtype: torch.dtype, device: torch.device) -> Sprites:
        """See `WorldConfig.build`."""
        return Sprites(self, dtype, device)


class Sprites:
    """The world of a `SpritesConfig`; places are pixels here, and parts of `size` in what it hands out.

    Attributes:
        shape: of an image.
        agent_radius: of the square.
        object_radius: of the diamond, or half the thickness of the bar.
        half_length: from the object's centre to an end of its core: 0 for a diamond, whose core is a point.

    Args:
        config: its settings.
        dtype, device: of images.
    """

    def __init__(self, config: SpritesConfig, dtype: torch.dtype, device: torch.device) -> None:
        self.config, self.dtype, self.device = config, dtype, device
        self.shape = (2 + (config.background != "none"), config.size, config.size)
        self.agent_radius = math.ceil(config.size / 25)
        wide = math.ceil(2 * config.size / 25)
        self.bar = config.shape == "bar"
        self.object_radius, self.half_length = (max(1, wide // 4), 2 * wide) if self.bar else (wide, 0)
        self._margin = self.half_length + self.object_radius

    def transitions(self, count: int, generator: torch.Generator) -> Transitions:
        """See `World.transitions`: `contact` of them with a contact, rounded, in random order."""
        wanted = {True: round(self.config.contact * count)}
        wanted[False] = count - wanted[True]
        found: dict[bool, list[Tensor]] = {True: [], False: []}
        while any(sum(map(len, found[hit])) < wanted[hit] for hit in wanted):
            drawn = self._draw(4 * count, generator)
            for hit in wanted:
                found[hit].append(drawn[(drawn[:, -1] > 0) == hit])
        chosen = torch.cat([torch.cat(found[hit])[:wanted[hit]] for hit in wanted])
        return self._seen(chosen[torch.randperm(count, generator=generator)], generator)

    def held_out(self, count: int, generator: torch.Generator, balanced: bool = False) -> Transitions:
        """See `World.held_out`: evenly spread are states and targets that are drawn without a look at contacts."""
        if balanced:
            return self.transitions(count, generator)
        return self._seen(self._draw(count, generator), generator)

    def grids(self, side: int) -> list[tuple[Tensor, npt.NDArray[np.float64]]]:
        """See `World.grids`: the object is at rest in the middle, the agent in a corner."""
        found = []
        for moves, margin in (("agent", self.agent_radius), ("object", self._margin)):
            ticks = torch.linspace(margin, self.config.size - margin - 1, side).round().double()
            places = torch.cartesian_prod(ticks, ticks)
            rest = torch.full_like(places, self.config.size // 2 if moves == "agent" else self.agent_radius)
            agent, thing = (places, rest) if moves == "agent" else (rest, places)
            images = self.images(agent, torch.nn.functional.pad(thing, (0, 1)), torch.Generator().manual_seed(0))
            found.append((images, places.numpy() / self.config.size))
        return found

    def _draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Columns: agent (2), object (2), direction; the same afterwards; contact."""
        agent, target = (self._places(self.agent_radius, count, generator) for _ in range(2))
        thing, elsewhere = (self._objects(count, generator) for _ in range(2))
        hits = self.touches(agent, target, thing)
        if self.config.response == "push":
            elsewhere = torch.cat([self._pushed(agent, target), thing[:, 2:]], dim=1)
        later = torch.where(hits[:, None], elsewhere, thing)
        return torch.cat([agent, thing, target, later, hits[:, None].double()], dim=1)

    def touches(self, start: Tensor, end: Tensor, objects: Tensor) -> Tensor:
        """Whether paths touch objects (place and direction, shape (n, 3)), shape (n,)."""
        angle = objects[:, 2]
        reach = self.half_length * torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
        apart = segments_apart(start, end, objects[:, :2] - reach, objects[:, :2] + reach)
        return apart < self.agent_radius + self.object_radius

    def _pushed(self, agent: Tensor, target: Tensor) -> Tensor:
        """Where an object comes to rest that paths push before them, shape (n, 2)."""
        path = target - agent
        reach = self.agent_radius + self.object_radius
        ahead: Tensor = target + reach * path / path.norm(dim=1, keepdim=True).clamp(min=1)
        return ahead.clamp(self._margin, self.config.size - self._margin - 1)

    def _places(self, margin: int, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(margin, self.config.size - margin, (count, 2), generator=generator).double()

    def _objects(self, count: int, generator: torch.Generator) -> Tensor:
        turns = torch.randint(ORIENTATIONS if self.bar else 1, (count, 1), generator=generator)
        return torch.cat([self._places(self._margin, count, generator), turns * math.pi / ORIENTATIONS], dim=1)

    def _seen(self, drawn: Tensor, generator: torch.Generator) -> Transitions:
        agent, thing, target, later = drawn[:, :2], drawn[:, 2:5], drawn[:, 5:7], drawn[:, 7:10]
        before, after = self.images(agent, thing, generator), self.images(target, later, generator)
        size = self.config.size
        actions = ((target - agent) / size).to(self.device, self.dtype)
        states, afterwards = (torch.cat([place, one[:, :2]], dim=1) / size
                              for place, one in ((agent, thing), (target, later)))
        return Transitions(before, after, actions, states, afterwards, drawn[:, 10] > 0,
                           thing[:, 2] if self.bar else None)

    def images(self, agent: Tensor, objects: Tensor, generator: torch.Generator) -> Tensor:
        """Images of states, shape (n, channels, size, size): agent, object, background.

        Args:
            agent: places, shape (n, 2): row and column.
            objects: places and directions, shape (n, 3).
            generator: of backgrounds that move at random, and of noise.
        """
        count, size = len(agent), self.config.size
        images = torch.zeros(count, *self.shape, dtype=self.dtype, device=self.device)
        rows, columns = self._from(self._viewed(agent))
        images[:, 0] = (rows.abs() <= self.agent_radius) & (columns.abs() <= self.agent_radius)
        rows, columns = self._from(self._viewed(objects[:, :2]))
        if self.bar:
            cosine, sine = (one.to(self.device)[:, None, None] for one in (objects[:, 2].cos(), objects[:, 2].sin()))
            # Half a pixel, so that a diagonal bar is as thick as others.
            images[:, 1] = ((rows * cosine + columns * sine).abs() <= self.half_length + 0.5) & (
                (columns * cosine - rows * sine).abs() <= self.object_radius + 0.5)
        else:
            images[:, 1] = rows.abs() + columns.abs() <= self.object_radius
        if self.config.background != "none":
            moved = agent if self.config.background == "agent" else torch.randint(size, (count, 2), generator=generator)
            images[:, 2] = self._squares(moved)
        if self.config.noise:
            noise = torch.randn(images.shape, generator=generator, dtype=self.dtype).to(self.device)
            images += self.config.noise * noise
        return images

    def _viewed(self, places: Tensor) -> Tensor:
        """Where places are seen: the far edge of the field, its first row, in half the width of the near one."""
        if self.config.view == "above":
            return places
        rows, columns = (places / (self.config.size - 1)).unbind(1)
        far = 2 - rows
        return torch.stack([rows / far, 0.5 + (columns - 0.5) / far], dim=1) * (self.config.size - 1)

    def _squares(self, moved: Tensor) -> Tensor:
        """Squares of a fifth of the field, as on a chessboard that is moved, shape (n, size, size)."""
        side = max(1, self.config.size // 5)
        rows, columns = (torch.floor(one / side) for one in self._from(moved))
        return (rows + columns) % 2

    def _from(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns of pixels, counted from places, shapes (n, size, 1) and (n, 1, size)."""
        pixels = torch.arange(self.config.size, device=self.device)
        places = places.to(self.device)
        return pixels[None, :, None] - places[:, 0, None, None], pixels[None, None, :] - places[:, 1, None, None]
