"""What the claims of this laboratory measure: methods on random lattices, each done once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agfrun.labs.lattices import joint
from agfrun.labs.lattices.anytime import classical_work
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.data.random_lattices import RandomLatticesConfig
from agfrun.labs.lattices.names import POLICIES, TEMPERATURES
from agfrun.labs.lattices.reducers import CANDIDATES, Batch, move_work, product_rule, product_work, walk_batch
from agfrun.labs.lattices.trial import generator_of, reduced_batch
from agfrun.labs.lattices.weights import read_policy
from agfrun.study.paper_claim import Paper, seeds_text

SUBJECTS = ("moves", "reduction", "learning", "channels")
MOVES, REDUCTION, LEARNING, CHANNELS = SUBJECTS
COUNT = 200


class Trials:
    """Reduces random lattices by each method once for each seed.

    Args:
        seeds: of lattices and draws.
        device: lattices are reduced on the CPU, whatever it says.
    """

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seeds, self.text = tuple(seeds), seeds_text(seeds)
        self._batches: dict[tuple[str, str, int, int], Batch] = {}

    def bases(self, distribution: str, dimension: int, seed: int) -> FloatArray:
        """Lattices: their seeds begin beyond those that this laboratory was tried on."""
        return RandomLatticesConfig(distribution=distribution, dimension=dimension, count=COUNT,
                                    seed=1000 + seed).build()

    def batch(self, method: str, distribution: str, dimension: int, seed: int) -> Batch:
        """The lattices reduced."""
        key = (method, distribution, dimension, seed)
        if key not in self._batches:
            trace = 4 * dimension**2 if method == "lll_99" else 0
            bases = self.bases(distribution, dimension, seed)
            self._batches[key] = reduced_batch(method, bases, POLICIES[0], None, seed, trace)
        return self._batches[key]

    def mean(self, method: str, distribution: str, dimension: int) -> float:
        """Mean log defect over lattices and seeds."""
        return float(np.mean([self.batch(method, distribution, dimension, seed).defects for seed in self.seeds]))

    def walked(self, dimension: int, moves: int, temperature: float | None) -> FloatArray:
        """Log defects after walks: by the shipped policy (temperature None), or by the product rule."""
        policy, candidates = read_policy(POLICIES[0]) if temperature is None else (product_rule(), CANDIDATES)
        found = []
        for seed in self.seeds:
            batch = Batch.of(self.bases("uniform", dimension, seed))
            walk_batch(batch, generator_of(seed, f"walk {temperature}"), policy, temperature or 1.0, candidates, moves)
            found.append(batch.defects)
        return np.concatenate(found)

    def product(self, dimension: int, moves: int) -> FloatArray:
        """The same by the product rule at its best temperature on these lattices."""
        return min((self.walked(dimension, moves, temperature) for temperature in TEMPERATURES),
                   key=lambda defects: float(defects.mean()))

    def work_ratio(self, dimension: int) -> float:
        """Multiply-adds of a move of the shipped policy over those of the product rule's."""
        return move_work(*read_policy(POLICIES[0]), dimension) / product_work(dimension)

    def to_lll_quality(self, dimension: int) -> dict[str, tuple[float, float]]:
        """Moves and multiply-adds (thousands) after which LLL, and the policy, have LLL's final mean defect."""
        policy, candidates = read_policy(POLICIES[0])
        found = {}
        batches = [self.batch("lll_99", "uniform", dimension, seed) for seed in self.seeds]
        lll = float(np.mean([batch.moves.mean() for batch in batches]))
        goal = float(np.mean([batch.defects.mean() for batch in batches]))
        found["lll"] = lll, lll * classical_work("lll_99", dimension) / 1e3
        traces = []
        for seed in self.seeds:
            batch = Batch.of(self.bases("uniform", dimension, seed), dimension * dimension)
            walk_batch(batch, generator_of(seed, "to LLL"), policy, 1.0, candidates, dimension * dimension)
            assert batch.trace is not None
            traces.append(batch.trace)
        curve = np.concatenate(traces).mean(0)
        there = np.flatnonzero(curve <= goal)
        moves = float(there[0]) if len(there) else float("inf")
        found["learned"] = moves, moves * move_work(policy, candidates, dimension) / 1e3
        return found

    def joint(self, block: int) -> dict[str, float]:
        """Mean log defects of blocks of sub-carriers of a channel with two taps, by method."""
        sites = joint.sites_of(2, range(self.seeds[0], self.seeds[0] + 10), 64, 4)
        found = {name: float(joint.block_defects(sites, block, method).mean())
                 for name, method in joint.block_methods(POLICIES[0], self.seeds[0]).items()}
        return found | {"raw": float(joint.site_defects(sites, lambda batch, generator: None).mean())}


def paper(name: str) -> Paper[Trials]:
    """A paper of this laboratory."""
    return Paper("lattices", name, SUBJECTS, Trials)
