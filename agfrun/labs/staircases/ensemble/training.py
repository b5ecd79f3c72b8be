"""Training of all members: in batches where that is possible, one after another where it is not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from agfrun.files.series import attempt
from agfrun.labs.staircases.config import LARGEST_FACTORIZED, GradientDescentConfig, GradientFlowConfig, RunConfig
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, FlowCoordinates
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.ensemble.gradient_descent import train_ensemble_by_gradient_descent
from agfrun.labs.staircases.ensemble.gradient_flow import EnsembleProgress, train_ensemble_by_gradient_flow
from agfrun.labs.staircases.ensemble.members import Member
from agfrun.labs.staircases.ensemble.stacked_flow import StackedFlow, stacked_flow
from agfrun.labs.staircases.ensemble.stacking import NotStackable, structure
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.run.problem import Problem
from agfrun.labs.staircases.run.result import Plan
from agfrun.labs.staircases.run.training import Watch, optimizer_steps, train

# Numbers in the Jacobians of a batch (256 MiB in float64); more members make more batches.
LARGEST_BATCH = 2**25
ALONE = "one after another"
COMPILED = "its steps are compiled, which is quicker than steps of all members"


@dataclass(frozen=True)
class Batch:
    """Members that are trained together, or one after another.

    Attributes:
        members: at least one; on one network, with plans.
        neurons: their initializations, (B, K, D).
        flow: of all of them; None: one after another.
        reason: why there is none.
        coordinates: in what they are integrated.
    """

    members: Sequence[Member]
    neurons: Tensor
    flow: EnsembleFlow | None
    reason: str
    coordinates: str

    def report(self, seconds: float, failure: str) -> dict[str, Any]:
        """For the manifest; `failure` is why the members could not be trained together after all."""
        reason = failure or self.reason
        return {
            "members": [member.number for member in self.members],
            "program": ALONE if reason or self.flow is None else self.flow.description,
            **({"reason": reason} if reason else {}),
            "coordinates": self.coordinates,
            "wall_seconds": seconds,
        }


def train_members(batch: Batch, progress: EnsembleProgress | None) -> dict[str, Any]:
    """Train the members of a batch, in place, until they have ended or are interrupted; a report for the manifest.

    Should the whole batch fail, its members are trained one after another, so that the failure stays with
    whom it belongs to.
    """
    start, failure = time.perf_counter(), ""
    if batch.flow is None:
        _train_alone(batch.members, progress)
    else:
        made = attempt(partial(_train_together, batch, batch.flow, progress))
        failure = made.reason
        if made.outcome is None:
            _train_alone(batch.members, progress)
        else:
            _share(batch.members, made.outcome, made.seconds)
    return batch.report(time.perf_counter() - start, failure)


def _share(members: Sequence[Member], results: Sequence[TrainingResult], seconds: float) -> None:
    """Give members their results, and their shares by steps of the wall seconds."""
    steps = sum(1 + result.statistics.accepted_steps for result in results)
    for member, result in zip(members, results, strict=True):
        member.training = result
        member.shared_seconds = seconds * (1 + member.steps) / steps


def batches(members: Sequence[Member]) -> Iterator[Batch]:
    """The batches to train, one at a time; members without a plan are left out."""
    groups: dict[object, list[tuple[Member, Plan, FlowCoordinates]]] = {}
    for member in members:
        if member.plan is not None:
            coordinates = _coordinates(member.plan)
            groups.setdefault(structure(coordinates), []).append((member, member.plan, coordinates))
    for group in groups.values():
        size = group[0][2].encode(group[0][1].problem.initial).numel()
        together = max(1, LARGEST_BATCH // size**2)
        for start in range(0, len(group), together):
            yield _batch(group[start : start + together], size)


def _batch(group: Sequence[tuple[Member, Plan, FlowCoordinates]], size: int) -> Batch:
    members, plans, coordinates = zip(*group, strict=True)
    config, problem = members[0].config, plans[0].problem
    neurons = torch.stack([plan.problem.initial for plan in plans])
    flow, reason = None, _why_alone(config, problem, len(members), size, coordinates[0])
    name = type(coordinates[0]).__name__
    if not reason:
        try:
            flow = _together(problem.architecture, neurons, coordinates, problem.log_factor, config)
            name = name if isinstance(flow, StackedFlow) else type(flow).__name__
        except NotStackable as error:
            reason = f"its functions cannot be vectorized over members: {error}"
    return Batch(members, neurons, flow, reason, name)


def _together(architecture: Architecture, neurons: Tensor, coordinates: Sequence[FlowCoordinates], log_factor: float,
              config: RunConfig) -> EnsembleFlow:
    """The network's own flow of many members, or its coordinates stacked.

    Raises:
        NotStackable: neither is possible.
    """
    flow = architecture.ensemble_flow(neurons, log_factor)
    descends = isinstance(config.train, GradientDescentConfig)
    if flow is not None and (flow.isometric or not descends):
        return flow
    return stacked_flow(coordinates, neurons, implicit=not descends)


def _coordinates(plan: Plan) -> FlowCoordinates:
    """In what a member is trained alone."""
    problem = plan.problem
    if isinstance(plan.config.train, GradientDescentConfig):
        return EuclideanCoordinates(problem.architecture, problem.initial, None)
    return problem.architecture.flow_coordinates(problem.initial, None, problem.log_factor)


def _why_alone(config: RunConfig, problem: Problem, count: int, size: int, coordinates: FlowCoordinates) -> str:
    """Why members of so many unknowns are to be trained one after another; empty if they need not be."""
    settings = config.train
    if count == 1:
        return "there is one member only"
    if isinstance(settings, GradientDescentConfig):
        if settings.batch_size is not None:
            return "every member draws batches of its own"
        kernel = HeavyBall(problem.architecture, problem.initial, 0.0, 0.0, None, 0).kernel()
        return "" if kernel is None else COMPILED
    if not isinstance(settings, GradientFlowConfig):
        return f"train={settings.name} trains one network at a time"
    if settings.method not in ("auto", "rosenbrock"):
        return f"train.method={settings.method} integrates one network at a time"
    if settings.method == "auto" and size > LARGEST_FACTORIZED:
        return f"the network has {size} unknowns, too many to factorize"
    if settings.method == "auto" and coordinates.work() is not None:
        return "the method of each network is chosen by its work"
    return "" if coordinates.kernel() is None else COMPILED


def _train_together(batch: Batch, flow: EnsembleFlow, progress: EnsembleProgress | None) -> list[TrainingResult]:
    plans = [member.plan for member in batch.members if member.plan is not None]
    architecture, settings = plans[0].problem.architecture, batch.members[0].config.train
    if isinstance(settings, GradientDescentConfig):
        per_step = flow_time_per_step(settings.learning_rate, settings.momentum, settings.loss_normalization,
                                      architecture.output_dimension)
        return train_ensemble_by_gradient_descent(
            architecture, flow, batch.neurons,
            [optimizer_steps(settings, plan.horizon, per_step) for plan in plans],
            learning_rate=settings.learning_rate, momentum=settings.momentum,
            loss_normalization=settings.loss_normalization, convergence=settings.convergence,
            max_rows=settings.max_rows, progress=progress)
    assert isinstance(settings, GradientFlowConfig)
    return train_ensemble_by_gradient_flow(
        architecture, flow, batch.neurons, [plan.horizon for plan in plans], tolerance=settings.tolerance,
        convergence=settings.convergence, max_rows=settings.max_rows, progress=progress)


def _train_alone(members: Sequence[Member], progress: EnsembleProgress | None) -> None:
    """One after another, until one is interrupted."""
    for place, member in enumerate(members):
        assert member.plan is not None
        watch = Watch(member.config.seed, progress=False)
        made = attempt(partial(train, member.config.train, member.plan.problem, member.plan.horizon, watch))
        member.training, member.failure = made.outcome, made.reason
        member.seconds += made.seconds
        if progress is not None:
            progress(place + 1)
        if member.status == "interrupted":
            return
