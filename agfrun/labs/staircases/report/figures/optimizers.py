"""Which optimizers keep AGF's order of features: shares of runs, and when each feature comes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.context import set_log_axis
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_FEATURES_NAMED = 8


@styled()
def plot_optimizers(orders: pd.DataFrame, acquisitions: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw what the study `optimizers` found, a line for each variant.

    Left: the share of runs that keep the order, with its 95% interval. Right: when features are learned in every run;
    the colour says which place AGF predicts for it, so that an order that is kept goes from light to dark.

    Args:
        orders, acquisitions: the tables of the same names.
        names: words for the variants.
    """
    variants = list(orders["variant"])
    figure = new_figure(TEXT_WIDTH, 1.1 + 0.24 * len(variants))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2, 3])
    places = np.arange(len(variants))
    _draw_shares(left, orders, places)
    left.set_yticks(places, [names[variant] for variant in variants])
    left.set_ylim(len(variants) - 0.5, -0.5)
    _draw_acquisitions(right, acquisitions, {variant: place for place, variant in enumerate(variants)})
    settle(figure)
    return figure


def _draw_shares(axes: Axes, orders: pd.DataFrame, places: np.ndarray[tuple[int], np.dtype[np.int_]]) -> None:
    shares = orders["order_kept"].astype(float) / orders["runs"].where(orders["runs"] > 0).astype(float)
    reach = [shares - orders["lower"].astype(float), orders["upper"].astype(float) - shares]
    axes.axvline(0.5, color="0.7", linewidth=0.7, zorder=0)
    axes.errorbar(shares, places, xerr=np.clip(np.array(reach, dtype=float), 0, None), linestyle="", marker="o",
                  markersize=4, color=OKABE_ITO[0], elinewidth=1, gid="shares")
    axes.set_xlim(-0.05, 1.05)
    axes.set_xlabel("share of runs in AGF's order")


def _draw_acquisitions(axes: Axes, acquisitions: pd.DataFrame, places: Mapping[str, int]) -> None:
    known = acquisitions[acquisitions["predicted_place"].notna() & (acquisitions["step"] > 0)]
    axes.set_xlabel("step at which half of a feature is learned")
    if not len(known):
        return
    count = int(known["predicted_place"].max())
    colours = sequential_colours(count)
    named = sorted({round(place) for place in np.linspace(0, count - 1, min(count, _FEATURES_NAMED))})
    for feature in range(count):
        own = known[known["predicted_place"] == feature + 1]
        heights = own["variant"].map(places).astype(float) + (feature / max(count - 1, 1) - 0.5) * 0.5
        axes.plot(own["step"], heights, linestyle="", marker="o", markersize=3, markeredgewidth=0, alpha=0.8,
                  color=colours[feature], gid=f"place:{feature + 1}",
                  label=f"{feature + 1}" if feature in named else f"_{feature + 1}")
    steps = known["step"].astype(float)
    set_log_axis(axes, "x", (float(steps.min()) / 1.3, float(steps.max()) * 1.3))
    axes.legend(title="place in AGF's order", loc="lower left", bbox_to_anchor=(0.0, 1.0), title_fontsize=6.5,
                ncol=_FEATURES_NAMED, columnspacing=1.0, alignment="left")
