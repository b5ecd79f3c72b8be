"""One page of several folders, whatever their studies, and the command that writes pages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from page_parts import links_of, table_of, text_of, verdict_of
from pendulums import ClockConfig, swung

from agfrun import OutputError, write_comparison, write_report
from agfrun.cli.main import main

PLAIN = {"plots": False, "report": False}


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Runs that differ in length and damping; a claim of the second fails."""
    return [swung(tmp_path / "short", length=0.25, plots=False), swung(tmp_path / "long", damping=2.0, **PLAIN)]


def test_runs_side_by_side_with_what_differs_and_the_studys_numbers(two: list[Path], tmp_path: Path) -> None:
    page = write_comparison(two)
    assert page == tmp_path / "report.html"
    assert verdict_of(text_of(page)) == ("1 of 2 runs show what their study expects.", "bad")
    header, short, long = table_of(text_of(page), "2 runs")
    assert header == ["run", "length", "damping", "status", "period in seconds", "turns", "comes to rest",
                      "turns to the left", "energy lost", "claims that hold", "seconds"]
    assert short[:-1] == ["short", "0.25", "0", "finished", "1.003", "3", "no", "1 of 3", "0%", "2 of 3, 1 undecided"]
    assert long[:-1] == ["long", "1", "2", "finished", "2.006", "3", "yes", "1 of 3", "86%", "1 of 3, 1 undecided"]
    assert links_of(text_of(page)) == ["short/report.html", "long"]
    assert "AGF" not in text_of(page)


def test_keys_that_change_no_number_do_not_tell_runs_apart(tmp_path: Path) -> None:
    folders = [swung(tmp_path / "a", **PLAIN), swung(tmp_path / "b", plots=False, report=True, plot_formats=["pdf"])]
    header = table_of(text_of(write_comparison(folders)), "2 runs")[0]
    assert header[:2] == ["run", "status"]


def test_runs_of_different_studies_share_a_page(tmp_path: Path) -> None:
    folders = [swung(tmp_path / "pendulum", **PLAIN), swung(tmp_path / "clock", study=ClockConfig(), **PLAIN)]
    text = text_of(write_comparison(folders))
    assert verdict_of(text) == ("1 of 2 runs show what their study expects; 1 decides nothing.", "good")
    header, pendulum, clock = table_of(text, "2 runs")
    assert header[1:3] == ["study.name", "status"]
    assert [row[header.index("hands")] for row in (pendulum, clock)] == ["–", "2"]
    assert [row[header.index("turns")] for row in (pendulum, clock)] == ["3", "–"]
    assert '{"runs":{"name":["clock"]}}' in text  # a study's charts are of its own runs


def test_a_folder_of_runs_shows_those_that_cannot_be_read(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        swung(tmp_path / f"x={number}", seed=number, **PLAIN)
    (tmp_path / "x=2" / "swings.csv").write_text("damaged")
    (tmp_path / "x=3" / "done.json").unlink()
    (tmp_path / "x=3" / "manifest.json").unlink()
    text = text_of(write_report(tmp_path))
    assert verdict_of(text) == (
        "1 of 3 runs show what their study expects; 2 failed or did not come to the end.", "bad")
    statuses = [row[2] for row in table_of(text, "3 runs")[1:]]
    assert statuses[0] == "finished"
    assert statuses[1].startswith("failed: ")
    assert "has no column swing" in statuses[1]
    assert statuses[2] == "unfinished"


def test_several_folders_with_one_that_is_none_are_refused(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="foreign is not the folder of a run"):
        write_comparison([*two, tmp_path / "foreign"])


def test_the_command_writes_and_says_where(two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(two[1])]) == 0
    assert main(["report", *map(str, two), "--output", str(tmp_path / "both.html")]) == 0
    assert capsys.readouterr().out.splitlines() == [str(two[1] / "report.html"), str(tmp_path / "both.html")]


@pytest.mark.parametrize("damage", ["nothing there", "foreign", "damaged table", "damaged manifest", "unwritable",
                                    "unknown study"])
def test_one_line_and_status_two_for_what_cannot_be_read_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    finished = target = swung(tmp_path / "run", **PLAIN)
    extra: list[str] = []
    if damage == "nothing there":
        target = tmp_path / "nowhere"
    elif damage == "foreign":
        target = tmp_path / "foreign"
        target.mkdir()
    elif damage == "damaged table":
        (finished / "swings.csv").write_bytes(b"swing,side\n\xff\xfe")
    elif damage == "damaged manifest":
        (finished / "manifest.json").write_text("{")
    elif damage == "unknown study":
        (finished / "config.yaml").write_text("study: {name: stranger}")
    else:
        extra = ["--output", str(tmp_path / "nowhere" / "page.html")]
    assert main(["report", str(target), *extra]) == 2
    assert re.fullmatch("agfrun: error: [^\n]+\n", capsys.readouterr().err)
    assert not (finished / "report.html").exists()


def test_a_copied_folder_is_a_run_of_its_own(two: list[Path], tmp_path: Path) -> None:
    shutil.copytree(two[0], tmp_path / "copy")
    rows = table_of(text_of(write_comparison([two[0], tmp_path / "copy", two[0]])), "2 runs")
    assert [row[0] for row in rows[1:]] == ["short", "copy"]
