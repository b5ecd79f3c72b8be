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
from agfrun.labs.staircases.claims.check import check_claims, left_open
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.config import DEFAULT_STUDY, AgfConfig, GradientFlowConfig, RunConfig
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.run.advice import with_advice, with_delay
from agfrun.labs.staircases.run.clusters import clusters_of
from agfrun.labs.staircases.run.comparison import compare, compared_kinds, of_features, verdict, without_unpredicted
from agfrun.labs.staircases.run.ladder import Predictions, Rung, ladder_rows, rungs_of
from agfrun.labs.staircases.run.problem import Problem, build_architecture, draw_initialization
from agfrun.labs.staircases.run.result import (
    Plan,
    Result,
    collect_trajectories,
    manifest,
    parameters,
    prediction_tables,
    tables_of,
    words_of,
)
from agfrun.labs.staircases.run.training import Watch, check_length, choose_threads, train
from agfrun.labs.staircases.sources import OWN_SIZE, THEORY, TRAINING, stage_of
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
    return trained(plan, bench)


def trained(plan: Plan, bench: Bench) -> StudyResult:
    """Train as planned, and judge; nothing is saved but checkpoints."""
    config = plan.config
    checkpoints = bench.checkpoints()
    with bench.clock.stage("train", has_bar=True):
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
    predictions = _predict_all(config, problem, clock)
    horizon = config.train.horizon or _default_horizon(problem, predictions, config.agf.threshold)
    check_length(config, problem.architecture, horizon)
    return Plan(config, problem, predictions, horizon)


def _predict_all(config: RunConfig, problem: Problem, clock: StageClock) -> Predictions:
    """Every prediction that is asked for and that the network has, each timed."""
    agf, architecture = config.agf, problem.architecture
    theory = None  # neurons that start large have no closed forms: those speak of small ones
    if problem.log_scale < 0:
        with clock.stage(THEORY):
            theory = architecture.theory(problem.initial, problem.log_scale, agf.threshold, problem.log_factor)
    own_size = None
    if OWN_SIZE in agf.beside and problem.log_scale < 0:
        with clock.stage(OWN_SIZE):
            own_size = architecture.own_size(problem.initial, problem.log_factor)
    alternations, thresholds = {}, {}
    for rung in dict.fromkeys([agf.main, *(rung for rung in agf.beside if rung != OWN_SIZE)]):
        own = agf.of_rung(rung)
        with clock.stage(stage_of(rung, agf.main)):
            alternations[rung] = predict(architecture, problem.initial, _agf_options(own), own.method,
                                         problem.log_factor)
        thresholds[rung] = own.threshold
    return Predictions(alternations, thresholds, own_size, theory)


def judge(plan: Plan, training: TrainingResult) -> Result:
    """Detect the events of training, compare them with the predicted ones and check the claims."""
    # The path needs a last plateau, and a figure wants it to reach as far as training.
    end = max(float(training.trajectory.times[-1]), LAST_PLATEAU * plan.prediction.last_time)
    config, problem, threshold = plan.config, plan.problem, plan.config.agf.threshold
    predictions = _clustered(plan, training).extended_to(end)
    prediction, theory = predictions.main, predictions.theory
    measured = detect_events(training.trajectory, threshold, problem.final_sizes)
    training.trajectory = mark_active(training.trajectory, measured)
    training.statistics = with_reading_error(training.statistics, measured)
    learned = any(event.kind == "acquisition" for event in measured)
    training.reason = with_advice(config, problem.architecture, prediction, training, learned)
    training.reason = with_delay(config, problem.architecture, training, measured)
    rungs = rungs_of(predictions, problem.initial_loss, end, problem.final_sizes)
    unpredicted = config.train.unpredicted()
    if unpredicted:
        training.reason = "; ".join([training.reason, *(f"predicted {what} are not compared: {why}"
                                                        for what, why in unpredicted.items())])
    rows = []
    for rung in rungs:
        seen = measured if rung.threshold == threshold else detect_events(
            training.trajectory, rung.threshold, problem.final_sizes)
        rows += _compared(rung, problem, predictions, seen, training.statistics.drop_time_error or 0.0)
    rows = [without_unpredicted(row, unpredicted) for row in rows]
    predicted, own = list(rungs[0].events), [row for row in rows if row["source"] == rungs[0].source]
    evidence = Evidence(
        architecture=problem.architecture, initial=problem.initial * math.exp(problem.log_factor),
        log_init_scale=problem.log_scale, threshold=threshold, prediction=prediction, training=training,
        is_flow=isinstance(config.train, GradientFlowConfig), theory=theory, predicted=predicted,
        measured=measured, comparison=own)
    claims = check_claims(evidence) if training.status not in GAVE_UP else []
    claims = [left_open(claim, unpredicted) for claim in claims]
    return Result(
        config=config, problem=problem, predictions=predictions, rungs=rungs, training=training,
        events=_events(measured, rungs), comparison=rows, ladder=ladder_rows(rungs, rows, training), claims=claims,
        verdict=verdict(own), horizon=plan.horizon)


