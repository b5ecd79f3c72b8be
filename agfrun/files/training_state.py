"""What a training needs to go on from between two steps, as plain numbers and arrays that any file format can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from agfrun.study.errors import CheckpointError


@dataclass(frozen=True)
class TrainingState:
    """A moment of a training.

    Attributes:
        numbers: numbers, words, None and lists of them, by name.
        arrays: tensors by name.
    """

    numbers: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def joined(cls, **parts: TrainingState) -> TrainingState:
        """The states of several parts as one; `part` gives each back."""
        return cls(
            {f"{name}.{key}": value for name, part in parts.items() for key, value in part.numbers.items()},
            {f"{name}.{key}": value for name, part in parts.items() for key, value in part.arrays.items()},
        )

    def part(self, name: str) -> TrainingState:
        """The state of one of the parts that `joined` was given."""
        start = f"{name}."
        return TrainingState(
            {key.removeprefix(start): value for key, value in self.numbers.items() if key.startswith(start)},
            {key.removeprefix(start): value for key, value in self.arrays.items() if key.startswith(start)},
        )

    def tensor(self, name: str, like: Tensor) -> Tensor:
        """An array for computing with: on the device and of the type of `like`, and of its shape.

        Raises:
            ValueError: the shape is another.
        """
        found = self.arrays[name]
        if found.shape != like.shape:
            raise ValueError(f"{name} has the shape {tuple(found.shape)}, not {tuple(like.shape)}")
        return found.to(like).clone()


class Checkpoints(Protocol):
    """Keeps states of a training that is under way."""

    def due(self) -> bool:
        """Whether it is time for the next."""

    def save(self, state: TrainingState) -> None:
        """Keep a state. Whatever goes wrong with that does no harm to the training."""


@contextmanager
def restoring() -> Iterator[None]:
    """Within this context a state is taken up that may be of another training.

    Raises:
        CheckpointError: it is.
    """
    try:
        yield
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is none of this training: {error}") from error
