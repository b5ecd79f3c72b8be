"""Runs as a library: what they return, write and refuse. Networks are tiny; agreement is tested elsewhere."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
import yaml

import agfrun
from agfrun.conversion import from_mapping
from agfrun.dynamics.trajectory import Trajectory
from agfrun.errors import ConfigError, DivergenceError, OutputError
from agfrun.events.event import Event
from agfrun.pipeline import Result, mark_active, plateau_moments, run
from agfrun.progress import TrainingBar
from agfrun.report.tables import LOSS, read_table
from agfrun.schema import (
    AgfConfig,
    DiagonalLinearConfig,
    GradientDescentConfig,
    GradientFlowConfig,
    InitConfig,
    ModularAdditionConfig,
    QuadraticModaddConfig,
    RandomRegressionConfig,
    RotatedRegressionConfig,
    RunConfig,
    config_hash,
)

COLUMNS = {
    "loss.csv": "source,time,step,loss",
    "features.csv": "source,time,feature,value",
    "neurons.csv": "source,time,neuron,norm,accumulated_utility,direction_feature,active",
    "events.csv": "source,event,kind,time,feature,neuron,loss_before,loss_after,plateau_start,plateau_end",
    "comparison.csv": "event,feature,time_agf,time_training,time_ratio,level_agf,level_training,level_error,"
                      "order_matches,lower_bound,lower_bound_holds",
    "claims.csv": "claim,source,statement,expected,measured,tolerance,holds",
}
FILES = {*COLUMNS, "config.yaml", "manifest.json", "parameters.safetensors", "done.json"}


def modadd_config(**changes: Any) -> RunConfig:
    """Three neurons on one frequency, stopped early."""
    config = RunConfig(
        model=QuadraticModaddConfig(width=3), data=ModularAdditionConfig(p=4, frequencies=[1], amplitudes=[4.0]),
        train=GradientFlowConfig(horizon=40.0, tolerance=1e-5), agf=AgfConfig(max_events=2, cost_tolerance=1e-2),
        device="cpu", plots=False)
    return dataclasses.replace(config, **changes)


def diagonal_config(**changes: Any) -> RunConfig:
    config = RunConfig(model=DiagonalLinearConfig(), data=RotatedRegressionConfig(),
                       init=InitConfig("deterministic", 1e-4), device="cpu", plots=False)
    return dataclasses.replace(config, **changes)


def descent(learning_rate: float = 0.05, **changes: Any) -> GradientDescentConfig:
    """For p = 4, five times the learning rate in flow time a step."""
    return GradientDescentConfig(learning_rate=learning_rate, momentum=0.9, horizon=40.0, **changes)


CONFIGS = {"modadd": modadd_config, "diagonal": diagonal_config}
ON_EITHER = pytest.mark.parametrize("model", CONFIGS)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    return {name: run(make(), output_dir=tmp_path_factory.mktemp("runs") / name, command=["agfrun", name])
            for name, make in CONFIGS.items()}


@pytest.fixture
def result(results: dict[str, Result], model: str) -> Result:
    return results[model]


def folder_of(result: Result) -> Path:
    assert result.output_dir is not None
    return result.output_dir


def read_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return content


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in COLUMNS}


# ---- What is written


@ON_EITHER
def test_writes_exactly_the_files_of_a_run(result: Result) -> None:
    assert {path.name for path in folder_of(result).iterdir()} == FILES


@ON_EITHER
@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_the_required_columns_first_come_first(result: Result, name: str) -> None:
    found = pd.read_csv(folder_of(result) / name).columns.tolist()
    required = COLUMNS[name].split(",")
    assert [column for column in found if column in required] == required


@ON_EITHER
def test_done_is_written_last(result: Result) -> None:
    ages = {path.name: path.stat().st_mtime_ns for path in folder_of(result).iterdir()}
    assert max(ages, key=lambda name: ages[name]) == "done.json"


@ON_EITHER
def test_done_holds_status_verdict_and_hash(result: Result) -> None:
    done = read_json(folder_of(result) / "done.json")
    assert done["status"] == result.training.status
    assert done["config_hash"] == config_hash(result.config)
    for key, value in result.verdict.items():
        assert done[key] == value
    assert done["claims"] == len(result.claims)
    assert done["wall_seconds"] > 0


@ON_EITHER
def test_config_reads_back_as_the_same_configuration(result: Result) -> None:
    values = yaml.safe_load((folder_of(result) / "config.yaml").read_text())
    assert from_mapping(values) == result.config


@ON_EITHER
def test_manifest_tells_where_the_numbers_come_from(result: Result, model: str) -> None:
    manifest = read_json(folder_of(result) / "manifest.json")
    assert manifest["agfrun"] == agfrun.__version__
    assert manifest["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert (manifest["device"], manifest["dtype"], manifest["seed"]) == ("cpu", "float64", 0)
    assert manifest["command"] == ["agfrun", model]
    assert manifest["config_hash"] == config_hash(result.config)
    assert set(manifest["wall_seconds"]) >= {"build", "predict", "train", "compare", "write"}
    for part in ("training", "agf"):
        assert {"accepted_steps", "rejected_steps", "gradient_evaluations"} <= set(manifest[part])
    assert manifest["training"]["accepted_steps"] > 0
    assert manifest["clock"]["horizon"] == result.horizon
    assert len(manifest["agf"]["rounds"]) == len(result.prediction.rounds)


@ON_EITHER
def test_loss_table_holds_all_three_sources_in_full_precision(result: Result) -> None:
    table = read_table(folder_of(result) / "loss.csv", LOSS)
    assert set(table["source"]) == {"training", "agf", "theory"}
    training = table[table["source"] == "training"]
    np.testing.assert_array_equal(training["time"], result.training.trajectory.times)
    np.testing.assert_array_equal(training["loss"], result.training.trajectory.loss)
    assert table["step"].isna().all()  # a flow has no steps
    assert table["loss"].notna().all()


@ON_EITHER
def test_parameters_hold_start_end_and_plateaus(result: Result, model: str) -> None:
    arrays = safetensors.numpy.load_file(folder_of(result) / "parameters.safetensors")
    np.testing.assert_array_equal(arrays["neurons/initial"], result.problem.initial)
    np.testing.assert_array_equal(arrays["neurons/final"], result.training.final)
    plateaus = sorted(name for name in arrays if name.startswith("neurons/plateau_"))
    assert len(plateaus) == len(arrays["plateau_times"]) >= 1
    assert all(arrays[name].shape == tuple(result.problem.initial.shape) for name in plateaus)
    assert ("template" in arrays) == (model == "modadd")


@ON_EITHER
def test_events_of_all_sources_are_listed_by_time(result: Result) -> None:
    table = pd.read_csv(folder_of(result) / "events.csv")
    assert set(table["source"]) == {"training", "agf", "theory"}
    assert set(table["kind"]) <= {"activation", "acquisition", "collapse"}
    for source, rows in table.groupby("source"):
        assert rows["time"].is_monotonic_increasing
        assert rows["event"].tolist() == list(range(1, len(rows) + 1))
        assert len(rows) == len(result.events[str(source)])


def test_plots_are_drawn_in_the_formats_asked_for(tmp_path: Path) -> None:
    run(diagonal_config(plots=True, plot_formats=["png"]), output_dir=tmp_path / "run")
    drawn = {path.name for path in (tmp_path / "run" / "plots").iterdir()}
    assert {path.suffix for path in (tmp_path / "run" / "plots").iterdir()} == {".png"}
    assert any("staircase" in name for name in drawn)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*FILES, "plots"}


# ---- What is returned


@ON_EITHER
def test_without_a_folder_nothing_is_written_and_the_same_is_returned(
    result: Result, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    other = run(CONFIGS[model]())
    assert list(tmp_path.iterdir()) == []
    assert other.output_dir is None
    np.testing.assert_array_equal(other.training.trajectory.loss, result.training.trajectory.loss)
    np.testing.assert_array_equal(other.prediction.trajectory.loss, result.prediction.trajectory.loss)
    assert [row["time_agf"] for row in other.comparison] == [row["time_agf"] for row in result.comparison]


@ON_EITHER
def test_prediction_and_training_start_from_the_same_neurons(result: Result) -> None:
    norms = torch.linalg.vector_norm(result.problem.initial, dim=1).numpy()
    np.testing.assert_allclose(result.training.trajectory.neuron_norms[0], norms, rtol=1e-14)
    np.testing.assert_allclose(result.prediction.trajectory.neuron_norms[0], norms, rtol=1e-14)


@ON_EITHER
def test_summary_shows_the_comparison_and_the_folder(result: Result) -> None:
    summary = result.summary()
    assert "predicted" in summary
    assert "measured" in summary
    assert result.training.reason in summary
    assert result.prediction.reason in summary
    assert str(result.output_dir) in summary


def test_training_rows_are_active_between_their_events(results: dict[str, Result]) -> None:
    """Coordinate 1 of the paper's example activates, collapses and activates again."""
    result = results["diagonal"]
    path = result.training.trajectory
    moments = [event.time for event in result.events["training"] if event.neuron == 0]
    assert len(moments) == 3
    expected = ((path.times >= moments[0]) & (path.times < moments[1])) | (path.times >= moments[2])
    np.testing.assert_array_equal(path.active[:, 0], expected)


