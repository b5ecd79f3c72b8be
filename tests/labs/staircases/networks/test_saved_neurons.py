"""Training from neurons of the user's own: what is in the file, and whatever is no such file in one line."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from agfrun import ConfigError, Result, build_problem, load_config, rerun, run
from agfrun.files.json_files import read_object

NEURONS = np.array([[1e-3, -2e-3], [3e-3, 0.5e-3]])
QUICK = ["train.max_rows=100", "train.tolerance=1e-3", "plots=false", "report=false", "device=cpu"]


def config_of(path: Path, *overrides: str, model: str = "diagonal_linear") -> Any:
    return load_config([f"model={model}", "init=file", f"init.path={path}", *QUICK, *overrides])


def saved(folder: Path, neurons: Any = NEURONS) -> Path:
    np.save(folder / "neurons.npy", neurons)
    return folder / "neurons.npy"


def refusal(path: Path, *overrides: str, model: str = "diagonal_linear") -> str:
    with pytest.raises(ConfigError) as caught:
        build_problem(config_of(path, *overrides, model=model))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", ["<f8", "<f4", ">f8"])
def test_neurons_are_taken_as_they_are(tmp_path: Path, kind: str) -> None:
    problem = build_problem(config_of(saved(tmp_path, NEURONS.astype(kind))))
    assert problem.initial.dtype == torch.float64
    assert torch.equal(problem.initial, torch.from_numpy(NEURONS.astype(kind).astype(np.float64)))
    assert problem.log_factor == 0


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    problem = build_problem(config_of(saved(tmp_path, np.array([[1, 2], [3, -4]]))))
    assert torch.equal(problem.initial, torch.tensor([[1, 2], [3, -4]], dtype=torch.float64))


def test_alpha_is_that_of_gaussian_neurons_of_this_mean_square_norm(tmp_path: Path) -> None:
    """E|theta|^2 = 2 alpha^2; a scale multiplies it."""
    mean_square = (NEURONS**2).sum(1).mean()
    for scale in (1.0, 1e-5):
        problem = build_problem(config_of(saved(tmp_path), f"init.scale={scale}"))
        assert problem.log_scale == pytest.approx(0.5 * math.log(mean_square / 2) + math.log(scale), rel=1e-14)


def test_scales_below_the_smallest_float(tmp_path: Path) -> None:
    """Held apart, and the same neurons: their typical norm is sqrt(2) times the factor that is carried."""
    problem = build_problem(config_of(saved(tmp_path), "init.log10_scale=-400"))
    assert problem.log_factor == problem.log_scale < -400 * math.log(10)
    ratio = problem.initial / torch.from_numpy(NEURONS)
    assert float(ratio.std() / ratio.mean()) < 1e-14
    assert ratio.mean().log().item() + problem.log_factor == pytest.approx(-400 * math.log(10), rel=1e-13)
    assert float(problem.initial.square().sum(1).mean()) == pytest.approx(2, rel=1e-12)


def test_neurons_whose_squares_underflow(tmp_path: Path) -> None:
    tiny = build_problem(config_of(saved(tmp_path, NEURONS * 1e-297)))
    plain = build_problem(config_of(saved(tmp_path)))
    assert tiny.log_scale - plain.log_scale == pytest.approx(-297 * math.log(10), rel=1e-13)
    assert tiny.log_factor == tiny.log_scale


def test_a_run_from_the_neurons_of_a_run_is_that_run(tmp_path: Path) -> None:
    """By the name of the array in a run's own parameters; the last neurons where these are asked for."""
    drawn = load_config(["model=diagonal_linear", "init=gaussian", "init.scale=1e-3", *QUICK])
    first: Result = run(drawn, output_dir=tmp_path / "first", progress=False)
    parameters = tmp_path / "first" / "parameters.safetensors"
    again: Result = run(config_of(parameters), output_dir=tmp_path / "again", progress=False)
    assert np.array_equal(again.training.trajectory.loss, first.training.trajectory.loss)
    assert np.array_equal(again.prediction.trajectory.loss, first.prediction.trajectory.loss)
    last: Result = run(config_of(parameters, "init.key=neurons/final"), output_dir=tmp_path / "last", progress=False)
    assert torch.equal(last.problem.initial, first.training.final)
    assert last.training.trajectory.loss[0] == pytest.approx(first.training.trajectory.loss[-1], rel=1e-12)


