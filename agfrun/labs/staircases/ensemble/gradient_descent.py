"""Training many members by full-batch gradient descent, recorded as one is (`staircases.dynamics.gradient_descent`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.clock import flow_time_per_step, loss_factor
from agfrun.labs.staircases.dynamics.descent_loop import LOOK_EVERY
from agfrun.labs.staircases.dynamics.descent_watch import (
    DIVERGED,
    LOSS_CHANGE,
    NEAR_INITIAL,
    SMALLEST_LOSS,
    STEP_GROWTH,
    diverged_at,
)
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.trajectory import BoolArray, FloatArray, IntArray
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.ensemble.gradient_flow import EnsembleProgress
from agfrun.labs.staircases.ensemble.recording import EnsembleRecorder, Moments
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.study.interruption import Interruption


def train_ensemble_by_gradient_descent(
    architecture: Architecture, flow: EnsembleFlow, neurons: Tensor, steps: Sequence[int], *, learning_rate: float,
    momentum: float = 0.0, loss_normalization: str = "mean_over_outputs", convergence: float = 1e-6,
    max_rows: int = 2000, progress: EnsembleProgress | None = None,
) -> list[TrainingResult]:
    """Heavy-ball gradient descent of every member on the full batch; see `train_by_gradient_descent`.

    Args:
        flow: isometric, so that a step in its coordinates is a step in the parameters.
        neurons: initializations, (B, K, D).
        steps: how many steps each member takes at most.
        progress: called with the number of members that have ended.
    """
    factor = loss_factor(loss_normalization, architecture.output_dimension)
    per_step = flow_time_per_step(learning_rate, momentum, loss_normalization, architecture.output_dimension)
    descent = _Descent(flow, neurons, learning_rate * factor, momentum)
    watch = _Watch(EnsembleRecorder(architecture, len(steps), max_rows), np.array(steps), per_step, convergence)
    look_every = 1 if neurons.device.type == "cpu" else LOOK_EVERY
    with Interruption() as interruption:
        step = 0
        while len(watch.members) and not interruption.asked:
            loss = descent.evaluate()
            if step % look_every == 0 or step in steps:
                going = watch.look(step, loss, descent)
                if not going.all():
                    descent.keep(watch.members, going)
                    watch.members = watch.members[going]
                if progress is not None and step % LOOK_EVERY == 0:
                    progress(len(steps) - len(watch.members))
            descent.step()
            step += 1
    descent.stop(watch.members)
    clock: dict[str, float | str] = {
        "learning_rate": learning_rate, "momentum": momentum, "loss_normalization": loss_normalization,
        "flow_time_per_step": per_step,
    }
    for member in watch.members.tolist():
        watch.endings[member], watch.last[member] = ("interrupted", f"{interruption.reason} at step {step}"), step
    return [
        TrainingResult(recorder.trajectory(), recorder, final, *ending,
                       IntegrationStatistics(accepted_steps=last, gradient_evaluations=last), clock)
        for recorder, final, ending, last in zip(
            watch.recorder.recorders(), descent.final, watch.endings, watch.last, strict=True)
    ]


class _Descent:
    """Coordinates and optimizer velocities of the members that are running; final neurons of all."""

    def __init__(self, flow: EnsembleFlow, neurons: Tensor, rate: float, momentum: float) -> None:
        self.flow, self.rate, self.momentum = flow, rate, momentum
        self.y = flow.encode(neurons)
        self.velocity = torch.zeros_like(self.y)
        self.downhill = self.velocity
        self.final = neurons.clone()

    def evaluate(self) -> Tensor:
        """Paper losses (B,); the gradient comes with them and is kept for the next step."""
        loss, self.downhill = self.flow.loss_and_velocity(self.y)
        return loss

    def step(self) -> None:
        """One step of every member."""
        self.velocity = self.momentum * self.velocity + self.downhill
        self.y = self.y + self.rate * self.velocity

    def keep(self, members: IntArray, going: BoolArray) -> None:
        """Take down where members (B,) are that have ended, and go on with the others."""
        device = self.y.device
        ended, kept = (torch.as_tensor(np.flatnonzero(places), device=device) for places in (~going, going))
        self.final[torch.as_tensor(members[~going], device=device)] = self.flow.select(ended).decode(self.y[ended])
        self.flow, self.y = self.flow.select(kept), self.y[kept]
        self.velocity, self.downhill = self.velocity[kept], self.downhill[kept]

    def stop(self, members: IntArray) -> None:
        """Take down where the members (B,) are that are still running."""
        if len(members):
            self.final[torch.as_tensor(members, device=self.y.device)] = self.flow.decode(self.y)


class _Watch:
    """Looks at the losses, records what changed and says who is to end."""

    def __init__(self, recorder: EnsembleRecorder, steps: IntArray, per_step: float, convergence: float) -> None:
        self.recorder, self.steps, self.per_step, self.convergence = recorder, steps, per_step, convergence
        self.members = np.arange(len(steps))
        self.endings = [("", "")] * len(steps)
        self.last = [0] * len(steps)
        self.initial = np.full(len(steps), np.inf)
        self.recorded_loss = np.full(len(steps), np.inf)
        self.recorded_step = np.zeros(len(steps), dtype=np.int64)

    def look(self, step: int, losses: Tensor, descent: _Descent) -> BoolArray:
        """Record what is new; which of the running members are to go on, (B,)."""
        loss: FloatArray = losses.double().cpu().numpy()
        members = self.members
        if step == 0:
            self.initial[:] = loss
        near = np.isfinite(loss) & ~(loss > DIVERGED * self.initial[members])
        done = self._converged(losses).cpu().numpy() & near
        at_end = near & (step >= self.steps[members])
        news = (near & (self._is_news(step, loss) | at_end | done)) | (step == 0)
        if news.any():
            self._record(step, loss, np.flatnonzero(news), descent)
        going: BoolArray = near & ~done & ~at_end
        for place in np.flatnonzero(~going).tolist():
            self.endings[members[place]] = self._ending(step, float(loss[place]), bool(near[place]), bool(done[place]))
            self.last[members[place]] = step
        return going

    def _converged(self, losses: Tensor) -> Tensor:
        initial = torch.as_tensor(self.initial[self.members]).to(losses)
        return self.recorder.architecture.learned(losses, initial, self.convergence)

    def _is_news(self, step: int, loss: FloatArray) -> BoolArray:
        """As for a single run, for each running member."""
        recorded, initial = self.recorded_loss[self.members], self.initial[self.members]
        room = LOSS_CHANGE * np.maximum(np.minimum(recorded, loss + NEAR_INITIAL * initial), SMALLEST_LOSS * initial)
        news: BoolArray = np.abs(loss - recorded) > room
        return news | (step - self.recorded_step[self.members] > STEP_GROWTH * step)

    def _record(self, step: int, loss: FloatArray, places: IntArray, descent: _Descent) -> None:
        members, chosen = self.members[places], torch.as_tensor(places, device=descent.y.device)
        moments = Moments(members, np.full(len(places), step * self.per_step), loss[places], np.full(len(places), step))
        self.recorder.record(moments, *descent.flow.select(chosen).scaled(descent.y[chosen]))
        self.recorded_loss[members], self.recorded_step[members] = loss[places], step

    def _ending(self, step: int, loss: float, near: bool, converged: bool) -> tuple[str, str]:
        """Status and reason, in the words of a single run."""
        if not near:
            return "diverged", diverged_at(step, loss)
        if converged:
            return "converged", f"all but {self.convergence:g} of the loss was learned at step {step}"
        return "horizon", f"all {step} steps were taken"
