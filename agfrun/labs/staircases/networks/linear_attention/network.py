"""Attention-only linear transformer on in-context linear regression (AGF paper, section 5).

A sequence is N tokens (x_n, y_n) and a query (x, 0). Without softmax, the heads h predict the query's label as

    sum_h v_h^T Z K_h^T Q_h x,    Z = sum over all tokens z of z z^T,

where v_h in R^(D+1) is the row of the value matrix that writes labels, and the key and query matrices
K_h, Q_h have r rows. `restricted` keeps the blocks that the paper initializes: v's label entry, and K and Q
on inputs. The others start at zero and then stay there. `full` starts all blocks that can influence the
prediction (Q's label column cannot: the query's label is masked; nor can the other rows of the value matrix).

Heads are neurons of degree 3. Features are the eigenvectors of the inputs' covariance ("modes"), named by the
rank of their eigenvalue; a feature's size is e^T M e for the network's s^T M x on input times label
(s = sum_n y_n x_n). Where eigenvalues coincide, e is not determined: features then are the eigenvalues, in
decreasing order, of M's symmetric part on their common eigenspace.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agfrun.labs.staircases.config import ModelConfig
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.linear_attention.coordinates import HeadCoordinates
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead
from agfrun.labs.staircases.networks.linear_attention.heads import HeadLayout, output_of_products
from agfrun.labs.staircases.networks.linear_attention.moments import AttentionLoss, FullLoss, RestrictedLoss
from agfrun.labs.staircases.networks.linear_attention.own_size import attention_own_size
from agfrun.labs.staircases.networks.linear_attention.theory import linear_attention_theory, loss_levels
from agfrun.labs.staircases.networks.linear_attention.utility import AttentionUtility
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.wording import Wording
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

LOSSES: dict[str, type[AttentionLoss]] = {"restricted": RestrictedLoss, "full": FullLoss}
# Sampled sequences are worked through in pieces of about this many numbers.
NUMBERS_TOGETHER = 2**21


@register("model")
@dataclass
class LinearAttentionConfig(ModelConfig):
    """Attention-only linear transformer on in-context linear regression (AGF paper, section 5)."""

    name: str = "linear_attention"
    width: int = 5
    head_dim: int = 1
    parameterization: str = "restricted"

    data_type: ClassVar[type] = InContextRegression
    initializations: ClassVar[tuple[str, ...]] = ("gaussian", "balanced")

    def check(self) -> None:
        """See `ModelConfig.check`."""
        require("model.width", self.width, self.width >= 1, "an integer of at least 1")
        require("model.head_dim", self.head_dim, self.head_dim >= 1, "an integer of at least 1")
        one_of("model.parameterization", self.parameterization, LOSSES)

    def neurons_shape(self, data: InContextRegression) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return self.width, 1 + 2 * self.head_dim * data.dimension

    def build(self, data: InContextRegression) -> LinearAttention:
        """See `ModelConfig.build`."""
        return LinearAttention(data, self.width, self.head_dim, self.parameterization)


@dataclass(frozen=True)
class AttentionResidual:
    """What attention leaves: the paper loss, a scalar, and the drive -dL/dT along the eigenvectors.

    A head's utility is the inner product of its own output tensor with the drive, (value_size, key_size, D).
    """

    loss: Tensor
    drive: Tensor


class LinearAttention(Architecture):
    """Linear attention; heads theta = (v, K, Q) as `HeadLayout` says.

    Args:
        width: number of heads H.
        head_dim: rows r of K and Q.
        parameterization: `restricted` (1 + 2 r D numbers a head) or `full` (D + 1 + r (2 D + 1)).

    Attributes:
        minimal_loss: the least loss that so many heads of this rank can reach; it is not zero.
    """

    name = "linear_attention"
    homogeneity_degree = 3
    output_dimension = 1
    wording = Wording("mode", "coefficient along the eigenvector")

    def __init__(
        self, data: InContextRegression, width: int, head_dim: int = 1, parameterization: str = "restricted"
    ) -> None:
        self.data = data
        self.width = width
        self.head_dim = head_dim
        self.parameterization = parameterization
        self.device = data.eigenvalues.device
        self.dtype = data.eigenvalues.dtype
        self.feature_names = tuple(str(rank) for rank in range(1, data.dimension + 1))
        self.attention_loss = LOSSES[parameterization](data)
        self.layout = HeadLayout.of(data, head_dim, self.attention_loss.value_size, self.attention_loss.key_size)
        self.sizes = self.layout.sizes
        self.neuron_dimension = sum(self.sizes)
        # As in the paper all entries have one deviation, there the scale itself: that is sqrt(p / 2) scales here.
        self.parameter_blocks = tuple((size, (2 / self.neuron_dimension) ** 0.5) for size in self.sizes)
        self.minimal_loss = loss_levels(data)[min(width * head_dim, data.dimension)]

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Gaussian; `balanced`: v, K, Q of one norm. Restricted heads start with v > 0, as in the paper.

        Turning the signs of v and K leaves a head's output alone, so that this is no restriction.
        """
        neurons = super().draw("gaussian", scale, generator)
        if kind == "balanced":
            parts = [part / torch.linalg.vector_norm(part, dim=1, keepdim=True)
                     for part in torch.split(neurons, list(self.sizes), dim=1)]
            # Three parts of equal norm make sqrt(2) scale.
            neurons = (2 / 3) ** 0.5 * scale * torch.cat(parts, dim=1)
        elif kind != "gaussian":
            return super().draw(kind, scale, generator)
        if self.parameterization == "restricted":
            neurons[:, 0] = neurons[:, 0].abs()
        return neurons

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory:
        """Order, levels, bounds; for restricted heads also times."""
        heads = self._dormant_heads(initial) if self.parameterization == "restricted" else None
        return linear_attention_theory(self.data, initial, heads, self.head_dim, threshold)

    def own_size(self, initial: Tensor, log_factor: float = 0.0) -> OwnSizePrediction:
        """Own-size steps of restricted heads of any rank, any number of them."""
        if self.parameterization != "restricted":
            return OwnSizePrediction(
                "own-size steps", (), void="the full parameterization reads input times label in two ways that share "
                "the queries: its dormant heads have no closed form, and own-size steps none")
        return attention_own_size(self.data, self._dormant_heads(initial * math.exp(log_factor)))

    def data_arrays(self) -> dict[str, Tensor]:
        """Eigenvalues (D,), eigenvectors in columns (D, D) and the optimal coefficients (D,)."""
        return {"eigenvalues": self.data.eigenvalues, "eigenvectors": self.data.eigenvectors,
                "optimal_coefficients": self.data.optimal_coefficients}

    def parts(self, neurons: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `HeadLayout.parts`."""
        return self.layout.parts(neurons)

    def output_tensor(self, neurons: Tensor) -> Tensor:
        """See `HeadLayout.output_tensor`."""
        return self.layout.output_tensor(neurons)

    def mixed_matrix(self, neurons: Tensor) -> Tensor:
        """M along the eigenvectors, (..., D, D): the network answers s^T M x on input times label."""
        return self.attention_loss.mixed_sector(self.output_tensor(neurons))

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> AttentionResidual:
        """Loss and drive of the network made of `neurons`."""
        return AttentionResidual(*self.attention_loss.loss_and_drive(self.output_tensor(neurons)))

    def loss(self, residual: AttentionResidual) -> Tensor:
        """Paper loss."""
        return residual.loss

    def frozen_utility(self, sources: Tensor) -> AttentionUtility:
        """See `Architecture.frozen_utility`."""
        return AttentionUtility(self.layout, self.attention_loss)

    def utility_gradient(
        self, neurons: Tensor, residual: AttentionResidual, index: Tensor | None = None
    ) -> Tensor:
        """Gradient of <v (x) K^T Q, drive>, O(K r D^2) restricted, O(K D^3) full."""
        values, keys, queries = self.parts(neurons)
        return self._utility_gradient(values, keys, queries, keys.mT @ queries, residual.drive)

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient in one pass."""
        values, keys, queries = self.parts(neurons)
        products = keys.mT @ queries
        loss, drive = self.attention_loss.loss_and_drive(output_of_products(values, products))
        return loss, -self._utility_gradient(values, keys, queries, products, drive)

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> FlowCoordinates:
        """Restricted heads along the eigenvectors, others as they are."""
        if log_factor or self.parameterization != "restricted":
            return super().flow_coordinates(neurons, index, log_factor)
        return HeadCoordinates(self, self.data, self.layout, neurons, index)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """J^T (d^2 L / dT^2) J - sum_h <drive, d^2 T_h>, with J = dT / dTheta."""
        count, size = neurons.shape
        jacobian = self._output_jacobian(neurons).flatten(0, 1)
        stiff = self.attention_loss.stiffness(jacobian).flatten(1)
        hessian = (jacobian.flatten(1) @ stiff.T).view(count, size, count, size)
        curvature = self._utility_curvature(neurons, self.residual(neurons).drive)
        hessian = hessian - torch.einsum("hij,hk->hikj", curvature, torch.eye(count).to(hessian))
        # From the eigenvectors to the parameters, for each pair of heads.
        turned = self.layout.axes @ hessian.permute(0, 2, 1, 3) @ self.layout.axes.T
        return turned.permute(0, 2, 1, 3).reshape(count * size, count * size)

    def features(self, neurons: Tensor) -> Tensor:
        """Coefficients e_i^T M e_i, (..., H, p) to (..., D); 1 / (tr Sigma + (N + 1) lambda_i) once learned."""
        matrix = self.mixed_matrix(neurons)
        sizes = torch.diagonal(matrix, dim1=-2, dim2=-1)
        for space in self._degenerate_spaces():
            members = torch.linalg.eigvalsh(_symmetric_part(matrix[..., space, space])).flip(-1)
            sizes = torch.cat([sizes[..., : space.start], members, sizes[..., space.stop :]], dim=-1)
        return sizes

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """Optimal coefficients of as many modes as the heads have room for, the largest eigenvalues first.

        None where room ends within an eigenspace.
        """
        room = self.width * self.head_dim
        if any(space.start < room < space.stop for space in self.data.eigenspaces):
            return None
        kept = torch.arange(self.data.dimension, device=self.device) < room
        return torch.where(kept, self.data.optimal_coefficients, 0.0)

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """Cube root of lambda_i^2 times the norms of v, K_i and Q_i, as they enter the utility, (..., H, D)."""
        values, keys, queries = self.parts(neurons)
        keys, queries = self._in_features(neurons, keys), self._in_features(neurons, queries)
        reading = self.attention_loss.reading_strengths(values, keys)
        norms = torch.linalg.vector_norm(queries, dim=-2)
        # A root of each factor: the product of all might underflow.
        strengths: Tensor = (reading * self.data.eigenvalues.square()).pow(1 / 3) * norms.pow(1 / 3)
        return strengths

    def observables(self, neurons: Tensor) -> dict[str, Tensor]:
        """Singular values of M (..., D); full: the loss that output without input times label adds (..., 1)."""
        output = self.output_tensor(neurons)
        seen = {"singular value": torch.linalg.svdvals(self.attention_loss.mixed_sector(output))}
        if isinstance(self.attention_loss, FullLoss):
            seen["loss of the even sector"] = self.attention_loss.even_loss(output)[..., None]
        return seen

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over fresh sequences, drawn in pieces so that memory stays bounded."""
        output = self.output_tensor(neurons)
        drive = torch.zeros_like(output)
        per_sequence = (self.data.context_length + 1) * (self.data.dimension + 1) + output[..., 0].numel()
        piece = max(1, NUMBERS_TOGETHER // per_sequence)
        for start in range(0, batch_size, piece):
            inputs, labels = self.data.sequences(min(piece, batch_size - start), generator)
            moments = self.attention_loss.moments(inputs, labels).flatten(1)
            queries = inputs[:, -1]
            answers = ((moments @ output.flatten(0, 1)) * queries).sum(-1)
            errors = labels[:, -1] - answers
            drive += (moments.T @ (errors[:, None] * queries / batch_size)).view_as(drive)
        # The gradient does not ask for the loss.
        return -self.utility_gradient(neurons, AttentionResidual(drive.new_zeros(()), drive))

    def _dormant_heads(self, neurons: Tensor) -> list[DormantHead]:
        """Restricted heads along the eigenvectors."""
        parts = [part.cpu().double().numpy() for part in self.parts(neurons)]
        return [DormantHead.of(float(v[0]), keys, queries) for v, keys, queries in zip(*parts, strict=True)]

    def _utility_gradient(self, values: Tensor, keys: Tensor, queries: Tensor, products: Tensor,
                          drive: Tensor) -> Tensor:
        """Gradient of the utilities from the parts of the heads and products = K^T Q, (K, p)."""
        flat = drive.reshape(drive.shape[0], -1)
        weighted = (values @ flat).view_as(products)
        by_keys, by_queries = (queries @ weighted.mT).flatten(1), (keys @ weighted).flatten(1)
        return torch.cat([products.flatten(1) @ flat.T, by_keys, by_queries], dim=1) @ self.layout.axes.T

    def _degenerate_spaces(self) -> list[slice]:
        return [space for space in self.data.eigenspaces if space.stop - space.start > 1]

    def _in_features(self, neurons: Tensor, vectors: Tensor) -> Tensor:
        """Vectors (..., H, r, D or D + 1) along what the features stand for in degenerate eigenspaces."""
        spaces = self._degenerate_spaces()
        if not spaces:
            return vectors
        matrix, turned = self.mixed_matrix(neurons), vectors.clone()
        for space in spaces:
            members = torch.linalg.eigh(_symmetric_part(matrix[..., space, space])).eigenvectors.flip(-1)
            turned[..., space] = vectors[..., space] @ members[..., None, :, :]
        return turned

    def _output_jacobian(self, neurons: Tensor) -> Tensor:
        """Derivative of T by the parameters along the eigenvectors, (H, p, value_size, key_size, D)."""
        values, keys, queries = self.parts(neurons)
        def identity(size: int) -> Tensor:
            return torch.eye(size, dtype=self.dtype, device=self.device)

        by_values = torch.einsum("ca,hbj->hcabj", identity(values.shape[-1]), keys.mT @ queries)
        by_keys = torch.einsum("ha,cb,hrj->hrcabj", values, identity(keys.shape[-1]), queries)
        by_queries = torch.einsum("ha,hrb,cj->hrcabj", values, keys, identity(queries.shape[-1]))
        return torch.cat([by_values, by_keys.flatten(1, 2), by_queries.flatten(1, 2)], dim=1)

    def _utility_curvature(self, neurons: Tensor, drive: Tensor) -> Tensor:
        """Hessian of each head's utility along the eigenvectors, (H, p, p)."""
        values, keys, queries = self.parts(neurons)
        count, (first, second, _) = len(neurons), self.sizes
        curvature = neurons.new_zeros(count, self.neuron_dimension, self.neuron_dimension)
        rows = torch.eye(self.head_dim, dtype=self.dtype, device=self.device)
        weighted = torch.einsum("ha,abj->hbj", values, drive)
        # U is linear in each of v, K and Q: only mixed blocks, here those above the diagonal.
        curvature[:, :first, first : first + second] = torch.einsum("abj,hrj->harb", drive, queries).flatten(2)
        curvature[:, :first, first + second :] = torch.einsum("abj,hrb->harj", drive, keys).flatten(2)
        curvature[:, first : first + second, first + second :] = torch.einsum(
            "rs,hbj->hrbsj", rows, weighted).flatten(3).flatten(1, 2)
        return curvature + curvature.mT


def _symmetric_part(matrix: Tensor) -> Tensor:
    return 0.5 * (matrix + matrix.mT)
