from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun import ConfigError, Samples
from agfrun.labs.staircases.networks.two_layer.digits import DigitsConfig
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig
from agfrun.labs.staircases.networks.two_layer.samples import samples, whitened
from agfrun.labs.staircases.networks.two_layer.teacher_student import TeacherStudentConfig

CPU = torch.device("cpu")


def build(config: Any, dtype: torch.dtype = torch.float64) -> Samples:
    config.check()
    data = config.build(dtype, CPU)
    assert isinstance(data, Samples)
    assert data.inputs.dtype == data.targets.dtype == dtype
    assert len(data.inputs) == len(data.targets)
    assert len(data.output_names) == data.targets.shape[1]
    return data


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 30), dimension=st.integers(1, 8), rank=st.integers(1, 8), seed=st.integers(0, 10**6),
       offset=st.floats(-100, 100))
def test_whitened_inputs_are_isotropic_where_samples_differ(
    count: int, dimension: int, rank: int, seed: int, offset: float
) -> None:
    generator = np.random.default_rng(seed)
    rank = min(rank, dimension)
    inputs = generator.standard_normal((count, rank)) @ generator.standard_normal((rank, dimension)) + offset
    white = whitened(inputs)
    rank = min(rank, count - 1)
    values, vectors = np.linalg.eigh(white.T @ white / count)
    np.testing.assert_allclose(values, [0] * (dimension - rank) + [1 / rank] * rank, atol=1e-10)
    assert np.square(white).sum(1).mean() == pytest.approx(1)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-10)
    # Nothing is lost: the whitened inputs determine the centred ones linearly, on the same space.
    centred = inputs - inputs.mean(0)
    np.testing.assert_allclose(white @ np.linalg.lstsq(white, centred, rcond=1e-8)[0], centred,
                               atol=1e-8 * np.abs(inputs).max())
    np.testing.assert_allclose(white @ vectors[:, : dimension - rank], 0, atol=1e-7)


def test_whitening_is_the_published_formula_at_full_rank() -> None:
    inputs = np.random.default_rng(0).standard_normal((20, 5))
    left, _, right = np.linalg.svd(inputs - inputs.mean(0), full_matrices=False)
    np.testing.assert_allclose(whitened(inputs), left @ right * 2, atol=1e-12)


def test_alike_samples_cannot_be_whitened() -> None:
    with pytest.raises(ValueError, match="all samples are alike"):
        whitened(np.ones((4, 3)))


def test_outputs_are_numbered_unless_they_have_names() -> None:
    arrays = np.zeros((2, 3)), np.zeros((2, 2))
    assert samples(*arrays, torch.float64, CPU).output_names == ("1", "2")
    assert samples(*arrays, torch.float64, CPU, ("a", "b")).output_names == ("a", "b")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_digits(dtype: torch.dtype) -> None:
    pytest.importorskip("sklearn")
    data = build(DigitsConfig(), dtype)
    assert data.inputs.shape == (1797, 64)
    assert data.output_names == tuple("0123456789")
    inputs, targets = data.inputs.double(), data.targets.double()
    # Three of the 64 pixels are black in every image.
    values = torch.linalg.eigvalsh(inputs.T @ inputs / 1797)
    torch.testing.assert_close(values, torch.tensor([0.0] * 3 + [1 / 61] * 61), rtol=0, atol=1e-7)
    assert [i for i in range(64) if float(inputs[:, i].abs().max()) < 1e-7] == [0, 32, 39]
    assert float(targets.mean(0).abs().max()) < 1e-7
    assert float(targets.sum(1).abs().max()) < 1e-6
    assert (targets > 0.5).sum(0).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_of_some_classes() -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    data = build(DigitsConfig(samples=50, classes=[3, 1]))
    labels = [label for label in load_digits().target if label in (1, 3)][:50]
    assert data.output_names == ("3", "1")
    assert (data.targets[:, 0] > 0).tolist() == [label == 3 for label in labels]
    assert torch.linalg.matrix_rank(data.inputs) < 50
    assert float(data.inputs.square().sum(1).mean()) == pytest.approx(1)