def _clustered(plan: Plan, training: TrainingResult) -> Predictions:
    """The predictions; where features are neurons, those of one direction are made one there and in training."""
    architecture, initial_loss = plan.problem.architecture, plan.problem.initial_loss
    if not architecture.features_are_neurons or not bool(torch.isfinite(training.final).all()):
        return plan.predictions
    # An output of the size s is worth at most s^2 / 2 of the loss where all is learned.
    smallest = math.sqrt(2 * plan.config.agf.loss_tolerance * initial_loss)
    sizes = np.asarray(architecture.features(training.final).double().cpu().numpy())
    clusters = clusters_of(training.final, sizes, smallest)
    training.trajectory = clusters.of_path(training.trajectory)
    alternations = {source: clusters.of_prediction(prediction)
                    for source, prediction in plan.predictions.alternations.items()}
    return dataclasses.replace(plan.predictions, alternations=alternations)


def _compared(rung: Rung, problem: Problem, predictions: Predictions, measured: Sequence[Event], resolution: float
              ) -> list[dict[str, Any]]:
    """Rows of comparison.csv of one rung, see `compare`; `measured` are the events of training at its threshold."""
    theory, events = predictions.theory, rung.events
    if rung.source == THEORY:  # it is not held against itself
        kept = (event for event in events if event.neuron is not None or event.kind == "drop")
        theory, events = None, [*kept, *of_features(events)]
    return compare(events, measured, theory, list(theory.events) if theory else [], problem.initial_loss,
                   compared_kinds(problem.architecture.interchangeable_neurons), rung.source, rung.errors, resolution)


def _events(measured: list[Event], rungs: Sequence[Rung]) -> dict[str, list[Event]]:
    """Events by source: training, the main prediction, theory, the others."""
    return {TRAINING: measured, rungs[0].source: list(rungs[0].events), THEORY: [],
            **{rung.source: list(rung.events) for rung in rungs}}


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


def _agf_options(agf: AgfConfig) -> AlternationOptions:
    values = dataclasses.asdict(agf)
    del values["method"], values["beside"]
    return AlternationOptions(**values)


def _default_horizon(problem: Problem, predictions: Predictions, threshold: float) -> float:
    """Enough to see every predicted drop; without any, long enough for one that the prediction missed."""
    norms = torch.linalg.vector_norm(problem.initial, dim=1)
    if bool((norms.log() + problem.log_factor >= math.log(threshold)).any()):
        # Activations at the start say nothing of how long what is active then takes: some of its e-folds.
        gradients = torch.linalg.vector_norm(problem.architecture.loss_and_gradient(problem.initial)[1], dim=1)
        e_fold = 1 / float((gradients / norms.clamp(min=torch.finfo(norms.dtype).tiny)).max().clamp(min=SLOWEST_RATE))
        seen = [event.time for event in detect_events(predictions.main.trajectory, threshold)]
        return max(HORIZON_FACTOR * max([predictions.last_time, *seen]), MISSED_DROP * e_fold)
    if predictions.last_time > 0:
        return HORIZON_FACTOR * predictions.last_time
    return MISSED_DROP * shortest_activation_time(problem.architecture, problem.initial, threshold, problem.log_factor)


def save_prediction(plan: Plan, bench: Bench) -> None:
    """Save what is known before training."""
    end = float(plan.prediction.trajectory.times[-1])
    rungs = rungs_of(plan.predictions, plan.problem.initial_loss, end, plan.problem.final_sizes)
    events = {rung.source: rung.events for rung in rungs if rung.source != THEORY}
    bench.save(prediction_tables(collect_trajectories(None, rungs), events), words_of(plan.problem))
