"""Claims about fully connected linear networks (AGF paper, section 4)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.conservation import conserved
from agfrun.labs.staircases.claims.finite_scale import capped
from agfrun.labs.staircases.claims.general import NEGLIGIBLE_LEVEL, NO_PLATEAU, STOPPED_THERE
from agfrun.labs.staircases.claims.origin import paper
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.study.claim import Claim, Statement

# Its square is the excess loss in parts of what the mode carries: 1%.
SADDLE_TOLERANCE = 0.1
POWER_STEPS = 500
CONJECTURE = paper("conjecture 4.1")


def maximal_utility(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit neuron is sigma_1(Sigma_yx) / 2 (section 4): alternating ascent finds it."""
    architecture = cast(FullyConnectedLinear, evidence.architecture)
    residual = architecture.empty_residual()
    generator = torch.Generator(device="cpu").manual_seed(0)
    neurons = torch.randn(16, architecture.neuron_dimension, generator=generator, dtype=architecture.dtype)
    neurons = neurons.to(architecture.device)
    for _ in range(POWER_STEPS):
        neurons = architecture.utility_gradient(neurons, residual)
        for part in architecture.split(neurons):
            part.div_(torch.linalg.vector_norm(part, dim=1, keepdim=True) * 2**0.5)
    best = float(architecture.utility(neurons, residual).max())
    largest = float(torch.linalg.matrix_norm(architecture.data.cross, ord=2))
    statement = Statement("maximal_utility", "theory", "the largest utility of a unit neuron is half the largest "
                          "singular value of Sigma_yx", paper("section 4"), "theorem")
    return [statement.close(0.5 * largest, best, 1e-3, f"what {POWER_STEPS} steps of power iteration leave")]


def visited_saddles(evidence: Evidence) -> list[Claim]:
    """On the plateau after mode k the map A W is P_k beta* (conjecture 4.1), in the norm of the inputs.

    Distances are relative to that to the nearest of the other saddles: relative to beta* every solved network would be
    at each of the late ones.
    """
    if evidence.theory is None:
        return []
    acquired, claims = _in_predicted_order(evidence, evidence.theory), []
    left = evidence.end("training") if len(acquired) == len(evidence.acquisitions("training")) else (
        "modes came in another order, whose saddles are others")
    for number, (_, level) in enumerate(evidence.theory.levels, 1):
        statement = Statement(f"saddle_{number}", "training", f"with {number} modes learned A W is P_{number} beta*; "
                              "distance in the norm of the inputs, relative to that of the nearest other saddle",
                              CONJECTURE, "conjecture")
        if number > len(acquired):
            claims.append(statement.undecided(left))
        elif (moment := _on_plateau(acquired[number - 1], float(evidence.training.trajectory.times[-1]))) is None:
            claims.append(statement.undecided(NO_PLATEAU))
        else:
            distance = _distance(evidence, number, moment)
            stopped = level <= NEGLIGIBLE_LEVEL * evidence.theory.initial_loss and distance <= SADDLE_TOLERANCE
            claims.append(statement.undecided(STOPPED_THERE) if stopped else statement.close(
                0.0, distance, SADDLE_TOLERANCE, "its square is 1% of what the mode carries", 1.0))
    return claims


def _distance(evidence: Evidence, number: int, moment: float) -> float:
    """Distance of training at a moment from the saddle with so many modes, over that of the nearest other saddle."""
    architecture = cast(FullyConnectedLinear, evidence.architecture)
    factor, stages = architecture.data.factor, architecture.stages
    learned = architecture.product(evidence.training.recorder.state_near(moment)[1])

    def apart(matrix: Tensor, count: int) -> float:
        return float(torch.linalg.matrix_norm((matrix - torch.as_tensor(stages.saddle(count)).to(learned)) @ factor))

    here = torch.as_tensor(stages.saddle(number)).to(learned)
    nearest = min(apart(here, other) for other in (number - 1, number + 1) if 0 <= other <= len(stages))
    return apart(learned, number) / nearest


def mode_times(evidence: Evidence) -> list[Claim]:
    """Modes are learned at the times of conjecture 4.1, up to what the scale is too large for.

    The conjecture counts log(1/(sqrt(2) scale)) e-folds of growth. In truth there are log(size) more up to the mode's
    own size, half a log(width) less as neurons share it, up to half a log of the dimension more as their directions do
    not lie along it, and one for the cost phase: the same number at any scale.
    """
    if evidence.theory is None or not evidence.theory.events:
        return []
    e_folds = -(0.5 * math.log(2) + evidence.log_init_scale)
    claims = []
    for source in ("agf", "training"):
        predicted = {event.feature: event.time for event in evidence.theory.events}
        for event in evidence.acquisitions(source):
            if event.feature in predicted:
                tolerance, why = capped(_e_folds_off(evidence, event.feature) / e_folds, "own size, direction and "
                                        "number of the neurons, and an e-fold for the cost phase")
                claims.append(_mode_time(event.feature, source).close(predicted.pop(event.feature), event.time,
                                                                      tolerance, why))
        claims += [_mode_time(mode, source).undecided(evidence.end(source)) for mode in predicted]
    return claims


def _e_folds_off(evidence: Evidence, mode: str) -> float:
    """By how many e-folds of growth the conjectured time of a mode may be off, at any scale."""
    architecture = cast(FullyConnectedLinear, evidence.architecture)
    sizes = architecture.stages.singular_values()[-1]
    # Of a mode of singular value s a single neuron has norm sqrt(2 s); the order of modes is that of their energies.
    own = 0.5 * math.log(2 * float(sizes[min(int(mode), len(sizes)) - 1]))
    spread = 0.5 * math.log(max(architecture.width, architecture.neuron_dimension))
    return 1 + max(abs(own), spread)


def _mode_time(mode: str, source: str) -> Statement:
    return Statement(f"mode_time_{mode}", source, f"mode {mode} is learned at the conjectured time", CONJECTURE,
                     "conjecture")


def conserved_balance(evidence: Evidence) -> list[Claim]:
    """A^T A - W W^T is a constant of gradient flow."""
    if not evidence.is_flow:
        return []
    architecture = cast(FullyConnectedLinear, evidence.architecture)
    differences = []
    for neurons in (evidence.training.recorder.state_near(0.0)[1], evidence.training.final):
        inner, outer = architecture.split(neurons)
        differences.append(outer @ outer.T - inner @ inner.T)
    drift = float((differences[1] - differences[0]).abs().max())
    size = float(evidence.training.final.square().sum())
    statement = Statement("conserved_balance", "training", "A^T A - W W^T is conserved by gradient flow",
                          paper("section 4"), "theorem")
    return [conserved(evidence, statement, drift, size)]


def _in_predicted_order(evidence: Evidence, theory: Theory) -> list[Event]:
    """Training's acquisitions as long as they come in theory's order: of another order the saddles are others."""
    order = [feature for feature, _ in theory.levels]
    acquired = evidence.acquisitions("training")
    agreeing = [event.feature == name for event, name in zip(acquired, order, strict=False)]
    return acquired[: agreeing.index(False) if False in agreeing else len(agreeing)]


def _on_plateau(event: Event, end: float) -> float | None:
    """A moment in the middle of the plateau that follows an event, on a log scale; None if there is none."""
    if not math.isfinite(event.plateau_start):
        return None
    return math.sqrt(event.plateau_start * (event.plateau_end if math.isfinite(event.plateau_end) else end))


CLAIMS = (maximal_utility, visited_saddles, mode_times, conserved_balance)
