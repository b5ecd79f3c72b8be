"""Populations of a linear target: published draws, power laws, the user's own matrices and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agfrun import ConfigError, DataConfig
from agfrun.labs.staircases.networks.fully_connected_linear.data import (
    CommutingLinearMapConfig,
    CustomLinearMapConfig,
    LinearMap,
    Matrix,
    NoncommutingLinearMapConfig,
    PowerLawLinearMapConfig,
    linear_map,
    published_moments,
    square_root,
)

CPU = torch.device("cpu")


def built(config: DataConfig) -> LinearMap:
    config.check()
    data = config.build(torch.float64, CPU)
    assert isinstance(data, LinearMap)
    return data


def random_covariance(size: int, rank: int, seed: int) -> Matrix:
    root = np.random.default_rng(seed).standard_normal((size, rank))
    return root @ root.T


# ---- The paper's populations


def test_published_target_map_has_the_published_singular_values() -> None:
    target_map, _ = published_moments(10, 10, False, 0)
    anchors = [5.6858, 4.93467, 3.861, 2.69684, 2.24205, 1.71955, 1.54227, 0.79892, 0.61795, 0.03198]
    np.testing.assert_allclose(np.linalg.svd(target_map)[1], anchors, atol=6e-6, rtol=1e-5)


def test_published_draws_are_the_second_and_fourth_of_one_stream() -> None:
    draws = np.random.RandomState(3).randn(4, 10, 10)
    target_map, inputs = published_moments(10, 10, False, 3)
    np.testing.assert_array_equal(target_map, draws[3])
    axes = np.linalg.qr(draws[1])[0]
    np.testing.assert_allclose(axes.T @ inputs @ axes, np.diag(1 / np.arange(1, 11) ** 2), atol=1e-15)


@pytest.mark.parametrize(("config", "commuting"), [(CommutingLinearMapConfig, True),
                                                   (NoncommutingLinearMapConfig, False)])
def test_covariances_of_the_paper_commute_or_do_not(config: type[DataConfig], commuting: bool) -> None:
    data = built(config())
    gram = data.target_map.T @ data.target_map
    commutator = gram @ data.inputs - data.inputs @ gram
    assert (float(commutator.abs().max()) < 1e-12) == commuting


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (1, 3), (3, 1)])
def test_commuting_population_of_any_shape(shape: tuple[int, int]) -> None:
    output_dimension, input_dimension = shape
    data = built(CommutingLinearMapConfig(input_dimension=input_dimension, output_dimension=output_dimension))
    assert data.target_map.shape == shape
    # Whitening keeps the singular vectors: sizes are products, in the same order.
    sizes = torch.linalg.svdvals(data.target_map)
    expected = sizes / torch.arange(1, len(sizes) + 1)
    torch.testing.assert_close(torch.linalg.svdvals(data.target_map @ data.factor)[: len(sizes)], expected)


@given(exponent=st.floats(0, 3), d=st.integers(1, 8), c=st.integers(1, 8), seed=st.integers(0, 99),
       commuting=st.booleans())
def test_power_law_spectrum(exponent: float, d: int, c: int, seed: int, commuting: bool) -> None:
    data = built(PowerLawLinearMapConfig(input_dimension=d, output_dimension=c, exponent=exponent, data_seed=seed,
                                         commuting=commuting))
    spectrum = torch.linalg.eigvalsh(data.inputs).flip(0)
    torch.testing.assert_close(spectrum, torch.arange(1.0, d + 1) ** -exponent)
    gram = data.target_map.T @ data.target_map
    assert not commuting or float((gram @ data.inputs - data.inputs @ gram).abs().max()) < 1e-10


# ---- Moments


@given(size=st.integers(1, 6), rank=st.integers(1, 6), seed=st.integers(0, 99))
def test_square_root(size: int, rank: int, seed: int) -> None:
    covariance = random_covariance(size, rank, seed)
    root = square_root(covariance)
    assert root.shape == (size, min(size, rank))
    np.testing.assert_allclose(root @ root.T, covariance, atol=1e-12 * np.abs(covariance).max())
    gram = root.T @ root
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12 * gram.max())
    assert (np.diff(np.diag(gram)) <= 1e-12 * gram.max()).all()


def test_moments_of_a_noisy_target() -> None:
    inputs, noise = random_covariance(4, 3, 1), random_covariance(3, 1, 2)
    target_map = np.random.default_rng(0).standard_normal((3, 4))
    data = linear_map(target_map, inputs, torch.float64, CPU, noise)
    np.testing.assert_allclose(data.cross, target_map @ inputs, atol=1e-12)
    np.testing.assert_allclose(data.targets, target_map @ inputs @ target_map.T + noise, atol=1e-12)
    assert data.noise_loss == pytest.approx(0.5 * np.trace(noise), rel=1e-12)
    assert linear_map(target_map, inputs, torch.float64, CPU).noise_loss == 0


# ---- The user's own matrices


def saved(folder: Path, name: str, matrix: Matrix, suffix: str = ".npy") -> str:
    path = folder / f"{name}{suffix}"
    if suffix == ".npy":
        np.save(path, matrix)
    else:
        np.savetxt(path, matrix, delimiter=",", fmt="%.17g")
    return str(path)


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_own_matrices_are_read_exactly(tmp_path: Path, suffix: str) -> None:
    inputs, target_map = random_covariance(4, 4, 0), np.random.default_rng(1).standard_normal((2, 4))
    data = built(CustomLinearMapConfig(input_covariance=saved(tmp_path, "inputs", inputs, suffix),
                                       target_map=saved(tmp_path, "map", target_map, suffix)))
    np.testing.assert_array_equal(data.target_map, target_map)
    np.testing.assert_allclose(data.inputs, inputs, rtol=1e-15)
    assert data.noise_factor.shape == (2, 0)


@pytest.mark.parametrize("rank", [4, 2])
def test_cross_covariance_stands_in_for_the_map(tmp_path: Path, rank: int) -> None:
    inputs, target_map = random_covariance(4, rank, 0), np.random.default_rng(1).standard_normal((2, 4))
    path = saved(tmp_path, "inputs", inputs)
    noise = random_covariance(2, 2, 5)
    explained = target_map @ inputs @ target_map.T
    data = built(CustomLinearMapConfig(
        input_covariance=path, cross_covariance=saved(tmp_path, "c", target_map @ inputs),
        target_covariance=saved(tmp_path, "t", explained + noise)))
    np.testing.assert_allclose(data.cross, target_map @ inputs, atol=1e-12)
    np.testing.assert_allclose(data.targets, explained + noise, atol=1e-12)
    assert data.noise_loss == pytest.approx(0.5 * np.trace(noise), rel=1e-10)
    assert data.factor.shape == (4, rank)


def test_target_covariance_without_noise(tmp_path: Path) -> None:
    inputs, target_map = random_covariance(4, 4, 0), np.random.default_rng(1).standard_normal((2, 4))
    data = built(CustomLinearMapConfig(
        input_covariance=saved(tmp_path, "i", inputs), target_map=saved(tmp_path, "m", target_map),
        target_covariance=saved(tmp_path, "t", target_map @ inputs @ target_map.T)))
    assert data.noise_loss == 0


GOOD = {"input_covariance": np.eye(3), "target_map": np.ones((2, 3))}
REFUSED = {
    "not square": ("input_covariance", np.ones((3, 2)), "square"),
    "not symmetric": ("input_covariance", np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
    "indefinite": ("input_covariance", np.diag([1.0, -0.1, 1.0]), "positive semi-definite"),
    "zero": ("input_covariance", np.zeros((3, 3)), "not zero"),
    "not finite": ("input_covariance", np.diag([1.0, np.nan, 1.0]), r"at most 1e\+12 in size"),
    "too large": ("input_covariance", np.diag([1.0, 1e13, 1.0]), r"at most 1e\+12 in size"),
    "empty": ("input_covariance", np.zeros((0, 0)), "matrix of real numbers"),
    "three axes": ("input_covariance", np.ones((2, 2, 2)), "matrix of real numbers"),
    "complex": ("input_covariance", np.eye(3) * 1j, "matrix of real numbers"),
    "code": ("input_covariance", np.array([[{}]], dtype=object), "cannot be read"),
    "other width": ("target_map", np.ones((2, 4)), "any x 3"),
    "vector": ("target_map", np.ones(3), "matrix of real numbers"),
    "small targets": ("target_covariance", np.eye(2), "inputs explain"),
    "other targets": ("target_covariance", np.eye(3), "2 x 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_population_is_refused(tmp_path: Path, case: str) -> None:
    key, matrix, reason = REFUSED[case]
    paths = {name: saved(tmp_path, name, value) for name, value in {**GOOD, key: matrix}.items()}
    with pytest.raises(ConfigError, match=reason) as caught:
        built(CustomLinearMapConfig(**paths))
    assert caught.value.key == f"data.{key}"
    assert str(paths[key]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cross_covariance_outside_the_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="inputs that do not vary") as caught:
        built(CustomLinearMapConfig(input_covariance=saved(tmp_path, "i", np.diag([1.0, 1.0, 0.0])),
                                    cross_covariance=saved(tmp_path, "c", np.ones((2, 3)))))
    assert caught.value.key == "data.cross_covariance"


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "1,2\n3\n", ""])
def test_a_table_that_is_no_matrix_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "matrix.csv"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        built(CustomLinearMapConfig(input_covariance=str(path), target_map=str(path)))
    assert caught.value.key == "data.input_covariance"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("paths", [
    {},
    {"input_covariance": "i.npy"},
    {"input_covariance": "i.npy", "target_map": "m.npy", "cross_covariance": "c.npy"},
    {"input_covariance": "i.txt", "target_map": "m.npy"},
    {"input_covariance": "i.npy", "target_map": "m"},
    {"target_map": "m.npy"},
])
def test_wrong_sets_of_files_are_refused_unread(paths: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        CustomLinearMapConfig(**paths).check()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere.npy.*cannot be read"):
        built(CustomLinearMapConfig(input_covariance="nowhere.npy", target_map="nowhere.npy"))


@pytest.mark.parametrize(("config", "key"), [
    (CommutingLinearMapConfig(input_dimension=0), "data.input_dimension"),
    (NoncommutingLinearMapConfig(output_dimension=-1), "data.output_dimension"),
    (CommutingLinearMapConfig(data_seed=-1), "data.data_seed"),
    (CommutingLinearMapConfig(data_seed=2**32), "data.data_seed"),
    (PowerLawLinearMapConfig(exponent=-0.1), "data.exponent"),
    (PowerLawLinearMapConfig(exponent=float("nan")), "data.exponent"),
])
def test_ranges(config: DataConfig, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.check()
    assert caught.value.key == key
