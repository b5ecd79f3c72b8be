"""Claims about two-layer networks with a positively homogeneous activation."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.conservation import conserved
from agfrun.labs.staircases.claims.finite_scale import time_tolerance
from agfrun.labs.staircases.claims.general import EXACT_BOUND
from agfrun.labs.staircases.claims.origin import OURS, paper
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from agfrun.study.claim import Claim, Statement

CLOSED_FORM_TOLERANCE = 1e-3
# A part of the initial loss.
NEGLIGIBLE = 0.01
NO_GROWTH = "the largest neuron starts at the threshold or above, or is too small for floats"


def conserved_balance(evidence: Evidence) -> list[Claim]:
    """|w|^2 - degree |a|^2 of every neuron is a constant of gradient flow."""
    if not evidence.is_flow:
        return []
    architecture = cast(TwoLayer, evidence.architecture)

    def balance(neurons: Tensor) -> Tensor:
        weights, outputs = architecture.split(neurons)
        return weights.square().sum(-1) - architecture.activation.degree * outputs.square().sum(-1)

    drift = float((balance(evidence.training.final) - balance(evidence.initial)).abs().max())
    size = float(evidence.training.final.square().sum(-1).max())
    factor = "" if architecture.activation.degree == 1 else f"{architecture.activation.degree} "
    statement = Statement("conserved_balance", "training", f"|w|^2 - {factor}|a|^2 of every neuron is conserved by "
                          "gradient flow", paper("section 2"), "theorem")
    return [conserved(evidence, statement, drift, size)]


def first_activation_bound(evidence: Evidence) -> list[Claim]:
    """No neuron of AGF activates before the largest utility that the data's moments allow would let it."""
    architecture = cast(TwoLayer, evidence.architecture)
    statement = Statement("first_activation_bound", "agf", "no neuron activates before the bound from the largest "
                          "initial norm and the second moments of the data", OURS, "bound")
    ahead, first = _utility_ahead(evidence), _first_activation(evidence, "agf")
    if ahead is None or first is None:
        return [statement.undecided(NO_GROWTH if ahead is None else "no neuron activates in AGF")]
    largest = architecture.utility_bound(architecture.empty_residual())
    bound = ahead / (architecture.homogeneity_degree * largest)
    return [statement.decided(bound, first, first >= bound, EXACT_BOUND)]


def first_activation_time(evidence: Evidence) -> list[Claim]:
    """AGF gives the time of the first activation.

    Up to it neurons are blind to one another but for the last stretch, which vanishes with the initialization relative
    to all that a neuron has to accumulate: see `finite_scale`.
    """
    if not evidence.is_flow:
        return []
    statement = Statement("first_activation_time", "training", "the first neuron activates at AGF's time",
                          paper("discussion"), "numerics")
    ahead = _utility_ahead(evidence)
    predicted, measured = _first_activation(evidence, "agf"), _first_activation(evidence, "training")
    if ahead is None or predicted is None or measured is None:
        silent = "AGF" if predicted is None else "training"
        return [statement.undecided(NO_GROWTH if ahead is None else f"no neuron activates in {silent}")]
    feature = min((event for event in evidence.predicted if event.kind == "activation"), key=lambda e: e.time).feature
    return [statement.close(predicted, measured, *time_tolerance(evidence, feature))]


def closed_form_on_orthogonal_inputs(evidence: Evidence) -> list[Claim]:
    """The general engine of AGF agrees with the solution that is exact sample by sample, as far as it went."""
    if evidence.theory is None or evidence.prediction.cost_phase != "instantaneous":
        return []
    expected, rounds = evidence.theory.events, evidence.prediction.rounds
    # What a cost phase leaves undone may activate a neuron in the end, to next to no effect.
    last = expected[-1].loss_after if expected else evidence.theory.initial_loss
    further = sum(stage.loss < last - NEGLIGIBLE * evidence.theory.initial_loss for stage in rounds[len(expected) :])
    count = Statement("exact_rounds", "agf", "AGF has as many activations with an effect as the exact solution on "
                      "orthogonal inputs", OURS, "ours")
    if len(rounds) < len(expected) and not evidence.prediction.complete:
        claims = [count.undecided(evidence.end("agf"))]
    else:
        found = min(len(rounds), len(expected)) + further
        claims = [count.decided(len(expected), found, found == len(expected), "a count")]
    for number, event in enumerate(expected, 1):
        statement = Statement(f"exact_time_{number}", "agf", f"activation {number} of AGF is at the time of the exact "
                              "solution on orthogonal inputs", OURS, "ours")
        claims.append(statement.undecided(evidence.end("agf")) if number > len(rounds) or further else statement.close(
            event.time, rounds[number - 1].time, CLOSED_FORM_TOLERANCE, "the kink is rounded in the general engine"))
    return claims


def _utility_ahead(evidence: Evidence) -> float | None:
    """Accumulated utility between the largest initial norm and the threshold; None where that is not a number.

    So it is for neurons that start at the threshold or above, and for such as are too small for floats.
    """
    from agfrun.labs.staircases.agf.alternation import threshold_distance  # torch

    log_norms = torch.linalg.vector_norm(evidence.initial, dim=1).log()
    ahead = threshold_distance(log_norms.max(), evidence.threshold, evidence.architecture.homogeneity_degree)
    return float(ahead) if 0 < float(ahead) < math.inf else None


def _first_activation(evidence: Evidence, source: str) -> float | None:
    events = evidence.predicted if source == "agf" else evidence.measured
    return min((event.time for event in events if event.kind == "activation"), default=None)


CLAIMS = (conserved_balance, first_activation_bound, first_activation_time, closed_form_on_orthogonal_inputs)
