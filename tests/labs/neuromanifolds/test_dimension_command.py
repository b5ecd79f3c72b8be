"""`agfrun study=dimension` as it is typed: no torch, sweeps with tables and figures, a killed run, an own network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
EXAMPLES = REPOSITORY / "docs" / "examples"
OWN = ["--import", str(EXAMPLES / "products.py"), "--config-dir", str(EXAMPLES / "configs")]
# Runs command lines, which `then` separates, in one process, and says what it has imported by the end.
WATCHED = """
import sys
from agfrun.cli.main import main
for command in " ".join(sys.argv[1:]).split(" then "):
    assert main(command.split()) == 0, command
print("torch" if "torch" in sys.modules else "no torch")
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
# Some seconds a prime.
LONG = ["study=dimension", "model.widths=[16,26,26,18,10]", "plots=false", "report=false"]


def agfrun(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "agfrun", *arguments], cwd=directory, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=600, check=False)


def watched(commands: str, directory: Path) -> str:
    done = subprocess.run([sys.executable, "-c", WATCHED, commands], cwd=directory, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_neither_the_run_nor_its_figures_nor_its_page_import_torch(tmp_path: Path) -> None:
    printed = watched("study=dimension hydra.run.dir=run then plot run then report run then rerun run",
                      directory=tmp_path)
    assert printed.endswith("no torch\n")
    assert "3 of 3 tables are identical" in printed
    for name in ("plots/counts.pdf", "report.html", "done.json"):
        assert (tmp_path / "run" / name).is_file()


def test_a_sweep_in_one_process_imports_no_torch(tmp_path: Path) -> None:
    printed = watched("-m study=dimension model.degree=2,3 hydra/launcher=serial hydra.sweep.dir=sweep then collect "
                      "sweep", directory=tmp_path)
    assert printed.endswith("no torch\n")
    assert [path.name for path in (tmp_path / "sweep" / "plots").glob("*.png")] == ["degrees.png"]


def test_help_shows_the_keys_of_the_study(tmp_path: Path) -> None:
    printed = watched("study=dimension --help", directory=tmp_path)
    for words in ("study.primes: 2 #", "model.widths: [2, 2, 1] #", "model.degree: 2 #",
                  "(choices: lightning_attention, monomial_mlp"):
        assert words in printed
    assert "init" not in printed.partition("of every run")[0]


def test_the_folder_is_named_after_the_model(tmp_path: Path) -> None:
    done = agfrun("study=dimension", "plots=false", "report=false", directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.glob("outputs/monomial_mlp/*/done.json"))) == 1


def test_what_is_refused_takes_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    done = agfrun("study=dimension", "init.scale=2", directory=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("agfrun: error: init.scale=2 is not allowed: study=dimension has no init")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two architectures, three degrees, two seeds."""
    folder = tmp_path_factory.mktemp("sweep")
    done = agfrun("-m", "study=dimension", "model.widths=[2,2,1],[3,2,3,2]", "model.degree=2,3,4", "seed=0,1",
                  "hydra.launcher.workers=2", "hydra.sweep.dir=sweep", directory=folder)
    assert done.returncode == 0, done.stderr
    assert "4 of 12 runs fall short of the expected dimension; 4 fill their ambient space" in done.stdout
    return folder / "sweep"


def test_a_sweep_puts_the_numbers_into_its_table(sweep: Path) -> None:
    runs = pd.read_csv(sweep / "runs.csv")
    found = runs.drop_duplicates(["model.widths", "model.degree"]).set_index(["model.widths", "model.degree"])
    assert found["dimension"].to_dict() == {
        ("[2,2,1]", 2): 3, ("[2,2,1]", 3): 4, ("[2,2,1]", 4): 4,
        ("[3,2,3,2]", 2): 10, ("[3,2,3,2]", 3): 12, ("[3,2,3,2]", 4): 13}
    assert runs["filling"].sum() == 4
    assert set(runs["status"]) == {"finished"}
    assert not [column for column in runs if runs[column].isna().all() and column != "reason"]


def test_a_sweep_gathers_the_study_s_own_tables(sweep: Path) -> None:
    assert {path.name for path in sweep.glob("*.csv")} == {"runs.csv", "claims.csv", "ranks.csv", "architectures.csv"}
    ranks = pd.read_csv(sweep / "ranks.csv")
    assert len(ranks) == 24
    assert list(ranks.columns[:4]) == ["run", "model.widths", "model.degree", "seed"]


def test_a_sweep_draws_its_own_figures_and_no_empty_one(sweep: Path) -> None:
    assert {path.name for path in (sweep / "plots").iterdir()} == {"defects.png", "defects.pdf"}
    page = (sweep / "report.html").read_text()
    assert "4 of 12 runs fall short of the expected dimension; 4 fill their ambient space" in page
    assert "4 of 5, 1 undecided" in page
    assert page.count("<img") == 1


def test_a_killed_run_is_resumed_from_the_rank_it_has(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "agfrun", *LONG, "hydra.run.dir=run"], cwd=tmp_path,
                               env=ENVIRONMENT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    steps = tmp_path / "run" / "checkpoints" / "steps.jsonl"
    started = time.monotonic()
    while not steps.exists() and process.poll() is None and time.monotonic() - started < 600:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait(600) == -signal.SIGKILL, "it was finished before it could be killed"
    done = agfrun("resume", "run", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    ranks = pd.read_csv(tmp_path / "run" / "ranks.csv")
    assert len(ranks) == 2
    assert f"rank {ranks['rank'][0]} modulo" in done.stdout
    assert not steps.exists()
    rerun = agfrun("rerun", "run", directory=tmp_path)
    assert (rerun.returncode, rerun.stdout) == (0, "3 of 3 tables are identical, number by number\n")


def test_a_network_from_outside_is_one_class_and_one_file(tmp_path: Path) -> None:
    done = agfrun(*OWN, "study=dimension", "model=products", "model.inputs=6", "hydra.run.dir=run", directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "products 6-2: dimension 18, 3 below the expected 21" in done.stdout
    assert "claims: 5 hold, none fails" in done.stdout
    assert (tmp_path / "run" / "plots" / "counts.png").is_file()


def test_a_sweep_over_the_keys_of_a_network_from_outside(tmp_path: Path) -> None:
    done = agfrun(*OWN, "-m", "study=dimension", "model=products", "model.inputs=4,6", "model.units=1,2",
                  "hydra/launcher=serial", "hydra.sweep.dir=sweep", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 4 runs falls short of the expected dimension; 1 fills its ambient space" in done.stdout
    assert [path.name for path in (tmp_path / "sweep" / "plots").glob("*.png")] == ["architectures.png"]


def test_the_page_shows_the_example_as_it_is_and_its_notebook_runs(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "neuromanifolds.md").read_text(encoding="utf-8")
    example, notebook = (block.split("```")[0] for block in page.split("```python\n")[1:])
    source = (EXAMPLES / "products.py").read_text(encoding="utf-8")
    assert [line for line in example.splitlines() if line not in source.splitlines()] == []
    done = subprocess.run([sys.executable, "-c", notebook], cwd=tmp_path, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=600, check=True)
    assert done.stdout.splitlines()[0] == "14"
    assert done.stdout.splitlines()[1].startswith("ClosedForm(dimension=14, proved=True, source='Alexander")
    assert done.stdout.splitlines()[2] == "65 True True"
