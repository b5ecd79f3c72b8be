"""Claims about the quadratic network on modular addition (AGF paper, section 6)."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.conservation import conserved
from agfrun.labs.staircases.claims.finite_scale import capped
from agfrun.labs.staircases.claims.general import EXACT_BOUND, NO_PLATEAU, level_claim
from agfrun.labs.staircases.claims.origin import OURS, paper
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event, first_activations
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import lower_bounds, maximal_utilities
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.study.claim import Claim, Statement

SECTION = paper("section 6")
PATHS = {"agf": "AGF", "training": "training"}
# The ascent settles each start on one frequency, soon the largest with enough of them.
STARTS_PER_FREQUENCY = 32
FEWEST_STARTS = 64
ASCENT_STEPS = 400
ALIGNED = 0.1  # radians
GROWN = 1.0


def utility_maximizer(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit neuron is the closed form's, on a single frequency, phases aligned.

    Checked by multilinear ascent from random unit neurons: for fixed v, w the best u is proportional to
    the gradient, and so on in turn; each start ends on one frequency.
    """
    architecture = cast(QuadraticModadd, evidence.architecture)
    best, neuron = best_neuron(architecture)
    expected = float(maximal_utilities(architecture.data).max())
    strengths = architecture.neuron_feature_strengths(neuron[None])[0]
    largest = Statement("maximal_utility", "theory", "the largest utility of a unit neuron is sqrt(2 / (27 p^3)) "
                        "|x_hat|^3 of the largest frequency (4 in place of 2 at the Nyquist frequency)", SECTION,
                        "theorem")
    single = Statement("single_frequency", "theory", "the maximizer of the utility lies on one frequency", SECTION,
                       "theorem")
    phases = Statement("phases_aligned", "theory", "the maximizer's phases obey s_u + s_v = s_w + arg x_hat", SECTION,
                       "theorem")
    return [
        largest.close(expected, best, 1e-6, "what alternating ascent leaves"),
        single.close(1.0, float(strengths.max() / strengths.sum()), 1e-4, "what ascent leaves on other frequencies"),
        phases.close(0.0, _deviation(architecture, neuron, int(strengths.argmax())), 1e-3, "radians that ascent leaves",
                     1.0),
    ]


def first_neurons_aligned(evidence: Evidence) -> list[Claim]:
    """The first neuron to activate for each frequency has the maximizer's phases on it, s_u + s_v = s_w + arg x_hat.

    Measured on training's state nearest to the activation; of all frequencies that count which is the worst. Later
    neurons see what the first left, and need not be aligned.
    """
    statement = Statement("first_phases_aligned", "training", "the first neuron to activate for each frequency has "
                          "phases s_u + s_v = s_w + arg x_hat on it (worst deviation in radians)", OURS, "ours")
    deviations = phase_deviations(evidence.architecture, evidence.training, first=True)
    if not deviations:
        return [statement.undecided("no neuron activated in training")]
    return [statement.close(0.0, max(deviations), ALIGNED, "radians: |u||v||w| sin(deviation) is conserved while a "
                            "neuron sees the target alone, and a learned frequency leaves some of it", 1.0)]


def phase_deviations(architecture: Architecture, training: TrainingResult, first: bool) -> list[float]:
    """Deviations in radians from the maximizer's phases of neurons that activate, each on the frequency it does for.

    A neuron is looked at where its norm is `GROWN`, or half of what it settles at: whatever norm AGF counts as active.

    Args:
        architecture: of modular addition.
        training: the path and the states that it kept.
        first: of each frequency the first neuron alone.
    """
    network, deviations = cast(QuadraticModadd, architecture), []
    events = detect_events(training.trajectory, GROWN)
    for event in first_activations(events).values() if first else events:
        if event.kind == "activation" and event.neuron is not None:
            neuron = training.recorder.state_near(event.time)[1][event.neuron]
            deviations.append(_deviation(network, neuron, network.feature_names.index(event.feature)))
    return deviations


def conserved_balance(evidence: Evidence) -> list[Claim]:
    """|u|^2 + |v|^2 - 2 |w|^2 of every neuron is a constant of gradient flow (homogeneity 2 and 1)."""
    if not evidence.is_flow:
        return []
    start, end = _balance(evidence.initial), _balance(evidence.training.final)
    size = float(evidence.training.final.square().sum(-1).max())
    statement = Statement("conserved_balance", "training", "|u|^2 + |v|^2 - 2|w|^2 of every neuron is conserved by "
                          "gradient flow", SECTION, "theorem")
    return [conserved(evidence, statement, float((end - start).abs().max()), size)]


def first_activation(evidence: Evidence) -> list[Claim]:
    """AGF gives the time of the first activation.

    AGF's neuron activates at the threshold, training's may settle below it; on the way from one norm n to
    another 1/n changes by O(1) out of 1/n_0, so that the times agree up to the order of the initial norm.
    """
    if not evidence.is_flow:  # gradient descent adds an error of first order in its learning rate
        return []
    statement = Statement("first_activation_time", "training", "the first neuron activates at AGF's time, up to twice "
                          "the initial norm", SECTION, "numerics")
    first = next(iter(evidence.compared("activation")), None)
    if first is None or not math.isfinite(first["time_training"]):
        return [statement.undecided(f"no neuron activated in {'AGF' if first is None else 'training'}")]
    tolerance, why = capped(2 * float(torch.linalg.vector_norm(evidence.initial, dim=1).max()), "twice the largest "
                            "initial norm, for training's neuron may settle below the norm at which AGF's activates,")
    return [statement.close(first["time_predicted"], first["time_training"], tolerance, why)]


