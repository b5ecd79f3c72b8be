"""AGF in closed form: two-layer networks with (leaky) ReLU on orthonormal inputs and scalar targets.

In the coordinates p_j = w . x_j a neuron (p, a) under a fixed residual r obeys

    da/dt = sum_j g_j sigma(p_j),    dp_j/dt = a sigma'(p_j) g_j,    g_j = r_j / n,

so that samples act on it one by one. As long as no p_j changes sign this is linear: with the drives
e_j = sigma'(p_j) g_j and omega^2 = sum_j e_j^2,

    a(t) = u e^(omega t) + v e^(-omega t),    p_j(t) = p_j(0) + e_j int_0^t a,
    u + v = a(0),    u - v = sum_j e_j p_j(0) / omega.

A neuron's path is a sequence of such pieces; each ends where a or some p_j passes zero, and for ReLU a p_j that has
reached zero stays there (sigma'(0) = 0). a changes sign at most once: a^2 as a function of int a is convex.
In the end u e^(omega t) wins: the neuron grows at the rate omega (kappa times its maximal utility) towards
sign(a) (e, omega) / (sqrt(2) omega), with e supported on the samples with sign(a) r_j > 0 that it is alive on.

A neuron that has become active fits exactly the samples that it is alive on and whose target has the sign of its a: its
cost has no other critical point with a != 0. Their residual is then zero, the others' is unchanged, and the dormant
neurons go on. This reproduces the phases of Boursier, Pillaud-Vivien & Flammarion (NeurIPS 2022), who assume neurons
alive on all samples of one sign, and needs no such assumption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.theory import Theory

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Above this logarithm of threshold over norm, the square of the ratio drowns all corrections to it.
LARGE_LOG_RATIO = 300.0
# An event that is due now may come out as this far in the past.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Neuron:
    """A dormant neuron exp(log_norm) (p, a) with |(p, a)| = 1, and the samples on whose positive side it is.

    Attributes:
        p: (n,).
        a: scalar.
        log_norm: logarithm of the neuron's norm.
        positive: whether sigma acts on p_j as on a positive number, (n,).
    """

    p: Array
    a: float
    log_norm: float
    positive: Mask

    @classmethod
    def of(cls, p: Array, a: float, log_norm: float = 0.0, positive: Mask | None = None) -> Neuron:
        """Split exp(log_norm) (p, a) into norm and direction."""
        norm = math.hypot(float(np.linalg.norm(p)), a)
        return cls(p / norm, a / norm, log_norm + math.log(norm), p > 0 if positive is None else positive)


@dataclass(frozen=True)
class Activation:
    """One round: `neuron` activates at `time` and fits the samples `learned`; the loss falls to `loss`."""

    time: float
    neuron: int
    learned: tuple[int, ...]
    loss: float


class _Piece:
    """The path of a neuron under drives g until it, or one of its p_j, passes zero."""

    def __init__(self, neuron: Neuron, drives: Array, slope: float) -> None:
        self.neuron = neuron
        self.rates = np.where(neuron.positive, 1.0, slope) * drives
        self.omega = float(np.linalg.norm(self.rates))
        pull = float(self.rates @ neuron.p) / self.omega if self.omega > 0 else 0.0
        self.u, self.v = 0.5 * (neuron.a + pull), 0.5 * (neuron.a - pull)
        # At zero, a takes the sign of its pull.
        self.direction = math.copysign(1.0, neuron.a if neuron.a != 0 else pull)
        self.duration, self.sample = self._first_event()

    def _first_event(self) -> tuple[float, int | None]:
        """How long the piece lasts, and the sample whose p_j ends it; None where a does."""
        if self.omega == 0:
            return math.inf, None
        # a = 0 at e^(2 omega t) = -v / u.
        ratio = -self.v / self.u if self.u != 0 else math.inf
        duration = 0.5 * math.log(ratio) / self.omega if 1 < ratio < math.inf and self.neuron.a != 0 else math.inf
        sample = None
        # int a has the sign of a, and p_j moves by e_j times it.
        towards_zero = np.where(self.neuron.positive, -self.direction, self.direction) * self.rates > 0
        for j in np.flatnonzero(towards_zero):
            time = self._time_of_integral(-self.neuron.p[j] / self.rates[j])
            if time < duration:
                duration, sample = time, int(j)
        return duration, sample

    def _time_of_integral(self, integral: float) -> float:
        """When int a first equals `integral`, which has the sign of a; infinity if it never does."""
        # z = e^(omega t) solves u z^2 + b z - v = 0; by q neither root is a difference of like numbers.
        b = self.v - self.u - self.omega * integral
        square = b * b + 4 * self.u * self.v
        if square < 0:
            return math.inf
        q = -0.5 * (b + math.copysign(math.sqrt(square), b))
        roots = [q / self.u if self.u else math.inf, -self.v / q if q else math.inf]
        ahead = min((root for root in roots if root >= 1 - ROUNDING), default=math.inf)
        return max(0.0, math.log(ahead)) / self.omega

    def time_of_norm(self, log_threshold: float) -> float:
        """When the norm passes the threshold on its way up, infinity if it never does."""
        if self.omega == 0 or self.u == 0:
            return math.inf
        # a^2 - |p|^2 is conserved (p_j at rest included), so that the norm is a function of a alone.
        excess = self.neuron.a**2 - float(np.square(self.neuron.p).sum())
        log_ratio = log_threshold - self.neuron.log_norm
        log_a = log_ratio - 0.5 * math.log(2)
        if log_ratio < LARGE_LOG_RATIO:
            # a^2: half of norm^2 = a^2 + |p|^2 and of the conserved a^2 - |p|^2.
            square = 0.5 * (math.exp(2 * log_ratio) + excess)
            if square <= 0:
                return math.inf
            log_a = 0.5 * math.log(square)
        # The larger root of a = u z + v / z, z = e^(omega t): a (1 + sqrt(curb)) / (2 u).
        curb = 1 - 4 * self.u * self.v * math.exp(-2 * log_a)
        if curb < 0:
            return math.inf
        return max(0.0, log_a - math.log(abs(self.u)) + math.log(0.5 * (1 + math.sqrt(curb)))) / self.omega

    def at(self, time: float) -> Neuron:
        """The neuron after `time`, at most the duration; at its end, past the event."""
        if self.omega == 0:
            return self.neuron
        # All over e^(omega t), which goes into the log norm: nothing overflows.
        shrink = math.exp(-self.omega * time)
        a = self.u + self.v * shrink**2
        integral = (self.u * (1 - shrink) - self.v * (shrink - 1) * shrink) / self.omega
        p, positive = self.neuron.p * shrink + self.rates * integral, self.neuron.positive
        if time == self.duration:
            if self.sample is None:
                a = 0.0
            else:
                p[self.sample] = 0.0
                positive = positive.copy()
                positive[self.sample] = not positive[self.sample]
        return Neuron.of(p, a, self.neuron.log_norm + self.omega * time, positive)


def activation_time(neuron: Neuron, drives: Array, slope: float, threshold: float) -> float:
    """Time in which a dormant neuron reaches the threshold under constant drives; infinity if it never does."""
    elapsed = 0.0
    while True:
        piece = _Piece(neuron, drives, slope)
        time = piece.time_of_norm(math.log(threshold))
        if time <= piece.duration:
            return elapsed + time
        elapsed += piece.duration
        neuron = piece.at(piece.duration)


def advanced(neuron: Neuron, drives: Array, slope: float, duration: float) -> Neuron:
    """A dormant neuron after `duration` under constant drives."""
    while duration > 0:
        piece = _Piece(neuron, drives, slope)
        step = min(duration, piece.duration)
        neuron = piece.at(step)
        duration -= step
    return neuron


def alternation(neurons: Sequence[Neuron], targets: Array, slope: float, threshold: float) -> list[Activation]:
    """All rounds of AGF.

    Args:
        neurons: the initialization.
        targets: y, (n,); all are finite and not zero.
        slope: sigma'(z) for z < 0, not negative.
        threshold: norm at which a neuron activates, above all initial norms.
    """
    dormant = dict(enumerate(neurons))
    open_samples = np.ones(len(targets), dtype=bool)
    rounds: list[Activation] = []
    time = 0.0
    while dormant and open_samples.any():
        drives = np.where(open_samples, targets, 0.0) / len(targets)
        waits = {index: activation_time(neuron, drives, slope, threshold) for index, neuron in dormant.items()}
        first = min(waits, key=lambda index: waits[index])
        if not math.isfinite(waits[first]):
            break
        time += waits[first]
        dormant = {index: advanced(neuron, drives, slope, waits[first]) for index, neuron in dormant.items()}
        learned = np.flatnonzero(open_samples & fitted_samples(dormant.pop(first), targets, slope))
        open_samples[learned] = False
        loss = 0.5 * float(np.square(targets[open_samples]).sum()) / len(targets)
        rounds.append(Activation(time, first, tuple(learned.tolist()), loss))
    return rounds


def fitted_samples(neuron: Neuron, targets: Array, slope: float) -> Mask:
    """Samples on which a sigma(p_j) can be brought to the target without p_j passing zero."""
    side = np.where(neuron.positive, 1.0, -1.0 if slope > 0 else 0.0)
    return np.asarray(side * math.copysign(1.0, neuron.a) * targets > 0)


def orthogonal_inputs_theory(
    neurons: Sequence[Neuron], targets: Array, slope: float, threshold: float, group_names: tuple[str, ...],
    group_of: Sequence[int],
) -> Theory | None:
    """The alternation as levels and events; None if a neuron starts at the threshold or above.

    Args:
        group_names: labels of the groups of samples that are the features.
        group_of: group of each sample.
    """
    if any(neuron.log_norm >= math.log(threshold) for neuron in neurons):
        return None
    rounds = alternation(neurons, targets, slope, threshold)
    initial_loss = 0.5 * float(np.square(targets).mean())
    shares = feature_shares([stage.learned for stage in rounds], targets, np.asarray(group_of),
                            len(group_names))
    owners = [int(share.argmax()) for share in shares]
    ends = [*(stage.time for stage in rounds[1:]), math.nan]
    losses = [initial_loss, *(stage.loss for stage in rounds)]
    events = tuple(Event("activation", stage.time, group_names[owner], stage.neuron, losses[k], losses[k + 1],
                         stage.time, ends[k]) for k, (stage, owner) in enumerate(zip(rounds, owners, strict=True)))
    order, together = feature_order(shares, owners)
    return Theory(
        description="AGF solved exactly sample by sample, for the unrounded activation",
        levels=tuple((group_names[group], rounds[last].loss) for group, _, last in order),
        undecided="features that one neuron learns together have no order" if together else "",
        events=events, lower_bounds={}, initial_loss=initial_loss)


def feature_shares(learned: Sequence[tuple[int, ...]], targets: Array, group_of: npt.NDArray[np.int64], groups: int
                   ) -> list[Array]:
    """For each round, what it adds to each group's output along its target, as a part of what all rounds add.

    Args:
        learned: the samples that each round fits.
    """
    gains = np.zeros((len(learned), groups))
    for gain, samples in zip(gains, learned, strict=True):
        np.add.at(gain, group_of[list(samples)], np.square(targets[list(samples)]))
    return list(gains / np.maximum(gains.sum(0), np.finfo(np.float64).tiny))


def feature_order(shares: Sequence[Array], owners: Sequence[int]) -> tuple[list[tuple[int, int, int]], bool]:
    """Groups in the order in which they are half learned, each with that round and the last that follow it as its own.

    The flag says that two groups are half learned in the same round.
    """
    learned = np.cumsum(shares, axis=0) if len(shares) else np.zeros((0, 0))
    half = {group: int(np.argmax(learned[:, group] >= 0.5)) for group in range(learned.shape[1])
            if learned[-1, group] > 0.5}
    order = []
    for group, first in sorted(half.items(), key=lambda item: item[1]):
        last = first
        while last + 1 < len(owners) and owners[last + 1] == group:
            last += 1
        order.append((group, first, last))
    return order, len(set(half.values())) < len(half)
