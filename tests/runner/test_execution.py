"""The one sequence of every run: what is written, in which order, and what is left whatever goes wrong."""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from outside_laboratory import CONFIGS, FOLDER, composed
from tiny_runs import read_json

from agfrun import AgfrunError, ConfigError, OutputError, __version__, config_hash, execute, read_run
from agfrun.cli.main import main
from agfrun.files.locking import FolderLock
from agfrun.files.run_files import RunFiles
from agfrun.study.conversion import from_mapping
from agfrun.study.interruption import Terminated
from agfrun.study.study import StudyResult

OF_WALK = ["path.csv", "runs.csv", "diary.csv", "claims.csv"]
NUMBERS = {"distance", "turns", "home"}


@pytest.fixture(autouse=True)
def the_studies_are_known(walks: Any) -> None:
    """`walk` and `rest`."""


@functools.cache
def _walk_of(module: Any) -> Any:
    return composed("study=walk", "plot_formats=[png]")


def _walk() -> Any:
    """Composed once for each time that the module is imported."""
    return copy.deepcopy(_walk_of(sys.modules["walks"]))


def walk(**changes: Any) -> Any:
    """The configuration of a walk; `deed` and the like are keys of the study. Nothing is drawn or shown unless told."""
    config = dataclasses.replace(_walk(), plots=False, report=False)
    keys = {field.name for field in dataclasses.fields(config)}
    study = dataclasses.replace(config.study, **{key: changes.pop(key) for key in list(changes) if key not in keys})
    return dataclasses.replace(config, study=study, **changes)


