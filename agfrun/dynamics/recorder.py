"""Recording a path of any length in a bounded number of rows, dense where things happen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.dynamics.trajectory import FloatArray, IntArray, Trajectory

STATE_BYTES = 256 * 2**20
OBSERVE_TOGETHER = 64


class Recorder:
    """Collects moments of a path and boils them down to a `Trajectory` of at most `max_rows` rows.

    Rows are observables only; whole states are kept besides, thinned so that they fit in
    `STATE_BYTES`, for the snapshots at plateaus.
    """

    def __init__(self, architecture: Architecture, source: str, max_rows: int) -> None:
        self.architecture = architecture
        self.source = source
        self.max_rows = max_rows
        self.rows: list[tuple[float, int, float]] = []
        self.pending: list[Tensor] = []
        self.observed: list[tuple[FloatArray, FloatArray, IntArray]] = []
        self.states: list[tuple[float, Tensor]] = []
        self.state_stride = 1

    def record(self, time: float, neurons: Tensor, loss: float, step: int = -1) -> None:
        """Add a moment: time, neurons (H, D), paper loss, optimizer step (-1 for a flow)."""
        self._keep_state(time, neurons)
        self.rows.append((time, step, loss))
        self.pending.append(neurons)
        if len(self.pending) >= OBSERVE_TOGETHER:
            self._observe()

    def state_near(self, time: float) -> tuple[float, Tensor]:
        """The kept state nearest to a time: its time and neurons (H, D)."""
        return min(self.states, key=lambda kept: abs(kept[0] - time))

    def trajectory(self) -> Trajectory:
        """The recorded path; accumulated utility follows from the norms, `active` is left False."""
        self._observe()
        features, norms, directions = (np.concatenate(parts) for parts in zip(*self.observed, strict=True))
        times, steps, loss = (np.array(column) for column in zip(*self.rows, strict=True))
        chosen = select_rows(times, loss, features, norms, self.max_rows)
        return Trajectory(
            source=self.source,
            times=times[chosen],
            loss=loss[chosen],
            feature_names=self.architecture.feature_names,
            features=features[chosen],
            neuron_norms=norms[chosen],
            accumulated_utility=accumulated_utility(norms, self.architecture.homogeneity_degree)[chosen],
            direction_feature=directions[chosen],
            active=np.zeros_like(directions[chosen], dtype=bool),
            steps=None if steps[0] < 0 else steps[chosen].astype(np.int64),
        )

    def _keep_state(self, time: float, neurons: Tensor) -> None:
        if len(self.rows) % self.state_stride == 0:
            self.states.append((time, neurons))
        if len(self.states) * neurons.numel() * neurons.element_size() > STATE_BYTES:
            del self.states[1::2]
            self.state_stride *= 2

    def _observe(self) -> None:
        if self.pending:
            self.observed.append(observe(self.architecture, torch.stack(self.pending)))
            self.pending = []


def observe(architecture: Architecture, states: Tensor) -> tuple[FloatArray, FloatArray, IntArray]:
    """Features (T, F), neuron norms (T, H) and index of each neuron's feature (T, H) of states (T, H, D)."""
    return (
        architecture.features(states).double().cpu().numpy(),
        torch.linalg.vector_norm(states, dim=-1).double().cpu().numpy(),
        architecture.neuron_feature_strengths(states).argmax(-1).cpu().numpy(),
    )


def accumulated_utility(norms: FloatArray, homogeneity_degree: int) -> FloatArray:
    """Integral of kappa U along each neuron's path, which its norm determines (AGF, section 1.3).

    kappa = 2: log ||theta|| - log ||theta_0||; kappa > 2: a difference of ||theta||^(2 - kappa).
    Exact for training too, where the utility is that of the true residual.

    Args:
        norms: (T, H), first row the initialization.
    """
    if homogeneity_degree == 2:
        return np.asarray(_log(norms) - _log(norms[0]))
    power = 2.0 - homogeneity_degree
    return np.asarray((norms[0] ** power - norms**power) / -power)


def select_rows(
    times: FloatArray, loss: FloatArray, features: FloatArray, norms: FloatArray, max_rows: int
) -> IntArray:
    """Indices of at most `max_rows` rows, spread evenly along the path's arc length.

    Length is measured in everything one looks at: log time, the loss on linear and log scales, the
    features relative to their largest size and the norms on a log scale. First and last rows stay.
    """
    count = len(times)
    if count <= max_rows:
        return np.arange(count)
    moving = times > 0
    first = times[moving][0] if moving.any() else 1.0
    floor = max(float(np.abs(loss).max()) * 1e-12, 1e-300)
    columns = [
        np.log(np.maximum(times, first)),
        np.log(np.maximum(loss, floor)),
        loss / max(float(np.abs(loss).max()), floor) * 10,
        features / np.maximum(np.abs(features).max(0), 1e-300) * 10,
        _log(norms),
    ]
    length = np.zeros(count - 1)
    for column in columns:
        change = np.abs(np.diff(column, axis=0))
        change = change if change.ndim == 1 else change.max(1)
        length += change / max(float(change.sum()), 1e-300)
    position = np.concatenate([[0.0], np.cumsum(length)])
    wanted = np.linspace(0, position[-1], max_rows)
    chosen = np.clip(np.searchsorted(position, wanted), 0, count - 1)
    chosen[-1] = count - 1  # the last row stays even if nothing moved before it
    return np.unique(chosen)


def _log(norms: FloatArray) -> FloatArray:
    """Logarithm of norms; a neuron that has decayed below the smallest normal number counts as that."""
    return np.asarray(np.log(np.maximum(norms, np.finfo(np.float64).tiny)))
