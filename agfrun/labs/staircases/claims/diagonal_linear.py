"""Claims about diagonal linear networks (AGF paper, section 3; other depths and the Lasso beside it)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from agfrun.labs.staircases.claims.claim import NOTHING_LEARNED, Evidence
from agfrun.labs.staircases.claims.finite_scale import capped
from agfrun.labs.staircases.claims.general import EXACT_ORDER
from agfrun.labs.staircases.claims.origin import OURS, origin_of, paper
from agfrun.labs.staircases.networks.diagonal_linear.lasso import LassoPath, in_tie_order
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.theory import first_collapse, first_selections, limit_saddles
from agfrun.study.claim import Claim, Statement

STARTS = 16
ASCENT_STEPS = 300


def agf_is_successive_saddles(evidence: Evidence) -> list[Claim]:
    """Theorem 3.1: AGF's sequence is that of Pesme & Flammarion's algorithm, on the clock of the scale.

    Only the generic engine can decide it: the closed form is built on that algorithm. And only with cost
    phases that take no time, as in the theorem.
    """
    prediction, origin = evidence.prediction, origin_of(evidence.architecture)
    if prediction.cost_phase != "instantaneous" or evidence.theory is None:
        return []
    order = Statement("successive_saddles_order", "agf", "AGF activates coordinates as the successive-saddle algorithm "
                      "does", origin.theory, origin.standing)
    if prediction.method != "generic":
        return [order.undecided("the closed form of AGF is built on that algorithm; agf.method=generic decides it")]
    saddles = [event for event in evidence.theory.events if event.kind == "activation"]
    reached = saddles[: len(prediction.rounds)]
    expected = " ".join(event.feature for event in reached)
    measured = " ".join(event.feature for event in evidence.predicted if event.kind == "activation")
    claims = [order.decided(expected, measured, expected == measured, EXACT_ORDER)]
    tolerance, why = _finite_scale(evidence)
    for number, event in enumerate(saddles, 1):
        time = Statement(f"rescaled_time_{number}", "agf", f"event {number} of AGF is at the vanishing limit's time on "
                         "the scale's clock", origin.theory, origin.standing)
        if expected != measured:
            claims.append(time.undecided("AGF's coordinates come in another order"))
        elif number > len(reached):
            claims.append(time.undecided(evidence.end("agf")))
        else:
            claims.append(time.close(event.time, prediction.rounds[number - 1].time, tolerance, why))
    return claims


def _finite_scale(evidence: Evidence) -> tuple[float, str]:
    """How far AGF's times may be from those of the vanishing limit, and why.

    The theorem is about a vanishing scale, at which all neurons have 2 log(1/scale) to go. At depth 2 a finite one
    enters through what each has to go in truth, at depth 3 and more through what a neuron at the threshold has still to
    go to its blow-up.
    """
    architecture = cast(DiagonalLinear, evidence.architecture)
    depth = architecture.depth
    if depth > 2:
        left = 3.0 / min(evidence.threshold, 1.0) ** (depth - 2) * vanishing_parameter(evidence.log_init_scale, depth)
        return capped(left, "what a neuron at the threshold has still to go to its blow-up")
    ends = np.concatenate(architecture.curves(evidence.initial).ends(evidence.threshold))
    ratios = np.abs(ends[np.isfinite(ends)]) / (-2 * evidence.log_init_scale)
    # Those below the floats have no ends; what they have to go differs from the clock by less than can be read.
    return capped(2 * float(np.max(np.abs(ratios - 1), initial=0.0)), "twice by how much what a neuron has to go "
                  "differs from 2 log(1/scale)")


def vanishing_parameter(log_init_scale: float, depth: int) -> float:
    """What vanishes with the scale: time of a cost phase over that of a dormant neuron, up to a constant."""
    if depth > 2:
        return math.exp(log_init_scale * (depth - 2))
    return 1 / -log_init_scale if log_init_scale < -1 else 1.0


def conserved_difference(evidence: Evidence) -> list[Claim]:
    """u_l^2 - u_m^2 of any two layers is a constant of gradient flow."""
    # The first state that was kept: `initial` lacks the scale where that is below every float.
    start, end = evidence.training.recorder.state_near(0.0)[1], evidence.training.final
    if not evidence.is_flow or start.shape[1] == 1:
        return []

    def differences(neurons: torch.Tensor) -> torch.Tensor:
        return neurons.square()[:, :-1] - neurons.square()[:, 1:]

    # The difference is read off numbers as large as the squares, so rounding is relative to these.
    size = float(end.square().sum(-1).max())
    drift = float((differences(end) - differences(start)).abs().max())
    statement = Statement("conserved_difference", "training", "differences of the squared layers of every neuron are "
                          "conserved by gradient flow", *_stated(start.shape[1]))
    if not evidence.learned:
        return [statement.undecided(NOTHING_LEARNED)]
    return [statement.close(0.0, drift, 1e-6, "rounding, relative to the squared norm: the flow is integrated along "
                            "the hyperbolas", size)]


def maximal_utility(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit neuron of L layers is |g_i| L^(-L/2), all layers equal in magnitude."""
    architecture = cast(DiagonalLinear, evidence.architecture)
    if not architecture.signed:
        return []
    depth = architecture.depth
    constant = "1/2" if depth == 2 else f"{depth}^(-{depth}/2)"
    statement = Statement("maximal_utility", "theory", f"the largest utility of a unit neuron over |g| is {constant}, "
                          "on every coordinate (in units of that)", *_stated(depth))
    drives = architecture.empty_residual().drives
    driven = torch.nonzero(drives)[:, 0]
    if len(driven) == 0:
        return [statement.undecided("the data drives no coordinate")]
    ratios = _ascend(architecture, driven) / (drives[driven].abs() * depth ** (-depth / 2))
    return [statement.close(1.0, float(ratios[(ratios - 1).abs().argmax()]), 1e-6, "what normalized ascent leaves")]


