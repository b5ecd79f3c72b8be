"""A run of the study `compare`: build the network, predict, train, judge. No Hydra in here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agfrun.labs.staircases.agf.alternation import AlternationOptions, shortest_activation_time
from agfrun.labs.staircases.agf.predict import predict
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.claims.check import check_claims
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.config import DEFAULT_STUDY, GradientFlowConfig, RunConfig
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.run.advice import with_advice
from agfrun.labs.staircases.run.comparison import COMPARED_KINDS, compare, verdict
from agfrun.labs.staircases.run.problem import Problem, build_architecture, draw_initialization
from agfrun.labs.staircases.run.result import (
    Plan,
    Result,
    collect_trajectories,
    manifest,
    parameters,
    predicted_events,
    prediction_tables,
    sizes_in_solution,
    tables_of,
    theory_events,
    words_of,
)
from agfrun.labs.staircases.run.training import Watch, check_length, choose_threads, train
from agfrun.runner.execution import execute
from agfrun.study import registry
from agfrun.study.bench import Bench
from agfrun.study.errors import ConfigError, DivergenceError
from agfrun.study.interruption import interruption_of
from agfrun.study.stage_clock import StageClock
from agfrun.study.study import StudyResult

# Training goes on to this multiple of the last predicted activation, so that late drops are seen too.
HORIZON_FACTOR = 3.0
MISSED_DROP = 100.0
SLOWEST_RATE = 1e-100  # where nothing moves at all
LAST_PLATEAU = 1.2


def run(config: RunConfig, *, output_dir: Path | str | None = None, progress: bool | None = None,
        command: Sequence[str] | None = None, resume: bool = False) -> Result:
    """Predict, train, compare, check the claims, and write everything to `output_dir` (None: nowhere).

    Args:
        config: with the study `compare`.
        output_dir, progress, command, resume: see `agfrun.runner.execution.execute`.

    Raises:
        ConfigError: a value is not allowed, the device is not there, or the study is another.
        OutputError: see `execute`.
        DivergenceError: training left the finite numbers; what came before is written.
        KeyboardInterrupt: interrupted; what is finished is written.
    """
    kind = registry.study_type(DEFAULT_STUDY)
    if kind is None or not isinstance(config.study, kind):
        raise ConfigError("study", config.study.name, f"run makes a run of study={DEFAULT_STUDY}; agfrun.execute does "
                          "any study")
    done = execute(config, output_dir=output_dir, progress=progress, command=command, resume=resume)
    result: Result = done.outcome
    return result


def compare_at(config: RunConfig, bench: Bench) -> StudyResult:
    """What the study `compare` does: predict, train, judge."""
    plan = prepare(config, clock=bench.clock)
    save_prediction(plan, bench)
    checkpoints = bench.checkpoints()
    with bench.clock.stage("train"):
        first = plan.prediction.rounds[0].time if plan.prediction.rounds else None
        state = checkpoints.latest() if checkpoints is not None and bench.resume else None
        training = train(config.train, plan.problem, plan.horizon,
                         Watch(config.seed, first, bench.progress, checkpoints, state))
    return judged(plan, training, bench)


def judged(plan: Plan, training: TrainingResult, bench: Bench, provenance: Mapping[str, Any] | None = None
           ) -> StudyResult:
    """The result of a run that was trained; `provenance` is for the manifest."""
    with bench.clock.stage("compare"):
        result = judge(plan, training)
    result.wall_seconds = bench.clock.seconds
    result.output_dir = bench.folder
    failure: BaseException | None = None
    if training.status == "interrupted":
        failure = interruption_of(training.reason)
    elif training.status in GAVE_UP:
        failure = DivergenceError(f"training {training.status}: {training.reason}")
    return StudyResult(
        tables=tables_of(result), claims=result.claims, numbers=result.verdict, text=result.text(),
        status=training.status, reason=training.reason, arrays=parameters(result), words=words_of(plan.problem),
        provenance={**manifest(result), **(provenance or {})}, failure=failure, outcome=result)


def prepare(config: RunConfig, architecture: Architecture | None = None, clock: StageClock | None = None) -> Plan:
    """Build the network (unless it is given), draw its initialization and predict.

    Raises:
        ConfigError: see `build_problem`.
    """
    clock = clock or StageClock()
    with clock.stage("build"):
        problem = draw_initialization(config, architecture or build_architecture(config))
        choose_threads(problem)
        theory = problem.architecture.theory(problem.initial, config.init.log_scale, config.agf.threshold,
                                             problem.log_factor)
    with clock.stage("predict"):
        prediction = predict(problem.architecture, problem.initial, _agf_options(config), config.agf.method,
                             problem.log_factor)
    horizon = config.train.horizon or _default_horizon(problem, prediction, config.agf.threshold)
    check_length(config, problem.architecture, horizon)
    return Plan(config, problem, theory, prediction, horizon)


def judge(plan: Plan, training: TrainingResult) -> Result:
    """Detect the events of training, compare them with the predicted ones and check the claims."""
    # The path needs a last plateau, and a figure wants it to reach as far as training.
    end = max(float(training.trajectory.times[-1]), LAST_PLATEAU * plan.prediction.last_time)
    return _judge(plan.config, plan.problem, plan.prediction.extended_to(end), training, plan.theory, plan.horizon)


def _judge(config: RunConfig, problem: Problem, prediction: Prediction, training: TrainingResult,
           theory: Theory | None, horizon: float) -> Result:
    """Detect the events of training, compare them with the predicted ones and check the claims."""
    threshold = config.agf.threshold
    final_sizes = sizes_in_solution(problem)
    measured = detect_events(training.trajectory, threshold, final_sizes)
    training.trajectory = mark_active(training.trajectory, measured)
    training.statistics = with_reading_error(training.statistics, measured)
    learned = any(event.kind == "acquisition" for event in measured)
    training.reason = with_advice(config, problem.architecture, prediction, training, learned)
    predicted = predicted_events(prediction, threshold, final_sizes)
    of_theory = theory_events(problem, theory, max(float(training.trajectory.times[-1]),
                                                   float(prediction.trajectory.times[-1])))
    initial_loss = float(problem.architecture.loss(problem.architecture.empty_residual()))
    # Where neurons may be mixed, those of the prediction are not those of training.
    kinds = ("acquisition",) if problem.architecture.interchangeable_neurons else COMPARED_KINDS
    rows = compare(predicted, measured, theory, of_theory, initial_loss, kinds)
    evidence = Evidence(
        architecture=problem.architecture, initial=problem.initial * math.exp(problem.log_factor),
        log_init_scale=config.init.log_scale, threshold=threshold, prediction=prediction, training=training,
        is_flow=isinstance(config.train, GradientFlowConfig), theory=theory, predicted=predicted,
        measured=measured, comparison=rows)
    claims = check_claims(evidence) if training.status not in GAVE_UP else []
    return Result(
        config=config, problem=problem, prediction=prediction, training=training, theory=theory,
        events={"training": measured, "agf": predicted, "theory": of_theory}, comparison=rows, claims=claims,
        verdict=verdict(rows),
        horizon=horizon)


def with_reading_error(statistics: IntegrationStatistics, events: Sequence[Event]) -> IntegrationStatistics:
    """The statistics with the error of drop times enlarged by that of reading them off the record."""
    if statistics.drop_time_error is None:
        return statistics
    reading = max((event.time_error for event in events if not math.isnan(event.time_error)), default=0.0)
    return dataclasses.replace(statistics, drop_time_error=statistics.drop_time_error + reading)


def mark_active(trajectory: Trajectory, events: Sequence[Event]) -> Trajectory:
    """The trajectory with `active` set between each neuron's activations and collapses."""
    active = np.zeros_like(trajectory.active)
    for event in sorted(events, key=lambda event: event.time):
        if event.neuron is not None and event.kind in ("activation", "collapse"):
            active[trajectory.times >= event.time, event.neuron] = event.kind == "activation"
    return dataclasses.replace(trajectory, active=active)


