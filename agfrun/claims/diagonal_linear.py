"""Claims about diagonal linear networks (AGF paper, section 3)."""

from __future__ import annotations

import math

import torch

from agfrun.architectures.diagonal_linear import DiagonalLinear
from agfrun.claims.claim import Claim, Evidence, close
from agfrun.theory.diagonal_linear import limit_saddles


def agf_is_successive_saddles(evidence: Evidence) -> list[Claim]:
    """Theorem 3.1: AGF's sequence is that of Pesme & Flammarion's algorithm, times rescaled by log(1/scale).

    Only the generic engine can decide it: the closed form is built on that algorithm.
    """
    assert isinstance(evidence.architecture, DiagonalLinear)
    if evidence.prediction.method != "generic":
        return []
    saddles = limit_saddles(evidence.architecture.data)[: len(evidence.prediction.rounds)]
    names = evidence.architecture.feature_names
    expected = " ".join(names[saddle.coordinate] for saddle in saddles)
    measured = " ".join(event.feature for event in evidence.predicted if event.kind == "activation")
    claims = [Claim("successive_saddles_order", "agf", "AGF activates coordinates as the successive-saddle algorithm "
                    "does (theorem 3.1)", expected, measured, None, expected == measured)]
    if expected == measured:
        # The finite scale enters through 1/log(1/scale), the theorem is about its vanishing.
        tolerance = 1 / math.log(1 / evidence.init_scale) if evidence.init_scale < 1 / math.e else 1.0
        for number, (saddle, stage) in enumerate(zip(saddles, evidence.prediction.rounds, strict=True), 1):
            claims.append(close(f"rescaled_time_{number}", "agf",
                                f"event {number} of AGF over log(1/scale) is the vanishing limit's (theorem 3.1)",
                                saddle.time, stage.time / math.log(1 / evidence.init_scale), tolerance))
    return claims


def training_times(evidence: Evidence) -> list[Claim]:
    """Drop times approach AGF's as 1/log(1/scale) vanishes (theorem 3.1)."""
    tolerance = 2 / math.log(1 / evidence.init_scale) if evidence.init_scale < 0.1 else 1.0
    return [close(f"drop_time_{row['event']}", "training",
                  f"feature {row['feature']} is acquired at AGF's time, up to 2/log(1/scale) (theorem 3.1)",
                  row["time_agf"], row["time_training"], tolerance)
            for row in evidence.comparison if row["kind"] == "acquisition" and math.isfinite(row["time_training"])]


def conserved_difference(evidence: Evidence) -> list[Claim]:
    """u_i^2 - v_i^2 is a constant of gradient flow."""
    if not evidence.is_flow:
        return []
    start, end = evidence.initial, evidence.training.final
    # The difference is read off numbers as large as the squares, so rounding is relative to these.
    size = float(end.square().sum(-1).max())
    drift = float(((end[:, 0] ** 2 - end[:, 1] ** 2) - (start[:, 0] ** 2 - start[:, 1] ** 2)).abs().max())
    return [close("conserved_difference", "training", "u^2 - v^2 of every neuron is conserved by gradient flow",
                  0.0, drift, 1e-6, size)]


def maximal_utility(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit neuron is |g_i| / 2, at angle -+45 degrees (section 3)."""
    architecture = evidence.architecture
    residual = architecture.empty_residual()
    angles = torch.linspace(-math.pi, math.pi, 2881, dtype=architecture.dtype, device=architecture.device)
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    claims = []
    assert isinstance(architecture, DiagonalLinear)
    for i, name in enumerate(architecture.feature_names):
        index = torch.full((len(angles),), i, device=architecture.device)
        best = float(architecture.utility(directions, residual, index).max())
        claims.append(close(f"maximal_utility_{name}", "theory",
                            f"the largest utility of a unit neuron on coordinate {name} is |g|/2",
                            0.5 * abs(float(residual.drives[i])), best, 1e-6))
    return claims


CLAIMS = (agf_is_successive_saddles, training_times, conserved_difference, maximal_utility)
