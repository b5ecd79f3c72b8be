"""Regression on orthonormal inputs, where the phases of ReLU gradient flow are known.

E. Boursier, L. Pillaud-Vivien, N. Flammarion, "Gradient flow dynamics of shallow ReLU networks for square
loss and orthogonal inputs", NeurIPS 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.networks.two_layer.samples import Samples, samples
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

GROUPS = ("signs", "samples")


@register("data")
@dataclass
class OrthogonalInputsConfig(DataConfig):
    """Unit vectors as inputs, scalar targets of both signs (Boursier, Pillaud-Vivien & Flammarion 2022).

    The inputs are the unit vectors themselves: a rotation would change nothing but rounding, which could wake
    up a ReLU that is dead on a sample by as little as the scale of the initialization.
    """

    name: str = "orthogonal_inputs"
    targets: list[float] = field(default_factory=lambda: [2.0, 1.5, -0.4, -0.3])
    groups: str = "signs"

    provides: ClassVar[type] = Samples

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.targets", self.targets, len(self.targets) > 0
                and all(1e-6 <= abs(target) <= 1e6 for target in self.targets),
                "numbers from 1e-6 to 1e6 in size, one for each sample")
        one_of("data.groups", self.groups, GROUPS)

    def memory(self) -> float:
        """See `DataConfig.memory`: an identity matrix."""
        return 8 * 6 * float(len(self.targets)) ** 2

    def build(self, dtype: torch.dtype, device: torch.device) -> Samples:
        """See `DataConfig.build`."""
        targets = np.array(self.targets)[:, None]
        names, group_of = tuple(str(i + 1) for i in range(len(targets))), np.arange(len(targets))
        if self.groups == "signs":
            signs = ["positive" if target > 0 else "negative" for target in self.targets]
            names = tuple(name for name in ("positive", "negative") if name in signs)
            group_of = np.array([names.index(sign) for sign in signs])
        return samples(np.eye(len(targets)), targets, dtype, device, None, names, group_of)
