"""Own-size steps on orthonormal inputs (docs/own_size_steps_attention.md).

Dormant neurons move as in `staircases.networks.two_layer.theory`. In the end all of them that are alive on the same
samples S with sign(a) y_j > 0 point the same way, and grow together at the rate omega = |y_S| / n: what they answer on
sample j is y_j m with m = sum a_i^2 / |y_S|. Against their own residual that is logistic, m' = 2 omega m (1 - m): the
log of m has the drive 2 omega (1 - m) exactly. So the residual of S steps where the free growth of all of them
together reaches m = 1, and half of y_j is there at that moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction
from agfrun.labs.staircases.networks.two_layer.theory import (
    Array,
    Mask,
    Neuron,
    activation_time,
    advanced,
    feature_order,
    feature_shares,
    fitted_samples,
)

# A half that has not come by so many e-folds after the step comes in a later round.
LATEST = 30.0


@dataclass(frozen=True)
class OwnSizeRound:
    """Neurons that learn the samples `learned` together.

    Attributes:
        step: when the residual steps.
        rate: omega, at which they grow.
        neurons: which, the largest first.
        learned: the samples.
        loss: after it.
        overlap: what others answer on these samples at the step, as a part of the targets.
        before: when the round before was over.
        dormant: all neurons that were dormant then.
        drives: of the samples in between.
    """

    step: float
    rate: float
    neurons: tuple[int, ...]
    learned: tuple[int, ...]
    loss: float
    overlap: float
    before: float
    dormant: tuple[Neuron, ...]
    drives: Array

    def answered(self, time: float, targets: Array) -> Array:
        """About which part of each target is answered at a time, if none but this round's drives count.

        Of free growth to F times the target, the logistic law leaves F / (1 + F); exactly so if all neurons that
        answer a sample are parallel.
        """
        grown = [advanced(neuron, self.drives, 0.0, time - self.before) for neuron in self.dormant]
        free = np.maximum(sum((_answers(neuron) for neuron in grown), np.zeros(len(targets))) / targets, 0.0)
        return np.asarray(free / (1 + free))


def own_size_rounds(neurons: Sequence[Neuron], targets: Array) -> list[OwnSizeRound]:
    """All rounds of a ReLU network from neurons, in order; targets (n,) are finite and not zero."""
    dormant, time, rounds = dict(enumerate(neurons)), 0.0, list[OwnSizeRound]()
    unlearned = np.ones(len(targets), dtype=bool)
    while dormant and unlearned.any():
        drives = np.where(unlearned, targets, 0.0) / len(targets)
        crowds = [_together(dormant, members, samples, drives) for members, samples
                  in _crowds(dormant, drives, targets, unlearned)]
        if not crowds:
            break
        wait, members, samples = min(crowds, key=lambda crowd: crowd[0])
        rate = float(np.linalg.norm(targets[samples])) / len(targets)
        others = [advanced(neuron, drives, 0.0, wait) for index, neuron in dormant.items() if index not in members]
        # What neurons on other samples besides these answer spares them as much of their own growth.
        answers = sum((_answers(neuron) for neuron in others), np.zeros(len(targets)))
        spared = float(np.dot(answers[samples], targets[samples])) / float(np.square(targets[samples]).sum())
        wait = max(0.0, wait - math.log1p(max(spared, 0.0)) / (2 * rate))
        before, were, time = time, tuple(dormant.values()), time + wait
        dormant = {index: advanced(neuron, drives, 0.0, wait) for index, neuron in dormant.items()}
        for index in members:
            del dormant[index]
        unlearned &= ~samples
        answers = sum((np.abs(_answers(neuron)) for neuron in dormant.values()), np.zeros(len(targets)))
        rounds.append(OwnSizeRound(
            time, rate, members, tuple(np.flatnonzero(samples).tolist()),
            0.5 * float(np.square(targets[unlearned]).sum()) / len(targets),
            float((answers / np.abs(targets))[samples].max()), before, were, drives))
    return rounds


def orthogonal_inputs_own_size(neurons: Sequence[Neuron], targets: Array, group_names: tuple[str, ...],
                               group_of: Sequence[int]) -> OwnSizePrediction:
    """The prediction; arguments as for `theory.orthogonal_inputs_theory`."""
    rounds = own_size_rounds(neurons, targets)
    groups = np.asarray(group_of)
    shares = feature_shares([stage.learned for stage in rounds], targets, groups, len(group_names))
    owners = [int(share.argmax()) for share in shares]
    losses = [0.5 * float(np.square(targets).mean()), *(stage.loss for stage in rounds)]
    events, unsure = list[OwnSizeEvent](), np.maximum.accumulate([0.0, *(stage.overlap for stage in rounds)])
    learned = np.array([np.isin(np.arange(len(targets)), stage.learned) for stage in rounds])
    for group, number, last in feature_order(shares, owners)[0]:
        stage = rounds[number]
        time = _half_time(rounds, learned, number, np.square(targets) * (groups == group), targets)
        # An overlap of the size o moves a time by o / (2 omega) if it is left out.
        error = float(unsure[number + 1]) / (2 * stage.rate * time) if time > 0 else math.nan
        events.append(OwnSizeEvent(group_names[group], time, stage.step, _size(learned, targets, groups == group),
                                   losses[number], rounds[last].loss, error, stage.neurons[0]))
    return OwnSizePrediction("own-size steps sample by sample, neurons that learn the same samples together; for the "
                             "unrounded activation", tuple(sorted(events, key=lambda event: event.time)))


def _half_time(rounds: Sequence[OwnSizeRound], learned: Mask, number: int, weights: Array, targets: Array) -> float:
    """When half of what all rounds add to a group is there, in round `number`.

    Args:
        learned: the samples of each round, (rounds, n).
        weights: of the group's samples, (n,).
    """
    from scipy.optimize import brentq  # SciPy's root finders take time to load

    stage, before, all_of_it = rounds[number], learned[:number].any(axis=0), learned.any(axis=0)
    half = 0.5 * float(weights[all_of_it].sum()) - float(weights[before].sum())
    left = weights * (all_of_it & ~before)

    def excess(time: float) -> float:
        return float(left @ stage.answered(time, targets)) - half

    end = stage.step
    while excess(end) < 0:
        end += 1 / stage.rate
        if end > stage.step + LATEST / stage.rate:
            return math.nan
    if excess(stage.before) >= 0:
        return stage.before
    return float(brentq(excess, stage.before, end, xtol=1e-12, rtol=1e-13))


def _crowds(dormant: dict[int, Neuron], drives: Array, targets: Array, unlearned: Mask
            ) -> list[tuple[tuple[int, ...], Mask]]:
    """Neurons that grow towards the same samples, and these; those that grow towards none are left out."""
    crowds: dict[bytes, tuple[list[int], Mask]] = {}
    # By then they have turned for good: what is left of the wrong samples has passed zero.
    norm = math.sqrt(2 * float(np.abs(targets).min()))
    for index, neuron in dormant.items():
        time = activation_time(neuron, drives, 0.0, norm)
        if math.isfinite(time):
            samples = unlearned & fitted_samples(advanced(neuron, drives, 0.0, time), targets, 0.0)
            crowds.setdefault(samples.tobytes(), ([], samples))[0].append(index)
    return [(tuple(members), samples) for members, samples in crowds.values()]


def _together(dormant: dict[int, Neuron], members: tuple[int, ...], samples: Mask, drives: Array
              ) -> tuple[float, tuple[int, ...], Mask]:
    """When neurons with the same samples have m = 1 together, the neurons, the largest first, and the samples."""
    # At the end of its growth one alone has a^2 = |p|^2 = |y_S|.
    rate = float(np.linalg.norm(drives[samples]))
    norm = math.sqrt(2 * rate * len(drives))
    waits = {index: activation_time(dormant[index], drives, 0.0, norm) for index in members}
    first = min(waits, key=lambda index: waits[index])
    grown = {index: advanced(dormant[index], drives, 0.0, waits[first]) for index in members}
    sizes = {index: math.exp(2 * (_log_a(grown[index]) - _log_a(grown[first]))) for index in members}
    # There the first has m = 1 on its own: together they had it before.
    wait = max(0.0, waits[first] - math.log(sum(sizes.values())) / (2 * rate))
    return wait, tuple(sorted(members, key=lambda index: -sizes[index])), samples


def _log_a(neuron: Neuron) -> float:
    return neuron.log_norm + math.log(abs(neuron.a))


def _answers(neuron: Neuron) -> Array:
    """What a neuron answers on each sample."""
    return np.asarray(math.exp(2 * neuron.log_norm) * neuron.a * np.where(neuron.positive, neuron.p, 0.0))


def _size(learned: Mask, targets: Array, inside: Mask) -> float:
    """Size of a group's feature once all rounds, whose samples are the rows of `learned`, are done."""
    squares, found = np.square(targets), learned.any(axis=0) & inside
    return float(squares[found].sum() / math.sqrt(float(squares[inside].sum())) / math.sqrt(len(targets)))
