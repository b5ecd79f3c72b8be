from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import diagonal_config

from agfrun import ConfigError, RunConfig, config_hash, load_config, run
from agfrun.cli.main import main
from agfrun.study.settings import TrackingConfig
from agfrun.tracking import check_installed, track
from agfrun.tracking.record import parameters_of, read_record

TRACK = sys.modules["agfrun.tracking.track"]
TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
NEEDS_TENSORBOARD = pytest.mark.skipif(not TENSORBOARD, reason="pip install 'agfrun[tensorboard]'")


def tensorboard_config(folder: Path, **changes: Any) -> RunConfig:
    return diagonal_config(tracking=TrackingConfig("tensorboard", folder=str(folder)), **changes)


def test_off_unless_told_and_no_part_of_the_hash() -> None:
    config = load_config(["model=diagonal_linear"])
    assert config.tracking.name == "none"
    recorded = load_config(["model=diagonal_linear", "tracking=mlflow", "tracking.experiment=other"])
    assert recorded.tracking.experiment == "other"
    assert config_hash(config) == config_hash(recorded)
    assert parameters_of(config) == parameters_of(recorded)


@pytest.mark.parametrize(("override", "message"), [
    ("tracking=mlfow", "choose one of mlflow, none, tensorboard"),
    ("tracking.uri=file:///somewhere", "sqlite:///FILE, or the address of a server"),
    ("tracking.experiment=''", "must be a name"),
])
def test_wrong_settings_are_refused(override: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        load_config(["tracking=mlflow", override])


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_missing_package_is_named_before_the_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(TRACK, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match="is not installed; pip install"):
        check_installed(TrackingConfig(name))
    assert main(["model=diagonal_linear", f"tracking={name}", f"hydra.run.dir={tmp_path}/run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"agfrun: error: tracking={name} is not allowed")
    assert line.endswith(f"pip install 'agfrun[{name}]'")
    assert not list((tmp_path / "run").glob("*"))


def test_the_choice_is_checked_without_torch() -> None:
    code = ("import sys; from agfrun.study.settings import TrackingConfig\n"
            "from agfrun.tracking import check_installed\n"
            "check_installed(TrackingConfig()); import agfrun.cli.main; print('torch' in sys.modules)")
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_tracker_that_hangs_is_left_behind_and_not_asked_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked, ended, released = list[Path](), list[Path](), threading.Event()

    def hang(folder: Path, *rest: Any) -> None:
        asked.append(folder)
        released.wait(600)
        ended.append(folder)

    monkeypatch.setattr(TRACK, "_write", hang)
    monkeypatch.setattr(TRACK, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(TRACK, "_given_up", set())
    try:
        for _ in range(3):
            track(tmp_path, tensorboard_config(tmp_path), [])
        assert (len(asked), ended) == (1, [])
    finally:
        released.set()
    (line,) = capsys.readouterr().err.splitlines()
    assert "no answer within 0.1 seconds" in line


def test_a_tracker_that_raises_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError("no space\nleft")

    monkeypatch.setattr(TRACK, "_write", refuse)
    track(tmp_path, tensorboard_config(tmp_path), [])
    assert capsys.readouterr().err == "agfrun: warning: the run is not recorded in tensorboard: OSError: no space\n"


def test_a_folder_that_tells_no_end_is_unfinished(tmp_path: Path) -> None:
    record = read_record(tmp_path, diagonal_config(), ["a=1", "b=2"])
    assert (record.status, dict(record.metrics), list(record.series)) == ("unfinished", {}, [])
    assert record.tags["overrides"] == "a=1 b=2"


@NEEDS_TENSORBOARD
def test_scalars_are_read_back_as_the_files_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandas as pd
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, config = tmp_path / "runs" / "one", tensorboard_config(tmp_path / "board")
    result = run(config, output_dir=folder, progress=False)
    for _ in range(2):  # recorded anew, not twice
        track(folder, config, [])
    place = tmp_path / "board" / "runs" / "one"
    assert len(list(place.iterdir())) == 1
    read = EventAccumulator(str(place), size_guidance={"scalars": 0})
    read.Reload()
    table = pd.read_csv(folder / "loss.csv").query("source == 'training'")
    for name in ("loss", "time"):
        points = read.Scalars(name)
        assert [point.step for point in points] == list(range(len(table)))
        assert [point.value for point in points] == pytest.approx(table[name].tolist(), rel=1e-6)  # single precision
    assert read.Scalars("worst_time_error")[0].value == pytest.approx(result.verdict["worst_time_error"], rel=1e-6)
    assert "_hparams_/session_start_info" in read.summary_metadata
    assert capsys.readouterr().err == ""


@NEEDS_TENSORBOARD
def test_the_command_line_records_finished_and_failed_runs(tmp_path: Path) -> None:
    common = ["plots=false", "report=false", "tracking=tensorboard", f"tracking.folder={tmp_path}/board"]
    assert main(["model=diagonal_linear", f"hydra.run.dir={tmp_path}/runs/good", *common]) == 0
    assert main(["model=diagonal_linear", "train=gradient_descent", "train.learning_rate=1e6", "train.max_steps=500",
                 f"hydra.run.dir={tmp_path}/runs/bad", *common]) == 1
    # A folder that holds another run is refused, and that run not recorded a second time.
    assert main(["model=diagonal_linear", "seed=1", f"hydra.run.dir={tmp_path}/runs/good", *common]) == 2
    assert {path.parent.name: len(list(path.parent.iterdir())) for path in (tmp_path / "board").rglob("*.agfrun")} \
        == {"good": 1, "bad": 1}
