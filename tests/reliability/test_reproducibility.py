"""The same command gives the same numbers: in another process, from the manifest, on other numbers of threads."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from processes import DESCENT, FLOW, error_of, run, tables_of
from tiny_runs import modadd_config

from agfrun import GradientDescentConfig, rerun
from agfrun import run as run_once
from agfrun.cli.main import main
from agfrun.labs.staircases.run import training
from agfrun.runner.rerun import differences_of

SHORT = {"descent": [*DESCENT, "train.max_steps=500"], "flow": [*FLOW, "train.horizon=200"],
         "seeds together": [*FLOW, "train.horizon=20", "ensemble.seeds=3", "hydra/launcher=serial"],
         "study": ["study=width", "model=quadratic_modadd", "study.widths=[4,6]", "study.seeds=1",
                   "data.p=5", "data.frequencies=[1,2]",
                   "data.amplitudes=[4,2]", "agf.max_events=2", "train.horizon=20", "plots=false", "report=false"]}


@pytest.mark.parametrize("name", SHORT)
def test_the_same_command_gives_the_same_tables(name: str, tmp_path: Path) -> None:
    for place in ("one", "two"):
        folder = f"{tmp_path}/{place}"
        ended = run([*SHORT[name], f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}"], tmp_path)
        assert ended.status == 0, ended.errors
    names = sorted(path.name for path in (tmp_path / "one").glob("*.csv"))
    assert len(names) >= 2
    for table in names:
        one, two = (pd.read_csv(tmp_path / place / table) for place in ("one", "two"))
        timed = [column for column in one if "seconds" in column]  # how long it took is no number of the run
        pd.testing.assert_frame_equal(one.drop(columns=timed), two.drop(columns=timed), check_exact=True)


@pytest.mark.parametrize(("name", "loop"), [("flow", "rodas.advance"), ("descent", "descent.descend")])
def test_code_just_compiled_gives_the_bits_of_code_from_the_cache(name: str, loop: str, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for place in ("compiled", "cached"):
        command = [sys.executable, "-m", "agfrun", *SHORT[name], f"hydra.run.dir={tmp_path}/{place}"]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True)
        assert list((tmp_path / "cache").rglob(f"{loop}*.nbc"))
    assert tables_of(tmp_path / "cached") == tables_of(tmp_path / "compiled")


def test_a_run_is_done_again_from_its_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SHORT["descent"], f"hydra.run.dir={tmp_path}/run"], tmp_path).status == 0
    (tmp_path / "run" / "config.yaml").unlink()  # the manifest is enough
    assert main(["rerun", str(tmp_path / "run"), "--output", str(tmp_path / "again")]) == 0
    assert "tables are identical, number by number" in capsys.readouterr().out
    assert tables_of(tmp_path / "again") == tables_of(tmp_path / "run")


def test_what_differs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SHORT["flow"], f"hydra.run.dir={tmp_path}/run"], tmp_path).status == 0
    loss = tmp_path / "run" / "loss.csv"
    table = pd.read_csv(loss)
    table.loc[3, "loss"] *= 1 + 1e-3
    table.to_csv(loss, index=False)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "1.0"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    assert main(["rerun", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().out
    assert "loss.csv, loss: numbers differ by up to 0.001" in said
    assert f"numpy: 1.0 before, {np.__version__} now" in said
    assert main(["rerun", str(tmp_path / "run"), "--tolerance", "0.01"]) == 0


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    assert run([*SHORT["descent"], f"hydra.run.dir={tmp_path}/run"], tmp_path).status == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["config"]["seed"] = 5
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    assert "does not fit the configuration" in error_of(run(["rerun", str(tmp_path / "run")], tmp_path))
    (tmp_path / "run" / "manifest.json").write_text("{")
    assert "cannot read" in error_of(run(["rerun", str(tmp_path / "run")], tmp_path))
    shutil.rmtree(tmp_path / "run")
    assert "no finished run" in error_of(run(["rerun", str(tmp_path / "run")], tmp_path))


def test_tables_of_other_columns_and_rows_differ(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1.5,a\n2.5,b\n")
    (tmp_path / "b.csv").write_text("x,y\n1.5,a\n")
    (tmp_path / "c.csv").write_text("x,z\n1.5,a\n2.5,b\n")
    (tmp_path / "d.csv").write_text("x,y\n1.5,a\n2.0,c\n")
    assert differences_of(tmp_path / "a.csv", tmp_path / "a.csv") == []
    assert [d.what for d in differences_of(tmp_path / "a.csv", tmp_path / "b.csv")] == ["2 rows before, 1 now"]
    assert [d.what for d in differences_of(tmp_path / "a.csv", tmp_path / "c.csv")] == ["the columns differ"]
    assert [d.size for d in differences_of(tmp_path / "a.csv", tmp_path / "d.csv")] == [pytest.approx(0.2), np.inf]


@pytest.mark.parametrize("descent", [False, True])
def test_the_number_of_threads_changes_nothing_but_rounding(
    descent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = modadd_config()
    if descent:
        config = dataclasses.replace(config, train=GradientDescentConfig(learning_rate=0.05, max_steps=500))
    one = run_once(config)
    monkeypatch.setattr(training, "SINGLE_THREAD_SIZE", 0)
    torch.set_num_threads(2)
    two = run_once(config)
    first, second = one.training.trajectory, two.training.trajectory
    assert len(first.loss) == len(second.loss)
    np.testing.assert_allclose(second.loss, first.loss, rtol=1e-8)
    for a, b in zip(one.events["training"], two.events["training"], strict=True):
        assert (a.kind, a.feature) == (b.kind, b.feature)
        assert b.time == pytest.approx(a.time, rel=1e-8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("descent", [False, True])
def test_a_gpu_changes_nothing_but_rounding(descent: bool) -> None:
    config = modadd_config()
    if descent:
        config = dataclasses.replace(config, train=GradientDescentConfig(learning_rate=0.05, max_steps=500))
    one, two = run_once(config), run_once(dataclasses.replace(config, device="cuda"))
    for a, b in zip(one.events["training"], two.events["training"], strict=True):
        assert (a.kind, a.feature) == (b.kind, b.feature)
        assert b.time == pytest.approx(a.time, rel=1e-5)


def test_rerun_of_a_study_compares_its_tables(tmp_path: Path) -> None:
    assert run([*SHORT["study"], f"hydra.run.dir={tmp_path}/run"], tmp_path).status == 0
    outcome = rerun(tmp_path / "run", progress=False)
    assert len(outcome.tables) >= 2
    assert outcome.differences == []


def test_a_run_is_done_again_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are where they were, seen from the folder in which it was started."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "there" / "template.csv").write_text("1.5\n2.0\n-3.0\n0.5\n-1.0\n")
    ended = run(["data=custom_modular_addition", "data.path=template.csv", "model.width=4", "agf.max_events=1",
                 "train.horizon=1", "plots=false", "report=false", "hydra.run.dir=run"], tmp_path / "there")
    assert ended.status == 0, ended.errors
    monkeypatch.chdir(tmp_path / "here")
    again = rerun(tmp_path / "there" / "run", tmp_path / "again", progress=False)
    assert not again.differences
    (tmp_path / "there" / "template.csv").rename(tmp_path / "moved.csv")
    refused = run(["rerun", str(tmp_path / "there" / "run")], tmp_path / "here")
    assert "data.path=template.csv is not allowed: it cannot be read" in error_of(refused)
