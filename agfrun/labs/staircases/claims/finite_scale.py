"""How far AGF's times may be off because the initialization is not infinitely small, and why.

While it is dormant a neuron's growth coordinate h - log n at homogeneity degree 2, -n^(2 - kappa) / (kappa - 2)
above, n its norm - obeys dh/dt = drive. AGF dates an activation where h has come to that of the threshold. Training
dates the acquisition where the newcomer has its own size s: later, or earlier, by h(s) - h(threshold). Neurons that
share a feature are each the smaller and come the sooner, at degree 2 by half the logarithm of how many they are. The
cost phase itself, which AGF lets take no time, lasts about an e-fold of a neuron of size s. All this is out of the way
from the initial norm to the threshold, which alone grows as the scale falls: like log(1/scale), or like a power of
1/scale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agfrun.labs.staircases.claims.claim import Evidence

# Whatever the scale: a time that is off by more is a wrong prediction.
WRONG_TIME = 0.2
# What reading a moment off a recorded path leaves.
READING = 5e-3


def capped(tolerance: float, why: str) -> tuple[float, str]:
    """A tolerance of times, not below what can be read nor beyond a fifth, and why."""
    if tolerance > WRONG_TIME:
        return WRONG_TIME, f"at this scale {why} is {tolerance:.2g} of the time, and off by a fifth is wrong"
    return max(tolerance, READING), why


def time_tolerance(evidence: Evidence, feature: str) -> tuple[float, str]:
    """Largest relative error of AGF's time of a feature that the finite scale explains, at most a fifth, and why."""
    degree, size = evidence.architecture.homogeneity_degree, own_size(evidence, feature)
    ahead = growth(math.log(evidence.threshold), degree) - growth(_largest_start(evidence), degree)
    if not ahead > 0:
        return WRONG_TIME, "neurons start beyond the threshold; off by a fifth is wrong"
    later = growth(size, degree) - growth(math.log(evidence.threshold), degree)
    shared = 0.5 * math.log(evidence.architecture.width) if _may_share(evidence) else 0.0
    e_fold = math.exp((2 - degree) * size)
    allowed = e_fold + max(abs(later), abs(later - shared))
    return capped(allowed / ahead, "what lies between the threshold and a neuron's own size, and an e-fold for the "
                  "cost phase, over the growth up to the threshold")


def growth(log_norm: float, degree: int) -> float:
    """The growth coordinate of a neuron of some log norm; -inf where it leaves the floats."""
    if degree == 2:
        return log_norm
    exponent = (2 - degree) * log_norm
    return -math.exp(exponent) / (degree - 2) if exponent < 700 else -math.inf


def own_size(evidence: Evidence, feature: str) -> float:
    """Log norm to which the neurons that AGF activates for a feature grow; of all neurons if there is none."""
    neurons = sorted({event.neuron for event in evidence.predicted
                      if event.kind == "activation" and event.feature == feature and event.neuron is not None})
    norms = evidence.prediction.trajectory.log_norms
    return float(np.max(norms[:, neurons] if neurons else norms, initial=-math.inf))


def _largest_start(evidence: Evidence) -> float:
    return float(np.max(evidence.prediction.trajectory.log_norms[0]))


def _may_share(evidence: Evidence) -> bool:
    """Whether several neurons may learn one feature at a time: not at degree 3 and more, where one outruns all."""
    architecture = evidence.architecture
    return architecture.homogeneity_degree == 2 and (
        architecture.interchangeable_neurons or architecture.width > len(architecture.feature_names))
