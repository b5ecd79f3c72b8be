"""Population of a linear target, y = B x + noise, as its second moments (AGF paper, section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.files.array_files import read_csv, read_npy
from agfrun.labs.staircases.config import DataConfig
from agfrun.study.checks import LARGEST_DATUM, ORDINARY, require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

Matrix = npt.NDArray[np.float64]

# An eigenvalue of a covariance below this part of the largest is zero.
RANK_TOLERANCE = 1e-12
# How far a file may be from symmetric, positive semi-definite, ..., relative to its largest entry.
FILE_TOLERANCE = 1e-8
LARGEST_DIMENSION = 10_000


@dataclass(frozen=True)
class LinearMap:
    """Second moments of inputs x in R^d and targets y = B x + noise in R^c.

    Attributes:
        inputs: Sigma_xx, (d, d), positive semi-definite.
        cross: Sigma_yx, (c, d).
        targets: Sigma_yy, (c, c).
        target_map: B, (c, d). Where Sigma_xx is singular, only B on its range matters.
        factor: F with F F^T = Sigma_xx and orthogonal columns, largest first, (d, r), r the rank: inputs
            are F z, z standard normal.
        noise_factor: N with N N^T the covariance of the noise, (c, s); s = 0 without noise.
    """

    inputs: Tensor
    cross: Tensor
    targets: Tensor
    target_map: Tensor
    factor: Tensor
    noise_factor: Tensor

    @property
    def noise_loss(self) -> float:
        """The loss that no linear map can avoid, 1/2 tr(Sigma_yy - B Sigma_xx B^T)."""
        return 0.5 * float(self.noise_factor.square().sum())


def linear_map(
    target_map: Matrix, inputs: Matrix, dtype: torch.dtype, device: torch.device, noise: Matrix | None = None
) -> LinearMap:
    """Population of y = B x + noise.

    Args:
        target_map: B, (c, d).
        inputs: covariance of x, (d, d), symmetric and positive semi-definite.
        noise: covariance of the noise, (c, c); None is no noise.
    """
    cross = target_map @ inputs
    targets = cross @ target_map.T
    noise_factor = np.zeros((target_map.shape[0], 0))
    if noise is not None:
        targets, noise_factor = targets + noise, square_root(noise)

    def tensor(matrix: Matrix) -> Tensor:
        return torch.tensor(matrix, dtype=dtype, device=device)

    return LinearMap(tensor(inputs), tensor(cross), tensor(targets), tensor(target_map), tensor(square_root(inputs)),
                     tensor(noise_factor))


def square_root(covariance: Matrix) -> Matrix:
    """F with F F^T = covariance and orthogonal columns, largest first, as many as the rank."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > RANK_TOLERANCE * max(float(values[-1]), 0.0)
    return np.array(np.fliplr(vectors[:, kept] * np.sqrt(values[kept])))


def published_moments(
    input_dimension: int, output_dimension: int, commuting: bool, data_seed: int
) -> tuple[Matrix, Matrix]:
    """B and Sigma_xx of the published experiment: B standard normal, Sigma_xx of eigenvalues 1/k^2.

    NumPy's legacy generator in the published order (two of the four matrices drawn are not used), so
    that dimensions 10 and seed 0 give the published numbers. With `commuting`, the eigenvectors of Sigma_xx
    are the right singular vectors of B, both in descending order; otherwise they are random.
    """
    generator = np.random.RandomState(data_seed)
    generator.randn(input_dimension, input_dimension)
    eigenvectors = np.linalg.qr(generator.randn(input_dimension, input_dimension))[0]
    generator.randn(input_dimension, input_dimension)
    target_map = generator.randn(output_dimension, input_dimension)
    if commuting:
        eigenvectors = np.linalg.svd(target_map)[2].T
    return target_map, power_law_covariance(eigenvectors, 2.0)


