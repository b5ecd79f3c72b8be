"""Folders of the version before: what it wrote is read, drawn, reported, gathered, done again and gone on with."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from agfrun import (
    OutputError,
    config_hash,
    gather,
    load_config,
    read_run,
    redraw,
    rerun,
    resume_run,
    run,
    write_comparison,
    write_report,
)
from agfrun.cli.main import main
from agfrun.files.sweep_folder import SweepFolder, finished_hash
from agfrun.files.tables import of_now
from agfrun.files.writing import write_csv
from agfrun.labs.staircases.report.saved import saved_run
from agfrun.labs.staircases.run.tables import COMPARISON
from agfrun.runner.rerun import Rerun
from agfrun.runner.resumption import read_run_config
from agfrun.study.settings import hash_of_values

OLD = Path(__file__).with_name("old_folders")
JOBS = [f"agf.max_events=1,init.scale=0.1,init=gaussian,model=diagonal_linear,seed={end}" for end in (
    "0,train.learning_rate=0.03,train.max_s_6d4f0587", "1,train.learning_rate=0.03,train.max_s_be3b2457")]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Copies, to write into."""
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def verdict_of(page: Path) -> str:
    found = re.search('<h1 id="verdict"[^>]*>(.*?)</h1>', page.read_text("utf-8"))
    assert found is not None
    return unescape(found[1])


