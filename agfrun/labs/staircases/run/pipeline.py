"""The front door: from a configuration to a result, and to the files of a run. No Hydra in here."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agfrun.files.checkpoints import CheckpointFolder
from agfrun.files.run_files import RunFiles, opened
from agfrun.labs.staircases.agf.alternation import AlternationOptions, shortest_activation_time
from agfrun.labs.staircases.agf.predict import predict
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.claims.check import check_claims
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.context import place_on_plateaus
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import find_staircase
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.report.terminal import summary_text
from agfrun.labs.staircases.run.advice import with_advice
from agfrun.labs.staircases.run.comparison import COMPARED_KINDS, compare, verdict
from agfrun.labs.staircases.run.in_memory import figures_of, tables_of
from agfrun.labs.staircases.run.problem import Problem, build_architecture, draw_initialization
from agfrun.labs.staircases.run.training import check_length, choose_threads, train
from agfrun.runner.provenance import manifest
from agfrun.study.errors import ConfigError, DivergenceError, OutputError
from agfrun.study.interruption import interruption_of
from agfrun.study.schema import GradientFlowConfig, RunConfig, config_hash
from agfrun.study.validation import validate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Training goes on to this multiple of the last predicted activation, so that late drops are seen too.
HORIZON_FACTOR = 3.0
MISSED_DROP = 100.0
SLOWEST_RATE = 1e-100  # where nothing moves at all
LAST_PLATEAU = 1.2


@dataclass(frozen=True)
class Plan:
    """What is known before training.

    Attributes:
        config, problem: what is to be run.
        theory: closed forms, or None.
        prediction: AGF.
        horizon: gradient-flow time at which training is to stop.
    """

    config: RunConfig
    problem: Problem
    theory: Theory | None
    prediction: Prediction
    horizon: float


@dataclass
class Result:
    """A finished run.

    Attributes:
        config, problem: what was run.
        prediction: AGF.
        training: the real training.
        theory: closed forms, or None.
        events: by source (`training`, `agf`, `theory`).
        comparison: rows of comparison.csv.
        claims: rows of claims.csv.
        verdict: numbers of done.json.
        horizon: gradient-flow time at which training was to stop.
        wall_seconds: by stage.
        output_dir: where the files are, or None.
    """

    config: RunConfig
    problem: Problem
    prediction: Prediction
    training: TrainingResult
    theory: Theory | None
    events: dict[str, list[Event]]
    comparison: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    verdict: dict[str, Any]
    horizon: float
    wall_seconds: dict[str, float] = field(default_factory=dict)
    output_dir: Path | None = None

    @property
    def trajectories(self) -> list[Trajectory]:
        """Training, AGF and theory, as far as they exist."""
        return collect_trajectories(self.problem, self.training.trajectory, self.prediction, self.theory)

    def summary(self) -> str:
        """The table for the terminal."""
        endings = [f"training {self.training.status}: {self.training.reason}", f"agf ended: {self.prediction.reason}"]
        if self.theory is not None and self.theory.undecided:
            endings.append(self.theory.undecided)
        return summary_text(self.comparison, self.claims, endings, self.output_dir)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that the run's folder holds as CSV, by name: `loss`, `features`, ..., `claims`."""
        return tables_of(self)

    def figures(self) -> dict[str, Figure]:
        """The figures that the run's folder holds in `plots/`, by name: `staircase`, `features`, `neurons`, ..."""
        return figures_of(self)


def run(config: RunConfig, *, output_dir: Path | str | None = None, progress: bool | None = None,
        command: Sequence[str] | None = None, resume: bool = False) -> Result:
    """Predict, train, compare, check the claims, and write everything to `output_dir` (None: nowhere).

    Args:
        config: validated here; every stage after that may rely on it.
        progress: show a bar; None decides by whether standard error is a terminal.
        command: command line for the manifest.
        resume: go on with the run in `output_dir`, from its last checkpoint if it has one.

    Raises:
        ConfigError: a value is not allowed, or the device is not there.
        OutputError: `output_dir` cannot be written, another process is writing into it, or it holds a run and
            neither `overwrite` nor `resume` is on.
        DivergenceError: training left the finite numbers; what came before is written.
        KeyboardInterrupt: interrupted; what is finished is written.
    """
    validate(config)
    if config.ensemble.is_asked_for:
        raise ConfigError("ensemble.seeds", config.ensemble.seeds, "run makes one run; agfrun.run_ensemble makes many")
    with opened(output_dir, config.overwrite, resume) as files:
        result = _run(config, files, progress, command, resume)
    training = result.training
    if training.status == "interrupted":
        raise interruption_of(training.reason)
    if training.status in GAVE_UP:
        raise DivergenceError(f"training {training.status}: {training.reason}")
    return result


