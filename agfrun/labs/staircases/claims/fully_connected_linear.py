"""Claims about fully connected linear networks (AGF paper, section 4)."""

from __future__ import annotations

import math
from typing import cast

import torch

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.general import NO_PLATEAU
from agfrun.labs.staircases.claims.origin import paper
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.study.claim import Claim, Statement

# In the limit log(1/(sqrt(2) scale)) e-folds of growth go by before a mode is learned. The initial directions, the
# mode's size and the cost phases are worth a few more or less, the same number at any scale.
E_FOLDS = 6.0
# Its square is the excess loss in parts of the initial loss: the 1% that other claims allow a level.
SADDLE_TOLERANCE = 0.1
BALANCE_TOLERANCE = 1e-4
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
    """On the plateau after mode k the map A W is P_k beta* (conjecture 4.1), in the norm of the inputs."""
    if evidence.theory is None:
        return []
    acquired, claims = _in_predicted_order(evidence, evidence.theory), []
    left = evidence.end("training") if len(acquired) == len(evidence.acquisitions("training")) else (
        "modes came in another order, whose saddles are others")
    for number in range(1, len(evidence.theory.levels) + 1):
        statement = Statement(f"saddle_{number}", "training", f"with {number} modes learned A W is P_{number} beta*; "
                              "distance in the norm of the inputs, relative to beta*", CONJECTURE, "conjecture")
        if number > len(acquired):
            claims.append(statement.undecided(left))
        elif (moment := _on_plateau(acquired[number - 1], float(evidence.training.trajectory.times[-1]))) is None:
            claims.append(statement.undecided(NO_PLATEAU))
        else:
            claims.append(statement.close(0.0, _distance(evidence, number, moment), SADDLE_TOLERANCE,
                                          "its square is 1% of the initial loss", 1.0))
    return claims


def _distance(evidence: Evidence, number: int, moment: float) -> float:
    """Distance of training at a moment from the saddle with so many modes, relative to the target."""
    architecture = cast(FullyConnectedLinear, evidence.architecture)
    data = architecture.data
    learned = architecture.product(evidence.training.recorder.state_near(moment)[1])
    saddle = torch.as_tensor(architecture.stages.saddle(number)).to(learned)
    scale = float(torch.linalg.matrix_norm(data.target_map @ data.factor))
    return float(torch.linalg.matrix_norm((learned - saddle) @ data.factor)) / scale


def mode_times(evidence: Evidence) -> list[Claim]:
    """Modes are learned at the times of conjecture 4.1, up to a few e-folds of a neuron's growth."""
    if evidence.theory is None or not evidence.theory.events:
        return []
    e_folds = -(0.5 * math.log(2) + evidence.log_init_scale)
    claims = []
    for source in ("agf", "training"):
        predicted = {event.feature: event.time for event in evidence.theory.events}
        for event in evidence.acquisitions(source):
            if event.feature in predicted:
                claims.append(_mode_time(event.feature, source, e_folds).close(
                    predicted.pop(event.feature), event.time, E_FOLDS / e_folds,
                    "e-folds for initial directions, the mode's size and cost phases"))
        claims += [_mode_time(mode, source, e_folds).undecided(evidence.end(source)) for mode in predicted]
    return claims


def _mode_time(mode: str, source: str, e_folds: float) -> Statement:
    return Statement(f"mode_time_{mode}", source, f"mode {mode} is learned at the conjectured time, up to {E_FOLDS:g} "
                     f"e-folds of {e_folds:.3g}", CONJECTURE, "conjecture")


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
    statement = Statement("conserved_balance", "training", "A^T A - W W^T is conserved by gradient flow",
                          paper("section 4"), "theorem")
    return [statement.close(0.0, drift, BALANCE_TOLERANCE, "integration, relative to the squared norm",
                            float(evidence.training.final.square().sum()))]


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
