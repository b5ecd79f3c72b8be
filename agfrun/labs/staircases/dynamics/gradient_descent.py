"""Training by gradient descent with heavy-ball momentum: a true optimizer loop."""

from __future__ import annotations

import dataclasses
import math

from torch import Tensor

from agfrun.files.training_state import Checkpoints, TrainingState, restoring
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step, loss_factor
from agfrun.labs.staircases.dynamics.gradient_flow import Progress
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.unrolled_heavy_ball import Compiler, UnrolledHeavyBall
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.study.interruption import Interruption

# A row is recorded when the loss has changed by this share, or the step number has grown by that share.
LOSS_CHANGE = 0.004
STEP_GROWTH = 0.01
# Below this share of the initial loss, changes are rounding.
SMALLEST_LOSS = 1e-12
# A loss above so many times the initial one is beyond return: the steps grow with it.
DIVERGED = 1e6
# Reading the loss off an accelerator stalls it, and a mini-batch does not yield it: look now and then.
LOOK_EVERY = 20


def train_by_gradient_descent(
    architecture: Architecture, neurons: Tensor, steps: int, *, learning_rate: float, momentum: float = 0.0,
    batch_size: int | None = None, loss_normalization: str = "mean_over_outputs", seed: int = 0,
    convergence: float = 1e-6, max_rows: int = 2000, progress: Progress | None = None,
    checkpoints: Checkpoints | None = None, resume: TrainingState | None = None, compiler: Compiler | None = None,
) -> TrainingResult:
    """Heavy-ball gradient descent, velocity = momentum * velocity + gradient, for at most `steps` steps.

    Args:
        neurons: initialization, (H, D).
        learning_rate, momentum, loss_normalization: see `staircases.dynamics.clock`, which turns steps into
            gradient-flow time.
        batch_size: samples drawn for each step; None is the full batch. The recorded loss is always
            that of the full data.
        seed: seed of the batches.
        convergence, max_rows, progress, checkpoints, resume: as for gradient flow. On the same machine and number
            of threads the numbers do not depend on where training was taken up again, to the last bit.
        compiler: of several full-batch steps at a time; None takes them one by one.

    Raises:
        CheckpointError: `resume` is of another training.
    """
    factor = loss_factor(loss_normalization, architecture.output_dimension)
    per_step = flow_time_per_step(learning_rate, momentum, loss_normalization, architecture.output_dimension)
    recorder = Recorder(architecture, "training", max_rows)
    watch = _Watch(recorder, per_step, steps, convergence, progress)
    rate = learning_rate * factor
    optimizer = (HeavyBall(architecture, neurons, rate, momentum, batch_size, seed) if compiler is None
                 else UnrolledHeavyBall(architecture, neurons, rate, momentum, compiler))
    look_every = 1 if batch_size is None and (neurons.device.type == "cpu" or compiler is not None) else LOOK_EVERY
    first = 0
    if resume is not None:
        with restoring():
            first = int(resume.numbers["step"])
            optimizer.restore(resume.part("optimizer"))
            watch.restore(resume.part("watch"))
            recorder.restore(resume.part("recorder"), neurons)

    def state() -> TrainingState:
        parts = TrainingState.joined(optimizer=optimizer.state(), watch=watch.state(), recorder=recorder.state())
        return dataclasses.replace(parts, numbers={**parts.numbers, "step": step})

    status, reason, step = "horizon", f"all {steps} steps were taken", first
    with Interruption() as interruption:
        for step in range(first, steps + 1):
            if step > first and checkpoints is not None and (interruption.asked or checkpoints.due()):
                checkpoints.save(state())
            if interruption.asked:
                break
            if step % look_every == 0 or step == steps:
                ended = watch.look(step, optimizer, optimizer.full_loss())
                if ended is not None:
                    status, reason = ended
                    break
            if step < steps:
                optimizer.step()
    if interruption.asked and status == "horizon":
        status, reason = "interrupted", f"{interruption.reason} at step {step}"
    statistics = IntegrationStatistics(accepted_steps=step, gradient_evaluations=step)
    clock: dict[str, float | str] = {
        "learning_rate": learning_rate, "momentum": momentum, "loss_normalization": loss_normalization,
        "flow_time_per_step": per_step,
    }
    return TrainingResult(recorder.trajectory(), recorder, optimizer.neurons.clone(), status, reason, statistics, clock)


def has_diverged(loss: float, initial_loss: float) -> bool:
    """Whether gradient descent has left for good: nothing comes back from so far above where it began."""
    return not math.isfinite(loss) or loss > DIVERGED * initial_loss


def diverged_at(step: int, loss: float) -> str:
    """The reason, in words."""
    return f"at step {step}, loss {loss:.2g}" if math.isfinite(loss) else f"the loss is not finite at step {step}"


class _Watch:
    """Looks at the loss, records what changed and says when to stop."""

    def __init__(self, recorder: Recorder, per_step: float, steps: int, convergence: float,
                 progress: Progress | None) -> None:
        self.recorder, self.per_step, self.steps = recorder, per_step, steps
        self.convergence, self.progress = convergence, progress
        self.initial_loss = self.recorded_loss = math.inf
        self.recorded_step = 0

    def state(self) -> TrainingState:
        """What it remembers."""
        return TrainingState({"initial_loss": self.initial_loss, "recorded_loss": self.recorded_loss,
                              "recorded_step": self.recorded_step})

    def restore(self, state: TrainingState) -> None:
        """Take up a state."""
        numbers = state.numbers
        self.initial_loss, self.recorded_loss = float(numbers["initial_loss"]), float(numbers["recorded_loss"])
        self.recorded_step = int(numbers["recorded_step"])

    def look(self, step: int, optimizer: HeavyBall, loss: float) -> tuple[str, str] | None:
        """Record if there is something new; status and reason if training is to end."""
        if has_diverged(loss, self.initial_loss):
            if step == 0:  # a trajectory has its start, whatever its loss
                self.recorder.record(0.0, optimizer.neurons.clone(), loss, step)
            return "diverged", diverged_at(step, loss)
        if step == 0:
            self.initial_loss = loss
        converged = self.recorder.architecture.learned(loss, self.initial_loss, self.convergence)
        if self._is_news(step, loss) or converged:
            self.recorder.record(step * self.per_step, optimizer.neurons.clone(), loss, step)
            self.recorded_loss, self.recorded_step = loss, step
            if self.progress is not None:
                self.progress(step * self.per_step, loss)
        if converged:
            return "converged", f"all but {self.convergence:g} of the loss was learned at step {step}"
        return None

    def _is_news(self, step: int, loss: float) -> bool:
        # A share of what was recorded last, unless that was a spike far above the loss now.
        change = abs(loss - self.recorded_loss)
        return (step in (0, self.steps) or step - self.recorded_step > STEP_GROWTH * step
                or change > LOSS_CHANGE * max(min(self.recorded_loss, loss + 0.1 * self.initial_loss),
                                              SMALLEST_LOSS * self.initial_loss))
