"""Recording a path of any length in a bounded number of rows, dense where things happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.polar import directions_and_log_norms
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray, Trajectory
from agfrun.labs.staircases.networks.base import Architecture

STATE_BYTES = 256 * 2**20
OBSERVE_TOGETHER = 64
# Many small states that stay, one by one among a step's large matrices that go, would leave a heap full of holes.
STATES_TOGETHER = 64


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
        self.pending: list[tuple[Tensor, Tensor | None]] = []
        self.observed: list[Observed] = []
        self.states: list[tuple[float, Tensor]] = []
        self.state_stride = 1
        self.free_places = torch.empty(0)

    @classmethod
    def filled(cls, architecture: Architecture, source: str, max_rows: int, rows: Sequence[tuple[float, int, float]],
               observed: Observed, states: Sequence[tuple[float, Tensor]]) -> Recorder:
        """A recorder of moments that were seen elsewhere.

        Args:
            rows: time, optimizer step (-1 for a flow) and paper loss of each of T moments.
            observed: what is seen of them.
            states: time and neurons (H, D) of some of them.
        """
        recorder = cls(architecture, source, max_rows)
        recorder.rows, recorder.observed, recorder.states = list(rows), [observed], list(states)
        return recorder

    def record(
        self, time: float, neurons: Tensor, loss: float, step: int = -1, log_factors: Tensor | None = None
    ) -> None:
        """Add a moment: time, neurons (H, D), paper loss, optimizer step (-1 for a flow).

        With `log_factors` (H,) the neurons are `neurons * exp(log_factors)`, which may be too small for floats.
        """
        self.record_all([time], neurons[None], [loss], [step], None if log_factors is None else log_factors[None])

    def record_all(self, times: Sequence[float], neurons: Tensor, losses: Sequence[float], steps: Sequence[int],
                   log_factors: Tensor | None = None) -> None:
        """Add T moments with neurons (T, H, D) and log factors (T, H); see `record`."""
        self._keep_states(times, neurons if log_factors is None else neurons * log_factors.exp()[..., None])
        self.rows.extend(zip(times, steps, losses, strict=True))
        self.pending.append((neurons, log_factors))
        if sum(len(block) for block, _ in self.pending) >= OBSERVE_TOGETHER:
            self._observe()

    def state(self) -> TrainingState:
        """All that was recorded. Moments are observed in the same groups whether or not it is taken up again."""
        times, steps, loss = zip(*self.rows, strict=True)
        arrays = {
            "times": torch.tensor(times, dtype=torch.float64), "steps": torch.tensor(steps),
            "loss": torch.tensor(loss, dtype=torch.float64),
            "state_times": torch.tensor([time for time, _ in self.states], dtype=torch.float64),
            "states": torch.stack([state for _, state in self.states]),
        }
        if self.pending:
            neurons, log_factors = _joined(self.pending)
            arrays["pending"] = neurons
            if log_factors is not None:
                arrays["pending_log_scales"] = log_factors
        if self.observed:
            seen = Observed.joined(self.observed)
            arrays |= {"seen.features": torch.from_numpy(seen.features),
                       "seen.log_norms": torch.from_numpy(seen.log_norms),
                       "seen.directions": torch.from_numpy(seen.directions)}
            arrays |= {f"observables.{name}": torch.from_numpy(values) for name, values in seen.observables.items()}
        return TrainingState({"state_stride": self.state_stride}, arrays)

    def restore(self, state: TrainingState, neurons: Tensor) -> None:
        """Take up what another recorder had recorded of a network like `neurons` (H, D)."""
        arrays = state.arrays
        columns = (arrays[name].tolist() for name in ("times", "steps", "loss"))
        self.rows = [(time, int(step), loss) for time, step, loss in zip(*columns, strict=True)]
        states = arrays["states"].to(neurons)
        if states.shape[1:] != neurons.shape:
            raise ValueError(f"its networks have the shape {tuple(states.shape[1:])}, not {tuple(neurons.shape)}")
        self.states = list(zip(arrays["state_times"].tolist(), states, strict=True))
        self.state_stride = int(state.numbers["state_stride"])
        if "pending" in arrays:
            scales = arrays["pending_log_scales"].to(neurons) if "pending_log_scales" in arrays else None
            self.pending = [(arrays["pending"].to(neurons), scales)]
        if "seen.features" in arrays:
            seen, observables = state.part("seen").arrays, state.part("observables").arrays
            self.observed = [Observed(
                seen["features"].numpy(), seen["log_norms"].numpy(), seen["directions"].numpy(),
                {name: values.numpy() for name, values in observables.items()})]
        seen_already = sum(len(seen.features) for seen in self.observed)
        if len(self.rows) != sum(len(block) for block, _ in self.pending) + seen_already:
            raise ValueError("it lacks what was seen of some moments")

    def thin_states(self, size: int) -> None:
        """Drop every other kept state until what is left takes at most `size` bytes; the first always stays."""
        while len(self.states) > 1 and sum(state.nbytes for _, state in self.states) > size:
            self._halve_states()

    def state_near(self, time: float) -> tuple[float, Tensor]:
        """The kept state nearest to a time: its time and neurons (H, D)."""
        return min(self.states, key=lambda kept: abs(kept[0] - time))

    def trajectory(self) -> Trajectory:
        """The recorded path; accumulated utility follows from the norms, `active` is left False."""
        self._observe()
        seen = Observed.joined(self.observed)
        times, steps, loss = (np.array(column) for column in zip(*self.rows, strict=True))
        path = Trajectory(
            source=self.source,
            times=times,
            loss=loss,
            feature_names=self.architecture.feature_names,
            features=seen.features,
            log_norms=seen.log_norms,
            accumulated_utility=accumulated_utility(seen.log_norms, self.architecture.homogeneity_degree),
            direction_feature=seen.directions,
            active=np.zeros_like(seen.directions, dtype=bool),
            steps=None if steps[0] < 0 else steps.astype(np.int64),
            observables=seen.observables,
        )
        return path.at_rows(select_rows(times, loss, seen.features, seen.log_norms, self.max_rows))

    def _keep_states(self, times: Sequence[float], neurons: Tensor) -> None:
        """Keep every so many of the moments that follow those in `rows`; neurons are (T, H, D)."""
        first = -len(self.rows) % self.state_stride
        kept = neurons[first :: self.state_stride]
        if len(kept) > len(self.free_places):
            self.free_places = neurons.new_empty((max(STATES_TOGETHER, len(kept)), *neurons.shape[1:]))
        places, self.free_places = self.free_places[: len(kept)], self.free_places[len(kept) :]
        self.states.extend(zip(times[first :: self.state_stride], places.copy_(kept).unbind(), strict=True))
        while len(self.states) * neurons[0].numel() * neurons.element_size() > STATE_BYTES:
            self._halve_states()
            self.state_stride *= 2

    def _halve_states(self) -> None:
        """Drop every other state, and the memory that it shares with its neighbours."""
        kept = self.states[::2]
        together = torch.stack([state for _, state in kept])
        self.states = [(time, state) for (time, _), state in zip(kept, together, strict=True)]
        self.free_places = together[:0]

    def _observe(self) -> None:
        if self.pending:
            neurons, log_factors = _joined(self.pending)
            self.observed.append(observe(self.architecture, neurons, log_factors))
            self.pending = []


@dataclass(frozen=True)
class Observed:
    """What is seen of T states of the network.

    Attributes:
        features: sizes of the features, (T, F).
        log_norms: logarithms of the neurons' norms, (T, H); that of a neuron at the origin is that of
            the smallest normal number.
        directions: index of the feature each neuron points at, (T, H).
        observables: the architecture's further quantities by name, (T, m) each.
    """

    features: FloatArray
    log_norms: FloatArray
    directions: IntArray
    observables: dict[str, FloatArray]

    @classmethod
    def joined(cls, parts: Sequence[Observed]) -> Observed:
        """Successive observations as one."""
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.log_norms for part in parts]),
            np.concatenate([part.directions for part in parts]),
            {name: np.concatenate([part.observables[name] for part in parts]) for name in parts[0].observables},
        )

    def at(self, rows: IntArray) -> Observed:
        """What is seen of chosen states."""
        return Observed(self.features[rows], self.log_norms[rows], self.directions[rows],
                        {name: values[rows] for name, values in self.observables.items()})


def _joined(blocks: Sequence[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """Successive moments, neurons (T, H, D) and log factors (T, H), or None where no block has any."""
    scales = [torch.zeros_like(neurons[..., 0]) if factors is None else factors for neurons, factors in blocks]
    has_any = any(factors is not None for _, factors in blocks)
    return torch.cat([neurons for neurons, _ in blocks]), torch.cat(scales) if has_any else None


def observe_moments(architecture: Architecture, moments: Sequence[tuple[Tensor, Tensor | None]]) -> Observed:
    """Observe moments, each neurons (H, D) and log factors (H,) or None (see `Recorder.record`)."""
    return observe(architecture, *_joined([(neurons[None], None if factors is None else factors[None])
                                           for neurons, factors in moments]))


def observe(architecture: Architecture, states: Tensor, log_factors: Tensor | None = None) -> Observed:
    """Observe states (T, H, D), or `states * exp(log_factors)` with log factors (T, H)."""
    log_norms = directions_and_log_norms(states)[1]
    actual = states
    if log_factors is not None:
        log_norms = log_norms + log_factors
        actual = states * log_factors.exp()[..., None]
    return Observed(
        architecture.features(actual).double().cpu().numpy(),
        log_norms.double().cpu().numpy(),
        # A neuron points the same way at any scale.
        architecture.neuron_feature_strengths(states).argmax(-1).cpu().numpy(),
        {name: values.double().cpu().numpy() for name, values in architecture.observables(actual).items()},
    )


def accumulated_utility(log_norms: FloatArray, homogeneity_degree: int) -> FloatArray:
    """Integral of kappa U along each neuron's path, which its norm determines (AGF, section 1.3).

    kappa = 2: log ||theta|| - log ||theta_0||; kappa > 2: a difference of ||theta||^(2 - kappa).
    Exact for training too, where the utility is that of the true residual.

    Args:
        log_norms: (T, H), first row the initialization.
    """
    if homogeneity_degree == 2:
        return np.asarray(log_norms - log_norms[0])
    # dn/dt = kappa U n^(kappa - 1) for the norm n and the utility U of the direction: integrate n^(1 - kappa) dn.
    power = 2.0 - homogeneity_degree
    return np.asarray((np.exp(power * log_norms[0]) - np.exp(power * log_norms)) / -power)


def select_rows(
    times: FloatArray, loss: FloatArray, features: FloatArray, log_norms: FloatArray, max_rows: int
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
    # Far below the largest loss, its logarithm may be noise, which would take up rows.
    floor = max(float(np.abs(loss).max()) * 1e-12, 1e-300)
    columns = [
        np.log(np.maximum(times, first)),
        np.log(np.maximum(loss, floor)),
        loss / max(float(np.abs(loss).max()), floor) * 10,
        features / np.maximum(np.abs(features).max(0), 1e-300) * 10,
        log_norms,
    ]
    length = np.zeros(count - 1)
    for column in columns:
        change = np.abs(np.diff(column, axis=0))
        change = change if change.ndim == 1 else change.max(1)
        # Each quantity is followed with the same share of the rows, whatever its unit.
        length += change / max(float(change.sum()), 1e-300)
    position = np.concatenate([[0.0], np.cumsum(length)])
    wanted = np.linspace(0, position[-1], max_rows)
    chosen = np.clip(np.searchsorted(position, wanted), 0, count - 1)
    chosen[-1] = count - 1  # the last row stays even if nothing moved before it
    return np.unique(chosen)
