"""Maps from one model's latents to another's, fitted on anchors in closed form: the bar for stitching.

Maiorca et al., "Latent space translation via semantic alignment", arXiv:2311.00664, stitch models in this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Map = Callable[[FloatArray], FloatArray]
# Of the mean square of a centred coordinate: keeps normal equations solvable where anchors are few or units are dead.
RIDGE = 1e-3


def procrustes(source: FloatArray, target: FloatArray) -> Map:
    """The orthogonal map with a scale and a shift that is nearest on the anchors, in least squares.

    With centred anchors and source^T target = U S V^T it is z -> s (z - mean) U V^T + mean', s = sum S / |source|^2
    (Schoenemann, Psychometrika 31 (1966) 1-10).

    Args:
        source, target: latents of the same anchors by the two models, shapes (m, k).

    Raises:
        ValueError: the anchors are not the same number, or the dimensions differ.
    """
    source, target = _checked(source, target)
    if source.shape[1] != target.shape[1]:
        raise ValueError(f"an orthogonal map keeps the dimension: {source.shape[1]} and {target.shape[1]}")
    centre, place = source.mean(0), target.mean(0)
    left, values, right = np.linalg.svd((source - centre).T @ (target - place))
    square = float(((source - centre) ** 2).sum())
    turned = left @ right * (values.sum() / square if square else 1.0)
    return lambda latents: (latents - centre) @ turned + place


def affine(source: FloatArray, target: FloatArray, ridge: float = RIDGE) -> Map:
    """The affine map that is nearest on the anchors: least squares with a small ridge.

    Args:
        source, target: latents of the same anchors, shapes (m, k) and (m, k').
        ridge: penalty, in parts of the mean square of the source's coordinates.
    """
    source, target = _checked(source, target)
    centre, place = source.mean(0), target.mean(0)
    gram = _ridged((source - centre).T @ (source - centre), ridge)
    matrix = np.linalg.solve(gram, (source - centre).T @ (target - place))
    return lambda latents: (latents - centre) @ matrix + place


def canonical(source: FloatArray, target: FloatArray, ridge: float = RIDGE) -> Map:
    """The map that takes canonical variables of one model for those of the other.

    Whitened by W_a and W_b, the anchors have W_a a^T b W_b = U S V^T; z -> (z - mean) W_a U V^T W_b^-1 + mean'. With a
    factor S between U and V^T it would be `affine`; without, it maps the covariance of one model to that of the other.

    Args:
        source, target: latents of the same anchors, shapes (m, k) and (m, k').
        ridge: as in `affine`, of both covariances.
    """
    source, target = _checked(source, target)
    centre, place = source.mean(0), target.mean(0)
    whiten, _ = _whitening(source - centre, ridge)
    whiten_target, colour = _whitening(target - place, ridge)
    left, _, right = np.linalg.svd(whiten @ (source - centre).T @ (target - place) @ whiten_target, full_matrices=False)
    matrix = whiten @ left @ right @ colour
    return lambda latents: (latents - centre) @ matrix + place


ALIGNERS: dict[str, Callable[[Any, Any], Map]] = {"procrustes": procrustes, "affine": affine, "cca": canonical}
"""Aligners by name."""


def _checked(source: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    source, target = (np.asarray(one, dtype=np.float64) for one in (source, target))
    if source.ndim != 2 or target.ndim != 2 or len(source) != len(target) or len(source) < 2:
        raise ValueError(f"anchors of the shapes {source.shape} and {target.shape}: both are (anchors, dimension), of "
                         "the same two or more anchors")
    return source, target


def _ridged(gram: FloatArray, ridge: float) -> FloatArray:
    """A Gram matrix with the ridge on its diagonal; coordinates that are all zero get a one."""
    mean = float(np.trace(gram)) / len(gram)
    ridged: FloatArray = gram + np.eye(len(gram)) * (ridge * mean if mean > 0 else 1.0)
    return ridged


def _whitening(points: FloatArray, ridge: float) -> tuple[FloatArray, FloatArray]:
    """The symmetric inverse root of the Gram matrix, and the root."""
    values, vectors = np.linalg.eigh(_ridged(points.T @ points, ridge))
    return (vectors / np.sqrt(values)) @ vectors.T, (vectors * np.sqrt(values)) @ vectors.T
