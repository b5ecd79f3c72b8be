"""Samples: inputs and targets one by one, for networks that have no closed population loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Singular values below this part of the largest are zero: directions in which no sample differs.
RANK_TOLERANCE = 1e-10

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """n inputs with their targets, all of equal weight; loss (1/n) sum_j 1/2 ||y_j - f(x_j)||^2.

    Attributes:
        inputs: (n, d).
        targets: (n, c).
        output_names: labels of the c outputs.
        group_names: labels of groups of samples that are learned one after the other, in data that have
            such groups; they are then the features. Empty elsewhere.
        group_of: group of each sample, (n,); None without groups.
    """

    inputs: Tensor
    targets: Tensor
    output_names: tuple[str, ...]
    group_names: tuple[str, ...] = ()
    group_of: Tensor | None = None


def samples(
    inputs: Array, targets: Array, dtype: torch.dtype, device: torch.device,
    output_names: tuple[str, ...] | None = None, group_names: tuple[str, ...] = (),
    group_of: npt.NDArray[np.int64] | None = None,
) -> Samples:
    """Samples from arrays (n, d) and (n, c); outputs are numbered from 1 unless they have names."""
    names = output_names or tuple(str(i + 1) for i in range(targets.shape[1]))
    groups = None if group_of is None else torch.as_tensor(group_of, device=device)
    return Samples(torch.tensor(inputs, dtype=dtype, device=device), torch.tensor(targets, dtype=dtype, device=device),
                   names, group_names, groups)


def whitened(inputs: Array) -> Array:
    """Centred inputs (n, d) turned into X = U V^T sqrt(n / r), where U S V^T has rank r.

    X^T X / n is 1/r on the space in which the samples differ and zero off it (constant pixels), and the mean of
    ||x||^2 is 1.

    Raises:
        ValueError: all samples are alike.
    """
    left, values, right = np.linalg.svd(inputs - inputs.mean(0), full_matrices=False)
    rank = int((values > RANK_TOLERANCE * float(values[0])).sum())
    if rank == 0:
        raise ValueError("all samples are alike")
    return np.asarray(left[:, :rank] @ right[:rank] * (inputs.shape[0] / rank) ** 0.5)
