"""Every command of README.md and docs/ is a right one, and runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import REPOSITORY, Command, blocks, commands

from agfrun import load_config
from agfrun.cli.seeds import as_sweep

# What is not run here, by its first words, and why.
NOT_RUN = {
    "make ": "builds the environment, or is run by the tests of what it does",
    "pip install": "installs packages; tests/test_packaging.py installs the wheel",
    "pip-": "asks the network for known weaknesses or hashes",
    "python scripts/licences.py": "lists all extras' licences; tests/test_packaging.py runs it on what is installed",
    "source ": "activates an environment",
    "export ": "sets a variable of the shell",
    "ray ": "starts a cluster; tests/cluster starts one of its own",
}
# Runs of minutes that have tests of their own with fewer runs; here they are only composed.
LONG = ("experiment=paper/", "experiment=sweep/", "hydra/launcher=submitit", "hydra/launcher=ray",
        "hydra/launcher=our_cluster", "study=paper_", "study=claims", "claims")
IN_THE_QUICK_SUITE = ("agfrun --version", "agfrun model=diagonal_linear")
OWN_WORDS = ("plot", "report", "claims", "collect", "resume", "rerun")

SHORTER = ["plots=false", "train.max_rows=200", "agf.max_events=1"]
# Further overrides for commands that hold a text.
SMALLER = {
    "study=": [],
    "study=vanishing_init": ["study.log10_scales=[-4,-5,-6]"],
    "study=width": ["study.widths=[2,3]", "study.seeds=1"],
    "study=optimizers": ["study.seeds=1", "study.max_steps=300", "study.variants=[gradient_descent,adam]"],
    "experiment=optimizers": ["study.seeds=1", "study.max_steps=300", "study.variants=[gradient_descent,adam]"],
    "train=adam": ["train.max_steps=300"],
    "train=optimizer": ["train.max_steps=300"],
    "study=search": ["study.trials=2", "study.seeds=1"],
    "study=agreement": ["study.seeds=1", "study.log10_scales=[-2]"],
    "study=order_threshold": ["study.seeds=12", "study.max_seeds=12", "study.share=0.5", "study.resolution=3.5"],
    "study=seed_spread": ["model=diagonal_linear", "init=gaussian", "init.scale=1e-3"],
    "ensemble.seeds": ["ensemble.seeds=2"],
    "train=gradient_descent": ["train.max_steps=300"],
    "experiment=modadd_gradient_descent": ["train.max_steps=300"],
    "experiment=attention_paper": ["train.max_steps=300"],
    "experiment=modadd_large": ["data.p=13", "data.frequencies=[1,2]", "data.amplitudes=[6.0,3.0]", "model.width=12"],
    "data.p=31": ["data.p=11", "data.frequencies=[2,4]", "data.amplitudes=[6.0,3.0]", "model.width=8"],
    "model=bilinear": ["init.scale=0.05", "train.tolerance=1e-4", "model.width=3"],
    "data=teacher_student": ["data.samples=60", "data.input_dimension=4"],
    "data=digits": ["model.width=1", "init.scale=1e-3", "train.tolerance=1e-3"],
    "experiment=relu_digits": ["init.scale=1e-3", "train.tolerance=1e-3"],
    "device=cuda": ["device=cpu"],
    "study=stitching": ["data.languages=[en,fr]", "train.steps=10", "study.seeds=1", "data.anchors=30"],
    "experiment=stitching_sentences": ["data.sentences=[]", "train.steps=10", "study.seeds=1", "data.anchors=30"],
    "study=invariance": ["train.steps=10"],
    "study=group_survey": ["study.largest=5"],
    "study=robustness": ["data.group=D3", "study.draws=1", "study.samples=[0,16]", "study.noise=[0,1]"],
    "study=image_rotations": ["study.images=20", "study.iterations=20", "study.pairs=100"],
    "experiment=group_published": ["study.steps=100", "study.restarts=1"],
    "study=hyperbolic_vae": ["tree.depth=4", "train.steps=100"],
    "experiment=autoencoder_tanh": ["tree.depth=4", "train.steps=100"],
    "study=lineages": ["study.relabellings=19"],
    "experiment=stitching_digits": ["data.networks=2", "train.steps=10", "study.seeds=1"],
    "study=critical_points": ["study.datasets=1", "study.starts=3"],
    "experiment=critical_points_cnn": ["study.datasets=1", "study.starts=3"],
    "experiment=critical_points_data": ["study.datasets=1", "study.starts=3"],
    "study=reduction": ["data.count=5", "data.dimension=4"],
    "study=anytime": ["data.count=4", "data.dimension=4", "study.budgets=[8]"],
    "experiment=lattices_equal_work": ["data.count=4", "data.dimension=4", "study.budgets=[8]"],
    "study=joint": ["study.channels=2", "study.subcarriers=8", "study.antennas=2"],
    "study=detection": ["study.vectors=20"],
    "study=policy": ["study.dimension=4", "study.lattices=16", "study.steps=6", "study.iterations=1"],
    "experiment=policy_": ["study.dimension=4", "study.lattices=16", "study.steps=6", "study.iterations=1"],
    "data=paul": ["study.labels=[7MEP,14Mo,13Baso]"],
    "study=interaction": ["data.size=20", "train.steps=6", "learner.warmup=3"],
    "experiment=interaction_": ["data.size=20", "train.steps=6", "learner.warmup=3"],
    "study=learning_curve": ["spectrum.dimension=10", "train.steps=50"],
}

COMMANDS = commands()
AGFRUN = [command for command in COMMANDS if command.text.startswith("agfrun")]


def words(command: Command) -> list[str]:
    """The arguments of a command, with the number of an array's job in place of its variable."""
    return shlex.split(command.text.replace("$SLURM_ARRAY_TASK_ID", "1"))[1:]


