"""Transitions of the user's own, from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.files.array_files import read_npy
from agfrun.files.reading import MOST_DATA, reading_named
from agfrun.labs.interaction.worlds.world import Transitions, WorldConfig
from agfrun.study.checks import require
from agfrun.study.registry import register

KEY = "data.path"
NEEDED, FURTHER = ("before", "after", "actions"), ("states", "contacts")
_FEWEST, _LARGEST_BYTE = 100, 255.0


@register("data")
@dataclass
class RecordingsConfig(WorldConfig):
    """Recorded transitions, from a folder of NumPy's files.

    `before.npy` and `after.npy` are images, shape (n, channels, height, width), bytes or numbers; `actions.npy` says
    how far the agent moved, shape (n, 2), in parts of the field, from -1 to 1. Only to be judged: `states.npy`, agent
    and object before, shape (n, 4), in the unit of the actions, and `contacts.npy`, shape (n,). The last `held_out` of
    them are not learned from.
    """

    name: str = "recordings"
    path: str | None = None
    held_out: float = 0.2

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `WorldConfig.check`."""
        require(KEY, self.path, self.path is not None, "a folder with the files before.npy, after.npy and actions.npy")
        require("data.held_out", self.held_out, 0.01 <= self.held_out <= 0.9, "a number from 0.01 to 0.9")

    def pixels(self) -> int:
        """See `WorldConfig.pixels`: not known before the files are read."""
        return 0

    def build(self, dtype: torch.dtype, device: torch.device) -> Recordings:
        """See `WorldConfig.build`."""
        folder = Path(str(self.path)).expanduser()
        arrays = {name: _read(folder / f"{name}.npy") for name in (*NEEDED, *FURTHER)
                  if name in NEEDED or (folder / f"{name}.npy").exists()}
        count = len(arrays["actions"])
        shapes = {"before": arrays["before"].shape, "after": arrays["before"].shape, "actions": (count, 2),
                  "states": (count, 4), "contacts": (count,)}
        require(KEY, self.path, arrays["before"].ndim == 4 and len(arrays["before"]) == count >= _FEWEST
                and min(arrays["before"].shape) >= 1, f"a folder with at least {_FEWEST} images of the shape (n, "
                "channels, height, width) in before.npy, and as many actions")
        for name, array in arrays.items():
            require(KEY, self.path, array.shape == shapes[name] and bool(np.isfinite(array).all()),
                    f"a folder with finite numbers of the shape {shapes[name]} in {name}.npy")
        require(KEY, self.path, float(np.abs(arrays["actions"]).max()) <= 1,
                "a folder with actions in parts of the field, from -1 to 1, in actions.npy: places are sought in it")
        return Recordings(arrays, count - max(1, round(self.held_out * count)), dtype, device)


class Recordings:
    """The world of a `RecordingsConfig`.

    Attributes:
        shape: of an image.

    Args:
        arrays: by the name of the file.
        learned: how many are learned from.
        dtype, device: of images.
    """

    def __init__(self, arrays: dict[str, npt.NDArray[Any]], learned: int, dtype: torch.dtype, device: torch.device
                 ) -> None:
        self.arrays, self.learned, self.count = arrays, learned, len(arrays["actions"])
        self.dtype, self.device = dtype, device
        channels, height, width = arrays["before"].shape[1:]
        self.shape = (channels, height, width)

    def transitions(self, count: int, generator: torch.Generator) -> Transitions:
        """See `World.transitions`: drawn with replacement."""
        return self._of(torch.randint(self.learned, (count,), generator=generator))

    def held_out(self, count: int, generator: torch.Generator, balanced: bool = False) -> Transitions:
        """See `World.held_out`: as they were recorded, whether balanced or not, at most all of them."""
        order = self.learned + torch.randperm(self.count - self.learned, generator=generator)
        return self._of(order[:count])

    def grids(self, side: int) -> list[tuple[Tensor, npt.NDArray[np.float64]]]:
        """See `World.grids`: there are none."""
        return []

    def _of(self, rows: Tensor) -> Transitions:
        def part(name: str) -> Tensor | None:
            return torch.from_numpy(self.arrays[name][rows.numpy()]) if name in self.arrays else None

        images = [self._image(self.arrays[name][rows.numpy()]) for name in ("before", "after")]
        states, contacts = part("states"), part("contacts")
        actions = torch.from_numpy(self.arrays["actions"][rows.numpy()]).to(self.device, self.dtype)
        return Transitions(images[0], images[1], actions, None if states is None else states.double(),
                           contacts=None if contacts is None else contacts > 0)

    def _image(self, values: npt.NDArray[Any]) -> Tensor:
        scale = _LARGEST_BYTE if values.dtype == np.uint8 else 1.0
        return torch.from_numpy(values).to(self.device, self.dtype) / scale


def _read(path: Path) -> npt.NDArray[Any]:
    """An array of numbers or flags.

    Raises:
        ConfigError: it cannot be read.
    """
    with reading_named(KEY, str(path)):
        array = read_npy(path, MOST_DATA)
    require(KEY, str(path), array.dtype.kind in "iufb", "an array of numbers")
    return array