def test_default_horizon_sees_every_predicted_drop(results: dict[str, Result]) -> None:
    result = results["diagonal"]
    assert result.config.train.horizon is None
    assert result.horizon > 1.5 * result.prediction.last_time
    assert len(result.events["training"]) >= len(result.prediction.events)


def test_horizon_and_rows_follow_the_configuration() -> None:
    result = run(modadd_config(train=GradientFlowConfig(horizon=25.0, max_rows=100, tolerance=1e-5)))
    assert result.horizon == 25.0
    assert result.training.trajectory.times[-1] == 25.0
    assert len(result.training.trajectory.times) <= 100


def test_agf_options_reach_the_prediction() -> None:
    one = run(modadd_config(agf=AgfConfig(max_events=1, threshold=0.5)))
    assert len(one.prediction.rounds) == 1
    timed = run(modadd_config(agf=AgfConfig(cost_phase="timed", max_time=30.0, threshold=0.3)))
    assert timed.prediction.cost_phase == "timed"
    generic = run(diagonal_config(agf=AgfConfig(method="generic", max_events=1)))
    assert generic.prediction.method == "generic"


def test_without_any_predicted_event_training_goes_on_all_the_same() -> None:
    """Balanced neurons of the wrong sign never activate."""
    result = run(diagonal_config(init=InitConfig("balanced", 1e-3), seed=0))
    assert result.prediction.rounds == ()
    assert result.comparison == []
    assert result.training.trajectory.times[-1] > 0
    assert result.verdict["predicted_acquisitions"] == 0