def names_of(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def assert_same_but_for_claims(again: Rerun) -> None:
    """To rounding, on whatever machine.

    Claims say more than they did, and what is undecided is a row now. Events have further columns, and drops of the
    loss are among them; the comparison has other columns, and the ladder is new; own-size steps have a loss, too.
    """
    changed = {"claims.csv", "comparison.csv", "ladder.csv", "events.csv", "loss.csv"}
    assert all(difference.size < 1e-4 for difference in again.differences if difference.table not in changed)


# ---- A run


def test_a_run_is_read() -> None:
    study, saved = read_run(OLD / "run")
    assert study.name == "compare"
    assert not {"ensemble", "format"} & saved.config.keys()
    assert {"loss", "features", "neurons", "events", "endings", "comparison", "claims"} == saved.tables.keys()
    assert saved.tables["loss"]["source"].value_counts().to_dict() == {"agf": 125, "training": 99, "theory": 8}
    claims = saved.tables["claims"]
    assert claims["holds"].all()
    assert claims[["stated", "standing", "why", "sharper"]].isna().all(axis=None)
    assert {"neurons/initial", "neurons/final", "plateau_times"} <= saved.arrays.keys()


def test_a_run_is_drawn_and_reported(old: Path) -> None:
    assert names_of(redraw(old / "run", ["png"])) == ["staircase.png", "features.png", "neurons.png", "lasso.png"]
    page = write_report(old / "run")
    assert re.fullmatch(r"3 of 3 drops in predicted order; times within .*%; levels within .*%\.", verdict_of(page))
    assert "undecided" not in page.read_text("utf-8")


def test_the_comparison_is_called_as_it_is_now() -> None:
    """The error of the level is made anew from the events: it is of the drop."""
    run = saved_run(read_run(OLD / "run")[1])
    old = pd.read_csv(OLD / "run" / "comparison.csv")
    rows, events = run.comparison, run.events[run.events["kind"] == "acquisition"]
    assert set(rows["source"]) == {"agf"}
    assert rows["time_predicted"].tolist() == old["time_agf"].tolist()
    assert not len(run.ladder)
    predicted, measured = (events[events["source"] == source] for source in ("agf", "training"))
    drops = np.maximum((predicted["loss_before"] - predicted["loss_after"]).to_numpy(),
                       (measured["loss_before"] - measured["loss_after"]).to_numpy())
    expected = np.abs(predicted["loss_after"].to_numpy() - measured["loss_after"].to_numpy()) / drops
    found = rows["level_error"][rows["kind"] == "acquisition"].to_numpy()
    np.testing.assert_allclose(found[np.isfinite(found)], expected[np.isfinite(found)], rtol=1e-12)
    assert np.isfinite(found).sum() >= 2


@pytest.fixture
def timed(old: Path) -> Path:
    """A run of what is called the decoupled flow now."""
    folder = old / "run"
    for name, said in (("config.yaml", "cost_phase: {}"), ("manifest.json", '"cost_phase": "{}"')):
        text = (folder / name).read_text()
        assert said.format("instantaneous") in text
        (folder / name).write_text(text.replace(said.format("instantaneous"), said.format("timed")))
    return folder


def test_a_run_of_what_was_called_timed_is_one_of_the_decoupled_flow(timed: Path) -> None:
    run = saved_run(read_run(timed)[1])
    assert run.main == "decoupled"
    for table in (run.loss, run.features, run.neurons, run.events, run.comparison):
        assert "agf" not in set(table["source"])
        assert "decoupled" in set(table["source"])
    assert names_of(redraw(timed, ["png"])) == ["staircase.png", "features.png", "neurons.png", "lasso.png"]
    page = write_report(timed)
    assert re.fullmatch(r"3 of 3 drops in predicted order; times within .*%; levels within .*%\.", verdict_of(page))
    assert "decoupled flow" in page.read_text("utf-8")


def test_a_run_of_what_was_called_timed_is_done_again(timed: Path, tmp_path: Path) -> None:
    config = read_run_config(timed)
    assert (config.agf.cost_phase, config.agf.beside) == ("decoupled", [])
    rerun(timed, tmp_path / "again", progress=False)
    assert read_run_config(tmp_path / "again") == dataclasses.replace(config, plots=False, report=False)


def test_a_run_done_again_gives_the_same_numbers(old: Path) -> None:
    again = rerun(old / "run", progress=False)
    assert len(again.tables) == 8
    assert "claims.csv" in {difference.table for difference in again.differences}
    assert_same_but_for_claims(again)
    before = read_run(old / "run")[1].tables["events"].dropna(axis="columns", how="all").drop(columns="event")
    outcome = run(read_run_config(old / "run"), progress=False)
    now = outcome.tables()["events"]
    assert (now["kind"] == "drop").any()
    pd.testing.assert_frame_equal(now[(now["kind"] != "drop") & (now["source"] != "own_size")][before.columns]
                                  .reset_index(drop=True), before, rtol=1e-4)
    loss = outcome.tables()["loss"]
    pd.testing.assert_frame_equal(loss[loss["source"] != "own_size"].reset_index(drop=True),
                                  read_run(old / "run")[1].tables["loss"], rtol=1e-4)


def test_a_run_beside_one_of_now(old: Path, tmp_path: Path) -> None:
    config = load_config(["model=diagonal_linear", "train.max_rows=100", "train.tolerance=1e-2", "init.scale=1e-5",
                          "plots=false", "report=false"])
    run(config, output_dir=tmp_path / "now", progress=False)
    page = write_comparison([old / "run", tmp_path / "now"]).read_text("utf-8")
    header = re.findall('<th scope="col"[^>]*>(.*?)</th>', page)
    # New keys, and none that there is no more.
    assert header[:5] == ["run", "init.scale", "init.stream", "agf.beside", "status"]
    assert "2 of 2 runs show what their study expects" in page


def test_a_killed_run_is_gone_on_with(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its checkpoint is of other keys: it starts anew, and says so; what comes is what would have come."""
    killed = old / "killed"
    config = read_run_config(killed)
    result = resume_run(killed, progress=False)
    assert result is not None
    assert result.status == "horizon"
    assert len(capsys.readouterr().err.splitlines()) == 1
    for name, table in run(config, progress=False).tables().items():
        write_csv(tmp_path / "expected.csv", table)
        assert (killed / f"{name}.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert (killed / "config.yaml").read_text().startswith("format: 4\n")
    assert not (killed / "checkpoints").exists()
    assert resume_run(killed) is None


def test_a_finished_run_is_not_done_again(old: Path) -> None:
    before = (old / "run" / "done.json").read_bytes()
    assert resume_run(old / "run") is None
    assert (old / "run" / "done.json").read_bytes() == before


@pytest.fixture
def second_format(tmp_path: Path) -> Path:
    """A run as the second format had it: drawn from one stream, and nothing said of streams."""
    folder = tmp_path / "second"
    run(load_config(["model=diagonal_linear", "init=gaussian", "init.stream=network", "train.max_rows=100",
                     "train.tolerance=1e-2", "plots=false", "report=false"]), output_dir=folder, progress=False)
    config = (folder / "config.yaml").read_text().replace("format: 4", "format: 2").replace("  stream: network\n", "")
    (folder / "config.yaml").write_text(config)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["config"]["init"]["stream"]
    manifest |= {"format": 2, "config_hash": hash_of_values(manifest["config"])}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_run_of_the_second_format_starts_from_its_own_neurons(second_format: Path) -> None:
    assert read_run_config(second_format).init.stream == "network"
    again = rerun(second_format, progress=False)
    assert len(again.tables) > 5
    assert not again.differences


def test_a_changed_manifest_of_the_second_format_is_refused(second_format: Path) -> None:
    manifest = json.loads((second_format / "manifest.json").read_text())
    manifest["config"]["seed"] = 5
    (second_format / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match="does not fit the configuration"):
        rerun(second_format, progress=False)


@pytest.fixture
def third_format(tmp_path: Path) -> Path:
    """A run as the third format had it, which said whether steps were compiled."""
    folder = tmp_path / "third"
    run(load_config(["model=diagonal_linear", "init=gaussian", "init.scale=0.1", "train=gradient_descent",
                     "train.max_steps=300", "plots=false", "report=false"]), output_dir=folder, progress=False)
    text = (folder / "config.yaml").read_text()
    assert "  batch_size: null\n" in text
    (folder / "config.yaml").write_text(
        text.replace("format: 4", "format: 3").replace("  batch_size: null\n", "  batch_size: null\n  compile: true\n"))
    manifest, done = (json.loads((folder / name).read_text()) for name in ("manifest.json", "done.json"))
    manifest["config"]["train"]["compile"] = True
    noted = {"config_hash": hash_of_values(manifest["config"])}
    (folder / "manifest.json").write_text(json.dumps(manifest | noted | {"format": 3}))
    (folder / "done.json").write_text(json.dumps(done | noted))
    return folder


def test_keys_that_there_are_no_more_are_left_out(third_format: Path) -> None:
    config = read_run_config(third_format)
    assert not hasattr(config.train, "compile")
    assert config.train.max_steps == 300
    assert finished_hash(third_format) == config_hash(config)  # not the one that it notes
    assert names_of(redraw(third_format, ["png"]))[0] == "staircase.png"
    assert not rerun(third_format, progress=False).differences
    assert resume_run(third_format) is None
    (third_format / "done.json").unlink()
    result = resume_run(third_format, progress=False)
    assert result is not None
    assert result.status == "horizon"
    assert "compile" not in (third_format / "config.yaml").read_text()


# ---- A study


def test_a_study_is_read_drawn_reported_and_done_again(old: Path) -> None:
    study, saved = read_run(old / "study")
    assert (study.name, study.widths) == ("width", [2, 3])  # type: ignore[attr-defined]
    assert set(saved.tables) == {"runs", "curves", "trends", "claims"}
    assert len(saved.tables["runs"]) == 4
    assert names_of(redraw(old / "study", ["png"])) == ["width.png"]
    page = write_report(old / "study")
    assert verdict_of(page) == "The study is finished; it checks no claim."
    assert "2 of 2 runs finished" in page.read_text("utf-8")
    assert_same_but_for_claims(rerun(old / "study", progress=False))


# ---- A sweep


def test_a_sweep_is_gathered_drawn_and_reported(old: Path) -> None:
    gathered = gather(old / "sweep", ["png"])
    assert gathered.runs["status"].tolist() == ["horizon", "horizon"]
    assert names_of(gathered.files) == ["runs.csv", "claims.csv", "loss.csv", "events.csv", "comparison.csv",
                                        "staircases.png", "report.html"]
    loss = pd.read_csv(old / "sweep" / "loss.csv")
    assert list(loss.columns) == ["run", "seed", "source", "time", "step", "loss"]
    assert loss["run"].unique().tolist() == JOBS
    assert verdict_of(old / "sweep" / "report.html") == (
        "Times are off by 23%: 2 of 2 runs learn all features in predicted order; worst error of a time: median 12%, "
        "largest 23%.")
    assert re.findall('class="chart" data-chart="([^"]*)"', (old / "sweep" / "report.html").read_text("utf-8")) == [
        "staircases", "times"]
    assert redraw(old / "sweep", ["png"]) == [old / "sweep" / "plots" / "staircases.png"]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_finished_run_of_a_sweep_is_told_from_others_by_its_configuration(seed: int) -> None:
    """Not by the hash that it notes, which is of keys that there are no more."""
    job = SweepFolder(OLD / "sweep").read_plan()[seed]
    assert finished_hash(OLD / "sweep" / JOBS[seed]) == config_hash(
        load_config([*job.overrides, "init.stream=network", "agf.beside=[]"]))


def test_a_sweep_is_continued_with_what_is_missing(old: Path) -> None:
    sweep = old / "sweep"
    shutil.rmtree(sweep / JOBS[1])
    before = {path.name: path.read_bytes() for path in (sweep / JOBS[0]).iterdir()}
    assert main(["-m", f"sweep.resume={sweep}"]) == 0
    assert {path.name: path.read_bytes() for path in (sweep / JOBS[0]).iterdir()} == before
    runs = pd.read_csv(sweep / "runs.csv")
    assert runs["run"].tolist() == JOBS
    assert runs["status"].tolist() == ["horizon", "horizon"]
    one, other = (pd.read_csv(folder / "sweep" / JOBS[1] / "comparison.csv") for folder in (OLD, old))
    other = other[(other["source"] == "agf") & (other["kind"] != "drop")]  # which are compared now, too
    one, other = (frame.drop(columns="event").reset_index(drop=True) for frame in (of_now(one, COMPARISON), other))
    shared = [name for name in one if name != "level_error"]  # it is relative to the drop now
    pd.testing.assert_frame_equal(one[shared], other[shared], check_dtype=False)


# ---- An ensemble


@pytest.mark.parametrize("ask", [
    read_run, redraw, write_report, rerun, resume_run, lambda folder: write_comparison([folder])],
    ids=["read", "plot", "report", "rerun", "resume", "compare"])
def test_an_ensemble_is_refused_by_name(ask: Callable[[Path], object], old: Path) -> None:
    before = {path.name: path.read_bytes() for path in (old / "ensemble").iterdir()}
    with pytest.raises(OutputError) as refused:
        ask(old / "ensemble")
    message = str(refused.value)
    assert "\n" not in message
    assert "is an ensemble of agfrun 0.1 (format 1), which this version does not read" in message
    assert "agfrun -m seed=..." in message
    assert {path.name: path.read_bytes() for path in (old / "ensemble").iterdir()} == before


def test_the_command_says_it_in_one_line(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(old / "ensemble")]) == 2
    assert re.fullmatch("agfrun: error: [^\n]* is an ensemble of agfrun 0.1 [^\n]*\n", capsys.readouterr().err)


@pytest.mark.parametrize(("number", "told"), [
    ("5", "the format 5 of a newer agfrun; this one, .*, reads formats up to 4: pip install --upgrade agfrun"),
    *((number, rf"the format {re.escape(number)}, which is none: formats are numbered from 1 to 4")
      for number in ("0", "-1", "2.5", "abc", "true", "null", "[1]")),
])
def test_a_folder_of_a_newer_version_or_of_none_is_told_so(number: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"format: {number}\nstudy: {{name: compare}}\n")
    with pytest.raises(OutputError, match=f"^{tmp_path} has {told}$"):
        read_run(tmp_path)
    (tmp_path / ".sweep").mkdir()
    (tmp_path / ".sweep" / "plan.json").write_text(json.dumps({"format": yaml.safe_load(number), "jobs": []}))
    with pytest.raises(OutputError, match=f"^the plan of {tmp_path} has {told}$"):
        SweepFolder(tmp_path).read_format()
