"""Two-layer network with quadratic activation on modular addition (AGF paper, section 6).

f(a, b) = sum_i (<u_i, a.x> + <v_i, b.x>)^2 w_i with u_i, v_i, w_i in R^p. Features are the template's
frequencies; a feature's size is the Fourier amplitude of the output, averaged over all pairs (a, b)
after shifting each output back by a + b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import Array, as_tensor, native
from agfrun.labs.staircases.config import ModelConfig
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates, expanded, reduced
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition, modular_addition
from agfrun.labs.staircases.networks.quadratic_modadd.ensemble import TemplateEnsemble
from agfrun.labs.staircases.networks.quadratic_modadd.loss import Moments
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss, OutputResidual
from agfrun.labs.staircases.networks.quadratic_modadd.own_size import first_frequency
from agfrun.labs.staircases.networks.quadratic_modadd.shifts import TemplateShifts, waves
from agfrun.labs.staircases.networks.quadratic_modadd.theory import modular_addition_theory
from agfrun.labs.staircases.networks.quadratic_modadd.utility import QuadraticUtility
from agfrun.labs.staircases.networks.streams import draw_normal, draw_uniform
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.wording import Wording
from agfrun.study.checks import require
from agfrun.study.registry import register


@register("model")
@dataclass
class QuadraticModaddConfig(ModelConfig):
    """Two-layer network with quadratic activation on modular addition (AGF paper, section 6)."""

    name: str = "quadratic_modadd"
    loss_normalization: str = "mean_over_outputs"
    width: int = 18

    data_type: ClassVar[type] = ModularAddition
    initializations: ClassVar[tuple[str, ...]] = ("gaussian", "balanced")

    def check(self) -> None:
        """See `ModelConfig.check`."""
        require("model.width", self.width, self.width >= 1, "an integer of at least 1")

    def neurons_shape(self, data: ModularAddition) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return self.width, 3 * data.p

    def build(self, data: ModularAddition) -> QuadraticModadd:
        """See `ModelConfig.build`."""
        return QuadraticModadd(data, self.width)


class QuadraticModadd(Architecture):
    """Quadratic network on modular addition, neurons theta = (u, v, w) with D = 3p."""

    name = "quadratic_modadd"
    homogeneity_degree = 3
    wording = Wording("frequency", "output amplitude")

    def __init__(self, data: ModularAddition, width: int) -> None:
        self.data = data
        self.width = width
        self.neuron_dimension = 3 * data.p
        self.output_dimension = data.p
        self.feature_names = tuple(str(k) for k in data.frequencies)
        inputs, output = (2 * data.p) ** -0.5, data.p**-0.5
        # |u|^2 and |v|^2 of about 1/2 and |w|^2 of 1: norm sqrt(2), as (u, v) are one layer of 2p inputs.
        self.parameter_blocks = ((data.p, inputs), (data.p, inputs), (data.p, output))
        self.device = data.template.device
        self.dtype = data.template.dtype
        self.shifts = TemplateShifts.of(data)
        self.circulant, self.basis = self.shifts.circulant, self.shifts.basis
        self.cosines, self.sines = waves(data)
        self.moments_loss = self.shifts.loss_by_moments(self.circulant, self.circulant)
        self.output_loss = self.shifts.loss_through_output(width, self.circulant)

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Moments | OutputResidual:
        """What the neurons leave of the target, in whichever of the two exact forms is cheaper here."""
        if self.output_loss is None:
            return self.moments_loss.moments(neurons)
        return self.output_loss.residual(self._reduced(neurons))

    def loss(self, residual: Moments | OutputResidual) -> Tensor:
        """Paper loss, a scalar."""
        return self.moments_loss.loss(residual) if isinstance(residual, Moments) else as_tensor(residual.loss)

    def utility_gradient(
        self, neurons: Tensor, residual: Moments | OutputResidual, index: Tensor | None = None
    ) -> Tensor:
        """Gradient of the utilities, (K, D)."""
        if isinstance(residual, Moments):
            return self.moments_loss.utility_gradient(self.moments_loss.moments(neurons), residual)[0]
        assert self.output_loss is not None
        return self._expanded(self.output_loss.utility_gradient(self._reduced(neurons), residual.slope))

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient in one pass."""
        if self.output_loss is None:
            return self.moments_loss.loss_and_gradient(neurons)
        loss, gradient = self.output_loss.loss_and_utility_gradient(self._reduced(neurons))
        return as_tensor(loss), -self._expanded(gradient)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Exact Hessian from the moments."""
        return self.moments_loss.hessian(neurons)

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Gaussian, or `balanced`: u, v, w share one random amplitude spectrum, with random phases."""
        if kind != "balanced":
            return super().draw(kind, scale, generator)
        p = self.data.p
        spectrum = torch.fft.rfft(draw_normal(generator, self.width, 1, p, dtype=self.dtype)).abs()
        angles = 2 * torch.pi * draw_uniform(generator, self.width, 3, spectrum.shape[-1], dtype=self.dtype)
        # Coefficients at frequencies 0 and p/2 are real: a phase of 0 or pi.
        real = [0, p // 2] if p % 2 == 0 else [0]
        angles[..., real] = torch.pi * (angles[..., real] > torch.pi).to(angles)
        parts: Tensor = torch.fft.irfft(torch.polar(spectrum.expand_as(angles).contiguous(), angles), n=p)
        # Three parts of equal norm make sqrt(2) scale.
        parts *= (2 / 3) ** 0.5 * scale / torch.linalg.vector_norm(parts, dim=-1, keepdim=True)
        return parts.flatten(1)

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory:
        """Order, levels, bounds and three-wave times."""
        return modular_addition_theory(self.data, self.neuron_spectra(initial), initial, threshold)

    def own_size(self, initial: Tensor, log_factor: float = 0.0) -> OwnSizePrediction:
        """The time of the first frequency."""
        neurons = initial * math.exp(log_factor)
        return first_frequency(self.data, self.neuron_spectra(neurons), neurons, self.flow_coordinates, self.features)

    def data_arrays(self) -> dict[str, Tensor]:
        """The template, (p,)."""
        return {"template": self.data.template}

    def neuron_spectra(self, neurons: Tensor) -> Tensor:
        """Fourier coefficients of u, v, w at the features' frequencies, (..., D) to (..., 3, F)."""
        parts = neurons.reshape(*neurons.shape[:-1], 3, self.data.p)
        # A few frequencies of a long vector are cheaper than its whole transform, above all for a prime p.
        return torch.complex(parts @ self.cosines, -(parts @ self.sines))

    def features(self, neurons: Tensor) -> Tensor:
        """Amplitude of the output at each frequency, (..., H, D) to (..., F); |x_hat_k| once learned.

        Shift each output back by a + b, average over all pairs, and project the Fourier coefficient on
        the template's phase: (2 |x_hat| / p^2) Re sum_i conj(u_hat v_hat) w_hat x_hat. Signed and
        trilinear, so that it is blind to output that does not depend on a + b.
        """
        u, v, w = self.neuron_spectra(neurons).unbind(-2)
        scale = (2 / self.data.p**2) * self.data.spectrum * self.data.spectrum.abs()
        return (u.conj() * v.conj() * w * scale).sum(-2).real

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """Amplitudes |x_hat_k| of the template."""
        return self.data.spectrum.abs()

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """Geometric mean of |u_hat|, |v_hat|, |w_hat| times |x_hat|, (..., H, F)."""
        spectra = self.neuron_spectra(neurons).abs()
        return spectra.prod(-2).pow(1 / 3) * self.data.spectrum.abs()

    def outputs(self, neurons: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Network outputs f(a, b), shape (N, p), for shifts a and b (N,)."""
        responses = self.moments_loss.moments(neurons).responses
        hidden = (responses[0][:, a] + responses[1][:, b]).square()
        return hidden.T @ neurons[:, 2 * self.data.p :]

    def function_values(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """See `Architecture.function_values`: outputs of all p^2 pairs over p."""
        places = torch.arange(self.data.p, device=self.device)
        return self.outputs(neurons, *torch.cartesian_prod(places, places).T).reshape(-1) / self.data.p

    def on_learned_part(self, neurons: Tensor) -> tuple[QuadraticModadd, Tensor]:
        """See `Architecture.on_learned_part`: the neurons' strongest frequencies, and their waves of these."""
        learned = sorted(set(self.neuron_feature_strengths(neurons).argmax(-1).tolist()))
        waves = torch.cat([self.cosines[:, learned], self.sines[:, learned]], dim=1)
        scales = (self.data.multiplicities[learned] / self.data.p).repeat(2)
        kept = (neurons.reshape(len(neurons), 3, self.data.p) @ waves * scales) @ waves.T
        part = modular_addition(self.data.p, [self.data.frequencies[k] for k in learned],
                                self.data.spectrum[learned].tolist(), self.dtype, self.device)
        return QuadraticModadd(part, self.width), kept.flatten(1)

    def targets(self, a: Tensor, b: Tensor) -> Tensor:
        """Targets (a+b).x, shape (N, p)."""
        position = torch.arange(self.data.p, device=self.device)
        return self.data.template[(position[None, :] - (a + b)[:, None]) % self.data.p]

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over `batch_size` random pairs (a, b)."""
        p = self.data.p
        a, b = torch.randint(p, (2, batch_size), generator=generator, device=generator.device).to(self.device)
        output = neurons[:, 2 * p :]
        responses = self.moments_loss.moments(neurons).responses
        hidden = responses[0][:, a] + responses[1][:, b]
        error = (hidden.square().T @ output - self.targets(a, b)) / batch_size
        back = 2 * hidden * (output @ error.T)
        return torch.cat([back @ self.circulant[:, a].T, back @ self.circulant[:, b].T,
                          hidden.square() @ error], dim=1)

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> FlowCoordinates:
        """Coordinates without the directions that nothing excites."""
        return TemplateCoordinates(self.shifts, neurons)

    def frozen_utility(self, sources: Tensor) -> QuadraticUtility:
        """See `Architecture.frozen_utility`."""
        # The loss in all p output weights serves every basis of them.
        loss = self.output_loss or OutputLoss(self.shifts.input_map, self.circulant)
        return QuadraticUtility(self.basis, loss, sources)

    def ensemble_flow(self, neurons: Tensor, log_factor: float = 0.0) -> EnsembleFlow | None:
        """See `Architecture.ensemble_flow`; None where the loss goes by pairs of neurons."""
        members = [TemplateCoordinates(self.shifts, member) for member in neurons]
        return None if members[0].output_loss is None else TemplateEnsemble(members)

    def _reduced(self, neurons: Tensor) -> Array:
        """Neurons (K, 3p) with u and v in the basis of the template's frequencies, (K, 2r + p), native."""
        return native(reduced(neurons, self.basis, None))

    def _expanded(self, coordinates: Array) -> Tensor:
        """The inverse of `_reduced` on the span of the template's frequencies."""
        return expanded(as_tensor(coordinates), self.basis, None)