def shown(**changes: Any) -> Any:
    """A walk with a figure and a page."""
    return walk(**{"plots": True, "report": True, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files in the order in which they are written."""
    names: list[str] = []
    replace = os.replace

    def noted(source: Any, target: Any) -> None:
        names.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    return names


def test_files_come_in_the_order_in_which_things_are_known(tmp_path: Path, written: list[str]) -> None:
    result = execute(shown(length=2), output_dir=tmp_path / "run", progress=False, command=["agfrun", "study=walk"])
    saved_on_the_way = ["labels.json", "path.csv"]
    # Of two steps the first begins the run; what is remembered is appended to.
    assert written == ["config.yaml", "steps.jsonl", *saved_on_the_way, *saved_on_the_way,
                       "labels.json", "path.csv", "runs.csv", "diary.csv", "claims.csv", "parameters.safetensors",
                       "walk.png", "manifest.json", "report.html", "done.json"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *OF_WALK, "config.yaml", "labels.json", "parameters.safetensors", "plots", "manifest.json", "report.html",
        "done.json"}
    assert (result.folder, set(result.wall_seconds)) == (tmp_path / "run", {"write", "plot", "report"})


def test_what_is_written_says_what_was_done(tmp_path: Path) -> None:
    config = shown(length=4, seed=3)
    result = execute(config, output_dir=tmp_path / "run", progress=False, command=["agfrun", "study=walk"])
    study, saved = read_run(tmp_path / "run")
    assert study == config.study
    assert set(saved.done) == {*NUMBERS, "status", "study", "config_hash", "claims_hold", "claims",
                               "claims_undecided", "wall_seconds"}
    assert (saved.done["study"], saved.done["status"], saved.done["config_hash"]) == (
        "walk", "finished", config_hash(config))
    assert (saved.done["claims"], saved.done["claims_hold"], saved.done["claims_undecided"]) == (2, 1, 1)
    assert {name: saved.done[name] for name in NUMBERS} == dict(result.numbers)
    assert set(saved.manifest["files"]) == {*OF_WALK, "plots/walk.png"}
    assert (saved.manifest["format"], saved.manifest["study"], saved.manifest["agfrun"]) == (4, "walk", __version__)
    assert (saved.manifest["seed"], saved.manifest["command"]) == (3, ["agfrun", "study=walk"])
    assert saved.manifest["summary"] == result.text
    values = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert next(iter(values)) == "format"
    assert values.pop("format") == 4
    assert from_mapping(values) == config
    for name in ("path", "runs", "diary"):
        pd.testing.assert_frame_equal(saved.tables[name].astype(object), result.tables[name].astype(object))
    assert saved.words == {"weather": "fine"}
    assert saved.arrays["places"].tolist() == result.tables["path"]["place"].tolist()


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = execute(walk())
    assert list(tmp_path.iterdir()) == []
    beside = execute(walk(), output_dir=tmp_path / "run")
    assert alone.numbers == beside.numbers
    assert alone.folder is None
    assert "written to" not in alone.summary()
    assert f"written to {tmp_path / 'run'}" in beside.summary()


@pytest.mark.parametrize(("changes", "absent"), [
    ({"plots": False}, ("plots",)), ({"report": False}, ("report.html",)),
    ({"plots": False, "report": False}, ("plots", "report.html"))], ids=str)
def test_figures_and_the_page_are_left_out_where_they_are_not_wanted(changes: dict[str, Any], absent: tuple[str, ...],
                                                                     tmp_path: Path) -> None:
    execute(shown(**changes), output_dir=tmp_path / "run")
    there = {path.name for path in (tmp_path / "run").iterdir()}
    assert there & {"plots", "report.html"} == {"plots", "report.html"} - set(absent)
    assert "done.json" in there


def test_a_folder_that_holds_a_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    execute(walk(), output_dir=tmp_path / "run")
    before = contents(tmp_path / "run")
    for config in (walk(seed=1), composed("study=rest")):
        with pytest.raises(OutputError, match="already holds a run; choose another folder .* or pass overwrite=true"):
            execute(config, output_dir=tmp_path / "run")
    config = composed("study=walk", "terrain=hills", "overwrite=true")
    config.terrain.height = -1
    with pytest.raises(ConfigError, match=r"^terrain\.height=-1"):
        execute(config, output_dir=tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_run_that_replaces_another_studys_takes_its_tables_and_figures_and_nothing_of_the_users(
        tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(shown(), output_dir=folder)
    mine = {"notes.csv": b"mine\n", "plots/mine.png": b"not a picture", "plots/walk2.png": b"nor this",
            "thoughts.txt": b"...", "data/path.csv": b"mine too\n"}
    (folder / "data").mkdir()
    for name, content in mine.items():
        (folder / name).write_bytes(content)
    execute(composed("study=rest", "overwrite=true", "plot_formats=[png]"), output_dir=folder)
    after = contents(folder)
    assert set(after) == {*mine, "config.yaml", "dreams.csv", "claims.csv", "plots/sleep.png", "manifest.json",
                          "report.html", "done.json"}
    assert {name: after[name] for name in mine} == mine
    assert read_json(folder / "done.json")["study"] == "rest"
    assert read_run(folder)[1].tables.keys() == {"dreams", "claims"}


OTHERS = {"config.yaml": b"lr: 0.1\n", "manifest.json": b'{"files": ["data.csv", "plots/mine.png"]}',
          "done.json": b'{"status": "finished"}', "report.html": b"<html>mine</html>", "labels.json": b"{}",
          "claims.csv": b"1\n", "dreams.csv": b"1\n", "plots/mine.png": b"png", "checkpoints/000001.safetensors": b"x",
          "parameters.safetensors": b"mine"}


@pytest.mark.parametrize("changes", [{}, {"overwrite": True}], ids=str)
@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_with_files_of_others_that_a_run_might_write_is_refused(name: str, changes: dict[str, Any],
                                                                        tmp_path: Path) -> None:
    """Whatever is asked for: that they bear such a name is no sign that they may be written over or removed."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(OTHERS[name])
    config = dataclasses.replace(composed("study=rest"), plots=False, report=False, **changes)
    with pytest.raises(OutputError, match=f"holds no run of this program, but has {name.partition('/')[0]}, which "):
        execute(config, output_dir=tmp_path)
    assert contents(tmp_path) == {name: OTHERS[name]}


def test_a_folder_with_files_of_others_that_are_not_in_the_way_takes_a_run(tmp_path: Path) -> None:
    mine = {"data.csv": b"1\n", "diary.csv.bak": b"mine", ".notes.tmp": b"mine", "failed.json": b"mine"}
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
    execute(dataclasses.replace(composed("study=rest"), plots=False, report=False), output_dir=tmp_path)
    assert contents(tmp_path).items() >= mine.items()
    assert (tmp_path / "done.json").exists()


def test_what_a_run_wrote_that_never_ended_is_taken_too(tmp_path: Path) -> None:
    """It has no manifest; its tables are those that its study declares."""
    folder = tmp_path / "run"
    with pytest.raises(AgfrunError, match="a river is in the way"):
        execute(walk(deed="fail"), output_dir=folder)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "labels.json", "path.csv", "checkpoints"}
    (folder / "notes.csv").write_text("mine\n")
    execute(composed("study=rest", "overwrite=true", "plots=false", "report=false"), output_dir=folder)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "dreams.csv", "claims.csv", "notes.csv",
                                                        "manifest.json", "done.json"}


