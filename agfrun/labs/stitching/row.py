"""One row of the benchmark: a network for every side, trained in one way, and all that is measured of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agfrun.labs.stitching.alignment import ALIGNERS
from agfrun.labs.stitching.config import DensificationConfig, StitchingSettings
from agfrun.labs.stitching.datasets.sides import Sides
from agfrun.labs.stitching.evaluation import (
    Matrix,
    Part,
    aligned_matrix,
    disturbed,
    matrix_of,
    mean_cka,
    plane,
    scaled,
    with_shuffled_anchors,
)
from agfrun.labs.stitching.matrix import same_and_stitched
from agfrun.labs.stitching.network import SideTraining
from agfrun.labs.stitching.topology import h0_deaths
from agfrun.labs.stitching.transforms import TRANSFORMS

if TYPE_CHECKING:
    from agfrun.study.bench import Bench


def measure_row(config: StitchingSettings, sides: Sides, bench: Bench, transform: str,
                topology: DensificationConfig | None, seed: int, spreads: Sequence[float], bars: bool
                ) -> dict[str, dict[str, Any]]:
    """Train and measure.

    Args:
        config: data, encoder, training and type of numbers.
        sides: the data.
        bench: of the run.
        transform: name of the transform that networks are trained with.
        topology: None for cross-entropy alone.
        seed: of this row; each side has a seed of its own, `seed` x number of sides + place.
        spreads: of scale disturbances.
        bars: whether the maps of `ALIGNERS` are measured too, between absolute latents.

    Returns:
        Plain values by the name of the transform, or of the map: `matrix`, `disturbed` and so on.
    """
    begun = time.perf_counter()
    trained = [trained_side(config, sides, bench, place, transform, topology, seed)
               for place in range(len(sides.parts))]
    seconds = time.perf_counter() - begun
    parts, represent = [Part.of(one) for one in trained], TRANSFORMS[transform]
    found = {transform: {
        **_accuracies(parts, partial(matrix_of, transform=represent), spreads, seed),
        "shuffled": with_shuffled_anchors(parts, represent, seed) if transform != "absolute" else None,
        "cka": mean_cka(parts, represent), "deaths": _deaths(trained, seed), "seconds": seconds,
        "plane": plane(parts, represent)}}
    for name in ALIGNERS if bars else ():
        found[name] = _accuracies(parts, partial(aligned_matrix, aligner=name), spreads, seed)
    return found


def trained_side(config: StitchingSettings, sides: Sides, bench: Bench, place: int, transform: str,
                 topology: DensificationConfig | None, seed: int, further: str = "") -> SideTraining:
    """Train the network of a side.

    Args:
        config, sides, bench, transform, topology, seed: see `measure_row`.
        place: of the side.
        further: tells trainings apart that have all of these in common.

    Raises:
        DivergenceError: it left the finite numbers.
    """
    side = sides.parts[place]
    one = SideTraining(side, sides.classes, transform, topology, config.encoder, config.train,
                       seed * len(sides.parts) + place, getattr(torch, config.dtype))
    name = f"{transform}_{'dense' if topology else 'plain'}_{seed}_{place}{further}"
    ended = one.run(progress=bench.progress, checkpoints=bench.checkpoints(name), resume=bench.last_state(name))
    ended.require_ended(name=side.name)
    return one


def _accuracies(parts: Sequence[Part], matrix: Any, spreads: Sequence[float], seed: int) -> dict[str, Any]:
    found: Matrix = matrix(parts, parts)
    moved: Matrix = matrix(disturbed(parts, seed), parts)
    change = float(np.abs(np.array(found) - np.array(moved)).max())
    return {"matrix": found, "disturbed": moved, "largest_change": change,
            "scaled": [[spread, *same_and_stitched(np.array(matrix(scaled(parts, spread, seed), parts)))]
                       for spread in spreads]}


def _deaths(trained: Sequence[SideTraining], seed: int) -> list[dict[str, Any]]:
    """Of a batch of training samples of each side: death times within classes, and the median distance within them."""
    found = []
    for one in trained:
        rows = one.batches(0, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            spaces = dict(zip(("latent", "relative"), one.represented(rows), strict=True))
        for space, points in spaces.items():
            if space == "relative" and not one.relative:
                continue
            classes = points.reshape(*rows.shape, -1).double()
            distances = torch.cdist(classes, classes)[:, *torch.triu_indices(rows.shape[1], rows.shape[1], 1)]
            found.append({"encoder": one.side.name, "space": space, "median": float(distances.median()),
                          "deaths": h0_deaths(classes).flatten().tolist()})
    return found
