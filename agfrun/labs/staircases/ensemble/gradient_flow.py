"""Training many members by gradient flow, recorded as `staircases.dynamics.gradient_flow` records one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.sampling import FINEST_SAMPLING, LOG_CHANGE, LOSS_SHARE, SMALLEST_SHARE
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.ensemble.integrate import (
    AT_END,
    NOT_FINITE,
    RUNNING,
    STAGE_COUNT,
    STALLED,
    EnsembleIntegration,
    EnsembleStep,
)
from agfrun.labs.staircases.ensemble.recording import EnsembleRecorder, Moments
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.study.interruption import Interruption

# Called with the number of members that have ended.
EnsembleProgress = Callable[[int], None]
CONVERGED = 4


def train_ensemble_by_gradient_flow(
    architecture: Architecture, flow: EnsembleFlow, neurons: Tensor, horizons: Sequence[float], *,
    tolerance: float = 1e-6, convergence: float = 1e-6, max_rows: int = 2000,
    progress: EnsembleProgress | None = None,
) -> list[TrainingResult]:
    """Integrate every member until its own horizon or until its loss has converged.

    A member's result is that of `train_by_gradient_flow` with the method `rosenbrock`, up to rounding. One that
    diverges ends alone; an interruption ends those that are still running.

    Args:
        neurons: initializations, (B, K, D), in the flow's own units.
        horizons: gradient-flow time at which each member is to stop.
        tolerance, convergence, max_rows: as for a single run.
        progress: called after each step.
    """
    training = _EnsembleTraining(architecture, flow, neurons, horizons, tolerance, convergence, max_rows)
    with Interruption() as interruption:
        while training.running and not interruption.asked:
            training.advance()
            if progress is not None:
                progress(len(horizons) - training.running)
    training.stop(interruption.reason)
    return training.results()


class _EnsembleTraining:
    """The members that are running, and what is known of all."""

    def __init__(
        self, architecture: Architecture, flow: EnsembleFlow, neurons: Tensor, horizons: Sequence[float],
        tolerance: float, convergence: float, max_rows: int,
    ) -> None:
        self.architecture, self.convergence = architecture, convergence
        self.horizons = np.array(horizons)
        y = flow.encode(neurons)
        ends = torch.tensor(horizons, dtype=y.dtype, device=y.device)
        self.integration = EnsembleIntegration(flow, y, ends, tolerance)
        self.final = flow.decode(y).clone()  # a view of y may be recorded
        self.initial_loss = torch.stack([architecture.loss(architecture.residual(own)) for own in self.final])
        # Recorded where a single run looks: at the parameters, not at what the coordinates make of them.
        self.integration.loss = self.initial_loss
        self.members = np.arange(len(horizons))
        self.counts = _Counts(len(horizons))
        self.endings = [("", "")] * len(horizons)
        self.recorder = EnsembleRecorder(architecture, len(horizons), max_rows)
        start = np.zeros(len(horizons))
        self.recorder.record(_moments(self.members, start, self.initial_loss.double().cpu().numpy()), *flow.scaled(y))
        self._end_at_start()

    @property
    def running(self) -> int:
        """How many members have not ended."""
        return len(self.members)

    def advance(self) -> None:
        """One step of every member, recorded."""
        flow, step = self.integration.flow, self.integration.attempt()
        learned = self.architecture.learned(step.loss_end, self.initial_loss, self.convergence)
        state = torch.where(step.accepted & learned & (step.state != NOT_FINITE), CONVERGED, step.state)
        worn = flow.outworn(step.y_end)
        seen = _Seen(torch.stack([
            step.accepted & (state != NOT_FINITE), state, self._pieces(step), step.start, step.end, step.loss_end,
            torch.zeros_like(step.end) if worn is None else worn & step.accepted & (state == RUNNING)]))
        self._record(flow, step, seen)
        self.counts.add(self.members, seen.accepted)
        if seen.worn.any():
            self.integration.renew(np.flatnonzero(seen.worn).tolist())
        if (seen.state != RUNNING).any():
            self._end(flow, step, seen)

    def stop(self, reason: str) -> None:
        """Take down where members are that are still running, and why they do not go on."""
        for member in self.members.tolist():
            self.endings[member] = "interrupted", reason
        if self.running:
            self._note_errors(np.arange(self.running))
            self.final[torch.as_tensor(self.members, device=self.final.device)] = self.integration.flow.decode(
                self.integration.y)

    def results(self) -> list[TrainingResult]:
        """What became of each member."""
        return [
            TrainingResult(recorder.trajectory(), recorder, final, *ending, statistics)
            for recorder, final, ending, statistics in zip(
                self.recorder.recorders(), self.final, self.endings, self.counts.statistics(), strict=True)
        ]

    def _pieces(self, step: EnsembleStep) -> Tensor:
        """Into how many pieces each step is cut for recording (see `train_by_gradient_flow`), (B,)."""
        drop = (step.loss_start - step.loss_end).abs() / self.initial_loss / LOSS_SHARE
        tiny = SMALLEST_SHARE * self.initial_loss
        decline = (torch.maximum(step.loss_start, tiny) / torch.maximum(step.loss_end, tiny)).log().abs() / LOG_CHANGE
        lapse = torch.where(step.start > 0, (step.end / step.start).log() / LOG_CHANGE, 0.0)
        pieces = torch.maximum(torch.maximum(drop, decline), lapse).ceil()
        return pieces.nan_to_num(1.0).clamp(1, FINEST_SAMPLING)

    def _record(self, flow: EnsembleFlow, step: EnsembleStep, seen: _Seen) -> None:
        """Record the ends of accepted steps, and points inside."""
        inside = np.repeat(np.arange(len(seen.state)), np.where(seen.accepted, seen.pieces - 1, 0))
        numbers = np.arange(len(inside)) - np.searchsorted(inside, inside) + 1
        fractions = numbers / seen.pieces[inside]
        ends = np.flatnonzero(seen.accepted)
        places = _indices(np.concatenate([inside, ends]), step.y_end)
        y, losses = step.y_end[places[len(inside):]], seen.loss[ends]
        if len(inside):
            between = places[: len(inside)]
            points = step.at(between, torch.as_tensor(fractions).to(y))
            losses = np.concatenate([flow.select(between).loss_and_velocity(points)[0].double().cpu().numpy(), losses])
            y = torch.cat([points, y])
        times = np.concatenate([seen.start[inside] + (seen.end - seen.start)[inside] * fractions, seen.end[ends]])
        members = self.members[np.concatenate([inside, ends])]
        if len(members):
            self.recorder.record(_moments(members, times, losses), *flow.select(places).scaled(y))

    def _end(self, flow: EnsembleFlow, step: EnsembleStep, seen: _Seen) -> None:
        """Note how members ended, and go on with the others."""
        ended = np.flatnonzero(seen.state != RUNNING)
        self._note_errors(ended)
        places = _indices(ended, step.y_end)
        good = torch.as_tensor((seen.state != NOT_FINITE)[ended], device=step.y_end.device)[:, None]
        reached = torch.where(good, step.y_end[places], step.y_start[places])
        self.final[_indices(self.members[ended], self.final)] = flow.select(places).decode(reached)
        for place in ended.tolist():
            self.endings[self.members[place]] = self._ending(place, seen)
        self._go_on(np.flatnonzero(seen.state == RUNNING))

    def _note_errors(self, places: IntArray) -> None:
        """Note the estimated errors of the running members at these places, where there was a drop."""
        errors = self.integration.global_error.time_error.double().cpu().numpy()[places]
        self.counts.time_errors[self.members[places]] = np.where(errors > 0, errors, np.nan)

    def _ending(self, place: int, seen: _Seen) -> tuple[str, str]:
        """Status and reason, in the words of a single run."""
        state, end = seen.state[place], seen.end[place]
        if state == CONVERGED:
            return "converged", f"all but {self.convergence:g} of the loss was learned at time {end:.6g}"
        if state == AT_END:
            return "horizon", f"the horizon {self.horizons[self.members[place]]:.6g} was reached"
        if state == STALLED:
            return "stalled", f"integration stalled at time {seen.start[place]:.6g}: no step is short enough"
        return "diverged", f"the loss is not finite at time {end:.6g}"

    def _end_at_start(self) -> None:
        """Members whose loss is not finite where they start go nowhere."""
        finite = torch.isfinite(self.initial_loss).cpu().numpy()
        for member in np.flatnonzero(~finite).tolist():
            self.endings[member] = ("diverged", "the loss is not finite at time 0")
        if not finite.all():
            self._go_on(np.flatnonzero(finite))

    def _go_on(self, places: IntArray) -> None:
        """Go on with the running members at these places."""
        kept = _indices(places, self.initial_loss)
        self.members = self.members[places]
        self.initial_loss = self.initial_loss[kept]
        if len(places):
            self.integration.keep(kept)


class _Seen:
    """What the host needs to know of a step: one transfer of 7 numbers for each running member."""

    def __init__(self, table: Tensor) -> None:
        rows: FloatArray = table.double().cpu().numpy()
        self.accepted, self.worn = rows[0] > 0, rows[6] > 0
        self.state, self.pieces = rows[1].astype(np.int64), rows[2].astype(np.int64)
        self.start, self.end, self.loss = rows[3:6]


class _Counts:
    """What each member's integration has cost, and how far it may be off."""

    def __init__(self, members: int) -> None:
        self.accepted = np.zeros(members, dtype=np.int64)
        self.attempts = np.zeros(members, dtype=np.int64)
        self.time_errors = np.full(members, np.nan)

    def add(self, members: IntArray, accepted: np.ndarray) -> None:
        """Count an attempt of each of these members."""
        self.attempts[members] += 1
        self.accepted[members] += accepted

    def statistics(self) -> list[IntegrationStatistics]:
        """Cost of each member; the Jacobian is evaluated anew in every attempt."""
        return [
            IntegrationStatistics(accepted, attempts - accepted, 1 + STAGE_COUNT * attempts, attempts, attempts,
                                  None if np.isnan(error) else error)
            for accepted, attempts, error in zip(
                self.accepted.tolist(), self.attempts.tolist(), self.time_errors.tolist(), strict=True)
        ]


def _moments(members: IntArray, times: FloatArray, losses: FloatArray) -> Moments:
    return Moments(members, times, losses, np.full(len(members), -1))


def _indices(places: IntArray, like: Tensor) -> Tensor:
    return torch.as_tensor(places, device=like.device)