@pytest.mark.parametrize(("config", "message"), [
    (DigitsConfig(classes=[1]), r"data\.classes=\[1\] .*at least two digits"),
    (DigitsConfig(classes=[1, 1]), "each once"),
    (DigitsConfig(classes=[1, 10]), "from 0 to 9"),
    (DigitsConfig(samples=1), r"data\.samples=1 .*from 2 to 1797"),
    (DigitsConfig(samples=1798), "from 2 to 1797"),
    (DigitsConfig(samples=400, classes=[0, 1]), r"data\.samples=400 .*at most 360"),
    (DigitsConfig(samples=5), r"data\.samples=5 .*show no \[5, 6, 7, 8, 9\]"),
    (OrthogonalInputsConfig(targets=[]), r"data\.targets=\[\]"),
    (OrthogonalInputsConfig(targets=[1.0, 0.0]), r"from 1e-6 to 1e6 in size"),
    (OrthogonalInputsConfig(targets=[float("nan")]), r"from 1e-6 to 1e6 in size"),
    (OrthogonalInputsConfig(groups="sign"), "did you mean signs"),
    (TeacherStudentConfig(teacher_width=11), r"data\.teacher_width=11 .*at most data\.input_dimension=10"),
    (TeacherStudentConfig(activation="tanh"), r"data\.activation=tanh"),
    (TeacherStudentConfig(samples=0), r"data\.samples=0"),
    (TeacherStudentConfig(noise=-1.0), r"data\.noise=-1"),
    (TeacherStudentConfig(degree=0), r"data\.degree=0"),
    (TeacherStudentConfig(data_seed=-1), r"data\.data_seed=-1"),
])
def test_what_is_refused(config: Any, message: str) -> None:
    if isinstance(config, DigitsConfig):
        pytest.importorskip("sklearn")
    with pytest.raises(ConfigError, match=message):
        build(config)


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        DigitsConfig().check()
    assert str(caught.value) == ("data.name=digits is not allowed: it needs scikit-learn; "
                                 "pip install 'agfrun[images]'")


def test_orthogonal_inputs() -> None:
    data = build(OrthogonalInputsConfig(targets=[-1.0, 2.0, -3.0]))
    assert torch.equal(data.inputs, torch.eye(3))
    assert data.targets.tolist() == [[-1.0], [2.0], [-3.0]]
    assert data.group_names == ("positive", "negative")
    assert data.group_of is not None
    assert data.group_of.tolist() == [1, 0, 1]
    assert build(OrthogonalInputsConfig(targets=[-1.0])).group_names == ("negative",)
    apart = build(OrthogonalInputsConfig(targets=[-1.0, 2.0, -3.0], groups="samples"))
    assert apart.group_names == ("1", "2", "3")
    assert apart.group_of is not None
    assert apart.group_of.tolist() == [0, 1, 2]


def test_a_linear_teacher_is_found_by_least_squares() -> None:
    """y = sum_k b_k (v_k . x), orthonormal v_k and |b_k| = 1, 1/2, 1/3."""
    data = build(TeacherStudentConfig(input_dimension=6, output_dimension=4, activation="monomial", degree=1))
    found = torch.linalg.lstsq(data.inputs, data.targets).solution
    torch.testing.assert_close(data.inputs @ found, data.targets)
    # Directions in output space are random, so that only the sum of squares is that of the norms.
    assert float(found.square().sum()) == pytest.approx(1 + 1 / 4 + 1 / 9)
    assert torch.linalg.matrix_rank(found, atol=1e-8) == 3


def test_a_quadratic_teacher_is_a_quadratic_form() -> None:
    data = build(TeacherStudentConfig(input_dimension=4, activation="monomial", degree=2))
    products = torch.stack([torch.outer(x, x).flatten() for x in data.inputs])
    form = torch.linalg.lstsq(products, data.targets, driver="gelsd").solution.view(4, 4)
    torch.testing.assert_close(products @ form.flatten()[:, None], data.targets)
    values = torch.linalg.eigvalsh(0.5 * (form + form.T)).abs().sort(descending=True).values
    torch.testing.assert_close(values, torch.tensor([1, 1 / 2, 1 / 3, 0.0]), rtol=0, atol=1e-10)


def test_noise_of_the_teacher() -> None:
    clean, noisy = (build(TeacherStudentConfig(samples=20_000, noise=noise)) for noise in (0.0, 0.5))
    assert torch.equal(clean.inputs, noisy.inputs)
    assert float((noisy.targets - clean.targets).std()) == pytest.approx(0.5, rel=4.5 / 40_000**0.5)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "monomial"])
def test_same_seed_same_teacher(activation: str) -> None:
    first, second, other = (build(TeacherStudentConfig(activation=activation, data_seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.targets, second.targets)
    assert not torch.equal(first.inputs, other.inputs)
