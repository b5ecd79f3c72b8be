"""Two-layer network of degree k + 1 on sequences of k elements of a finite group (arXiv 2602.03655).

f(g_1, ..., g_k) = sum_i (<u_i1, x_g1> + ... + <u_ik, x_gk>)^k w_i with all u and w in R^n. Features are the singular
values of the template's Fourier coefficients at the group's real irreps. Modular addition is its case C_p, k = 2:
`quadratic_modadd` keeps code of its own for data, theory and features, in the waves of C_p, with phases, three-wave
times and what is known of shares; what both sum over pairs of elements is one code (`PairLoss`, `OutputLoss`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from agfrun.labs.staircases.config import LARGEST_FACTORIZED, ModelConfig
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.group_composition.coordinates import SequenceCoordinates
from agfrun.labs.staircases.networks.group_composition.data import GroupSequences
from agfrun.labs.staircases.networks.group_composition.shifts import GroupShifts
from agfrun.labs.staircases.networks.group_composition.theory import composition_theory
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.ensemble import TemplateEnsemble
from agfrun.labs.staircases.networks.quadratic_modadd.utility import QuadraticUtility
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.wording import Wording
from agfrun.study.checks import require
from agfrun.study.registry import register


@register("model")
@dataclass
class GroupCompositionConfig(ModelConfig):
    """Two-layer network of degree k + 1 on sequences of k elements of a finite group."""

    name: str = "group_composition"
    loss_normalization: str = "mean_over_outputs"
    width: int = 40

    data_type: ClassVar[type] = GroupSequences

    def check(self) -> None:
        """See `ModelConfig.check`."""
        require("model.width", self.width, self.width >= 1, "an integer of at least 1")

    def neurons_shape(self, data: GroupSequences) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return self.width, (data.length + 1) * data.order

    def build(self, data: GroupSequences) -> GroupComposition:
        """See `ModelConfig.build`."""
        return PairComposition(data, self.width) if data.length == 2 else GroupComposition(data, self.width)


class GroupComposition(Architecture):
    """Network of degree k + 1 on sequences of k elements, neurons theta = (u_1, ..., u_k, w) with D = (k + 1) n."""

    name = "group_composition"
    wording = Wording("irrep", "singular value of the output")

    def __init__(self, data: GroupSequences, width: int) -> None:
        self.data, self.width = data, width
        order, length = data.order, data.length
        self.homogeneity_degree = length + 1
        self.neuron_dimension = (length + 1) * order
        self.output_dimension = order
        self.feature_names = tuple(part.name for part in data.parts)
        # The u are one layer of k n inputs, w another: norm sqrt(2).
        self.parameter_blocks = ((order, (length * order) ** -0.5),) * length + ((order, order**-0.5),)
        self.device, self.dtype = data.template.device, data.template.dtype
        self.shifts = GroupShifts.under(data.composition, data.template)
        self.encodings = self.shifts.circulant
        self.sequence_loss = self.shifts.sequence_loss(length, self.encodings, self.encodings)
        kind = torch.complex128 if self.dtype == torch.float64 else torch.complex64
        self.parts = [{name: torch.tensor(array, dtype=kind, device=self.device) for name, array in {
            "adjoints": part.irrep.matrices.conj().transpose(0, 2, 1),
            "left": part.left, "right": part.right, "coefficient": part.irrep.coefficient(data.template.cpu().numpy()),
        }.items()} for part in data.parts]

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Any:
        """What the neurons contribute."""
        return self.sequence_loss.responses(neurons)

    def loss(self, residual: Any) -> Tensor:
        """Paper loss, a scalar."""
        return self.sequence_loss.loss(residual)

    def utility_gradient(self, neurons: Tensor, residual: Any, index: Tensor | None = None) -> Tensor:
        """Gradient of the utilities, (K, D)."""
        return self.sequence_loss.utility_gradient(self.sequence_loss.responses(neurons), residual)

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient in one pass."""
        return self.sequence_loss.loss_and_gradient(neurons)

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory:
        """Order, levels and bounds."""
        return composition_theory(self.data, initial, threshold)

    def data_arrays(self) -> dict[str, Tensor]:
        """The template, (n,)."""
        return {"group_template": self.data.template}

    def features(self, neurons: Tensor) -> Tensor:
        """Singular values of the output along the template's singular vectors, (..., H, D) to (..., F).

        Move each output back by the product of its sequence, average over all sequences, and take the Fourier
        coefficient k!/n^k sum_i w_hat u_k_hat^* x_hat ... u_1_hat^* x_hat. Signed; s once learned.
        """
        scale = math.factorial(self.data.length) / self.data.order**self.data.length
        sizes = []
        for part, place in zip(self.parts, self._coefficients(neurons), strict=True):
            answer = place[..., -1, :, :]
            for following in range(self.data.length - 1, -1, -1):
                answer = answer @ (place[..., following, :, :].mH @ part["coefficient"])
            along = (part["left"].conj() * (answer.sum(-3) @ part["right"])).sum((-2, -1)).real
            sizes.append(scale * along / part["left"].shape[1])
        return torch.stack(sizes, dim=-1)

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """The template's singular values."""
        return self.data.values

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """Geometric mean of the sizes of u_1, ..., u_k and w along each feature, times s; (..., H, F)."""
        strengths = []
        for part, place in zip(self.parts, self._coefficients(neurons), strict=True):
            # The response of u is that of u_hat^* x_hat: what u has on the left singular vectors counts.
            sizes = torch.linalg.vector_norm(part["left"].mH @ place, dim=(-2, -1))
            strengths.append(sizes.prod(-1).pow(1 / self.homogeneity_degree))
        return torch.stack(strengths, dim=-1) * self.data.values

    def _coefficients(self, neurons: Tensor) -> list[Tensor]:
        """Fourier coefficients of u_1, ..., u_k, w at each feature's irrep, (..., H, k + 1, d, d)."""
        parts = neurons.reshape(*neurons.shape[:-1], self.data.length + 1, self.data.order)
        found: dict[int, Tensor] = {}
        for one, part in zip(self.data.parts, self.parts, strict=True):
            if one.irrep.number not in found:
                adjoints = part["adjoints"].flatten(1)
                flat = torch.complex(parts @ adjoints.real, parts @ adjoints.imag)
                found[one.irrep.number] = flat.view(*flat.shape[:-1], *part["adjoints"].shape[1:])
        return [found[one.irrep.number] for one in self.data.parts]

    def outputs(self, neurons: Tensor, elements: Tensor) -> Tensor:
        """Network outputs, shape (N, n), for sequences (k, N)."""
        return self._sums(neurons, elements).pow(self.data.length).T @ neurons[:, -self.data.order :]

    def _sums(self, neurons: Tensor, elements: Tensor) -> Tensor:
        """Sums of the responses to sequences (k, N), (K, N)."""
        inputs = neurons.view(len(neurons), -1, self.data.order)[:, :-1]
        responses = inputs @ self.encodings
        sums: Tensor = sum((responses[:, place, element] for place, element in enumerate(elements)),
                           torch.zeros((), dtype=self.dtype, device=self.device))
        return sums

    def targets(self, elements: Tensor) -> Tensor:
        """Targets of sequences (k, N), shape (N, n)."""
        return self.encodings.T[self.data.composition.product(elements)]

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over `batch_size` random sequences."""
        order, length = self.data.order, self.data.length
        elements = torch.randint(order, (length, batch_size), generator=generator,
                                 device=generator.device).to(self.device)
        output, sums = neurons[:, -order:], self._sums(neurons, elements)
        error = (sums.pow(length).T @ output - self.targets(elements)) / batch_size
        back = length * sums.pow(length - 1) * (output @ error.T)
        return torch.cat([*(back @ self.encodings[:, element].T for element in elements), sums.pow(length) @ error],
                         dim=1)

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> FlowCoordinates:
        """Coordinates without the directions that nothing excites."""
        return SequenceCoordinates(self.shifts, self.data.length, neurons)


class PairComposition(GroupComposition):
    """The network on pairs of elements, by all that there is for modular addition: Hessian, stiff part, kernels."""

    def __init__(self, data: GroupSequences, width: int) -> None:
        super().__init__(data, width)
        self.pair_loss = self.shifts.loss_by_moments(self.encodings, self.encodings)
        self.output_loss = self.shifts.output_loss(self.encodings)

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Any:
        """What the neurons contribute."""
        return self.pair_loss.moments(neurons)

    def loss(self, residual: Any) -> Tensor:
        """Paper loss, a scalar."""
        return self.pair_loss.loss(residual)

    def utility_gradient(self, neurons: Tensor, residual: Any, index: Tensor | None = None) -> Tensor:
        """Gradient of the utilities, (K, D)."""
        return self.pair_loss.utility_gradient(self.pair_loss.moments(neurons), residual)[0]

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient in one pass."""
        return self.pair_loss.loss_and_gradient(neurons)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Exact Hessian from the moments."""
        return self.pair_loss.hessian(neurons)

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> FlowCoordinates:
        """Coordinates without the directions that nothing excites."""
        coordinates = TemplateCoordinates(self.shifts, neurons)
        if coordinates.output_loss is None and coordinates.encode(neurons).numel() > LARGEST_FACTORIZED:
            # No part of so large a Hessian is worth factorizing: by those that no implicit method asks for one.
            return super().flow_coordinates(neurons, index, log_factor)
        return coordinates

    def frozen_utility(self, sources: Tensor) -> QuadraticUtility:
        """See `Architecture.frozen_utility`."""
        return QuadraticUtility(self.shifts.basis, self.output_loss, sources)

    def ensemble_flow(self, neurons: Tensor, log_factor: float = 0.0) -> EnsembleFlow | None:
        """See `Architecture.ensemble_flow`; None where the loss goes by pairs of neurons."""
        members = [TemplateCoordinates(self.shifts, member) for member in neurons]
        return None if members[0].output_loss is None else TemplateEnsemble(members)
