"""Population loss of linear attention on in-context linear regression, exactly.

A network of attention heads predicts sum_abj T_abj Z_ab x_j for the query x, where Z = sum over all N + 1
tokens z = (input, label) of z z^T (the query's label is masked: 0). Everything is written along the
eigenvectors of the inputs' covariance, S = diag(lambda). T enters through its part symmetric in (a, b),
and falls into two sectors that do not mix, because the task w enters them with different parity:

- the mixed sector, input times label: s^T M x with s = sum_n y_n x_n and M_bj = T_yb,j + T_by,j. With
  E s s^T = Q = N (N + 1) S^2 + N tr(S) S and E s w^T = N S its loss is

      L(M) = 1/2 [tr S - 2 N tr(M S^2) + tr(M S M^T Q)] = L_min + 1/2 tr((M - M*) S (M - M*)^T Q),

  M* = N Q^-1 S. The completed square keeps all digits of what is left to learn.
- the even sector, input times input (t, D x D x D, symmetric in its first two indices) and label times label
  (s, D). It is uncorrelated with the target: it costs a quadratic form with its minimum at zero.

The second moments of Z given w are those of a Wishart matrix plus the query's own token:
E Z_ab Z_cd = N^2 G_ab G_cd + N (G_ac G_bd + G_ad G_bc) for the N labelled tokens, G = [S, S w; w^T S, w^T S w];
the expectations over w and x are Isserlis sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import pad

from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression

# Up to this many entries of T the even sector is one matrix, whose product is quicker than its many small terms.
LARGEST_MATRIX = 2100


class AttentionLoss(ABC):
    """Loss as a function of the output tensor T (value_size, key_size, D), along the eigenvectors.

    Attributes:
        value_size: entries of a head's value vector.
        key_size: columns of a head's key matrix.
        minimum: loss of the best T.
    """

    value_size: int
    key_size: int

    def __init__(self, data: InContextRegression) -> None:
        self.data = data
        self.minimum = data.minimal_losses.sum()
        # tr(dM S dM^T Q) weighs entry (b, j) of dM by Q_b lambda_j.
        self.mixed_weights = data.second_moment[:, None] * data.eigenvalues
        self.mixed_optimum = torch.diag(data.optimal_coefficients)

    @abstractmethod
    def loss_and_drive(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, a scalar, and drive -dL/dT, of the shape of T."""

    @abstractmethod
    def stiffness(self, outputs: Tensor) -> Tensor:
        """Second derivative of the loss applied to each of the tensors (..., value_size, key_size, D)."""

    @abstractmethod
    def mixed_sector(self, output: Tensor) -> Tensor:
        """M of output tensors, (..., D, D)."""

    @abstractmethod
    def moments(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Z of sequences with inputs (B, N + 1, D) and labels (B, N + 1), (B, value_size, key_size)."""

    @abstractmethod
    def reading_strengths(self, values: Tensor, keys: Tensor) -> Tensor:
        """How strongly heads use input times label, (..., H, value_size) and (..., H, r, key_size) to (..., H, D)."""

    def _mixed_loss_and_drive(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of the mixed sector and -dL/dM."""
        missing = self.mixed_optimum - matrix
        drive = self.mixed_weights * missing
        return self.minimum + 0.5 * (missing * drive).sum(), drive


class RestrictedLoss(AttentionLoss):
    """Values that write from labels alone, keys that read inputs alone: T is the M of the mixed sector."""

    def __init__(self, data: InContextRegression) -> None:
        super().__init__(data)
        self.value_size, self.key_size = 1, data.dimension

    def loss_and_drive(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """See `AttentionLoss.loss_and_drive`."""
        return self._mixed_loss_and_drive(output)

    def stiffness(self, outputs: Tensor) -> Tensor:
        """See `AttentionLoss.stiffness`."""
        return outputs * self.mixed_weights

    def mixed_sector(self, output: Tensor) -> Tensor:
        """See `AttentionLoss.mixed_sector`."""
        return output[..., 0, :, :]

    def moments(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """See `AttentionLoss.moments`."""
        return labels[:, None, :-1] @ inputs[:, :-1]

    def reading_strengths(self, values: Tensor, keys: Tensor) -> Tensor:
        """See `AttentionLoss.reading_strengths`."""
        norms: Tensor = torch.linalg.vector_norm(keys, dim=-2)
        return values.abs() * norms


class FullLoss(AttentionLoss):
    """Values and keys on inputs and labels, the label last."""

    def __init__(self, data: InContextRegression) -> None:
        super().__init__(data)
        self.value_size = self.key_size = data.dimension + 1
        self.even_sector = EvenSector(data)
        self.even_matrix = self._even_matrix()

    def loss_and_drive(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """See `AttentionLoss.loss_and_drive`."""
        mixed, mixed_drive = self._mixed_loss_and_drive(self.mixed_sector(output))
        even_gradient = self._even_gradient(output)
        # A quadratic form is half the product of its argument and its gradient.
        return mixed + 0.5 * (output * even_gradient).sum(), _mixed_tensor(mixed_drive) - even_gradient

    def stiffness(self, outputs: Tensor) -> Tensor:
        """See `AttentionLoss.stiffness`."""
        return _mixed_tensor(self.mixed_weights * self.mixed_sector(outputs)) + self._even_gradient(outputs)

    def mixed_sector(self, output: Tensor) -> Tensor:
        """See `AttentionLoss.mixed_sector`."""
        return output[..., -1, :-1, :] + output[..., :-1, -1, :]

    def even_loss(self, output: Tensor) -> Tensor:
        """Loss that the even sector adds, (...,)."""
        return 0.5 * (output * self._even_gradient(output)).sum((-3, -2, -1))

    def moments(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """See `AttentionLoss.moments`."""
        masked = torch.cat([labels[:, :-1], torch.zeros_like(labels[:, -1:])], dim=1)
        tokens = torch.cat([inputs, masked[..., None]], dim=-1)
        return tokens.mT @ tokens

    def reading_strengths(self, values: Tensor, keys: Tensor) -> Tensor:
        """See `AttentionLoss.reading_strengths`."""
        norms: Tensor = torch.linalg.vector_norm(keys, dim=-2)
        return values[..., -1:].abs() * norms[..., :-1] + values[..., :-1].abs() * norms[..., -1:]

    def _even_gradient(self, outputs: Tensor) -> Tensor:
        """Derivative of the even sector's loss by T, (..., D + 1, D + 1, D)."""
        if self.even_matrix is not None:
            return (outputs.flatten(-3) @ self.even_matrix).view_as(outputs)
        inputs = outputs[..., :-1, :-1, :]
        return _even_tensor(*self.even_sector.gradient(0.5 * (inputs + inputs.transpose(-3, -2)),
                                                       outputs[..., -1, -1, :]))

    def _even_matrix(self) -> Tensor | None:
        """The even sector's gradient as a matrix on flattened T, if that is small."""
        self.even_matrix = None
        size = self.value_size * self.key_size * self.data.dimension
        if size > LARGEST_MATRIX:
            return None
        unit = torch.eye(size, dtype=self.mixed_weights.dtype, device=self.mixed_weights.device)
        return self._even_gradient(unit.view(size, self.value_size, self.key_size, -1)).flatten(1)


class EvenSector:
    """Quadratic form of the even sector in t (..., D, D, D) and s (..., D)."""

    def __init__(self, data: InContextRegression) -> None:
        self.spectrum = data.eigenvalues
        self.length = data.context_length
        self.trace = data.eigenvalues.sum()
        self.covariance = torch.diag(data.eigenvalues)
        self.cubed = self.spectrum[:, None, None] * self.spectrum[:, None] * self.spectrum

    def gradient(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives by t, symmetric in its first two indices, and by s.

        The terms are, in order: E Z_ab Z_cd over the labelled tokens times E x_j x_k; E Z_ab over the
        labelled tokens times the query's fourth moments, and the other way round; the query's sixth moments.
        """
        spectrum, length, trace = self.spectrum, self.length, self.trace
        flat, steep = self._traces(inputs, spectrum), self._traces(inputs, spectrum.square())
        # The answer's mean slope in x_k, from the query's own token (a cubic, by Isserlis) and from the labelled ones.
        query_means = flat + 2 * torch.einsum("a,...aka->...k", spectrum, inputs)
        token_means = length * (flat + trace * labels)
        diagonal = (length * token_means + length * query_means)[..., None, :] + 2 * length * (
            spectrum[:, None] * labels[..., None, :])
        # Of the sixth moments: c, d and k each paired with an index of t, six ways of which two by two agree.
        turned = inputs + inputs.transpose(-1, -2) + inputs.movedim(-1, -3)
        on_inputs = (self.cubed * (2 * length * inputs + 2 * turned)
                     + _on_diagonal(self.covariance @ diagonal * spectrum)
                     + self._spread(spectrum * (token_means + query_means)))
        labelled = (length**2 + 2 * length) * (trace.square() + 2 * spectrum.square().sum()) * labels
        on_labels = spectrum * (length * trace * (length * flat + query_means) + 2 * length * steep + labelled)
        return on_inputs, on_labels

    def _traces(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """sum_a weights_a t_aak, (..., D)."""
        return torch.einsum("a,...aak->...k", weights, inputs)

    def _spread(self, vector: Tensor) -> Tensor:
        """vector_c S_dk + vector_d S_ck + vector_k S_cd, (..., D) to (..., D, D, D)."""
        along = vector[..., None, None, :] * self.covariance[:, :, None]
        return along + along.transpose(-1, -2) + along.movedim(-1, -3)


def _on_diagonal(values: Tensor) -> Tensor:
    """Entries (..., D, K) to (..., D, D, K), zero where the first two indices differ."""
    return torch.diag_embed(values.transpose(-1, -2)).movedim(-3, -1)


def _mixed_tensor(mixed: Tensor) -> Tensor:
    """M's part of a tensor symmetric in its first two indices, (..., D, D) to (..., D + 1, D + 1, D)."""
    # M_bj = T_yb,j + T_by,j has the derivative 1 by both.
    by_label = pad(mixed[..., None, :, :], (0, 0, 0, 1, mixed.shape[-1], 0))
    return by_label + by_label.transpose(-3, -2)


def _even_tensor(inputs: Tensor, labels: Tensor) -> Tensor:
    """The parts t (..., D, D, D) and s (..., D) as (..., D + 1, D + 1, D)."""
    size = labels.shape[-1]
    corner = pad(labels[..., None, None, :], (0, 0, size, 0, size, 0))
    return pad(inputs, (0, 0, 0, 1, 0, 1)) + corner