def test_a_study_that_is_not_known_here_is_replaced_by_what_its_manifest_says(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(shown(), output_dir=folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["study"]["name"] = "nobody_knows"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    execute(composed("study=rest", "overwrite=true", "plots=false", "report=false"), output_dir=folder)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {
        "config.yaml", "dreams.csv", "claims.csv", "manifest.json", "done.json"}


def test_a_manifest_cannot_have_files_elsewhere_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(shown(report=False), output_dir=folder)
    precious = [tmp_path / "precious.csv", folder / "data" / "precious.csv", folder / "plots" / "deep" / "precious.png",
                folder / "precious.txt", folder / "notes.csv.bak", tmp_path / "precious.png"]
    for path in precious:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    manifest = read_json(folder / "manifest.json")
    manifest["files"] = [
        "../precious.csv", str(tmp_path / "precious.csv"), "data/precious.csv", "plots/../../precious.png",
        "plots/deep/precious.png", "precious.txt", "notes.csv.bak", "plots/../data/precious.csv", 3, None, ["x"],
        "", ".", "..", "plots", ".csv/../precious.txt", "data"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    execute(composed("study=rest", "overwrite=true", "plots=false", "report=false"), output_dir=folder)
    assert all(path.read_text() == "mine" for path in precious)
    assert read_json(folder / "done.json")["study"] == "rest"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"files": null}', '{"files": 3}', '{"files": {"a.csv": 1}}'])
def test_a_damaged_manifest_is_no_reason_not_to_replace_a_run(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(walk(), output_dir=folder)
    (folder / "manifest.json").write_text(damage)
    execute(composed("study=rest", "overwrite=true", "plots=false", "report=false"), output_dir=folder)
    assert {path.name for path in folder.glob("*.csv")} == {"dreams.csv", "claims.csv"}
    assert read_json(folder / "done.json")["study"] == "rest"


def test_a_failure_that_leaves_a_result_behind_leaves_all_of_it(tmp_path: Path) -> None:
    with pytest.raises(AgfrunError, match="rain at the end"):
        execute(shown(deed="rain"), output_dir=tmp_path / "run")
    done = read_json(tmp_path / "run" / "done.json")
    assert done["status"] == "wet"
    assert done.keys() >= NUMBERS
    assert (tmp_path / "run" / "report.html").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_failure_on_the_way_leaves_what_was_saved_and_no_done_marker(tmp_path: Path) -> None:
    for deed, error in (("fail", AgfrunError), ("stumble", ZeroDivisionError), ("turn back", KeyboardInterrupt)):
        folder = tmp_path / deed
        with pytest.raises(error):
            execute(walk(deed=deed), output_dir=folder)
        assert {path.name for path in folder.iterdir()} == {"config.yaml", "labels.json", "path.csv", "checkpoints"}
        assert len(pd.read_csv(folder / "path.csv")) == 3
        assert [path.name for path in (folder / "checkpoints").iterdir()] == ["steps.jsonl"]


def test_a_study_that_says_that_it_was_interrupted_is_one(tmp_path: Path) -> None:
    with pytest.raises(Terminated):
        execute(walk(deed="stop"), output_dir=tmp_path / "run")
    assert read_json(tmp_path / "run" / "done.json")["status"] == "interrupted"
    assert (tmp_path / "run" / "checkpoints" / "steps.jsonl").exists()  # it may be gone on with


@pytest.mark.parametrize(("drawing", "absent", "warning"), [
    ("raise", "plots", "the figures of {} could not be drawn: no pencil; agfrun --import {} plot {} draws them"),
    ("no page", "report.html", "no report was written for {}: no paper at hand"),
])
def test_what_cannot_be_drawn_or_shown_costs_a_warning(drawing: str, absent: str, warning: str, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    result = execute(shown(drawing=drawing), output_dir=folder)
    assert capsys.readouterr().err == f"agfrun: warning: {warning.format(folder, FOLDER / 'walks.py', folder)}\n"
    assert result.status == "finished"
    assert {path.name for path in folder.iterdir()} == {
        *OF_WALK, "config.yaml", "labels.json", "parameters.safetensors", "manifest.json", "done.json",
        *({"plots", "report.html"} - {absent})}
    assert set(read_json(folder / "manifest.json")["files"]) == {*OF_WALK, *(
        ["plots/walk.png"] if absent != "plots" else [])}


@pytest.mark.parametrize("stage", ["agfrun.report.redraw.redraw", "agfrun.report.html.report.write_report",
                                   "agfrun.files.run_files.RunFiles.write_arrays"])
def test_a_folder_that_is_removed_while_results_are_written_costs_none_of_them(
        stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """They are in memory: they are written beside it, next to whatever lies there, and a line says where."""
    place, _, name = stage.rpartition(".")
    owner = RunFiles if name == "write_arrays" else importlib.import_module(place)
    original, folder = getattr(owner, name), tmp_path / "run"

    def removing(*arguments: Any, **more: Any) -> Any:
        if not (tmp_path / "removed").exists():
            (tmp_path / "removed").touch()
            shutil.rmtree(folder)
        return original(*arguments, **more)

    monkeypatch.setattr(owner, name, removing)
    (tmp_path / "run_2").write_text("mine")
    result = execute(shown(), output_dir=folder)
    assert result.folder == tmp_path / "run_3"
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"agfrun: warning: {folder} was removed while the results were written; they are in {tmp_path / 'run_3'}")
    assert {path.name for path in result.folder.iterdir()} == {
        *OF_WALK, "config.yaml", "labels.json", "parameters.safetensors", "manifest.json", "done.json", "plots",
        "report.html"}
    assert not folder.exists()
    assert (tmp_path / "run_2").read_text() == "mine"


def test_a_table_that_a_study_does_not_declare_is_a_mistake(tmp_path: Path, walks: Any) -> None:
    @dataclasses.dataclass
    class Mistaken(walks.Rest):  # type: ignore[misc, name-defined]
        what: str = ""

        def run(self, config: Any, bench: Any) -> Any:
            if self.what == "table":
                bench.save({"nightmares": pd.DataFrame({"night": [1]})})
            if self.what == "column":
                bench.save({"dreams": pd.DataFrame({"night": [1], "length": [2.0]})})
            bench.save({"dreams": pd.DataFrame({"night": ["first"]})})

    for what, said in (("table", "study=rest declares no table nightmares"),
                       ("column", r"dreams\.csv has no column length"), ("kind", r"dreams\.csv: ")):
        config = dataclasses.replace(composed("study=rest"), study=Mistaken(what=what))
        with pytest.raises(ValueError, match=said):
            execute(config, output_dir=tmp_path / what)
        assert not (tmp_path / what / "done.json").exists()


def test_a_folder_that_another_process_writes_into_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lock = FolderLock(tmp_path / "run" / ".lock", "the run")
    try:
        for config in (walk(), walk(overwrite=True)):
            with pytest.raises(OutputError, match=f"is being written by process {os.getpid()} on "):
                execute(config, output_dir=tmp_path / "run")
    finally:
        lock.release()
    execute(walk(), output_dir=tmp_path / "run")
    assert not (tmp_path / "run" / ".lock").exists()


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["agfrun"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@pytest.mark.parametrize(("deed", "status", "said"), [
    ("fail", 1, "agfrun: error: a river is in the way\n"),
    ("rain", 1, "agfrun: error: rain at the end\n"),
    ("turn back", 130, "\nagfrun: interrupted; what is finished lies in {}; go on with {} resume {}\n"),
    ("stop", 143, "\nagfrun: interrupted; what is finished lies in {}; go on with {} resume {}\n"),
])
def test_the_command_line_says_how_a_run_ended(deed: str, status: int, said: str, tmp_path: Path, command_line: None,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    quiet = ["plots=false", "report=false", f"hydra.run.dir={folder}"]
    assert main([*CONFIGS, "study=walk", f"study.deed='{deed}'", *quiet]) == status
    assert capsys.readouterr().err == said.format(folder, f"agfrun --import {FOLDER}/walks.py", folder)


def test_threads_are_the_callers_again(walks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study may choose how many threads it computes on; a notebook goes on with its own."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        config = composed("study=walk")
        seen = []

        def run(self: Any, config: Any, bench: Any) -> StudyResult:
            torch.set_num_threads(1)
            seen.append(torch.get_num_threads())
            return StudyResult()

        monkeypatch.setattr(type(config.study), "run", run)
        execute(config, output_dir=None, progress=False)
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_figures_need_no_backend(tmp_path: Path) -> None:
    """As in a cell `!agfrun ...` of a notebook, whose kernel names one that only a kernel has."""
    ended = subprocess.run(
        [sys.executable, "-c", "from agfrun.cli.main import entry_point; entry_point()", "model=diagonal_linear",
         "train.horizon=5", "report=false", "hydra.run.dir=run"], cwd=tmp_path, stdin=subprocess.DEVNULL,
        env=os.environ | {"MPLBACKEND": "module://none.such"}, capture_output=True, text=True, timeout=600, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {"done.json", "manifest.json"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert list((tmp_path / "run" / "plots").glob("*.png"))


def test_findings_are_told_before_anything_is_drawn(tmp_path: Path) -> None:
    told = []
    result = execute(shown(), output_dir=tmp_path / "run", progress=False, tell=lambda findings: told.append(
        (findings, {path.name for path in (tmp_path / "run").iterdir()})))
    ((findings, there),) = told
    assert result.summary() == f"{findings}\nwritten to {tmp_path / 'run'}"
    assert {*OF_WALK} <= there
    assert not {"plots", "report.html", "manifest.json", "done.json"} & there


def test_a_reader_who_has_gone_costs_nothing_of_the_run(tmp_path: Path) -> None:
    ended = subprocess.run(
        f"{sys.executable} -m agfrun model=diagonal_linear train.horizon=5 report=false hydra.run.dir=run | true",
        shell=True, executable="/bin/bash", cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=600, check=False)
    assert ended.stderr == ""
    assert {"done.json", "plots"} <= {path.name for path in (tmp_path / "run").iterdir()}
