"""Numerics that go wrong end as results: a status, a reason, and what to try."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_5d, small_modadd
from processes import run
from tiny_runs import diagonal_config, modadd_config, read_json

from agfrun import (
    ConfigError,
    DivergenceError,
    GradientDescentConfig,
    GradientFlowConfig,
    InitConfig,
    Result,
    load_config,
    run_seeds,
    train_by_gradient_descent,
    train_by_gradient_flow,
)
from agfrun import (
    run as run_once,
)
from agfrun.cli.main import main
from agfrun.files.tables import read_table
from agfrun.labs.staircases.agf import alternation
from agfrun.labs.staircases.agf.dormant import DormantFlow
from agfrun.labs.staircases.dynamics import stability
from agfrun.labs.staircases.dynamics.clock import loss_factor
from agfrun.labs.staircases.dynamics.integrate import StepController
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.stability import batch_sharpness, largest_stable_rate, sharpness
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.run.advice import with_advice
from agfrun.labs.staircases.run.comparison import match_events
from agfrun.labs.staircases.run.pipeline import prepare
from agfrun.labs.staircases.run.tables import ENDINGS
from agfrun.labs.staircases.run.training import Watch, train
from agfrun.study.errors import StalledError


def start(network: ExplicitNetwork, scale: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return network.architecture.initialize("gaussian", scale, generator)


def minimum(name: str) -> tuple[stability.Architecture, torch.Tensor]:
    network = {"modadd": small_modadd, "diagonal": regression_5d}[name]()
    found = train_by_gradient_flow(network.architecture, start(network, 1e-2), 1e4, convergence=1e-12)
    return network.architecture, found.final


@pytest.mark.parametrize("name", ["modadd", "diagonal"])
def test_sharpness_is_the_largest_eigenvalue_however_it_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, final = minimum(name)
    steps = 1e-5 * torch.eye(final.numel(), dtype=final.dtype).view(-1, *final.shape)
    columns = [(architecture.loss_and_gradient(final + step)[1] - architecture.loss_and_gradient(final - step)[1])
               / 2e-5 for step in steps]
    differences = torch.stack(columns).view(final.numel(), -1)
    exact = float(torch.linalg.eigvalsh(0.5 * (differences + differences.T))[-1])
    assert sharpness(architecture, final) == pytest.approx(exact, rel=1e-6)
    monkeypatch.setattr(stability, "LARGEST_EXACT", 0)
    assert sharpness(architecture, final) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("normalization", ["paper", "mean_over_outputs"])
@pytest.mark.parametrize("name", ["modadd", "diagonal"])
def test_the_bound_is_where_descent_leaves_a_minimum(name: str, normalization: str, momentum: float) -> None:
    architecture, final = minimum(name)
    bound = largest_stable_rate(architecture, [final], momentum,
                                loss_factor(normalization, architecture.output_dimension))
    assert bound is not None
    nearby = final + 1e-6 * torch.randn(final.shape, generator=torch.Generator().manual_seed(0), dtype=final.dtype)
    least = float(architecture.loss(architecture.residual(final)))

    def excess(rate: float) -> float:
        found = train_by_gradient_descent(architecture, nearby, 2000, learning_rate=rate, momentum=momentum,
                                          loss_normalization=normalization, convergence=0.0)
        return found.trajectory.loss[-1] - least

    before = float(architecture.loss(architecture.residual(nearby))) - least
    assert excess(0.97 * bound) < before
    assert not excess(1.03 * bound) < 100 * before


def test_the_sharpest_of_mini_batches_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows drawn with replacement, each batch being a regression of its own."""
    architecture, final = minimum("diagonal")
    assert isinstance(architecture, DiagonalLinear)
    data, exact = architecture.data, []
    monkeypatch.setattr(stability, "MOST_BATCHES", 5)
    for seed in range(5):
        rows = torch.randint(len(data.inputs), (4,), generator=torch.Generator().manual_seed(seed))
        batch = copy.copy(architecture)
        batch.data = dataclasses.replace(data, inputs=data.inputs[rows], targets=data.targets[rows])
        exact.append(sharpness(batch, final))
    assert max(exact) > 1.2 * sharpness(architecture, final)
    assert batch_sharpness(architecture, final, 4) == pytest.approx(max(exact), rel=1e-3)
    monkeypatch.setattr(stability, "MOST_SAMPLES", 8)  # of two batches
    assert batch_sharpness(architecture, final, 4) == pytest.approx(max(exact[:2]), rel=1e-3)


