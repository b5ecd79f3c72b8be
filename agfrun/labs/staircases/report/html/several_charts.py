"""The charts of a page of several runs: staircases over one another, measured against predicted times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from agfrun.labs.staircases.report.figures.context import of_prediction, of_source
from agfrun.labs.staircases.report.figures.staircase import loss_limits, theory_levels
from agfrun.labs.staircases.report.figures.staircases import time_unit
from agfrun.labs.staircases.report.html import specs
from agfrun.labs.staircases.report.html.run_charts import context_of, feature_name, thinned_curve
from agfrun.labs.staircases.report.saved import SavedRun
from agfrun.labs.staircases.report.scales import log10_scale
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import OKABE_ITO
from agfrun.report.html.chart import Chart, Toggle
from agfrun.report.html.columns import columns

# Points of all staircases together: about 300 kB in the page.
_ALL_POINTS = 8000
_MOST_POINTS = 400
_MOST_TOGGLES = 24

NamedRun = tuple[str, SavedRun]


def several_charts(runs: Sequence[NamedRun]) -> list[Chart]:
    """The charts, without those that have nothing to show."""
    if not runs:
        return []
    colours = OKABE_ITO[: len(runs)] if len(runs) <= len(OKABE_ITO) else sequential_colours(len(runs))
    charts = [_staircases(runs, colours)]
    scatter = _scatter(runs, colours)
    return [*charts, scatter] if scatter else charts


def _staircases(runs: Sequence[NamedRun], colours: Sequence[str]) -> Chart:
    switched = len(runs) <= _MOST_TOGGLES
    parameters = [f"run_{place}" if switched else "run_0" for place in range(len(runs))]
    most = max(60, min(_MOST_POINTS, _ALL_POINTS // (2 * len(runs))))
    parts = [_curves(name, run, parameter, colour, most)
             for (name, run), parameter, colour in zip(runs, parameters, colours, strict=True)]
    curves = pd.concat(parts, ignore_index=True)
    units = [accelerated_unit(run) for _, run in runs]
    clock = all(math.isfinite(unit) and unit > 0 for unit in units) and len(set(units)) > 1
    scale = np.repeat(units, [len(part) for part in parts])
    curves = curves.assign(scaled_time=curves["own_time"] / scale if clock else curves["own_time"])
    toggles = [Toggle(parameter, name, "solid", colour)
               for parameter, (name, _), colour in zip(parameters, runs, colours, strict=True)] if switched else []
    choices = {"clock": [("as it is", "own"), ("in units of the growth from the initialization scale", "scaled")]}
    return Chart("staircases", "Staircases: training solid, prediction dashed",
                 "Loss over gradient-flow time of all runs, both logarithmic; training solid and the prediction "
                 "dashed in the colour of the run.", specs.overlaid(list(dict.fromkeys(parameters)), clock),
                 {"curves": columns(curves)}, toggles, ("time", "loss"),
                 choices=choices if clock else {})


def _curves(name: str, saved: SavedRun, parameter: str, colour: str, most: int) -> pd.DataFrame:
    context = context_of(saved)
    low, _ = loss_limits(saved.loss, theory_levels(saved.loss, saved.events))
    parts = []
    for side, of in (("training", partial(of_source, source="training")), ("prediction", of_prediction)):
        curve = thinned_curve(of(saved.loss), of(saved.events), most)
        curve = curve[(curve["time"] >= context.time_limits[0]) & (curve["time"] <= context.time_limits[1])]
        parts.append(pd.DataFrame({"run": name, "source": side, "shown": parameter, "own_time": curve["time"],
                                   "loss": np.maximum(curve["loss"], low), "colour": colour}))
    return pd.concat(parts, ignore_index=True)


def accelerated_unit(run: SavedRun) -> float:
    """The time in which a neuron grows from the run's initialization scale, up to a common factor.

    That is log(1 / scale) at homogeneity degree 2 and scale^(2 - degree) beyond; NaN where it is not known.
    """
    exponent, degree = log10_scale(run.config), run.homogeneity_degree
    if degree is None or not math.isfinite(exponent):
        return math.nan
    with np.errstate(over="ignore"):
        return float(time_unit(np.array(exponent), degree))


def _scatter(runs: Sequence[NamedRun], colours: Sequence[str]) -> Chart | None:
    parts = []
    for (name, run), colour in zip(runs, colours, strict=True):
        table, context = of_prediction(run.comparison), context_of(run)
        rows = table[(table["kind"] == "acquisition") & (table["time_predicted"] > 0) & (table["time_training"] > 0)]
        rows = rows[np.isfinite(rows["time_predicted"]) & np.isfinite(rows["time_training"])]
        parts.append(pd.DataFrame({
            "run": name, "feature": [feature_name(context, label) for label in rows["feature"]],
            "predicted": rows["time_predicted"], "measured": rows["time_training"], "ratio": rows["time_ratio"],
            "colour": colour}))
    times = pd.concat(parts, ignore_index=True)
    if not len(times):
        return None
    both = times[["predicted", "measured"]].to_numpy(dtype=float)
    return Chart("times", "Drop times: measured against predicted",
                 "A point for each acquisition of each run in the colour of the run; on the dotted diagonal the "
                 "prediction is exact.", specs.scatter((float(both.min()) / 1.5, float(both.max()) * 1.5)),
                 {"times": columns(times)}, (), ("predicted", "measured"))
