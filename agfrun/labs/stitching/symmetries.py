"""A trained network under the actions of intertwiners: what becomes of its outputs and of representations."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.stitching.config import StitchingSettings
from agfrun.labs.stitching.datasets.sides import Sides
from agfrun.labs.stitching.intertwiners import ACTIVATIONS, KINDS, act_on_all
from agfrun.labs.stitching.names import TRANSFORM_NAMES
from agfrun.labs.stitching.network import SideTraining
from agfrun.labs.stitching.row import trained_side
from agfrun.labs.stitching.transforms import TRANSFORMS

if TYPE_CHECKING:
    from agfrun.study.bench import Bench


def measure_symmetries(config: StitchingSettings, sides: Sides, bench: Bench) -> list[dict[str, Any]]:
    """Train a network without a transform on the first side, and act on it by an element of each kind.

    Elements that are not in the activation's group act in the same way, as if they were.

    Returns:
        Rows of invariance.csv.
    """
    trained = trained_side(config, sides, bench, 0, "absolute", None, config.seed, config.encoder.activation)
    activation = ACTIVATIONS[config.encoder.activation]
    latents, anchors, outputs = _seen(trained)
    accuracy = float(np.mean(outputs.argmax(1).numpy() == trained.side.test_labels))
    rows = []
    for kind in KINDS:
        acted = copy.deepcopy(trained)
        act_on_all(acted.network.chain(), kind, activation, torch.Generator().manual_seed(config.seed))
        moved, moved_anchors, changed = _seen(acted)
        for name in TRANSFORM_NAMES:
            before, after = TRANSFORMS[name](latents, anchors), TRANSFORMS[name](moved, moved_anchors)
            rows.append({"activation": activation.name, "group": activation.group, "action": kind,
                         "in_group": kind in activation.kinds, "output_change": _change(outputs, changed),
                         "transform": name, "representation_change": _change(before, after), "accuracy": accuracy})
    return rows


@torch.no_grad()
def _seen(trained: SideTraining) -> tuple[Tensor, Tensor, Tensor]:
    """Latents of test samples and anchors, and the outputs."""
    latents, anchors = trained.latents()
    return latents, anchors, trained.network.head(latents)


def _change(before: Tensor, after: Tensor) -> float:
    return float((after - before).abs().max() / before.abs().max())
