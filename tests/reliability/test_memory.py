"""Memory is estimated before it is taken, and what does not fit is refused with the number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import error_of, run

from agfrun import ConfigError, load_config
from agfrun.labs.staircases.run.problem import build_architecture
from agfrun.labs.staircases.run.sizes import check_training_memory, training_memory
from agfrun.study import memory
from agfrun.study.memory import available_memory, in_units, largest_key

ABSURD = [
    "model.width=1000000000", "data.p=1000000000000", "data.p=100000", "model=relu model.width=1000000000000",
    "model=linear_attention model.head_dim=1000000000000", "model=linear_attention data.dimension=1000000000000",
    "model=diagonal_linear data=random_regression data.samples=100000000000",
    "model=diagonal_linear data=sparse_regression data.dimension=1000000000",
    "model=relu data=teacher_student data.samples=10000000000",
    "model=monomial data=teacher_student data.output_dimension=99999999999",
    "data=one_hot_modular_addition data.p=9999999",
    "model=diagonal_linear init=gaussian train=gradient_descent train.batch_size=20000000000",
]
UNCOUNTABLE = [
    ("-m seed=range(0,1000000000000)", "seed=range(0,1000000000000) makes a sweep of 1e+12 runs"),
    ("-m seed=range(2000) init.scale=range(0.1,0.9,0.001)", "makes a sweep of 1.6e+06 runs"),
    ("ensemble.seeds=1000000000000", "from 1 to 100000"),
    ("study=claims study.seeds=1000000000000", "from 1 to 100000"),
    ("study=search study.trials=1000000000000", "from 1 to 100000"),
    ("study=order_threshold study.max_seeds=1000000000000", "at most 100000"),
]


@pytest.mark.parametrize("words", ABSURD)
def test_what_does_not_fit_is_refused_with_the_number(words: str, tmp_path: Path) -> None:
    line = error_of(run(words.split(), tmp_path))
    assert " is not allowed: must be smaller: the run would need about " in line
    assert line.endswith(" are available")
    assert line.split("=")[0].removeprefix("agfrun: error: ") in words
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("stdout", "stderr")]


@pytest.mark.parametrize(("words", "line"), UNCOUNTABLE)
def test_too_many_runs_are_refused_before_they_are_listed(words: str, line: str, tmp_path: Path) -> None:
    assert line in error_of(run(words.split(), tmp_path))


def test_the_bound_is_the_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(["data.p=11", "data.frequencies=[1]", "data.amplitudes=[3]"])
    data = config.data.build(*build_arguments())
    shape = config.model.neurons_shape(data)
    assert shape == (18, 33)
    needed = int(training_memory(config, *shape) + config.data.memory())
    monkeypatch.setattr(memory, "available_memory", lambda: needed + 1)
    check_training_memory(config, data)
    monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
    with pytest.raises(ConfigError, match=f"about {in_units(needed)} of memory"):
        check_training_memory(config, data)
    monkeypatch.setattr(memory, "available_memory", lambda: None)  # a system that does not say
    check_training_memory(config, data)


@pytest.mark.parametrize("name", ["diagonal_linear", "fully_connected_linear", "leaky_relu", "linear_attention",
                                  "monomial", "quadratic_modadd", "relu"])
def test_the_shape_is_that_of_the_network(name: str) -> None:
    config = load_config([f"model={name}"])
    architecture = build_architecture(config)
    assert config.model.neurons_shape(config.data.build(*build_arguments())) == (
        architecture.width, architecture.neuron_dimension)


@pytest.mark.parametrize(("overrides", "key"), [
    (["model.width=36"], "model.width"), (["study=search", "study.trials=2000"], "study.trials"),
    (["data.p=2000"], "data.p"), (["train.max_rows=20000"], "train.max_rows"),
    (["study=dimension", "model.widths=[2,99,1]"], "model.widths"),
])
def test_the_key_named_is_the_one_furthest_above_its_default(overrides: list[str], key: str) -> None:
    assert largest_key(load_config(overrides))[0] == key


def test_limits_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "batch" / "job"
    inner.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("1:cpu:/old\n0::/batch/job\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("1000000\n")
    for group in (inner, inner.parent):
        (group / "memory.current").write_text("400000\n")
    assert list(memory._of_control_groups(tmp_path, tmp_path / "cgroup")) == [600_000]
    assert list(memory._of_control_groups(tmp_path, tmp_path / "missing")) == []
    monkeypatch.setattr(memory, "_of_control_groups", lambda: iter([600_000]))
    assert available_memory() == 600_000


@pytest.mark.parametrize(("size", "words"), [(999, "999 B"), (12_300, "12 kB"), (4.56e9, "4.6 GB"), (4.8e11, "480 GB"),
                                             (3e12, "3 TB"), (1e30, "1e+18 TB")])
def test_units(size: float, words: str) -> None:
    assert in_units(size) == words


TAKEN = [
    "model=diagonal_linear data=random_regression data.dimension=300 data.samples=400",
    "model=fully_connected_linear data.input_dimension=100 data.output_dimension=100 train.horizon=0.1",
    "model=fully_connected_linear model.width=3000 train.horizon=0.1",
    "model.width=3000 train.horizon=1e-9",
]


@pytest.mark.slow
@pytest.mark.parametrize("words", TAKEN)
def test_the_estimate_is_no_less_than_what_a_run_takes(words: str, tmp_path: Path) -> None:
    """Nor is it so large that runs which fit are refused: at most 1.5 GB for what takes half of that or less."""
    least, most = taken(["data.p=5", "data.frequencies=[1]", "data.amplitudes=[3]"], tmp_path / "small"), 1.5e9
    config = load_config(words.split())
    data = config.data.build(*build_arguments())
    shape = config.model.neurons_shape(data)
    assert shape is not None
    estimate = training_memory(config, *shape) + config.data.memory()
    measured = taken(words.split(), tmp_path / "run") - least
    assert measured < estimate < most


def taken(words: list[str], folder: Path) -> float:
    """Bytes that a process had at most."""
    code = ("import resource, sys; from agfrun.cli.main import main; status = main(sys.argv[1:]);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(status)")
    done = subprocess.run([sys.executable, "-c", code, *words, "agf.max_events=2", "plots=false", "report=false",
                           f"hydra.run.dir={folder}"], capture_output=True, text=True, check=True)
    return 1024.0 * int(done.stdout.split()[-1])


def build_arguments() -> tuple[torch.dtype, torch.device]:
    return torch.float64, torch.device("cpu")
