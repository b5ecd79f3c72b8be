"""How well two sets of hyperbolic points are mixed, or every pair of many labelled sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.hyperbolic.config import HyperbolicConfig, Labelled
from agfrun.labs.hyperbolic.geometry.alignment import alignment
from agfrun.labs.hyperbolic.geometry.components import CONSISTENCY, MOST_POINTS, QUALITY, SMALLEST_CLUSTER, components
from agfrun.labs.hyperbolic.geometry.delaunay import MOST_SECONDS, delaunay
from agfrun.labs.hyperbolic.geometry.distances import set_distances
from agfrun.labs.hyperbolic.geometry.points import Points, PointsError
from agfrun.labs.hyperbolic.plane import EDGES, POINTS, all_of, disk_of, plane_tables
from agfrun.study.checks import require
from agfrun.study.claim import Claim, Statement
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

PAPER = "Medbouhi et al., arXiv:2404.08608"
MOST_SETS = 60
# Of what a pair of sets takes, apart from the graph: all distances between them.
MOST_PAIRS = 4e8

SCORES = Schema("scores.csv", (
    Column("a", "text", "one set"),
    Column("b", "text", "the other"),
    Column("n_a", "integer", "its distinct points"),
    Column("n_b", "integer", "those of the other"),
    Column("edges", "integer", "edges of the Delaunay graph of both"),
    Column("heterogeneous", "integer", "of them those between the sets"),
    Column("score", "number", "1 - heterogeneous / edges"),
    Column("null_mean", "number", "its mean if labels are exchangeable, exactly"),
    Column("null_sd", "number", "its standard deviation, exactly"),
    Column("z", "number", "(score - null_mean) / null_sd"),
    Column("p", "number", "share of relabellings with a score at least as large"),
    Column("low", "number", "2.5 % quantile of the score over bootstrap samples of the points"),
    Column("high", "number", "97.5 % quantile"),
    Column("chamfer", "number", "mean squared distance to the nearest point of the other set"),
    Column("wasserstein", "number", "mean distance of the best assignment of the smaller set; empty: sets too large"),
    Column("hausdorff", "number", "largest squared distance to the other set"),
    Column("exact", "flag", "whether every edge is certain"),
    Column("notes", "text", "what was done to the points"),
), "one row for each pair of sets")
COMPONENTS = Schema("components.csv", (
    Column("a", "text", "one set"),
    Column("b", "text", "the other"),
    Column("component", "integer", "cluster of their points by HDBSCAN, counted from 0, the largest first"),
    Column("n_a", "integer", "its points of the one set"),
    Column("n_b", "integer", "of the other"),
    Column("edges", "integer", "edges within it, of the graph of both sets"),
    Column("consistency", "number", "1 - |n_a - n_b| / (n_a + n_b)"),
    Column("quality", "number", "share of its edges that join the two sets"),
    Column("fundamental", "flag", f"whether consistency is above {CONSISTENCY} and quality above {QUALITY}"),
), "one row for each cluster of a pair of sets; none unless study.components is true")


@register("study")
@dataclass
class AlignmentStudy(Study):
    """The score of every pair of sets, beside its null distribution and three other distances.

    `labels` are the sets to compare, null for all of at least `least_points` points; `relabellings` those of the
    permutation test and the bootstrap; `exact` decides every sign in ball arithmetic; `components` adds clusters.
    """

    name: str = "alignment"
    labels: list[str] | None = None
    least_points: int = 5
    relabellings: int = 999
    exact: bool = False
    components: bool = False

    settings: ClassVar[type] = HyperbolicConfig
    tables: ClassVar[tuple[Schema, ...]] = (SCORES, POINTS, EDGES, COMPONENTS)
    numbers: ClassVar[tuple[Number, ...]] = (
        Number("sets", "sets", "integer", in_figures=False),
        Number("pairs", "pairs of sets", "integer", in_figures=False),
        Number("exact", "pairs whose every edge is certain", "integer", of="pairs"),
        Number("lowest_score", "lowest score of a pair"),
        Number("highest_z", "largest z-score of a pair"),
    )

    def check(self, config: HyperbolicConfig) -> None:
        """See `Study.check`."""
        require("study.relabellings", self.relabellings, 19 <= self.relabellings <= 100_000,
                "an integer from 19 to 100000")
        require("study.least_points", self.least_points, self.least_points >= 1, "an integer of at least 1")
        require("study.labels", self.labels, self.labels is None or len(set(self.labels)) == len(self.labels) >= 2,
                "null, or at least two labels, each once")
        sets = self.chosen(config.data.load())
        if self.components:
            require("study.components", True, find_spec("sklearn") is not None,
                    "false without scikit-learn: pip install 'agfrun[images]'")
            sizes = sorted(map(len, sets.values()))
            require("study.components", True, sum(sizes[:2]) >= SMALLEST_CLUSTER and sum(sizes[-2:]) <= MOST_POINTS,
                    f"false unless every two sets have {SMALLEST_CLUSTER} to {MOST_POINTS} points together")

    def chosen(self, data: Labelled) -> dict[str, Points]:
        """The sets to compare, by label.

        Raises:
            ConfigError: there are fewer than two, too many, or too large ones.
        """
        labels = np.array(data.labels)
        known = list(dict.fromkeys(data.labels))
        for label in self.labels or ():
            if label not in known:
                raise ConfigError("study.labels", self.labels, f"there is no {label} among {', '.join(known)}"
                                  f"{did_you_mean(closest(label, known))}")
        names = self.labels or [label for label in known if int((labels == label).sum()) >= self.least_points]
        require("study.least_points", self.least_points, len(names) >= 2, f"smaller: {len(names)} of "
                f"{len(known)} sets have so many points, and two are compared")
        require("study.labels", self.labels, len(names) <= MOST_SETS, f"at most {MOST_SETS} sets, not {len(names)}")
        sizes = [int((labels == name).sum()) for name in names]
        pairs = float(sum(one * other for one, other in itertools.combinations(sizes, 2)))
        require("study.labels", self.labels, pairs <= MOST_PAIRS, f"fewer or smaller sets: {pairs:.2g} pairs of points "
                f"would take about {pairs * 3e-8 / 60:.0f} minutes and more than {MOST_SECONDS / 60:.0f} for the "
                "assignments")
        return {name: data.points.of(labels == name) for name in names}

    def run(self, config: HyperbolicConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        sets = self.chosen(config.data.load())
        rows: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        with bench.clock.stage("scores"):
            for a, b in itertools.combinations(sets, 2):
                row, clusters = bench.remember(f"{a} and {b}", lambda a=a, b=b: self._row(sets, a, b, config.seed))  # type: ignore[misc]
                rows.append(row)
                parts += clusters
                bench.save({SCORES.name: rows_table(SCORES, rows)})
        table = rows_table(SCORES, rows)
        with bench.clock.stage("graph"):
            drawn, claims = self._whole(sets, config.seed)
        return StudyResult(
            tables={SCORES.name: table, **drawn, **({COMPONENTS.name: rows_table(COMPONENTS, parts)} if parts else {})},
            claims=claims, text=text_of(table),
            numbers={"sets": len(sets), "pairs": len(table), "exact": int(table["exact"].sum()),
                     "lowest_score": float(table["score"].min()), "highest_z": float(table["z"].max())})

    def _row(self, sets: dict[str, Points], a: str, b: str, seed: int
             ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The row of a pair, and those of its clusters."""
        try:
            found = alignment(sets[a], sets[b], relabellings=self.relabellings, seed=seed, exact=self.exact)
        except PointsError as error:
            raise PointsError(f"{a} and {b}: {error}") from None
        apart = set_distances(sets[a], sets[b])
        clusters = [] if not self.components else [
            {"a": a, "b": b, "component": place, "n_a": one.n_a, "n_b": one.n_b, "edges": one.edges,
             "consistency": one.consistency, "quality": one.quality, "fundamental": one.fundamental}
            for place, one in enumerate(components(found, sets[a], sets[b]))]
        row = {"a": a, "b": b, "n_a": found.n_a, "n_b": found.n_b, "edges": found.edges,
               "heterogeneous": found.heterogeneous, "score": found.score, "null_mean": found.null_mean,
               "null_sd": found.null_sd, "z": found.z, "p": found.p_value, "low": found.interval[0],
               "high": found.interval[1], "chamfer": apart.chamfer, "wasserstein": apart.wasserstein,
               "hausdorff": apart.hausdorff, "exact": found.graph.exact, "notes": "; ".join(found.notes) or None}
        return row, clusters

    def _whole(self, sets: dict[str, Points], seed: int) -> tuple[dict[str, pd.DataFrame], list[Claim]]:
        """Points and edges of all sets in a plane, and the claims on their graph."""
        points = all_of(sets)
        graph = delaunay(points, exact=self.exact)
        claims = claims_of(points, graph.edges, graph.radius, seed)
        return plane_tables(sets, graph) if points.dimension == 2 else {}, claims

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        scores = saved.tables.get(SCORES.name)
        if scores is not None and len(scores):
            from agfrun.labs.hyperbolic.figures.scores import plot_scores  # Matplotlib

            yield "scores", plot_scores(scores)
        yield from disk_of(saved)

    def page(self, saved: Saved) -> str:
        """See `Study.page`."""
        from agfrun.labs.hyperbolic.figures.page import page_with_disk  # Matplotlib

        return page_with_disk(self, saved)

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(SCORES.name)
        if table is None or not len(table):
            return None
        nearest = table.loc[table["score"].astype(float).idxmin()]
        uncertain = int((~table["exact"].astype(bool)).sum())
        text = (f"{nearest['a']} and {nearest['b']} are mixed best: score {nearest['score']:.3f}, where exchangeable "
                f"labels give {nearest['null_mean']:.3f} on average.")
        if uncertain:
            text += f" {uncertain} of {len(table)} graphs are beyond double precision."
        return Verdict(text, "open" if uncertain else "good")


