"""Sweeps of studies from outside: their own tables, numbers and figures, and runs that are done together."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from outside_laboratory import CONFIGS, WALKS, unknown
from sweeps import runs
from test_sweeps import start

from agfrun import gather
from agfrun.cli.main import main
from agfrun.files.saved_run import read_run
from agfrun.report.saved_sweep import read_sweeps
from agfrun.sweep.log import read_log

COMMON = ["claims_hold", "claims", "claims_undecided", "wall_seconds", "study", "config_hash"]
OF_WALK, OF_REST = ["distance", "turns", "home"], ["hours", "distance"]


@pytest.fixture(autouse=True)
def the_studies_are_known(walks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["agfrun"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


def sweep(folder: Path, *words: str, status: int = 0, shown: bool = False) -> Path:
    """A sweep in this process, with figures and a page if it is to be `shown`."""
    decoration = ["plot_formats=[png]"] if shown else ["plots=false", "report=false"]
    found = main([*CONFIGS, "-m", *words, "hydra/launcher=serial", *decoration, f"hydra.sweep.dir={folder}"])
    assert found == status
    return folder


def own(folder: Path, name: str) -> dict[str, pd.DataFrame]:
    """A table of each run as the run has it."""
    return {path.parent.name: pd.read_csv(path) for path in folder.glob(f"*/{name}")}


def together(folder: Path) -> list[int]:
    """How many runs were done together at a time."""
    return [size for log in sorted((folder / ".sweep" / "logs").glob("*.jsonl")) for size in read_log(log).together]


def test_a_sweep_gathers_the_tables_of_its_study_and_puts_its_numbers_beside_the_keys(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path / "sweep", "study=walk", "terrain=hills", "terrain.height=1,2", "length=4,8", "seed=0,1")
    assert capsys.readouterr().out.startswith("8 runs: 8 finished, none failed\nwritten to ")
    table = runs(folder)
    assert list(table.columns) == ["run", "override.study", "terrain", "terrain.height", "length", "seed",
                                   "plots", "report", "status", "reason", *OF_WALK, *COMMON]
    assert table["status"].tolist() == ["finished"] * 8
    assert set(table["study"]) == {"walk"}
    for row in table.to_dict("records"):
        done = json.loads((folder / row["run"] / "done.json").read_text())
        assert {name: row[name] for name in (*OF_WALK, *COMMON)} == {name: done[name] for name in (*OF_WALK, *COMMON)}
    assert {path.name for path in folder.glob("*.csv")} == {"runs.csv", "path.csv", "walk_runs.csv", "claims.csv"}
    leading = ["run", "terrain.height", "length", "seed"]
    for name, columns in (("path.csv", [*leading, "phase", "step", "place"]),
                          ("walk_runs.csv", ["run", "terrain.height", "override.length", "seed", "phase", "length"])):
        stacked = pd.read_csv(folder / name)
        assert list(stacked.columns) == columns
        of_runs = own(folder, name.removeprefix("walk_"))
        assert len(stacked) == sum(map(len, of_runs.values()))
        for run, rows in stacked.groupby("run"):
            expected = of_runs[str(run)]
            assert rows[expected.columns].reset_index(drop=True).equals(expected)
            assert rows[[*columns[1:4]]].drop_duplicates().shape[0] == 1
    assert len(pd.read_csv(folder / "claims.csv")) == 16


def words_of(page: str) -> str:
    """What a page shows, without its pictures and styles."""
    return re.sub(r"data:[^\"']*|<[^>]*>", " ", page.split("<body")[1])


def test_its_figures_are_its_numbers_over_the_keys_and_none_is_empty(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", "study=walk", "terrain=hills", "terrain.height=1,2,4", "length=4,8",
                   "seed=0,1", shown=True)
    assert {path.name for path in (folder / "plots").iterdir()} == {
        "numbers_height.png", "numbers_length.png", "map_height_length.png"}
    (saved,) = read_sweeps(folder)
    assert (saved.study.name, saved.keys, saved.varied) == (
        "walk", ("terrain.height", "length"), ["terrain.height", "length"])
    assert saved.name_of("terrain.height") == "height of the hills"
    assert set(saved.tables) == {"path", "runs"}
    page = (folder / "report.html").read_text("utf-8")
    for words in ("12 of 12 runs have come to their end", "distance from home", "ends at home", "walk_runs.csv"):
        assert words in page
    for foreign in ("AGF", "staircase", "acquisition", "drop"):
        assert foreign not in words_of(page)


def test_over_seeds_alone_there_is_nothing_to_draw(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", "study=rest", "seed=0,1,2", shown=True)
    assert not (folder / "plots").exists()
    assert list(runs(folder).columns) == ["run", "override.study", "seed", "plot_formats", "status", "reason",
                                          *OF_REST, *COMMON]
    assert runs(folder)["hours"].tolist() == [16.0, 17.0, 18.0]
    assert {path.name for path in folder.glob("*.csv")} == {"runs.csv", "dreams.csv", "claims.csv"}
    assert len(pd.read_csv(folder / "claims.csv")) == 0


def test_long_tables_are_thinned_phase_by_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[gather.__module__]
    monkeypatch.setattr(module, "MOST_ROWS", 60)
    monkeypatch.setattr(module, "FEWEST_ROWS", 10)
    folder = sweep(tmp_path / "sweep", "study=walk", "length=200,8", "seed=0")
    stacked = pd.read_csv(folder / "path.csv")
    long, short = (stacked[stacked["length"] == length] for length in (200, 8))
    assert len(short) == 8
    assert len(long) == 30
    for phase, first, last in (("out", 0, 99), ("back", 100, 199)):
        steps = long.loc[long["phase"] == phase, "step"].tolist()
        assert (len(steps), steps[0], steps[-1]) == (15, first, last)
        assert steps == sorted(steps)
    assert len(pd.read_csv(folder / "walk_runs.csv")) == 4  # not a table to be thinned
    assert all(len(table) == table["step"].max() + 1 for table in own(folder, "path.csv").values())


def test_a_sweep_over_two_studies_keeps_them_apart(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", "study=walk,rest", "seed=0,1,2", shown=True)
    table = runs(folder)
    assert table["study"].tolist() == table["override.study"].tolist() == ["walk"] * 3 + ["rest"] * 3
    walked = table["study"] == "walk"
    assert table.loc[walked, ["turns", "home"]].notna().all().all()
    assert table.loc[~walked, ["turns", "home"]].isna().all().all()
    assert table["hours"].isna().tolist() == walked.tolist()
    assert table["distance"].notna().all()  # both have one of that name
    sizes = {name: set(pd.read_csv(folder / name)["run"]) for name in ("path.csv", "walk_runs.csv", "dreams.csv")}
    assert sizes == {"path.csv": set(table.loc[walked, "run"]), "walk_runs.csv": set(table.loc[walked, "run"]),
                     "dreams.csv": set(table.loc[~walked, "run"])}
    walk, rest = read_sweeps(folder)
    assert (walk.study.name, len(walk.runs), set(walk.tables)) == ("walk", 3, {"path", "runs"})
    assert (rest.study.name, len(rest.runs), set(rest.tables)) == ("rest", 3, {"dreams"})
    page = (folder / "report.html").read_text("utf-8")
    assert "6 of 6 runs have come to their end" in page
    assert "hours of sleep" in page
    assert "turns" in page


def test_runs_that_fail_are_rows_that_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path / "sweep", "study=walk", "study.deed='',fail,stumble,rain", "length=4,0", status=1)
    table = runs(folder).fillna({"study.deed": ""}).set_index(["study.deed", "length"])
    assert set(table.xs(0, level="length")["status"]) == {"failed"}
    assert table.xs(0, level="length")["reason"].str.startswith("length=0 is not allowed").all()
    assert {deed: table.loc[(deed, 4), "status"] for deed in ("", "fail", "stumble", "rain")} == {
        "": "finished", "fail": "failed", "stumble": "failed", "rain": "wet"}
    assert table.loc[("fail", 4), "reason"] == "a river is in the way"
    assert table.loc[("stumble", 4), "reason"] == "ZeroDivisionError: nothing to divide by"
    assert table.loc[("rain", 4), "distance"] > 0  # it has left a result
    # No good end: figures and page leave it out, the tables have it.
    (saved,) = read_sweeps(folder)
    assert len(saved.runs) == 1
    assert len(set(pd.read_csv(folder / "path.csv")["run"])) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("words", "groups"), [
    (["seed=0,1,2", "length=4,5"], [6]),  # both are keys that only change numbers
    (["seed=0,1", "pace.stride=1,2"], [2, 2]), (["pace.stride=1,2", "sweep.batch_size=2"], []),
    (["seed=0,1", "sweep.together=false"], []), (["seed=0,1,2", "sweep.batch_size=2"], [2]),
])
def test_runs_that_differ_in_the_studys_own_keys_are_done_together(words: list[str], groups: list[int],
                                                                   tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", "study=walk", "study.together=all", *words)
    assert together(folder) == groups
    manifests = [read_run(path.parent)[1].manifest for path in sorted(folder.glob("*/done.json"))]
    assert sorted(manifest["walked_together"] for manifest in manifests if "walked_together" in manifest) == sorted(
        size for size in groups for _ in range(size))
    assert (runs(folder)["status"] == "finished").all()


def test_runs_done_together_leave_what_separate_ones_leave(tmp_path: Path) -> None:
    words = ["study=walk", "seed=0,1", "length=4,5"]
    one = sweep(tmp_path / "one", *words, "study.together=all")
    other = sweep(tmp_path / "other", *words, "sweep.together=false", "study.together=all")
    folders = sorted(path.parent.name for path in one.glob("*/done.json"))
    assert len(folders) == 4
    for name in folders:
        assert sorted(path.name for path in (one / name).iterdir()) == sorted(
            path.name for path in (other / name).iterdir())
        for file in ("path.csv", "runs.csv", "diary.csv", "claims.csv", "config.yaml", "parameters.safetensors"):
            assert (one / name / file).read_bytes() == (other / name / file).read_bytes()


@pytest.mark.parametrize(("way", "walked", "failed"), [("no", 0, 0), ("raise", 1, 0), ("some", 2, 1)])
def test_what_is_not_done_together_is_tried_one_by_one(way: str, walked: int, failed: int, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    """Where the hook raises, what it had finished stays; a failure that it tells is its run's own."""
    folder = sweep(tmp_path / "sweep", "study=walk", f"study.together={way}", "seed=0,1,2", f"study.log={tmp_path}/log",
                   "length=3", status=int(failed > 0))
    table = runs(folder)
    assert (table["status"] == "failed").sum() == failed
    assert set(table.loc[table["status"] == "failed", "reason"]) == ({"it got lost"} if failed else set())
    manifests = [json.loads(path.read_text()) for path in folder.glob("*/manifest.json")]
    assert len([manifest for manifest in manifests if "walked_together" in manifest]) == walked
    # No step of what was finished is done a second time.
    assert together(folder) == ([3] if walked else [])
    assert len((tmp_path / "log").read_text().split()) == 3 * (3 - failed)
    assert "Traceback" not in capsys.readouterr().err
    assert not list(folder.glob("*/.lock"))