def test_front_door_is_the_function_whatever_was_imported_before() -> None:
    code = ("from agfrun import RunConfig, run\nassert callable(run), run\n"
            "import agfrun, agfrun.pipeline\nassert agfrun.run is run is agfrun.pipeline.run")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- Determinism


@ON_EITHER
def test_same_configuration_gives_the_same_bytes(result: Result, model: str, tmp_path: Path) -> None:
    run(CONFIGS[model](), output_dir=tmp_path / "again")
    assert tables(tmp_path / "again") == tables(folder_of(result))
    arrays = "parameters.safetensors"
    assert (tmp_path / "again" / arrays).read_bytes() == (folder_of(result) / arrays).read_bytes()


def test_seed_decides_the_initialization() -> None:
    first, same, other = (run(modadd_config(seed=seed, agf=AgfConfig(max_events=1),
                                            train=GradientFlowConfig(horizon=1.0))).problem.initial
                          for seed in (4, 4, 5))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_sampled_batches_repeat_with_the_seed() -> None:
    losses = []
    for seed in (1, 1, 2):
        config = modadd_config(train=descent(0.01, batch_size=8, max_steps=500), seed=seed, agf=AgfConfig(max_events=1))
        losses.append(run(config).training.trajectory.loss)
    np.testing.assert_array_equal(losses[0], losses[1])
    assert losses[0].shape != losses[2].shape or (losses[0] != losses[2]).any()


# ---- Gradient descent


@pytest.mark.parametrize("batch_size", [None, 16])
def test_gradient_descent_counts_steps_on_the_flows_clock(batch_size: int | None, tmp_path: Path) -> None:
    result = run(modadd_config(train=descent(batch_size=batch_size)), output_dir=tmp_path / "run")
    per_step = 0.05 * (2 / 4) / (1 - 0.9)
    clock = read_json(tmp_path / "run" / "manifest.json")["clock"]
    assert clock["flow_time_per_step"] == pytest.approx(per_step, rel=1e-12)
    assert (clock["learning_rate"], clock["momentum"]) == (0.05, 0.9)
    table = pd.read_csv(tmp_path / "run" / "loss.csv")
    training = table[table["source"] == "training"]
    np.testing.assert_allclose(training["time"], training["step"] * per_step, rtol=1e-12)
    assert table.loc[table["source"] != "training", "step"].isna().all()
    assert training["step"].iloc[-1] == math.ceil(40.0 / per_step)
    assert result.training.status == "horizon"
    assert not any(row["claim"] == "loss_never_rises" for row in result.claims)


