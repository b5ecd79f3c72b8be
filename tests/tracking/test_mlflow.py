from __future__ import annotations

import fcntl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import diagonal_config, read_json

from agfrun import RunConfig, run
from agfrun.study.settings import TrackingConfig
from agfrun.tracking import mlflow_store, track
from agfrun.tracking import track as track_function

pytest.importorskip("mlflow", reason="pip install 'agfrun[mlflow]'")
pytest.importorskip("sqlalchemy", reason="pip install 'agfrun[mlflow]'")

# Making MLflow's tables takes seconds.
pytestmark = pytest.mark.slow
TRACK = sys.modules[track_function.__module__]


def tracked(folder: Path, **changes: Any) -> RunConfig:
    return diagonal_config(tracking=TrackingConfig("mlflow", uri=f"sqlite:///{folder}/deep/store.db", **changes))


def client(config: RunConfig) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=config.tracking.uri)


def runs(config: RunConfig) -> list[Any]:
    reader = client(config)
    experiment = reader.get_experiment_by_name(config.tracking.experiment)
    return list(reader.search_runs([experiment.experiment_id]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunConfig]:
    folder = tmp_path_factory.mktemp("run")
    config = tracked(folder.parent / f"{folder.name}_store", experiment="mine")
    run(config, output_dir=folder, progress=False)
    track(folder, config, ["model=diagonal_linear"])
    return folder, config


def test_a_run_is_read_back_as_its_files_say(finished: tuple[Path, RunConfig],
                                             capsys: pytest.CaptureFixture[str]) -> None:
    folder, config = finished
    (found,) = runs(config)
    done, loss = read_json(folder / "done.json"), pd.read_csv(folder / "loss.csv").query("source == 'training'")
    assert found.info.status == "FINISHED"
    assert found.data.metrics["worst_time_error"] == done["worst_time_error"]
    assert found.data.metrics["claims_hold"] == done["claims_hold"]
    assert found.data.params["init.scale"] == "0.0001"
    assert found.data.params["model.name"] == "diagonal_linear"
    assert not any(name.startswith(("tracking", "sweep", "plots")) for name in found.data.params)
    tags = found.data.tags
    assert (tags["status"], tags["config_hash"]) == (done["status"], done["config_hash"])
    assert tags["git_revision"] == read_json(folder / "manifest.json")["git_revision"]
    assert tags["overrides"] == "model=diagonal_linear"
    for name in ("loss", "time"):
        points = sorted(client(config).get_metric_history(found.info.run_id, name), key=lambda point: point.step)
        assert [point.step for point in points] == list(range(len(loss)))
        assert [point.value for point in points] == loss[name].tolist()
    assert capsys.readouterr().err == ""


def test_a_failed_run_is_marked_so(finished: tuple[Path, RunConfig], tmp_path: Path) -> None:
    _, config = finished
    (tmp_path / "failed.json").write_text('{"status": "failed", "reason": "it broke"}')
    track(tmp_path, config, [])
    failed = [found for found in runs(config) if found.info.status == "FAILED"]
    assert [found.data.tags["reason"] for found in failed] == ["it broke"]


def test_two_processes_may_make_and_fill_one_store(finished: tuple[Path, RunConfig], tmp_path: Path) -> None:
    folder, _ = finished
    uri = f"sqlite:///{tmp_path}/both.db"
    code = (f"from pathlib import Path; from agfrun import load_config; from agfrun.tracking import track\n"
            f"config = load_config(['model=diagonal_linear', 'tracking=mlflow', 'tracking.uri={uri}'])\n"
            f"for _ in range(3): track(Path('{folder}'), config, [])")
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=600)[1] for process in both] == ["", ""]
    found = runs(replace(diagonal_config(), tracking=TrackingConfig("mlflow", uri=uri)))
    assert [one.info.status for one in found] == ["FINISHED"] * 6
    assert len({one.data.metrics["worst_time_error"] for one in found}) == 1


def test_a_store_that_others_hold_costs_a_warning_after_the_limit(
        finished: tuple[Path, RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = finished
    config = tracked(tmp_path)
    (tmp_path / "deep").mkdir()
    monkeypatch.setattr(TRACK, "LIMIT_SECONDS", 1.0)
    monkeypatch.setattr(TRACK, "_given_up", set())
    with open(tmp_path / "deep" / ".store.db.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        track(folder, config, [])  # comes back while the lock is held
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("agfrun: warning: the run is not recorded in mlflow: ")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/nowhere/store.db"])
def test_a_store_that_cannot_be_reached_costs_one_line(uri: str, finished: tuple[Path, RunConfig],
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    folder, config = finished
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    track(folder, replace(config, tracking=TrackingConfig("mlflow", uri=uri)), [])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("agfrun: warning: the run is not recorded in mlflow: ")
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_nothing_is_sent_to_the_makers_of_mlflow() -> None:
    assert mlflow_store.ENVIRONMENT["MLFLOW_DISABLE_TELEMETRY"] == "true"
    code = ("from agfrun.tracking.mlflow_store import ENVIRONMENT; import os; os.environ.update(ENVIRONMENT)\n"
            "from mlflow.telemetry.utils import is_telemetry_disabled; print(is_telemetry_disabled())")
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True"
