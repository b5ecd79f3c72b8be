"""What activations leave free, put to the test on trained networks, and which representations notice it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.files.tables import empty_table, rows_table
from agfrun.labs.stitching.config import StitchingSettings
from agfrun.labs.stitching.invariance_claims import CHANGED, SCALED, UNCHANGED, UNMOVED, claims_of
from agfrun.labs.stitching.names import ACTIVATION_NAMES
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.labs.stitching.datasets.sides import Sides
    from agfrun.study.bench import Bench

INVARIANCE = Schema("invariance.csv", (
    Column("activation", "text", "of the hidden layers of a trained network"),
    Column("group", "text", "its intertwiner group"),
    Column("action", "text", "random elements that act on the weights around every hidden layer; signs and scalings "
           "with a permutation"),
    Column("in_group", "flag", "whether they are in the group, by theory"),
    Column("output_change", "number", "largest change of an output, over the largest output"),
    Column("transform", "text", "absolute, cosine or robust"),
    Column("representation_change", "number", "largest change of the transform of the latents, over its largest entry"),
    Column("accuracy", "number", "test accuracy of the network before"),
), "a row for each activation, action and transform")


@register("study")
@dataclass
class InvarianceStudy(Study):
    """Trained networks are acted upon by permutations, signs, scalings and rotations: outputs and representations.

    A network is trained for each of `activations`, on the first side of the data, without a transform.
    """

    name: str = "invariance"
    activations: list[str] = field(default_factory=lambda: list(ACTIVATION_NAMES))

    settings: ClassVar[type] = StitchingSettings
    tables = (INVARIANCE,)
    numbers = (
        Number("output_change", "largest change of an output by elements of the group", logarithmic=True),
        Number("robust_change", "largest change of robust representations by scaled permutations", logarithmic=True),
        Number("cosine_change", "largest change of cosines by the same", logarithmic=True),
    )
    key_names: ClassVar[Mapping[str, str]] = {"train.steps": "steps"}

    def check(self, config: StitchingSettings) -> None:
        """See `Study.check`."""
        for activation in self.activations:
            one_of("study.activations", activation, ACTIVATION_NAMES)
        require("study.activations", self.activations, len(set(self.activations)) == len(self.activations) >= 1,
                "at least one activation, each once")
        require("encoder.widths", config.encoder.widths, len(config.encoder.widths) >= 1,
                "at least one width with study=invariance: hidden layers are what is acted upon")
        require("encoder.activation", config.encoder.activation, config.encoder.activation == "relu",
                "left as it is with study=invariance: study.activations says which")
        require("dtype", config.dtype, config.dtype == "float64", "float64 with study=invariance: changes of 1e-12 "
                "count")

    def run(self, config: StitchingSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table invariance.csv."""
        with bench.clock.stage("data"):
            sides = config.data.build()
        rows: list[dict[str, Any]] = []
        bench.save({INVARIANCE.name: empty_table(INVARIANCE)})
        for activation in self.activations:
            with bench.clock.stage("train"):
                rows += bench.remember(activation, partial(self._measured, config, sides, bench, activation))
            bench.save({INVARIANCE.name: rows_table(INVARIANCE, rows)})
        table = rows_table(INVARIANCE, rows)
        return StudyResult(tables={INVARIANCE.name: table}, claims=claims_of(table), numbers=_numbers(table),
                           text=text_of(table), outcome=table)

    def _measured(self, config: StitchingSettings, sides: Sides, bench: Bench, activation: str) -> list[dict[str, Any]]:
        from agfrun.labs.stitching.symmetries import measure_symmetries  # torch, which help and plot do without

        return measure_symmetries(replace(config, encoder=replace(config.encoder, activation=activation)), sides, bench)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if INVARIANCE.name in saved.tables and len(saved.tables[INVARIANCE.name]):
            from agfrun.labs.stitching.figures.invariance import plot_invariance  # Matplotlib

            yield "invariance", plot_invariance(saved.tables[INVARIANCE.name])


def _numbers(table: pd.DataFrame) -> dict[str, float | None]:
    """The largest changes by elements of the groups; None where none was tried."""
    inside = table[table["in_group"]]
    scaled = inside[inside["action"].isin(SCALED)]
    by_transform = {name: part["representation_change"] for name, part in scaled.groupby("transform")}
    return {"output_change": float(inside["output_change"].max()),
            **{f"{name}_change": float(by_transform[name].max()) for name in ("robust", "cosine")}}


def text_of(table: pd.DataFrame) -> str:
    """The lines for the terminal: what changes, by activation and action."""
    wide = table.pivot_table(index=["activation", "action", "in_group", "output_change"], columns="transform",
                             values="representation_change", sort=False).reset_index()
    lines = [f"{'activation':<12}{'action':<18}{'in group':<10}{'outputs':>9}{'cosine':>10}{'robust':>10}"]
    for row in wide.to_dict("records"):
        lines.append(f"{row['activation']:<12}{row['action']:<18}{'yes' if row['in_group'] else 'no':<10}"
                     f"{row['output_change']:>9.0e}{row['cosine']:>10.0e}{row['robust']:>10.0e}")
    lines.append(f"unchanged: outputs below {UNCHANGED:g}, representations below {UNMOVED:g}; changed: above "
                 f"{CHANGED:g}")
    return "\n".join(lines)
