from __future__ import annotations

import json
from pathlib import Path

import pytest

from agfrun import config_hash, load_config, run
from agfrun.cli.main import main

SMALL = ["model=diagonal_linear", "plots=false"]


def test_a_run_writes_its_page_before_its_done_marker(tmp_path: Path) -> None:
    run(load_config(SMALL), output_dir=tmp_path / "run", progress=False)
    page, done = tmp_path / "run" / "report.html", tmp_path / "run" / "done.json"
    assert page.stat().st_mtime_ns <= done.stat().st_mtime_ns
    worst = json.loads(done.read_text())["worst_time_error"]
    assert f"times within {100 * worst:.2g}%" in page.read_text("utf-8")


def test_a_run_without_a_report(tmp_path: Path) -> None:
    run(load_config([*SMALL, "report=false"]), output_dir=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "done.json").is_file()
    assert not (tmp_path / "run" / "report.html").exists()


def test_the_report_does_not_change_the_hash() -> None:
    assert config_hash(load_config(SMALL)) == config_hash(load_config([*SMALL, "report=false"]))


def test_a_page_that_cannot_be_made_does_not_lose_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run_dir: Path) -> Path:
        raise RuntimeError("no page\ntoday")

    monkeypatch.setattr("agfrun.report.html.report.write_report", fail)
    run(load_config(SMALL), output_dir=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "done.json").is_file()
    assert capsys.readouterr().err == f"agfrun: warning: no report was written for {tmp_path / 'run'}: no page today\n"


def test_an_ensemble_writes_its_page(tmp_path: Path) -> None:
    assert main(["experiment=diagonal_5d", "init=gaussian", "plots=false", "ensemble.seeds=2",
                 "ensemble.scales=[1e-3,1e-4]", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    text = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "of 4 members learn all features in predicted order" in text


def test_a_sweep_writes_its_page_though_a_job_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--multirun", *SMALL, "init.scale=1e-2,2", f"hydra.sweep.dir={tmp_path / 'sweep'}"]) != 0
    text = (tmp_path / "sweep" / "report.html").read_text("utf-8")
    assert "1 of 2 runs failed or have not come to their end" in text
    assert "failed: init.scale=2 is not allowed" in text


def test_a_sweep_without_reports_has_none(tmp_path: Path) -> None:
    assert main(["--multirun", *SMALL, "report=false", "init.scale=1e-2,1e-3",
                 f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 0
    assert not list(tmp_path.rglob("report.html"))
