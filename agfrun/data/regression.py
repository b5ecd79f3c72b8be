"""Linear regression data for diagonal linear networks (AGF paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Regression:
    """Fixed design X (n, d) and noise-free targets y (n,); loss 1/(2n) ||X beta - y||^2."""

    inputs: Tensor
    targets: Tensor


def rotated_regression(
    eigenvalues: list[float], rotation_degrees: float, coefficients: list[float],
    dtype: torch.dtype, device: torch.device,
) -> Regression:
    """The paper's 2-D example: X is the Cholesky factor of R diag(eigenvalues) R^T."""
    angle = np.deg2rad(rotation_degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inputs = np.linalg.cholesky(rotation @ np.diag(eigenvalues) @ rotation.T)
    return _regression(inputs, np.asarray(coefficients), dtype, device)


def random_regression(
    dimension: int, samples: int, data_seed: int, dtype: torch.dtype, device: torch.device
) -> Regression:
    """Gaussian inputs with covariance diag(1/i), coefficients 10 * N(0, 1).

    NumPy's legacy generator and its order of draws, so that seed 10 reproduces the published numbers.
    """
    generator = np.random.RandomState(data_seed)
    covariance = np.diag(1.0 / np.arange(1, dimension + 1))
    inputs = generator.multivariate_normal(np.zeros(dimension), covariance, size=samples)
    return _regression(inputs, 10 * generator.randn(dimension), dtype, device)


def _regression(
    inputs: np.ndarray, coefficients: np.ndarray, dtype: torch.dtype, device: torch.device
) -> Regression:
    return Regression(torch.tensor(inputs, dtype=dtype, device=device),
                      torch.tensor(inputs @ coefficients, dtype=dtype, device=device))
