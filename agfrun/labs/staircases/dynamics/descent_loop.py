"""How every optimizer is taken to its end: where it is taken up, looked at, saved and interrupted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from torch import Tensor

from agfrun.files.training_state import Checkpoints, TrainingState, restoring
from agfrun.labs.staircases.dynamics.descent_watch import DescentWatch, Ending
from agfrun.study.interruption import Interruption

# Reading the loss off an accelerator stalls it, and a mini-batch does not yield it: look now and then.
LOOK_EVERY = 20

# Each stretch of training ends with how training is to end, None: it goes on.
Stretches = Iterable[Ending | None]


class Optimizer(Protocol):
    """What is asked of an optimizer between its steps."""

    @property
    def neurons(self) -> Tensor:
        """The neurons, (H, D)."""

    def full_loss(self) -> float:
        """Paper loss on the full data."""

    def state(self) -> TrainingState:
        """Where it is between two steps."""

    def restore(self, state: TrainingState) -> None:
        """Go on from a state."""


def descend(optimizer: Optimizer, watch: DescentWatch, stretches: Callable[[], Stretches], initial: Tensor,
            checkpoints: Checkpoints | None, resume: TrainingState | None) -> Ending:
    """Train until the end, or an interruption; how it ended.

    Args:
        stretches: training from where the watch stands, asked for once `resume` has been taken up.
        initial: neurons at the start, (H, D).

    Raises:
        CheckpointError: `resume` is of another training.
    """
    recorder = watch.recorder
    if resume is not None:
        with restoring():
            optimizer.restore(resume.part("optimizer"))
            watch.restore(int(resume.numbers["step"]), resume.part("watch"))
            recorder.restore(resume.part("recorder"), initial)

    def state() -> TrainingState:
        parts = TrainingState.joined(optimizer=optimizer.state(), watch=watch.state(), recorder=recorder.state())
        return dataclasses.replace(parts, numbers={**parts.numbers, "step": watch.step})

    with Interruption() as interruption:
        for ending in stretches():
            if ending is not None:
                return ending
            # Whoever has taken all steps ends now, unless somebody interrupts.
            if checkpoints is not None and watch.step > 0 and (
                    interruption.asked or (watch.step < watch.steps and checkpoints.due())):
                checkpoints.save(state())
            if interruption.asked:
                break
    if interruption.asked:
        return "interrupted", f"{interruption.reason} at step {watch.step}"
    return "horizon", f"all {watch.steps} steps were taken"


def single_steps(optimizer: Optimizer, watch: DescentWatch, step: Callable[[], None], batches: bool
                 ) -> Iterator[Ending | None]:
    """Stretches of one step each.

    Args:
        step: takes it.
        batches: whether its gradient is of a mini-batch.
    """
    look_every = 1 if not batches and optimizer.neurons.device.type == "cpu" else LOOK_EVERY
    while True:
        looks = watch.step % look_every == 0 or watch.step == watch.steps
        yield watch.look(lambda: optimizer.neurons.clone(), optimizer.full_loss()) if looks else None
        if watch.step >= watch.steps:
            return
        step()
        watch.step += 1