def done_together(study: Any, hook: Callable[..., bool], parts: Any, ended: Any) -> bool:
    return hook(dataclasses.replace(study, together="all"), parts, ended)


def test_a_sweep_over_studies_does_together_what_each_of_them_can(tmp_path: Path, walks: Any,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are made by the keys of the study that is named for all; each study knows its own."""
    monkeypatch.setattr(walks.Walk, "run_together", functools.partialmethod(done_together, walks.Walk.run_together))
    folder = sweep(tmp_path / "sweep", "study=walk,rest", "seed=0,1")
    assert (runs(folder)["status"] == "finished").all()
    assert together(folder) == [2]
    monkeypatch.setattr(walks.Walk, "together_keys", ("length",))
    assert together(sweep(tmp_path / "other", "study=walk,rest", "seed=0,1")) == []


def test_the_short_form_for_seeds_is_a_sweep_of_any_study(tmp_path: Path) -> None:
    assert main([*CONFIGS, "study=walk", "ensemble.seeds=3", "seed=5", "study.together=all", "hydra/launcher=serial",
                 "plots=false", "report=false", f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 0
    table = runs(tmp_path / "sweep")
    assert table["seed"].tolist() == [5, 6, 7]
    assert together(tmp_path / "sweep") == [3]


def test_a_sweep_whose_study_is_not_known_here_is_left_as_it_is(tmp_path: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path / "sweep", "study=walk", "length=3,4")
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    capsys.readouterr()
    with unknown("walk"):
        assert main(["collect", str(folder)]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "is a run of the study walk, which is not known here; name its module with --import" in errors
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before


def test_other_processes_find_a_study_from_outside(tmp_path: Path) -> None:
    done = start([*WALKS, "-m", "study=walk", "length=3,4", "seed=0,1", "study.together=all", "plot_formats=[png]",
                  "hydra.launcher.workers=2", "hydra.sweep.dir=sweep"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 runs: 4 finished, none failed\n")
    assert runs(tmp_path / "sweep")["distance"].notna().all()
    assert {path.name for path in (tmp_path / "sweep" / "plots").iterdir()} == {"numbers_length.png"}
