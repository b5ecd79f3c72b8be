"""A template's encodings under a group as matrices, for what modular addition has in `TemplateShifts`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.group_composition.composition import Composition
from agfrun.labs.staircases.networks.group_composition.loss import PairLoss, SequenceLoss
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss
from agfrun.labs.staircases.networks.quadratic_modadd.shifts import TemplateShifts

# Of the largest singular value of the encodings: below it is rounding.
NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class GroupShifts(TemplateShifts):
    """The encodings x_g of a template.

    Attributes:
        circulant: x_g as column g, x_g(h) = x(gh), (n, n).
        basis: orthonormal basis of these columns in which their coordinates are orthogonal, (n, r).
        composition: of the group.
    """

    composition: Composition

    @classmethod
    def under(cls, composition: Composition, template: Tensor) -> GroupShifts:
        """The encodings of a template (n,) under a group."""
        encodings = template[composition.table.T]
        vectors, sizes, _ = torch.linalg.svd(encodings)
        basis = vectors[:, sizes > NEGLIGIBLE * sizes[0]].contiguous()
        return cls(encodings.contiguous(), basis, 0.5 * float(template.square().sum()), composition)

    def loss_by_moments(self, input_map: Tensor, output_map: Tensor) -> PairLoss:
        """See `TemplateShifts.loss_by_moments`."""
        return PairLoss(self.composition, input_map, output_map, self.target_energy)

    def output_loss(self, output_map: Tensor) -> OutputLoss:
        """See `TemplateShifts.output_loss`."""
        return OutputLoss(self.input_map, output_map, self.composition.convolve)

    def sequence_loss(self, length: int, input_map: Tensor, output_map: Tensor) -> SequenceLoss:
        """The loss on sequences of k elements; arguments as for `SequenceLoss`."""
        return SequenceLoss(self.composition, length, input_map, output_map, self.target_energy)
