"""A network that is trained for invariance alone, and the group that is read from its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.groups import find_isomorphism, identify
from agfrun.labs.harmonics.claims import claims_of
from agfrun.labs.harmonics.config import HarmonicsConfig, Symmetries, check_size, group_or_none
from agfrun.labs.harmonics.network.fit import CERTIFICATE, Fit, fit, fit_by_adam, sampled_pairs
from agfrun.labs.harmonics.network.layout import Slots, possible_dimensions
from agfrun.labs.harmonics.network.losses import PopulationLoss, SampleLoss
from agfrun.labs.harmonics.recovery import accuracy, read_table, representations_of
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

METHODS, REGULARISERS = ("lbfgs", "adam"), ("weighted", "published")
MOST_RESTARTS, MOST_NOISE, MOST_SAMPLES = 10_000, 10.0, 10**6

RESTARTS = Schema("restarts.csv", (
    Column("dimensions", "text", "dimensions of the slots"),
    Column("restart", "integer", "number of the initialization"),
    Column("invariance", "number", "mean squared change of the outputs under the moves, over all inputs"),
    Column("orthogonality", "number", "weighted regulariser, 0 at irreps"),
    Column("published", "number", "published regulariser, 0 at irreps of commutative groups alone"),
    Column("certificate", "number", f"invariance and ten times orthogonality; below {CERTIFICATE:g} the weights are "
                                    "irreps"),
    Column("certified", "flag", "whether it is below"),
    Column("iterations", "integer", "steps of the optimizer"),
    Column("is_group", "flag", "whether the table that is read from the weights is a group's"),
    Column("accuracy", "number", "share of its entries that are right; empty without a true table"),
    Column("isomorphic", "flag", "whether it is a table of the true group; empty without one"),
), "every restart")
CAYLEY = Schema("cayley.csv", (
    Column("first", "integer", "g"),
    Column("second", "integer", "h"),
    Column("product", "integer", "gh as read from the weights"),
    Column("true_product", "integer", "gh; empty without a true table"),
), "the recovered Cayley table, of the best restart", in_sweeps="none")


@register("study")
@dataclass
class InvariantNetworkStudy(Study):
    """Train a power-spectral network to be invariant, and read irreps and the Cayley table from its weights.

    `dimensions` of the slots are those of the group's irreps unless told otherwise; `search` tries all that a group of
    the order could have, as is done where no group is known. `samples` is the number of pairs that a restart is trained
    on, null for all inputs at once in closed form; `noise` is that of the inputs relative to them.
    """

    name: str = "invariant_network"
    restarts: int = 12
    dimensions: list[int] | None = None
    search: bool = False
    method: str = "lbfgs"
    regulariser: str = "weighted"
    samples: int | None = None
    noise: float = 0.0
    steps: int = 12500
    batch_size: int = 4
    learning_rate: float = 1e-3

    settings: ClassVar[type] = HarmonicsConfig
    tables = (RESTARTS, CAYLEY)
    numbers = (
        Number("certified", "certified", "flag"),
        Number("table_correct", "Cayley table right", "flag"),
        Number("order", "order", "integer"),
        Number("certified_restarts", "restarts that are certified", "integer", of="restarts"),
        Number("restarts", "restarts", "integer", in_figures=False),
        Number("certificate", "least certificate", logarithmic=True),
        Number("irreps", "irreps", "integer"),
    )
    key_names: ClassVar[Mapping[str, str]] = {"data.group": "group", "study.noise": "noise of the inputs"}

    def check(self, config: HarmonicsConfig) -> None:
        """See `Study.check`."""
        one_of("study.method", self.method, METHODS)
        one_of("study.regulariser", self.regulariser, REGULARISERS)
        for key, value, most in (("restarts", self.restarts, MOST_RESTARTS), ("steps", self.steps, 10**8),
                                 ("batch_size", self.batch_size, 10**5)):
            require(f"study.{key}", value, 1 <= value <= most, f"an integer from 1 to {most}")
        require("study.samples", self.samples, self.samples is None or (
            1 <= self.samples <= MOST_SAMPLES and self.method == "lbfgs"),
            f"null, as it has to be with study.method=adam, or an integer from 1 to {MOST_SAMPLES}")
        require("study.noise", self.noise, 0 <= self.noise <= MOST_NOISE, f"a number from 0 to {MOST_NOISE:g}")
        require("study.learning_rate", self.learning_rate, 0 < self.learning_rate <= 1, "above 0 and at most 1")
        symmetries = config.data.build()
        n = symmetries.places
        if self.dimensions is not None:
            require("study.dimensions", self.dimensions, not self.search and min(self.dimensions, default=0) >= 1
                    and sum(d * d for d in self.dimensions) == n,
                    f"null, or without study.search integers from 1 on whose squares sum to {n}")
        candidates = self.candidates(symmetries)
        check_size(config, candidates[0], len(symmetries.moves), self.restarts, len(candidates))

    def candidates(self, symmetries: Symmetries) -> list[Slots]:
        """The dimensions to try, in order."""
        if self.dimensions is not None:
            return [Slots(tuple(sorted(self.dimensions)))]
        if self.search or symmetries.dimensions is None:
            return [Slots(one) for one in possible_dimensions(symmetries.places)]
        return [Slots(symmetries.dimensions)]

    def run(self, config: HarmonicsConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        symmetries = config.data.build()
        rows: list[dict[str, Any]] = []
        best: dict[str, Any] = {}
        with bench.clock.stage("training"):
            for place, slots in enumerate(self.candidates(symmetries)):
                made = bench.remember(f"dimensions {slots.dimensions}", partial(
                    self._train, symmetries, slots, (config.seed, place)))
                rows += made["rows"]
                bench.save({RESTARTS.name: rows_table(RESTARTS, rows)})
                if not best or made["best"]["certificate"] < best["certificate"]:
                    best = made["best"]
                if best["certificate"] < CERTIFICATE:
                    break
        return self._result(symmetries, rows, best)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.harmonics.figures.network import plot_certificates, plot_tables, plot_weights  # Matplotlib

        if "weights_real" in saved.arrays:
            yield "weights", plot_weights(saved.arrays, [int(d) for d in saved.words["dimensions"]])
        if CAYLEY.name in saved.tables and len(saved.tables[CAYLEY.name]):
            yield "tables", plot_tables(saved.tables[CAYLEY.name])
        if RESTARTS.name in saved.tables and len(saved.tables[RESTARTS.name]):
            yield "certificates", plot_certificates(saved.tables[RESTARTS.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        if "sentence" not in saved.words:
            return None
        return Verdict(str(saved.words["sentence"]), str(saved.words["tone"]))

    def _train(self, symmetries: Symmetries, slots: Slots, seed: tuple[int, int]) -> dict[str, Any]:
        """All restarts with slots of some dimensions, as plain values: their rows, and the weights of the best."""
        generator = np.random.default_rng(seed)
        start = slots.initial(self.restarts, generator)
        weighted = self.regulariser == "weighted"
        if self.method == "adam":
            found = fit_by_adam(slots, symmetries.moves, start, generator, weighted=weighted, steps=self.steps,
                                learning_rate=self.learning_rate, batch=self.batch_size, noise=self.noise)
        else:
            invariance = PopulationLoss(slots, symmetries.moves, self.noise) if self.samples is None else SampleLoss(
                slots, *sampled_pairs(symmetries.moves, self.samples, self.noise, generator))
            found = fit(slots, symmetries.moves, start, invariance=invariance, weighted=weighted)
        # With samples alone nobody could take certificates, and with steps on fresh ones losses are of the last few.
        best = int(np.argmin(found.objective)) if self.samples is not None else found.best
        parts = {"start": start[best], "weights": found.weights[best]}
        return {"rows": [restart_row(symmetries, found, place) for place in range(self.restarts)],
                "best": {"certificate": float(found.certificates[best]), "dimensions": list(slots.dimensions),
                         **{f"{name}_{part}": getattr(values, part).tolist() for name, values in parts.items()
                            for part in ("real", "imag")}}}

    def _result(self, symmetries: Symmetries, rows: list[dict[str, Any]], best: dict[str, Any]) -> StudyResult:
        slots = Slots(tuple(best["dimensions"]))
        arrays = {name: np.array(values) for name, values in best.items() if name.endswith(("_real", "_imag"))}
        weights = arrays["weights_real"] + 1j * arrays["weights_imag"]
        table, truth = read_table(representations_of(slots, weights)), symmetries.table
        certified = best["certificate"] < CERTIFICATE
        name = identify(table) if group_or_none(table) is not None else None
        correct = None if truth is None else bool((table == truth).all())
        sentence, tone = _sentence(symmetries, certified, correct, name, best["certificate"])
        cells = [{"first": g, "second": h, "product": int(table[g, h]),
                  "true_product": None if truth is None else int(truth[g, h])} for g, h in np.ndindex(table.shape)]
        return StudyResult(
            tables={RESTARTS.name: rows_table(RESTARTS, rows), CAYLEY.name: rows_table(CAYLEY, cells)},
            claims=claims_of(symmetries, slots, weights, rows, best["certificate"]),
            numbers={"certified": certified, "table_correct": correct, "order": symmetries.places,
                     "certified_restarts": sum(row["certified"] for row in rows), "restarts": len(rows),
                     "certificate": best["certificate"], "irreps": len(slots.dimensions) if certified else None},
            text=f"{symmetries.name}, {symmetries.places} places: {sentence}", arrays=arrays,
            words={"dimensions": best["dimensions"], "sentence": sentence, "tone": tone})


def restart_row(symmetries: Symmetries, found: Fit, place: int) -> dict[str, Any]:
    """A row of restarts.csv."""
    table = read_table(representations_of(found.slots, found.weights[place]))
    group, truth = group_or_none(table), symmetries.table
    certificate = float(found.certificates[place])
    return {"dimensions": " ".join(map(str, found.slots.dimensions)), "restart": place,
            "invariance": float(found.invariance[place]), "orthogonality": float(found.orthogonality[place]),
            "published": float(found.published[place]), "certificate": certificate,
            "certified": certificate < CERTIFICATE, "iterations": int(found.iterations[place]),
            "is_group": group is not None, "accuracy": None if truth is None else accuracy(table, truth),
            "isomorphic": None if truth is None else group is not None and find_isomorphism(group, truth) is not None}


def _sentence(symmetries: Symmetries, certified: bool, correct: bool | None, name: str | None, certificate: float
              ) -> tuple[str, str]:
    """The verdict and its tone."""
    group = f"the group {name}" if name else "a group"
    if certified:
        proof = f"a certificate of {certificate:.1g}"
        if correct is None:
            return f"{group} was found, with {proof}.", "bad"
        right = "all entries of its table right" if correct else "its table wrong"
        return f"{group} was read from the weights, {right}, with {proof}.", "good" if correct else "bad"
    if symmetries.table is None:
        return f"no group found: the least certificate is {certificate:.3g}.", "good"
    right = "the table that is read is right all the same" if correct else "the table that is read is wrong"
    return f"no restart is certified (least certificate {certificate:.3g}); {right}.", "open"


