"""What becomes of trained networks when encoders and heads are exchanged: as they are, disturbed, and through maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from agfrun.labs.stitching.alignment import ALIGNERS
from agfrun.labs.stitching.datasets.sides import Labels
from agfrun.labs.stitching.intertwiners import SPREAD, draw
from agfrun.labs.stitching.matrix import Head, same_and_stitched, stitching_matrix
from agfrun.labs.stitching.network import SideTraining
from agfrun.labs.stitching.similarity import linear_cka

FloatArray = npt.NDArray[np.float64]
Matrix = list[list[float]]
# Of the figure of latents: networks, and test samples of each.
_DRAWN_SIDES, _DRAWN_POINTS = 2, 150


@dataclass(frozen=True)
class Part:
    """A trained network, as far as stitching needs it.

    Attributes:
        latents, anchors: of its test samples and anchors, shapes (n, k) and (m, k).
        labels: of its test samples.
        head: from representations to scores.
    """

    latents: FloatArray
    anchors: FloatArray
    labels: Labels
    head: Head

    @classmethod
    def of(cls, trained: SideTraining) -> Part:
        """Of a network that has been trained."""
        latents, anchors = (one.double().numpy() for one in trained.latents())
        weight, bias = (one.detach().double().numpy() for one in trained.network.head.parameters())
        return cls(latents, anchors, trained.side.test_labels, lambda points: points @ weight.T + bias)


Represent = Callable[[FloatArray, FloatArray], FloatArray]


def matrix_of(parts: Sequence[Part], heads: Sequence[Part], transform: Represent) -> Matrix:
    """Accuracy of each network's head (of `heads`) on each encoder (of `parts`), rows are encoders."""
    relative = [transform(part.latents, part.anchors) for part in parts]
    found: Matrix = stitching_matrix(relative, [part.head for part in heads], [part.labels for part in parts]).tolist()
    return found


def aligned_matrix(parts: Sequence[Part], heads: Sequence[Part], aligner: str) -> Matrix:
    """Accuracy of each head on each encoder's latents, mapped to those of the head's own encoder by the anchors."""
    def accuracy(source: Part, target: Part) -> float:
        latents = source.latents if source is target else ALIGNERS[aligner](source.anchors, target.anchors)(
            source.latents)
        return float(np.mean(target.head(latents).argmax(1) == source.labels))

    return [[accuracy(source, target) for target in heads] for source in parts]


def scaled(parts: Sequence[Part], spread: float, seed: int) -> list[Part]:
    """Latents times random positive factors, as another training might have had them; heads stay."""
    return [_moved(part, seed + place, spread, permuted=False) for place, part in enumerate(parts)]


def disturbed(parts: Sequence[Part], seed: int) -> list[Part]:
    """Latents times random positive factors and permuted; heads stay."""
    return [_moved(part, seed + place, SPREAD, permuted=True) for place, part in enumerate(parts)]


def _moved(part: Part, seed: int, spread: float, permuted: bool) -> Part:
    element = draw("positive scaling", part.latents.shape[1], torch.Generator().manual_seed(seed), spread=spread)
    matrix = element.after.numpy()
    if not permuted:
        matrix = np.diag(matrix.sum(0))
    return replace(part, latents=part.latents @ matrix.T, anchors=part.anchors @ matrix.T)


def with_shuffled_anchors(parts: Sequence[Part], transform: Represent, seed: int) -> float:
    """Mean accuracy of other networks' heads once the anchors of the encoder are in another order: the control."""
    generator = np.random.default_rng(seed)
    shuffled = [replace(part, anchors=generator.permutation(part.anchors)) for part in parts]
    return same_and_stitched(np.array(matrix_of(shuffled, parts, transform)))[1]


def mean_cka(parts: Sequence[Part], transform: Represent) -> float:
    """Mean similarity of two networks' representations of the anchors."""
    made = [transform(part.anchors, part.anchors) for part in parts]
    return float(np.mean([linear_cka(made[i], made[j]) for i in range(len(made)) for j in range(i)]))


def plane(parts: Sequence[Part], transform: Represent) -> list[dict[str, Any]]:
    """The first two networks' representations of test samples along their two principal directions together.

    Networks whose latents have different dimensions are not drawn in one plane: the second is left out.
    """
    made = [transform(part.latents, part.anchors)[:_DRAWN_POINTS] for part in parts[:_DRAWN_SIDES]]
    made = [one for one in made if one.shape[1] == made[0].shape[1]]
    joined = np.concatenate(made)
    joined = joined - joined.mean(0)
    directions = np.linalg.svd(joined, full_matrices=False)[2][:2]
    # The sign of a principal direction is nobody's choice: its largest entry is positive.
    directions = directions * np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])[:, None]
    places = joined @ directions.T
    which = np.repeat(np.arange(len(made)), [len(one) for one in made])
    labels = np.concatenate([part.labels[:_DRAWN_POINTS] for part in parts[:len(made)]])
    return [{"side": int(side), "label": int(label), "x": float(x), "y": float(y)}
            for side, label, (x, y) in zip(which, labels, _padded(places), strict=True)]


def _padded(places: FloatArray) -> FloatArray:
    """Two columns, also where the representation has one dimension."""
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
