"""What a run of the study `compare` leaves: in memory, and as the tables, arrays and words of its folder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from agfrun.files.tables import rows_table
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, Trajectory
from agfrun.labs.staircases.events.context import place_on_plateaus
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.drops import with_drops
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import find_staircase
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.report.saved import saved_run
from agfrun.labs.staircases.report.terminal import comparison_text
from agfrun.labs.staircases.run import tables
from agfrun.labs.staircases.run.problem import Problem
from agfrun.study.claim import CLAIMS, Claim
from agfrun.study.study import Saved, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        claims: checked claims, undecided ones among them.
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
    claims: list[Claim]
    verdict: dict[str, Any]
    horizon: float
    wall_seconds: dict[str, float] = field(default_factory=dict)
    output_dir: Path | None = None

    @property
    def trajectories(self) -> list[Trajectory]:
        """Training, AGF and theory, as far as they exist."""
        return collect_trajectories(self.problem, self.training.trajectory, self.prediction, self.theory)

    def text(self) -> str:
        """The comparison as a table for the terminal, and how training and the prediction ended."""
        endings = [f"training {self.training.status}: {self.training.reason}", f"agf ended: {self.prediction.reason}"]
        if self.theory is not None and self.theory.undecided:
            endings.append(self.theory.undecided)
        return "\n".join([comparison_text(rows_table(tables.COMPARISON, self.comparison)), *endings])

    def summary(self) -> str:
        """The text, the claims, and where the files are."""
        return StudyResult(claims=self.claims, text=self.text(), folder=self.output_dir).summary()

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that the run's folder holds as CSV, by name: `loss`, `features`, ..., `claims`."""
        claims = [dataclasses.asdict(claim) for claim in self.claims]
        return {**tables_of(self), "claims": rows_table(CLAIMS, claims)}

    def figures(self) -> dict[str, Figure]:
        """The figures that the run's folder holds in `plots/`, by name: `staircase`, `features`, `neurons`, ..."""
        from agfrun.labs.staircases.report.run_figures import figures_of_run  # Matplotlib, which a run need not load

        saved = Saved(self.output_dir or Path(), dataclasses.asdict(self.config), tables_of(self), parameters(self),
                      words_of(self.problem))
        return dict(figures_of_run(saved_run(saved)))


class _Made(Mapping[str, pd.DataFrame]):
    """Tables that are made when they are asked for, so that no more than one is held."""

    def __init__(self, makers: Mapping[str, Callable[[], pd.DataFrame]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def tables_of(result: Result, paths: Sequence[Trajectory] | None = None) -> Mapping[str, pd.DataFrame]:
    """The tables of a run by name, as they would be read back from its folder, made one by one.

    Args:
        paths: in place of all that the run recorded.
    """
    return _Made({
        **path_tables(result.trajectories if paths is None else paths, result.events),
        "endings": lambda: rows_table(tables.ENDINGS, endings(result.training, result.prediction)),
        "comparison": lambda: rows_table(tables.COMPARISON, result.comparison),
    })


def path_tables(paths: Sequence[Trajectory], events: Mapping[str, Sequence[Event]]
                ) -> dict[str, Callable[[], pd.DataFrame]]:
    """What makes each table of paths and events, by name."""
    makers = {
        "loss": lambda: tables.loss_table(paths),
        "features": lambda: tables.features_table([path for path in paths if np.isfinite(path.features).any()]),
        "observables": lambda: tables.observables_table(paths),
        "neurons": lambda: tables.neurons_table(paths),
        "events": lambda: tables.events_table(events),
    }
    if not any(path.observables for path in paths):
        del makers["observables"]
    return makers


def prediction_tables(paths: Sequence[Trajectory], events: Mapping[str, Sequence[Event]]
                      ) -> Mapping[str, pd.DataFrame]:
    """The tables of what is known before training."""
    return _Made(path_tables(paths, events))


def sizes_in_solution(problem: Problem) -> FloatArray | None:
    """Sizes of the features where training is to end, (F,), NaN where they are not known; None: nowhere."""
    sizes = problem.architecture.solution_features(problem.initial)
    return None if sizes is None else sizes.detach().double().cpu().numpy()


def predicted_events(prediction: Prediction, threshold: float, final_sizes: FloatArray | None) -> list[Event]:
    """Activations and collapses from the alternation itself, acquisitions and drops of the loss from its path.

    With timed cost phases the plateaus are those of the path, as for training.
    """
    path, own = prediction.trajectory, list(prediction.events)
    if prediction.cost_phase == "timed":
        own = place_on_plateaus(own, find_staircase(path.times, path.loss))
    acquired = [event for event in detect_events(path, threshold, final_sizes) if event.kind == "acquisition"]
    return with_drops(sorted([*own, *acquired], key=lambda event: event.time), path)


def theory_events(problem: Problem, theory: Theory | None, end: float) -> list[Event]:
    """Those of theory, and the drops of its staircase up to `end`."""
    if theory is None:
        return []
    path = theory.trajectory(problem.architecture.feature_names, end)
    # A drop that never comes, of a feature that nothing drives, has no place on a staircase.
    return list(theory.events) if path is None or not np.isfinite(path.times).all() else with_drops(theory.events, path)


def collect_trajectories(problem: Problem, training: Trajectory | None, prediction: Prediction,
                         theory: Theory | None) -> list[Trajectory]:
    """The paths that exist, theory's continued to the end of the others."""
    paths = [path for path in (training, prediction.trajectory) if path is not None]
    if theory is not None:
        end = max(float(path.times[-1]) for path in paths)
        staircase = theory.trajectory(problem.architecture.feature_names, end)
        paths += [staircase] if staircase is not None else []
    return paths


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


def words_of(problem: Problem) -> dict[str, Any]:
    """How features are called, and the homogeneity degree, for figures."""
    architecture = problem.architecture
    return dataclasses.asdict(architecture.wording) | {"homogeneity_degree": architecture.homogeneity_degree}


def manifest(result: Result) -> dict[str, Any]:
    """What a run adds to its provenance: device, clock, how it was trained and predicted."""
    problem, training, prediction = result.problem, result.training, result.prediction
    coordinates = problem.architecture.flow_coordinates(problem.initial, None, problem.log_factor)
    return {
        "device": str(problem.architecture.device),
        "dtype": str(problem.architecture.dtype).removeprefix("torch."),
        "clock": {
            "unit": "gradient-flow time of L = E 1/2 ||y - f||^2",
            "horizon": result.horizon,
            **training.clock,
        },
        "coordinates": type(coordinates).__name__,
        "neurons_held_as": "direction and log norm" if problem.log_factor else "parameters",
        "training": {"status": training.status, "reason": training.reason,
                     **dataclasses.asdict(training.statistics)},
        "agf": {
            "method": prediction.method, "cost_phase": prediction.cost_phase, "reason": prediction.reason,
            "rounds": [dataclasses.asdict(stage) for stage in prediction.rounds],
            **dataclasses.asdict(prediction.statistics),
        },
    }
