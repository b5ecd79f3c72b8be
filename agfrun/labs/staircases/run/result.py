"""What a run of the study `compare` leaves: in memory, and as the tables, arrays and words of its folder."""

from __future__ import annotations

import base64
import dataclasses
import html
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
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.report.html.verdict import run_verdict
from agfrun.labs.staircases.report.saved import SavedRun, saved_run
from agfrun.labs.staircases.report.terminal import comparison_text, ladder_text
from agfrun.labs.staircases.run import tables
from agfrun.labs.staircases.run.ladder import Predictions, Rung
from agfrun.labs.staircases.run.problem import Problem
from agfrun.labs.staircases.sources import TRAINING
from agfrun.study.claim import CLAIMS, Claim
from agfrun.study.study import Saved, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plan:
    """What is known before training.

    Attributes:
        config, problem: what is to be run.
        predictions: all that is predicted.
        horizon: gradient-flow time at which training is to stop.
    """

    config: RunConfig
    problem: Problem
    predictions: Predictions
    horizon: float

    @property
    def prediction(self) -> Prediction:
        """The main prediction."""
        return self.predictions.main


@dataclass(repr=False)
class Result:
    """A finished run; a notebook shows its staircase and its comparison.

    Attributes:
        config, problem: what was run.
        predictions: all that was predicted; `rungs`: the same as rungs of one ladder, the main prediction first.
        training: the real training.
        events: by source, see `staircases.sources`.
        comparison: rows of comparison.csv.
        ladder: rows of ladder.csv.
        claims: checked claims, undecided ones among them.
        verdict: numbers of done.json.
        horizon: gradient-flow time at which training was to stop.
        wall_seconds: by stage.
        output_dir: where the files are, or None.
    """

    config: RunConfig
    problem: Problem
    predictions: Predictions
    rungs: list[Rung]
    training: TrainingResult
    events: dict[str, list[Event]]
    comparison: list[dict[str, Any]]
    ladder: list[dict[str, Any]]
    claims: list[Claim]
    verdict: dict[str, Any]
    horizon: float
    wall_seconds: dict[str, float] = field(default_factory=dict)
    output_dir: Path | None = None

    @property
    def prediction(self) -> Prediction:
        """The main prediction."""
        return self.predictions.main

    @property
    def theory(self) -> Theory | None:
        """Closed forms, or None."""
        return self.predictions.theory

    @property
    def main_rows(self) -> list[dict[str, Any]]:
        """The rows of comparison.csv of the main prediction."""
        return [row for row in self.comparison if row["source"] == self.prediction.source]

    @property
    def trajectories(self) -> list[Trajectory]:
        """Training, the main prediction with neurons and features, and the losses of the others."""
        return collect_trajectories(self.training.trajectory, self.rungs)

    def __repr__(self) -> str:
        """Which network and seed, and the verdict."""
        where = f", in {self.output_dir}" if self.output_dir is not None else ""
        return f"<Result of model={self.config.model.name} seed={self.config.seed}: {self._judged()[:-1]}{where}>"

    def _repr_html_(self) -> str:
        """The staircase and the text, for notebooks."""
        from agfrun.labs.staircases.report.run_figures import figures_of_run  # Matplotlib, which a run need not load
        from agfrun.report.figures.style import render  # the same

        _, staircase = next(iter(figures_of_run(self._saved())))
        picture = base64.b64encode(render(staircase, "png")).decode("ascii")
        return (f'<img alt="loss of training and of its predictions" src="data:image/png;base64,{picture}">'
                f"<pre>{html.escape(self.summary())}</pre>")

    def _judged(self) -> str:
        """The verdict in a sentence."""
        failing = [claim.claim for claim in self.claims if claim.holds is False]
        return run_verdict(self.verdict, self.training.status, True, self.verdict["predicted_acquisitions"], failing,
                           self.prediction.source).sentence

    def text(self) -> str:
        """The comparison as a table for the terminal, and how training and the prediction ended."""
        main = self.prediction.source
        endings = [self._judged(), f"training {self.training.status}: {self.training.reason}",
                   f"{main} ended: {self.prediction.reason}"]
        if self.theory is not None and self.theory.undecided:
            endings.append(self.theory.undecided)
        cuts = [line for line in [self.prediction.cut_sensitivity()] if line]
        ladder = ladder_text(rows_table(tables.LADDER, self.ladder), self.wall_seconds, main)
        return "\n".join([comparison_text(rows_table(tables.COMPARISON, self.main_rows)), *ladder, *endings, *cuts])

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

        return dict(figures_of_run(self._saved()))

    def _saved(self) -> SavedRun:
        """As if it were read from its folder."""
        return saved_run(Saved(self.output_dir or Path(), dataclasses.asdict(self.config), tables_of(self),
                               parameters(self), words_of(self.problem)))


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
        "endings": lambda: rows_table(tables.ENDINGS, endings(result.training, result.predictions)),
        "comparison": lambda: rows_table(tables.COMPARISON, result.comparison),
        "ladder": lambda: rows_table(tables.LADDER, result.ladder),
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


def collect_trajectories(training: Trajectory | None, rungs: Sequence[Rung]) -> list[Trajectory]:
    """The paths that exist: training, the main prediction, the others."""
    return [path for path in (training, *(rung.path for rung in rungs)) if path is not None]


def endings(training: TrainingResult, predictions: Predictions) -> list[dict[str, Any]]:
    """Rows of endings.csv: how training and the predictions that are computed step by step ended."""
    ends = {TRAINING: (training.status, training.reason, training.trajectory)} | {
        source: ("complete" if prediction.complete else "incomplete", prediction.reason, prediction.trajectory)
        for source, prediction in predictions.alternations.items()}
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
    acquired = [event.time for event in result.events[TRAINING] if event.kind == "acquisition"]
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
        "prediction_compared": {"order": "yes", "levels": "yes", "times": "yes",
                                **{what: f"no: {why}" for what, why in result.config.train.unpredicted().items()}},
        "training": {"status": training.status, "reason": training.reason,
                     **dataclasses.asdict(training.statistics)},
        "agf": {
            "method": prediction.method, "cost_phase": prediction.cost_phase, "source": prediction.source,
            "reason": prediction.reason,
            "rounds": [dataclasses.asdict(stage) for stage in prediction.rounds],
            **dataclasses.asdict(prediction.statistics),
        },
    }
