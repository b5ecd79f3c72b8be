"""Linear regression data for diagonal linear networks (AGF paper, section 3, and sparse regression)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.staircases.config import DataConfig
from agfrun.study.checks import LARGEST_DATUM, ORDINARY, ordinary, require
from agfrun.study.registry import register

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
# Singular values below this part of the largest are zero.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True)
class RegressionResidual:
    """What regression leaves: errors y - X beta, shape (n,), and drives -dL/dbeta, shape (d,)."""

    errors: Tensor
    drives: Tensor

    @property
    def loss(self) -> Tensor:
        """1/(2n) ||y - X beta||^2, a scalar."""
        return 0.5 * self.errors.square().mean()


@dataclass(frozen=True)
class Regression:
    """Fixed design X (n, d) and targets y (n,); loss 1/(2n) ||X beta - y||^2."""

    inputs: Tensor
    targets: Tensor

    def residual(self, coefficients: Tensor, index: Tensor | None = None) -> RegressionResidual:
        """What coefficients (K,) leave, of the inputs `index` (K,) or all in order; drives are those of all inputs."""
        inputs = self.inputs if index is None else self.inputs[:, index]
        errors = self.targets - inputs @ coefficients
        # All drives: neurons that are not among `index`, dormant ones, are driven as well.
        return RegressionResidual(errors, self.inputs.T @ errors / errors.shape[0])


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


def least_squares(inputs: FloatArray, targets: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The solution of least norm, (d,), and which of its coefficients all solutions share, (d,)."""
    # All d rows on the right; the left factor, (n, n) if full, is not needed.
    values, right = np.linalg.svd(inputs, full_matrices=len(inputs) < inputs.shape[1])[1:]
    rank = int((values > RANK_TOLERANCE * values[0]).sum())
    unique = np.linalg.norm(right[rank:], axis=0) < RANK_TOLERANCE
    return np.asarray(np.linalg.lstsq(inputs, targets, rcond=RANK_TOLERANCE)[0], np.float64), np.asarray(unique)


def sparse_regression(
    dimension: int, samples: int, nonzero: int, noise: float, correlation: float, data_seed: int,
    dtype: torch.dtype, device: torch.device,
) -> Regression:
    """Gaussian inputs with covariance correlation^|i - j| and a sparse coefficient vector.

    The `nonzero` coefficients have random places and signs and the magnitudes 1, 2, ..., `nonzero`, in random
    order.

    Args:
        noise: standard deviation of the Gaussian noise that is added to the targets.
    """
    generator = np.random.default_rng(data_seed)
    steps = generator.normal(size=(samples, dimension))
    inputs = np.empty_like(steps)
    inputs[:, 0] = steps[:, 0]
    # An autoregression has this covariance, at any correlation below one.
    for i in range(1, dimension):
        inputs[:, i] = correlation * inputs[:, i - 1] + np.sqrt(1 - correlation**2) * steps[:, i]
    coefficients = np.zeros(dimension)
    places = generator.permutation(dimension)[:nonzero]
    coefficients[places] = generator.permutation(np.arange(1.0, nonzero + 1)) * generator.choice([-1, 1], nonzero)
    targets = inputs @ coefficients + noise * generator.normal(size=samples)
    return Regression(torch.tensor(inputs, dtype=dtype, device=device),
                      torch.tensor(targets, dtype=dtype, device=device))


def _regression(
    inputs: np.ndarray, coefficients: np.ndarray, dtype: torch.dtype, device: torch.device
) -> Regression:
    return Regression(torch.tensor(inputs, dtype=dtype, device=device),
                      torch.tensor(inputs @ coefficients, dtype=dtype, device=device))


@register("data")
@dataclass
class RotatedRegressionConfig(DataConfig):
    """The paper's two-dimensional regression: a rotated covariance and a planted coefficient."""

    name: str = "rotated_regression"
    eigenvalues: list[float] = field(default_factory=lambda: [1.0, 25.0])
    rotation_degrees: float = 150.0
    coefficients: list[float] = field(default_factory=lambda: [-0.2, 2.0])

    provides: ClassVar[type] = Regression

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.eigenvalues", self.eigenvalues,
                len(self.eigenvalues) == 2 and all(1 / LARGEST_DATUM <= v <= LARGEST_DATUM for v in self.eigenvalues),
                f"two numbers from {1 / LARGEST_DATUM:g} to {LARGEST_DATUM:g}")
        require("data.eigenvalues", self.eigenvalues, max(self.eigenvalues) <= LARGEST_DATUM * min(self.eigenvalues),
                f"two numbers of which one is at most {LARGEST_DATUM:g} times the other")
        require("data.coefficients", self.coefficients,
                len(self.coefficients) == 2 and all(map(ordinary, self.coefficients)), f"two numbers {ORDINARY}")
        require("data.rotation_degrees", self.rotation_degrees, ordinary(self.rotation_degrees), f"a number {ORDINARY}")

    def build(self, dtype: torch.dtype, device: torch.device) -> Regression:
        """See `DataConfig.build`."""
        return rotated_regression(self.eigenvalues, self.rotation_degrees, self.coefficients, dtype, device)


@register("data")
@dataclass
class RandomRegressionConfig(DataConfig):
    """Gaussian regression with covariance diag(1/i) and coefficients 10 * N(0, 1)."""

    name: str = "random_regression"
    dimension: int = 5
    samples: int = 20
    data_seed: int = 10

    provides: ClassVar[type] = Regression

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.dimension", self.dimension, self.dimension >= 1, "an integer of at least 1")
        require("data.samples", self.samples, self.samples >= 1, "an integer of at least 1")
        require("data.data_seed", self.data_seed, 0 <= self.data_seed < 2**32, "an integer from 0 to 2**32 - 1")

    def memory(self) -> float:
        """See `DataConfig.memory`: inputs, and matrices of both sides."""
        return 8 * 6 * float(self.dimension) * (self.samples + 2 * self.dimension)

    def build(self, dtype: torch.dtype, device: torch.device) -> Regression:
        """See `DataConfig.build`."""
        return random_regression(self.dimension, self.samples, self.data_seed, dtype, device)


@register("data")
@dataclass
class SparseRegressionConfig(DataConfig):
    """Fewer samples than coefficients, few of which are not zero (the setting of the Lasso)."""

    name: str = "sparse_regression"
    dimension: int = 30
    samples: int = 20
    nonzero: int = 4
    noise: float = 0.02
    correlation: float = 0.0
    data_seed: int = 0

    provides: ClassVar[type] = Regression

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.dimension", self.dimension, self.dimension >= 1, "an integer of at least 1")
        require("data.samples", self.samples, self.samples >= 1, "an integer of at least 1")
        require("data.nonzero", self.nonzero, 1 <= self.nonzero <= self.dimension,
                f"an integer from 1 to data.dimension={self.dimension}")
        require("data.noise", self.noise, 0 <= self.noise <= LARGEST_DATUM, f"a number from 0 to {LARGEST_DATUM:g}")
        require("data.correlation", self.correlation, -1 < self.correlation < 1, "a number between -1 and 1")
        require("data.data_seed", self.data_seed, self.data_seed >= 0, "an integer of at least 0")

    def memory(self) -> float:
        """See `DataConfig.memory`: inputs, and matrices of both sides."""
        return 8 * 6 * float(self.dimension) * (self.samples + 2 * self.dimension)

    def build(self, dtype: torch.dtype, device: torch.device) -> Regression:
        """See `DataConfig.build`."""
        return sparse_regression(self.dimension, self.samples, self.nonzero, self.noise, self.correlation,
                                 self.data_seed, dtype, device)
