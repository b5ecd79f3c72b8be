"""One unimodular matrix for a block of lattices that are alike: sub-carriers of a frequency-selective channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from agfrun.labs.lattices.bases import FloatArray, IntArray, defects_of
from agfrun.labs.lattices.data.random_lattices import real_rows
from agfrun.labs.lattices.names import TEMPERATURES
from agfrun.labs.lattices.reducers import (
    CANDIDATES,
    Batch,
    Method,
    greedy_batch,
    lll_batch,
    product_rule,
    seysen_batch,
    then,
    walk_blocks,
    walk_steps,
)
from agfrun.labs.lattices.trial import generator_of
from agfrun.labs.lattices.weights import read_policy

Blocks = Callable[[FloatArray], IntArray]


def frequency_channels(taps: int, seed: int, subcarriers: int, antennas: int) -> np.ndarray:
    """A channel at each sub-carrier, complex (K, r, t): sum_l h_l exp(-2 pi i k l / K), each h_l of power 1/taps.

    The real part of all taps is drawn first.
    """
    generator = np.random.default_rng(seed)
    shape = (taps, antennas, antennas)
    parts = (generator.normal(size=shape) + 1j * generator.normal(size=shape)) / np.sqrt(2 * taps)
    phases = np.exp(-2j * np.pi * np.outer(np.arange(subcarriers), np.arange(taps)) / subcarriers)
    found: np.ndarray = np.tensordot(phases, parts, 1)
    return found


def sites_of(taps: int, seeds: range, subcarriers: int, antennas: int) -> FloatArray:
    """Real bases (N, K, n, n) of channels at all sub-carriers, n twice the antennas; rows are basis vectors."""
    return np.stack([real_rows(frequency_channels(taps, seed, subcarriers, antennas)) for seed in seeds])


def block_methods(policy: str, seed: int) -> Mapping[str, Blocks]:
    """What gives one matrix (N, n, n) for each block (N, S, n, n), by name."""
    learned, candidates = read_policy(policy)
    return {
        "centre": lambda blocks: _reduced(blocks[:, blocks.shape[1] // 2], lll_batch),
        "mean_gram": partial(_of_mean_gram, method=lll_batch),
        "mean_gram_seysen": partial(_of_mean_gram, method=then(seysen_batch, greedy_batch)),
        "joint_product": partial(_untrained, seed=seed),
        "joint_learned": lambda blocks: walk_blocks(
            blocks, learned, candidates, walk_steps(blocks.shape[-1]), 1.0, generator_of(seed, "joint_learned")),
    }


def _untrained(blocks: FloatArray, seed: int) -> IntArray:
    """Walks by the product rule, at the temperature that suits these very blocks best, on average."""
    steps = walk_steps(blocks.shape[-1])
    found = [walk_blocks(blocks, product_rule(), CANDIDATES, steps, temperature, generator_of(seed, "joint_product"))
             for temperature in TEMPERATURES]
    return min(found, key=lambda transforms: float(defects_of(transforms[:, None] @ blocks).mean()))


def _of_mean_gram(blocks: FloatArray, method: Method) -> IntArray:
    """Reduce the lattice whose Gram matrix is the mean of the block's, each of volume 1."""
    grams = blocks @ np.swapaxes(blocks, -1, -2)
    volumes = np.linalg.slogdet(blocks)[1] / blocks.shape[-1]
    mean = (grams * np.exp(-2 * volumes)[..., None, None]).mean(1)
    return _reduced(np.linalg.cholesky(mean), method)


def _reduced(bases: FloatArray, method: Method) -> IntArray:
    batch = Batch.of(np.ascontiguousarray(bases))
    method(batch, np.random.default_rng(0))
    return batch.transforms


def block_defects(sites: FloatArray, block: int, method: Blocks) -> FloatArray:
    """Log defects (N, K) of all sites, whose blocks of `block` sites are reduced by a method."""
    count, total, n, _ = sites.shape
    blocks = sites.reshape(-1, block, n, n)
    transforms = method(blocks)
    found: FloatArray = defects_of(transforms[:, None] @ blocks).reshape(count, total)
    return found


def site_defects(sites: FloatArray, method: Method) -> FloatArray:
    """Log defects (N, K) where every site is reduced by itself."""
    flat = sites.reshape(-1, *sites.shape[-2:])
    found: FloatArray = defects_of(_reduced(flat, method) @ flat).reshape(sites.shape[:2])
    return found


def lag_defects(sites: FloatArray, lag: int) -> FloatArray:
    """Log defects (N,) at sub-carrier `lag`, reduced by the matrix of sub-carrier 0."""
    return defects_of(_reduced(sites[:, 0], lll_batch) @ sites[:, lag])
