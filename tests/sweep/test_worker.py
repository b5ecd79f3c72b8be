from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweeps import SMALL

from agfrun import AgfrunError, config_hash, load_config
from agfrun.configuration.composition import compose_varied
from agfrun.files.sweep_folder import SweepFolder, finished_hash
from agfrun.files.sweep_jobs import Batch, job_of
from agfrun.runner.resumption import read_run_config
from agfrun.study import registry
from agfrun.sweep.launch import _part
from agfrun.sweep.log import FAILED, FINISHED, read_log
from agfrun.sweep.worker import main, run_batch

TOGETHER = registry.study_type("compare").together_keys  # type: ignore[union-attr]


def planned(folder: Path, overrides: list[list[str]], together: tuple[str, ...] = TOGETHER) -> SweepFolder:
    sweep = SweepFolder(folder)
    with sweep.claimed():
        sweep.write_batches([Batch(tuple(map(job_of, overrides)), together)])
    return sweep


def run(folder: Path, overrides: list[list[str]], together: tuple[str, ...] = TOGETHER) -> list[Path]:
    sweep = planned(folder, overrides, together)
    run_batch(str(folder), 0)
    assert sweep.ended_file(0).exists()
    return [folder / job_of(one).folder for one in overrides]


@pytest.mark.parametrize("varied", [
    [["seed=3"]], [["init.scale=1e-3", "seed=0"], ["init.log10_scale=-20"], []], [["seed=9223372036854775807"]],
])
def test_plain_values_composed_on_top_are_as_composed_from_the_start(varied: list[list[str]]) -> None:
    common = ["model=relu", "data=teacher_student", "train.tolerance=1e-4"]
    assert compose_varied(common, varied) == [load_config([*common, *more]) for more in varied]


def test_what_is_wrong_with_one_is_not_wrong_with_the_others() -> None:
    good, bad, worse = compose_varied(SMALL, [["seed=3"], ["init.scale=2"], ["seed=x"]])
    assert good == load_config([*SMALL, "seed=3"])
    assert str(bad).startswith("init.scale=2 is not allowed")
    assert str(worse).startswith("seed=x is not allowed")
    assert all(isinstance(error, AgfrunError) for error in compose_varied(["model=none"], [[], []]))


# How well the numbers agree, network by network, is looked at in tests/labs/staircases/ensemble.
@pytest.mark.parametrize("overrides", [
    ["model=linear_attention", "data.dimension=3", "model.width=3"],
    [*SMALL, "train=gradient_descent", "train.max_steps=400", "init.scale=0.1"],
], ids=["attention", "gradient descent"])
def test_runs_trained_together_leave_the_files_of_separate_ones(tmp_path: Path, overrides: list[str]) -> None:
    jobs = [[*overrides, f"seed={seed}"] for seed in range(3)]
    together, alone = run(tmp_path / "together", jobs), run(tmp_path / "alone", jobs, together=())
    for one, other in zip(together, alone, strict=True):
        assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
        assert json.loads((one / "manifest.json").read_text())["trained_together"]["runs"] == 3
        assert "trained_together" not in json.loads((other / "manifest.json").read_text())
        assert (one / "config.yaml").read_text() == (other / "config.yaml").read_text()
        assert finished_hash(one) == finished_hash(other) is not None
        for name in ("comparison.csv", "claims.csv"):
            _agree(pd.read_csv(one / name), pd.read_csv(other / name), 1e-6)
        _agree(*(pd.read_csv(folder / "loss.csv").groupby("source").last() for folder in (one, other)), 1e-4)


def _agree(one: pd.DataFrame, other: pd.DataFrame, tolerance: float) -> None:
    assert list(one.columns) == list(other.columns)
    for column in one.columns:
        if column in ("step", "neuron_predicted", "neuron_training"):
            continue
        if pd.api.types.is_float_dtype(one[column]):
            np.testing.assert_allclose(one[column], other[column], rtol=tolerance, atol=1e-7)
        elif column not in ("expected", "measured"):
            assert one[column].astype(str).tolist() == other[column].astype(str).tolist()


def test_a_job_that_fails_says_so_in_its_folder(tmp_path: Path) -> None:
    good, bad = run(tmp_path, [[*SMALL, "seed=1"], [*SMALL, "init.scale=2"]])
    assert finished_hash(good) == config_hash(load_config([*SMALL, "seed=1"]))
    failure = json.loads((bad / "failed.json").read_text())
    assert failure["reason"].startswith("init.scale=2 is not allowed")
    assert failure["exit_status"] == 2
    assert failure["overrides"] == [*SMALL, "init.scale=2"]
    assert {status for status, _ in read_log(SweepFolder(tmp_path).log_file(0)).ended.values()} == {FINISHED, FAILED}


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    (folder,) = run(tmp_path, [[*SMALL, "seed=1"]])
    before = (folder / "done.json").stat().st_mtime_ns
    (folder / "failed.json").unlink(missing_ok=True)
    planned(tmp_path, [[*SMALL, "seed=1"], [*SMALL, "seed=2"]])
    run_batch(str(tmp_path), 1)
    assert (folder / "done.json").stat().st_mtime_ns == before
    assert finished_hash(tmp_path / job_of([*SMALL, "seed=2"]).folder) is not None


def test_the_same_configuration_in_other_words_is_not_run_again(tmp_path: Path) -> None:
    """Judged by the hash of the configuration, not by how it was asked for."""
    run(tmp_path, [[*SMALL, "seed=1"]])
    sweep = planned(tmp_path, [["seed=1", "init.scale=1e-2", *SMALL]])
    assert load_config([*SMALL, "seed=1", "init.scale=1e-2"]) == load_config([*SMALL, "seed=1"])
    sweep.write_finished()
    run_batch(str(tmp_path), 1)
    second = tmp_path / job_of(["seed=1", "init.scale=1e-2", *SMALL]).folder
    assert [path.name for path in second.iterdir()] == ["same.json"]
    assert json.loads((second / "same.json").read_text())["folder"] == job_of([*SMALL, "seed=1"]).folder


def test_a_finished_run_of_something_else_is_kept(tmp_path: Path) -> None:
    """The folder has the right name, but what lies in it was made with other defaults."""
    (folder,) = run(tmp_path, [[*SMALL, "seed=1"]])
    done = json.loads((folder / "done.json").read_text())
    (folder / "done.json").write_text(json.dumps(done | {"config_hash": "another"}))
    planned(tmp_path, [[*SMALL, "seed=1"]])
    run_batch(str(tmp_path), 1)
    assert finished_hash(folder) == "another"
    assert "is kept" in json.loads((folder / "failed.json").read_text())["reason"]


def test_no_such_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "0"]) == 2
    assert capsys.readouterr().err.startswith("agfrun: error: cannot read ")


def test_a_sweep_of_the_second_format_means_what_it_meant(tmp_path: Path) -> None:
    """Keys that its jobs leave unsaid, that is; also in a batch that is tried again."""
    batch = Batch((job_of(SMALL), job_of([*SMALL, "init.stream=neuron"])), TOGETHER, ("a",), ("b",), format=2)
    again = _part(batch, [0, 1], together=())
    assert again == dataclasses.replace(batch, together=())
    sweep = SweepFolder(tmp_path)
    with sweep.claimed():
        sweep.write_batches([dataclasses.replace(again, imports=(), config_dirs=())])
    run_batch(str(tmp_path), 0)
    streams = [read_run_config(tmp_path / job.folder).init.stream for job in batch.jobs]
    assert streams == ["network", "neuron"]