def _run(config: RunConfig, files: RunFiles | None, progress: bool | None, command: Sequence[str] | None,
         resume: bool) -> Result:
    clock = StageClock()
    checkpoints = CheckpointFolder(files.folder, config.checkpoint, config_hash(config)) if files is not None else None
    plan = prepare(config, clock=clock)
    if files is not None:
        write_prediction(plan, files)
    if checkpoints is not None and not resume:
        checkpoints.clear()  # those of a run that is overwritten
    with clock.stage("train"):
        first = plan.prediction.rounds[0].time if plan.prediction.rounds else None
        state = checkpoints.latest() if checkpoints is not None and resume else None
        training = train(config, plan.problem, plan.horizon, first, progress, checkpoints, state)
    with clock.stage("compare"):
        result = judge(plan, training)
    result.wall_seconds = clock.seconds
    if files is not None and checkpoints is not None:
        if not files.is_there():
            print(f"agfrun: warning: {files.folder} has vanished; it is made anew", file=sys.stderr)
            write_prediction(plan, files)
        with _saying_how_to_go_on(checkpoints):
            write_result(result, files, command, clock)
        result.output_dir = files.folder
        if training.status != "interrupted":
            checkpoints.clear()
    return result


@contextmanager
def _saying_how_to_go_on(checkpoints: CheckpointFolder) -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        if not checkpoints.number:
            raise
        raise OutputError(f"{error}; once that is mended, agfrun resume {checkpoints.folder.parent} goes on from the "
                          "last checkpoint") from error


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
                                             problem.log_scale)
    with clock.stage("predict"):
        prediction = predict(problem.architecture, problem.initial, _agf_options(config), config.agf.method,
                             problem.log_scale)
    horizon = config.train.horizon or _default_horizon(problem, prediction, config.agf.threshold)
    check_length(config, problem.architecture, horizon)
    return Plan(config, problem, theory, prediction, horizon)


def judge(plan: Plan, training: TrainingResult) -> Result:
    """Detect the events of training, compare them with the predicted ones and check the claims."""
    # The path needs a last plateau, and a figure wants it to reach as far as training.
    end = max(float(training.trajectory.times[-1]), LAST_PLATEAU * plan.prediction.last_time)
    return _judge(plan.config, plan.problem, plan.prediction.extended_to(end), training, plan.theory, plan.horizon)


def predicted_events(prediction: Prediction, threshold: float) -> list[Event]:
    """Activations and collapses from the alternation itself, acquisitions from its path.

    With timed cost phases the plateaus are those of the path, as for training.
    """
    path, own = prediction.trajectory, list(prediction.events)
    if prediction.cost_phase == "timed":
        own = place_on_plateaus(own, find_staircase(path.times, path.loss))
    acquired = [event for event in detect_events(path, threshold) if event.kind == "acquisition"]
    return sorted([*own, *acquired], key=lambda event: event.time)


def collect_trajectories(problem: Problem, training: Trajectory | None, prediction: Prediction,
                         theory: Theory | None) -> list[Trajectory]:
    """The paths that exist, theory's continued to the end of the others."""
    paths = [path for path in (training, prediction.trajectory) if path is not None]
    if theory is not None:
        end = max(float(path.times[-1]) for path in paths)
        staircase = theory.trajectory(problem.architecture.feature_names, end)
        paths += [staircase] if staircase is not None else []
    return paths


