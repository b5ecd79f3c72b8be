"""The default study: train one network, predict it, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.run.tables import TABLES
from agfrun.study.registry import register
from agfrun.study.study import Part, Saved, Study, StudyResult
from agfrun.study.table import Number
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

PREDICTED = "predicted_acquisitions"
NUMBERS = (
    Number("order_agrees", "share in predicted order", "flag", in_pages=False),
    Number(PREDICTED, "acquisitions that are predicted", "integer", in_figures=False, in_pages=False),
    Number("measured_acquisitions", "those of them that training shows", "integer", of=PREDICTED, in_figures=False,
           in_pages=False),
    Number("in_predicted_order", "drops in order", "integer", of=PREDICTED, in_figures=False),
    Number("worst_time_error", "worst error of a drop's time", is_share=True, logarithmic=True),
    Number("worst_level_error", "worst error of a level, of the drop", is_share=True, logarithmic=True),
)
KEY_NAMES = {"init.scale": "initialization scale", "init.log10_scale": "log10 of the initialization scale",
             "model.width": "width", "agf": "AGF", "model": "network"}


@register("study")
@dataclass
class CompareConfig(Study):
    """Training against AGF from one initialization; its tables are those of `staircases.run.tables`."""

    name: str = "compare"

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = NUMBERS
    ended = ("converged", "horizon")
    key_names = KEY_NAMES
    preload = ("agfrun.labs.staircases.ensemble.together",)
    together_keys = ("seed", "init.scale", "init.log10_scale")

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is an `agfrun.Result`."""
        from agfrun.labs.staircases.run.pipeline import compare_at  # torch

        return compare_at(config, bench)

    def run_together(self, parts: Sequence[Part], ended: Callable[[int, str], None]) -> bool:
        """See `Study.run_together`: one training of all of them, as one tensor program."""
        from agfrun.labs.staircases.ensemble.together import run_together  # torch

        run_together(parts, ended)
        return True

    def figures(self, saved: Saved) -> Iterable[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.run_figures import figures_of_run  # Matplotlib
        from agfrun.labs.staircases.report.saved import saved_run

        return figures_of_run(saved_run(saved))

    def page(self, saved: Saved) -> str:
        """See `Study.page`."""
        from agfrun.labs.staircases.report.html.run_page import run_page  # Matplotlib, by way of the charts
        from agfrun.labs.staircases.report.saved import saved_run

        return run_page(saved_run(saved))

    def verdict(self, saved: Saved) -> Verdict:
        """See `Study.verdict`."""
        from agfrun.labs.staircases.report.html.verdict import verdict_on_run  # pandas
        from agfrun.labs.staircases.report.saved import saved_run  # pandas

        return verdict_on_run(saved_run(saved))

    def sweep_figures(self, sweep: Any) -> Iterable[tuple[str, Figure]]:
        """See `Study.sweep_figures`."""
        from agfrun.labs.staircases.report.sweep_figures import figures_of_sweep  # Matplotlib

        return figures_of_sweep(sweep)

    def sweep_verdict(self, runs: pd.DataFrame) -> Verdict | None:
        """See `Study.sweep_verdict`."""
        from agfrun.labs.staircases.report.html.verdict import sweep_verdict  # pandas

        return sweep_verdict(runs)

    def sweep_text(self, runs: pd.DataFrame) -> str:
        """See `Study.sweep_text`."""
        from agfrun.labs.staircases.report.terminal import sweep_text  # pandas

        return sweep_text(runs)

    def charts(self, runs: Sequence[tuple[str, Saved]]) -> Sequence[Any]:
        """See `Study.charts`: staircases over one another, measured against predicted times."""
        from agfrun.labs.staircases.report.html.several_charts import several_charts  # Matplotlib, by way of the axes
        from agfrun.labs.staircases.report.saved import saved_run

        return several_charts([(name, saved_run(saved)) for name, saved in runs if "loss" in saved.tables])

    def series(self, saved: Saved) -> Iterator[tuple[str, int, float]]:
        """See `Study.series`: the loss row by row, events and their comparison by number."""
        from agfrun.labs.staircases.report.saved import saved_run
        from agfrun.labs.staircases.report.series import series_of  # pandas

        return series_of(saved_run(saved))
