"""The walk-through shows the files of docs/examples, and these files run from the command line as it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "docs" / "examples"
TEXT = (REPOSITORY / "docs" / "add_an_architecture.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def agfrun(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder outside the repository."""
    environment = {key: value for key, value in os.environ.items() if key not in ("HYDRA_FULL_ERROR", "AGFRUN_DEBUG")}
    return subprocess.run([sys.executable, "-m", "agfrun", *arguments], cwd=folder, capture_output=True, text=True,
                          env=environment | {"PYTHONPATH": str(REPOSITORY)}, timeout=600, stdin=subprocess.DEVNULL)


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", "outputs"))
    return tmp_path / "examples"


def test_the_text_shows_the_files_as_they_are() -> None:
    shown = {}
    for block in [*blocks("python"), *blocks("yaml")]:
        name, content = block.split("\n", 1)
        shown[name.removeprefix("# ")] = content
    assert sorted(shown) == sorted(FILES)
    assert shown == {name: (EXAMPLES / name).read_text() for name in FILES}


def test_the_commands_are_those_that_are_tested() -> None:
    commands = [*blocks("bash"), *(line[2:] for block in blocks("console") for line in block.splitlines(True)
                                   if line.startswith("$ "))]
    assert [command.strip() for command in commands] == [" ".join(("agfrun", *FIRST)), " ".join(("agfrun", *SECOND))]


FILES = ("bilinear.py", "configs/model/bilinear.yaml", "interactions.py", "configs/data/interactions.yaml")
FIRST = ("--import", "bilinear.py", "--config-dir", "configs", "model=bilinear", "data.activation=monomial")
SECOND = ("--import", "bilinear.py", "--import", "interactions.py", "--config-dir", "configs", "model=bilinear",
          "data=interactions")


@pytest.mark.parametrize(("command", "smaller"), [
    pytest.param(FIRST, ("data.samples=60", "data.input_dimension=4", "init.scale=0.05", "agf.loss_tolerance=1e-2"),
                 marks=pytest.mark.slow),
    (SECOND, ("data.samples=100", "data.coefficients=[1.0,0.5]", "model.width=3")),
], ids=["network", "data set"])
def test_the_examples_run(command: tuple[str, ...], smaller: tuple[str, ...], examples: Path) -> None:
    done = agfrun(examples, *command, *smaller, "plots=false", "train.max_rows=200", "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    assert {"loss.csv", "comparison.csv", "claims.csv", "parameters.safetensors", "done.json"} <= {
        path.name for path in (examples / "here").iterdir()}
    rows = pd.read_csv(examples / "here" / "comparison.csv").query("kind == 'activation'")
    assert len(rows) >= 1
    assert rows["time_ratio"].iloc[0] == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_the_run_shown_is_what_comes_out(examples: Path) -> None:
    """Up to the last digits, which depend on the machine."""
    def rows(text: str) -> list[list[str]]:
        return [line.split() for line in text.splitlines() if line.startswith(("activation", "acquisition"))]

    shown, printed = rows("".join(blocks("console"))), rows(agfrun(examples, *SECOND, "plots=false").stdout)
    assert len(shown) == len(printed) == 6
    for ours, theirs in zip(shown, printed, strict=True):
        assert ours[:-5] == theirs[:-5]
        times, levels = slice(-5, -2), slice(-2, None)
        assert [float(word) for word in theirs[times]] == pytest.approx([float(word) for word in ours[times]], rel=2e-3)
        assert [float(word) for word in theirs[levels]] == pytest.approx(
            [float(word) for word in ours[levels]], rel=2e-3, abs=1e-5)


def test_a_wrong_degree_is_refused_with_the_line_shown(examples: Path) -> None:
    source = examples / "bilinear.py"
    source.write_text(source.read_text().replace("homogeneity_degree = 3", "homogeneity_degree = 2"))
    done = agfrun(examples, *FIRST)
    assert done.returncode == 2
    (shown,) = [block for block in blocks("text") if "error" in block]
    assert done.stderr == shown
    assert not (examples / "outputs").exists()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (REPOSITORY / "docs" / target).exists(), target
    for path in re.findall(r"`(agfrun/[\w/]+\.py)`", TEXT):
        assert (REPOSITORY / path).exists(), path