def power_law_moments(
    input_dimension: int, output_dimension: int, exponent: float, commuting: bool, data_seed: int
) -> tuple[Matrix, Matrix]:
    """B normal of variance 1/d; Sigma_xx of eigenvalues k^-exponent along random axes, or B's if `commuting`."""
    generator = np.random.default_rng(data_seed)
    target_map = generator.standard_normal((output_dimension, input_dimension)) / math.sqrt(input_dimension)
    eigenvectors, triangle = np.linalg.qr(generator.standard_normal((input_dimension, input_dimension)))
    eigenvectors = eigenvectors * np.sign(np.diag(triangle))  # uniform over rotations
    if commuting:
        eigenvectors = np.linalg.svd(target_map)[2].T
    return target_map, power_law_covariance(eigenvectors, exponent)


def power_law_covariance(eigenvectors: Matrix, exponent: float) -> Matrix:
    """Covariance with eigenvalues k^-exponent along the columns of `eigenvectors`, (d, d)."""
    eigenvalues = np.arange(1.0, eigenvectors.shape[0] + 1) ** -exponent
    return np.asarray((eigenvectors * eigenvalues) @ eigenvectors.T)


@dataclass
class GeneratedLinearMapConfig(DataConfig):
    """Keys that every generated population has."""

    input_dimension: int = 10
    output_dimension: int = 10
    data_seed: int = 0

    provides: ClassVar[type] = LinearMap

    def check(self) -> None:
        """See `DataConfig.check`."""
        for key in ("input_dimension", "output_dimension"):
            value = getattr(self, key)
            require(f"data.{key}", value, 1 <= value <= LARGEST_DIMENSION, f"an integer from 1 to {LARGEST_DIMENSION}")
        require("data.data_seed", self.data_seed, 0 <= self.data_seed < 2**32, "an integer from 0 to 2**32 - 1")

    def memory(self) -> float:
        """See `DataConfig.memory`: moments, their factors and decompositions."""
        return 8 * 12 * float(self.input_dimension + self.output_dimension) ** 2