def test_max_steps_bounds_gradient_descent() -> None:
    result = run(modadd_config(train=descent(max_steps=37)))
    assert result.training.trajectory.steps is not None
    assert result.training.trajectory.steps[-1] == 37


def test_gradient_descent_tends_to_the_flow_on_the_same_clock() -> None:
    """Momentum 0.9 included. It lags by a first-order error, which extrapolation to step zero removes."""

    def first_activation(config: RunConfig) -> float:
        return next(event.time for event in run(config).events["training"] if event.kind == "activation")

    flow = first_activation(modadd_config())
    coarse, fine = (first_activation(modadd_config(train=descent(rate))) for rate in (0.005, 0.0025))
    assert (fine - flow) / (coarse - flow) == pytest.approx(0.5, abs=0.06)
    assert 2 * fine - coarse == pytest.approx(flow, rel=0.015)


# ---- Other settings


@ON_EITHER
def test_single_precision_agrees_to_single_precision(result: Result, model: str, tmp_path: Path) -> None:
    config = CONFIGS[model](dtype="float32")
    single = run(config, output_dir=tmp_path / "run")
    assert read_json(tmp_path / "run" / "manifest.json")["dtype"] == "float32"
    assert single.training.final.dtype == torch.float32
    assert [stage.neuron for stage in single.prediction.rounds] == [s.neuron for s in result.prediction.rounds]
    np.testing.assert_allclose([stage.time for stage in single.prediction.rounds],
                               [stage.time for stage in result.prediction.rounds], rtol=2e-3)
    ours, path = single.training.trajectory, result.training.trajectory
    loss = np.interp(ours.times, path.times, path.loss)
    assert np.abs(loss - ours.loss).max() < 0.02 * path.loss[0]


def test_equal_amplitudes_run_without_a_claim_about_the_order(tmp_path: Path) -> None:
    data = ModularAdditionConfig(p=5, frequencies=[1, 2], amplitudes=[3.0, 3.0])
    train = GradientFlowConfig(horizon=20.0, tolerance=1e-4)
    config = modadd_config(data=data, agf=AgfConfig(max_events=1), train=train)
    result = run(config, output_dir=tmp_path / "run")
    assert result.theory is not None
    assert "1 and 2" in result.theory.undecided
    assert result.theory.undecided in result.summary()
    assert read_json(tmp_path / "run" / "done.json")["status"] in ("converged", "horizon")
    assert "feature_order" not in set(pd.read_csv(tmp_path / "run" / "claims.csv")["claim"])


def test_five_dimensional_regression_at_the_smallest_scale() -> None:
    result = run(diagonal_config(data=RandomRegressionConfig(), init=InitConfig("deterministic", 1e-16)))
    assert [stage.neuron for stage in result.prediction.rounds] == [1, 2, 3, 0, 4]
    assert result.training.status == "converged"
    activated = [event.neuron for event in result.events["training"] if event.kind == "activation"]
    assert activated == [1, 2, 3, 0, 4]
    rows = [row for row in result.comparison if row["kind"] == "activation"]
    assert max(abs(row["time_ratio"] - 1) for row in rows) < 2 / math.log(1e16)


# ---- Refusals


