"""Own-size steps of the fully connected linear network: when each mode is learned.

A mode's hidden vector grows by itself until its free growth reaches the mode's own size. Once learned, the mode damps
whatever other modes have along its hidden direction, and leaves alone what is orthogonal to it: Gram-Schmidt in the
order of the steps. Where the covariances commute that is exact up to overlap, which falls exponentially with the
distance of steps; pairs that overlap are integrated (`overlapping_modes`). Where they do not, a step only stands for
a drop and its slow relaxation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.fully_connected_linear.coupled_modes import CoupledModes, initial_sets
from agfrun.labs.staircases.networks.fully_connected_linear.mode_growth import HiddenVectors
from agfrun.labs.staircases.networks.fully_connected_linear.overlapping_modes import Passings, passings_of_half
from agfrun.labs.staircases.networks.fully_connected_linear.theory import TargetModes
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction

# What no estimate covers, relative to a time.
ROUNDING = 1e-6
# Modes whose overlap may move a time by more than this part of it are integrated together, to this error.
LARGEST_ERROR = 3e-3
INTEGRATED = 1e-3
# By how much overlap is multiplied to stand for what it may do.
CAUTION = 5


@dataclass(frozen=True)
class LearnedMode:
    """A mode at its step.

    Attributes:
        mode: its index.
        vectors: hidden vectors with which it grew.
    """

    mode: int
    vectors: HiddenVectors


def learned_modes(modes: TargetModes, neurons: FloatArray, log_factor: float) -> list[LearnedMode]:
    """Modes in the order of their steps, as many as the neurons (H, d + c) have hidden directions for."""
    sets, learned = initial_sets(modes, neurons, log_factor), list[LearnedMode]()
    while sets and len(learned) < len(neurons):
        newcomers = [members.newcomer() for members in sets]
        steps = [newcomer.step for newcomer in newcomers]
        first = int(np.argmin(steps))
        if not math.isfinite(steps[first]):
            break
        newcomer = newcomers[first]
        learned.append(LearnedMode(sets[first].next, newcomer))
        left: list[CoupledModes | None] = [members.without(newcomer.direction) for members in sets]
        left[first] = sets[first].after_step(newcomer.step, newcomer.direction)
        sets = [members for members in left if members is not None]
    return learned


def linear_own_size(
    modes: TargetModes, neurons: FloatArray, log_factor: float, noise_loss: float
) -> OwnSizePrediction:
    """Own-size steps from neurons (w, a) * exp(log_factor), (H, d + c)."""
    learned = learned_modes(modes, neurons, log_factor)
    if any(mode.vectors.starts_large for mode in learned):
        return OwnSizePrediction("own-size steps", (), "a mode starts at half of its size or beyond, and the steps are "
                                 "of neurons that start small")
    times = [mode.vectors.passing(0.5) for mode in learned]
    interplay = _interplay(modes, learned, neurons)
    errors = (interplay.sum(axis=1) + _left_out(modes, learned, neurons, log_factor)) / times + ROUNDING
    evaluations, warning = 0, ""
    for group in _groups(interplay / np.array(times)[:, None], modes, learned):
        found = _together([learned[number] for number in group], modes, neurons, log_factor)
        evaluations += found.evaluations
        for number, time in zip(group, found.times.tolist(), strict=True):
            outside = float(np.delete(interplay[number], group).sum())
            times[number], errors[number] = time, outside / time + INTEGRATED
    if coupled := _coupled(modes, learned):
        warning = ("modes are coupled: each is learned along a turning direction and slowly, for which a step only "
                   "stands")
        errors[coupled] = math.nan
    return OwnSizePrediction(
        description="own-size steps, hidden vectors orthogonalized in the order in which modes are learned",
        events=_events(modes, learned, times, errors.tolist(), noise_loss),
        void=_void(modes, learned, len(neurons)), warning=warning, evaluations=evaluations)


def _coupled(modes: TargetModes, learned: list[LearnedMode]) -> list[int]:
    """Places of modes in sets of several."""
    sizes = np.bincount(modes.sets)
    return [place for place, mode in enumerate(learned) if sizes[modes.sets[mode.mode]] > 1]


def _void(modes: TargetModes, learned: list[LearnedMode], width: int) -> str:
    if len(learned) == len(modes):
        return ""
    if len(learned) < width:
        return "no neuron has anything of the modes that are left"
    largest = set(np.argsort(-modes.energies, kind="stable")[:width].tolist())
    if largest == {mode.mode for mode in learned}:
        return ""
    return f"{width} neurons first learn the fastest modes, which are not the largest: these replace them later"


def _together(group: list[LearnedMode], modes: TargetModes, neurons: FloatArray, log_factor: float) -> Passings:
    basis = np.stack([mode.vectors.direction for mode in group])
    vectors = np.stack([basis @ _growing(modes, mode.mode, neurons) for mode in group], axis=1)
    rates, sizes = (np.array([getattr(mode.vectors, name) for mode in group]) for name in ("rate", "size"))
    return passings_of_half(rates, sizes, vectors, log_factor)


def _growing(modes: TargetModes, index: int, neurons: FloatArray) -> FloatArray:
    """Hidden vector A^T u + W v of a mode, (H,)."""
    drive = modes.drives[index]
    return np.asarray(neurons @ np.concatenate([drive / np.linalg.norm(drive), modes.left[:, index]]))


def _interplay(modes: TargetModes, learned: list[LearnedMode], neurons: FloatArray) -> FloatArray:
    """By how much each mode's time (rows) may be moved by each other mode's overlap with it, in units of time, (n, n).

    Only what the later mode has along the hidden direction of the earlier matters, beside what it grows from. At
    the earlier one's step that is behind by exp(-2 sigma |difference of steps|); from there it grows by less.
    """
    moved = np.zeros((len(learned), len(learned)))
    for place, later in enumerate(learned):
        vector = _growing(modes, later.mode, neurons)
        for before, earlier in enumerate(learned[:place]):
            share = float(np.square(earlier.vectors.direction @ vector / np.linalg.norm(later.vectors.growing)))
            wait, slower = later.vectors.step - earlier.vectors.step, min(earlier.vectors.rate, later.vectors.rate)
            behind = later.vectors.rate - _turning_rate(earlier.vectors, later.vectors)
            overlap = CAUTION * share * (math.exp(-2 * slower * wait) + math.exp(-2 * behind * wait))
            moved[place, before] = overlap / (2 * later.vectors.rate)
            moved[before, place] = overlap / (2 * earlier.vectors.rate)
    return moved


def _left_out(modes: TargetModes, learned: list[LearnedMode], neurons: FloatArray, log_factor: float) -> FloatArray:
    """What modes for which there is no neuron may do to the times, in units of time, (n,)."""
    moved, present = np.zeros(len(learned)), {mode.mode for mode in learned}
    for index in set(range(len(modes))) - present:
        vector, rate = _growing(modes, index, neurons), float(np.linalg.norm(modes.drives[index]))
        size = float(np.linalg.norm(modes.least_squares[index]))
        for place, mode in enumerate(learned):
            along = abs(float(mode.vectors.direction @ vector))
            log_grown = math.log(max(along, 1e-300)) + log_factor + rate * mode.vectors.step
            share = math.exp(min(2 * log_grown - math.log(4 * size), 0.0))
            moved[place] += CAUTION * share / (2 * mode.vectors.rate)
    return moved


def _turning_rate(learned: HiddenVectors, other: HiddenVectors) -> float:
    """Rate at which a learned mode's neuron would turn to another mode: positive if that carries more loss.

    For a = sqrt(m) u_i + alpha u_k, w = sqrt(m) v_i + omega v_k the residual of i drives alpha and omega, too.
    """
    own, rate = learned.rate, other.rate
    variances = other.rate / other.size * learned.size / learned.rate  # s_k / s_i
    middle, half = -0.5 * own * (1 + variances), 0.5 * own * (1 - variances)
    return middle + math.hypot(half, rate)


def _groups(relative: FloatArray, modes: TargetModes, learned: list[LearnedMode]) -> list[list[int]]:
    """Modes, by their place in the order, that are to be integrated together: neighbours and all between.

    Those of coupled sets are not: their steps miss more than overlap.
    """
    ends = list(range(len(relative)))
    for earlier, later in zip(*np.nonzero(np.maximum(relative, relative.T) > LARGEST_ERROR), strict=True):
        ends[earlier] = max(ends[earlier], int(later))
    groups, place, coupled = list[list[int]](), 0, set(_coupled(modes, learned))
    while place < len(ends):
        last = ends[place]
        while (reached := max(ends[place : last + 1])) > last:
            last = reached
        group = list(range(place, last + 1))
        if last > place and not coupled.intersection(group):
            groups.append(group)
        place = last + 1
    return groups


def _events(
    modes: TargetModes, learned: list[LearnedMode], times: list[float], errors: list[float], noise_loss: float
) -> tuple[OwnSizeEvent, ...]:
    loss, events = noise_loss + 0.5 * float(modes.energies.sum()), []
    for number in np.argsort(times, kind="stable").tolist():
        mode = learned[number]
        before, loss = loss, loss - 0.5 * float(modes.energies[mode.mode])
        events.append(OwnSizeEvent(str(mode.mode + 1), times[number], mode.vectors.step, mode.vectors.size, before,
                                   loss, errors[number]))
    return tuple(events)
