"""Conjecture 4.1 for the fully connected linear network f(x) = A W x (AGF paper, section 4).

With beta* = Sigma_yx Sigma_xx^+ (least squares), (mu_k, u_k) the eigenpairs of Sigma_yx Sigma_xx^+ Sigma_xy in
descending order, P_k the projection on u_1 .. u_k and sigma_j^(k) the singular values of (1 - P_k) Sigma_yx,
gradient flow from a vanishing initialization visits A W = P_k beta* at the times tau_k log(1/(sqrt(2) scale)),

    tau_k = tau_(k-1) + (1 - sum_(j=0)^(k-2) sigma_(k-j)^(j) (tau_(j+1) - tau_j)) / sigma_1^(k-1).

The sum is what neuron k has grown by before, following the (k - j)-th singular value of stage j. The
conjecture takes for granted that the modes are in general position. Where they are not, they fall into sets
that never see one another, each with a clock of its own; in the commuting case every mode is such a set, and
mode k comes at 1/sigma_k. So the conjecture is applied to each set and the sequences are merged by time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.fully_connected_linear.data import LinearMap
from agfrun.labs.staircases.networks.theory import Theory

# A mode below this part of the largest singular value of the whitened map is rounding.
SMALLEST_MODE = 1e-12
# Numbers that agree to this are equal but for rounding.
EQUAL = 1e-9


@dataclass(frozen=True)
class TargetModes:
    """Modes u_k of a linear target.

    Attributes:
        left: u_k as columns, (c, r).
        least_squares: rows u_k^T beta*, (r, d).
        drives: rows u_k^T Sigma_yx, (r, d).
        energies: mu_k, twice the loss that mode k carries, (r,).
        sets: equal numbers for modes that may influence one another, (r,).
    """

    left: FloatArray
    least_squares: FloatArray
    drives: FloatArray
    energies: FloatArray
    sets: IntArray

    def __len__(self) -> int:
        return len(self.energies)

    def taken(self, order: list[int]) -> TargetModes:
        """Some of the modes, in the order given."""
        return TargetModes(self.left[:, order], self.least_squares[order], self.drives[order], self.energies[order],
                           self.sets[order])


@dataclass(frozen=True)
class Stages:
    """The predicted staircase of K modes.

    Attributes:
        modes: all r >= K modes of the target in the order in which they would be learned.
        times: tau_k in units of log(1/(sqrt(2) scale)), (K,).
        levels: paper loss before the first and after each mode, (K + 1,).
        undecided: why the order is left open, in one sentence; empty if it is decided.
    """

    modes: TargetModes
    times: FloatArray
    levels: FloatArray
    undecided: str

    def __len__(self) -> int:
        return len(self.times)

    def saddle(self, count: int) -> FloatArray:
        """The map A W with the first `count` modes learned, (c, d): P_k beta*."""
        return np.asarray(self.modes.left[:, :count] @ self.modes.least_squares[:count])

    def singular_values(self) -> FloatArray:
        """Singular values of `saddle(k)` for k = 0 .. K, descending, (K + 1, min(c, d))."""
        return np.stack([np.linalg.svd(self.saddle(count), compute_uv=False) for count in range(len(self) + 1)])


def target_modes(data: LinearMap) -> TargetModes:
    """The modes of a linear target, descending in mu; degenerate ones in a basis that decouples them."""
    target_map, factor = (matrix.cpu().double().numpy() for matrix in (data.target_map, data.factor))
    left, sizes, right = np.linalg.svd(target_map @ factor, full_matrices=False)
    count = int((sizes > SMALLEST_MODE * sizes[0]).sum())
    left, sizes, right = left[:, :count], sizes[:count], right[:count]
    # F has orthogonal columns, whose squared lengths are the eigenvalues of Sigma_xx.
    variances = np.square(factor).sum(0)
    for cluster in _runs_of_equals(np.square(sizes)):
        # Of all bases of equal modes, that in which Sigma_xx does not couple them directly.
        rotation = np.linalg.eigh((right[cluster] * variances) @ right[cluster].T)[1][:, ::-1]
        left[:, cluster], right[cluster] = left[:, cluster] @ rotation, rotation.T @ right[cluster]
    whitened = sizes[:, None] * right
    return TargetModes(left, (whitened / variances) @ factor.T, whitened @ factor.T, np.square(sizes),
                       _coupled_sets(right, variances))


def predicted_stages(modes: TargetModes, width: int, noise_loss: float = 0.0) -> Stages:
    """Conjecture 4.1 in each set of coupled modes, merged by time; every mode takes one of `width` neurons."""
    times = np.empty(len(modes))
    for label in np.unique(modes.sets):
        members = np.flatnonzero(modes.sets == label)
        times[members] = jump_times(modes.drives[members])
    order = np.argsort(times, kind="stable").tolist()
    ordered, times, count = modes.taken(order), times[order], min(width, len(modes))
    left_over = 0.5 * np.append(np.cumsum(ordered.energies[::-1])[::-1], 0.0)
    return Stages(ordered, times[:count], noise_loss + left_over[: count + 1], _undecided(ordered, times, width))


def jump_times(drives: FloatArray) -> FloatArray:
    """The recursion of conjecture 4.1: tau_1 .. tau_r in units of log(1/(sqrt(2) scale)), not decreasing.

    Args:
        drives: rows u_k^T Sigma_yx in descending order of mu_k, (r, d); those from k on have the singular
            values of (1 - P_k) Sigma_yx.
    """
    count = len(drives)
    spectra = [np.linalg.svd(drives[stage:], compute_uv=False) for stage in range(count)]
    waits = np.zeros(count)
    for k in range(count):
        grown = sum(spectra[stage][k - stage] * waits[stage] for stage in range(k))
        waits[k] = (1 - grown) / spectra[k][0]
    return np.cumsum(waits)


def fully_connected_linear_theory(stages: Stages, log_init_scale: float) -> Theory:
    """The predicted staircase as events and levels, for initial neurons of norm about sqrt(2) * exp(log_init_scale)."""
    stretch = -(0.5 * math.log(2) + log_init_scale)
    names = [str(k + 1) for k in range(len(stages))]
    times, levels = (stages.times * stretch).tolist(), stages.levels.tolist()
    ends = [*times[1:], math.nan]
    events = [Event("activation", times[k], name, None, levels[k], levels[k + 1], times[k], ends[k])
              for k, name in enumerate(names)]
    return Theory(
        description="conjecture 4.1 in each set of coupled modes, time multiplied by log(1/(sqrt(2) scale))",
        levels=tuple(zip(names, levels[1:], strict=True)),
        undecided=stages.undecided,
        events=tuple(events) if stretch > 0 else (),
        lower_bounds={},
        initial_loss=levels[0],
    )


def _coupled_sets(right: FloatArray, variances: FloatArray) -> IntArray:
    """Label of the set that each mode belongs to, (r,).

    Two modes influence each other if a function of Sigma_xx connects their whitened input directions,
    directly or through others.

    Args:
        right: whitened input directions as rows, in the basis of Sigma_xx's eigenvectors, (r, rank).
        variances: eigenvalues of Sigma_xx in that basis, (rank,).
    """
    # The exponential has every power of Sigma_xx; less the constant one, which connects nothing.
    mixing = (right * np.expm1(variances / variances[0])) @ right.T
    scale = np.sqrt(np.diag(mixing))
    connected = np.abs(mixing) > EQUAL * np.outer(scale, scale)
    labels = np.arange(len(right))
    for _ in range(len(right)):
        # The smallest label of a set moves on by one connection each time.
        labels = np.array([labels[row].min() for row in connected], dtype=np.int64)
    return labels.astype(np.int64)


def _runs_of_equals(values: FloatArray) -> list[list[int]]:
    """Indices of neighbours in a sorted sequence that are equal to rounding, runs of two and more."""
    runs: list[list[int]] = [[]]
    for index, value in enumerate(values.tolist()):
        if runs[-1] and abs(value - values[runs[-1][-1]]) > EQUAL * abs(value):
            runs.append([])
        runs[-1].append(index)
    return [run for run in runs if len(run) > 1]


def _undecided(modes: TargetModes, times: FloatArray, width: int) -> str:
    """Why the order of all modes, sorted by their times, is open, or nothing."""
    if at_once := _named(_runs_of_equals(times)):
        return f"modes {at_once} are equally fast: their order is undetermined"
    by_energy = np.argsort(-modes.energies, kind="stable")
    alike = [by_energy[run].tolist() for run in _runs_of_equals(modes.energies[by_energy])]
    if entangled := _named([run for run in alike if len(set(modes.sets[run].tolist())) < len(run)]):
        return f"modes {entangled} carry the same loss: in which combination they are learned is undetermined"
    if width < len(modes) and set(by_energy[:width].tolist()) != set(range(width)):
        return (f"{width} neurons first learn the fastest modes, which are not the largest: these replace them "
                "later, at a time that the conjecture does not give")
    return ""


def _named(runs: list[list[int]]) -> str:
    return ", ".join(" and ".join(str(k + 1) for k in run) for run in runs)
