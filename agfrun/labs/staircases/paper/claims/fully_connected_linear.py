"""Fully connected linear networks (AGF paper, section 4)."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from agfrun.labs.staircases.claims.finite_scale import WRONG_TIME
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.fully_connected_linear.data import linear_map
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.fully_connected_linear.theory import jump_times, target_modes
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.paper.claims import experiments
from agfrun.labs.staircases.paper.claims.laboratory import (
    AGF,
    Laboratory,
    all_acquired,
    claims_of,
    end_of,
    from_claims,
    largest,
)
from agfrun.labs.staircases.run.result import Result
from agfrun.study.paper_claim import Finding, Inconclusive, same_text, small

NETWORK = "fully_connected_linear"
LARGER_SCALE = 1e-6
CONSTANT, E_FOLD_PART = 1.0, 0.25
DECIDED_MODES = 9
# Printed by the published notebook: steps of the first modes, at its scale and learning rate.
PUBLISHED_STEPS = {True: (3007, 13858, 39851, 101429, 190630, 357920, 543168, 1369539, 2240942),
                   False: (7312, 22771, 46918, 101040, 143027, 194869, 648679, 834467, 1105094)}
STEPS_PER_UNIT = -math.log(math.sqrt(2) * 1e-15) / 2e-3
# Commuting but unsorted: map b_k along an input direction of variance lambda_k. The loss falls by b^2 lambda / 2, the
# speed is b lambda: the second is faster and smaller, the first slower and larger.
# More neurons than modes: with three, the last mode waits for the smallest singular value of a random 3 x 3 matrix.
UNSORTED_WIDTH = 10
UNSORTED = ((4.0, 0.1), (1.0, 0.9), (0.5, 0.4))


def unsorted_map(config: RunConfig) -> Architecture:
    """Three modes whose order by speed is not that by size."""
    sizes, variances = (np.array(column) for column in zip(*UNSORTED, strict=True))
    data = linear_map(np.diag(sizes), np.diag(variances), getattr(torch, config.dtype), torch.device("cpu"))
    return FullyConnectedLinear(data, UNSORTED_WIDTH)


def _clock(result: Result) -> float:
    """e-folds of growth up to norm 1: log(1/(sqrt(2) scale))."""
    return -(0.5 * math.log(2) + result.config.init.log_scale)


def _delays(result: Result) -> dict[str, float]:
    """How late each mode is half learned, in e-folds of its mean growth up to then."""
    predicted = {event.feature: event.time for event in result.events["theory"] if event.kind == "activation"}
    acquired = {event.feature: event.time for event in result.events["training"] if event.kind == "acquisition"}
    return {name: (acquired[name] / time - 1) * _clock(result) for name, time in predicted.items() if name in acquired}


def _delays_of_the_start(result: Result) -> dict[str, float]:
    """How late a mode of commuting covariances is half learned, in e-folds of its speed, from the initialization alone.

    Along the singular vectors u, v of a mode of size s the neurons have components p = W v and q = A^T u, of which
    g = (p + q)/sqrt(2) grows at the mode's speed. The mode b = p.q obeys a logistic equation with b = |g|^2/2 at the
    start: it is s/2 after log(2 s/|g|^2)/2 e-folds, where the conjecture counts log(1/(sqrt(2) scale)). What of g lies
    along the g of modes that were learned before is held down by them, so that g is the part orthogonal to these.
    """
    architecture = cast(FullyConnectedLinear, result.problem.architecture)
    inner, outer = (part.cpu().double().numpy() for part in architecture.split(result.problem.initial))
    maps = architecture.stages.modes.least_squares
    sizes = np.linalg.norm(maps, axis=1)
    growing = (inner @ (maps / sizes[:, None]).T + outer @ architecture.stages.modes.left) / math.sqrt(2)
    free = np.abs(np.diag(np.linalg.qr(growing, mode="r")))
    delays = 0.5 * np.log(2 * sizes[: len(free)]) - np.log(free) - _clock(result)
    return dict(zip(architecture.feature_names, delays.tolist(), strict=False))


def _off_by(results: Sequence[Result]) -> list[float]:
    """By how many e-folds the delays of training differ from those that follow from the start."""
    return [abs(delay - _delays_of_the_start(result)[mode]) for result in results
            for mode, delay in _delays(result).items()]


@AGF.claim(NETWORK, "section 4", "theorem")
def linear_maximal_utility(laboratory: Laboratory) -> Finding:
    """The largest utility of a unit neuron is half the largest singular value of Sigma_yx."""
    rows = [row for commuting in (True, False)
            for row in claims_of([laboratory.results(experiments.linear(commuting))[0]], "maximal_utility")]
    return from_claims(rows, "power iteration of 500 steps, at the rate of the gap between singular values")


@AGF.claim(NETWORK, "section 4, figure", "numerics")
def linear_published_steps(laboratory: Laboratory) -> Finding:
    """The recursion of conjecture 4.1 gives the published steps of the paper's experiment: 3007 to 2240942 (commuting)
    and 7312 to 1105094 (not).
    """
    errors = []
    for commuting, steps in PUBLISHED_STEPS.items():
        stages = cast(FullyConnectedLinear, laboratory.architecture(experiments.linear(commuting))).stages
        errors += [abs(time * STEPS_PER_UNIT / step - 1) for time, step in zip(stages.times, steps, strict=False)]
    return small(largest(errors), 5e-4, "published steps are whole numbers, the smallest of 4 digits")


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture")
def commuting_modes_come_in_order(laboratory: Laboratory) -> Finding:
    """With commuting, sorted covariances training learns the modes one by one, by decreasing singular value."""
    return from_claims(claims_of(laboratory.results(experiments.linear(True)), "feature_order", "training"),
                     "an order is exact", laboratory.seeds_text)


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture")
def commuting_times(laboratory: Laboratory) -> Finding:
    """With commuting covariances mode k is learned at log(1/scale)/sigma_k, sigma_k a singular value of Sigma_yx."""
    return from_claims(claims_of(laboratory.results(experiments.linear(True)), "mode_time", "training"),
                       "what the scale is too large for: own size, direction, number of neurons and cost phase",
                       laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "ours")
def commuting_delays_follow_from_the_start(laboratory: Laboratory) -> Finding:
    """With commuting covariances mode k is late by log(4 scale^2 s/|g|^2)/2 e-folds, s its singular value and g the
    part of its growing component in the initialization that is orthogonal to those before: at 1e-15 as at 1e-6.
    """
    results = [result for scale in (1e-15, LARGER_SCALE)
               for result in laboratory.results(experiments.linear(True, scale))]
    return small(largest(_off_by(results)), E_FOLD_PART, "e-folds: the last mode is half learned of what it has at the "
                 "end; without the orthogonal part modes are off by 0.9", laboratory.seeds_text)


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture")
def commuting_levels(laboratory: Laboratory) -> Finding:
    """With commuting covariances the loss rests, after k modes, at the sum of mu_i/2 over the modes that are left."""
    return from_claims(claims_of(laboratory.results(experiments.linear(True)), "loss_level", "training"),
                     "1% of a level, which a plateau approaches exponentially", laboratory.seeds_text)


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture")
def commuting_saddles(laboratory: Laboratory) -> Finding:
    """With commuting covariances A W is P_k beta* on the plateau after mode k: one singular vector a step."""
    return from_claims(claims_of(laboratory.results(experiments.linear(True)), "saddle", "training"),
                     "its square is 1% of the initial loss", laboratory.seeds_text, scale=1.0)


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture")
def noncommuting_order(laboratory: Laboratory) -> Finding:
    """Without commuting covariances training learns the modes of Sigma_yx Sigma_xx^-1 Sigma_xy by decreasing size."""
    results = laboratory.results(experiments.linear(False))
    wanted = [feature for feature, _ in cast(Theory, results[0].theory).levels][:DECIDED_MODES]
    for result in results:
        acquired = [event.feature for event in result.events["training"] if event.kind == "acquisition"]
        if len(acquired) < DECIDED_MODES:
            raise Inconclusive(f"training learned {len(acquired)} modes: {end_of(result)}")
        if acquired[:DECIDED_MODES] != wanted:
            return same_text(" ".join(wanted), " ".join(acquired), "an order is exact", laboratory.seeds_text)
    return same_text(" ".join(wanted), " ".join(wanted), "an order is exact; the tenth mode carries 1e-5 of the loss "
                     "and comes after a hundred times the ninth's time", laboratory.seeds_text)


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture", sharper="noncommuting_delays_are_constant")
def noncommuting_levels(laboratory: Laboratory) -> Finding:
    """Without commuting covariances training rests after each mode at the conjectured level: the paper's data, at its
    scale and at 1e-6.
    """
    results = [result for scale in (1e-15, LARGER_SCALE)
               for result in laboratory.results(experiments.linear(False, scale))]
    return from_claims(claims_of(results, "loss_level", "training"), "1% of a level, as with commuting covariances",
                     laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "ours")
def noncommuting_delays_are_constant(laboratory: Laboratory) -> Finding:
    """Without commuting covariances each mode is late by a number of e-folds that does not grow as the scale falls:
    from one start by the same number at 1e-15 as at 1e-6, so that a plateau is there only if the next mode is further
    off.
    """
    pairs = zip(laboratory.results(experiments.linear(False)),
                laboratory.results(experiments.linear(False, LARGER_SCALE)), strict=True)
    grown = []
    for small_scale, large_scale in pairs:
        delays, before = _delays(small_scale), _delays(large_scale)
        grown += [abs(delays[mode] - before[mode]) for mode in delays if mode in before]
    return small(largest(grown), CONSTANT, "e-folds, a twentieth of the 21 by which the way to go grows",
                 laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "ours")
def noncommuting_plateaus_form_as_the_scale_vanishes(laboratory: Laboratory) -> Finding:
    """Without commuting covariances the first four plateaus approach the conjectured levels as the scale falls: the
    worst error at 1e-15 is less than a tenth of that at 1e-6.
    """
    worst = []
    for scale in (1e-15, LARGER_SCALE):
        rows = claims_of(laboratory.results(experiments.linear(False, scale)), "loss_level", "training")
        early = [row for row in rows if int(row.claim.rsplit("_", 1)[1]) <= 4]
        worst.append(largest([abs(float(row.measured or 0) / float(row.expected or 1) - 1) for row in early]))
    return small(worst[0] / worst[1], 0.1, "ratio of errors; exponential in log(1/scale) would give far less",
                 laboratory.seeds_text)


@AGF.claim(NETWORK, "conjecture 4.1", "conjecture", sharper="commuting_modes_come_by_speed")
def modes_come_by_size(laboratory: Laboratory) -> Finding:
    """Modes are learned by decreasing mu = b^2 lambda, the loss that they carry, at the times of the recursion: with
    commuting covariances whose eigenvalues are not sorted alike.
    """
    results = laboratory.results(experiments.linear(True), unsorted_map)
    modes = target_modes(cast(FullyConnectedLinear, results[0].problem.architecture).data)
    if other := _another_order(results, np.argsort(-modes.energies), laboratory.seeds_text):
        return other
    times, errors = jump_times(modes.drives), []
    for result in results:
        acquired = [event.time for event in result.events["training"] if event.kind == "acquisition"]
        errors += [abs(time / (limit * _clock(result)) - 1) for time, limit in zip(acquired, times, strict=True)]
    return small(largest(errors), WRONG_TIME, "a fifth", laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "ours")
def commuting_modes_come_by_speed(laboratory: Laboratory) -> Finding:
    """With commuting covariances modes are learned by decreasing speed sigma = b lambda, each at log(1/scale)/sigma
    and the delay of its start, whether or not eigenvalues are sorted alike: the recursion holds within each set of
    coupled modes.
    """
    results = laboratory.results(experiments.linear(True), unsorted_map)
    modes = target_modes(cast(FullyConnectedLinear, results[0].problem.architecture).data)
    order = np.argsort(-np.linalg.norm(modes.drives, axis=1))
    return _another_order(results, order, laboratory.seeds_text) or small(
        largest(_off_by(results)), E_FOLD_PART, "e-folds, beside the delay that follows from the start",
        laboratory.seeds_text)


def _another_order(results: Sequence[Result], order: Sequence[int] | np.ndarray, seeds: str) -> Finding | None:
    """A finding if training learns the modes, numbered by energy, in another order, or not all; else None."""
    if missing := all_acquired(results, "its order is not known", seeds):
        return missing
    wanted = " ".join(str(k + 1) for k in order)
    for result in results:
        energies = cast(FullyConnectedLinear, result.problem.architecture).stages.modes.energies
        rank = {str(k + 1): int((energies > energies[k]).sum()) + 1 for k in range(len(energies))}
        acquired = [event for event in result.events["training"] if event.kind == "acquisition"]
        found = " ".join(str(rank[event.feature]) for event in acquired)
        if found != wanted:
            return same_text(wanted, found, "modes numbered by the loss that they carry", seeds)
    return None


@AGF.claim(NETWORK, "section 4", "theorem")
def linear_balance_is_conserved(laboratory: Laboratory) -> Finding:
    """A^T A - W W^T is a constant of gradient flow."""
    results = [result for commuting in (True, False) for result in laboratory.results(experiments.linear(commuting))]
    size = min(float(result.training.final.square().sum()) for result in results)
    return from_claims(claims_of(results, "conserved_balance"), "integration at 1e-6, relative to the squared norm",
                     laboratory.seeds_text, scale=size)


@AGF.claim(NETWORK, "section 4", "theorem")
def population_loss_is_of_moments(laboratory: Laboratory) -> Finding:
    """The loss over Gaussian inputs is a function of Sigma_xx, Sigma_yx and A W alone: against 200,000 samples."""
    architecture = cast(FullyConnectedLinear, laboratory.architecture(experiments.linear(False)))
    generator = torch.Generator().manual_seed(0)
    neurons = 0.3 * torch.randn(10, architecture.neuron_dimension, generator=generator, dtype=architecture.dtype)
    neurons = neurons.to(architecture.device)
    factor = architecture.data.factor
    white = torch.randn(200_000, factor.shape[1], generator=generator, dtype=architecture.dtype).to(factor.device)
    errors = white @ factor.T @ (architecture.data.target_map - architecture.product(neurons)).T
    samples = 0.5 * errors.square().sum(1)
    standard = float(samples.std()) / math.sqrt(len(samples))
    if standard == 0:
        raise Inconclusive("the samples do not vary")
    expected = float(architecture.loss(architecture.residual(neurons)))
    return small(abs(float(samples.mean()) - expected) / standard, 4.0, "four standard errors of the sample mean")
