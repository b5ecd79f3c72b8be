"""Claims about linear attention on in-context regression (AGF paper, section 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.conservation import conserved
from agfrun.labs.staircases.claims.finite_scale import capped
from agfrun.labs.staircases.claims.general import EXACT_BOUND, NO_PLATEAU
from agfrun.labs.staircases.claims.origin import OURS, paper
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.linear_attention.theory import incremental_bounds, maximal_utilities
from agfrun.study.claim import Claim, Statement

SECTION = paper("section 5")
STARTS = 32
ASCENT_STEPS = 600
# A head turns into its mode at the rate of the gap to the next eigenvalue, and may not be done on a short plateau.
COEFFICIENT_TOLERANCE = 0.05


def utility_maximizer(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit head is the closed form's.

    Checked by multilinear ascent from random unit heads: given two of v, K, Q the best third is
    proportional to the gradient, and so on in turn.
    """
    architecture = cast(LinearAttention, evidence.architecture)
    statement = Statement("maximal_utility", "theory", "the largest utility of a unit head is N lambda^2 / (3 sqrt 3) "
                          "of the largest eigenvalue", SECTION, "theorem")
    return [statement.close(float(maximal_utilities(architecture.data)[0]), _ascend(architecture), 1e-6,
                            "what alternating ascent over v, K, Q leaves")]


def conserved_balance(evidence: Evidence) -> list[Claim]:
    """|v|^2 - |K|^2 and |K|^2 - |Q|^2 of every head are constants of gradient flow."""
    architecture = cast(LinearAttention, evidence.architecture)
    if not evidence.is_flow:
        return []
    start, end = (_balance(architecture, neurons) for neurons in (evidence.initial, evidence.training.final))
    size = float(evidence.training.final.square().sum(-1).max())
    statement = Statement("conserved_balance", "training", "|v|^2 - |K|^2 and |K|^2 - |Q|^2 of every head are "
                          "conserved by gradient flow", SECTION, "theorem")
    return [conserved(evidence, statement, float((end - start).abs().max()), size)]


def learned_coefficients(evidence: Evidence) -> list[Claim]:
    """A learned mode stands at its own optimum, whatever else is learned."""
    architecture = cast(LinearAttention, evidence.architecture)
    optima, claims = architecture.data.optimal_coefficients.tolist(), []
    for source, path in _paths(evidence):
        acquired = evidence.acquisitions(source)
        for event in acquired:
            statement, mode = _coefficient(event.feature, source), architecture.feature_names.index(event.feature)
            claims.append(statement.close(
                optima[mode], float(path.features[_plateau_row(path, event), mode]), COEFFICIENT_TOLERANCE,
                "a head turns into its mode at the rate of the gap between eigenvalues")
                if math.isfinite(event.plateau_start) else statement.undecided(NO_PLATEAU))
        claims += [_coefficient(mode, source).undecided(evidence.end(source)) for mode in _missing(evidence, acquired)]
    return claims


def _coefficient(mode: str, source: str) -> Statement:
    return Statement(f"coefficient_{mode}", source, f"mode {mode} is learned to 1 / (tr Sigma + (N + 1) lambda)",
                     SECTION, "theorem")


def diagonal_output(evidence: Evidence) -> list[Claim]:
    """What is learned is diagonal along the eigenvectors; judged at the end of a path that has learned all."""
    architecture = cast(LinearAttention, evidence.architecture)
    learnable = len(_learnable(architecture))
    claims = []
    for source, final in (("training", evidence.training.final), ("agf", evidence.prediction.final)):
        statement = Statement("diagonal_output", source, "the learned map is diagonal along the eigenvectors of Sigma",
                              SECTION, "theorem")
        acquired = evidence.acquisitions(source)
        if len(acquired) != learnable:
            claims.append(statement.undecided(f"{evidence.end(source)} of {learnable}"))
        elif not math.isfinite(acquired[-1].plateau_start):
            claims.append(statement.undecided("no plateau after the last mode is resolved"))
        else:
            matrix = architecture.mixed_matrix(final)
            beside = matrix - torch.diag(matrix.diagonal())
            claims.append(statement.close(0.0, float(torch.linalg.matrix_norm(beside)), COEFFICIENT_TOLERANCE,
                                          "of its norm, where the path stops", float(torch.linalg.matrix_norm(matrix))))
    return claims


def incremental_lower_bounds(evidence: Evidence) -> list[Claim]:
    """The paper's lower bounds, from the largest norm of a dormant head once the mode before is learned.

    A head of higher rank learns on while it is active, and an order with ties has no single mode to bound.
    """
    architecture = cast(LinearAttention, evidence.architecture)
    if architecture.head_dim > 1 or evidence.theory is None or evidence.theory.undecided:
        return []
    return [claim for source, path in _paths(evidence) for claim in _bounds_of(evidence, architecture, source, path)]


