"""What the claims of this laboratory measure: networks trained once for all, and exact tests on random latents."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.stitching.config import DensificationConfig, EncoderConfig, StitchingSettings, TrainingConfig
from agfrun.labs.stitching.datasets.digit_images import DigitImagesConfig
from agfrun.labs.stitching.datasets.emoji import EmojiConfig
from agfrun.labs.stitching.datasets.sides import Sides, SidesConfig
from agfrun.labs.stitching.intertwiners import draw
from agfrun.labs.stitching.matrix import same_and_stitched
from agfrun.labs.stitching.row import measure_row
from agfrun.labs.stitching.transforms import TRANSFORMS
from agfrun.study.bench import Bench
from agfrun.study.paper_claim import Finding, Inconclusive, Paper, seeds_text

LANGUAGES, IMAGES = "languages", "digit images"
SUBJECTS = ("representations", "stitching", "densification")
REPRESENTATIONS, STITCHING, DENSIFICATION = SUBJECTS
TRAINED = "means over all pairs of networks of {} at the seeds"
# Random latents: samples, anchors and their dimension.
_SAMPLES, _ANCHORS, _DIMENSION = 200, 50, 32
_SETTINGS: dict[str, tuple[SidesConfig, EncoderConfig, TrainingConfig]] = {
    LANGUAGES: (EmojiConfig(languages=["en", "de"]), EncoderConfig(), TrainingConfig()),
    IMAGES: (DigitImagesConfig(networks=3), EncoderConfig(widths=[256, 64]), TrainingConfig(steps=400)),
}


class Trials:
    """Trains the networks of each row once for each seed.

    Args:
        seeds: of the trainings, and of random latents.
        device: networks are trained on the CPU, whatever it says.
    """

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seeds = tuple(seeds)
        self.text = seeds_text(seeds)
        self._rows: dict[tuple[str, str, bool, int], dict[str, dict[str, Any]]] = {}
        self._sides: dict[str, Sides] = {}

    def accuracies(self, data: str, transform: str, dense: bool = False, moved: bool = False) -> tuple[float, float]:
        """Mean accuracy with own heads and with others'; `transform` may be a map. `moved`: latents are disturbed."""
        found = [same_and_stitched(np.array(values["disturbed" if moved else "matrix"]))
                 for values in self.values(data, transform, dense)]
        same, stitched = np.array(found).mean(0)
        return float(same), float(stitched)

    def values(self, data: str, transform: str, dense: bool = False) -> list[dict[str, Any]]:
        """All that was measured of a row, for each seed."""
        row = transform if transform in TRANSFORMS else "absolute"
        return [self._row(data, row, dense, seed)[transform] for seed in self.seeds]

    def majority(self, data: str) -> float:
        """Accuracy of the most frequent class."""
        return self._data(data).majority

    def change(self, transform: str, kind: str, shift: float = 0.0) -> float:
        """Largest change of a transform of random latents by an action and a shift, over the seeds."""
        return max(self._change(transform, kind, shift, seed) for seed in self.seeds)

    def _change(self, transform: str, kind: str, shift: float, seed: int) -> float:
        latents, anchors = self.latents(seed)
        acting = draw(kind, _DIMENSION, torch.Generator().manual_seed(seed + 1))
        function: Any = TRANSFORMS[transform]
        moved = function(*(acting.on_latents(one) + shift for one in (latents, anchors)))
        return float((moved - function(latents, anchors)).abs().max())

    def latents(self, seed: int) -> tuple[Tensor, Tensor]:
        """Random latents of samples and anchors: positive and uneven, as those after a ReLU."""
        generator = torch.Generator().manual_seed(seed)
        points = torch.randn(_SAMPLES + _ANCHORS, _DIMENSION, generator=generator, dtype=torch.float64).relu()
        return points[:_SAMPLES], points[_SAMPLES:]

    def _data(self, data: str) -> Sides:
        if data == IMAGES and find_spec("sklearn") is None:
            raise Inconclusive("the images need scikit-learn; pip install 'agfrun[images]'")
        if data not in self._sides:
            self._sides[data] = _SETTINGS[data][0].build()
        return self._sides[data]

    def _row(self, data: str, transform: str, dense: bool, seed: int) -> dict[str, dict[str, Any]]:
        key = (data, transform, dense, seed)
        if key not in self._rows:
            chosen, encoder, training = _SETTINGS[data]
            config = StitchingSettings(data=chosen, encoder=encoder, train=training)
            self._rows[key] = measure_row(config, self._data(data), Bench(progress=False), transform,
                                          DensificationConfig() if dense else None, seed, (), (
                                              transform == "absolute" and not dense))
        return self._rows[key]

    def more(self, data: str, better: tuple[str, bool], worse: tuple[str, bool]) -> Finding:
        """Whether one row stitches better than another."""
        high, low = (self.accuracies(data, *row)[1] for row in (better, worse))
        return Finding(f"above {low:.3f}", high, None, TRAINED.format(data), high > low, self.text,
                       low / high if high else None)


def paper(name: str) -> Paper[Trials]:
    """A paper of this laboratory."""
    return Paper("stitching", name, SUBJECTS, Trials)
