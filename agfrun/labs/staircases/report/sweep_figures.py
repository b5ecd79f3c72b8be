"""The figures of a sweep of runs: drop times over the scale, staircases over one another, and the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.drop_times import plot_drop_times
from agfrun.labs.staircases.report.figures.staircases import plot_staircases
from agfrun.labs.staircases.report.html.verdict import orders_agree
from agfrun.labs.staircases.report.scales import SCALES, log10_scales
from agfrun.report.saved_sweep import SavedSweep
from agfrun.report.sweep_figures import figures_of_numbers

_MOST_SCALES = 8
ORDER = "order_agrees"


def figures_of_sweep(saved: SavedSweep) -> Iterator[tuple[str, Figure]]:
    """Names and figures; those of which the tables are not there are left out."""
    saved = _with_orders(saved)
    return chain(_own_figures(saved), figures_of_numbers(saved))


def _with_orders(saved: SavedSweep) -> SavedSweep:
    """Runs of the first format do not say whether their order agrees, but do say what that follows from."""
    if ORDER in saved.runs:
        return saved
    agree = pd.Series(orders_agree(saved.runs), index=saved.runs.index).astype("boolean")
    return replace(saved, runs=saved.runs.assign(**{ORDER: agree}))


def _own_figures(saved: SavedSweep) -> Iterator[tuple[str, Figure]]:
    varied = saved.varied
    key = next((key for key in varied if key in SCALES), None)
    degree = saved.words.get("homogeneity_degree")
    comparison = saved.tables.get("comparison", pd.DataFrame())
    if key is not None and key in comparison:
        figure = plot_drop_times(saved, comparison, key, degree)
        if figure is not None:
            yield "drop_times", figure
    # Runs of different networks or data have no common staircase.
    if "loss" in saved.tables and len(saved.runs) > 1 and set(varied) <= set(SCALES):
        runs = saved.runs.assign(log10_init_scale=log10_scales(saved))
        if np.isfinite(runs["log10_init_scale"]).all() and runs["log10_init_scale"].nunique() <= _MOST_SCALES:
            loss = saved.tables["loss"]
            yield "staircases", plot_staircases(runs, loss[loss["run"].isin(runs["run"])], degree)
