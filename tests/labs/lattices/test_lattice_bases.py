"""What is no basis is refused in one line; settings of lattices too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agfrun import ConfigError, execute, load_config
from agfrun.labs.lattices import greedy, lll, log_defect, reduce, seysen
from agfrun.labs.lattices.data.random_lattices import rayleigh_channels, real_rows, uniform_bases
from agfrun.study.errors import UsageError


@pytest.mark.parametrize(("basis", "message"), [
    ([[1, 2], [2, 4]], "the basis is singular: its vectors are dependent"),
    ([[1.0, 2.0], [2.0, 4.0 + 1e-14]], "the basis is singular, or nearly so"),
    ([[1, 2, 3], [4, 5, 6]], r"a square matrix, not one of the shape \(2, 3\)"),
    ([[3]], "a basis has 2 to 64 vectors, not 1"),
    ([[2**53 + 2, 0], [0, 1]], r"at most 2\^53 in size, not 9007199254740994"),
    ([[10**30, 0], [0, 1]], r"at most 2\^53 in size, not 10{30}"),
    ([[1e17, 0.0], [0.0, 1.0]], r"at most 2\^53 in size"),
    ([[np.nan, 1], [1, 0]], "an entry that is no finite number"),
    ([[[1, 0], [0, 1]], [[1, 1], [1, 1]]], "basis 1 is singular"),
    ("abc", "a basis is a square matrix"),
    ([["a", "b"], ["c", "d"]], "a basis is a square matrix of numbers"),
    ([[1, 2], [3]], "a basis is a square matrix of numbers"),
])
def test_what_is_no_basis(basis: object, message: str) -> None:
    for function in (log_defect, reduce):
        with pytest.raises(UsageError, match=message) as found:
            function(basis)
        assert "\n" not in str(found.value)


def test_wrong_words() -> None:
    with pytest.raises(UsageError, match="choose one of rows, columns"):
        log_defect([[1, 0], [0, 1]], "diagonals")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="did you mean greedy"):
        reduce([[1, 0], [0, 1]], "gredy")
    with pytest.raises(UsageError, match=r"choose one of 0\.75, 0\.99"):
        lll([[1, 0], [0, 1]], 0.9)
    with pytest.raises(UsageError, match="exact_lll takes integers"):
        reduce([[0.5, 0], [0, 1]], "exact_lll")


def test_a_skew_basis_of_integers_is_none_the_less_one() -> None:
    basis = [[1, 10**6], [0, 1]]
    assert log_defect(basis) == pytest.approx(np.log(1e6))
    found = reduce(basis, "greedy")
    assert log_defect(found) == 0
    assert found.basis.tolist() == [[1, 0], [0, 1]]


def test_defects() -> None:
    assert log_defect(np.eye(3)) == 0
    assert log_defect([[1, 0], [1, 1]]) == pytest.approx(0.5 * np.log(2))
    many = uniform_bases(3, 5, 0)
    assert log_defect(many) == pytest.approx([log_defect(one) for one in many])
    assert log_defect(many, "columns") == pytest.approx(log_defect(np.swapaxes(many, 1, 2)))


def test_as_many_bases_as_are_asked_for_where_many_are_singular() -> None:
    bases = uniform_bases(2, 200, 0, entry=1)  # four of ten are singular
    assert bases.shape == (200, 2, 2)
    assert (np.abs(np.linalg.det(bases)) > 0.5).all()


def test_exports() -> None:
    basis = [[1, 9], [0, 31]]
    for found in (greedy(basis), seysen(basis), lll(basis), reduce(basis, "exact_lll"), reduce(basis, "minima")):
        assert (np.array(found.transform) @ np.array(basis) == found.basis).all()
        assert sorted(np.abs(np.linalg.norm(found.basis.astype(float), axis=1))) == pytest.approx([5, 41**0.5])
    assert reduce(np.array([basis] * 3)).basis.shape == (3, 2, 2)
    assert reduce([[0.5, 4.5], [0, 15.5]]).basis.dtype == np.float64


def test_channels_are_of_mean_power_one_and_real_matrices_multiply_as_complex_ones() -> None:
    channels = rayleigh_channels(4000, 2, np.random.default_rng(0))
    assert np.mean(np.abs(channels)**2) == pytest.approx(1, abs=0.03)
    x = np.array([1 + 2j, -1 + 1j])
    real = np.concatenate([x.real, x.imag]) @ real_rows(channels[0])
    assert real == pytest.approx(np.concatenate([(channels[0] @ x).real, (channels[0] @ x).imag]))


@pytest.mark.parametrize(("overrides", "message"), [
    (["data.dimension=1"], "data.dimension=1 is not allowed: must be an integer from 2 to 32"),
    (["data.distribution=qary", "data.dimension=5"], "even with data.distribution=qary"),
    (["data.distribution=gaussian"], "choose one of uniform, qary, ntru, knapsack, mimo"),
    (["data.count=0"], "data.count=0"),
    (["study.methods=[lll]"], "is not allowed: choose one of raw"),
    (["study.methods=[greedy,greedy]"], "at least one method, each once"),
    (["study.policy=large"], "study.policy=large is not allowed"),
    (["study.policy=/nowhere/parameters.safetensors"], "it is neither one of small, wide"),
    (["study.steps=0"], "study.steps=0"),
    (["data.count=1000000", "data.dimension=32"], "smaller"),
    (["device=cuda"], "auto or cpu"), (["dtype=float32"], "float64 with study=reduction"),
    (["study=joint", "study.blocks=[5]"], "divide study.subcarriers"),
    (["study=joint", "study.taps=[]"], "study.taps"),
    (["study=detection", "study.levels=3"], "2, 4 or 8"),
    (["study=anytime", "study.budgets=[]"], "at least one"),
    (["study=anytime", "study.policies=[smal]"], r"study.policies=\[smal\] is not allowed"),
    (["study=policy", "study.prior=-1"], "study.prior"),
    (["data=bases_file"], r"data.path=null is not allowed: must be a .npy file"),
])
def test_wrong_settings(overrides: list[str], message: str, tmp_path: Path) -> None:
    first = [] if overrides[0].startswith("study=") else ["study=reduction"]
    with pytest.raises(ConfigError, match=message):
        execute(load_config([*first, *overrides]), output_dir=tmp_path / "run", progress=False)
    assert not list(tmp_path.glob("run/*.csv"))


@pytest.mark.parametrize(("array", "message"), [
    (np.array([[0.5, 0], [0, 1]]), "the entry 0.5, where integers are promised"),
    (np.array([[1, 1], [1, 1]]), "singular"), (np.ones((2, 3)), "a square matrix"),
    (np.array(["a"]), "a file of numbers"), (np.array([[2.0**54, 0], [0, 1]]), "at most 2.53"),
])
def test_wrong_files(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "bases.npy", array)
    with pytest.raises(ConfigError, match=message):
        execute(load_config(["study=reduction", "data=bases_file", f"data.path={tmp_path}/bases.npy"]), progress=False)
