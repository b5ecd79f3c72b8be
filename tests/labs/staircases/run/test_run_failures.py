"""Runs that are refused, interrupted or diverge: what they leave behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from tiny_runs import FILES, descent, modadd_config, read_json

from agfrun import (
    AgfConfig,
    ConfigError,
    DivergenceError,
    GradientDescentConfig,
    GradientFlowConfig,
    OutputError,
    Result,
    config_hash,
    run,
)
from agfrun.files.folders import CONFIG_FILE
from agfrun.files.tables import read_table
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig
from agfrun.labs.staircases.run.progress import TrainingBar
from agfrun.labs.staircases.run.tables import LOSS
from agfrun.labs.staircases.studies.width import WidthConfig


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


def test_another_study_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"study=width .*agfrun\.execute does any study"):
        run(modadd_config(study=WidthConfig()), output_dir=tmp_path / "run")
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


@pytest.mark.usefixtures("steps_alone")
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
    if calls == 1:  # nothing learned: what training learns is undecided
        claims = pd.read_csv(tmp_path / "run" / "claims.csv")
        order = claims[(claims["claim"] == "feature_order") & (claims["source"] == "training")]
        assert order["holds"].isna().tolist() == [True]
        assert order["why"].notna().all()


@pytest.mark.usefixtures("steps_alone")
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


def test_interrupt_during_the_prediction_leaves_what_resume_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agfrun.labs.staircases.run.pipeline.predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(modadd_config(), output_dir=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {CONFIG_FILE}


@pytest.mark.parametrize("batch_size", [None, 4])
def test_divergence_is_reported_after_writing_what_came_before(batch_size: int | None, tmp_path: Path) -> None:
    train = GradientDescentConfig(learning_rate=1e4, max_steps=400, batch_size=batch_size)
    with pytest.raises(DivergenceError, match=r"training diverged: .*train\.learning_rate"):
        run(modadd_config(train=train), output_dir=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    done = read_json(tmp_path / "run" / "done.json")
    assert done["status"] == "diverged"
    assert "at step " in done["reason"]
    assert "try train.learning_rate < " in done["reason"]
    table = pd.read_csv(tmp_path / "run" / "loss.csv")
    assert np.isfinite(table["loss"]).all()
    assert len(pd.read_csv(tmp_path / "run" / "claims.csv")) == 0
