"""The page of a sweep of any study, from what `gather` writes."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from page_parts import links_of, table_of, text_of, verdict_of
from pendulums import ClockConfig, PendulumConfig, make_sweep

from agfrun import OutputError, Verdict, gather, write_report

JOBS = [{"length": length, "seed": seed} for length in (0.25, 1.0) for seed in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs that ended, and one whose value is not allowed."""
    folder = make_sweep(tmp_path_factory.mktemp("sweeps") / "swings", *JOBS, {"length": 1.0, "damping": -1.0})
    gather(folder, ["png"])
    return folder


@pytest.fixture
def page(folder: Path) -> str:
    return text_of(folder / "report.html")


def test_the_page_speaks_the_studys_words(page: str) -> None:
    assert verdict_of(page) == (
        "4 of 5 runs have come to their end; 1 of 5 runs failed or have not come to their end.", "bad")
    assert "sweep over length, seed, damping · swings" in page
    assert "AGF" not in page
    assert "drop" not in page


def test_every_run_has_a_row_those_that_failed_first(page: str) -> None:
    header, failed, *rows = table_of(page, "5 runs")
    assert header == ["length", "seed", "damping", "status", "period in seconds", "turns", "comes to rest",
                      "turns to the left", "energy lost", "claims that hold", "seconds"]
    assert failed[:4] == ["1", "–", "-1", "failed: damping=-1.0 is not allowed: must be a number of at least 0"]
    assert [row[:2] for row in rows] == [["0.25", "0"], ["0.25", "1"], ["1", "0"], ["1", "1"]]
    assert rows[0][3:10] == ["finished", "1.003", "3", "no", "1 of 3", "0%", "2 of 3, 1 undecided"]


def test_figures_of_the_swept_key_are_on_it_and_tables_beside_it(page: str, folder: Path) -> None:
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["numbers length"]
    links = links_of(page)
    assert {"runs.csv", "swings.csv", "claims.csv", "plots/numbers_length.png"} <= set(links)
    assert "done.json" not in links
    assert all((folder / link).exists() for link in links if "%" not in link)
    assert '<a href="swings.csv">swings.csv</a> <span class="soft">where it turns</span>' in page


def test_the_studys_table_is_gathered_with_the_swept_keys(folder: Path) -> None:
    swings = pd.read_csv(folder / "swings.csv")
    assert list(swings.columns) == ["run", "length", "seed", "damping", "swing", "side", "time"]
    assert len(swings) == 12
    runs = pd.read_csv(folder / "runs.csv")
    assert list(runs.columns) == ["run", "length", "seed", "damping", "status", "reason", "period", "turns", "rests",
                                  "mass", "lost", "lefts", "claims_hold", "claims", "claims_undecided", "wall_seconds",
                                  "study", "config_hash"]
    assert runs["claims_undecided"].dropna().tolist() == [1] * 4


def test_undecided_claims_are_no_failing_ones(tmp_path: Path) -> None:
    calm = make_sweep(tmp_path / "calm", *JOBS)
    gather(calm, [])
    assert verdict_of(text_of(calm / "report.html")) == ("4 of 4 runs have come to their end.", "open")
    damped = make_sweep(tmp_path / "damped", *JOBS, {"damping": 2.0})
    gather(damped, [])
    assert verdict_of(text_of(damped / "report.html")) == (
        "5 of 5 runs have come to their end; claims fail in 1 of them.", "bad")
    assert table_of(text_of(damped / "report.html"), "5 runs")[5][-2] == "1 of 3, 1 undecided"


def test_the_studys_own_verdict_comes_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PendulumConfig, "sweep_verdict", lambda self, runs: Verdict(
        f"{len(runs)} pendulums swing", "good"))
    assert verdict_of(text_of(write_report(folder))) == (
        "4 pendulums swing; 1 of 5 runs failed or have not come to their end.", "bad")
    whole = make_sweep(tmp_path, *JOBS)
    gather(whole, [])
    assert verdict_of(text_of(whole / "report.html")) == ("4 pendulums swing.", "good")


def test_a_sweep_without_reports_has_none(tmp_path: Path) -> None:
    gather(make_sweep(tmp_path, *JOBS), [], report=False)
    assert not list(tmp_path.rglob("report.html"))
    assert not (tmp_path / "plots").exists()


def test_a_sweep_of_which_nothing_has_ended(tmp_path: Path) -> None:
    gather(make_sweep(tmp_path, {"damping": -1.0}, {"damping": -2.0}))
    assert verdict_of(text_of(tmp_path / "report.html")) == (
        "0 of 2 runs have come to their end; 2 of 2 runs failed or have not come to their end.", "bad")
    assert not (tmp_path / "plots").exists()


def test_a_sweep_over_seeds_alone_has_no_empty_figure(tmp_path: Path) -> None:
    gather(make_sweep(tmp_path, {"seed": 0}, {"seed": 1}), ["png"])
    assert not (tmp_path / "plots").exists()
    assert verdict_of(text_of(tmp_path / "report.html"))[0] == "2 of 2 runs have come to their end."


def test_a_sweep_over_studies_has_the_figures_tables_and_numbers_of_each(tmp_path: Path) -> None:
    gather(make_sweep(tmp_path, *({"study": study, "length": length} for study in (PendulumConfig(), ClockConfig())
                                  for length in (0.25, 1.0))), ["png"])
    page = text_of(tmp_path / "report.html")
    assert verdict_of(page) == ("4 of 4 runs have come to their end.", "open")
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "clock_numbers_length.png", "pendulum_numbers_length.png"]
    header, *rows = table_of(page, "4 runs")
    assert header[:3] == ["override.study", "length", "status"]
    assert [row[0] for row in rows] == ["pendulum", "pendulum", "clock", "clock"]
    assert [row[header.index("hands")] for row in rows] == ["–", "–", "2", "2"]
    assert '{"runs":{"name":["override.study=clock, length=0.25","override.study=clock, length=1"]}}' in page
    swings = pd.read_csv(tmp_path / "swings.csv")
    assert swings.groupby("override.study").size().to_dict() == {"pendulum": 6, "clock": 6}


def test_what_is_not_gathered_yet_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"runs\.csv"):
        write_report(make_sweep(tmp_path, *JOBS))
