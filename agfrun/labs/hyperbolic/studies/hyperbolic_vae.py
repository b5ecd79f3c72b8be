"""A hyperbolic autoencoder of noisy trees: does the score follow its training, and its data's noise?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.hyperbolic.geometry.points import PointsError, exponentials
from agfrun.labs.hyperbolic.plane import EDGES, POINTS, disk_of, plane_tables
from agfrun.labs.hyperbolic.vae.settings import AutoencoderSettings
from agfrun.study.checks import require, require_a_day, require_seeds
from agfrun.study.claim import Claim, Statement
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

PAPER = "Medbouhi et al., arXiv:2404.08608"
DISTANCES = ("score", "soft_score", "chamfer", "wasserstein", "hausdorff")
TRAINING, NOISE_UP_TO_HALF, ALL_NOISE = "tree_correlation", "noise_to_0.5", "noise"
# The rank correlation that counts as following.
FOLLOWS = 0.7
# Measured on one core: seconds of a step, of a batch of 64 and 255 bits, and of scoring a pair of points.
_SECONDS_OF_STEP, _WEIGHTS = 3e-3, 64 * 255.0 * 100
_SECONDS_OF_PAIR = 4e-7
# Of a node of a batch whose alignment is trained.
_SECONDS_OF_SIDES = 1e-4

_SEED = Column("seed", "integer", "of initialization, batches and noise")
_COMPARED = (
    Column("edges", "integer", "edges of the Delaunay graph of both sets"),
    Column("score", "number", "1 - edges between the sets / edges"),
    Column("null_mean", "number", "its mean if labels are exchangeable, exactly"),
    Column("z", "number", "(score - null_mean) / standard deviation, exactly"),
    Column("soft_score", "number", "the score with edges weighted by their Voronoi sides; empty: not in the plane"),
    Column("exact", "flag", "whether every edge is certain"),
    Column("chamfer", "number", "mean squared distance to the nearest point of the other set"),
    Column("wasserstein", "number", "mean distance of the best assignment"),
    Column("hausdorff", "number", "largest squared distance to the other set"),
)
SNAPSHOTS = Schema("snapshots.csv", (
    _SEED,
    Column("step", "integer", "optimizer steps taken"),
    Column("loss", "number", "negative evidence bound of the batch that follows, in nats"),
    Column("divergence", "number", "of the latents from the prior, there, in nats"),
    Column("tree_correlation", "number", "Pearson correlation of distances in the tree and between encodings of test "
           "data"),
    *_COMPARED,
), "encodings of test data, and of their reconstructions, while the autoencoder trains")
NOISE = Schema("noise.csv", (
    _SEED, Column("noise", "number", "probability with which each bit of one set is flipped"), *_COMPARED,
), "encodings of trees with the noise of training beside those of trees with another noise")
RANKS = Schema("ranks.csv", (
    _SEED,
    Column("follows", "text", f"{TRAINING} (over the snapshots), {NOISE_UP_TO_HALF} or {ALL_NOISE} (over the sweep)"),
    Column("distance", "text", ", ".join(DISTANCES)),
    Column("spearman", "number", "rank correlation of the two; empty: one of them is constant"),
), "how each distance between sets follows training and noise")


@register("study")
@dataclass
class HyperbolicVaeStudy(Study):
    """Scores of an autoencoder's test data beside their reconstructions while it trains, and of ever noisier data.

    `seeds` are counted from `seed`; `noises` are those of the sweep after training.
    """

    name: str = "hyperbolic_vae"
    seeds: int = 3
    noises: list[float] = field(default_factory=lambda: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])

    settings: ClassVar[type] = AutoencoderSettings
    tables = (SNAPSHOTS, NOISE, RANKS, POINTS, EDGES)
    numbers = (
        Number("tree_correlation", "correlation with the tree, at the end, mean"),
        Number("final_score", "score at the end, mean"),
        *(Number(f"{name}_follows_training", f"rank correlation of {name} and tree correlation, mean")
          for name in DISTANCES),
        *(Number(f"{name}_follows_noise", f"rank correlation of {name} and noise to 0.5, mean") for name in DISTANCES),
    )

    def check(self, config: AutoencoderSettings) -> None:
        """See `Study.check`."""
        require_seeds(self.seeds)
        require("study.noises", self.noises, all(0 <= one <= 1 for one in self.noises)
                and len(set(self.noises)) == len(self.noises) <= 100, "at most 100 numbers from 0 to 1, each once")
        points = config.tree.nodes() * config.tree.copies
        snapshots = 1 + config.train.steps // config.train.snapshot_every
        weights = config.tree.nodes() * config.autoencoder.hidden
        require_memory(config, 8.0 * (6 * points**2 + 12 * weights + 4 * points * config.tree.nodes()))
        seconds = self.seeds * (
            config.train.steps * _SECONDS_OF_STEP * max(0.2, weights * config.train.batch_size / _WEIGHTS)
            + (config.train.alignment > 0) * config.train.steps * config.train.batch_size * _SECONDS_OF_SIDES
            + (snapshots + len(self.noises)) * points**2 * _SECONDS_OF_PAIR)
        key, value = ("study.seeds", self.seeds) if self.seeds > 20 else largest_key(config)
        require_a_day(key, value, seconds, "training and scoring")

    def run(self, config: AutoencoderSettings, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        from agfrun.labs.hyperbolic.vae.training import measure_seed  # torch, which help, plot and report do without

        found: dict[int, dict[str, Any]] = {}
        tables: dict[str, pd.DataFrame] = {}
        for seed in range(config.seed, config.seed + self.seeds):
            with bench.clock.stage("train"):
                found[seed] = bench.remember(f"seed {seed}", partial(measure_seed, config, self.noises, seed, bench))
            tables = tables_of(found)
            bench.save(tables)
        numbers = numbers_of(tables)
        return StudyResult(tables=tables, claims=claims_of(tables), numbers=numbers, text=text_of(tables))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.hyperbolic.figures.training import plot_noise, plot_training  # Matplotlib

        for name, plot in (("snapshots", plot_training), ("noise", plot_noise)):
            table = saved.tables.get(name)
            if table is not None and len(table):
                yield name, plot(table)
        yield from disk_of(saved)

    def page(self, saved: Saved) -> str:
        """See `Study.page`."""
        from agfrun.labs.hyperbolic.figures.page import page_with_disk  # Matplotlib

        return page_with_disk(self, saved)

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(RANKS.name)
        if table is None:
            return None
        spearmans = _ranks(table, TRAINING, "score")
        if not _known(spearmans):
            return None
        follows = int((spearmans <= -FOLLOWS).sum())
        words = f"The score falls as the tree is learned: rank correlation {_range(spearmans)}"
        if follows < len(spearmans):
            words = (f"The score follows training at {follows} of {len(spearmans)} seeds only: rank correlation "
                     f"{_range(spearmans)}")
        return Verdict(f"{words}.", "good" if follows == len(spearmans) else "bad")


def tables_of(found: dict[int, dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """All tables of what was measured, by seed."""
    tables = {schema.name: rows_table(schema, [
        {"seed": seed, **{name: row[name] for name in schema.names if name != "seed"}}
        for seed, values in found.items() for row in values[schema.name]]) for schema in (SNAPSHOTS, NOISE)}
    tables[RANKS.name] = rows_table(RANKS, [row for seed in found for row in _rank_rows(seed, tables)])
    tangents = np.array(next(iter(found.values()))["tangents"])
    if tangents.shape[2] == 2:
        names = ("test data", "their reconstructions")
        with suppress(PointsError):  # encodings that are one point have no graph
            tables |= plane_tables(dict(zip(names, map(exponentials, tangents), strict=True)))
    return tables


def _rank_rows(seed: int, tables: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    snapshots, noise = (tables[name][tables[name]["seed"] == seed] for name in (SNAPSHOTS.name, NOISE.name))
    parts = ((TRAINING, snapshots, "tree_correlation"), (NOISE_UP_TO_HALF, noise[noise["noise"] <= 0.5], "noise"),
             (ALL_NOISE, noise, "noise"))
    for follows, part, column in parts:
        for name in DISTANCES:
            yield {"seed": seed, "follows": follows, "distance": name, "spearman": spearman(part[column], part[name])}


def spearman(one: Any, other: Any) -> float | None:
    """Rank correlation; None of fewer than three pairs, or where one side is constant."""
    from scipy.stats import spearmanr  # takes a while to import

    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if len(one) < 3 or len(set(one.tolist())) == 1 or len(set(other.tolist())) == 1 or np.isnan(other).any():
        return None
    return float(spearmanr(one, other)[0])


def _ranks(table: pd.DataFrame, follows: str, distance: str) -> np.ndarray[Any, Any]:
    """Rank correlations, one a seed; nan where there is none."""
    chosen = table[(table["follows"] == follows) & (table["distance"] == distance)]
    return np.asarray(chosen["spearman"].to_numpy(float))


def _known(values: np.ndarray[Any, Any]) -> bool:
    return len(values) > 0 and bool(np.isfinite(values).all())


def numbers_of(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    """The numbers of a result."""
    snapshots, ranks = tables[SNAPSHOTS.name], tables[RANKS.name]
    last = snapshots.groupby("seed").tail(1)
    found = {"tree_correlation": float(last["tree_correlation"].mean()), "final_score": float(last["score"].mean())}
    for follows, suffix in ((TRAINING, "training"), (NOISE_UP_TO_HALF, "noise")):
        for name in DISTANCES:
            values = _ranks(ranks, follows, name)
            if _known(values):
                found[f"{name}_follows_{suffix}"] = float(values.mean())
    return found


def claims_of(tables: dict[str, pd.DataFrame]) -> list[Claim]:
    """Whether the score follows training, its competitors do, and it follows noise."""
    ranks = tables[RANKS.name]
    score = Statement("score_follows_training", "snapshots", f"at every seed the rank correlation of score and tree "
                      f"correlation is at most -{FOLLOWS}", PAPER, "numerics")
    found = _ranks(ranks, TRAINING, "score")
    too_few = "at a seed fewer than three snapshots with a score, or all alike"
    claims = [_decided(score, f"at most -{FOLLOWS}", found, found <= -FOLLOWS, too_few)]
    for name in ("chamfer", "wasserstein"):
        words = f"at every seed {name} follows training less than the score does: its rank correlation is larger"
        other = _ranks(ranks, TRAINING, name)
        claims.append(_decided(Statement(f"{name}_follows_training_less", "snapshots", words, PAPER, "numerics"),
                               f"above {_range(found)}", np.where(np.isfinite(found), other, np.nan), other > found,
                               too_few))
    noise = _ranks(ranks, NOISE_UP_TO_HALF, "score")
    grows = Statement("score_grows_with_noise", "noise sweep", f"at every seed the rank correlation of score and noise "
                      f"to 0.5 is at least {FOLLOWS}", PAPER, "numerics")
    return [*claims, _decided(grows, f"at least {FOLLOWS}", noise, noise >= FOLLOWS,
                              "at a seed fewer than three noises to 0.5 with a score, or all alike")]


def _decided(statement: Statement, expected: str, values: np.ndarray[Any, Any], holds: np.ndarray[Any, Any], why: str
             ) -> Claim:
    """Whether it holds at every seed; undecided if one of them has no value."""
    return statement.decided(expected, _range(values), bool(holds.all()), "one value a seed") if _known(values) else (
        statement.undecided(why))


def _range(values: np.ndarray[Any, Any]) -> str:
    """The least and the largest that there are."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "unknown"
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def text_of(tables: dict[str, pd.DataFrame]) -> str:
    """The lines for the terminal: rank correlations, one line a distance."""
    ranks, snapshots = tables[RANKS.name], tables[SNAPSHOTS.name]
    last = snapshots.groupby("seed").tail(1)
    lines = [f"correlation with the tree at the end {_range(last['tree_correlation'].to_numpy(float))}, score "
             f"{_range(last['score'].to_numpy(float))}",
             f"{'rank correlation with':<22}{'training':>18}{'noise to 0.5':>18}{'all noise':>18}"]
    for name in DISTANCES:
        cells = [_range(_ranks(ranks, follows, name)) for follows in (TRAINING, NOISE_UP_TO_HALF, ALL_NOISE)]
        lines.append(f"{name:<22}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)
