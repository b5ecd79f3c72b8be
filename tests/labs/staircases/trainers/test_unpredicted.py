"""What a run with another optimizer compares with its prediction, and what it leaves out with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agfrun import CompareConfig, GradientFlowConfig, execute, load_config
from agfrun.labs.staircases.trainers.optimizer import OptimizerConfig

BASE = ["model=diagonal_linear", "init=gaussian", "init.scale=1e-3", "plots=false", "device=cpu",
        "train.max_steps=1500"]


@pytest.mark.parametrize(("changes", "unpredicted"), [
    ({}, set()),
    ({"momentum": 0.9, "batch_size": 4}, set()),
    ({"weight_decay": 0.0}, set()),
    ({"clip": 1.0}, {"times"}),
    ({"schedule": "cosine"}, {"times"}),
    ({"weight_decay": 0.1}, {"levels", "times"}),
    ({"label_noise": 0.1}, {"levels", "times"}),
    ({"optimizer": "Adam"}, {"times"}),
    ({"optimizer": "AdamW"}, {"levels", "times"}),  # torch's default decays
    ({"optimizer": "AdamW", "weight_decay": 0.0}, {"times"}),
])
def test_what_is_not_predicted(changes: dict[str, Any], unpredicted: set[str]) -> None:
    assert OptimizerConfig(**changes).unpredicted().keys() == unpredicted
    assert not GradientFlowConfig().unpredicted()


def compared(folder: Path, *overrides: str) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any], pd.DataFrame]:
    config = load_config([*BASE, *overrides])
    assert isinstance(config.study, CompareConfig)
    execute(config, output_dir=folder, progress=False, command=["agfrun"])
    rows = pd.read_csv(folder / "comparison.csv")
    manifest, done = (json.loads((folder / name).read_text()) for name in ("manifest.json", "done.json"))
    own = rows[(rows["kind"] == "acquisition") & (rows["source"] == "agf")]
    return own, manifest, done, pd.read_csv(folder / "claims.csv")


def test_sgd_is_compared_in_full(tmp_path: Path) -> None:
    rows, manifest, done, claims = compared(tmp_path, "train=optimizer", "train.learning_rate=0.02")
    assert manifest["prediction_compared"] == {"order": "yes", "levels": "yes", "times": "yes"}
    assert rows["time_ratio"].notna().any()
    assert done["worst_time_error"] < 0.2
    assert (claims["source"] == "training").any()


def test_adam_s_times_are_left_out_and_its_order_is_judged(tmp_path: Path) -> None:
    rows, manifest, done, claims = compared(tmp_path, "train=adamw", "train.learning_rate=0.01")
    assert manifest["prediction_compared"]["times"] == \
        "no: AdamW rescales the gradient, its steps have no gradient-flow time"
    assert manifest["prediction_compared"]["levels"] == "no: weight decay moves the plateaus"
    assert rows["time_training"].notna().any()
    assert rows[["time_ratio", "level_error"]].isna().all(axis=None)
    assert done["measured_acquisitions"] == rows["time_training"].notna().sum()
    assert done["worst_time_error"] is None
    of_training = claims[claims["source"] == "training"]
    assert len(of_training)
    assert of_training["holds"].isna().all()
    assert "predicted times are not compared" in manifest["training"]["reason"]
