"""Sizes of features in a solution: where trained networks end, and None or NaN where the end is not theirs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agfrun.configuration.composition import load_config
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.run.pipeline import run
from agfrun.labs.staircases.run.problem import build_architecture

QUIET = ("plots=false", "report=false")


def architecture_of(*overrides: str) -> Architecture:
    return build_architecture(load_config([*QUIET, *overrides]))


def solution_of(architecture: Architecture, kind: str = "gaussian") -> np.ndarray | None:
    initial = architecture.initialize(kind, 1e-2, torch.Generator().manual_seed(0))
    sizes = architecture.solution_features(initial)
    return None if sizes is None else sizes.numpy()


@pytest.mark.parametrize("overrides", [
    ("model=diagonal_linear", "data=random_regression"),
    ("model=fully_connected_linear", "data=noncommuting_linear_map", "data.input_dimension=3",
     "data.output_dimension=4"),
    ("model=fully_connected_linear", "data=noncommuting_linear_map", "data.input_dimension=4",
     "data.output_dimension=4", "model.width=2"),
    ("model=linear_attention", "data.eigenvalues=[2,1]", "data.context_length=8", "model.width=3"),
    ("model=linear_attention", "data.eigenvalues=[2,1]", "data.context_length=8", "model.width=1"),
    ("model=quadratic_modadd", "data.p=7", "data.frequencies=[1]", "data.amplitudes=[7]", "model.width=7"),
    ("model=relu", "data=orthogonal_inputs"),
], ids=["diagonal", "linear", "narrow_linear", "attention", "narrow_attention", "modadd", "relu_groups"])
def test_training_ends_there(overrides: tuple[str, ...]) -> None:
    config = load_config([*QUIET, *overrides, "train.convergence=1e-9", "train.horizon=1e5"])
    result = run(config, progress=False)
    assert result.training.status == "converged"
    sizes = result.problem.architecture.solution_features(result.problem.initial)
    assert sizes is not None
    # What is left of the loss is quadratic in what is left of the sizes.
    np.testing.assert_allclose(result.training.trajectory.features[-1], sizes.numpy(),
                               atol=1e-3 * float(sizes.abs().max()))


def test_only_coefficients_that_all_solutions_share_are_known() -> None:
    underdetermined = architecture_of("model=diagonal_linear", "data=sparse_regression")
    sizes = solution_of(underdetermined)
    assert sizes is not None
    assert np.isnan(sizes).all()


def test_a_sign_that_cannot_be_reached_rules_the_solution_out() -> None:
    """Balanced layers keep the sign of their coefficient, and so do squares; single layers at zero do not."""
    published = architecture_of("model=diagonal_linear")  # coefficients -0.2 and 2
    known = solution_of(published, "deterministic")
    assert known == pytest.approx([-0.2, 2.0])
    positive, opposite = torch.full((2, 2), 1e-2), torch.tensor([[1e-2, -1e-2], [1e-2, 1e-2]])
    assert published.solution_features(positive) is None
    reachable = published.solution_features(opposite)
    assert reachable is not None
    assert reachable.numpy() == pytest.approx([-0.2, 2.0])
    assert solution_of(architecture_of("model=diagonal_linear", "model.signed=false"), "deterministic") is None


def test_equal_modes_beyond_the_width_are_nobodys() -> None:
    tied = architecture_of("model=linear_attention", "data.eigenvalues=[1,1]", "data.context_length=8", "model.width=1")
    assert solution_of(tied) is None
    assert solution_of(architecture_of("model=relu", "data=teacher_student")) is None  # features are neurons
