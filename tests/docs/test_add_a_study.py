"""docs/add_a_study.md: its example does all that the page says."""

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
import pytest
from pages import REPOSITORY, shell_lines

EXAMPLES = REPOSITORY / "docs" / "examples"
TEXT = (REPOSITORY / "docs" / "add_a_study.md").read_text(encoding="utf-8")
SOURCE = (EXAMPLES / "learning_curve.py").read_text(encoding="utf-8")
HELP, RUN, SWEEP = [shlex.split(line)[1:] for line in shell_lines(REPOSITORY / "docs" / "add_a_study.md")
                    if "study=learning_curve" in line]
IMPORT = ["--import", str(EXAMPLES / "learning_curve.py")]
SMALL = ["spectrum.dimension=60", "plot_formats=[png]"]


def agfrun(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, check=False, timeout=600,
                          env=os.environ | {"PYTHONPATH": str(REPOSITORY)})


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agfrun", *arguments]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the example."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = agfrun(*RUN, *SMALL, f"hydra.run.dir={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "claims: 2 hold, none fails" in done.stdout
    return folder


def test_the_page_shows_the_file_as_it_is() -> None:
    blocks = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "SeedSpread" not in block]
    shown = [line for block in blocks for line in block.splitlines() if line.strip() not in ("", "...")]
    assert len(shown) > 60
    assert [line for line in shown if line not in SOURCE.splitlines()] == []
    for name in ("study/learning_curve", "spectrum/power_law"):
        assert (EXAMPLES / "configs" / f"{name}.yaml").read_text(encoding="utf-8") in TEXT


def test_help_shows_its_keys_and_no_others() -> None:
    done = agfrun(*HELP)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, others = done.stdout.partition("of every run:")
    assert re.findall(r"^  (\w+\.\w+):", head, re.MULTILINE) == [
        "study.fit_from", "train.steps", "train.learning_rate", "train.batch_size",
        "spectrum.dimension", "spectrum.decay", "spectrum.target_decay"]
    assert "step from which the exponent is fitted" in head
    assert "(choices: flat, power_law)" in head
    assert "agf" not in others.replace("agfrun", "")
    assert "spectrum.decay" not in agfrun(*HELP, "spectrum=flat").stdout


def test_a_run_leaves_what_the_page_says(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        "config.yaml", "curve.csv", "claims.csv", "plots", "report.html", "parameters.safetensors", "manifest.json",
        "done.json"}
    assert [path.name for path in (finished / "plots").iterdir()] == ["learning_curve.png"]
    done = json.loads((finished / "done.json").read_text())
    assert done["exponent"] == pytest.approx(1, rel=0.05)
    assert done["predicted_exponent"] == 1
    assert (done["study"], done["status"], done["claims"], done["claims_undecided"]) == (
        "learning_curve", "finished", 2, 0)
    config = (finished / "config.yaml").read_text()
    assert "agf" not in config
    assert "model" not in config
    page = (finished / "report.html").read_text()
    for words in ("2 of 2 claims hold", "curve.csv: the loss on its way", "rounding, in parts of the initial loss"):
        assert words in page


def test_folders_are_called_after_the_study(tmp_path: Path) -> None:
    absolute = [str(REPOSITORY / word) if word.startswith("docs/") else word for word in RUN]
    done = agfrun(*absolute, *SMALL, "train.steps=20", "plots=false", "report=false", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 holds, 1 undecided" in done.stdout
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["learning_curve"]


@pytest.mark.parametrize(("override", "told"), [
    ("model.width=3", next(line for line in TEXT.splitlines() if line.startswith("agfrun: error: model.width"))),
    ("agf.threshold=2", "study=learning_curve has no agf;"),
    ("spectrum.decay=-1", "spectrum.decay=-1 is not allowed: must be above 0 and at most 10"),
    ("spectrum=flat spectrum.decay=2", "spectrum.decay=2 is not allowed: it belongs to spectrum=power_law"),
    ("spectrum.name=flat", "it comes with the group; write spectrum=NAME"),
    ("spectrum.dimensions=9", "did you mean spectrum.dimension?"),
    ("train.steps=0", "train.steps=0 is not allowed: must be an integer of at least 1"),
])
def test_what_is_wrong_is_refused_in_one_line(override: str, told: str, tmp_path: Path) -> None:
    refused = agfrun(*RUN, *override.split(), f"hydra.run.dir={tmp_path / 'run'}")
    assert refused.returncode == 2
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_sweep_gathers_its_tables_and_draws_its_figures(tmp_path: Path) -> None:
    done = agfrun(*SWEEP, *SMALL, "seed=0,1", f"hydra.sweep.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"exponents.png", "numbers_decay.png"}
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert len(runs) == 6
    assert (runs["exponent"] / runs["predicted_exponent"]).between(0.95, 1.05).all()
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert list(curve.columns) == ["run", "spectrum.decay", "seed", "step", "loss", "closed_form"]
    assert curve["run"].nunique() == 6
    page = (tmp_path / "report.html").read_text()
    for words in ("6 of 6 runs have come to their end", "measured exponent of the loss", "Figure exponents"):
        assert words in page
    assert "order" not in re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_figures_and_pages_are_made_anew(finished: Path) -> None:
    drawn = finished / "plots" / "learning_curve.png"
    before = drawn.read_bytes()
    drawn.unlink()
    assert agfrun(*IMPORT, "plot", str(finished), "--formats", "png").returncode == 0
    assert drawn.read_bytes() == before
    (finished / "report.html").unlink()
    assert agfrun(*IMPORT, "report", str(finished)).returncode == 0
    assert (finished / "report.html").exists()
    unknown = agfrun("plot", str(finished))
    assert unknown.returncode == 2
    assert "a run of the study learning_curve, which is not known here; name its module with --import" in unknown.stderr


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    long = ["spectrum.dimension=10", "train.steps=30000", "plots=false", "report=false", "checkpoint.seconds=0"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert agfrun(*RUN, *long, f"hydra.run.dir={whole}").returncode == 0
    with subprocess.Popen(command(*RUN, *long, f"hydra.run.dir={cut}"), cwd=REPOSITORY, stderr=subprocess.PIPE,
                          env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, text=True) as process:
        deadline = time.monotonic() + 600
        while not list(cut.glob("checkpoints/00000[2-9]*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.terminate()
        told = process.communicate(timeout=600)[1]
    assert "interrupted" in (cut / "done.json").read_text()
    assert process.returncode == 143
    assert f"go on with agfrun --import docs/examples/learning_curve.py resume {cut}" in told
    refused = agfrun("resume", str(cut))
    assert "name its module with --import" in refused.stderr
    resumed = agfrun(*IMPORT, "resume", str(cut))
    assert (resumed.returncode, resumed.stderr) == (0, "")
    for name in ("curve.csv", "claims.csv", "parameters.safetensors", "config.yaml"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (cut / "checkpoints").exists()


def test_a_training_that_diverges_leaves_its_curve(tmp_path: Path) -> None:
    done = agfrun(*RUN, *SMALL, "train.learning_rate=3", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith("agfrun: error: training diverged: the loss is not finite at step ")
    assert done.stderr.count("\n") == 1
    assert len(pd.read_csv(tmp_path / "curve.csv")) > 10
    assert json.loads((tmp_path / "done.json").read_text())["status"] == "diverged"