def claims_of(points: Points, edges: np.ndarray[Any, Any], radius: float, seed: int) -> list[Claim]:
    """Isometry of the graph, and what the published rescaling of coordinates does to it."""
    generator = np.random.default_rng(seed)
    isometry = Statement("graph_is_isometry_invariant", "edges", "a boost by 2, a rotation and a reflection change no "
                         "edge of the graph of all sets", PAPER, "theorem")
    to = Points(np.zeros((1, points.dimension)), np.ones(1))
    to.p[0, 0] = np.tanh(1.0)
    to.gap[0] = 1 - np.tanh(1.0) ** 2
    turn = np.linalg.qr(generator.normal(size=(points.dimension, points.dimension)))[0]
    moved = points.seen_from(to)
    changed = differing(edges, delaunay(Points(moved.p @ turn, moved.gap)).edges)
    rescaled = Statement("rescaling_to_the_unit_ball_is_harmless", "edges", "dividing all Poincare coordinates by "
                         "their largest norm + 0.001 changes no edge", f"public notebooks of {PAPER}", "numerics")
    scale = float(np.linalg.norm(points.p, axis=1).max()) + 0.001
    other = points.p / scale
    after = differing(edges, delaunay(Points(other, 1 - np.sum(other**2, axis=1))).edges)
    harmless = rescaled.decided("0", f"{after} of {len(edges)}", after == 0, "edges, counted")
    if radius > 8:
        return [isometry.undecided(f"radius {radius:.1f} about the centre: beyond 8 rounding moves edges"), harmless]
    return [isometry.decided("0", f"{changed} of {len(edges)}", changed == 0, "edges, counted"), harmless]


def differing(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> int:
    """How many edges are in one graph alone."""
    return len(set(map(tuple, one.tolist())) ^ set(map(tuple, other.tolist())))


def text_of(table: pd.DataFrame) -> str:
    """The lines for the terminal: pairs from the lowest score on."""
    width = max(10, *(len(f"{a} - {b}") for a, b in zip(table["a"], table["b"], strict=True)))
    lines = [f"{'sets':<{width}}{'points':>12}{'edges':>7}{'score':>7}{'null':>7}{'z':>7}{'p':>8}{'Chamfer':>9}"
             f"{'W':>7}"]
    for row in table.sort_values("score", kind="stable").head(40).itertuples():
        transport = "-" if row.wasserstein != row.wasserstein else f"{row.wasserstein:.3f}"
        lines.append(f"{f'{row.a} - {row.b}':<{width}}{f'{row.n_a} + {row.n_b}':>12}{row.edges:>7}{row.score:>7.3f}"
                     f"{row.null_mean:>7.3f}{row.z:>7.1f}{row.p:>8.3g}{row.chamfer:>9.3f}{transport:>7}")
    if len(table) > 40:
        lines.append(f"and {len(table) - 40} more in scores.csv")
    return "\n".join(lines)
