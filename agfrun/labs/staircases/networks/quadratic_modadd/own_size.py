"""When the first frequency of modular addition is learned (docs/own_size_steps_attention.md).

A frequency takes several neurons one after the other, each of which changes what is left for the next: no step of the
residual stands for it, and blow-up times of the neurons apart miss it by up to 10 %. But it takes few, of those that
will blow up first along it: the flow of these alone, on all frequencies of the template, to the moment at which half
of the frequency is there. It needs their other frequencies too: without them one seed in ten is off by 2 %, since a
neuron's own waves meet in its square.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, integrate
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition
from agfrun.labs.staircases.networks.quadratic_modadd.theory import blow_up_times, shares_left
from agfrun.study.errors import DivergenceError

Coordinates = Callable[[Tensor], FlowCoordinates]

TOLERANCE = 1e-3
# What was measured stays below half of this; the tolerance and the neurons that are left out make it.
ERROR = 2e-3
# Neurons beyond those that a frequency takes: in one seed of ten the order of blow-up is not that of the taking.
SPARE = 3
# A frequency that is not there by so many of the blow-up times of its last neuron will not be the first.
LATEST = 3.0
BISECTIONS = 50


def first_frequency(data: ModularAddition, spectra: Tensor, neurons: Tensor, coordinates: Coordinates,
                    amplitudes: Callable[[Tensor], Tensor]) -> OwnSizePrediction:
    """The first frequency; of the later ones, why they are not predicted.

    Args:
        spectra: as for `theory.blow_up_times`.
        neurons: the initialization, (H, 3p).
        coordinates: makes those in which some neurons (K, 3p) flow.
        amplitudes: amplitude of the output of neurons (K, 3p) at each frequency, (F,).
    """
    description = "flow of the neurons that blow up first along the first frequency, until half of it is there"
    times = blow_up_times(data, spectra)
    place = int(np.unravel_index(int(np.argmin(times)), times.shape)[1])
    most = len(shares_left(data.p, data.frequencies[place], False)) - 1 + SPARE
    chosen = np.argsort(times[:, place], kind="stable")[:most]
    chosen = chosen[np.isfinite(times[chosen, place])]
    if not chosen.size:
        return OwnSizePrediction(description, (), void="no neuron moves along any frequency of the template")
    name, size, energies = str(data.frequencies[place]), float(data.spectrum[place].abs()), data.energies
    some = neurons[torch.as_tensor(chosen, device=neurons.device)]
    statistics = IntegrationStatistics()
    time = _time_of_half(coordinates(some), some, lambda state: float(amplitudes(state)[place]) / size,
                         LATEST * float(times[chosen[-1], place]), statistics)
    if math.isnan(time):
        return OwnSizePrediction(description, (), evaluations=statistics.gradient_evaluations,
                                 void=f"{chosen.size} neurons do not come to half of frequency {name}")
    loss = float(energies.sum())
    event = OwnSizeEvent(name, time, time, size, loss, loss - float(energies[place]), ERROR)
    later = ("frequencies after the first are taken by neurons that were next in line for the one before and were left "
             "half grown when it was learned: what they have grown to by then decides") if len(energies) > 1 else ""
    return OwnSizePrediction(description, (event,), later, evaluations=statistics.gradient_evaluations)


def _time_of_half(coordinates: FlowCoordinates, neurons: Tensor, share: Callable[[Tensor], float], latest: float,
                  statistics: IntegrationStatistics) -> float:
    """When the flow of some neurons has half of a frequency; NaN if it has not by `latest`."""
    try:
        for segment in integrate(Rosenbrock(coordinates, statistics), coordinates.encode(neurons), 0.0, latest,
                                 TOLERANCE):
            if share(coordinates.decode(segment.y_end)) >= 0.5:
                low, high = segment.start, segment.end
                for _ in range(BISECTIONS):
                    middle = 0.5 * (low + high)
                    below = share(coordinates.decode(segment.at(middle))) < 0.5
                    low, high = (middle, high) if below else (low, middle)
                return high
    except DivergenceError:
        return math.nan
    return math.nan
