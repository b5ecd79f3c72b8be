"""A set of modes that Sigma_xx couples: its growth from one step of the residual to the next.

While the residual E is constant a neuron grows by exp of [[0, E^T], [E, 0]], along the singular pairs (r_j, l_j) of E
at the rates sigma_j. At a step one mode leaves E, and the hidden vectors are those of the new singular pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.networks.fully_connected_linear.mode_growth import HiddenVectors
from agfrun.labs.staircases.networks.fully_connected_linear.theory import TargetModes


@dataclass(frozen=True)
class CoupledModes:
    """The modes of one set that are not yet learned, in descending order of energy.

    Attributes:
        modes: of the target.
        members: indices of those of the set, (n,).
        pairs: growing directions (r_j, l_j), fastest first; columns, (d + c, n).
        rates: sigma_j, (n,).
        vectors: hidden vectors along them over exp(log_factors), columns, (H, n).
        log_factors: (n,).
        originals: norms of `vectors` before projections, (n,).
        shrinking: hidden vectors (H,) along (-r_1, l_1); what is left of it after a step is nothing.
        time: of the vectors.
    """

    modes: TargetModes
    members: IntArray
    pairs: FloatArray
    rates: FloatArray
    vectors: FloatArray
    log_factors: FloatArray
    originals: FloatArray
    shrinking: FloatArray
    time: float

    @property
    def next(self) -> int:
        """Index of the mode that is learned next: the largest."""
        return int(self.members[0])

    def newcomer(self) -> HiddenVectors:
        """Hidden vectors of the next mode, as if it grew along the fastest pair up to its own size."""
        size = float(np.linalg.norm(self.modes.least_squares[self.next]))
        return HiddenVectors(float(self.rates[0]), size, self.vectors[:, 0], self.shrinking,
                             float(self.log_factors[0]), self.time, float(self.originals[0]))

    def without(self, direction: FloatArray) -> CoupledModes:
        """What a learned mode leaves: it damps whatever lies along its hidden direction (H,)."""
        vectors = self.vectors - np.outer(direction, direction @ self.vectors)
        shrinking = self.shrinking - direction * (direction @ self.shrinking)
        return CoupledModes(self.modes, self.members, self.pairs, self.rates, vectors, self.log_factors,
                            self.originals, shrinking, self.time)

    def after_step(self, time: float, direction: FloatArray) -> CoupledModes | None:
        """Those that are left once the next mode is learned along a hidden direction (H,); None if none are."""
        if len(self.members) == 1:
            return None
        members = self.members[1:]
        pairs, rates = growing_pairs(self.modes, members)
        logs = self.log_factors + self.rates * (time - self.time)
        largest = float(logs.max())
        change = np.exp(logs - largest)[:, None] * (self.pairs.T @ pairs) / 2
        originals = np.sqrt(np.square(self.originals) @ np.square(change))
        # The learned one is along the direction: it leaves nothing, not even rounding.
        left = self.vectors[:, 1:] - np.outer(direction, direction @ self.vectors[:, 1:])
        vectors = left @ change[1:]
        return CoupledModes(self.modes, members, pairs, rates, vectors, np.full(len(rates), largest), originals,
                            np.zeros(len(vectors)), time)


def growing_pairs(modes: TargetModes, members: IntArray) -> tuple[FloatArray, FloatArray]:
    """Columns (r_j, l_j), (d + c, n), and rates sigma_j, (n,), of the residual that these modes make."""
    left, rates, right = np.linalg.svd(modes.drives[members], full_matrices=False)
    return np.concatenate([right.T, modes.left[:, members] @ left]), rates


def coupled_modes(modes: TargetModes, members: IntArray, neurons: FloatArray, log_factor: float) -> CoupledModes:
    """One set at time 0, in neurons (w, a) * exp(log_factor), (H, d + c)."""
    by_energy = members[np.argsort(-modes.energies[members], kind="stable")]
    pairs, rates = growing_pairs(modes, by_energy)
    vectors = neurons @ pairs
    opposed = np.where(np.arange(len(pairs)) < modes.drives.shape[1], -1.0, 1.0) * pairs[:, 0]
    return CoupledModes(modes, by_energy, pairs, rates, vectors, np.full(len(rates), log_factor),
                        np.linalg.norm(vectors, axis=0), neurons @ opposed, 0.0)


def initial_sets(modes: TargetModes, neurons: FloatArray, log_factor: float) -> list[CoupledModes]:
    """All sets at time 0."""
    return [coupled_modes(modes, np.flatnonzero(modes.sets == label), neurons, log_factor)
            for label in np.unique(modes.sets)]
