"""`train.compile`: compiled steps give the numbers of the others, and where they cannot be had, these are taken."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from agfrun import ConfigError, GradientDescentConfig, RunConfig, validate
from agfrun.labs.staircases.dynamics import compilation
from agfrun.labs.staircases.dynamics.compilation import compiled
from agfrun.labs.staircases.dynamics.unrolled_heavy_ball import unrolled_steps

ARGUMENTS = tuple(torch.tensor(value, dtype=torch.float64) for value in ([1.0, 2.0], [0.0, 0.0], 0.1, 0.9))
DESCENT = ("train=gradient_descent", "train.momentum=0.9", "train.max_steps=3000", "plots=false", "report=false")
NETWORKS = {
    "modular addition": ("model=quadratic_modadd", "train.learning_rate=0.02"),
    "diagonal": ("experiment=diagonal_5d", "train.learning_rate=0.001"),
    "linear": ("model=fully_connected_linear", "train.learning_rate=0.01"),
    "attention": ("model=linear_attention", "init.scale=0.1", "train.learning_rate=0.01"),
}


def steps_of_numpy(y: Tensor, momentum_term: Tensor, rate: Tensor, momentum: Tensor
                   ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What torch cannot see through."""
    shift = float(y[0]) if float(y.sum()) > 0 else 0.0
    return y + shift, momentum_term, y[None], y.sum()[None]


def test_steps_that_cannot_be_compiled_are_taken_as_they_are(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv(compilation.CACHE_VARIABLE, str(tmp_path))
    compilation._announce.cache_clear()
    steps = compiled(steps_of_numpy)
    for _ in range(2):
        assert steps(*ARGUMENTS)[0].tolist() == [2.0, 3.0]
    compiling, warning = capsys.readouterr().err.splitlines()
    assert "compiling" in compiling
    assert warning.startswith("agfrun: warning: train.compile: the steps are taken uncompiled: ")


def test_what_is_compiled_is_kept_where_no_stranger_can_put_anything(monkeypatch: pytest.MonkeyPatch,
                                                                    tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compilation._cache_folder() == tmp_path / "agfrun" / "compiled_steps"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compilation._cache_folder().is_relative_to(Path.home())


@pytest.mark.parametrize("variable", [compilation.CACHE_VARIABLE, "XDG_CACHE_HOME"])
def test_a_folder_that_cannot_be_made_is_replaced_by_one_for_this_process(
        variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(compilation.CACHE_VARIABLE, "")
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv(variable, str(in_the_way / "below"))
    compilation._use_private_cache()
    folder = Path(os.environ[compilation.CACHE_VARIABLE])
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0


def test_without_a_home_there_is_a_folder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv(compilation.CACHE_VARIABLE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", classmethod(unknown))
    compilation._use_private_cache()
    assert Path(os.environ[compilation.CACHE_VARIABLE]).is_dir()


class Parabola:
    """L = |y|^2 / 2."""

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return 0.5 * y.square().sum(), -y


def test_one_process_compiles_the_steps_of_any_number_of_networks(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Torch has a limit of eight. The code is traced here, and not translated to C++."""
    traced = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda steps, options, **others: traced(steps, **others))
    monkeypatch.setenv(compilation.CACHE_VARIABLE, str(tmp_path))
    for size in range(1, 12):
        steps = compiled(unrolled_steps(Parabola(), 2))  # type: ignore[arg-type]
        zeros = torch.zeros(size, dtype=torch.float64)
        y, *_ = steps(zeros + 1, zeros, ARGUMENTS[2], ARGUMENTS[3])
        assert y.tolist() == pytest.approx([0.9 + 0.1 * (-0.9 - 0.9)] * size)
    assert "warning" not in capsys.readouterr().err


def test_batches_are_not_compiled() -> None:
    with pytest.raises(ConfigError, match=r"^train\.compile=true is not allowed: .*train\.batch_size"):
        validate(RunConfig(train=GradientDescentConfig(compile=True, batch_size=8)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where torch keeps what it compiles: nothing at first."""
    return tmp_path_factory.mktemp("compiled")


def run(folder: Path, cache: Path, *overrides: str, **environment: str) -> str:
    """A run in a process of its own; what it says on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "agfrun", *DESCENT, *overrides, f"hydra.run.dir={folder}"], cwd=folder.parent, text=True,
        env=os.environ | {compilation.CACHE_VARIABLE: str(cache)} | environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_steps_give_the_same_tables(name: str, tmp_path: Path, cache: Path) -> None:
    before = set(cache.rglob("*.so"))
    assert "warning" not in run(tmp_path / "compiled_run", cache, *NETWORKS[name], "train.compile=true")
    assert set(cache.rglob("*.so")) > before, "nothing was compiled"
    run(tmp_path / "plain_run", cache, *NETWORKS[name])
    assert_same_tables(tmp_path / "compiled_run", tmp_path / "plain_run", 1e-9)


@pytest.mark.slow
def test_compiled_steps_are_the_same_to_the_last_bit_from_run_to_run(tmp_path: Path, cache: Path) -> None:
    for folder in ("one", "two"):
        run(tmp_path / folder, cache, *NETWORKS["diagonal"], "train.compile=true")
    assert (tmp_path / "one" / "loss.csv").read_bytes() == (tmp_path / "two" / "loss.csv").read_bytes()


@pytest.mark.slow
def test_a_machine_without_a_compiler_trains_all_the_same(tmp_path: Path) -> None:
    errors = run(tmp_path / "without", tmp_path, *NETWORKS["diagonal"], "train.compile=true",
                 CXX="/nonexistent/compiler", PATH=os.path.dirname(sys.executable))
    assert errors.count("the steps are taken uncompiled") == 1
    run(tmp_path / "plain", tmp_path, *NETWORKS["diagonal"])
    assert_same_tables(tmp_path / "without", tmp_path / "plain", 1e-9)


def assert_same_tables(one: Path, other: Path, tolerance: float) -> None:
    loss, expected = (pd.read_csv(folder / "loss.csv") for folder in (one, other))
    assert len(loss) > 100
    assert loss.columns.tolist() == expected.columns.tolist()
    for column in loss.select_dtypes("number"):
        np.testing.assert_allclose(loss[column], expected[column], rtol=tolerance, err_msg=column)
    features, of_other = (pd.read_csv(folder / "events.csv")["feature"].fillna("").tolist() for folder in (one, other))
    assert features == of_other
