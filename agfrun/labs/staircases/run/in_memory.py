"""The tables and figures of a run that is held in memory: those that its folder would hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from agfrun.files import tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.dynamics.trajectory import Trajectory
    from agfrun.labs.staircases.run.pipeline import Result


def table_makers(result: Result, paths: Sequence[Trajectory]) -> dict[str, Callable[[], pd.DataFrame]]:
    """What makes each table of a run, by name, with these paths in place of all that it recorded."""
    from agfrun.labs.staircases.run.pipeline import endings

    makers: dict[tables.Schema, Callable[[], pd.DataFrame]] = {
        tables.LOSS: lambda: tables.loss_table(paths),
        tables.FEATURES: lambda: tables.features_table([path for path in paths if np.isfinite(path.features).any()]),
        tables.OBSERVABLES: lambda: tables.observables_table(paths),
        tables.NEURONS: lambda: tables.neurons_table(paths),
        tables.EVENTS: lambda: tables.events_table(result.events),
        tables.ENDINGS: lambda: tables.rows_table(tables.ENDINGS, endings(result.training, result.prediction)),
        tables.COMPARISON: lambda: tables.rows_table(tables.COMPARISON, result.comparison),
        tables.CLAIMS: lambda: tables.rows_table(tables.CLAIMS, result.claims),
    }
    return {schema.file.removesuffix(".csv"): make for schema, make in makers.items()}


def tables_of(result: Result) -> dict[str, pd.DataFrame]:
    """The tables of a run by name (`loss`, `features`, ..., `claims`), as they would be read back from its folder."""
    return {name: make() for name, make in table_makers(result, result.trajectories).items()}


def figures_of(result: Result) -> dict[str, Figure]:
    """The figures of a run by name, as they would be drawn into its folder."""
    from pathlib import Path

    from agfrun.files.saved_run import SavedRun
    from agfrun.labs.staircases.run.pipeline import parameters
    from agfrun.report.redraw import figures_of_run

    architecture, made = result.problem.architecture, tables_of(result)
    del made["claims"]
    return dict(figures_of_run(SavedRun(
        folder=result.output_dir or Path(), wording=architecture.wording,
        homogeneity_degree=architecture.homogeneity_degree, threshold=result.config.agf.threshold,
        arrays=parameters(result), **made)))
