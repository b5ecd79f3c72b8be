"""Whole ensembles: their files, their summary, members that fail, interruptions and wrong values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from agfrun.labs.staircases.report.ensemble_tables import MEMBERS, with_members
from tiny_runs import descent, diagonal_config, modadd_config

from agfrun import (
    AgfConfig,
    AgfrunError,
    ConfigError,
    GradientFlowConfig,
    InitConfig,
    OutputError,
    RunConfig,
    load_config,
    redraw,
    validate,
)
from agfrun.files import tables
from agfrun.files.tables import read_table
from agfrun.labs.staircases.config import EnsembleConfig
from agfrun.labs.staircases.ensemble import run as ensemble_run
from agfrun.labs.staircases.ensemble import training as ensemble_training
from agfrun.labs.staircases.ensemble.run import EnsembleResult, ensemble_seconds, run_ensemble
from agfrun.labs.staircases.run import pipeline

LEADING = ["member", "seed", "init_scale"]
SCHEMAS = (tables.LOSS, tables.FEATURES, tables.NEURONS, tables.EVENTS, tables.COMPARISON, tables.CLAIMS)
FILES = {"members.csv", *(schema.file for schema in SCHEMAS), "config.yaml", "labels.json", "manifest.json",
         "report.html", "done.json"}


def small(seeds: int = 3, scales: list[float] | None = None, **changes: Any) -> RunConfig:
    config = diagonal_config(init=InitConfig("gaussian", 1e-3), seed=5, ensemble=EnsembleConfig(seeds, scales),
                             train=GradientFlowConfig(tolerance=1e-4))
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> EnsembleResult:
    folder = tmp_path_factory.mktemp("ensemble") / "run"
    return run_ensemble(small(2, [1e-2, 1e-4]), output_dir=folder, command=["agfrun"], progress=False)


def folder_of(result: EnsembleResult) -> Path:
    assert result.output_dir is not None
    return result.output_dir


def members_table(folder: Path) -> pd.DataFrame:
    return read_table(folder / MEMBERS.file, MEMBERS)


def read_done(folder: Path) -> dict[str, Any]:
    done: dict[str, Any] = json.loads((folder / "done.json").read_text())
    return done


def test_files_of_an_ensemble(finished: EnsembleResult) -> None:
    folder = folder_of(finished)
    assert {path.name for path in folder.iterdir()} == FILES
    last = max((path.stat().st_mtime_ns, path.name) for path in folder.iterdir())[1]
    assert last == "done.json"
    for schema in SCHEMAS:
        table = read_table(folder / schema.file, with_members(schema))
        assert list(table.columns[:3]) == LEADING
        assert table["member"].nunique() == 4


def test_members_are_seeds_at_each_scale(finished: EnsembleResult) -> None:
    table = members_table(folder_of(finished))
    assert table["member"].tolist() == [0, 1, 2, 3]
    assert table["seed"].tolist() == [5, 6, 5, 6]
    assert table["init_scale"].tolist() == [1e-2, 1e-2, 1e-4, 1e-4]
    np.testing.assert_allclose(table["log10_init_scale"].astype(float), [-2, -2, -4, -4])
    assert (table["status"] == "converged").all()
    loss = read_table(folder_of(finished) / "loss.csv", with_members(tables.LOSS))
    trained = loss[loss["source"] == "training"].groupby("member")["loss"].last()
    np.testing.assert_array_equal(trained, table["final_loss"])


@pytest.mark.parametrize("number", [1, 2])
def test_a_member_is_the_run_of_its_seed_and_scale(finished: EnsembleResult, number: int) -> None:
    member = finished.members[number]
    alone = pipeline.run(member.config, progress=False)
    assert member.result is not None
    assert member.result.horizon == pytest.approx(alone.horizon)
    assert member.result.verdict["in_predicted_order"] == alone.verdict["in_predicted_order"]
    assert len(member.result.comparison) == len(alone.comparison)
    for row, expected in zip(member.result.comparison, alone.comparison, strict=True):
        for key in ("time_agf", "time_training", "level_agf", "level_training"):
            assert row[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-6, nan_ok=True)
    assert [claim["holds"] for claim in member.result.claims] == [claim["holds"] for claim in alone.claims]


def test_done_and_manifest_say_what_happened(finished: EnsembleResult) -> None:
    done = read_done(folder_of(finished))
    assert (done["status"], done["members"], done["finished_members"], done["compared_members"]) == (
        "finished", 4, 4, 4)
    assert done["members_in_predicted_order"] == sum(members_table(folder_of(finished))["order_agrees"])
    manifest = json.loads((folder_of(finished) / "manifest.json").read_text())
    assert manifest["programs"][0]["members"] == [0, 1, 2, 3]
    assert "vectorizing" in manifest["programs"][0]["program"]


def test_summary_counts_and_bounds(finished: EnsembleResult) -> None:
    summary = finished.summary()
    assert "4 members: 4 converged" in summary
    assert "95% interval" in summary
    assert "0.0001" in summary
    assert str(finished.output_dir) in summary
    assert all(len(line) <= 120 for line in summary.splitlines()[:-1])


def test_figures_are_redrawn_from_the_tables(finished: EnsembleResult) -> None:
    written = redraw(folder_of(finished), ["png"])
    assert [path.name for path in written] == ["staircases.png"]
    first = written[0].read_bytes()
    assert redraw(folder_of(finished), ["png"])[0].read_bytes() == first
    for path in written:
        path.unlink()
    written[0].parent.rmdir()


def test_a_damaged_ensemble_is_named(finished: EnsembleResult, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((folder_of(finished) / "config.yaml").read_text())
    with pytest.raises(OutputError, match=r"members\.csv"):
        redraw(tmp_path)


def test_a_finished_ensemble_is_not_overwritten(finished: EnsembleResult) -> None:
    with pytest.raises(OutputError, match="already holds a run"):
        run_ensemble(finished.config, output_dir=folder_of(finished))


# ---- Members that fail


def fail_for_seed(seed: int, monkeypatch: pytest.MonkeyPatch, name: str, module: Any, error: BaseException) -> None:
    real = getattr(module, name)

    def failing(first: Any, *rest: Any, **named: Any) -> Any:
        config = first if isinstance(first, RunConfig) else first.config
        if config.seed == seed:
            raise error
        return real(first, *rest, **named)

    monkeypatch.setattr(module, name, failing)


@pytest.mark.parametrize("stage", ["prepare", "judge"])
def test_a_failing_member_marks_its_own_row(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for_seed(6, monkeypatch, stage, ensemble_run, ArithmeticError("no digits left"))
    result = run_ensemble(small(), output_dir=tmp_path / "run", progress=False)
    table = members_table(tmp_path / "run")
    assert table["status"].tolist() == ["converged", "failed", "converged"]
    assert table["reason"][1] == "ArithmeticError: no digits left"
    assert "member 1 (seed 6, scale 0.001) failed: ArithmeticError" in result.summary()
    assert read_done(tmp_path / "run")["finished_members"] == 2


def test_a_batch_that_fails_is_trained_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **named: Any) -> Any:
        raise RuntimeError("the batch is broken")

    monkeypatch.setattr(ensemble_training, "train_ensemble_by_gradient_flow", broken)
    fail_for_seed(7, monkeypatch, "train", ensemble_training, RuntimeError("and so is this one"))
    result = run_ensemble(small(), progress=False)
    assert [member.status for member in result.members] == ["converged", "converged", "failed"]
    assert result.programs[0]["program"] == "one after another"
    assert "the batch is broken" in result.programs[0]["reason"]


def test_a_diverging_member_leaves_the_others_alone(tmp_path: Path) -> None:
    """Gradient descent at a rate that a large initialization does not bear."""
    rough = dataclasses.replace(descent(), learning_rate=0.2, momentum=0.0, max_steps=8)
    result = run_ensemble(small(1, [1e-12, 0.9], train=rough), output_dir=tmp_path / "run", progress=False)
    assert [member.status for member in result.members] == ["horizon", "diverged"]
    table = members_table(tmp_path / "run")
    assert "learning_rate" in table["reason"][1]
    assert pd.isna(table["order_agrees"][1])


def test_when_no_member_finishes_that_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (5, 6):
        fail_for_seed(seed, monkeypatch, "prepare", ensemble_run, ArithmeticError("no digits left"))
    with pytest.raises(AgfrunError, match="none of the 2 members"):
        run_ensemble(small(2), output_dir=tmp_path / "run", progress=False)
    assert members_table(tmp_path / "run")["status"].tolist() == ["failed", "failed"]
    assert (tmp_path / "run" / "done.json").exists()


# ---- Interruptions


def test_interrupted_training_writes_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One member has converged when the interruption comes, the other two are on their way."""
    real = ensemble_training.train_ensemble_by_gradient_flow

    def interrupted(*arguments: Any, **named: Any) -> Any:
        def progress(ended: int) -> None:
            if ended == 1:
                raise KeyboardInterrupt

        return real(*arguments, **{**named, "progress": progress})

    monkeypatch.setattr(ensemble_training, "train_ensemble_by_gradient_flow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_ensemble(small(1, [1e-2, 1e-5, 1e-9]), output_dir=tmp_path / "run", progress=False)
    table = members_table(tmp_path / "run")
    assert table["status"].tolist() == ["converged", "interrupted", "interrupted"]
    assert (table["end_time"] > 0).all()
    assert read_done(tmp_path / "run")["status"] == "interrupted"
    assert len(redraw(tmp_path / "run", ["png"])) == 1


def test_interrupted_prediction_writes_what_is_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for_seed(6, monkeypatch, "prepare", ensemble_run, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_ensemble(small(), output_dir=tmp_path / "run", progress=False)
    assert members_table(tmp_path / "run")["status"].tolist() == ["interrupted"] * 3
    loss = read_table(tmp_path / "run" / "loss.csv", with_members(tables.LOSS))
    assert set(loss["member"]) == {0}
    assert "training" not in set(loss["source"])
    assert len(redraw(tmp_path / "run", ["png"])) == 1


# ---- Configuration


def test_command_line_reaches_the_ensemble(tmp_path: Path) -> None:
    config = load_config(["experiment=diagonal_5d", "init=gaussian", "ensemble.seeds=2", "ensemble.scales=[1e-2,1e-3]",
                          "plots=false", "device=cpu", "train.tolerance=1e-3"])
    result = config.study.execute(config, output_dir=tmp_path / "run", progress=False, command=None)
    assert isinstance(result, EnsembleResult)
    assert len(result.members) == 4


@pytest.mark.parametrize(("changes", "message"), [
    ({"ensemble": EnsembleConfig(0)}, r"ensemble\.seeds=0 .*from 1 to 100000"),
    ({"ensemble": EnsembleConfig(2, [])}, r"ensemble\.scales=\[\]"),
    ({"ensemble": EnsembleConfig(2, [1e-2, 1e-2])}, r"ensemble\.scales=.*different"),
    ({"ensemble": EnsembleConfig(2, [1e-2, -1.0])}, r"ensemble\.scales=.*above 0"),
    ({"ensemble": EnsembleConfig(2, [2.0])}, r"ensemble\.scales=.*below 1"),
    ({"ensemble": EnsembleConfig(2), "init": InitConfig("deterministic", 1e-3)}, r"ensemble\.seeds=2 .*deterministic"),
    ({"ensemble": EnsembleConfig(1, [1e-2]), "init": InitConfig("gaussian", log10_scale=-5.0)}, r"init\.log10_scale"),
    ({"ensemble": EnsembleConfig(2), "seed": 2**63 - 1}, r"ensemble\.seeds=2 "),
])
def test_wrong_values_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(dataclasses.replace(small(), **changes))


def test_other_studies_have_no_ensemble() -> None:
    with pytest.raises(ConfigError, match="study"):
        load_config(["study=width", "ensemble.seeds=2"])


def test_a_scale_too_small_for_the_network_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    config = modadd_config(ensemble=EnsembleConfig(1, [1e-2, 1e-200]))
    with pytest.raises(ConfigError, match=r"init\.scale=1e-200"):
        run_ensemble(config, output_dir=tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_single_run_does_not_take_an_ensemble() -> None:
    with pytest.raises(ConfigError, match="run_ensemble"):
        pipeline.run(small())


def test_seconds_of_an_ensemble() -> None:
    config = dataclasses.replace(small(), agf=AgfConfig(max_events=1), train=GradientFlowConfig(horizon=0.5))
    for members in (1, 2):
        seconds = ensemble_seconds(config, members)
        assert set(seconds) == {"build", "predict", "train", "compare"}
        assert all(value > 0 for value in seconds.values())
