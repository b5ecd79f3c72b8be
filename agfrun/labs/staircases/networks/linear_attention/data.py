"""In-context linear regression for linear attention (AGF paper, section 5; Zhang et al. 2025).

A sequence holds N labelled tokens (x_n, y_n = <w, x_n>) and a query x_q whose label is to be predicted;
x ~ N(0, Sigma), and the task w ~ N(0, I) is drawn anew for every sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agfrun.labs.staircases.config import DataConfig
from agfrun.study.checks import require
from agfrun.study.registry import register

# Eigenvalues that agree to this relative difference share one eigenspace.
EQUAL = 1e-9


@dataclass(frozen=True)
class InContextRegression:
    """The law of the sequences.

    Attributes:
        eigenvalues: of the covariance Sigma, positive, in decreasing order, shape (D,).
        eigenvectors: its orthonormal eigenvectors as columns, shape (D, D).
        context_length: number N of labelled tokens in a sequence.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    context_length: int

    @property
    def dimension(self) -> int:
        """Dimension D of an input."""
        return self.eigenvalues.shape[0]

    @property
    def covariance(self) -> Tensor:
        """Sigma, (D, D)."""
        return (self.eigenvectors * self.eigenvalues) @ self.eigenvectors.T

    @property
    def second_moment(self) -> Tensor:
        """Eigenvalues of E s s^T = N (N + 1) Sigma^2 + N tr(Sigma) Sigma, where s = sum_n y_n x_n; (D,)."""
        length, spectrum = self.context_length, self.eigenvalues
        return length * spectrum * ((length + 1) * spectrum + spectrum.sum())

    @property
    def optimal_coefficients(self) -> Tensor:
        """Optimum of the prediction s^T M x_q along each eigenvector, 1 / (tr Sigma + (N + 1) lambda); (D,)."""
        return 1 / (self.eigenvalues.sum() + (self.context_length + 1) * self.eigenvalues)

    @property
    def energies(self) -> Tensor:
        """Loss that each eigenvector carries while it is unlearned, N lambda^2 / 2 times its optimum; (D,)."""
        return 0.5 * self.context_length * self.eigenvalues.square() * self.optimal_coefficients

    @property
    def minimal_losses(self) -> Tensor:
        """Loss that each eigenvector leaves once it is learned, lambda / 2 less its energy; (D,)."""
        # The difference lambda / 2 - energy, carried out: with a long context it would cancel.
        rest = self.eigenvalues.sum() + self.eigenvalues
        return 0.5 * self.eigenvalues * rest * self.optimal_coefficients

    @property
    def eigenspaces(self) -> tuple[slice, ...]:
        """Runs of equal eigenvalues."""
        spectrum = self.eigenvalues.tolist()
        starts = [0] + [i for i in range(1, len(spectrum)) if spectrum[i - 1] - spectrum[i] > EQUAL * spectrum[i - 1]]
        return tuple(slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(spectrum)], strict=True))

    def sequences(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random sequences in coordinates along the eigenvectors.

        Returns:
            Inputs (count, N + 1, D), the query last, and true labels (count, N + 1).
        """
        def normal(*shape: int) -> Tensor:
            drawn = torch.randn(*shape, generator=generator, dtype=self.eigenvalues.dtype, device=generator.device)
            return drawn.to(self.eigenvalues.device)

        inputs = normal(count, self.context_length + 1, self.dimension) * self.eigenvalues.sqrt()
        return inputs, (inputs @ normal(count, self.dimension, 1))[..., 0]


def in_context_regression(
    eigenvalues: list[float], context_length: int, data_seed: int | None, dtype: torch.dtype, device: torch.device
) -> InContextRegression:
    """Build the law; `data_seed` draws the eigenvectors uniformly, None makes them the coordinate axes."""
    spectrum = torch.tensor(sorted(eigenvalues, reverse=True), dtype=dtype)
    axes = torch.eye(len(eigenvalues), dtype=dtype)
    if data_seed is not None:
        generator = torch.Generator(device="cpu").manual_seed(data_seed)
        drawn = torch.linalg.qr(torch.randn(*axes.shape, generator=generator, dtype=torch.float64))
        # QR's own choice of signs is not random; with R's diagonal positive, Q is uniform over rotations.
        axes = (drawn.Q * drawn.R.diagonal().sign()).to(dtype)
    return InContextRegression(spectrum.to(device), axes.to(device), context_length)


def power_law(dimension: int, decay: float, trace: float) -> list[float]:
    """Eigenvalues proportional to i^-decay, i = 1 .. dimension, that add up to `trace`."""
    weights = [rank**-decay for rank in range(1, dimension + 1)]
    total = sum(weights)
    return [trace * weight / total for weight in weights]


@register("data")
@dataclass
class InContextRegressionConfig(DataConfig):
    """In-context linear regression with Gaussian inputs of a given covariance (AGF paper, section 5)."""

    name: str = "in_context_regression"
    eigenvalues: list[float] | None = None
    dimension: int = 4
    decay: float = 1.0
    trace: float = 2.0
    context_length: int = 32
    data_seed: int | None = 0

    provides: ClassVar[type] = InContextRegression

    def check(self) -> None:
        """See `DataConfig.check`."""
        if self.eigenvalues is not None:
            require("data.eigenvalues", self.eigenvalues,
                    len(self.eigenvalues) > 0 and all(1e-6 <= value <= 1e6 for value in self.eigenvalues),
                    "numbers from 1e-6 to 1e6, or null for a power law")
        require("data.dimension", self.dimension, self.dimension >= 1, "an integer of at least 1")
        require("data.trace", self.trace, 1e-6 <= self.trace <= 1e6, "a number from 1e-6 to 1e6")
        require("data.decay", self.decay, 0 <= self.decay <= 20, "a number from 0 to 20")
        smallest = power_law(self.dimension, self.decay, self.trace)[-1]
        require("data.decay", self.decay, self.eigenvalues is not None or smallest >= 1e-6,
                f"smaller: the smallest eigenvalue would be {smallest:.1e}, below 1e-6")
        require("data.context_length", self.context_length, self.context_length >= 1, "an integer of at least 1")
        require("data.data_seed", self.data_seed, self.data_seed is None or 0 <= self.data_seed < 2**63,
                "an integer from 0 to 2**63 - 1, or null to keep the coordinate axes as eigenvectors")

    def memory(self) -> float:
        """See `DataConfig.memory`: matrices of the dimension."""
        return 8 * 10 * float(self.dimension) ** 2

    def build(self, dtype: torch.dtype, device: torch.device) -> InContextRegression:
        """See `DataConfig.build`."""
        spectrum = self.eigenvalues or power_law(self.dimension, self.decay, self.trace)
        return in_context_regression(spectrum, self.context_length, self.data_seed, dtype, device)