def test_large_neurons_have_no_theory_of_small_ones(tmp_path: Path) -> None:
    result: Result = run(config_of(saved(tmp_path, [[2.0, 1.0], [1.5, -1.0]])), progress=False)
    assert result.theory is None
    assert result.training.status == "converged"


@pytest.mark.parametrize(("neurons", "reason"), [
    (NEURONS.T[:1], r"must be of shape \(2, 2\) for this network: a row for each neuron; the file's is \(1, 2\)"),
    (NEURONS.ravel(), r"the file's is \(4,\)"),
    (NEURONS[None], r"the file's is \(1, 2, 2\)"),
    (NEURONS + 0j, "real numbers, not complex128"),
    (np.array([["1", "2"], ["3", "4"]]), "real numbers, not <U1"),
    (NEURONS > 0, "real numbers, not bool"),
    (np.array([[1, None], [2, 3]]), "it holds pickled objects"),
    (np.array([[1.0, 2.0], [math.nan, 1.0]]), r"\[1, 0\] is nan"),
    (np.array([[1.0, math.inf], [1.0, 1.0]]), r"\[0, 1\] is inf"),
    (np.array([[1.0, 2.0], [0.0, 0.0]]), "neuron 1, counted from 0, is zero and never will"),
])
def test_what_is_no_initialization_of_the_network(tmp_path: Path, neurons: Any, reason: str) -> None:
    path = saved(tmp_path, neurons)
    message = refusal(path)
    assert message.startswith(f"init.path={path} is not allowed: ")
    assert re.search(reason, message), message


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("neurons.npy", b"", "cannot be read"),
    ("neurons.npy", b"\x93NUMPY\x01\x00v\x00", "cannot be read"),
    ("neurons.safetensors", b"", "cannot be read"),
    ("neurons.safetensors", b"\xff" * 40, "cannot be read"),
    ("neurons.npz", b"", "must be a file that ends in .npy or .safetensors"),
])
def test_what_is_no_such_file(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"init\.path=") as caught:
        build_problem(config_of(tmp_path / name))
    assert reason in str(caught.value)


def test_missing_files_and_arrays(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "no.npy")
    assert "No such file" in refusal(tmp_path / "no.safetensors")
    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({"neurons/initial": NEURONS, "wide": np.zeros((7, 2))}, path)
    assert "has the arrays neurons/initial, wide; did you mean neurons/initial?" in refusal(
        path, "init.key=neurons/initia")
    assert "the file's is (7, 2)" in refusal(path, "init.key=wide")


@pytest.mark.parametrize(("override", "reason"), [
    ("init.scale=0", "positive"), ("init.scale=-1", "positive"), ("init.scale=1e200", "cannot hold"),
    ("init.log10_scale=1e7", "exponent"), ("init.log10_scale=300", "cannot hold")])
def test_scales_that_are_not_allowed(tmp_path: Path, override: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=r"init\.(log10_)?scale=") as caught:
        build_problem(config_of(saved(tmp_path), override))
    assert reason in str(caught.value)


def test_neurons_too_far_apart_to_be_held_together(tmp_path: Path) -> None:
    assert "its smallest neuron is too small" in refusal(saved(tmp_path, NEURONS * [[1.0], [1e-250]]))


def test_a_degree_above_two_needs_times_that_tell_drops_apart(tmp_path: Path) -> None:
    path = saved(tmp_path, np.full((2, 21), 1e-20))
    assert "at homogeneity degree 3" in refusal(path, "model.width=2", "data.p=7", "data.frequencies=[1]",
                                                "data.amplitudes=[5]", model="quadratic_modadd")


def test_the_manifest_knows_the_file_and_a_rerun_says_that_it_changed(tmp_path: Path) -> None:
    path = saved(tmp_path)
    run(config_of(path), output_dir=tmp_path / "run", progress=False)
    before = read_object(tmp_path / "run" / "manifest.json")["inputs"]["init.path"]
    assert not rerun(tmp_path / "run", progress=False).provenance
    saved(tmp_path, 2 * NEURONS)
    again = rerun(tmp_path / "run", progress=False)
    assert again.provenance["file of init.path"][0] == before
    assert again.differences