def _bounds_of(evidence: Evidence, architecture: LinearAttention, source: str, path: Trajectory) -> list[Claim]:
    acquired = evidence.acquisitions(source)
    starts = [0.0, *(event.plateau_start for event in acquired[:-1])]
    usable = next((i for i, start in enumerate(starts) if not math.isfinite(start)), len(starts))
    norms = [_largest_dormant_norm(path, start, learned) for learned, start in enumerate(starts[:usable])]
    bounds = incremental_bounds(architecture.data, architecture.width, starts[:usable], norms, evidence.threshold)
    in_order = [event.feature for event in acquired] == list(architecture.feature_names[: len(acquired)])
    claims = []
    for number, mode in enumerate(_learnable(architecture)):
        statement = Statement(f"incremental_bound_{mode}", source, f"mode {mode} is not learned before the mode before "
                              "it plus (1/|theta| - 1/threshold) sqrt(3) / (N lambda^2) of the largest dormant head",
                              SECTION, "bound")
        if not in_order:
            claims.append(statement.undecided("modes came in another order"))
        elif number >= len(acquired):
            claims.append(statement.undecided(evidence.end(source)))
        elif number >= len(bounds):
            claims.append(statement.undecided("a plateau before it is not resolved"))
        else:
            time = acquired[number].time
            claims.append(statement.decided(bounds[number], time, time >= bounds[number], EXACT_BOUND))
    return claims


def closed_form_times(evidence: Evidence) -> list[Claim]:
    """Modes are learned at the times of the solved dormant heads, in the limit of vanishing initialization.

    Cost phases, which the solution leaves out, take a time of order log(1 / norm) out of 1 / norm. A head that happens
    to come close to v = 0 waits there for a time that depends on everything: of its mode the claim fails.
    """
    architecture = cast(LinearAttention, evidence.architecture)
    if evidence.theory is None or not evidence.theory.events or not evidence.is_flow or architecture.head_dim > 1:
        return []
    largest = float(torch.linalg.vector_norm(evidence.initial, dim=1).max())
    tolerance, why = capped(2 * largest * (1 + max(-math.log(largest), 0.0)), "2 n (1 + log(1/n)) of the largest "
                            "initial norm n, for the cost phases that the solution leaves out")
    measured = {event.feature: event.time for event in evidence.acquisitions("training")}
    claims = []
    for event in evidence.theory.events:
        statement = Statement(f"closed_form_time_{event.feature}", "training", f"mode {event.feature} is learned at "
                              "the time of the solved dormant heads", OURS, "ours")
        if event.feature not in measured:
            claims.append(statement.undecided(evidence.end("training")))
        elif event.time <= 0:
            claims.append(statement.undecided("its head starts beyond the threshold"))
        else:
            claims.append(statement.close(event.time, measured[event.feature], tolerance, why))
    return claims


def _learnable(architecture: LinearAttention) -> tuple[str, ...]:
    """The modes that so many heads of that rank can learn, in the predicted order."""
    return architecture.feature_names[: architecture.width * architecture.head_dim]


def _missing(evidence: Evidence, acquired: Sequence[Event]) -> list[str]:
    """Learnable modes that a path has not acquired."""
    seen = {event.feature for event in acquired}
    return [mode for mode in _learnable(cast(LinearAttention, evidence.architecture)) if mode not in seen]


def _paths(evidence: Evidence) -> list[tuple[str, Trajectory]]:
    return [("agf", evidence.prediction.trajectory), ("training", evidence.training.trajectory)]


def _plateau_row(path: Trajectory, event: Event) -> int:
    """The row in the middle of the plateau that follows an event."""
    end = event.plateau_end if math.isfinite(event.plateau_end) else float(path.times[-1])
    return int(np.abs(path.times - 0.5 * (event.plateau_start + end)).argmin())


def _largest_dormant_norm(path: Trajectory, time: float, learned: int) -> float:
    """Largest norm of a head that is not active, or that no learned mode needs: `learned` heads do for these."""
    row = int(np.searchsorted(path.times, time, side="left"))
    norms, active = path.neuron_norms[row], path.active[row]
    beyond = np.sort(norms)[::-1][learned:]
    return float(max(norms[~active].max(initial=0.0), beyond.max(initial=0.0))) or math.inf


def _balance(architecture: LinearAttention, neurons: Tensor) -> Tensor:
    values, keys, queries = (part.flatten(1).square().sum(1) for part in architecture.parts(neurons))
    return torch.stack([values - keys, keys - queries])


def _ascend(architecture: LinearAttention) -> float:
    """Largest utility found by alternating maximization over v, K, Q."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    heads = torch.randn(STARTS, architecture.neuron_dimension, generator=generator, dtype=architecture.dtype).to(
        architecture.device)
    residual, sizes = architecture.empty_residual(), list(architecture.sizes)
    for step in range(ASCENT_STEPS):
        parts = list(torch.split(heads, sizes, dim=1))
        parts[step % 3] = torch.split(architecture.utility_gradient(heads, residual), sizes, dim=1)[step % 3]
        heads = torch.cat([part / torch.linalg.vector_norm(part, dim=1, keepdim=True) for part in parts], 1) / 3**0.5
    return float(architecture.utility(heads, residual).max())


CLAIMS = (utility_maximizer, conserved_balance, learned_coefficients, diagonal_output, incremental_lower_bounds,
          closed_form_times)
