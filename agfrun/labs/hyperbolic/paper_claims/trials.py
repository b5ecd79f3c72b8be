"""What the claims of this laboratory measure: random clouds, published maps, and autoencoders trained once for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from agfrun.labs.hyperbolic.config import Labelled
from agfrun.labs.hyperbolic.geometry.points import Points, at_distance, points_of
from agfrun.labs.hyperbolic.sets.published import OlssonConfig, PaulConfig
from agfrun.labs.hyperbolic.studies.hyperbolic_vae import HyperbolicVaeStudy, tables_of
from agfrun.labs.hyperbolic.vae.settings import AutoencoderSettings
from agfrun.labs.hyperbolic.vae.training import measure_seed
from agfrun.study.bench import Bench
from agfrun.study.paper_claim import Inconclusive, Paper, seeds_text

SUBJECTS = ("hyperbolic_graphs", "alignment_score", "autoencoders", "lineages")
GRAPHS, SCORE, AUTOENCODERS, LINEAGES = SUBJECTS
# Sets of which the first two are the siblings, in each of the published maps.
TRIPLES = {"olsson": ("Mono", "Gran", "HSPC-1"), "paul": ("14Mo", "13Baso", "7MEP")}
CLOUDS = 10


class Trials:
    """Makes each experiment once.

    Args:
        seeds: of clouds, relabellings and trainings.
        device: everything is done on the CPU, whatever it says.
    """

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seeds = tuple(seeds)
        self.text = seeds_text(seeds)
        self._tables: dict[str, Any] | None = None

    def clouds(self, dimension: int, most: int, radius: float) -> list[Points]:
        """Random clouds, `CLOUDS` a seed: sizes from 20 to `most`, points evenly spread up to a radius."""
        found = []
        for seed in self.seeds:
            generator = np.random.default_rng(seed)
            for _ in range(CLOUDS):
                count = int(generator.integers(20, most + 1))
                radii = radius * generator.random(count) ** (1 / dimension)
                found.append(points_of(at_distance(generator.normal(size=(count, dimension)), radii), "poincare"))
        return found

    def maps(self) -> dict[str, Labelled]:
        """The published maps."""
        return {"olsson": OlssonConfig().load(), "paul": PaulConfig().load()}

    def triple(self, name: str) -> list[Points]:
        """The three sets of a map: two siblings and another."""
        data = self.maps()[name]
        labels = np.array(data.labels)
        return [data.points.of(labels == label) for label in TRIPLES[name]]

    def ranks(self, follows: str, distance: str) -> list[float]:
        """Rank correlations of `study=hyperbolic_vae` as it comes, one a seed."""
        if self._tables is None:
            study = HyperbolicVaeStudy()
            self._tables = tables_of({seed: measure_seed(AutoencoderSettings(), study.noises, seed,
                                                         Bench(progress=False)) for seed in self.seeds})
        table = self._tables["ranks"]
        chosen = table[(table["follows"] == follows) & (table["distance"] == distance)]
        values = [float(value) for value in chosen["spearman"]]
        if not all(map(math.isfinite, values)):
            raise Inconclusive(f"at a seed no rank correlation of {distance} is known")
        return values


def paper(name: str) -> Paper[Trials]:
    """A paper of this laboratory."""
    return Paper("hyperbolic", name, SUBJECTS, Trials)
