"""Plateaus of real training, labelled: which subnetwork is active, and what critical point it is near."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.files.tables import rows_table
from agfrun.labs.neuromanifolds.arithmetic.prime_field import NOT_INSTALLED
from agfrun.labs.neuromanifolds.plateaus.claims import claims_of
from agfrun.labs.neuromanifolds.plateaus.table import MINIMUM, PLATEAUS, UNDECIDED
from agfrun.labs.staircases import LOSS, RunConfig
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Number
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench


class _Labels(Study):
    """What the study does: apart from its keys, one of which is called as `run` is."""

    settings: ClassVar[type] = RunConfig
    tables = (PLATEAUS, LOSS)
    numbers = (
        Number("plateaus", "plateaus", "integer"),
        Number("saddles", "plateaus that are saddles", "integer", of="plateaus", in_figures=False),
        Number("minima", "plateaus that are minima", "integer", of="plateaus", in_figures=False),
        Number("largest_gradient", "largest gradient left at a critical point", logarithmic=True, in_figures=False),
    )
    key_names = {"init.scale": "initialization scale", "model.width": "width"}

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` are the rows of plateaus.csv."""
        from agfrun.labs.neuromanifolds.plateaus import run as runs  # torch
        from agfrun.labs.neuromanifolds.plateaus.labelled import closed_forms_of, label_run  # the same

        folder = _folder_of(config)
        labelled = runs.saved_run(folder) if folder else runs.trained_run(config, bench)
        loss = labelled.tables[LOSS.name]
        bench.save({LOSS.name: loss})
        with bench.clock.stage("label"):
            rows = label_run(labelled, config.seed, bench)
        table = rows_table(PLATEAUS, rows)
        bench.save({PLATEAUS.name: table})
        minima = sum(row["verdict"] == MINIMUM for row in rows)
        return StudyResult(
            tables={PLATEAUS.name: table, LOSS.name: loss},
            claims=claims_of(rows, closed_forms_of(labelled.architecture, rows),
                             labelled.architecture.homogeneity_degree),
            numbers={"plateaus": len(rows), "minima": minima,
                     "saddles": len(rows) - minima - sum(row["verdict"] == UNDECIDED for row in rows),
                     "largest_gradient": max(row["gradient"] for row in rows)},
            text=text_of(labelled.config, rows), provenance=labelled.provenance, outcome=rows)


@register("study")
@dataclass
class PlateausStudy(_Labels):
    """Label each plateau of a training: active subnetwork, ranks, Hessian, utility, minimum or saddle.

    `run` is the folder of a finished run of study=compare; without one the configured network is trained.
    """

    name: str = "plateaus"
    run: str | None = field(default_factory=lambda: None)  # type: ignore[assignment]

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        if find_spec("flint") is None:
            raise ConfigError("study", self.name, NOT_INSTALLED)
        folder = _folder_of(config)
        if folder is not None:
            from agfrun.labs.neuromanifolds.plateaus.run import check_folder  # torch

            require("study.run", folder, bool(folder.strip()), "the folder of a finished run, or null to train here")
            check_folder(folder)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if PLATEAUS.name in saved.tables and len(saved.tables[PLATEAUS.name]):
            from agfrun.labs.neuromanifolds.figures.plateaus import plot_plateaus  # Matplotlib

            yield "staircase", plot_plateaus(saved.tables[LOSS.name], saved.tables[PLATEAUS.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(PLATEAUS.name)
        if table is None or not len(table):
            return None
        counts = table["verdict"].value_counts()
        words = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
        return Verdict(f"{len(table)} plateaus, each beside a critical point: {words}; active neurons "
                       f"{', '.join(str(count) for count in table['active'])}.".replace("minimums", "minima"),
                       "open" if UNDECIDED in counts else "good")


def _folder_of(config: RunConfig) -> str | None:
    """The folder that is labelled, if any."""
    folder: str | None = getattr(config.study, "run", None)
    return folder


def text_of(config: RunConfig, rows: list[dict[str, Any]]) -> str:
    """The lines for the terminal."""
    lines = [f"plateaus of model={config.model.name} on data={config.data.name}, each at the critical point beside it",
             f"{'':>3}{'loss':>12}{'active':>8}{'rank':>6}{'of':>5}{'neg':>6}{'zero':>6}{'pos':>6}{'utility':>10}  "
             "verdict"]
    for row in rows:
        generic = "" if row["generic_rank"] is None else row["generic_rank"]
        utility = "" if row["utility"] is None else f"{row['utility']:.4g}"
        lines.append(f"{row['plateau']:>3}{row['loss']:>12.5g}{row['active']:>8}{row['rank']:>6}{generic:>5}"
                     f"{row['negative']:>6}{row['zero']:>6}{row['positive']:>6}{utility:>10}  {row['verdict']}, "
                     f"{row['purity']}")
    return "\n".join(lines)