def test_second_run_in_a_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    brief = modadd_config(agf=AgfConfig(max_events=1), train=GradientFlowConfig(horizon=1.0))
    run(brief, output_dir=tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(OutputError, match="overwrite"):
        run(dataclasses.replace(brief, seed=1), output_dir=tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_overwrite_replaces_a_run(tmp_path: Path) -> None:
    brief = modadd_config(agf=AgfConfig(max_events=1), train=GradientFlowConfig(horizon=1.0))
    run(brief, output_dir=tmp_path / "run")
    again = run(dataclasses.replace(brief, seed=1, overwrite=True), output_dir=tmp_path / "run")
    arrays = safetensors.numpy.load_file(tmp_path / "run" / "parameters.safetensors")
    np.testing.assert_array_equal(arrays["neurons/initial"], again.problem.initial)
    assert read_json(tmp_path / "run" / "done.json")["config_hash"] == config_hash(again.config)


def test_bad_configuration_touches_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.width=0"):
        run(modadd_config(model=QuadraticModaddConfig(width=0)), output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_closed_form_that_is_not_there_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agf\.method=closed_form"):
        run(modadd_config(agf=AgfConfig(method="closed_form")), output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_cuda_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device=cuda"):
        run(modadd_config(device="cuda"), output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


def test_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        run(modadd_config(), output_dir=tmp_path / "file" / "run")


# ---- Runs that do not reach their end


def interrupt_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the progress bar is told for the `calls`-th time."""
    count = 0

    def told(self: TrainingBar, time: float, loss: float) -> None:
        nonlocal count
        count += 1
        if count == calls:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingBar, "__call__", told)


@pytest.mark.parametrize("calls", [1, 60])
@pytest.mark.parametrize("train", [GradientFlowConfig(horizon=40.0), descent()], ids=["flow", "descent"])
def test_interrupted_training_keeps_what_is_finished(
    train: GradientFlowConfig, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt_after(calls, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(modadd_config(train=train), output_dir=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    done = read_json(tmp_path / "run" / "done.json")
    assert done["status"] == "interrupted"
    assert "interrupted by the user" in done["reason"]
    table = pd.read_csv(tmp_path / "run" / "loss.csv")
    training = table[table["source"] == "training"]
    assert len(training) >= 1
    assert training["time"].iloc[-1] < 40.0
    assert table[table["source"] == "agf"]["time"].iloc[-1] > 0  # the prediction is whole
    if calls == 1:  # nothing learned: no claim about what training learns
        claims = pd.read_csv(tmp_path / "run" / "claims.csv")
        assert not ((claims["claim"] == "feature_order") & (claims["source"] == "training")).any()


def test_interrupted_run_equals_the_beginning_of_the_whole_one(
    results: dict[str, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt_after(40, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(modadd_config(), output_dir=tmp_path / "run")
    table = read_table(tmp_path / "run" / "loss.csv", LOSS)
    training = table[table["source"] == "training"]
    whole = results["modadd"].training.trajectory
    np.testing.assert_array_equal(training["loss"], whole.loss[: len(training)])


def test_interrupt_during_the_prediction_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agfrun.pipeline.predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(modadd_config(), output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("batch_size", [None, 4])
def test_divergence_is_reported_after_writing_what_came_before(batch_size: int | None, tmp_path: Path) -> None:
    train = GradientDescentConfig(learning_rate=1e4, max_steps=400, batch_size=batch_size)
    with pytest.raises(DivergenceError, match=r"train\.learning_rate"):
        run(modadd_config(train=train), output_dir=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    done = read_json(tmp_path / "run" / "done.json")
    assert done["status"] == "diverged"
    assert "not finite" in done["reason"]
    table = pd.read_csv(tmp_path / "run" / "loss.csv")
    assert np.isfinite(table["loss"]).all()
    assert len(pd.read_csv(tmp_path / "run" / "claims.csv")) == 0


# ---- Parts


def test_mark_active_follows_activations_and_collapses() -> None:
    times = np.arange(6.0)
    path = Trajectory("training", times, np.ones(6), ("1", "2"), np.ones((6, 2)), np.ones((6, 2)), np.ones((6, 2)),
                      np.zeros((6, 2), dtype=np.int64), np.zeros((6, 2), dtype=bool))
    events = [Event("activation", 4.0, "1", 0, 1, 1), Event("collapse", 3.0, "1", 0, 1, 1),
              Event("activation", 1.0, "1", 0, 1, 1), Event("activation", 2.5, "2", 1, 1, 1),
              Event("acquisition", 0.5, "1", None, 1, 1), Event("collapse", 0.5, "1", None, 1, 1)]
    active = mark_active(path, events).active
    assert active[:, 0].tolist() == [False, True, True, False, True, True]
    assert active[:, 1].tolist() == [False, False, False, True, True, True]


@ON_EITHER
def test_plateau_moments_lie_between_the_acquisitions(result: Result) -> None:
    moments = plateau_moments(result)
    acquired = [event.time for event in result.events["training"] if event.kind == "acquisition"]
    assert len(moments) == len(acquired) + 1
    for before, time, after in zip(moments, acquired, moments[1:], strict=False):
        assert before < time <= after
