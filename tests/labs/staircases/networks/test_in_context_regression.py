"""The law of the sequences: spectrum, moments, samples, and what the configuration refuses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun import ConfigError
from agfrun.labs.staircases.networks.linear_attention.data import (
    InContextRegression,
    InContextRegressionConfig,
    in_context_regression,
    power_law,
)

CPU = torch.device("cpu")
SPECTRA = st.lists(st.floats(0.05, 3.0), min_size=1, max_size=5)


def law(eigenvalues: list[float], context_length: int = 32, data_seed: int | None = 0) -> InContextRegression:
    return in_context_regression(eigenvalues, context_length, data_seed, torch.float64, CPU)


def outer_moment(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of v v^T over rows and its standard error."""
    products = vectors[:, :, None] * vectors[:, None, :]
    return products.mean(0), products.std(0) / math.sqrt(len(vectors))


def test_default_is_the_paper_s_spectrum() -> None:
    data = InContextRegressionConfig().build(torch.float64, CPU)
    torch.testing.assert_close(data.eigenvalues, torch.tensor([0.96, 0.48, 0.32, 0.24], dtype=torch.float64))
    assert data.context_length == 32
    assert float(data.covariance.trace()) == pytest.approx(2)


def test_published_coefficients() -> None:
    data = InContextRegressionConfig().build(torch.float64, CPU)
    expected = torch.tensor([0.029691, 0.056054, 0.079618, 0.100806], dtype=torch.float64)
    torch.testing.assert_close(data.optimal_coefficients, expected, rtol=0, atol=5e-7)


@given(eigenvalues=SPECTRA, seed=st.integers(0, 2**31))
def test_covariance_has_the_spectrum_in_decreasing_order(eigenvalues: list[float], seed: int) -> None:
    data = law(eigenvalues, data_seed=seed)
    assert data.eigenvalues.tolist() == sorted(eigenvalues, reverse=True)
    identity = torch.eye(len(eigenvalues), dtype=torch.float64)
    torch.testing.assert_close(data.eigenvectors.T @ data.eigenvectors, identity, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.linalg.eigvalsh(data.covariance).flip(0), data.eigenvalues)


def test_no_seed_keeps_the_axes() -> None:
    assert torch.equal(law([1.0, 0.5], data_seed=None).eigenvectors, torch.eye(2, dtype=torch.float64))


def test_a_seed_reproduces_the_eigenvectors_and_another_changes_them() -> None:
    first, again, other = (law([2.0, 1.0, 0.5], data_seed=seed).eigenvectors for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_eigenvectors_are_uniform() -> None:
    """Haar: every entry of an orthogonal matrix has mean 0 and mean square 1 / D."""
    entries = torch.stack([law([3.0, 2.0, 1.0], data_seed=seed).eigenvectors for seed in range(600)]).flatten(1)
    assert float(entries.mean(0).abs().max()) < 5 * 3**-0.5 / 600**0.5
    assert float((entries.square().mean(0) - 1 / 3).abs().max()) < 5 * 0.3 / 600**0.5


@settings(max_examples=30)
@given(eigenvalues=SPECTRA, context_length=st.integers(1, 50))
def test_energies_and_minimal_losses_add_up_to_the_initial_loss(eigenvalues: list[float], context_length: int) -> None:
    data = law(eigenvalues, context_length)
    total = data.energies + data.minimal_losses
    torch.testing.assert_close(total, 0.5 * data.eigenvalues)
    published = 0.5 * data.eigenvalues / (1 + (1 + data.eigenvalues.sum() / data.eigenvalues) / context_length)
    torch.testing.assert_close(data.energies, published)


def test_eigenspaces_are_runs_of_equal_eigenvalues() -> None:
    data = law([1.0, 0.5, 0.5 * (1 + 1e-12), 0.25, 0.25, 0.25])
    assert data.eigenspaces == (slice(0, 1), slice(1, 3), slice(3, 6))
    assert law([2.0]).eigenspaces == (slice(0, 1),)


def test_samples_have_the_law_s_moments() -> None:
    data = law([1.5, 0.4], context_length=3)
    inputs, labels = data.sequences(200_000, torch.Generator().manual_seed(0))
    assert inputs.shape == (200_000, 4, 2)
    assert labels.shape == (200_000, 4)
    covariance, error = outer_moment(inputs[:, -1])
    assert bool(((covariance - torch.diag(data.eigenvalues)).abs() < 5 * error).all())
    context = (labels[:, :-1, None] * inputs[:, :-1]).sum(1)
    second, error = outer_moment(context)
    assert bool(((second - torch.diag(data.second_moment)).abs() < 5 * error).all())


def test_labels_are_linear_in_the_inputs_with_one_task_a_sequence() -> None:
    inputs, labels = law([1.0, 0.5], context_length=5).sequences(7, torch.Generator().manual_seed(1))
    task = torch.linalg.lstsq(inputs, labels[..., None]).solution
    torch.testing.assert_close((inputs @ task)[..., 0], labels)


def test_samples_do_not_depend_on_anything_but_the_generator() -> None:
    data = law([1.0, 0.5])
    first, second = (data.sequences(3, torch.Generator().manual_seed(5))[0] for _ in range(2))
    assert torch.equal(first, second)


@given(dimension=st.integers(1, 30), decay=st.floats(0, 3), trace=st.floats(0.1, 10))
def test_power_law(dimension: int, decay: float, trace: float) -> None:
    spectrum = power_law(dimension, decay, trace)
    assert sum(spectrum) == pytest.approx(trace)
    assert spectrum[-1] / spectrum[0] == pytest.approx(dimension**-decay)


def test_float32() -> None:
    data = InContextRegressionConfig().build(torch.float32, CPU)
    assert {data.eigenvalues.dtype, data.eigenvectors.dtype} == {torch.float32}
    assert data.sequences(2, torch.Generator().manual_seed(0))[0].dtype == torch.float32


@pytest.mark.parametrize(("changes", "key", "allowed"), [
    ({"eigenvalues": []}, "data.eigenvalues", "numbers from 1e-6"),
    ({"eigenvalues": [1.0, -1.0]}, "data.eigenvalues", "numbers from 1e-6"),
    ({"eigenvalues": [math.nan]}, "data.eigenvalues", "numbers from 1e-6"),
    ({"dimension": 0}, "data.dimension", "an integer of at least 1"),
    ({"decay": -0.1}, "data.decay", "a number from 0"),
    ({"decay": math.nan}, "data.decay", "a number from 0"),
    ({"decay": 15.0}, "data.decay", "the smallest eigenvalue would be"),
    ({"trace": 0.0}, "data.trace", "a number from 1e-6"),
    ({"trace": math.inf}, "data.trace", "a number from 1e-6"),
    ({"context_length": 0}, "data.context_length", "an integer of at least 1"),
    ({"data_seed": -1}, "data.data_seed", "or null"),
])
def test_refused(changes: dict[str, object], key: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed) as caught:
        InContextRegressionConfig(**changes).check()  # type: ignore[arg-type]
    assert caught.value.key == key


@pytest.mark.parametrize("changes", [
    {}, {"eigenvalues": [3.0]}, {"decay": 0.0}, {"data_seed": None}, {"decay": 15.0, "eigenvalues": [1.0]},
])
def test_allowed(changes: dict[str, object]) -> None:
    InContextRegressionConfig(**changes).check()  # type: ignore[arg-type]
