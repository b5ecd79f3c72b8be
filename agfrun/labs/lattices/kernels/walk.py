"""Walks: moves drawn by a policy, past local minima; the best basis visited counts.

One walk reduces a block of lattices, its sites, by the same moves; a single lattice is a block of one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agfrun.labs.lattices.kernels.candidates import ALL, best_candidates, describe, pair_gains, scores_of
from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.state import (
    FloatArray,
    IntArray,
    add_integer_row,
    add_row,
    gram_of,
    gram_row,
    half_log_diagonal,
)

# Dual bases are computed anew after so many moves: rounding does not add up.
_RENEWED = 32


class PolicyArrays(NamedTuple):
    """The weights of a policy; without hidden units it is linear, and with zero weights the product rule.

    logit = output . f + prior_0 f_0 + prior_1 f_1, where f are the standardized features of a move, or with H hidden
    units output . silu(second silu(first f + first_bias) + second_bias + context [mean, max over moves]).
    """

    mean: FloatArray
    scale: FloatArray
    prior: FloatArray
    first: FloatArray
    first_bias: FloatArray
    second: FloatArray
    second_bias: FloatArray
    context: FloatArray
    output: FloatArray


class Record(NamedTuple):
    """Of walks, for training: features (T, N, M, F), how many candidates, which was drawn, its log probability."""

    features: FloatArray
    counts: IntArray
    chosen: IntArray
    log_probability: FloatArray


@compiled
def silu(x: float) -> float:
    """X times the logistic function of x."""
    return x / (1 + float(np.exp(-x)))


@compiled
def logits_of(policy: PolicyArrays, features: FloatArray, count: int, logits: FloatArray) -> None:
    """Write the logits of the first `count` candidates from their features (M, F)."""
    wide, hidden = features.shape[1], policy.first_bias.shape[0]
    mean, largest = np.zeros(hidden), np.full(hidden, -1.0)
    units = np.zeros((count, hidden))
    for m in range(count):
        logits[m] = policy.prior[0] * features[m, 0] + policy.prior[1] * features[m, 1]
        if hidden == 0:
            for f in range(wide):
                logits[m] += policy.output[f] * (features[m, f] - policy.mean[f]) / policy.scale[f]
            continue
        units[m] = policy.first_bias
        for f in range(wide):
            value = (features[m, f] - policy.mean[f]) / policy.scale[f]
            for h in range(hidden):
                units[m, h] += value * policy.first[f, h]
        for h in range(hidden):
            units[m, h] = silu(units[m, h])
            mean[h] += units[m, h] / count
            largest[h] = max(largest[h], units[m, h])
    if hidden == 0:
        return
    shared = policy.second_bias.copy()
    for k in range(hidden):
        for h in range(hidden):
            shared[h] += mean[k] * policy.context[k, h] + largest[k] * policy.context[hidden + k, h]
    for m in range(count):
        second = shared.copy()
        for k in range(hidden):
            for h in range(hidden):
                second[h] += units[m, k] * policy.second[k, h]
        for h in range(hidden):
            logits[m] += policy.output[h] * silu(second[h])


@compiled
def draw(logits: FloatArray, count: int, temperature: float, generator: np.random.Generator) -> tuple[int, float]:
    """A candidate and its log-probability; temperature 0: the one with the largest logit."""
    best = 0
    for m in range(1, count):
        if logits[m] > logits[best]:
            best = m
    if temperature == 0:
        return best, 0.0
    total = 0.0
    for m in range(count):
        total += np.exp((logits[m] - logits[best]) / temperature)
    left, chosen = generator.random() * total, count - 1
    for m in range(count):
        left -= np.exp((logits[m] - logits[best]) / temperature)
        if left <= 0:
            chosen = m
            break
    return chosen, (logits[chosen] - logits[best]) / temperature - np.log(total)


@compiled
def _moved(bases: FloatArray, duals: FloatArray, gram: FloatArray, dual: FloatArray, i: int, j: int, a: float,
           current: float) -> float:
    """Make the move b_j += a b_i at all sites; returns the mean log defect after it, given that before."""
    sites = bases.shape[0]
    for s in range(sites):
        current += 0.5 * np.log(1 / gram[s, j, j]) / sites
        add_row(bases[s], j, i, a)
        add_row(duals[s], i, j, -a)
        gram_row(bases[s], gram[s], j)
        gram_row(duals[s], dual[s], i)
        current += 0.5 * np.log(gram[s, j, j]) / sites
    return current


@compiled
def walk_all(blocks: FloatArray, transforms: IntArray, log_volumes: FloatArray, policy: PolicyArrays, candidates: int,
             steps: int, temperature: float, generator: np.random.Generator, bests: IntArray, trace: FloatArray,
             record: Record) -> None:
    """Walk each block for `steps` moves; `transforms` become those of the best bases that were visited.

    Args:
        blocks: (N, S, n, n), rows are basis vectors; left as they are.
        transforms: (N, n, n) as they stand; multiplied in place.
        log_volumes: (N,), mean log |det| over the sites.
        policy: scores moves.
        candidates: how many moves it sees, the best by the product rule.
        steps: how many are taken.
        temperature: of the draw; 0: the best move is taken.
        generator: of the draws.
        bests: (N,), takes the number of moves at the best basis.
        trace: (N, steps + 1) or (N, 0), takes the mean log defect after 0, 1, ... moves.
        record: what training needs; empty arrays: not wanted.
    """
    count, sites, n, _ = blocks.shape
    wide = policy.mean.shape[0]
    gram, dual = np.empty((sites, n, n)), np.empty((sites, n, n))
    rows, table = np.empty((candidates, 2), dtype=np.int64), np.empty((candidates, 6))
    features, logits = np.empty((candidates, wide)), np.empty(candidates)
    gains, found = np.empty((sites, n + 1, n)), np.empty(4)
    kept = record.counts.shape[0] > 0
    for place in range(count):
        bases = blocks[place].copy()
        duals = np.empty((sites, n, n))
        transform, current = transforms[place].copy(), 0.0
        for s in range(sites):
            gram_of(bases[s], gram[s])
            current += half_log_diagonal(gram[s]) / sites
        current -= log_volumes[place]
        best, bests[place], last_i, last_j = current, 0, -1, -1
        if trace.shape[1] > 0:
            trace[place, 0] = current
        for step in range(steps):
            if step % _RENEWED == 0:
                for s in range(sites):
                    duals[s] = np.linalg.inv(bases[s]).T
                    gram_of(duals[s], dual[s])
            many, largest = best_candidates(gram, dual, last_i, last_j, rows, table)
            if wide == 0:
                for m in range(many):
                    logits[m] = table[m, 1]
            else:
                if wide == ALL:
                    pair_gains(gram, gains)
                for m in range(many):
                    i, j, a = rows[m, 0], rows[m, 1], table[m, 0]
                    scores_of(gram, dual, i, j, a, found)
                    describe(gram, dual, i, j, a, found, current, current - best, largest <= 1e-6, gains, features[m])
                logits_of(policy, features, many, logits)
            m, log_probability = draw(logits, many, temperature, generator)
            if kept:
                record.features[step, place, :many] = features[:many]
                record.counts[step, place], record.chosen[step, place] = many, m
                record.log_probability[step, place] = log_probability
            i, j, a = rows[m, 0], rows[m, 1], table[m, 0]
            add_integer_row(transform, j, i, a)
            current = _moved(bases, duals, gram, dual, i, j, a, current)
            last_i, last_j = i, j
            if trace.shape[1] > 0:
                trace[place, step + 1] = current
            if current < best - 1e-9:
                best, bests[place] = current, step + 1
                transforms[place] = transform
