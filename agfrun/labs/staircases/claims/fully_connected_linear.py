"""Claims about fully connected linear networks (AGF paper, section 4)."""

from __future__ import annotations

import math
from typing import cast

import torch

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.study.claim import Claim, close

# In the limit log(1/(sqrt(2) scale)) e-folds of growth go by before a mode is learned. The initial directions, the
# mode's size and the cost phases are worth a few more or less, the same number at any scale.
E_FOLDS = 6.0
# Its square is the excess loss in parts of the initial loss: the 1% that other claims allow a level.
SADDLE_TOLERANCE = 0.1
BALANCE_TOLERANCE = 1e-4
POWER_STEPS = 500


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
    return [close("maximal_utility", "theory", "the largest utility of a unit neuron is half the largest singular "
                  "value of Sigma_yx (section 4)", 0.5 * largest, best, 1e-3)]


def visited_saddles(evidence: Evidence) -> list[Claim]:
    """On the plateau after mode k the map A W is P_k beta* (conjecture 4.1), in the norm of the inputs."""
    architecture = cast(FullyConnectedLinear, evidence.architecture)
    claims = []
    scale = float(torch.linalg.matrix_norm(architecture.data.target_map @ architecture.data.factor))
    for number, event in enumerate(_in_predicted_order(evidence), 1):
        moment = _on_plateau(event, float(evidence.training.trajectory.times[-1]))
        if moment is None:
            continue
        learned = architecture.product(evidence.training.recorder.state_near(moment)[1])
        saddle = torch.as_tensor(architecture.stages.saddle(number)).to(learned)
        distance = float(torch.linalg.matrix_norm((learned - saddle) @ architecture.data.factor)) / scale
        claims.append(Claim(f"saddle_{number}", "training", f"with {number} modes learned A W is P_{number} beta* "
                            "(conjecture 4.1); distance in the norm of the inputs, relative to beta*", 0.0, distance,
                            SADDLE_TOLERANCE, distance <= SADDLE_TOLERANCE))
    return claims


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
                statement = (f"mode {event.feature} is learned at the time of conjecture 4.1, up to {E_FOLDS:g} "
                             f"e-folds of {e_folds:.3g}")
                claims.append(close(f"mode_time_{event.feature}", source, statement, predicted.pop(event.feature),
                                    event.time, E_FOLDS / e_folds))
    return claims


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
    return [close("conserved_balance", "training", "A^T A - W W^T is conserved by gradient flow", 0.0, drift,
                  BALANCE_TOLERANCE, float(evidence.training.final.square().sum()))]


def _in_predicted_order(evidence: Evidence) -> list[Event]:
    """Training's acquisitions as long as they come in theory's order: of another order the saddles are others."""
    order = [feature for feature, _ in evidence.theory.levels] if evidence.theory is not None else []
    acquired = evidence.acquisitions("training")
    agreeing = [event.feature == name for event, name in zip(acquired, order, strict=False)]
    return acquired[: agreeing.index(False) if False in agreeing else len(agreeing)]


def _on_plateau(event: Event, end: float) -> float | None:
    """A moment in the middle of the plateau that follows an event, on a log scale; None if there is none."""
    if not math.isfinite(event.plateau_start):
        return None
    return math.sqrt(event.plateau_start * (event.plateau_end if math.isfinite(event.plateau_end) else end))


CLAIMS = (maximal_utility, visited_saddles, mode_times, conserved_balance)
