"""Claims about diagonal linear networks (AGF paper, section 3; other depths and the Lasso beside it)."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.diagonal_linear.lasso import LassoPath, in_tie_order
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.theory import first_collapse, first_selections, limit_saddles
from agfrun.study.claim import Claim, close

STARTS = 16
ASCENT_STEPS = 300


def agf_is_successive_saddles(evidence: Evidence) -> list[Claim]:
    """Theorem 3.1: AGF's sequence is that of Pesme & Flammarion's algorithm, on the clock of the scale.

    Only the generic engine can decide it: the closed form is built on that algorithm. And only with cost
    phases that take no time, as in the theorem.
    """
    architecture, prediction = cast(DiagonalLinear, evidence.architecture), evidence.prediction
    if prediction.method != "generic" or prediction.cost_phase != "instantaneous" or evidence.theory is None:
        return []
    saddles = [event for event in evidence.theory.events if event.kind == "activation"]
    saddles = saddles[: len(prediction.rounds)]
    expected = " ".join(event.feature for event in saddles)
    measured = " ".join(event.feature for event in evidence.predicted if event.kind == "activation")
    claims = [Claim("successive_saddles_order", "agf", "AGF activates coordinates as the successive-saddle algorithm "
                    "does (theorem 3.1)", expected, measured, None, expected == measured)]
    if expected == measured:
        # The theorem is about a vanishing scale; at depth 2 a finite one enters through 1 / log(1 / scale), at
        # depth 3 and more through what a neuron at the threshold has still to go to its blow-up.
        finite = 1.0 if architecture.depth == 2 else 3.0 / min(evidence.threshold, 1.0) ** (architecture.depth - 2)
        tolerance = finite * vanishing_parameter(evidence.log_init_scale, architecture.depth)
        for number, (event, stage) in enumerate(zip(saddles, prediction.rounds, strict=True), 1):
            claims.append(close(f"rescaled_time_{number}", "agf",
                                f"event {number} of AGF is at the vanishing limit's time on the scale's clock "
                                "(theorem 3.1)", event.time, stage.time, tolerance))
    return claims


def training_times(evidence: Evidence) -> list[Claim]:
    """Drop times approach AGF's: cost phases are short beside the dormant neurons' clock (theorem 3.1)."""
    depth = cast(DiagonalLinear, evidence.architecture).depth
    tolerance = (2.0 if depth == 2 else 10.0) * vanishing_parameter(evidence.log_init_scale, depth)
    allowed = "2 / log(1/scale)" if depth == 2 else f"10 scale^{depth - 2}"
    return [close(f"drop_time_{row['event']}", "training",
                  f"feature {row['feature']} is acquired at AGF's time, up to {allowed} (theorem 3.1)",
                  row["time_agf"], row["time_training"], min(tolerance, 1.0))
            for row in evidence.comparison if row["kind"] == "acquisition" and math.isfinite(row["time_training"])]


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
    return [close("conserved_difference", "training", "differences of the squared layers of every neuron are "
                  "conserved by gradient flow", 0.0, drift, 1e-6, size)]


def maximal_utility(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit neuron of L layers is |g_i| L^(-L/2), all layers equal in magnitude.

    Checked by normalized gradient ascent from random unit neurons.
    """
    architecture = cast(DiagonalLinear, evidence.architecture)
    residual = architecture.empty_residual()
    driven = torch.nonzero(residual.drives)[:, 0]
    if not architecture.signed or len(driven) == 0:
        return []
    index = driven.repeat(STARTS)
    generator = torch.Generator().manual_seed(0)
    neurons = torch.randn(len(index), architecture.depth, generator=generator, dtype=architecture.dtype)
    neurons = torch.nn.functional.normalize(neurons.to(architecture.device))
    for _ in range(ASCENT_STEPS):
        gradient = architecture.utility_gradient(neurons, residual, index)
        neurons = torch.nn.functional.normalize(neurons + 0.5 * torch.nn.functional.normalize(gradient))
    best = architecture.utility(neurons, residual, index).view(STARTS, -1).max(0).values
    ratios = best / (residual.drives[driven].abs() * architecture.depth ** (-architecture.depth / 2))
    worst = float(ratios[(ratios - 1).abs().argmax()])
    constant = "1/2" if architecture.depth == 2 else f"{architecture.depth}^(-{architecture.depth}/2)"
    return [close("maximal_utility", "theory", f"the largest utility of a unit neuron over |g| is {constant}, on every "
                  "coordinate (in units of that)", 1.0, worst, 1e-6)]


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
    if not selected:
        return []
    path = path[: len(selected)]
    names = architecture.feature_names
    expected = " ".join(names[coordinate] for coordinate, _ in path)
    worst = max((abs(time * penalty - 1) for (_, time), (_, penalty) in zip(selected, path, strict=True)))
    claims = [close("lasso_times", "theory", "until the first collapse, coefficients are selected at rescaled time "
                    "1/lambda of the Lasso path: worst relative difference", 0.0, worst, 1e-6, 1.0)]
    activated: dict[int, float] = {}
    for event in evidence.predicted:
        if event.kind == "activation":
            activated.setdefault(names.index(event.feature), event.time)
    if _equal_thresholds(evidence) and len(activated) >= len(path):
        measured = " ".join(names[coordinate] for coordinate, _ in in_tie_order(list(activated.items()))[: len(path)])
        claims.append(Claim("lasso_order", "agf", "until the first collapse, AGF selects coefficients in the order of "
                            "the Lasso path", expected, measured, None, measured == expected))
    return claims


def _equal_thresholds(evidence: Evidence) -> bool:
    """Whether every neuron's level has equally far to go, to either side where it has two."""
    architecture = cast(DiagonalLinear, evidence.architecture)
    lower, upper = architecture.curves(evidence.initial).ends(evidence.threshold)
    distances = np.concatenate([upper, -lower]) if architecture.signed else upper
    return bool(np.all(np.isfinite(distances)) and np.ptp(distances) <= 1e-9 * np.abs(distances).max())


CLAIMS = (agf_is_successive_saddles, training_times, conserved_difference, maximal_utility, lasso_selection)
