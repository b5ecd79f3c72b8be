"""How wrong irreps, inputs and samples may be before the group is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.groups import irreps
from agfrun.labs.harmonics.claims import HARMONICS, OURS
from agfrun.labs.harmonics.config import HarmonicsConfig, Symmetries, check_size
from agfrun.labs.harmonics.network.fit import fit, sampled_pairs
from agfrun.labs.harmonics.network.layout import ComplexArray, IntArray, Slots
from agfrun.labs.harmonics.network.losses import Orthogonality, PopulationLoss, SampleLoss, TotalLoss
from agfrun.labs.harmonics.recovery import accuracy, read_table, representations_of, robust_radius, weights_of
from agfrun.study.checks import require
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

MOST_NOISE, MOST_FACTOR, MOST_TRIALS = 10.0, 100.0, 1000
# An error of exactly the radius is beside the bound, which asks for less.
BELOW = 1 - 1e-9
SMALL_NOISE = 0.5

PERTURBATION = Schema("perturbation.csv", (
    Column("factor", "number", "norm of the error of each R_i[g], in units of the proved radius"),
    Column("error", "number", "that norm"),
    Column("trial", "integer", "number of the random error"),
    Column("accuracy", "number", "share of right entries of the table"),
    Column("certificate", "number", "loss of the perturbed weights: how far they are from invariance"),
), "tables read from irreps with errors")
RECOVERY = Schema("recovery.csv", (
    Column("samples", "integer", "pairs that were trained on; empty: all inputs, in closed form"),
    Column("noise", "number", "of the inputs, relative to them"),
    Column("trial", "integer", "number of the draw"),
    Column("accuracy", "number", "share of right entries of the table read from the restart with the least loss"),
    Column("correct", "flag", "whether all are right"),
    Column("certificate", "number", "its loss over all inputs without noise"),
    Column("matching_accuracy", "number", "the same of the table by matching entries of the same pairs; empty for all "
                                          "inputs"),
    Column("matching_correct", "flag", "whether all of it are right"),
), "tables read from networks that were trained on noisy pairs, beside matching")


@register("study")
@dataclass
class RobustnessStudy(Study):
    """Errors of irreps against the proved radius; training on noisy pairs, and on all inputs with noise.

    `factors` are the errors in units of the radius, `trials` of each. Networks are trained with each of `noise` on each
    number of pairs in `samples` (0: on all inputs), `draws` times, from `restarts` initializations.
    """

    name: str = "robustness"
    factors: list[float] = field(default_factory=lambda: [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    trials: int = 20
    noise: list[float] = field(default_factory=lambda: [0.0, 0.1, 0.2, 0.4, 0.8, 1.6])
    samples: list[int] = field(default_factory=lambda: [0, 16, 64, 256])
    draws: int = 4
    restarts: int = 24

    settings: ClassVar[type] = HarmonicsConfig
    tables = (PERTURBATION, RECOVERY)
    numbers = (
        Number("radius", "proved radius"),
        Number("half_factor", "error at which half of the tables are wrong, in radii"),
        Number("recovered", "networks with a right table", "integer", of="trained"),
        Number("trained", "networks", "integer", in_figures=False),
        Number("matched", "right tables by matching", "integer", of="trained"),
    )
    key_names: ClassVar[Mapping[str, str]] = {"data.group": "group"}

    def check(self, config: HarmonicsConfig) -> None:
        """See `Study.check`."""
        symmetries = config.data.build()
        require("data.name", config.data.name, symmetries.dimensions is not None,
                "a group with study=robustness: errors are counted against its table")
        for key, values, most, words in (("factors", self.factors, MOST_FACTOR, "numbers above 0"),
                                         ("noise", self.noise, MOST_NOISE, "numbers from 0 on")):
            require(f"study.{key}", values, bool(values) and len(set(values)) == len(values)
                    and all(0 <= one <= most and (one > 0 or key == "noise") for one in values),
                    f"different {words} to {most:g}")
        require("study.samples", self.samples, bool(self.samples) and len(set(self.samples)) == len(self.samples)
                and all(0 <= one <= 10**6 for one in self.samples), "different integers from 0 (all inputs) to 1000000")
        for key, value in (("trials", self.trials), ("draws", self.draws), ("restarts", self.restarts)):
            require(f"study.{key}", value, 1 <= value <= MOST_TRIALS, f"an integer from 1 to {MOST_TRIALS}")
        assert symmetries.dimensions is not None
        check_size(config, Slots(symmetries.dimensions), max(len(symmetries.moves), *self.samples), self.restarts,
                   self.draws * len(self.noise) * len(self.samples))

    def run(self, config: HarmonicsConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        symmetries = config.data.build()
        perturbed = self._perturbed(symmetries, config.seed)
        bench.save({PERTURBATION.name: rows_table(PERTURBATION, perturbed)})
        rows: list[dict[str, Any]] = []
        with bench.clock.stage("training"):
            for samples, noise, trial in product(self.samples, self.noise, range(self.draws)):
                if samples or not trial:
                    rows.append(bench.remember(f"{samples} samples, noise {noise}, draw {trial}", partial(
                        self._trained, symmetries, samples, noise, (config.seed, samples, trial))))
                    bench.save({RECOVERY.name: rows_table(RECOVERY, rows)})
        assert symmetries.dimensions is not None
        radius = robust_radius(Slots(symmetries.dimensions))
        return StudyResult(
            tables={PERTURBATION.name: rows_table(PERTURBATION, perturbed), RECOVERY.name: rows_table(RECOVERY, rows)},
            claims=claims_of(perturbed, rows), text=text_of(symmetries, radius, rows),
            numbers={"radius": radius, "half_factor": half_factor(perturbed), "trained": len(rows),
                     "recovered": sum(row["correct"] for row in rows),
                     "matched": sum(bool(row["matching_correct"]) for row in rows)})

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.harmonics.figures.robustness import plot_bound, plot_recovery  # Matplotlib

        for schema, draw in ((PERTURBATION, plot_bound), (RECOVERY, plot_recovery)):
            if schema.name in saved.tables and len(saved.tables[schema.name]):
                yield schema.name, draw(saved.tables[schema.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(RECOVERY.name)
        if table is None or not len(table):
            return None
        pairs = table[table["samples"].notna()]
        whole = table[table["samples"].isna()]
        words = [f"{int(part['correct'].sum())} of {len(part)} tables are right {how}" for part, how in (
            (whole, "from all inputs, over all noises"), (pairs, "from pairs")) if len(part)]
        if len(pairs):
            words.append(f"matching gives {int(pairs['matching_correct'].sum())} of these")
        right = bool(whole.loc[whole["noise"] <= SMALL_NOISE, "correct"].all())
        return Verdict("; ".join(words) + ".", "good" if right else "bad")

    def _perturbed(self, symmetries: Symmetries, seed: int) -> list[dict[str, Any]]:
        """Rows of perturbation.csv."""
        assert symmetries.table is not None
        exact = irreps(symmetries.table)
        slots = Slots(tuple(one.shape[1] for one in exact))
        loss = TotalLoss(PopulationLoss(slots, symmetries.moves), Orthogonality(slots))
        generator = np.random.default_rng(seed)
        rows = []
        for factor, trial in product(self.factors, range(self.trials)):
            error = factor * robust_radius(slots) * BELOW
            moved = [one + error * unit_errors(one.shape, generator) for one in exact]
            rows.append({"factor": factor, "error": error, "trial": trial,
                         "accuracy": accuracy(read_table(moved), symmetries.table),
                         "certificate": float(loss(weights_of(moved)[None])[0][0])})
        return rows

    def _trained(self, symmetries: Symmetries, samples: int, noise: float, seed: tuple[int, ...]) -> dict[str, Any]:
        """A row of recovery.csv."""
        from agfrun.labs.harmonics.baseline import table_by_matching  # SciPy's optimizers

        assert symmetries.dimensions is not None
        assert symmetries.table is not None
        slots = Slots(symmetries.dimensions)
        generator = np.random.default_rng(seed)
        start = slots.initial(self.restarts, generator)
        if not samples:
            found = fit(slots, symmetries.moves, start, invariance=PopulationLoss(slots, symmetries.moves, noise))
            matching: IntArray | None = None
        else:
            pairs = sampled_pairs(symmetries.moves, samples, noise, generator)
            found = fit(slots, symmetries.moves, start, invariance=SampleLoss(slots, *pairs))
            matching = table_by_matching(*pairs)
        best = int(np.argmin(found.objective))
        share = accuracy(read_table(representations_of(slots, found.weights[best])), symmetries.table)
        matched = None if matching is None else accuracy(matching, symmetries.table)
        return {"samples": samples or None, "noise": noise, "trial": seed[-1], "accuracy": share, "correct": share == 1,
                "certificate": float(found.certificates[best]), "matching_accuracy": matched,
                "matching_correct": None if matched is None else matched == 1}


def unit_errors(shape: tuple[int, ...], generator: np.random.Generator) -> ComplexArray:
    """Random complex matrices (n, d, d) of Frobenius norm 1."""
    drawn = generator.normal(size=shape) + 1j * generator.normal(size=shape)
    unit: ComplexArray = drawn / np.linalg.norm(drawn, axis=(1, 2), keepdims=True)
    return unit


def half_factor(rows: list[dict[str, Any]]) -> float | None:
    """The least error, in radii, at which at most half of the tables are right; None where there is none."""
    for factor in sorted({row["factor"] for row in rows}):
        right = [row["accuracy"] == 1 for row in rows if row["factor"] == factor]
        if sum(right) <= len(right) / 2:
            return float(factor)
    return None


def claims_of(perturbed: list[dict[str, Any]], trained: list[dict[str, Any]]) -> list[Claim]:
    """The bound, what noise does to all inputs, and to pairs."""
    bound = Statement("tables_within_the_radius", "irreps with errors", "errors of irreps below the radius leave every "
                      "entry of the table right", f"{OURS}; approximate invariance suffices by {HARMONICS}", "theorem")
    within = [row["accuracy"] for row in perturbed if row["factor"] <= 1]
    claims = [bound.decided(1.0, min(within), min(within) == 1, "integers") if within else bound.undecided(
        "no error of at most the radius was tried (study.factors)")]
    whole = [row for row in trained if row["samples"] is None and row["noise"] <= SMALL_NOISE]
    # It shifts the loss of orthogonal weights by a constant; the penalty gives way only in the order of noise^2.
    noise = Statement("noise_on_all_inputs_leaves_the_table", "training", f"noise of the inputs, up to {SMALL_NOISE:g} "
                      "of their size and averaged over all inputs, leaves the table right", OURS, "numerics")
    claims.append(noise.decided(len(whole), sum(row["correct"] for row in whole), all(row["correct"] for row in whole),
                                "integers") if whole else noise.undecided(
        f"no network had all inputs and noise of at most {SMALL_NOISE:g} (study.samples, study.noise)"))
    return [*claims, _noise_degrades(trained)]


def _noise_degrades(trained: list[dict[str, Any]]) -> Claim:
    statement = Statement("noise_degrades_recovery_from_pairs", "training", "of networks trained on pairs fewer have "
                          "the right table at the largest noise than at the least", HARMONICS, "numerics")
    pairs = [row for row in trained if row["samples"] is not None]
    levels = sorted({row["noise"] for row in pairs})
    if len(levels) < 2:
        return statement.undecided("one level of noise alone, or no pairs (study.noise, study.samples)")
    least, most = (sum(row["correct"] for row in pairs if row["noise"] == level) for level in (levels[0], levels[-1]))
    if not least:
        return statement.undecided(f"no table is right at noise {levels[0]:g} either")
    return statement.decided(f"below {least}", most, most < least, f"noise {levels[0]:g} against {levels[-1]:g}")


def text_of(symmetries: Symmetries, radius: float, rows: list[dict[str, Any]]) -> str:
    """The lines for the terminal: right tables by samples and noise, those of matching behind a stroke."""
    levels = sorted({row["noise"] for row in rows})
    lines = [f"{symmetries.name}: tables are right for errors of irreps below {radius:.3f}. Right tables by noise, "
             "network / matching:", f"{'pairs':>10}" + "".join(f"{level:>12g}" for level in levels)]
    for samples in dict.fromkeys(row["samples"] for row in rows):
        cells = []
        for level in levels:
            part = [row for row in rows if row["samples"] == samples and row["noise"] == level]
            right = f"{sum(row['correct'] for row in part)}"
            other = "-" if samples is None else f"{sum(row['matching_correct'] for row in part)}"
            cells.append(f"{right} / {other} of {len(part)}")
        lines.append(f"{samples or 'all':>10}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)