def _ascend(architecture: DiagonalLinear, driven: torch.Tensor) -> torch.Tensor:
    """Largest utilities on some coordinates that normalized gradient ascent finds from random unit neurons."""
    residual, index = architecture.empty_residual(), driven.repeat(STARTS)
    generator = torch.Generator().manual_seed(0)
    neurons = torch.randn(len(index), architecture.depth, generator=generator, dtype=architecture.dtype)
    neurons = torch.nn.functional.normalize(neurons.to(architecture.device))
    for _ in range(ASCENT_STEPS):
        gradient = architecture.utility_gradient(neurons, residual, index)
        neurons = torch.nn.functional.normalize(neurons + 0.5 * torch.nn.functional.normalize(gradient))
    return architecture.utility(neurons, residual, index).view(STARTS, -1).max(0).values


def _stated(depth: int) -> tuple[str, str]:
    """Where, and as what, facts about a single neuron are stated: the paper has two layers."""
    return (paper("section 3"), "theorem") if depth == 2 else (OURS, "ours")


def lasso_selection(evidence: Evidence) -> list[Claim]:
    """Up to the first collapse the saddles select coefficients as the Lasso does, at time 1/lambda.

    The times are those of the vanishing limit. AGF's own order follows wherever all neurons have equally far to
    the threshold. See `staircases.networks.diagonal_linear.lasso`.
    """
    architecture = cast(DiagonalLinear, evidence.architecture)
    arrays = {name: array.cpu().double().numpy() for name, array in architecture.data_arrays().items()}
    path = in_tie_order(LassoPath(arrays["lasso/lambda"], arrays["lasso/coefficients"]).first_selections())
    saddles = limit_saddles(architecture.data, architecture.signed)
    last = first_collapse(saddles)
    # The selection that makes another coefficient collapse is still the Lasso's.
    selected = [selection for selection in first_selections(saddles) if selection[1] <= last][: len(path)]
    selected = in_tie_order(selected)
    times = Statement("lasso_times", "theory", "until the first collapse, coefficients are selected at rescaled time "
                      "1/lambda of the Lasso path: worst relative difference", OURS, "ours")
    if not selected:
        return [times.undecided("no coefficient is selected")]
    path = path[: len(selected)]
    worst = max((abs(time * penalty - 1) for (_, time), (_, penalty) in zip(selected, path, strict=True)))
    claims = [times.close(0.0, worst, 1e-6, "rounding: both paths are piecewise linear", 1.0)]
    return claims + ([_lasso_order(evidence, path)] if _equal_thresholds(evidence) else [])


def _lasso_order(evidence: Evidence, path: Sequence[tuple[int, float]]) -> Claim:
    """The order of AGF itself, where all neurons have equally far to go."""
    statement = Statement("lasso_order", "agf", "until the first collapse, AGF selects coefficients in the order of "
                          "the Lasso path", OURS, "ours")
    names = evidence.architecture.feature_names
    activated: dict[int, float] = {}
    for event in evidence.predicted:
        if event.kind == "activation":
            activated.setdefault(names.index(event.feature), event.time)
    if len(activated) < len(path):
        return statement.undecided(f"{evidence.end('agf')}; the Lasso selects {len(path)} coefficients by then")
    expected = " ".join(names[coordinate] for coordinate, _ in path)
    measured = " ".join(names[coordinate] for coordinate, _ in in_tie_order(list(activated.items()))[: len(path)])
    return statement.decided(expected, measured, measured == expected, EXACT_ORDER)


def _equal_thresholds(evidence: Evidence) -> bool:
    """Whether every neuron's level has equally far to go, to either side where it has two."""
    architecture = cast(DiagonalLinear, evidence.architecture)
    lower, upper = architecture.curves(evidence.initial).ends(evidence.threshold)
    distances = np.concatenate([upper, -lower]) if architecture.signed else upper
    return bool(np.all(np.isfinite(distances)) and np.ptp(distances) <= 1e-9 * np.abs(distances).max())


CLAIMS = (agf_is_successive_saddles, conserved_difference, maximal_utility, lasso_selection)
