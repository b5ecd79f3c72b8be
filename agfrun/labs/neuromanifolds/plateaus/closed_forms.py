"""What theory says of the plateaus of four networks: loss, rank and largest utility, from the data alone.

Derived in docs/plateaus.md. A plateau is told by what is active on it: so many modes of a form or a linear map, a set
of coefficients, so many frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases import Architecture

# Ranks of a set of inputs: singular values below this part of the largest are zero.
ZERO = 1e-10


@dataclass(frozen=True)
class ClosedForm:
    """Loss, rank of the derivative, largest utility of a dead neuron and negative eigenvalues at a plateau.

    None where no closed form is known.
    """

    loss: float
    rank: int | None
    utility: float | None
    negative: int | None


def closed_form(architecture: Architecture, plateau: int, active: Sequence[int]) -> ClosedForm | None:
    """The closed form of one plateau; None for a network that has none.

    Args:
        architecture: the network on its data.
        plateau: its number: so many features are learned, the largest first.
        active: its active neurons.
    """
    forms = {"quadratic_form": _of_form, "fully_connected_linear": _of_linear_map, "diagonal_linear": _of_coefficients,
             "quadratic_modadd": _of_frequencies}
    found = forms.get(architecture.name)
    return found(architecture, plateau, active) if found else None


def _of_form(architecture: Architecture, plateau: int, active: Sequence[int]) -> ClosedForm | None:
    """K eigenvalues learned: |F - T|^2 of the others, k d - k (k - 1) / 2, and twice the next eigenvalue."""
    data = architecture.data  # type: ignore[attr-defined]
    inputs, targets = data.inputs.double().numpy(), data.targets.double().numpy()
    side = round(inputs.shape[1] ** 0.5)
    if targets.shape[1] != 1:
        return None
    # Inputs are an orthogonal basis, of squared norm 2 n each.
    form = (targets[:, 0] @ inputs / (2 * len(inputs))).reshape(side, side)
    values = np.sort(np.abs(np.linalg.eigvalsh(form)))[::-1]
    rest, k = values[len(active):], len(active)
    return ClosedForm(float((rest**2).sum()), k * side - k * (k - 1) // 2, float(2 * rest.max(initial=0.0)), 0)


def _of_linear_map(architecture: Architecture, plateau: int, active: Sequence[int]) -> ClosedForm:
    """K modes of B Sigma^(1/2) learned: half the other squares, k (r + c - k), and the norm of the correlation."""
    data = architecture.data  # type: ignore[attr-defined]
    factor = data.factor.double().numpy()
    whole = data.target_map.double().numpy() @ factor
    left, values, right = np.linalg.svd(whole, full_matrices=False)
    k = len(active)
    rest = (left[:, k:] * values[k:]) @ right[k:]
    correlation = np.linalg.svd(rest @ factor.T, compute_uv=False)
    index = (architecture.width - k) * int((correlation > ZERO * values[0]).sum())
    return ClosedForm(float(0.5 * (values[k:] ** 2).sum()) + data.noise_loss, k * (sum(whole.shape) - k),
                      float(correlation[0]), index)


def _of_coefficients(architecture: Architecture, plateau: int, active: Sequence[int]) -> ClosedForm:
    """Least squares in the active inputs, their rank, and the largest correlation of another input with the rest."""
    data = architecture.data  # type: ignore[attr-defined]
    inputs, targets = data.inputs.double().numpy(), data.targets.double().numpy()
    part = inputs[:, list(active)]
    errors = targets - part @ np.linalg.lstsq(part, targets, rcond=ZERO)[0] if len(active) else targets
    drives = inputs.T @ errors / len(targets)
    dead = [place for place in range(inputs.shape[1]) if place not in active]
    signed = architecture.signed  # type: ignore[attr-defined]
    largest = max((abs(drives[i]) if signed else drives[i] for i in dead), default=0.0)
    rank = int(np.linalg.matrix_rank(part)) if len(active) else 0
    index = 0 if architecture.homogeneity_degree > 2 else None
    if signed and architecture.homogeneity_degree == 2:
        index = int((np.abs(drives[dead]) > ZERO * np.abs(inputs.T @ targets).max()).sum())
    return ClosedForm(float(0.5 * (errors**2).mean()), rank, float(largest), index)


def _of_frequencies(architecture: Architecture, plateau: int, active: Sequence[int]) -> ClosedForm:
    """K frequencies learned: half the others' energy; the wave of the largest that is left has the largest utility.

    A dead neuron of unit vectors, all three a wave of frequency k with phases that add up, has the utility
    |x_hat_k|^3 (2 / p)^(3/2) / 2; at k = p / 2, where waves have one phase, 2 |x_hat_k|^3 / p^(3/2).
    """
    data = architecture.data  # type: ignore[attr-defined]
    sizes = data.spectrum.abs().double().numpy()
    order = np.argsort(-sizes, kind="stable")[plateau:]
    energies = data.energies.double().numpy()
    twice = data.multiplicities.double().numpy() == 2
    peaks = sizes**3 / data.p**1.5 * np.where(twice, 2**0.5, 2.0)
    return ClosedForm(float(energies[order].sum()), None, float(peaks[order].max(initial=0.0)), 0)
