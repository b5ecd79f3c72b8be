"""What is recorded of gradient descent, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.recorder import Recorder

# A row is recorded when the loss has changed by this share, or the step number has grown by that share.
LOSS_CHANGE = 0.004
STEP_GROWTH = 0.01
# A loss that is recorded counts as no more than the one now and this share of the initial one.
NEAR_INITIAL = 0.1
# Below this share of the initial loss, changes are rounding.
SMALLEST_LOSS = 1e-12
# A loss above so many times the initial one is beyond return: the steps grow with it.
DIVERGED = 1e6

Progress = Callable[[float, float], None]
# Status and reason.
Ending = tuple[str, str]


class DescentWatch:
    """Looks at the loss, records what changed and says when to stop.

    To look at a step again changes nothing: training goes on from one that has been looked at or not.

    Args:
        per_step: gradient-flow time of a step.
        steps: how many are taken at most.
        convergence, progress: see `train_by_gradient_descent`.

    Attributes:
        step: where training stands.
    """

    def __init__(self, recorder: Recorder, per_step: float, steps: int, convergence: float,
                 progress: Progress | None) -> None:
        self.recorder, self.per_step, self.steps = recorder, per_step, steps
        self.convergence, self.progress = convergence, progress
        self.minimal_loss = recorder.architecture.minimal_loss
        self.initial_loss = self.recorded_loss = math.inf
        self.step, self.recorded_step = 0, -1

    def state(self) -> TrainingState:
        """What it remembers, but for the step."""
        return TrainingState({"initial_loss": self.initial_loss, "recorded_loss": self.recorded_loss,
                              "recorded_step": self.recorded_step})

    def restore(self, step: int, state: TrainingState) -> None:
        """Take up a state at a step."""
        numbers = state.numbers
        self.initial_loss, self.recorded_loss = float(numbers["initial_loss"]), float(numbers["recorded_loss"])
        self.step, self.recorded_step = step, int(numbers["recorded_step"])

    def look(self, neurons: Callable[[], Tensor], loss: float) -> Ending | None:
        """Record the loss and the neurons (H, D) here if there is something new; how training is to end, if it is."""
        if has_diverged(loss, self.initial_loss):
            if self.step == 0:  # a trajectory has its start, whatever its loss
                self.record([0], [loss], neurons()[None])
            return self.diverged(loss)
        if self.step == 0:
            self.initial_loss = loss
        converged = self.recorder.architecture.learned(loss, self.initial_loss, self.convergence)
        if self.is_news(loss) or converged:
            self.recorded_loss, self.recorded_step = loss, self.step
            self.record([self.step], [loss], neurons()[None])
        return self.converged() if converged else None

    def record(self, steps: Sequence[int], losses: Sequence[float], neurons: Tensor) -> None:
        """Record T moments, with neurons (T, H, D); progress is told of the last."""
        times = [step * self.per_step for step in steps]
        self.recorder.record_all(times, neurons, losses, steps)
        if self.progress is not None:
            self.progress(times[-1], losses[-1])

    def diverged(self, loss: float) -> Ending:
        """The ending of a training that has left for good."""
        return "diverged", diverged_at(self.step, loss)

    def converged(self) -> Ending:
        """The ending of a training that has learned what there is to learn."""
        return "converged", f"all but {self.convergence:g} of the loss was learned at step {self.step}"

    def is_news(self, loss: float) -> bool:
        """Whether a row is to be recorded here."""
        if self.step - self.recorded_step > STEP_GROWTH * self.step:
            return True
        # A share of what was recorded last, unless that was a spike far above the loss now.
        usual = max(min(self.recorded_loss, loss + NEAR_INITIAL * self.initial_loss), SMALLEST_LOSS * self.initial_loss)
        return (abs(loss - self.recorded_loss) > LOSS_CHANGE * usual
                or (self.step == self.steps and self.step != self.recorded_step))


def has_diverged(loss: float, initial_loss: float) -> bool:
    """Whether gradient descent has left for good: nothing comes back from so far above where it began."""
    return not math.isfinite(loss) or loss > DIVERGED * initial_loss


def diverged_at(step: int, loss: float) -> str:
    """The reason, in words."""
    return f"at step {step}, loss {loss:.2g}" if math.isfinite(loss) else f"the loss is not finite at step {step}"