def _judge(config: RunConfig, problem: Problem, prediction: Prediction, training: TrainingResult,
           theory: Theory | None, horizon: float) -> Result:
    """Detect the events of training, compare them with the predicted ones and check the claims."""
    threshold = config.agf.threshold
    measured = detect_events(training.trajectory, threshold)
    training.trajectory = mark_active(training.trajectory, measured)
    learned = any(event.kind == "acquisition" for event in measured)
    training.reason = with_advice(config, problem.architecture, prediction, training, learned)
    predicted = predicted_events(prediction, threshold)
    theory_events = list(theory.events) if theory is not None else []
    initial_loss = float(problem.architecture.loss(problem.architecture.empty_residual()))
    # Where neurons may be mixed, those of the prediction are not those of training.
    kinds = ("acquisition",) if problem.architecture.interchangeable_neurons else COMPARED_KINDS
    rows = compare(predicted, measured, theory, theory_events, initial_loss, kinds)
    evidence = Evidence(
        architecture=problem.architecture, initial=problem.initial * math.exp(problem.log_scale),
        log_init_scale=config.init.log_scale, threshold=threshold, prediction=prediction, training=training,
        is_flow=isinstance(config.train, GradientFlowConfig), theory=theory, predicted=predicted,
        measured=measured, comparison=rows)
    claims = check_claims(evidence) if training.status not in GAVE_UP else []
    return Result(
        config=config, problem=problem, prediction=prediction, training=training, theory=theory,
        events={"training": measured, "agf": predicted, "theory": theory_events}, comparison=rows, claims=claims,
        verdict={**verdict(rows), "claims_hold": sum(row["holds"] for row in claims), "claims": len(claims)},
        horizon=horizon)


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
    if bool((norms.log() + problem.log_scale >= math.log(threshold)).any()):
        # Activations at the start say nothing of how long what is active then takes: some of its e-folds.
        gradients = torch.linalg.vector_norm(problem.architecture.loss_and_gradient(problem.initial)[1], dim=1)
        e_fold = 1 / float((gradients / norms.clamp(min=torch.finfo(norms.dtype).tiny)).max().clamp(min=SLOWEST_RATE))
        seen = [event.time for event in detect_events(prediction.trajectory, threshold)]
        return max(HORIZON_FACTOR * max([prediction.last_time, *seen]), MISSED_DROP * e_fold)
    if prediction.last_time > 0:
        return HORIZON_FACTOR * prediction.last_time
    return MISSED_DROP * shortest_activation_time(problem.architecture, problem.initial, threshold, problem.log_scale)


def write_prediction(plan: Plan, files: RunFiles) -> None:
    """The files that are known before training."""
    config, architecture = plan.config, plan.problem.architecture
    files.begin(config)
    files.write_labels(architecture.wording, architecture.homogeneity_degree)
    files.write_paths(collect_trajectories(plan.problem, None, plan.prediction, plan.theory),
                      {"agf": predicted_events(plan.prediction, config.agf.threshold)})


def write_result(result: Result, files: RunFiles, command: Sequence[str] | None, clock: StageClock,
                 more: Mapping[str, Any] | None = None) -> None:
    """All files, `done.json` last; `more` is for the manifest."""
    with clock.stage("write"):
        files.write_paths(result.trajectories, result.events)
        files.write_endings(endings(result.training, result.prediction))
        files.write_comparison(result.comparison)
        files.write_claims(result.claims)
        files.write_parameters(parameters(result))
    if result.config.plots:
        with clock.stage("plot"):
            files.plot(result.config.plot_formats)
    files.write_manifest({**manifest(result.config, result.problem, result.prediction, result.training,
                                     result.horizon, clock.seconds, command), **(more or {})})
    if result.config.report:
        with clock.stage("report"):
            files.report()
    files.finish({
        "status": result.training.status, "reason": result.training.reason,
        "config_hash": config_hash(result.config), **result.verdict, "wall_seconds": sum(clock.seconds.values()),
    })


def endings(training: TrainingResult, prediction: Prediction) -> list[dict[str, Any]]:
    """Rows of endings.csv: how training and the prediction ended."""
    status = "complete" if prediction.complete else "incomplete"
    ends = {"training": (training.status, training.reason, training.trajectory),
            "agf": (status, prediction.reason, prediction.trajectory)}
    return [{"source": source, "status": status, "reason": reason, "time": float(path.times[-1]),
             "loss": float(path.loss[-1])} for source, (status, reason, path) in ends.items()]


def parameters(result: Result) -> dict[str, np.ndarray]:
    """Arrays of parameters.safetensors: neurons at the start, at the end and on each plateau."""
    arrays = {
        "neurons/initial": result.problem.initial,
        "neurons/final": result.training.final,
        **result.problem.architecture.data_arrays(),
    }
    times = []
    for k, moment in enumerate(plateau_moments(result)):
        reached, state = result.training.recorder.state_near(moment)
        arrays[f"neurons/plateau_{k}"] = state
        times.append(reached)
    as_numpy = {name: array.detach().double().cpu().numpy() for name, array in arrays.items()}
    return {**as_numpy, "plateau_times": np.array(times)}


def plateau_moments(result: Result) -> list[float]:
    """Times in the middle (on a log scale) of the plateaus between acquisitions of training."""
    acquired = [event.time for event in result.events["training"] if event.kind == "acquisition"]
    end = float(result.training.trajectory.times[-1])
    if not acquired:
        return [0.0]
    between = [math.sqrt(before * after) for before, after in zip(acquired, acquired[1:], strict=False)]
    return [0.5 * acquired[0], *between, end]


class StageClock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done within this context."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start