def test_the_rate_advised_for_mini_batches_trains_where_that_of_all_samples_diverges() -> None:
    config = load_config(["model=fully_connected_linear", "init.scale=1e-2", "train=gradient_descent",
                          "train.batch_size=4", "train.max_steps=500", "agf.beside=[]"])
    plan = prepare(config)
    architecture, states = plan.problem.architecture, [plan.prediction.final]
    factor = loss_factor(config.train.loss_normalization, architecture.output_dimension)
    whole = largest_stable_rate(architecture, states, 0.0, factor)
    bound = largest_stable_rate(architecture, states, 0.0, factor, 4)
    assert whole is not None
    assert bound is not None

    def ends(rate: float, seed: int) -> str:
        settings = dataclasses.replace(config.train, learning_rate=rate)
        try:
            return run_once(dataclasses.replace(config, train=settings, seed=seed), progress=False).training.status
        except DivergenceError:
            return "diverged"

    assert ends(0.95 * whole, 0) == "diverged"
    assert [ends(0.95 * bound, seed) for seed in range(3)] == ["horizon"] * 3


def test_there_is_no_bound_without_curvature() -> None:
    network = small_modadd()
    origin = torch.zeros_like(start(network, 0.1))
    assert largest_stable_rate(network.architecture, [origin, origin * math.nan], 0.0, 1.0) is None
    assert math.isnan(sharpness(network.architecture, origin * math.nan))


DIVERGING = {"modadd": (modadd_config, 0.9), "diagonal": (diagonal_config, 2.0)}


@pytest.mark.parametrize("name", DIVERGING)
def test_a_run_that_diverges_is_a_result_and_says_what_to_try(name: str, tmp_path: Path) -> None:
    make, rate = DIVERGING[name]
    train = GradientDescentConfig(learning_rate=rate, max_steps=4000)
    with pytest.raises(DivergenceError, match=r"training diverged: at step \d+, loss .*; try train.learning_rate < "):
        run_once(make(train=train, plots=True, plot_formats=["png"]), output_dir=tmp_path / "run")
    endings = read_table(tmp_path / "run" / "endings.csv", ENDINGS).set_index("source")
    assert endings.loc["training", "status"] == "diverged"
    done = read_json(tmp_path / "run" / "done.json")
    assert (done["status"], done["reason"]) == ("diverged", endings.loc["training", "reason"])
    assert len(pd.read_csv(tmp_path / "run" / "claims.csv")) == 0
    assert "training diverged" in (tmp_path / "run" / "report.html").read_text().lower()
    better = 0.9 * float(done["reason"].split("< ")[1])
    assert better < rate
    result = run_once(make(train=GradientDescentConfig(learning_rate=better, max_steps=4000)))
    assert isinstance(result, Result)
    assert result.training.status in ("converged", "horizon")


def test_seeds_trained_together_diverge_in_the_same_words() -> None:
    config = modadd_config(train=GradientDescentConfig(learning_rate=0.9, max_steps=4000))
    with pytest.raises(DivergenceError) as alone:
        run_once(config)
    members = run_seeds(config, 2, progress=False)
    assert [member.status for member in members] == ["diverged"] * 2
    assert members[0].result is not None
    assert f"training diverged: {members[0].result.training.reason}" == str(alone.value)


