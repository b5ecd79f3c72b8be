"""Two-layer network with quadratic activation on modular addition (AGF paper, section 6).

f(a, b) = sum_i (<u_i, a.x> + <v_i, b.x>)^2 w_i with u_i, v_i, w_i in R^p. Features are the template's
frequencies; a feature's size is the Fourier amplitude of the output, averaged over all pairs (a, b)
after shifting each output back by a + b.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.architectures.quadratic_loss import Moments, QuadraticLoss
from agfrun.data.modular_addition import ModularAddition
from agfrun.dynamics.coordinates import FlowCoordinates, relative_error_of_neurons
from agfrun.theory.modular_addition import modular_addition_theory
from agfrun.theory.theory import Theory


class QuadraticModadd(Architecture):
    """Quadratic network on modular addition, neurons theta = (u, v, w) with D = 3p."""

    name = "quadratic_modadd"
    homogeneity_degree = 3

    def __init__(self, data: ModularAddition, width: int) -> None:
        self.data = data
        self.width = width
        self.neuron_dimension = 3 * data.p
        self.output_dimension = data.p
        self.feature_names = tuple(str(k) for k in data.frequencies)
        inputs, output = (2 * data.p) ** -0.5, data.p**-0.5
        self.parameter_blocks = ((data.p, inputs), (data.p, inputs), (data.p, output))
        self.device = data.template.device
        self.dtype = data.template.dtype
        self.quadratic_loss = QuadraticLoss(_circulant(data.template), _circulant(data.template),
                                            0.5 * float(data.template.square().sum()))

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Moments:
        """Moments of the neurons; the residual is the target minus their output."""
        return self.quadratic_loss.moments(neurons)

    def loss(self, residual: Moments) -> Tensor:
        """Paper loss, O(K^2 p)."""
        return self.quadratic_loss.loss(residual)

    def utility_gradient(self, neurons: Tensor, residual: Moments, index: Tensor | None = None) -> Tensor:
        """Gradient of the utilities, O(K J p) for K neurons against J sources."""
        return self.quadratic_loss.utility_gradient(self.quadratic_loss.moments(neurons), residual)[0]

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient in one pass."""
        return self.quadratic_loss.loss_and_gradient(neurons)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Exact Hessian from the moments."""
        return self.quadratic_loss.hessian(neurons)

    def initialize(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Gaussian, or `balanced`: u, v, w share one random amplitude spectrum, with random phases."""
        if kind != "balanced":
            return super().initialize(kind, scale, generator)
        p = self.data.p
        spectrum = torch.fft.rfft(torch.randn(self.width, 1, p, generator=generator, dtype=self.dtype)).abs()
        angles = 2 * torch.pi * torch.rand(self.width, 3, spectrum.shape[-1], generator=generator, dtype=self.dtype)
        real = [0, p // 2] if p % 2 == 0 else [0]
        angles[..., real] = torch.pi * (angles[..., real] > torch.pi).to(angles)
        parts: Tensor = torch.fft.irfft(torch.polar(spectrum.expand_as(angles).contiguous(), angles), n=p)
        parts *= (2 / 3) ** 0.5 * scale / torch.linalg.vector_norm(parts, dim=-1, keepdim=True)
        return parts.flatten(1).to(self.device)

    def theory(self, initial: Tensor, init_scale: float, threshold: float) -> Theory:
        """Order, levels, bounds and three-wave times."""
        return modular_addition_theory(self.data, self.neuron_spectra(initial), initial, threshold)

    def data_arrays(self) -> dict[str, Tensor]:
        """The template, (p,)."""
        return {"template": self.data.template}

    def neuron_spectra(self, neurons: Tensor) -> Tensor:
        """Fourier coefficients of u, v, w at the features' frequencies, (..., D) to (..., 3, F)."""
        parts = neurons.reshape(*neurons.shape[:-1], 3, self.data.p)
        spectra: Tensor = torch.fft.rfft(parts)[..., list(self.data.frequencies)]
        return spectra

    def features(self, neurons: Tensor) -> Tensor:
        """Amplitude of the output at each frequency, (..., H, D) to (..., F); |x_hat_k| once learned.

        Shift each output back by a + b, average over all pairs, and project the Fourier coefficient on
        the template's phase: (2 |x_hat| / p^2) Re sum_i conj(u_hat v_hat) w_hat x_hat. Signed and
        trilinear, so that it is blind to output that does not depend on a + b.
        """
        u, v, w = self.neuron_spectra(neurons).unbind(-2)
        scale = (2 / self.data.p**2) * self.data.spectrum * self.data.spectrum.abs()
        return (u.conj() * v.conj() * w * scale).sum(-2).real

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """Geometric mean of |u_hat|, |v_hat|, |w_hat| times |x_hat|, (..., H, F)."""
        spectra = self.neuron_spectra(neurons).abs()
        return spectra.prod(-2).pow(1 / 3) * self.data.spectrum.abs()

    def outputs(self, neurons: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Network outputs f(a, b), shape (N, p), for shifts a and b (N,)."""
        responses = self.quadratic_loss.moments(neurons).responses
        hidden = (responses[0][:, a] + responses[1][:, b]).square()
        return hidden.T @ neurons[:, 2 * self.data.p :]

    def targets(self, a: Tensor, b: Tensor) -> Tensor:
        """Targets (a+b).x, shape (N, p)."""
        position = torch.arange(self.data.p, device=self.device)
        return self.data.template[(position[None, :] - (a + b)[:, None]) % self.data.p]

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over `batch_size` random pairs (a, b)."""
        p = self.data.p
        a, b = torch.randint(p, (2, batch_size), generator=generator, device=generator.device).to(self.device)
        output = neurons[:, 2 * p :]
        responses = self.quadratic_loss.moments(neurons).responses
        hidden = responses[0][:, a] + responses[1][:, b]
        error = (hidden.square().T @ output - self.targets(a, b)) / batch_size
        back = 2 * hidden * (output @ error.T)
        circulant = self.quadratic_loss.input_map
        return torch.cat([back @ circulant[:, a].T, back @ circulant[:, b].T,
                          hidden.square() @ error], dim=1)

    def flow_coordinates(self, neurons: Tensor, index: Tensor | None = None) -> FlowCoordinates:
        """Coordinates without the directions of u and v that the template never excites."""
        return TemplateCoordinates(self, neurons)


class TemplateCoordinates(FlowCoordinates):
    """u and v in an orthonormal basis of the template's shifts, w as it is.

    Components of u and v outside the span of the shifts have no influence on the output and hence no
    gradient: they are constants of the motion. Leaving them out is exact, and shrinks a neuron from
    3p numbers to 2 * rank + p (rank = number of signed template frequencies).
    """

    def __init__(self, architecture: QuadraticModadd, neurons: Tensor) -> None:
        p = architecture.data.p
        self.basis = _frequency_basis(architecture.data)
        self.rank = self.basis.shape[1]
        full = architecture.quadratic_loss
        self.reduced = QuadraticLoss(self.basis.T @ full.input_map, full.output_map, full.target_energy)
        self.neurons = neurons.shape[0]
        inputs = neurons[:, : 2 * p].reshape(-1, 2, p)
        self.frozen = inputs - (inputs @ self.basis) @ self.basis.T

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        p = self.basis.shape[0]
        inputs = neurons[:, : 2 * p].reshape(-1, 2, p) @ self.basis
        return torch.cat([inputs.flatten(1), neurons[:, 2 * p :]], dim=1).reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        reduced = y.view(self.neurons, -1)
        inputs = reduced[:, : 2 * self.rank].reshape(-1, 2, self.rank) @ self.basis.T + self.frozen
        return torch.cat([inputs.flatten(1), reduced[:, 2 * self.rank :]], dim=1)

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        loss, gradient = self.reduced.loss_and_gradient(y.view(self.neurons, -1))
        return loss, -gradient.reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        return -self.reduced.hessian(y.view(self.neurons, -1))

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return relative_error_of_neurons(error, y, y_new, self.neurons)


def _circulant(template: Tensor) -> Tensor:
    """Matrix (p, p) with entry [j, s] = x_(j - s): column s is the template shifted by s."""
    position = torch.arange(template.shape[0], device=template.device)
    return template[(position[:, None] - position[None, :]) % template.shape[0]]


def _frequency_basis(data: ModularAddition) -> Tensor:
    """Orthonormal cosines and sines at the template's frequencies, shape (p, rank)."""
    position = torch.arange(data.p, dtype=data.template.dtype, device=data.template.device)
    columns = []
    for k in data.frequencies:
        angle = 2 * torch.pi * k * position / data.p
        if 2 * k == data.p:
            columns.append(torch.cos(angle) / data.p**0.5)
        else:
            columns += [torch.cos(angle) * (2 / data.p) ** 0.5, torch.sin(angle) * (2 / data.p) ** 0.5]
    return torch.stack(columns, dim=1)
