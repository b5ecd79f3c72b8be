"""Order, levels and times of networks of degree k + 1 on sequences of group elements (arXiv 2602.03655)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.group_composition.data import GroupSequences
from agfrun.labs.staircases.networks.group_composition.dormant import first_blow_ups
from agfrun.labs.staircases.networks.group_composition.utility import maximal_utilities
from agfrun.labs.staircases.networks.theory import Theory

SAME_UTILITY = 1e-9


def lower_bounds(data: GroupSequences, largest_norm: float, threshold: float = 1.0) -> list[float]:
    """Times before which no dormant neuron can reach the threshold along each feature.

    A norm r grows at most as dr/dt = (k+1) U* r^k, hence t >= (r_0^(1-k) - threshold^(1-k)) / ((k-1) (k+1) U*). As for
    modular addition it is proved of the feature of the largest utility.
    """
    k = data.length
    ahead = largest_norm ** (1 - k) - threshold ** (1 - k)
    return [ahead / ((k - 1) * (k + 1) * utility) for utility in maximal_utilities(data)]


def scaled_clock_times(data: GroupSequences, norm: float) -> list[float]:
    """Leading order of the times of the features on the clock of steps eta_i = |theta_i|^(1-k).

    There a neuron along a feature grows exponentially, log |theta| at the rate (k+1) U*, whatever else has been
    learned: from the norm |theta_0| it comes to 1 at log(1/|theta_0|) / ((k+1) U*).

    Args:
        norm: |theta_0|, of a typical neuron.
    """
    return [math.log(1 / norm) / ((data.length + 1) * utility) for utility in maximal_utilities(data)]


def composition_theory(data: GroupSequences, neurons: Tensor, threshold: float) -> Theory:
    """Order by utility, levels by what is left of all singular values, and bounds.

    Args:
        neurons: the initialization, (H, D).
    """
    utilities, names = maximal_utilities(data), [part.name for part in data.parts]
    order = sorted(range(len(names)), key=lambda place: -utilities[place])
    energies = [part.energy for part in data.parts]
    levels = [(names[one], sum(energies[later] for later in order[place + 1 :])) for place, one in enumerate(order)]
    largest = float(torch.linalg.vector_norm(neurons, dim=1).max())
    return Theory(
        description="each (neuron, irrep) a flow that blows up on its own; a singular value is learned with the first",
        levels=tuple(levels), undecided=_ties([(utilities[one], names[one]) for one in order]),
        events=tuple(_events(data, first_blow_ups(data, neurons.double().cpu().numpy()))),
        lower_bounds=dict(zip(names, lower_bounds(data, largest, threshold), strict=True)),
        initial_loss=sum(energies),
    )


def _events(data: GroupSequences, first: list[tuple[float, int]]) -> Iterator[Event]:
    """Each feature when the first of its neurons blows up, in that order."""
    loss = sum(part.energy for part in data.parts)
    for part, (time, neuron) in sorted(zip(data.parts, first, strict=True), key=lambda pair: pair[1][0]):
        if math.isfinite(time):
            before, loss = loss, max(loss - part.energy, 0.0)
            yield Event("activation", time, part.name, neuron, before, loss, time)


def _ties(ordered: list[tuple[float, str]]) -> str:
    """A sentence on features whose maximal utilities agree to 9 digits, or nothing."""
    tied = [f"{first} and {second}" for (high, first), (low, second) in zip(ordered, ordered[1:], strict=False)
            if high <= low * (1 + SAME_UTILITY)]
    if not tied:
        return ""
    more = f" (and {len(tied) - 1} pairs more)" if len(tied) > 1 else ""
    return f"irreps {tied[0]}{more} have one maximal utility: their order is undetermined"