def test_a_sweep_of_runs_that_diverge_says_so_of_each(tmp_path: Path) -> None:
    words = ["data.p=5", "data.frequencies=[1,2]", "data.amplitudes=[4,2]", "model.width=3", "train=gradient_descent",
             "train.learning_rate=0.9", "train.max_steps=4000", "agf.max_events=1", "plots=false", "report=false"]
    ended = run([*words, "ensemble.seeds=2", "hydra/launcher=serial", f"hydra.sweep.dir={tmp_path}/sweep"], tmp_path)
    assert "Traceback" not in ended.errors
    table = pd.read_csv(tmp_path / "sweep" / "runs.csv")
    assert table["status"].tolist() == ["diverged"] * 2
    assert table["reason"].str.contains(r"^at step \d+, loss .*; try train.learning_rate < ").all()
    for folder in table["run"]:
        assert read_json(tmp_path / "sweep" / folder / "manifest.json")["trained_together"]["runs"] == 2


@pytest.mark.usefixtures("without_kernels")
def test_an_integration_that_stalls_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def next_step(self: StepController, step: float, error: float) -> float:
        return 0.1 * step

    def accepts(self: StepController, error: float) -> bool:
        nonlocal count
        count += 1
        return count < 20

    def train_badly(*arguments: Any) -> TrainingResult:
        monkeypatch.setattr(StepController, "accepts", accepts)
        monkeypatch.setattr(StepController, "next_step", next_step)
        return train(*arguments)

    monkeypatch.setattr("agfrun.labs.staircases.run.pipeline.train", train_badly)
    with pytest.raises(DivergenceError, match="training stalled: integration stalled at time .*try a larger"):
        run_once(modadd_config(), output_dir=tmp_path / "run")
    assert read_json(tmp_path / "run" / "done.json")["status"] == "stalled"
    assert "training stalled" in (tmp_path / "run" / "report.html").read_text().lower()


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("phase", ["minimize_cost", "DormantFlow.advance"])
def test_a_prediction_that_gives_up_is_a_result_beside_the_training(
    rounds: int, phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was predicted before is kept; training goes on, and the tables say why the prediction ended."""
    whole = run_once(modadd_config())
    place, name = (DormantFlow, "advance") if "." in phase else (alternation, phase)
    original, calls = getattr(place, name), 0

    def giving_up(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > rounds:
            raise StalledError("no step is short enough")
        return original(*arguments)

    monkeypatch.setattr(place, name, giving_up)
    result = run_once(modadd_config(), output_dir=tmp_path / "run")
    assert len(result.prediction.rounds) == rounds
    assert result.prediction.rounds == whole.prediction.rounds[:rounds]
    assert np.array_equal(result.training.trajectory.loss, whole.training.trajectory.loss)
    endings = read_table(tmp_path / "run" / "endings.csv", ENDINGS).set_index("source")
    assert endings.loc["agf", "status"] == "incomplete"
    assert endings.loc["agf", "reason"] == f"it gave up after {rounds} activations: no step is short enough"
    assert f"agf ended: it gave up after {rounds}" in result.summary()
    assert "it gave up" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("train", [GradientFlowConfig(horizon=1.0), GradientDescentConfig(max_steps=5)])
def test_a_plateau_that_is_never_left_is_said(train: GradientFlowConfig, tmp_path: Path) -> None:
    result = run_once(modadd_config(train=train), output_dir=tmp_path / "run")
    assert result.training.status == "horizon"
    first = result.prediction.rounds[0].time
    assert f"nothing was learned by then: the first feature is predicted at time {first:.4g}, try a larger train." in (
        result.training.reason)


@pytest.mark.parametrize("changes", [
    {"init": InitConfig(scale=0.9)}, {"agf": {"threshold": 1e-6}}, {"agf": {"threshold": 1e6}},
    {"agf": {"max_time": 1e-3}}, {"dtype": "float32"}, {"train": GradientFlowConfig(horizon=1e-300)},
    {"train": GradientDescentConfig(learning_rate=1e-300, max_steps=20)},
    {"train": GradientDescentConfig(learning_rate=0.01, momentum=0.999, max_steps=20)},
    {"train": GradientDescentConfig(learning_rate=0.01, batch_size=10**6, max_steps=20)},
], ids=str)
def test_extremes_end_as_results(changes: dict[str, object], recwarn: pytest.WarningsRecorder) -> None:
    config = modadd_config()
    if isinstance(changes.get("agf"), dict):
        changes = {"agf": dataclasses.replace(config.agf, **changes["agf"])}
    result = run_once(dataclasses.replace(config, **changes))
    assert result.training.status in ("converged", "horizon")
    assert np.isfinite(result.training.trajectory.loss).all()
    assert result.horizon > 0
    assert not [str(warning.message) for warning in recwarn if "invalid value" in str(warning.message)]


@pytest.mark.parametrize("init", [InitConfig(scale=1e-300), InitConfig(log10_scale=-1e5), InitConfig(scale=0.9)],
                         ids=str)
def test_extreme_scales_end_as_results(init: InitConfig) -> None:
    result = run_once(diagonal_config(init=dataclasses.replace(init, name="deterministic")))
    assert result.training.status in ("converged", "horizon")
    assert np.isfinite(result.training.trajectory.loss).all()


def test_a_training_that_nobody_lives_to_see_is_refused() -> None:
    train = GradientDescentConfig(learning_rate=1e-300)
    with pytest.raises(ConfigError, match=r"train\.learning_rate=1e-300 is not allowed: it takes .* steps"):
        run_once(modadd_config(train=train))


@pytest.mark.parametrize(("model", "scale"), [("linear_attention", 0.2), ("linear_attention", 0.5),
                                              ("fully_connected_linear", 0.8), ("relu", 0.9)])
def test_neurons_that_start_beyond_the_threshold_are_trained_to_the_last_predicted_drop(model: str,
                                                                                        scale: float) -> None:
    result = run_once(load_config([f"model={model}", f"init.scale={scale}", "agf.max_events=10",
                                   *(["agf=decoupled"] if model == "linear_attention" else [])]), progress=False)
    acquired = [event.time for event in result.events[result.prediction.source] if event.kind == "acquisition"]
    assert result.horizon >= max(acquired)
    assert result.training.status == "converged" or len(
        [event for event in result.events["training"] if event.kind == "acquisition"]) > 0


def test_a_learning_rate_of_a_few_steps_is_refused() -> None:
    with pytest.raises(ConfigError,
                       match=r"train\.learning_rate=50\.0 .*a step takes 100 of the training's time of .*; "
                                          r"take one below \d"):
        run_once(load_config(["model=relu", "train=gradient_descent", "train.learning_rate=50"]))


def test_training_past_the_predicted_time_is_not_told_to_be_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    config = modadd_config(train=GradientDescentConfig(learning_rate=0.05, max_steps=400))
    plan = prepare(config)
    dead = dataclasses.replace(plan.problem, initial=torch.zeros_like(plan.problem.initial))
    training = train(config.train, dead, plan.horizon, Watch(progress=False))
    late = dataclasses.replace(plan.prediction, rounds=(dataclasses.replace(plan.prediction.rounds[0], time=1.0),))
    reason = with_advice(config, plan.problem.architecture, late, training, learned=False)
    assert "though the first feature was predicted at time 1; try a smaller train.learning_rate" in reason
    soon = dataclasses.replace(late, rounds=(dataclasses.replace(late.rounds[0], time=1e9),))
    assert "try a larger train.max_steps" in with_advice(config, plan.problem.architecture, soon, training,
                                                         learned=False)


@pytest.mark.parametrize("words", ["", "train=gradient_descent train.max_steps=50", "agf=decoupled"])
def test_nothing_to_learn_is_a_result(words: str, tmp_path: Path) -> None:
    ended = run(["model=diagonal_linear", "data.coefficients=[0,0]", *words.split(), "plots=false", "report=false",
                 f"hydra.run.dir={tmp_path}/run"], tmp_path)
    assert (ended.status, ended.errors) == (0, "")
    assert read_json(tmp_path / "run" / "done.json")["status"] in ("converged", "finished")


def test_nothing_to_learn_from_two_seeds_is_two_results(tmp_path: Path) -> None:
    ended = run(["model=diagonal_linear", "data.coefficients=[0,0]", "ensemble.seeds=2", "init=gaussian", "plots=false",
                 "report=false", "hydra/launcher=serial", f"hydra.sweep.dir={tmp_path}/sweep"], tmp_path)
    assert ended.status == 0, ended.errors
    assert all(line.startswith("sweep: ") for line in ended.errors.splitlines())
    assert set(pd.read_csv(tmp_path / "sweep" / "runs.csv")["status"]) <= {"converged", "horizon"}


def test_a_covariance_that_is_singular_in_these_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.eigenvalues=\[1e-12,1\d*.*\] .*at most 1e\+12 times the other"):
        load_config(["model=diagonal_linear", "data.eigenvalues=[1e-12,1e12]"])


def event(feature: str, time: float) -> Event:
    return Event("acquisition", time, feature, None, 1.0, 0.5, time, time)


def test_ties_are_in_no_order() -> None:
    predicted = [event("1", 2.0), event("2", 2.0), event("3", 5.0)]
    for features, agree in {("1", "2", "3"): [True] * 3, ("2", "1", "3"): [True] * 3,
                            ("3", "1", "2"): [False] * 3, ("1", "3", "2"): [True, False, False]}.items():
        measured = [event(feature, 1.0 + place) for place, feature in enumerate(features)]
        assert [match.order_matches for match in match_events(predicted, measured, "acquisition")] == agree


@pytest.mark.parametrize("covariance", [[[1, 0], [0, 1]], [[1, 0], [0, 1e-16]], [[1, 1], [1, 1]]], ids=str)
@pytest.mark.parametrize("target", [[[2, 0], [0, 2]], [[0, 0], [0, 1e-3]]], ids=str)
def test_singular_and_degenerate_populations(covariance: list[list[float]], target: list[list[float]],
                                             tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, matrix in (("covariance", covariance), ("map", target)):
        np.savetxt(tmp_path / f"{name}.csv", np.array(matrix), delimiter=",")
    ended = run(["model=fully_connected_linear", "data=custom_linear_map", "device=cpu", "plots=false", "report=false",
                 f"data.input_covariance={tmp_path}/covariance.csv", f"data.target_map={tmp_path}/map.csv",
                 "train.horizon=200", "agf.max_events=20", f"hydra.run.dir={tmp_path}/run"], tmp_path)
    assert ended.status in (0, 2)
    assert "Traceback" not in ended.errors
    assert "Warning" not in ended.errors
    if ended.status == 0:
        assert read_json(tmp_path / "run" / "done.json")["status"] in ("converged", "horizon")


DATA = {"duplicated columns": lambda x: (x[:, [0, 0, 2]], x[:, :1]), "a constant column": lambda x: (
    x * [1, 0, 1], x[:, :1]), "no target": lambda x: (x, 0 * x[:, :1]), "equal samples": lambda x: (
    0 * x + 1, 0 * x[:, :1] + 1)}


@pytest.mark.parametrize("name", DATA)
def test_degenerate_samples(name: str, tmp_path: Path) -> None:
    inputs, targets = DATA[name](np.random.default_rng(0).normal(size=(12, 3)))
    np.savez(tmp_path / "data.npz", inputs=inputs, targets=targets)
    status = main(["model=relu", "model.width=4", "data=samples_file", f"data.path={tmp_path}/data.npz",
                   "train.horizon=5", "train.tolerance=1e-3", "agf.max_events=2", "plots=false", "report=false",
                   "device=cpu", f"hydra.run.dir={tmp_path}/run"])
    assert status == 0
    assert read_json(tmp_path / "run" / "done.json")["status"] in ("converged", "horizon")
