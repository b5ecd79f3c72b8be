"""One autoencoder: trained, scored while it trains, and its encodings of ever noisier trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from agfrun.labs.hyperbolic.geometry.alignment import alignment
from agfrun.labs.hyperbolic.geometry.distances import set_distances
from agfrun.labs.hyperbolic.geometry.points import Array, Points, PointsError, distances, exponentials
from agfrun.labs.hyperbolic.vae.facets import soft_alignment
from agfrun.labs.hyperbolic.vae.network import HyperbolicAutoencoder, evidence, exponential, flipped, tree_bits
from agfrun.labs.hyperbolic.vae.settings import AutoencoderSettings
from agfrun.training import train

if TYPE_CHECKING:
    from agfrun.study.bench import Bench

# Of the noise of test data: another stream of random numbers than that of training.
_TEST_SEED = 1_000_003


class TreeAutoencoder:
    """An autoencoder of a tree with its test data: `copies` noisy copies of all nodes.

    Attributes:
        model: the network.
        bits: (n, n) of the tree without noise.

    Args:
        config: of tree, layers and training.
        seed: of the initialization, of batches and of noise.
    """

    def __init__(self, config: AutoencoderSettings, seed: int) -> None:
        self.config, self.seed = config, seed
        self.bits = tree_bits(config.tree.depth)
        self.model = HyperbolicAutoencoder(len(self.bits), config.autoencoder, seed)
        # Noise of the test data, of the sweep, and of what the sweep is compared with, in this order.
        self._generator = torch.Generator().manual_seed(seed + _TEST_SEED)
        self.test = self._noisy(config.tree.noise)
        steps = torch.cdist(self.bits, self.bits, p=1).numpy()
        self._pairs = np.triu_indices(len(self.test), 1)
        self._in_the_tree = np.tile(steps, (config.tree.copies, config.tree.copies))[self._pairs]

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noisy bits of nodes drawn with replacement, and the random numbers of their latents."""
        rows = torch.randint(len(self.bits), (self.config.train.batch_size,), generator=generator)
        bits = flipped(self.bits[rows], self.config.tree.noise, generator)
        return bits, torch.randn(len(rows), self.model.dimension, generator=generator, dtype=torch.float64)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        """See `evidence`; with a weight of the alignment that too."""
        found = evidence(self.model, *batch, self.config.train.beta)
        weight = self.config.train.alignment
        if weight == 0:
            return found
        with suppress(PointsError):  # encodings that are one point, which no weight moves apart
            means, again = self._again(batch[0])
            found = {**found, "loss": found["loss"] + weight * soft_alignment(exponential(means), exponential(again))}
        return found

    def run(self, bench: Bench) -> list[dict[str, Any]]:
        """Train; the rows of the history.

        Raises:
            DivergenceError: it left the finite numbers.
        """
        name = f"seed_{self.seed}"
        ended = train(self.model, self.batch, self.loss, self.config.train.loop(), seed=self.seed,
                      evaluate=lambda model: self.snapshot(), progress=bench.progress,
                      checkpoints=bench.checkpoints(name), resume=bench.last_state(name))
        ended.require_ended()
        return ended.history.rows(seconds=False)

    @torch.no_grad()
    def tangents(self, bits: Tensor) -> tuple[Array, Array]:
        """(n, m) tangent vectors of the means of latents, and of those of the reconstructions of these means."""
        means, again = self._again(bits)
        return means.numpy(), again.numpy()

    def _again(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        means = self.model.encode(bits)[0]
        return means, self.model.encode(torch.sigmoid(self.model.decode(exponential(means))))[0]

    def snapshot(self) -> dict[str, float]:
        """Numbers of the model as it is: correlation with the tree, test data beside their reconstructions."""
        encoded, again = map(exponentials, self.tangents(self.test))
        apart = distances(encoded, encoded)[self._pairs]
        return {"tree_correlation": _pearson(self._in_the_tree, apart), **compared(encoded, again)}

    def sweep(self, noises: Sequence[float]) -> list[dict[str, float]]:
        """For each noise the encodings of such trees beside those of trees with the noise of training."""
        reference = self._encoded(self.config.tree.noise)
        return [{"noise": noise, **compared(reference, self._encoded(noise))} for noise in noises]

    def _encoded(self, noise: float) -> Points:
        return exponentials(self.tangents(self._noisy(noise))[0])

    def _noisy(self, noise: float) -> Tensor:
        return flipped(self.bits.repeat(self.config.tree.copies, 1), noise, self._generator)


def compared(a: Points, b: Points) -> dict[str, float]:
    """Score and distances of two sets; without a score where the sets are the same points, or one point."""
    apart = set_distances(a, b)
    far = {"chamfer": apart.chamfer, "wasserstein": np.nan if apart.wasserstein is None else apart.wasserstein,
           "hausdorff": apart.hausdorff}
    try:
        found = alignment(a, b, relabellings=0)
    except PointsError:  # an encoder that has collapsed, or data without noise
        return {"edges": 0, "score": np.nan, "null_mean": np.nan, "z": np.nan, "soft_score": np.nan, "exact": False,
                **far}
    soft = np.nan
    if a.dimension == 2:
        soft = float(soft_alignment(torch.from_numpy(a.lorentz()), torch.from_numpy(b.lorentz()), found.graph))
    return {"edges": found.edges, "score": found.score, "null_mean": found.null_mean, "z": found.z, "soft_score": soft,
            "exact": found.graph.exact, **far}


def _pearson(one: Array, other: Array) -> float:
    """Correlation; 0 where all distances are equal."""
    return float(np.corrcoef(one, other)[0, 1]) if other.std() > 0 else 0.0


def measure_seed(config: AutoencoderSettings, noises: Sequence[float], seed: int, bench: Bench) -> dict[str, Any]:
    """Train and measure: plain values of `snapshots`, `noise`, and of the first copy's `tangents`, a pair of lists."""
    one = TreeAutoencoder(config, seed)
    snapshots = one.run(bench)
    return {"snapshots": snapshots, "noise": one.sweep(noises),
            "tangents": [vectors.tolist() for vectors in one.tangents(one.test[:len(one.bits)])]}
