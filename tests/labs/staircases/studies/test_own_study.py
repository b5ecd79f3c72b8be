"""docs/add_a_study.md: its example is run as the page says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[4]
PAGE = (REPOSITORY / "docs" / "add_a_study.md").read_text(encoding="utf-8")
TINY = ["model=diagonal_linear", "init=gaussian", "init.scale=1e-6", "plot_formats=[png]"]


def agfrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agfrun", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, timeout=600)


def command_of_the_page() -> list[str]:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("agfrun ") and "study=seed_spread" in line]
    return shlex.split(line)[1:]


def test_the_example_runs_and_is_redrawn(tmp_path: Path) -> None:
    done = agfrun(*command_of_the_page(), *TINY, f"hydra.run.dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "orders found: 1" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.yaml", "times.csv", "claims.csv", "plots", "manifest.json", "report.html", "done.json"}
    times = pd.read_csv(tmp_path / "times.csv")
    assert times["seed"].unique().tolist() == [0, 1]
    assert (times["time_predicted"] / times["time_training"]).between(0.5, 2).all()
    assert pd.read_csv(tmp_path / "claims.csv")["holds"].all()
    assert json.loads((tmp_path / "done.json").read_text())["orders"] == 1
    drawn = tmp_path / "plots" / "seed_spread.png"
    drawn.unlink()
    again = agfrun("--import", "docs/examples/seed_spread.py", "plot", str(tmp_path), "--formats", "png")
    assert (again.returncode, again.stderr) == (0, "")
    assert drawn.exists()


def test_its_keys_are_checked_and_shown() -> None:
    refused = agfrun(*command_of_the_page(), "study.seeds=1")
    assert refused.returncode == 2
    assert refused.stderr == "agfrun: error: study.seeds=1 is not allowed: must be an integer of at least 2\n"
    shown = agfrun(*command_of_the_page(), "--help").stdout
    assert "study.seeds: 3" in shown
    assert "model.width: 18" in shown
    known = "diagonal_linear, fully_connected_linear, group_composition, leaky_relu, linear_attention,"
    assert known in " ".join(shown.split())


def test_an_interrupted_series_does_no_seed_twice(tmp_path: Path) -> None:
    """It is killed after the first seed; after it is resumed the first one's rows are those that were remembered."""
    arguments = [*command_of_the_page(), *TINY, "study.seeds=4", "plots=false", "report=false",
                 f"hydra.run.dir={tmp_path / 'cut'}"]
    with subprocess.Popen([sys.executable, "-m", "agfrun", *arguments], cwd=REPOSITORY,
                          env=os.environ | {"PYTHONPATH": str(REPOSITORY)}) as process:
        log = tmp_path / "cut" / "checkpoints" / "steps.jsonl"
        deadline = time.monotonic() + 600
        while (not log.exists() or "seed 0" not in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    remembered = log.read_text()
    log.write_text(re.sub(r'"time_predicted": [\d.e+-]+', '"time_predicted": 1.5', remembered))
    assert agfrun("--import", "docs/examples/seed_spread.py", "resume", str(tmp_path / "cut")).returncode == 0
    times = pd.read_csv(tmp_path / "cut" / "times.csv")
    assert (times.query("seed == 0")["time_predicted"] == 1.5).all()
    assert (times.query("seed > 0")["time_predicted"] != 1.5).all()


def test_the_page_shows_the_file_as_it_is() -> None:
    (shown,) = [block.split("```")[0] for block in PAGE.split("```python\n")[1:] if "class SeedSpread" in block]
    source = (REPOSITORY / "docs" / "examples" / "seed_spread.py").read_text(encoding="utf-8").splitlines()
    lines = [line for line in shown.splitlines() if line.strip() not in ("", "...")]
    assert len(lines) > 10
    assert [line for line in lines if line not in source] == []
    configuration = (REPOSITORY / "docs/examples/configs/study/seed_spread.yaml").read_text(encoding="utf-8")
    assert configuration in PAGE
