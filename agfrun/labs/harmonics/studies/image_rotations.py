"""What a network learns that is invariant to rotations of images: circular harmonics, and images up to rotation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.harmonics.claims import HARMONICS
from agfrun.labs.harmonics.config import check_processor
from agfrun.labs.harmonics.network.layout import ComplexArray, RealArray, Slots
from agfrun.labs.harmonics.network.lbfgs import minimise
from agfrun.labs.harmonics.network.losses import Orthogonality, SampleLoss, TotalLoss
from agfrun.study.checks import one_of, require, require_a_day
from agfrun.study.claim import Claim, Statement
from agfrun.study.errors import ConfigError
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.harmonics.rotations import TurnedImages
    from agfrun.study.bench import Bench

SOURCES = ("digits", "patches")
MOST_DIGITS = 1797
BEFORE, AFTER, CONTROL, COMPONENTS = "before training", "rotations", "unrelated images", "components"
# From here on a filter counts as a circular harmonic.
HARMONIC = 0.9
# Measured: of one step of training, for each pair and each product of two components.
SECONDS_A_PRODUCT = 5e-9

FILTERS = Schema("filters.csv", (
    Column("trained_on", "text", "pairs that the filters were trained on; `components`: those of the images"),
    Column("filter", "integer", "number of the filter"),
    Column("frequency", "integer", "angular frequency with most of its energy"),
    Column("share", "number", "share of its energy in this frequency"),
), "filters as circular harmonics")
RETRIEVAL = Schema("retrieval.csv", (
    Column("features", "text", "what images are compared by"),
    Column("right", "integer", "turned images whose nearest image is the one that was turned"),
    Column("images", "integer", "images among which it is looked for; none was trained on"),
), "images that are recognized after a turn")


@register("study")
@dataclass
class ImageRotationsStudy(Study):
    """Train filters on pairs of turned images, and see in which angular frequencies their energy is.

    Images are given by their `components` leading whitened components. `images` of them are trained on, and as many
    are kept for retrieval. A second network is trained on pairs of unrelated images, as a control.
    """

    name: str = "image_rotations"
    source: str = "digits"
    images: int = 200
    angles: int = 24
    pixels: int = 16
    components: int = 16
    pairs: int = 2000
    restarts: int = 2
    iterations: int = 300

    settings: ClassVar[type] = RunSettings
    tables = (FILTERS, RETRIEVAL)
    numbers = (
        Number("share", "mean share of a filter's energy in one angular frequency", is_share=True),
        Number("share_before", "the same before training", is_share=True),
        Number("share_control", "the same of unrelated images", is_share=True),
        Number("harmonics", "filters that are circular harmonics", "integer", of="filters"),
        Number("filters", "filters", "integer", in_figures=False),
        Number("retrieved", "turned images that are recognized", is_share=True),
    )

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        check_processor(config)
        one_of("study.source", self.source, SOURCES)
        if find_spec("sklearn") is None:
            raise ConfigError("study", self.name, "it needs the images of scikit-learn; pip install 'agfrun[images]'")
        limits = {"images": (2, MOST_DIGITS // 2), "angles": (2, 360), "pixels": (8, 64), "pairs": (1, 10**6),
                  "restarts": (1, 1000), "iterations": (1, 10**6)}
        for key, (least, most) in limits.items():
            value = getattr(self, key)
            require(f"study.{key}", value, least <= value <= most, f"an integer from {least} to {most}")
        most = self.pixels**2 // 2
        require("study.components", self.components, 2 <= self.components <= most, f"an integer from 2 to {most}, half "
                "of the pixels")
        images = 2 * self.images * self.angles * self.pixels**2 * 8 * 3
        require_memory(config, images + self.restarts * self.pairs * self.components * 16 * 8)
        products = 2 * self.restarts * self.pairs * self.components**2 * self.iterations
        require_a_day(*largest_key(config), SECONDS_A_PRODUCT * products, "training")

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        from agfrun.labs.harmonics.rotations import turned_images  # SciPy's images

        with bench.clock.stage("images"):
            turned = turned_images(self.source, 2 * self.images, self.angles, self.pixels, self.components,
                                   np.random.default_rng(config.seed))
        rows = _rows(COMPONENTS, turned, np.eye(self.components, dtype=complex))
        filters: dict[str, ComplexArray] = {}
        for place, kind in enumerate((AFTER, CONTROL)):
            with bench.clock.stage(f"training_{place + 1}"):
                made = bench.remember(kind, partial(self._trained, turned, kind == CONTROL, (config.seed, place)))
            start, weights = (np.array(made[f"{name}_real"]) + 1j * np.array(made[f"{name}_imag"])
                              for name in ("start", "weights"))
            if kind == AFTER:
                filters[BEFORE] = start
                rows += _rows(BEFORE, turned, start)
            filters[kind] = weights
            rows += _rows(kind, turned, weights)
            bench.save({FILTERS.name: rows_table(FILTERS, rows)})
        found = self._retrieved(turned, filters, np.random.default_rng((config.seed, 2)))
        shares = {kind: float(np.mean([row["share"] for row in rows if row["trained_on"] == kind]))
                  for kind in (BEFORE, AFTER, CONTROL)}
        harmonic = sum(row["share"] >= HARMONIC for row in rows if row["trained_on"] == AFTER)
        shown = {name: np.tensordot(filters[kind].T, turned.components, 1) for name, kind in (
            ("before", BEFORE), ("after", AFTER))}
        return StudyResult(
            tables={FILTERS.name: rows_table(FILTERS, rows), RETRIEVAL.name: rows_table(RETRIEVAL, found)},
            claims=claims_of(rows, shares, found), text=text_of(turned, shares, harmonic, found, self.components),
            numbers={"share": shares[AFTER], "share_before": shares[BEFORE], "share_control": shares[CONTROL],
                     "harmonics": harmonic, "filters": self.components,
                     "retrieved": found[0]["right"] / found[0]["images"]},
            arrays={f"{name}_{part}": np.ascontiguousarray(getattr(values, part)) for name, values in shown.items()
                    for part in ("real", "imag")})

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.harmonics.figures.rotations import plot_energies, plot_filters  # Matplotlib

        if FILTERS.name in saved.tables and len(saved.tables[FILTERS.name]):
            yield "energies", plot_energies(saved.tables[FILTERS.name])
            if "after_real" in saved.arrays:
                yield "filters", plot_filters(saved.arrays, saved.tables[FILTERS.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(FILTERS.name)
        if table is None or not (table["trained_on"] == AFTER).any():
            return None
        shares = table.loc[table["trained_on"] == AFTER, "share"]
        count = int((shares >= HARMONIC).sum())
        return Verdict(f"{count} of {len(shares)} filters are circular harmonics: {HARMONIC:.0%} of their energy and "
                       "more is in one angular frequency.", "good" if count > len(shares) / 2 else "bad")

    def _trained(self, turned: TurnedImages, unrelated: bool, seed: tuple[int, int]) -> dict[str, Any]:
        """The best of the restarts before and after, as plain values."""
        generator = np.random.default_rng(seed)
        chosen = generator.integers(self.images, size=(2, self.pairs))
        if not unrelated:
            chosen[1] = chosen[0]
        first, second = (turned.coordinates[images, generator.integers(self.angles, size=self.pairs)].astype(complex)
                         for images in chosen)
        slots = Slots((1,) * self.components)
        loss = TotalLoss(SampleLoss(slots, first, second), Orthogonality(slots))
        shape = (self.restarts, self.components, self.components)

        def objective(points: RealArray) -> tuple[RealArray, RealArray]:
            values, gradients = loss(points.view(np.complex128).reshape(-1, *shape[1:]))
            return values, 2 * np.ascontiguousarray(gradients).view(np.float64).reshape(points.shape)

        start = (generator.normal(size=shape) + 1j * generator.normal(size=shape)) / np.sqrt(2)
        made = minimise(objective, start.view(np.float64).reshape(self.restarts, -1), self.iterations)
        best = int(np.argmin(made.values))
        parts = {"start": start[best], "weights": made.points[best].view(np.complex128).reshape(shape[1:])}
        return {f"{name}_{part}": getattr(values, part).tolist() for name, values in parts.items()
                for part in ("real", "imag")}

    def _retrieved(self, turned: TurnedImages, filters: dict[str, ComplexArray], generator: np.random.Generator
                   ) -> list[dict[str, Any]]:
        """Rows of retrieval.csv."""
        kept = turned.coordinates[self.images:]
        asked = kept[np.arange(len(kept)), generator.integers(1, self.angles, size=len(kept))]
        rows = []
        for features, weights in ((f"filters, {AFTER}", filters[AFTER]), (f"filters, {BEFORE}", filters[BEFORE]),
                                  ("whitened images", None)):
            known, queries = (values if weights is None else np.abs(values @ weights) ** 2
                              for values in (kept[:, 0], asked))
            nearest = ((queries[:, None] - known[None]) ** 2).sum(axis=2).argmin(axis=1)
            rows.append({"features": features, "right": int((nearest == np.arange(len(kept))).sum()),
                         "images": len(kept)})
        return rows


def _rows(kind: str, turned: TurnedImages, weights: ComplexArray) -> list[dict[str, Any]]:
    """Rows of filters.csv of the columns of weights."""
    from agfrun.labs.harmonics.rotations import energies, frequencies  # SciPy's images

    shares = energies(np.tensordot(weights.T, turned.components, 1))
    return [{"trained_on": kind, "filter": place, "frequency": int(frequencies()[one.argmax()]),
             "share": float(one.max())} for place, one in enumerate(shares)]


def claims_of(rows: list[dict[str, Any]], shares: dict[str, float], found: list[dict[str, Any]]) -> list[Claim]:
    """That most filters are harmonics, unlike the control's, and that images are recognized."""
    after = [row["share"] for row in rows if row["trained_on"] == AFTER]
    median = float(np.median(after))
    return [
        Statement("rotations_give_circular_harmonics", "filters", "most filters have nearly all their energy in one "
                  "angular frequency", f"{HARMONICS}, figure 1", "numerics").decided(
            f"median at least {HARMONIC:g}", median, median >= HARMONIC, "turned pixels are interpolated"),
        Statement("unrelated_images_give_none", "filters", "filters that were trained on pairs of unrelated images "
                  "have their energy in more frequencies", "agfrun", "ours").decided(
            f"below {shares[AFTER]:.3g}", shares[CONTROL], shares[CONTROL] < shares[AFTER], "means over filters"),
        Statement("turned_images_are_recognized", "retrieval", "more turned images are recognized by the trained "
                  "network's outputs than by whitened images", f"{HARMONICS}, invariance", "numerics").decided(
            f"above {found[-1]['right']}", found[0]["right"], found[0]["right"] > found[-1]["right"],
            "nearest neighbours among images that were not trained on")]


def text_of(turned: TurnedImages, shares: dict[str, float], harmonic: int, found: list[dict[str, Any]], filters: int
            ) -> str:
    """The lines for the terminal."""
    return "\n".join([
        f"{filters} components with {turned.energy:.0%} of the variance; {harmonic} of {filters} filters are circular "
        "harmonics", *(f"  {kind:<18}{share:>6.1%} of a filter's energy in one angular frequency"
                       for kind, share in shares.items()),
        *(f"  {row['features']:<28}{row['right']:>4} of {row['images']} turned images recognized" for row in found)])
