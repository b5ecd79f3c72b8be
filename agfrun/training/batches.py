"""What a model is trained on, batch by batch: tensors that are reshuffled each epoch, or a stream without an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState

Samples = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
Draw = Callable[[int, torch.Generator], Any]


@runtime_checkable
class Batches(Protocol):
    """A source of batches that can be taken up again from between any two of them."""

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches of one pass over the data; None where there is no end."""

    def begin(self, generator: torch.Generator) -> None:
        """Start from the first batch; all that is random comes from the generator, on the CPU."""

    def next(self) -> Any:
        """The next batch, of any form that the loss function takes."""

    def state(self) -> TrainingState:
        """What the batches to come depend on, the state of the generator included."""

    def restore(self, state: TrainingState) -> None:
        """Take up a state, after `begin`. Raises a ValueError if it is of other batches."""


class TensorBatches:
    """Batches of samples that are held in tensors, along their first dimension.

    Args:
        samples: a tensor, or a tuple or mapping of tensors of the same length; batches have the same form.
        batch_size: None for the full batch, which is never shuffled; a last smaller batch holds what remains.
        shuffle: whether each epoch has an order of its own.
        drop_last: leave the smaller batch out.

    Raises:
        ValueError: there are no samples, or not equally many.
    """

    def __init__(self, samples: Samples, batch_size: int | None = None, *, shuffle: bool = True,
                 drop_last: bool = False) -> None:
        tensors = _tensors(samples)
        lengths = sorted({len(tensor) for tensor in tensors})
        if len(lengths) != 1 or lengths[0] == 0:
            raise ValueError(f"the tensors of the samples have the lengths {lengths}")
        self.samples, self.count, self.device = samples, lengths[0], tensors[0].device
        self.batch_size = min(batch_size or self.count, self.count)
        self.full = batch_size is None
        self.shuffle = shuffle and not self.full
        self.whole_ones_only = drop_last
        self.position = 0

    @property
    def steps_per_epoch(self) -> int:
        """See `Batches`."""
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest > 0 and not self.whole_ones_only)

    def begin(self, generator: torch.Generator) -> None:
        """See `Batches`."""
        self.generator = generator
        self._begin_epoch()

    def next(self) -> Samples:
        """See `Batches`."""
        if self.position == self.steps_per_epoch:
            self._begin_epoch()
        first = self.position * self.batch_size
        self.position += 1
        if self.full:
            return self.samples
        chosen = self.order[first:first + self.batch_size]
        return _select(self.samples, chosen)

    def state(self) -> TrainingState:
        """See `Batches`: the generator before it drew this epoch's order is shorter than the order."""
        return TrainingState({"position": self.position, "count": self.count, "batch_size": self.batch_size},
                             {"generator": self.before.clone()})

    def restore(self, state: TrainingState) -> None:
        """See `Batches`."""
        for name in ("count", "batch_size"):
            if state.numbers[name] != getattr(self, name):
                raise ValueError(f"its batches have the {name} {state.numbers[name]}, not {getattr(self, name)}")
        self.generator.set_state(state.arrays["generator"].clone())
        self._begin_epoch()
        self.position = int(state.numbers["position"])

    def _begin_epoch(self) -> None:
        self.position, self.before = 0, self.generator.get_state()
        order = torch.randperm(self.count, generator=self.generator) if self.shuffle else torch.arange(self.count)
        self.order = order.to(self.device)


class Stream:
    """Batches without an end.

    Args:
        draw: the batch of step 0, 1, 2, ..., from the step's number and a generator for all that is random in it.
    """

    steps_per_epoch = None

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.step = 0

    def begin(self, generator: torch.Generator) -> None:
        """See `Batches`."""
        self.step, self.generator = 0, generator

    def next(self) -> Any:
        """See `Batches`."""
        batch = self.draw(self.step, self.generator)
        self.step += 1
        return batch

    def state(self) -> TrainingState:
        """See `Batches`."""
        return TrainingState({"step": self.step}, {"generator": self.generator.get_state()})

    def restore(self, state: TrainingState) -> None:
        """See `Batches`."""
        self.step = int(state.numbers["step"])
        self.generator.set_state(state.arrays["generator"].clone())


def batches_of(data: Samples | Draw | Batches, batch_size: int | None) -> Batches:
    """The batches of what a training is given: samples, a function `(step, generator) -> batch`, or batches.

    Raises:
        TypeError: it is none of these.
        ValueError: as for `TensorBatches`.
    """
    if isinstance(data, Batches):
        return data
    if isinstance(data, Tensor | tuple | Mapping):
        return TensorBatches(data, batch_size)
    if callable(data):
        return Stream(data)
    raise TypeError(f"{type(data).__name__} is neither tensors nor a function (step, generator) -> batch nor Batches")


def _tensors(samples: Samples) -> list[Tensor]:
    if isinstance(samples, Tensor):
        return [samples]
    return list(samples.values() if isinstance(samples, Mapping) else samples)


def _select(samples: Samples, chosen: Tensor) -> Samples:
    if isinstance(samples, Tensor):
        return samples[chosen]
    if isinstance(samples, Mapping):
        return {name: tensor[chosen] for name, tensor in samples.items()}
    return tuple(tensor[chosen] for tensor in samples)
