"""What a run leaves in its folder, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import agfrun.run
from agfrun.errors import ConfigError, DivergenceError, OutputError
from agfrun.problem import build_problem
from agfrun.report import tables
from agfrun.run import run
from agfrun.schema import (
    AgfConfig,
    DiagonalLinearConfig,
    GradientDescentConfig,
    InitConfig,
    ModularAdditionConfig,
    QuadraticModaddConfig,
    RotatedRegressionConfig,
    RunConfig,
)

FILES = {"loss.csv", "features.csv", "neurons.csv", "events.csv", "comparison.csv", "claims.csv", "config.yaml",
         "manifest.json", "parameters.safetensors", "done.json"}


def diagonal(**changes: object) -> RunConfig:
    settings = {"init": InitConfig("deterministic", 1e-4), "plots": False, **changes}
    return RunConfig(model=DiagonalLinearConfig(), data=RotatedRegressionConfig(), **settings)  # type: ignore[arg-type]


def quadratic(**changes: object) -> RunConfig:
    data = ModularAdditionConfig(p=7, frequencies=[1, 2], amplitudes=[7.0, 4.0])
    settings = {"plots": False, **changes}
    return RunConfig(model=QuadraticModaddConfig(width=8), data=data, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [diagonal(), quadratic()], ids=["diagonal", "quadratic"])
def test_all_files_with_all_columns(config: RunConfig, tmp_path: Path) -> None:
    result = run(config, output_dir=tmp_path, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    for schema in tables.SCHEMAS:
        frame = tables.read_table(tmp_path / schema.file, schema)
        assert list(frame.columns) == schema.names
        assert len(frame) > 0
    assert set(tables.read_table(tmp_path / "loss.csv", tables.LOSS)["source"]) == {"training", "agf", "theory"}
    done = json.loads((tmp_path / "done.json").read_text())
    assert done["status"] in ("converged", "horizon")
    assert done["measured_acquisitions"] == done["predicted_acquisitions"] > 0
    assert done["claims"] == len(result.claims)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["config_hash"] == done["config_hash"]
    assert manifest["training"]["accepted_steps"] > 0
    assert str(tmp_path) in result.summary()


def test_saved_neurons_are_those_of_the_run(tmp_path: Path) -> None:
    config = quadratic()
    result = run(config, output_dir=tmp_path, progress=False)
    arrays = safetensors.numpy.load_file(tmp_path / "parameters.safetensors")
    np.testing.assert_array_equal(arrays["neurons/initial"], build_problem(config).initial.numpy())
    np.testing.assert_array_equal(arrays["neurons/final"], result.training.final.numpy())
    assert len(arrays["plateau_times"]) == sum(name.startswith("neurons/plateau") for name in arrays)


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        run(quadratic(seed=1), output_dir=tmp_path / name, progress=False)
    for file in sorted(FILES - {"manifest.json", "done.json"}):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes(), file


def test_a_second_run_does_not_overwrite_unless_told(tmp_path: Path) -> None:
    run(diagonal(), output_dir=tmp_path, progress=False)
    before = (tmp_path / "loss.csv").read_bytes()
    with pytest.raises(OutputError, match="already holds a run"):
        run(diagonal(init=InitConfig("deterministic", 1e-2)), output_dir=tmp_path, progress=False)
    assert (tmp_path / "loss.csv").read_bytes() == before
    run(diagonal(init=InitConfig("deterministic", 1e-2), overwrite=True), output_dir=tmp_path, progress=False)
    assert (tmp_path / "loss.csv").read_bytes() != before


def test_bad_configuration_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"init\.scale"):
        run(diagonal(init=InitConfig("deterministic", -1.0)), output_dir=tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()


def test_interrupted_training_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupt(bar: object, time: float, loss: float) -> None:
        calls.append(time)
        if len(calls) == 40:
            raise KeyboardInterrupt

    monkeypatch.setattr(agfrun.run.TrainingBar, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(diagonal(), output_dir=tmp_path, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert json.loads((tmp_path / "done.json").read_text())["status"] == "interrupted"
    loss = tables.read_table(tmp_path / "loss.csv", tables.LOSS)
    assert loss["time"][loss["source"] == "training"].max() == calls[-1]


def test_divergence_is_a_result(tmp_path: Path) -> None:
    train = GradientDescentConfig(learning_rate=1e3, max_steps=1000)
    with pytest.raises(DivergenceError, match="learning_rate"):
        run(quadratic(train=train, agf=AgfConfig(max_events=1)), output_dir=tmp_path, progress=False)
    assert json.loads((tmp_path / "done.json").read_text())["status"] == "diverged"


def test_equal_amplitudes_leave_the_order_open() -> None:
    data = ModularAdditionConfig(p=7, frequencies=[1, 2], amplitudes=[5.0, 5.0])
    config = RunConfig(model=QuadraticModaddConfig(width=8), data=data, plots=False)
    config.train.horizon = 5.0
    config.agf.max_events = 2
    result = run(config, progress=False)
    assert "order is undetermined" in result.summary()
    assert not [row for row in result.claims if row["claim"] == "feature_order"]


def test_mini_batches_in_single_precision() -> None:
    train = GradientDescentConfig(learning_rate=0.02, batch_size=16, max_steps=400)
    result = run(quadratic(train=train, dtype="float32", agf=AgfConfig(max_events=1)), progress=False)
    assert result.training.trajectory.steps is not None
    assert result.training.trajectory.steps[-1] == 400
    assert result.problem.initial.dtype.is_floating_point
    assert result.problem.initial.element_size() == 4
