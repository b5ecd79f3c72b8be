"""The autoencoder with wrapped normal latents (Nagano, Yamaguchi, Fujita & Koyama, arXiv:1902.02992), and its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from agfrun.labs.hyperbolic.vae.settings import AutoencoderConfig
from agfrun.training import initialization

# Added to a square before its root, whose slope at 0 is infinite.
_TINY = 1e-24
_SMALL = 1e-4


def tree_bits(depth: int) -> Tensor:
    """(n, n) bits of the nodes of a binary tree in heap order: x_ij = 1 iff j is i or above it, n = 2^depth - 1.

    The distance of two nodes in the tree is the Hamming distance of their rows.
    """
    count = 2**depth - 1
    bits = torch.zeros(count, count, dtype=torch.float64)
    for node in range(1, count + 1):
        above = node
        while above:
            bits[node - 1, above - 1] = 1
            above //= 2
    return bits


def flipped(bits: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """The bits, each flipped with the probability `noise`."""
    flips = torch.rand(bits.shape, generator=generator, dtype=torch.float64) < noise
    return (bits - flips.to(bits.dtype)).abs()


class HyperbolicAutoencoder(nn.Module):
    """An encoder to tangent means and scales at the origin of H^m, and a decoder of Lorentz points (t, x).

    Args:
        bits: number of inputs, and of outputs.
        config: of the layers.
        seed: of the initialization, that of torch's layers.
    """

    def __init__(self, bits: int, config: AutoencoderConfig, seed: int) -> None:
        super().__init__()
        self.dimension = config.dimension
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}[config.activation]
        with initialization(seed):
            sizes = ((bits, config.hidden), (config.hidden, 2 * self.dimension), (self.dimension + 1, config.hidden),
                     (config.hidden, bits))
            self.layers = nn.ModuleList(nn.Linear(*size, dtype=torch.float64) for size in sizes)

    def encode(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        """(n, m) tangent vectors at the origin, whose exponentials are the means, and (n, m) scales."""
        mean, scale = self.layers[1](self.activation(self.layers[0](bits))).chunk(2, dim=-1)
        return mean, functional.softplus(scale)

    def decode(self, z: Tensor) -> Tensor:
        """(n, bits) log-odds from (n, m + 1) Lorentz points."""
        result: Tensor = self.layers[3](self.activation(self.layers[2](z)))
        return result


def exponential(tangent: Tensor) -> Tensor:
    """(n, m + 1) Lorentz points from tangent vectors (n, m) at the origin: (cosh |v|, sinh |v| v / |v|)."""
    length = _length(tangent)
    return torch.cat([torch.cosh(length), torch.sinh(length) / length * tangent], dim=-1)


def wrapped(mean: Tensor, tangent: Tensor) -> Tensor:
    """Lorentz points: tangent vectors (n, m) at the origin, transported to `mean` (n, m + 1), and its exponential.

    u = v + <mean, v> / (1 + mean_0) (o + mean) with v = (0, tangent), then cosh |u| mean + sinh |u| u / |u|.
    """
    inner = (mean[:, 1:] * tangent).sum(dim=-1, keepdim=True)
    moved = torch.cat([inner, tangent + inner / (1 + mean[:, :1]) * mean[:, 1:]], dim=-1)
    length = _length(tangent)  # transport keeps lengths
    return torch.cosh(length) * mean + torch.sinh(length) / length * moved


def log_volume(length: Tensor) -> Tensor:
    """log(sinh r / r): by how much the exponential map stretches each direction across a vector of length r."""
    large = length + torch.log(-torch.expm1(-2 * length)) - math.log(2) - torch.log(length)
    return torch.where(length > _SMALL, large, length**2 / 6)


def log_density(tangent: Tensor, scale: Tensor) -> Tensor:
    """Log density of a wrapped normal at the exponential of a transported tangent vector, up to (2 pi)^(-m / 2)."""
    normal = (-((tangent / scale) ** 2) / 2 - torch.log(scale)).sum(dim=-1)
    return normal - (tangent.shape[-1] - 1) * log_volume(_length(tangent)[:, 0])


def evidence(model: HyperbolicAutoencoder, bits: Tensor, noise: Tensor, beta: float) -> Mapping[str, Tensor]:
    """The negative evidence bound by one sample of each latent, and its divergence, means over the batch in nats.

    Args:
        model: the autoencoder.
        bits: (n, k) inputs, which are to be reconstructed.
        noise: (n, m) standard normal numbers.
        beta: weight of the divergence.
    """
    tangent, scale = model.encode(bits)
    drawn = scale * noise
    z = wrapped(exponential(tangent), drawn)
    # The vector at the origin that z is the exponential of: its length is the distance asinh |x|.
    from_origin = torch.asinh(_length(z[:, 1:])) * z[:, 1:] / _length(z[:, 1:])
    divergence = (log_density(drawn, scale) - log_density(from_origin, torch.ones_like(scale))).mean()
    errors = functional.binary_cross_entropy_with_logits(model.decode(z), bits, reduction="none")
    return {"loss": errors.sum(dim=-1).mean() + beta * divergence, "divergence": divergence}


def _length(vectors: Tensor) -> Tensor:
    return torch.sqrt((vectors**2).sum(dim=-1, keepdim=True) + _TINY)
