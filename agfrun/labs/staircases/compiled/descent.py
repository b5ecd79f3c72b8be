"""Full-batch gradient descent with heavy-ball momentum in compiled code, for networks that have a kernel.

Many steps are one call, which looks at the loss after each as `dynamics.descent_watch` does and hands back what is to
be recorded. How steps are shared out among calls changes no bit of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from agfrun.labs.staircases.compiled.compiler import compiled
from agfrun.labs.staircases.compiled.kernels import loss_and_velocity
from agfrun.labs.staircases.dynamics.descent_watch import (
    DIVERGED,
    LOSS_CHANGE,
    NEAR_INITIAL,
    SMALLEST_LOSS,
    STEP_GROWTH,
    DescentWatch,
    Ending,
)
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray

# So many numbers of states a call may have to record. It takes some milliseconds, for which Ctrl-C and progress wait.
NUMBERS_TOGETHER = 2**18
FEWEST_TOGETHER = 16
# At the start, where most steps are recorded, a call takes this share of all steps so far.
SHARE = 1 / 8

# Places of what is remembered from call to call.
STEP, RECORDED_STEP = range(2)
INITIAL_LOSS, RECORDED_LOSS = range(2)
# How a call ends.
GOING, CONVERGED, HAS_DIVERGED = range(3)


def steps_together(step: int, size: int) -> int:
    """How many steps of a network of `size` numbers are taken in one call that begins at `step`."""
    most = max(FEWEST_TOGETHER, NUMBERS_TOGETHER // max(size, 1))
    return max(1, min(int(SHARE * step), most))


class CompiledDescent:
    """Steps of an optimizer whose coordinates have a kernel, from where the watch stands, to be iterated over once.

    Each item is how training is to end, or None after a call that leaves it going on; optimizer and watch then stand
    at the same step, which has been looked at.
    """

    def __init__(self, optimizer: HeavyBall, kernel: Any, watch: DescentWatch) -> None:
        self.optimizer, self.kernel, self.watch = optimizer, kernel, watch

    def __iter__(self) -> Iterator[Ending | None]:
        while True:
            ending = self._advance()
            yield ending
            if ending is not None or self.watch.step >= self.watch.steps:
                return

    def _advance(self) -> Ending | None:
        optimizer, watch = self.optimizer, self.watch
        y, momentum_term = optimizer.y.numpy(), optimizer.momentum_term.numpy()
        count = min(steps_together(watch.step, len(y)), watch.steps - watch.step)
        steps, losses = np.array([watch.step, watch.recorded_step]), np.array([watch.initial_loss, watch.recorded_loss])
        recorded_steps, recorded_losses = np.empty(count + 1, np.int64), np.empty(count + 1)
        states = np.empty((count + 1, len(y)))
        status, filled, loss = descend(
            self.kernel, y, momentum_term, optimizer.rate, optimizer.momentum, steps, losses, count, watch.steps,
            watch.minimal_loss, watch.convergence, recorded_steps, recorded_losses, states)
        watch.step, watch.recorded_step = steps.tolist()
        watch.initial_loss, watch.recorded_loss = losses.tolist()
        if filled:
            watch.record(recorded_steps[:filled].tolist(), recorded_losses[:filled].tolist(),
                         optimizer.coordinates.decode(torch.from_numpy(states[:filled].copy())))
        if status == HAS_DIVERGED:
            return watch.diverged(loss)
        return watch.converged() if status == CONVERGED else None


@compiled
def descend(
    kernel: Any, y: FloatArray, momentum_term: FloatArray, rate: float, momentum: float, steps: IntArray,
    losses: FloatArray, count: int, last: int, minimal_loss: float, convergence: float, recorded_steps: IntArray,
    recorded_losses: FloatArray, states: FloatArray,
) -> tuple[int, int, float]:
    """Look at the loss, and take a step and look again, up to `count` times.

    Args:
        y, momentum_term: coordinates and the optimizer's velocity (n,), changed in place; see `HeavyBall.step`.
        steps, losses: what is remembered from call to call, at the places above.
        last: step at which training ends, which is recorded.
        minimal_loss, convergence: see `Architecture.learned`.
        recorded_steps, recorded_losses, states: the record, of count + 1 rows.

    Returns:
        How it ended, how many rows of the record are filled, and the last loss.
    """
    velocity, filled, taken = np.empty(y.shape[0]), 0, 0
    while True:
        loss = loss_and_velocity(kernel, y, velocity)
        step = steps[STEP]
        diverged = not math.isfinite(loss) or loss > DIVERGED * losses[INITIAL_LOSS]
        if step == 0 and not diverged:
            losses[INITIAL_LOSS] = loss
        learned = loss - minimal_loss <= convergence * (losses[INITIAL_LOSS] - minimal_loss)
        # A trajectory has its start, whatever its loss.
        is_row = step == 0 if diverged else learned or _is_news(step, loss, last, steps, losses)
        if is_row:
            recorded_steps[filled], recorded_losses[filled] = step, loss
            for k in range(y.shape[0]):
                states[filled, k] = y[k]
            filled += 1
            steps[RECORDED_STEP], losses[RECORDED_LOSS] = step, loss
        if diverged:
            return HAS_DIVERGED, filled, loss
        if learned:
            return CONVERGED, filled, loss
        if taken == count:
            return GOING, filled, loss
        for k in range(y.shape[0]):
            momentum_term[k] = momentum * momentum_term[k] + velocity[k]
            y[k] += rate * momentum_term[k]
        steps[STEP] += 1
        taken += 1


@compiled
def _is_news(step: int, loss: float, last: int, steps: IntArray, losses: FloatArray) -> bool:
    """See `DescentWatch.is_news`."""
    recorded_step: int = steps[RECORDED_STEP]
    recorded_loss: float = losses[RECORDED_LOSS]
    initial_loss: float = losses[INITIAL_LOSS]
    if step - recorded_step > STEP_GROWTH * step or (step == last and step != recorded_step):
        return True
    usual = max(min(recorded_loss, loss + NEAR_INITIAL * initial_loss), SMALLEST_LOSS * initial_loss)
    return abs(loss - recorded_loss) > LOSS_CHANGE * usual