def _agf_options(config: RunConfig) -> AlternationOptions:
    values = dataclasses.asdict(config.agf)
    del values["method"]
    return AlternationOptions(**values)


def _default_horizon(problem: Problem, prediction: Prediction, threshold: float) -> float:
    """Enough to see every predicted drop; without any, long enough for one that the prediction missed."""
    norms = torch.linalg.vector_norm(problem.initial, dim=1)
    if bool((norms.log() + problem.log_factor >= math.log(threshold)).any()):
        # Activations at the start say nothing of how long what is active then takes: some of its e-folds.
        gradients = torch.linalg.vector_norm(problem.architecture.loss_and_gradient(problem.initial)[1], dim=1)
        e_fold = 1 / float((gradients / norms.clamp(min=torch.finfo(norms.dtype).tiny)).max().clamp(min=SLOWEST_RATE))
        seen = [event.time for event in detect_events(prediction.trajectory, threshold)]
        return max(HORIZON_FACTOR * max([prediction.last_time, *seen]), MISSED_DROP * e_fold)
    if prediction.last_time > 0:
        return HORIZON_FACTOR * prediction.last_time
    return MISSED_DROP * shortest_activation_time(problem.architecture, problem.initial, threshold, problem.log_factor)


def save_prediction(plan: Plan, bench: Bench) -> None:
    """Save what is known before training."""
    paths = collect_trajectories(plan.problem, None, plan.prediction, plan.theory)
    events = {"agf": predicted_events(plan.prediction, plan.config.agf.threshold, sizes_in_solution(plan.problem))}
    bench.save(prediction_tables(paths, events), words_of(plan.problem))


