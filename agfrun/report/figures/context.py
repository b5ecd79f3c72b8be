"""What all figures of one run share: words, colours and the time axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from agfrun.report.figures.style import NO_FEATURE_GREY, feature_colours

TIME_LABEL = "gradient-flow time"

# Over fewer decades the powers of ten alone leave an axis with a label or two.
_FEWEST_DECADES = 1.5


@dataclass(frozen=True)
class Wording:
    """How a model's features are called.

    Attributes:
        feature: what one feature is, for instance `frequency`.
        value: what its size in the network's output is; the label of that axis.
        homogeneity_degree: degree kappa of one neuron in its parameters, None if unknown.
        symbol: mathematical symbol with `{}` for the feature's label, or None.
    """

    feature: str
    value: str
    homogeneity_degree: int | None = None
    symbol: str | None = None

    def label(self, feature: str) -> str:
        """A feature's name in a figure."""
        return self.symbol.format(feature) if self.symbol else f"{self.feature} {feature}"


WORDINGS = {
    "quadratic_modadd": Wording("frequency", "output amplitude", 3),
    "diagonal_linear": Wording("coefficient", "coefficient", 2, r"$\beta_{{{}}}$"),
}
DEFAULT_WORDING = Wording("feature", "feature")


@dataclass(frozen=True)
class FigureContext:
    """Shared by the figures of one run.

    Attributes:
        wording: how features are called.
        colours: colour of each feature's label, the same in every panel.
        time_limits: ends of the (logarithmic) time axis.
    """

    wording: Wording
    colours: dict[str, str]
    time_limits: tuple[float, float]

    def colour(self, feature: object) -> str:
        """Colour of a feature, grey where there is none."""
        return self.colours.get(str(feature), NO_FEATURE_GREY)

    def set_time_axis(self, axes: Axes, label: bool = True) -> None:
        """Make the x axis the run's logarithmic time axis."""
        set_log_axis(axes, "x", self.time_limits)
        if label:
            axes.set_xlabel(TIME_LABEL)


def figure_context(
    model: str, loss: pd.DataFrame, features: pd.DataFrame, events: pd.DataFrame
) -> FigureContext:
    """The context of a run's figures from its model's name and its tables."""
    labels = [str(label) for label in features["feature"].dropna().unique()]
    labels += [label for label in map(str, events["feature"].dropna().unique()) if label not in labels]
    return FigureContext(
        WORDINGS.get(model, DEFAULT_WORDING), feature_colours(labels), time_limits(loss, events)
    )


def set_log_axis(axes: Axes, which: Literal["x", "y"], limits: tuple[float, float]) -> None:
    """Make an axis logarithmic between two positive limits, with enough labelled ticks, none crowded."""
    axes.set(**{f"{which}scale": "log", f"{which}lim": limits})
    axis = axes.xaxis if which == "x" else axes.yaxis
    if limits[1] / limits[0] < 10**_FEWEST_DECADES:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def of_source(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows of one source."""
    return frame[frame["source"] == source]


def time_limits(loss: pd.DataFrame, events: pd.DataFrame) -> tuple[float, float]:
    """Time axis from a little before the first drop to the end of what was recorded.

    Time zero and the long first plateau, on which nothing happens, would fill a logarithmic axis.
    """
    seen = loss[loss["source"] != "theory"]
    last = _largest(seen["time"])
    if last is None:
        return 0.1, 10.0
    first = _first_drop(seen, events)
    if first is None or first >= last:
        first = last
    return min(first / 4, last / 10), last * 1.05


def _first_drop(loss: pd.DataFrame, events: pd.DataFrame) -> float | None:
    times = events["time"][(events["time"] > 0) & (events["source"] != "theory")]
    for _, curve in loss.groupby("source"):
        fallen = curve["loss"] < 0.9 * curve["loss"].iloc[0]
        times = pd.concat([times, curve["time"][fallen & (curve["time"] > 0)].head(1)])
    times = times[np.isfinite(times)]
    return float(times.min()) if len(times) else None


def _largest(times: pd.Series) -> float | None:
    times = times[np.isfinite(times)]
    largest = float(times.max()) if len(times) else math.nan
    return largest if largest > 0 else None
