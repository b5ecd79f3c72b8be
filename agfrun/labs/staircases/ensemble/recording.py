"""Recording the paths of many members in bulk: whole arrays of moments, told apart at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.recorder import STATE_BYTES, Observed, Recorder, observe
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.networks.base import Architecture

# Numbers of states that are kept before they are observed together (32 MiB in float64).
OBSERVE_TOGETHER = 2**22


@dataclass(frozen=True)
class Moments:
    """R moments of any members, those of one member in the order of time.

    Attributes:
        members: whose moment it is, (R,).
        times, losses: (R,).
        steps: optimizer step, (R,), -1 for a flow.
    """

    members: IntArray
    times: FloatArray
    losses: FloatArray
    steps: IntArray

    @classmethod
    def joined(cls, parts: list[Moments]) -> Moments:
        """Successive moments as one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts])
                     for name in ("members", "times", "losses", "steps")))


class EnsembleRecorder:
    """Collects moments of B members; a `Recorder` for each of them comes out.

    Observables of all moments are kept, and whole states as far as those of all members fit in `STATE_BYTES`.
    """

    def __init__(self, architecture: Architecture, members: int, max_rows: int) -> None:
        self.architecture = architecture
        self.max_rows = max_rows
        self.moments: list[Moments] = []
        self.pending: list[tuple[Tensor, Tensor | None]] = []
        self.observed: list[Observed] = []
        self.states = _KeptStates(members)

    def record(self, moments: Moments, neurons: Tensor, log_factors: Tensor | None = None) -> None:
        """Add R moments with neurons (R, H, D), which are `neurons * exp(log_factors)` where these are given."""
        if len(moments.members) == 0:
            return
        self.moments.append(moments)
        self.pending.append((neurons, log_factors))
        self.states.add(moments, neurons if log_factors is None else neurons * log_factors.exp()[..., None])
        if sum(states.numel() for states, _ in self.pending) > OBSERVE_TOGETHER:
            self._observe()

    def recorders(self) -> list[Recorder]:
        """A recorder for each member; every one of them has a moment."""
        self._observe()
        every, seen = Moments.joined(self.moments), Observed.joined(self.observed)
        states = self.states.by_member()
        recorders = []
        for member, kept in enumerate(states):
            own = np.flatnonzero(every.members == member)
            rows = list(zip(every.times[own].tolist(), every.steps[own].tolist(), every.losses[own].tolist(),
                            strict=True))
            recorders.append(Recorder.filled(self.architecture, "training", self.max_rows, rows, seen.at(own), kept))
        return recorders

    def _observe(self) -> None:
        if self.pending:
            states = torch.cat([neurons for neurons, _ in self.pending])
            scales = None
            if self.pending[0][1] is not None:
                scales = torch.cat([scale for _, scale in self.pending if scale is not None])
            self.observed.append(observe(self.architecture, states, scales))
            self.pending = []


class _KeptStates:
    """Every state of every member; every second, fourth ... of each once these are too many."""

    def __init__(self, members: int) -> None:
        self.counts = np.zeros(members, dtype=np.int64)
        self.stride = 1
        self.parts: list[tuple[IntArray, IntArray, FloatArray, Tensor]] = []

    def add(self, moments: Moments, states: Tensor) -> None:
        """Keep what the stride allows of moments with states (R, H, D)."""
        places = self._places(moments.members)
        self.parts.append((moments.members, places, moments.times, states))
        if self.stride > 1:
            self.parts[-1] = _thinned(self.parts[-1], self.stride)
        if sum(part[3].numel() * part[3].element_size() for part in self.parts) > STATE_BYTES:
            self.stride *= 2
            self.parts = [_thinned(part, self.stride) for part in self.parts]

    def by_member(self) -> list[list[tuple[float, Tensor]]]:
        """Time and state of each member's kept moments."""
        kept: list[list[tuple[float, Tensor]]] = [[] for _ in self.counts]
        for members, _, times, states in self.parts:
            for member, time, state in zip(members.tolist(), times.tolist(), states.unbind(), strict=True):
                kept[member].append((time, state))
        return kept

    def _places(self, members: IntArray) -> IntArray:
        """How many moments of its member come before each of these."""
        order = np.argsort(members, kind="stable")
        ordered = members[order]
        first = np.searchsorted(ordered, ordered, side="left")
        places = np.empty_like(members)
        places[order] = self.counts[ordered] + np.arange(len(members)) - first
        np.add.at(self.counts, members, 1)
        return places


def _thinned(
    part: tuple[IntArray, IntArray, FloatArray, Tensor], stride: int
) -> tuple[IntArray, IntArray, FloatArray, Tensor]:
    """The moments whose place is a multiple of the stride."""
    members, places, times, states = part
    kept = np.flatnonzero(places % stride == 0)
    return members[kept], places[kept], times[kept], states[torch.as_tensor(kept, device=states.device)]