def dormant_lower_bounds(evidence: Evidence) -> list[Claim]:
    """No dormant neuron activates for a frequency before its lower bound, from the largest initial norm.

    The bound is about neurons that grow from the initialization: active ones may turn to another frequency at
    any time, and so *acquire* it sooner. It takes the norm that each neuron has at its activation. Proved is that
    of the strongest frequency, for until it is learned the residual is the whole target; what it leaves on the way
    drives neurons across frequencies, so that the bounds of the others are put to the test.
    """
    data = cast(QuadraticModadd, evidence.architecture).data
    largest = float(torch.linalg.vector_norm(evidence.initial, dim=1).max())
    strongest = int(maximal_utilities(data).argmax())
    claims = []
    for source, events in (("agf", evidence.predicted), ("training", evidence.measured)):
        activations = first_activations(events)
        for place, feature in enumerate(evidence.architecture.feature_names):
            standing = "bound" if place == strongest else "conjecture"
            statement = Statement(f"dormant_lower_bound_{feature}", source,
                                  _bound_statement(feature, place == strongest), SECTION, standing)
            first = activations.get(feature)
            if first is None:
                claims.append(statement.undecided(f"no neuron activated for it in {PATHS[source]}"))
            else:
                bound = float(lower_bounds(data, largest, _norm_at(evidence, source, first))[place])
                claims.append(statement.decided(bound, first.time, first.time >= bound, EXACT_BOUND))
    return claims


def levels_of_any_order(evidence: Evidence) -> list[Claim]:
    """With the frequencies S learned the loss is the sum of |x_hat|^2 multiplicity / (2p) over all others.

    The closed-form levels of a run whose frequencies do not come in the order of their utilities, because the
    initialization favours a weaker one. Equally strong frequencies are learned together, with no level between.
    """
    if evidence.theory is None or evidence.theory.undecided:
        return []
    return [claim for source in PATHS for claim in _levels_of_another_order(evidence, evidence.theory, source)]


def _levels_of_another_order(evidence: Evidence, theory: Theory, source: str) -> list[Claim]:
    data = cast(QuadraticModadd, evidence.architecture).data
    energies = dict(zip(evidence.architecture.feature_names, data.energies.tolist(), strict=True))
    predicted = [feature for feature, _ in theory.levels]
    initial, left, claims = sum(energies.values()), sum(energies.values()), []
    acquired = evidence.acquisitions(source)
    if not evidence.complete(source):
        acquired = acquired[:-1]  # stopped: the last frequency may be half learned
    names = [event.feature for event in acquired]
    if names == predicted[: len(names)] or len(set(names)) < len(names):
        return []  # levels of the predicted order are claims of every network; a lost frequency has no level
    for number, event in enumerate(acquired, 1):
        left -= energies[event.feature]
        statement = Statement(f"loss_level_{number}", source, f"with {' '.join(names[:number])} learned the loss is "
                              "that of the other frequencies", SECTION, "theorem")
        claims.append(level_claim(statement, max(left, 0.0), event.loss_after, initial)
                      if math.isfinite(event.loss_after) else statement.undecided(NO_PLATEAU))
    return claims


def _norm_at(evidence: Evidence, source: str, event: Event) -> float:
    """Norm of an event's neuron at its time: the threshold in AGF, read off the path in training."""
    if source == "agf" or event.neuron is None:
        return evidence.threshold
    path = evidence.training.trajectory
    return float(np.interp(event.time, path.times, path.neuron_norms[:, event.neuron]))


def _bound_statement(feature: str, proved: bool) -> str:
    statement = f"no dormant neuron activates for frequency {feature} before the bound from the largest initial norm"
    return statement if proved else f"{statement}, as if the frequencies learned before it did not drive it"


def _balance(neurons: Tensor) -> Tensor:
    inputs = 2 * neurons.shape[1] // 3
    return neurons[:, :inputs].square().sum(1) - 2 * neurons[:, inputs:].square().sum(1)


def best_neuron(architecture: QuadraticModadd) -> tuple[float, Tensor]:
    """Largest utility found and the unit neuron that has it: alternating maximization over u, v, w."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    p = architecture.data.p
    starts = max(FEWEST_STARTS, STARTS_PER_FREQUENCY * len(architecture.feature_names))
    neurons = torch.randn(starts, 3, p, generator=generator, dtype=architecture.dtype).to(architecture.device)
    residual, best = architecture.empty_residual(), -math.inf
    for step in range(ASCENT_STEPS):
        gradient = architecture.utility_gradient(neurons.flatten(1), residual).view_as(neurons)
        part = gradient[:, step % 3]
        neurons[:, step % 3] = part / torch.linalg.vector_norm(part, dim=1, keepdim=True) / 3**0.5
        if step < 2:
            neurons /= torch.linalg.vector_norm(neurons, dim=2, keepdim=True) * 3**0.5
        utilities = (neurons * gradient).sum((1, 2)) / 3
        before, best = best, float(utilities.max())
        if step > 20 and best <= before * (1 + 1e-15):
            break
    utilities = architecture.utility(neurons.flatten(1), residual)
    top = int(utilities.argmax())
    return float(utilities[top]), neurons[top].flatten()


def _deviation(architecture: QuadraticModadd, neuron: Tensor, frequency: int) -> float:
    """Deviation, in radians, of one neuron (3p,) from the maximizer's phases on a frequency, by its place."""
    u, v, w = architecture.neuron_spectra(neuron)[:, frequency]
    return float(torch.angle(u.conj() * v.conj() * w * architecture.data.spectrum[frequency]).abs())


CLAIMS = (utility_maximizer, first_neurons_aligned, conserved_balance, first_activation, dormant_lower_bounds,
          levels_of_any_order)
