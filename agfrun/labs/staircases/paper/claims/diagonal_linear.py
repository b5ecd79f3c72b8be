"""Diagonal linear networks (AGF paper, section 3)."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch

from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.theory import limit_saddles
from agfrun.labs.staircases.paper.claims import experiments
from agfrun.labs.staircases.paper.claims.laboratory import (
    AGF,
    Laboratory,
    all_acquired,
    claims_of,
    from_claims,
    largest,
)
from agfrun.labs.staircases.run.result import Result
from agfrun.study.paper_claim import Finding, agreement, same_text, small, undecided

NETWORK = "diagonal_linear"
DESIGNS = (10, 11, 12, 13, 14)
# Printed by the published notebook (times in units of log(1/scale)).
PUBLISHED_TWO = ((0.193042, 1.114650), (0.600220, 0.070000), (3.457363, 0.0))
PUBLISHED_FIVE = ("2 3 4 1 5", (13.322997, 2.267025, 0.988054, 0.165564, 0.0),
                  (0.120120, 0.600696, 0.981709, 1.112283, 4.219254))


def _order(result: Result) -> str:
    return " ".join(event.feature for event in result.events["training"] if event.kind == "acquisition")


@AGF.claim(NETWORK, "section 3", "theorem")
def diagonal_maximal_utility(laboratory: Laboratory) -> Finding:
    """The largest utility of a unit neuron of coordinate i is |g_i|/2, at u = +-v, where g is the gradient in beta."""
    rows = claims_of(laboratory.results(experiments.diagonal_two()), "maximal_utility")
    return from_claims(rows, "normalized ascent from 16 random neurons a coordinate ends there to rounding")


@AGF.claim(NETWORK, "theorem 3.1", "theorem")
def agf_is_successive_saddles(laboratory: Laboratory) -> Finding:
    """AGF activates coordinates in the order of Pesme and Flammarion's successive saddles, and leaves the same
    coordinates at zero on each plateau: general engine of AGF against the saddle algorithm.
    """
    return from_claims(claims_of(laboratory.results(experiments.diagonal_two(1e-4, generic=True)),
                             "successive_saddles_order"), "an order is exact")


@AGF.claim(NETWORK, "theorem 3.1", "theorem")
def agf_times_tend_to_saddle_times(laboratory: Laboratory) -> Finding:
    """As the scale vanishes AGF's times over log(1/scale) tend to those of the successive saddles."""
    config = experiments.diagonal_two()
    saddles = limit_saddles(cast(DiagonalLinear, laboratory.architecture(config)).data)
    errors = []
    for exponent in (-50.0, -400.0):
        five = experiments.diagonal_five(exponent)
        for case, limit in ((five, limit_saddles(cast(DiagonalLinear, laboratory.architecture(five)).data)),
                            (experiments.diagonal_two(10**-100.0), saddles)):
            plan = laboratory.plan(case)
            clock = -case.init.log_scale
            errors += [abs(stage.time / clock / saddle.time - 1)
                       for stage, saddle in zip(plan.prediction.rounds, limit, strict=True)]
    return small(largest(errors), 1e-9, "rounding: at 1e-50 the threshold arccosh(1/(2 scale^2)) is 2 log(1/scale)")


@AGF.claim(NETWORK, "section 3, 2-D example", "numerics")
def diagonal_published_plateaus(laboratory: Laboratory) -> Finding:
    """In the paper's two-dimensional example the plateaus lie at 1.114650, 0.07 and 0, after rescaled times 0.193042,
    0.600220 and 3.457363.
    """
    saddles = limit_saddles(cast(DiagonalLinear, laboratory.architecture(experiments.diagonal_two())).data)
    found = np.array([(saddle.time, saddle.loss) for saddle in saddles])
    if found.shape != (len(PUBLISHED_TWO), 2):
        return same_text(f"{len(PUBLISHED_TWO)} plateaus", f"{len(found)} plateaus", "their number is exact")
    return small(float(np.abs(found - np.array(PUBLISHED_TWO)).max()), 1e-6, "the published numbers have 6 decimals")


@AGF.claim(NETWORK, "section 3, 5-D example", "numerics")
def diagonal_published_sequence(laboratory: Laboratory) -> Finding:
    """In the paper's five-dimensional example coefficients come in the order 2 3 4 1 5, at rescaled times 0.120120 to
    4.219254, and training shows that order and the levels 13.322997 to 0.
    """
    order, levels, times = PUBLISHED_FIVE
    result = laboratory.results(experiments.diagonal_five(-16.0))[0]
    saddles = limit_saddles(cast(DiagonalLinear, result.problem.architecture).data)
    if _order(result) != order:
        return same_text(order, _order(result), "an order is exact")
    error = max(abs(saddle.time - time) for saddle, time in zip(saddles, times, strict=True))
    acquired = [event for event in result.events["training"] if event.kind == "acquisition"]
    left = max(abs(event.loss_after - level) for event, level in zip(acquired, levels, strict=True)) / levels[0]
    return small(max(error, 1e-3 * left), 1e-5, "times have 6 decimals; levels of training to 1% of the first")