def is_long(command: Command) -> bool:
    return any(word.startswith(LONG) for word in words(command))


def is_run(arguments: list[str]) -> bool:
    """Whether the command does a study, so that overrides may follow it."""
    flags = {"--help", "--version", "--cfg", "--info", "--hydra-help", "-sc", "--shell-completion"}
    continues = any(word.startswith("sweep.resume=") for word in arguments)
    while arguments[:1] in (["--import"], ["--config-dir"]):
        arguments = arguments[2:]
    return arguments[:1] not in [[word] for word in OWN_WORDS] and not flags & set(arguments) and not continues


def first_of_a_sweep(override: str) -> str:
    """`a=1,2` as `a=1`, `a=range(3,5)` as `a=3`; commas within brackets stay."""
    return re.sub(r"range\((\d+).*\)", r"\1", re.split(r",(?![^\[(]*[\])])", override)[0])


def is_staircase(command: Command) -> bool:
    """Whether the command's study has the groups of loss staircases: its file, ours or an example's, chooses them."""
    chosen = dict(word.split("=", 1) for word in words(command) if word.startswith(("study=", "experiment=")))
    name = chosen.get("study", "compare")
    if "study" not in chosen and "experiment" in chosen:
        preset = (REPOSITORY / "configs/experiment" / f"{chosen['experiment']}.yaml").read_text()
        name = next(iter(re.findall(r"override /study: (\w+)", preset)), name)
    files = [REPOSITORY / folder / "study" / f"{name}.yaml" for folder in ("configs", "docs/examples/configs")]
    return any(file.exists() and "laboratory@_global_: staircases" in file.read_text() for file in files)


def shorter(command: Command) -> list[str]:
    further = [override for text, more in SMALLER.items() if text in command.text for override in more]
    return [*(SHORTER if is_staircase(command) else ["plots=false"]), "report=false", *further]


def test_there_are_commands_on_the_pages() -> None:
    assert len(AGFRUN) > 50


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in AGFRUN], ids=lambda c: c.label)
def test_what_is_not_run_is_on_the_list(command: Command) -> None:
    assert command.text.startswith(tuple(NOT_RUN)), f"{command.label}: run it, or say why not"
    if command.text.startswith("make "):
        targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert command.text.split()[1] in targets


@pytest.mark.parametrize("command", AGFRUN, ids=lambda c: c.label)
def test_every_configuration_composes(command: Command) -> None:
    arguments = words(command)
    if not is_run(arguments) or {"--import", "--config-dir"} & set(arguments):
        pytest.skip("no configuration, or one with files of its own; it is run")
    arguments = as_sweep(arguments)
    swept = "--multirun" in arguments or "-m" in arguments
    # agfrun[sentences] is not among what tests need.
    arguments += ["data.sentences=[]"] if "experiment=stitching_sentences" in arguments else []
    load_config([first_of_a_sweep(word) if swept else word for word in arguments if not word.startswith("-")])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples, the files that docs/guides/own_data.md makes and a finished run."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(REPOSITORY / "docs" / "examples", folder, dirs_exist_ok=True)
    shutil.copytree(REPOSITORY / "docs" / "examples", folder / "docs" / "examples")
    for block in blocks(REPOSITORY / "docs" / "guides" / "own_data.md", "python"):
        subprocess.run([sys.executable, "-c", block], cwd=folder, check=True, timeout=600)
    finished = agfrun(["model=diagonal_linear", *SHORTER, "hydra.run.dir=finished"], folder)
    assert finished.returncode == 0, finished.stderr
    swept = agfrun(["-m", "model=diagonal_linear", *SHORTER, "report=false", "hydra.sweep.dir=swept"], folder)
    assert swept.returncode == 0, swept.stderr
    return folder


def agfrun(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("HYDRA_FULL_ERROR", "AGFRUN_DEBUG")}
    return subprocess.run([sys.executable, "-m", "agfrun", *arguments], cwd=folder, capture_output=True, text=True,
                          env=environment | {"PYTHONPATH": str(REPOSITORY)}, timeout=600, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("command", [
    pytest.param(command, marks=() if command.text in IN_THE_QUICK_SUITE else pytest.mark.slow, id=command.label)
    for command in AGFRUN if not is_long(command)])
def test_every_command_runs(command: Command, workplace: Path, tmp_path: Path) -> None:
    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    arguments = words(command)
    for path in [word.removeprefix("sweep.resume=") for word in arguments
                 if word.removeprefix("sweep.resume=").startswith("outputs/")]:
        shutil.copytree(tmp_path / ("swept" if "multirun" in path else "finished"), tmp_path / path)
    done = agfrun(arguments + (shorter(command) if is_run(arguments) else []), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if is_run(arguments):
        assert list(tmp_path.glob("outputs/**/done.json"))
