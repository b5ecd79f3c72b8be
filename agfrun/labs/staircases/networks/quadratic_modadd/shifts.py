"""The template's shifts as matrices, and in which of its two exact forms the loss is cheaper on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition
from agfrun.labs.staircases.networks.quadratic_modadd.loss import QuadraticLoss
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss

# Multiplications that cost no more than the calls that make them.
CHEAP = 500_000


@dataclass(frozen=True)
class TemplateShifts:
    """All that coordinates of neurons read of the data.

    Attributes:
        circulant: the template shifted by s as column s, (p, p).
        basis: orthonormal basis of these columns, cosines and sines at the template's frequencies, (p, r).
        target_energy: E 1/2 ||y||^2, half the template's square.
    """

    circulant: Tensor
    basis: Tensor
    target_energy: float

    @classmethod
    def of(cls, data: ModularAddition) -> TemplateShifts:
        """The shifts of a template."""
        return cls(_circulant(data.template), _frequency_basis(data), 0.5 * float(data.template.square().sum()))

    @property
    def p(self) -> int:
        """The modulus."""
        return self.circulant.shape[0]

    @property
    def input_map(self) -> Tensor:
        """Responses of the basis to all shifts, (r, p)."""
        return self.basis.T @ self.circulant

    def loss_by_moments(self, input_map: Tensor, output_map: Tensor) -> QuadraticLoss:
        """The loss by moments of pairs of neurons; arguments as for `QuadraticLoss`."""
        return QuadraticLoss(input_map, output_map, self.target_energy)

    def loss_through_output(self, count: int, output_map: Tensor) -> OutputLoss | None:
        """The loss through the output, where that is the cheaper form for `count` neurons; else None.

        Args:
            output_map: as for `OutputLoss`.
        """
        size = output_map.shape[0]
        through_output = OutputLoss.multiplications(self.basis.shape[1], size, count)
        # For few neurons both cost the calls they are made of, and those through the output are fewer.
        if through_output > max(self.loss_by_moments(self.input_map, output_map).multiplications(count), CHEAP):
            return None
        return self.output_loss(output_map)

    def output_loss(self, output_map: Tensor) -> OutputLoss:
        """The loss through the output; argument as for `OutputLoss`."""
        return OutputLoss(self.input_map, output_map)


def waves(data: ModularAddition) -> tuple[Tensor, Tensor]:
    """cos(2 pi j k / p) and sin(2 pi j k / p) at the template's frequencies k, (p, F) each."""
    position = torch.arange(data.p, device=data.template.device)
    frequencies = torch.tensor(data.frequencies, device=data.template.device)
    # Whole turns are taken off as integers: sines of large angles would lose digits.
    turns = (position[:, None] * frequencies[None, :]) % data.p
    angles = turns.to(data.template.dtype) * (2 * torch.pi / data.p)
    return torch.cos(angles), torch.sin(angles)


def _circulant(template: Tensor) -> Tensor:
    """Matrix (p, p) with entry [j, s] = x_(j - s): column s is the template shifted by s."""
    position = torch.arange(template.shape[0], device=template.device)
    return template[(position[:, None] - position[None, :]) % template.shape[0]]


def _frequency_basis(data: ModularAddition) -> Tensor:
    """Orthonormal cosines and sines at the template's frequencies, shape (p, rank)."""
    cosines, sines = waves(data)
    # Squares of a wave sum to p / 2 over a period; at p/2 to p, and the sine is zero.
    twice = data.multiplicities == 2
    return torch.cat([cosines * (data.multiplicities / data.p).sqrt(), sines[:, twice] * (2 / data.p) ** 0.5], dim=1)