@register("data")
@dataclass
class CommutingLinearMapConfig(GeneratedLinearMapConfig):
    """Published population whose covariances commute: modes are learned independently (AGF paper, section 4)."""

    name: str = "commuting_linear_map"

    def build(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        """See `DataConfig.build`."""
        return linear_map(*published_moments(self.input_dimension, self.output_dimension, True, self.data_seed),
                          dtype, device)


@register("data")
@dataclass
class NoncommutingLinearMapConfig(GeneratedLinearMapConfig):
    """Published population whose covariances do not commute: modes change one another (AGF paper, section 4)."""

    name: str = "noncommuting_linear_map"

    def build(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        """See `DataConfig.build`."""
        return linear_map(*published_moments(self.input_dimension, self.output_dimension, False, self.data_seed),
                          dtype, device)


@register("data")
@dataclass
class PowerLawLinearMapConfig(GeneratedLinearMapConfig):
    """Gaussian target map on inputs whose covariance has eigenvalues k^-exponent."""

    name: str = "power_law_linear_map"
    input_dimension: int = 20
    exponent: float = 1.0
    commuting: bool = False

    def check(self) -> None:
        """See `DataConfig.check`."""
        super().check()
        require("data.exponent", self.exponent, 0 <= self.exponent <= 10, "a number from 0 to 10")

    def build(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        """See `DataConfig.build`."""
        return linear_map(*power_law_moments(self.input_dimension, self.output_dimension, self.exponent,
                                             self.commuting, self.data_seed), dtype, device)


@register("data")
@dataclass
class CustomLinearMapConfig(DataConfig):
    """The user's own matrices from `.npy` or `.csv` files: Sigma_xx, and either B or Sigma_yx."""

    name: str = "custom_linear_map"
    input_covariance: str | None = None
    target_map: str | None = None
    cross_covariance: str | None = None
    target_covariance: str | None = None

    file_keys: ClassVar[tuple[str, ...]] = ("input_covariance", "target_map", "cross_covariance", "target_covariance")
    provides: ClassVar[type] = LinearMap

    def check(self) -> None:
        """See `DataConfig.check`."""
        for key in ("input_covariance", "target_map", "cross_covariance", "target_covariance"):
            path = getattr(self, key)
            require(f"data.{key}", path, path is None or Path(path).suffix in READERS,
                    f"a file that ends in {' or '.join(READERS)}")
        require("data.input_covariance", self.input_covariance, self.input_covariance is not None,
                f"a file that ends in {' or '.join(READERS)}, with the covariance of the inputs")
        require("data.target_map", self.target_map, (self.target_map is None) != (self.cross_covariance is None),
                "a file, or else data.cross_covariance must be one, and not both")

    def build(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        """See `DataConfig.build`."""
        inputs = _covariance("data.input_covariance", self.input_covariance or "")
        if self.target_map is not None:
            target_map = _matrix("data.target_map", self.target_map, (None, len(inputs)))
        else:
            target_map = _map_of_cross(self.cross_covariance or "", inputs)
        noise = None if self.target_covariance is None else _noise(self.target_covariance, target_map, inputs)
        return linear_map(target_map, inputs, dtype, device, noise)


READERS = {".npy": read_npy, ".csv": read_csv}


def _matrix(key: str, name: str, shape: tuple[int | None, int | None]) -> Matrix:
    """A matrix of real numbers from a file; None in `shape` is any size.

    Raises:
        ConfigError: the file cannot be read, or what is in it is no such matrix.
    """
    path = Path(name).expanduser()
    try:
        matrix = READERS[path.suffix](path)
    except OSError as error:
        raise ConfigError(key, name, f"it cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:  # without NumPy's advice to its callers
        raise ConfigError(key, name, f"it cannot be read: {' '.join(str(error).partition(';')[0].split())}") from None
    require(key, name, matrix.ndim == 2 and matrix.size > 0 and matrix.dtype.kind in "fiu",
            f"a file with a matrix of real numbers, not of shape {matrix.shape} and type {matrix.dtype}")
    wanted = " x ".join("any" if size is None else str(size) for size in shape)
    require(key, name, all(size in (None, actual) for actual, size in zip(matrix.shape, shape, strict=True)),
            f"a matrix of {wanted}, not {matrix.shape[0]} x {matrix.shape[1]}")
    numbers = matrix.astype(np.float64)
    require(key, name, bool((np.abs(numbers) <= LARGEST_DATUM).all()), f"a file with numbers {ORDINARY}")
    return numbers


def _covariance(key: str, name: str, size: int | None = None) -> Matrix:
    """A symmetric, positive semi-definite matrix from a file."""
    matrix = _matrix(key, name, (size, size))
    rows, columns = matrix.shape
    require(key, name, rows == columns, f"a square matrix, not {rows} x {columns}")
    largest = float(np.abs(matrix).max())
    require(key, name, float(np.abs(matrix - matrix.T).max()) <= FILE_TOLERANCE * largest, "symmetric")
    matrix = 0.5 * (matrix + matrix.T)
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    require(key, name, largest > 0 and smallest >= -FILE_TOLERANCE * largest,
            f"positive semi-definite and not zero; its smallest eigenvalue is {smallest:.3g}")
    return matrix


def _map_of_cross(name: str, inputs: Matrix) -> Matrix:
    """B = Sigma_yx Sigma_xx^+; refused where Sigma_yx has a part that no inputs of this covariance could give."""
    cross = _matrix("data.cross_covariance", name, (None, len(inputs)))
    values, vectors = np.linalg.eigh(inputs)
    kept = values > RANK_TOLERANCE * values[-1]
    outside = float(np.linalg.norm(cross @ vectors[:, ~kept]))
    require("data.cross_covariance", name, outside <= FILE_TOLERANCE * float(np.linalg.norm(cross)),
            "zero on inputs that do not vary (data.input_covariance is singular)")
    return np.asarray((cross @ vectors[:, kept] / values[kept]) @ vectors[:, kept].T)


def _noise(name: str, target_map: Matrix, inputs: Matrix) -> Matrix | None:
    """Sigma_yy - B Sigma_xx B^T, the part of the targets that inputs do not explain; None if there is none."""
    targets = _covariance("data.target_covariance", name, target_map.shape[0])
    values, vectors = np.linalg.eigh(targets - target_map @ inputs @ target_map.T)
    scale = FILE_TOLERANCE * float(np.abs(targets).max())
    require("data.target_covariance", name, float(values[0]) >= -scale,
            f"at least the covariance that inputs explain; it falls short by {-float(values[0]):.3g}")
    kept = values > scale
    return np.asarray((vectors[:, kept] * values[kept]) @ vectors[:, kept].T) if bool(kept.any()) else None