@AGF.claim(NETWORK, "theorem 3.1", "theorem")
def training_tends_to_agf(laboratory: Laboratory) -> Finding:
    """Gradient flow's times of acquisition tend to AGF's, relative to them like 1/log(1/scale)."""
    scales = np.array([-8.0, -16.0, -32.0])
    results = [laboratory.results(experiments.diagonal_five(scale))[0] for scale in scales]
    if missing := all_acquired(results, "its times are not known", ""):
        return missing
    errors = [np.mean([abs(row["time_training"] / row["time_predicted"] - 1) for row in result.main_rows
                       if row["kind"] == "acquisition"]) for result in results]
    exponent = float(np.polyfit(np.log(1 / -scales), np.log(errors), 1)[0])
    return agreement(1.0, exponent, 0.05, "a power fitted to three scales, next order 1/log^2 left out")


@AGF.claim(NETWORK, "theorem 3.1", "theorem")
def training_visits_the_saddles(laboratory: Laboratory) -> Finding:
    """Gradient flow rests at the levels of the successive saddles, in their order: the paper's design and four more."""
    results = [laboratory.results(experiments.diagonal_five(-16.0, data_seed=seed))[0] for seed in DESIGNS]
    rows = claims_of(results, "feature_order", "training") + claims_of(results, "loss_level", "training")
    return from_claims(rows, "1% of a level: a plateau ends before the last part of it is learned", "designs 10-14")


@AGF.claim(NETWORK, "section 3", "theorem")
def collapsed_neuron_crosses_to_the_other_sign(laboratory: Laboratory) -> Finding:
    """A coefficient that collapses comes back with the other sign only after its level has gone from one threshold
    through zero to the other: in the 2-D example beta_1 is +0.46, 0, then -0.2 at rescaled time 3.457, but for a number
    of e-folds that does not depend on the scale (1e-8, 1e-16, 1e-32).
    """
    errors = []
    for scale in (1e-8, 1e-16, 1e-32):
        result = laboratory.results(experiments.diagonal_two(scale))[0]
        saddles = limit_saddles(cast(DiagonalLinear, result.problem.architecture).data)
        events = [event for event in result.events["training"] if event.kind == "activation" and event.feature == "1"]
        if len(events) != 2:
            return undecided(f"training activates coordinate 1 {len(events)} times, not twice")
        errors.append((events[-1].time / -math.log(scale) / saddles[-1].time - 1) * -math.log(scale))
    return small(largest([abs(error - errors[0]) for error in errors]), 0.1, "e-folds: 55 more have to be gone at "
                 "1e-32 than at 1e-8")


@AGF.claim(NETWORK, "section 3", "theorem")
def diagonal_difference_is_conserved(laboratory: Laboratory) -> Finding:
    """u_i^2 - v_i^2 of every neuron is a constant of gradient flow."""
    result = laboratory.results(experiments.diagonal_two(1e-4))[0]
    size = float(result.training.final.square().sum(-1).max())
    return from_claims(claims_of([result], "conserved_difference"), "integration at 1e-6, relative to the squared norm",
                     scale=size)


@AGF.claim(NETWORK, "section 3", "theorem")
def neuron_moves_on_a_hyperbola(laboratory: Laboratory) -> Finding:
    """From u = sqrt(2) scale, v = 0 a neuron has beta = scale^2 sinh z and u^2 + v^2 = 2 scale^2 cosh z, with z twice
    the time integral of -dL/dbeta, whatever the other neurons do: against SciPy's integration of the whole network.
    """
    from scipy.integrate import solve_ivp

    architecture = cast(DiagonalLinear, laboratory.architecture(experiments.diagonal_two()))
    scale, data = 1e-2, architecture.data
    inputs, targets = data.inputs.cpu().double().numpy(), data.targets.cpu().double().numpy()

    def flow(_: float, state: np.ndarray) -> np.ndarray:
        u, v, _z = state.reshape(3, 2)
        drives = inputs.T @ (targets - inputs @ (u * v)) / len(targets)
        neurons = torch.tensor(np.stack([u, v], axis=1), dtype=architecture.dtype, device=architecture.device)
        slopes = -architecture.loss_and_gradient(neurons)[1].cpu().numpy()
        return np.concatenate([slopes[:, 0], slopes[:, 1], 2 * drives])

    start = np.array([2**0.5 * scale] * 2 + [0.0] * 4)
    u, v, z = solve_ivp(flow, (0.0, 30.0), start, method="DOP853", rtol=1e-11, atol=1e-14).y[:, -1].reshape(3, 2)
    sizes = u**2 + v**2
    error = np.maximum(np.abs(u * v - scale**2 * np.sinh(z)), np.abs(sizes - 2 * scale**2 * np.cosh(z))) / sizes
    return small(float(error.max()), 1e-6, "integration at 1e-11, amplified by the exponential of z")


@AGF.claim(NETWORK, "agfrun", "ours")
def saddles_are_the_lasso_up_to_a_collapse(laboratory: Laboratory) -> Finding:
    """Until the first collapse coefficients are selected at rescaled time 1/lambda of the Lasso path, in its order."""
    results = [laboratory.results(experiments.diagonal_five(-16.0, data_seed=seed))[0] for seed in DESIGNS]
    return from_claims(claims_of(results, "lasso_times"), "both paths are piecewise linear: rounding", "designs 10-14",
                     scale=1.0)


@AGF.claim(NETWORK, "agfrun", "ours")
def deeper_networks_visit_saddles(laboratory: Laboratory) -> Finding:
    """With three layers, too, gradient flow visits successive saddles, each neuron on the clock of its own blow-up."""
    results = laboratory.results(experiments.diagonal_deep())
    rows = claims_of(results, "feature_order", "training") + claims_of(results, "loss_level", "training")
    return from_claims(rows, "1% of a level", laboratory.seeds_text)
