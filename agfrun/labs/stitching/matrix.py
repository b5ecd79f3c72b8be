"""Stitching: the encoder of one model with the head of another, for all pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.labs.stitching.transforms import TRANSFORMS

Latents = npt.NDArray[np.float64]
Head = Callable[[Any], Any]
# Of a linear head in closed form, in parts of the mean square of a feature.
_RIDGE = 1e-3


def stitching_matrix(relative: Sequence[Latents], heads: Sequence[Head], labels: Sequence[npt.NDArray[np.int64]]
                     ) -> npt.NDArray[np.float64]:
    """Accuracy of every head on every encoder's representation.

    Args:
        relative: what each encoder makes of its test samples, shapes (n, m), heads' inputs.
        heads: functions to scores, shape (n, classes), that were trained on the representation of one encoder each.
        labels: of each encoder's test samples, integers of the shape (n,).

    Returns:
        Shape (encoders, heads), from 0 to 1; `same_and_stitched` has the means of the diagonal and of the rest.
    """
    return np.array([[np.mean(np.argmax(np.asarray(head(points)), axis=1) == known) for head in heads]
                     for points, known in zip(relative, labels, strict=True)])


def same_and_stitched(matrix: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Mean of the diagonal (a model's own head) and of the rest (another's); the latter is nan for one model."""
    count = len(matrix)
    same, stitched = float(np.trace(matrix)) / count, float("nan")
    if count > 1:
        stitched = float(matrix.sum() - np.trace(matrix)) / (count * (count - 1))
    return same, stitched


def stitch_latents(latents: Mapping[str, Mapping[str, npt.NDArray[Any]]], transform: str = "robust"
                   ) -> npt.NDArray[np.float64]:
    """The stitching matrix of saved latents: linear heads in closed form on relative representations.

    Args:
        latents: by the name of the model `anchors`, `train` and `test`, arrays (n, k) as `numpy.load` returns them, and
            `train_labels` and `test_labels`, integers (n,). The anchors are the same samples for all models.
        transform: name of one of `agfrun.labs.stitching.transforms.TRANSFORMS`.

    Returns:
        Accuracies, shape (encoders, heads), in the order of the mapping.
    """
    relative, heads = [], []
    classes = 1 + max(int(part["train_labels"].max()) for part in latents.values())
    for part in latents.values():
        anchors, train, test = (np.asarray(part[name], dtype=np.float64) for name in ("anchors", "train", "test"))
        relative.append(TRANSFORMS[transform](test, anchors))
        heads.append(linear_head(TRANSFORMS[transform](train, anchors), part["train_labels"], classes))
    return stitching_matrix(relative, heads, [part["test_labels"] for part in latents.values()])


def linear_head(features: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], classes: int) -> Head:
    """A linear head fitted to one-hot targets by ridge regression, every class with the same weight."""
    weights = 1.0 / np.bincount(labels, minlength=classes).clip(1)[labels]
    weights = weights / weights.sum()
    centre = weights @ features
    centred, targets = features - centre, np.eye(classes)[labels]
    gram = (centred * weights[:, None]).T @ centred
    gram = gram + np.eye(len(gram)) * _RIDGE * max(np.trace(gram) / len(gram), np.finfo(float).tiny)
    matrix = np.linalg.solve(gram, (centred * weights[:, None]).T @ (targets - weights @ targets))
    offset = weights @ targets
    return lambda points: (points - centre) @ matrix + offset
