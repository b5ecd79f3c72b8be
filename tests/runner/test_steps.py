"""`Bench.remember`: a step is done once, whatever happens between, and its numbers come back bit for bit."""

from __future__ import annotations

import math
import struct
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from outside_laboratory import FOLDER, unknown
from test_execution import contents, walk
from tiny_runs import read_json

from agfrun import AgfrunError, Bench, OutputError, execute, rerun, resume_run
from agfrun.cli.main import main
from agfrun.files import run_files
from agfrun.files.run_files import opened
from agfrun.files.steps import STEPS_FILE
from agfrun.study.study import StudyResult

LENGTH = 6


@pytest.fixture(autouse=True)
def the_studies_are_known(walks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["agfrun"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


def steps_file(folder: Path) -> Path:
    return folder / "checkpoints" / STEPS_FILE


def cut_short(folder: Path, log: str = "") -> Path:
    """A walk that fails in its last step but one, so that all before are remembered; it would not fail again."""
    river = folder.parent / "river"
    river.touch()
    with pytest.raises(AgfrunError, match="a river is in the way"):
        execute(walk(length=LENGTH, log=log, deed="fail", river=str(river)), output_dir=folder)
    river.unlink()
    return folder


@pytest.fixture
def bench_of(tmp_path: Path) -> Any:
    """A bench of a folder, for as long as it lasts; resuming or not."""
    @contextmanager
    def made(resume: bool = False, **changes: Any) -> Any:
        with opened(walk(**changes), tmp_path / "run", resume) as files:
            yield Bench(files, resume=resume)

    return made


VALUES: list[Any] = [
    math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324, -0.0, 1 / 3, 1.7976931348623157e308, 2**53 + 1, 10**400, 0, True,
    None, "", "two\nlines and \u2028 \x00 \U0001f4a9 '\"\\", [1, [2.5, math.nan], {}], {"a": {"b": [None, False]}},
    {"": 1}, np.float64(0.1) * 3,
]


def bits(value: Any) -> Any:
    """A value in which every float is its bits."""
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, list):
        return [bits(item) for item in value]
    return {key: bits(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_what_came_of_a_step_comes_back_bit_for_bit(bench_of: Any) -> None:
    def never() -> None:
        raise AssertionError("it was done before")

    keys = [f"step\n{place}" for place in range(len(VALUES))]
    with bench_of() as bench:
        first = [bench.remember(key, lambda value=value: value) for key, value in zip(keys, VALUES, strict=True)]
        again = [bench.remember(key, never) for key in keys]  # within one run too
    with bench_of(resume=True) as bench:
        resumed = [bench.remember(key, never) for key in keys]
    assert bits(first) == bits(again) == bits(resumed) == bits(VALUES)


@pytest.mark.parametrize(("value", "kept"), [
    ((1, (2.5, "x")), [1, [2.5, "x"]]), ({1: 2.5}, {"1": 2.5}), ([np.float64(0.5)], [0.5])], ids=str)
def test_what_a_resumed_run_finds_an_undisturbed_one_finds_too(value: Any, kept: Any, bench_of: Any) -> None:
    """A list for a tuple, words for other keys: the same the first time."""
    with bench_of() as bench:
        first = bench.remember("step", lambda: value)
    with bench_of(resume=True) as bench:
        resumed = bench.remember("step", lambda: 1 / 0)
    assert first == resumed == kept
    assert repr(first) == repr(resumed)


@pytest.mark.parametrize("value", [np.int64(1), {1, 2}, object(), pd.DataFrame(), 1j, b"x"],
                         ids=lambda value: type(value).__name__)
def test_what_is_no_plain_value_is_a_mistake_at_once(value: Any, bench_of: Any) -> None:
    with bench_of() as bench, pytest.raises(TypeError, match="not JSON serializable"):
        bench.remember("step", lambda: value)


def test_what_is_done_with_a_value_is_not_remembered(bench_of: Any) -> None:
    with bench_of() as bench:
        value = bench.remember("step", lambda: {"rows": [1]})
        value["rows"].append(2)
        assert bench.remember("step", lambda: 1 / 0) == {"rows": [1]}
        bench.remember("other", lambda: value)
    with bench_of(resume=True) as bench:
        bench.remember("third", lambda: 3)  # the file is written anew
    with bench_of(resume=True) as bench:
        assert [bench.remember(key, lambda: 1 / 0) for key in ("step", "other")] == [{"rows": [1]}, {"rows": [1, 2]}]


def test_what_a_step_raises_is_not_remembered(bench_of: Any, tmp_path: Path) -> None:
    with bench_of() as bench:
        with pytest.raises(ZeroDivisionError):
            bench.remember("step", lambda: 1 / 0)
        assert bench.remember("step", lambda: 5) == 5
    assert len(steps_file(tmp_path / "run").read_text().splitlines()) == 2


def test_without_a_folder_nothing_is_remembered() -> None:
    bench = Bench()
    assert [bench.remember("step", lambda: place) for place in range(3)] == [0, 1, 2]  # noqa: B023
    assert (bench.checkpoints(), bench.last_state(), bench.folder) == (None, None, None)


def test_steps_are_not_done_twice(tmp_path: Path) -> None:
    whole = execute(walk(length=LENGTH), output_dir=tmp_path / "whole")
    cut_short(tmp_path / "cut", str(tmp_path / "log"))
    assert (tmp_path / "log").read_text().split() == list(map(str, range(LENGTH - 2)))
    resumed = resume_run(tmp_path / "cut", progress=False)
    assert resumed is not None
    assert (tmp_path / "log").read_text().split() == list(map(str, range(LENGTH)))  # each once
    assert resumed.numbers == whole.numbers
    for name in ("path.csv", "runs.csv", "diary.csv", "claims.csv", "parameters.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "cut" / "checkpoints").exists()
    assert resume_run(tmp_path / "cut") is None  # it has come to its end


def test_a_run_that_is_begun_anew_forgets(tmp_path: Path) -> None:
    cut_short(tmp_path / "cut", str(tmp_path / "log"))
    (tmp_path / "log").unlink()
    execute(walk(length=LENGTH, log=str(tmp_path / "log"), overwrite=True), output_dir=tmp_path / "cut")
    assert (tmp_path / "log").read_text().split() == list(map(str, range(LENGTH)))


@pytest.mark.parametrize("kept", [0, 1, 10, -1, -2, -20])
def test_a_line_that_was_cut_off_is_done_again_and_those_before_are_kept(kept: int, tmp_path: Path) -> None:
    """Whatever of the last line was written."""
    cut_short(tmp_path / "cut", str(tmp_path / "log"))
    content = steps_file(tmp_path / "cut").read_bytes()
    start = content.rstrip(b"\n").rfind(b"\n") + 1
    last = content[start:]
    steps_file(tmp_path / "cut").write_bytes(content[:start] + last[:kept])
    (tmp_path / "log").unlink()
    assert resume_run(tmp_path / "cut") is not None
    whole = kept == -1  # all but the end of the line
    assert (tmp_path / "log").read_text().split() == list(map(str, range(LENGTH - 2 if whole else LENGTH - 3, LENGTH)))
    path = pd.read_csv(tmp_path / "cut" / "path.csv")
    assert path["step"].tolist() == list(range(LENGTH))


def test_after_a_cut_off_line_what_is_added_is_read_again(bench_of: Any, tmp_path: Path) -> None:
    with bench_of() as bench:
        for place in range(3):
            bench.remember(f"step {place}", lambda place=place: place / 7)
    steps = steps_file(tmp_path / "run")
    steps.write_text(steps.read_text()[:-9])
    with bench_of(resume=True) as bench:
        assert bench.remember("step 2", lambda: "anew") == "anew"
    with bench_of(resume=True) as bench:
        assert [bench.remember(f"step {place}", lambda: 1 / 0) for place in range(3)] == [0.0, 1 / 7, "anew"]


@pytest.mark.parametrize("damage", ["", "\n", "{}\n", "no JSON", "\xff\xfe", '{"config_hash": 3}\n', "[]\n"])
def test_what_cannot_be_read_is_done_again(damage: str, bench_of: Any, tmp_path: Path) -> None:
    with bench_of() as bench:
        bench.remember("step", lambda: 1)
    steps_file(tmp_path / "run").write_text(damage, encoding="latin-1")
    with bench_of(resume=True) as bench:
        assert bench.remember("step", lambda: 2) == 2


def test_a_damaged_line_costs_those_behind_it(bench_of: Any, tmp_path: Path) -> None:
    with bench_of() as bench:
        for place in range(4):
            bench.remember(f"step {place}", lambda place=place: place)
    lines = steps_file(tmp_path / "run").read_text().splitlines()
    for damaged in ('{"step": "step 2"}', '{"value": 3}', "[1]", "3", "null", "{"):
        steps_file(tmp_path / "run").write_text("\n".join([*lines[:3], damaged, lines[4]]) + "\n")
        with bench_of(resume=True) as bench:
            assert [bench.remember(f"step {place}", lambda: "anew") for place in range(4)] == [0, 1, "anew", "anew"]


def test_steps_of_another_configuration_are_not_taken_up(bench_of: Any) -> None:
    with bench_of() as bench:
        bench.remember("step", lambda: 1)
    with bench_of(resume=True, seed=1) as bench:
        assert bench.remember("step", lambda: 2) == 2
    with bench_of(resume=True, plots=False, overwrite=True) as bench:  # which decide no number
        assert bench.remember("step", lambda: 3) == 3  # but the file is now that of seed=1
    with bench_of(resume=True, report=False) as bench:
        assert bench.remember("step", lambda: 4) == 3


def test_a_disk_that_is_full_costs_one_warning_and_what_was_not_noted(
        bench_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    steps = sys.modules["agfrun.files.steps"]

    def full(*arguments: Any, **more: Any) -> Any:
        raise OSError(28, "No space left on device")

    with bench_of() as bench:
        bench.remember("step 0", lambda: 0)
        with monkeypatch.context() as patch:
            patch.setattr(steps, "append_text", full)
            patch.setattr(steps, "write_text", lambda path, text: full())
            assert [bench.remember(f"step {place}", lambda place=place: place) for place in range(1, 5)] == [1, 2, 3, 4]
        assert capsys.readouterr().err == (
            "agfrun: warning: a step was not noted: [Errno 28] No space left on device\n")
        bench.remember("step 5", lambda: 5)  # there is room again: all of them are noted
    with bench_of(resume=True) as bench:
        assert [bench.remember(f"step {place}", lambda: "anew") for place in range(6)] == [0, 1, 2, 3, 4, 5]
    assert capsys.readouterr().err == ""


def test_a_process_that_ends_while_it_writes_the_steps_anew_loses_none(bench_of: Any, tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    with bench_of() as bench:
        for place in range(3):
            bench.remember(f"step {place}", lambda place=place: place)

    def die(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with bench_of(resume=True) as bench, monkeypatch.context() as patch:
        patch.setattr("os.replace", die)
        with pytest.raises(KeyboardInterrupt):
            bench.remember("step 3", lambda: 3)
    with bench_of(resume=True) as bench:
        assert [bench.remember(f"step {place}", lambda: "anew") for place in range(4)] == [0, 1, 2, "anew"]


def test_an_error_that_is_the_disks_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something was remembered, be it on the way or at the end."""
    original, calls = run_files.write_csv, 0

    def full(path: Path, frame: pd.DataFrame) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OutputError(f"cannot write {path}: No space left on device")
        original(path, frame)

    monkeypatch.setattr(run_files, "write_csv", full)
    with pytest.raises(OutputError) as caught:
        execute(walk(length=LENGTH), output_dir=tmp_path / "run")
    assert str(caught.value) == (
        f"cannot write {tmp_path}/run/path.csv: No space left on device; once that is mended, agfrun --import "
        f"{FOLDER}/walks.py resume {tmp_path}/run goes on from where it was")
    assert resume_run(tmp_path / "run") is not None


def test_the_command_line_resumes_any_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut_short(tmp_path / "cut")
    assert main(["resume", str(tmp_path / "cut")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"written to {tmp_path / 'cut'}"
    assert read_json(tmp_path / "cut" / "manifest.json")["command"] == ["agfrun", "resume", str(tmp_path / "cut")]
    before = contents(tmp_path / "cut")
    assert main(["resume", str(tmp_path / "cut")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'cut'} needs no resuming: it has come to its end (finished)\n"
    assert contents(tmp_path / "cut") == before


def test_a_run_that_was_interrupted_by_its_study_is_gone_on_with(tmp_path: Path) -> None:
    river = tmp_path / "river"
    river.touch()
    with pytest.raises(KeyboardInterrupt):
        execute(walk(deed="stop", river=str(river)), output_dir=tmp_path / "run")
    river.unlink()
    resumed = resume_run(tmp_path / "run")
    assert isinstance(resumed, StudyResult)
    assert read_json(tmp_path / "run" / "done.json")["status"] == "finished"


@pytest.mark.parametrize("command", ["plot", "report", "resume", "rerun"])
def test_a_run_of_a_study_that_is_not_known_here_is_said_so(command: str, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    execute(walk(), output_dir=tmp_path / "run")
    (tmp_path / "run" / "checkpoints").mkdir()
    before = contents(tmp_path / "run")
    with unknown("walk"):
        assert main([command, str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == (f"agfrun: error: {tmp_path / 'run'} is a run of the study walk, which is not "
                                       "known here; name its module with --import\n")
    assert contents(tmp_path / "run") == before


def test_a_run_of_any_study_is_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(walk(seed=4), output_dir=tmp_path / "run")
    outcome = rerun(tmp_path / "run", tmp_path / "again", progress=False)
    assert list(outcome.tables) == ["claims.csv", "diary.csv", "path.csv", "runs.csv"]
    assert outcome.differences == []
    assert {path.name for path in (tmp_path / "again").iterdir()} == {
        "config.yaml", "labels.json", "path.csv", "runs.csv", "diary.csv", "claims.csv", "parameters.safetensors",
        "manifest.json", "done.json"}
    path = pd.read_csv(tmp_path / "run" / "path.csv")
    path.loc[1, "place"] *= 1.01
    path.to_csv(tmp_path / "run" / "path.csv", index=False)
    assert main(["rerun", str(tmp_path / "run")]) == 1
    assert "path.csv, place: numbers differ by up to" in capsys.readouterr().out
