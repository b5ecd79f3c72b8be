"""What all figures of one run share: words, colours and the time axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from agfrun.labs.staircases.sources import AGF, DECOUPLED, NAMES, OWN_SIZE, THEORY, main_of
from agfrun.labs.staircases.wording import Wording
from agfrun.report.figures.style import NO_FEATURE_GREY, OKABE_ITO, feature_colours

TIME_LABEL = "gradient-flow time"
# Of the rungs of the ladder, wherever they stand beside one another.
RUNG_COLOURS = {THEORY: OKABE_ITO[2], OWN_SIZE: OKABE_ITO[1], AGF: "black", DECOUPLED: OKABE_ITO[0]}
# A prediction that outlives training is shown to this multiple of its last event.
LAST_EVENT = 1.2

# Over fewer decades the powers of ten alone leave an axis with a label or two.
_FEWEST_DECADES = 1.5


@dataclass(frozen=True)
class FigureContext:
    """Shared by the figures of one run.

    Attributes:
        wording: how features are called.
        homogeneity_degree: degree kappa of one neuron in its parameters, None if unknown.
        colours: colour of each feature's label, the same in every panel.
        time_limits: ends of the (logarithmic) time axis.
    """

    wording: Wording
    homogeneity_degree: int | None
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
    wording: Wording, homogeneity_degree: int | None, loss: pd.DataFrame, features: pd.DataFrame,
    events: pd.DataFrame,
) -> FigureContext:
    """The context of a run's figures from its words and its tables."""
    labels = [str(label) for label in features["feature"].dropna().unique()]
    labels += [label for label in map(str, events["feature"].dropna().unique()) if label not in labels]
    return FigureContext(
        wording, homogeneity_degree, feature_colours(labels), time_limits(loss, events)
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


def typical_run(curves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The one of several curves (S, T) on common times that is nearest to all others: their medoid, (T,).

    A pointwise median of staircases rests on levels that no run has, wherever drops of several runs overlap.
    """
    finite = np.nan_to_num(curves)
    distances = [np.abs(finite - curve).mean(axis=1).sum() for curve in finite]
    return np.asarray(curves[int(np.argmin(distances))])


def of_prediction(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the main prediction, run by run where there are several; all where they do not say whose they are."""
    if "source" not in frame or frame["source"].isna().all():
        return frame
    if "run" in frame:
        mains = frame.groupby("run")["source"].agg(lambda words: main_of(words.drop_duplicates()))
        return frame[frame["source"] == frame["run"].map(mains)]
    return of_source(frame, main_of(frame["source"].drop_duplicates()))


def prediction_name(frame: pd.DataFrame) -> str:
    """How legends call the main prediction of a table; AGF where it does not say whose it is."""
    return NAMES[main_of(frame["source"].drop_duplicates() if "source" in frame else ())]


def time_limits(loss: pd.DataFrame, events: pd.DataFrame) -> tuple[float, float]:
    """Time axis from a little before the first drop to the end of training, or to the last event if that is later.

    Time zero and the long first plateau, on which nothing happens, would fill a logarithmic axis, and so would
    the time that a prediction spends waiting for one more event.
    """
    seen = loss[~loss["source"].isin((THEORY, OWN_SIZE))]
    happened = events["time"][events["source"] != THEORY]
    trained = _largest(of_source(loss, "training")["time"])
    last = _largest(seen["time"]) if trained is None else max(trained, LAST_EVENT * (_largest(happened) or 0.0))
    if last is None:
        return 0.1, 10.0
    first = _first_drop(seen, events)
    if first is None or first >= last:
        first = last
    return min(first / 4, last / 10), last * 1.05


def _first_drop(loss: pd.DataFrame, events: pd.DataFrame) -> float | None:
    times = events["time"][(events["time"] > 0) & (events["source"] != THEORY) & (events["kind"] != "drop")]
    for _, curve in loss.groupby("source"):
        fallen = curve["loss"] < 0.9 * curve["loss"].iloc[0]
        times = pd.concat([times, curve["time"][fallen & (curve["time"] > 0)].head(1)])
    times = times[np.isfinite(times)]
    return float(times.min()) if len(times) else None


def _largest(times: pd.Series) -> float | None:
    times = times[np.isfinite(times)]
    largest = float(times.max()) if len(times) else math.nan
    return largest if largest > 0 else None
