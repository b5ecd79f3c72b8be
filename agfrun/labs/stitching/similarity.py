"""How similar two representations of the same samples are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def linear_cka(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Centred kernel alignment with the linear kernel: |X^T Y|^2 / (|X^T X| |Y^T Y|) of centred X and Y, from 0 to 1.

    Kornblith, Norouzi, Lee & Hinton, "Similarity of neural network representations revisited", arXiv:1905.00414. Both
    must be of the same samples in the same order, such as anchors: of unpaired samples it means nothing.

    Args:
        first, second: shapes (n, k) and (n, k'), n at least 2.

    Returns:
        The similarity; nan where a representation is constant.

    Raises:
        ValueError: they are not of equally many samples.
    """
    left, right = (np.asarray(one, dtype=np.float64) for one in (first, second))
    if left.ndim != 2 or right.ndim != 2 or len(left) != len(right) or len(left) < 2:
        raise ValueError(f"representations of the shapes {left.shape} and {right.shape}: both are (samples, "
                         "dimension), of the same two or more samples")
    left, right = left - left.mean(0), right - right.mean(0)
    scale = np.linalg.norm(left.T @ left) * np.linalg.norm(right.T @ right)
    return float(np.linalg.norm(left.T @ right) ** 2 / scale) if scale > 0 else float("nan")
