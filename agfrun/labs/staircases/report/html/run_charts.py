"""The charts of a run's page: staircase, neurons, features."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context, of_source
from agfrun.labs.staircases.report.figures.neurons import utility_to_threshold
from agfrun.labs.staircases.report.figures.staircase import loss_limits, theory_levels
from agfrun.labs.staircases.report.html import specs
from agfrun.labs.staircases.report.saved import SavedRun
from agfrun.labs.staircases.sources import AGF, DECOUPLED, NAMES, OWN_SIZE, THEORY, TRAINING
from agfrun.report.html.chart import Chart, Toggle
from agfrun.report.html.columns import columns, log_times, thin

MOST_POINTS = 700
MOST_NEURONS = 40
LARGEST_NEURONS = 30
NEURON_POINTS = 80
MOST_FEATURES = 24
FEATURE_VALUES = 9000

# Beyond this share of the time axis a name stands to the left of its drop.
_LATE = 0.75

# In the order of the legend.
_LINES = {TRAINING: "solid", AGF: "dashed", DECOUPLED: "dotted", OWN_SIZE: "thin", THEORY: "thin"}


def context_of(saved: SavedRun) -> FigureContext:
    """Words, colours and time axis, as in the run's figures."""
    return figure_context(saved.wording, saved.homogeneity_degree, saved.loss, saved.features, saved.events)


def feature_name(context: FigureContext, feature: object) -> str:
    """A feature in words; the figures' symbols are TeX, which a page cannot show."""
    return f"{context.wording.feature} {feature}"


def toggles(sources: list[str]) -> list[Toggle]:
    """A switch for each source."""
    return [Toggle(specs.shown(source), NAMES[source], _LINES[source], f"var(--{source})") for source in sources]


def sources_of(table: pd.DataFrame) -> list[str]:
    """Sources of a table in the order of the legend."""
    present = set(table["source"].dropna())
    return [source for source in _LINES if source in present]


def staircase_chart(saved: SavedRun, context: FigureContext) -> Chart:
    """Loss over time with all events of all sources."""
    levels = theory_levels(saved.loss, saved.events)
    limits = loss_limits(saved.loss, levels)
    sources = sources_of(saved.loss)
    tables = {
        "curves": columns(_curves(saved, context, sources)),
        "drops": columns(_drops(saved, context, limits)),
        "levels": columns(pd.DataFrame({"loss": levels[levels > limits[0]]})),
        "bounds": columns(_bounds(saved, context, limits)),
    }
    description = ("Loss over gradient-flow time, both logarithmic: training as a grey line, AGF dashed, the "
                   "decoupled flow dotted, own-size steps and theory thin. Markers stand on the drops in the colour of "
                   "the feature that is learned. The "
                   "table of events holds the same numbers.")
    return Chart("staircase", "Staircase of the loss", description,
                 specs.staircase(sources, context.time_limits, limits), tables, toggles(sources), ("time", "loss"))


def _curves(saved: SavedRun, context: FigureContext, sources: list[str]) -> pd.DataFrame:
    parts = [thinned_curve(of_source(saved.loss, source), of_source(saved.events, source), MOST_POINTS)
             for source in sources]
    shown = pd.concat([_learned(part, of_source(saved.events, source), context)
                       for part, source in zip(parts, sources, strict=True)])
    return shown[["source", "time", "loss", "learned"]]


def thinned_curve(curve: pd.DataFrame, events: pd.DataFrame, most: int) -> pd.DataFrame:
    """Finite rows of a loss curve, thinned along its length with all events kept.

    Time zero, which a logarithmic axis has no place for, stands far before the first moment.
    """
    curve = curve[np.isfinite(curve["time"]) & (curve["loss"] > 0) & np.isfinite(curve["loss"])]
    if not len(curve):
        return curve
    logs = log_times(curve["time"].to_numpy())
    happened = events["time"][np.isfinite(events["time"]) & (events["time"] > 0)].to_numpy()
    rows = thin(logs, np.log(curve["loss"].to_numpy()), most, np.log(happened))
    return curve.iloc[rows].assign(time=np.exp(logs[rows]))


def _learned(curve: pd.DataFrame, events: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """The curve with the feature that was acquired last at each moment."""
    acquired = events[(events["kind"] == "acquisition") & np.isfinite(events["time"])].sort_values("time")
    names = np.array(["nothing", *(feature_name(context, name) for name in acquired["feature"])], dtype=object)
    return curve.assign(learned=names[np.searchsorted(acquired["time"].to_numpy(), curve["time"], side="right")])


def _drops(saved: SavedRun, context: FigureContext, limits: specs.Limits) -> pd.DataFrame:
    events = saved.events[np.isfinite(saved.events["time"]) & (saved.events["time"] > 0)]
    # A neuron's activation stands for the drop only where nothing is said of the feature.
    acquired = events.groupby("source")["kind"].transform(lambda kinds: (kinds == "acquisition").any())
    events = events[(events["kind"] == "acquisition") | ~acquired.astype(bool) & (events["kind"] != "drop")]
    named = "training" if (events["source"] == "training").any() else saved.main
    first, last = map(math.log, context.time_limits)
    late = first + _LATE * (last - first)
    rows = [{
        "source": row["source"], "time": row["time"], "loss": _middle(row["loss_before"], row["loss_after"], limits),
        "before": row["loss_before"], "after": row["loss_after"], "colour": context.colour(row["feature"]),
        "what": f"{row['kind']} of {context.wording.label(str(row['feature']))}",
        "label": feature_name(context, row["feature"]) if row["source"] == named else None,
        "side": "right" if math.log(row["time"]) > late else "left",
    } for row in events.to_dict("records")]
    names = ["source", "time", "loss", "before", "after", "colour", "what", "label", "side"]
    return pd.DataFrame(rows, columns=names)


def _bounds(saved: SavedRun, context: FigureContext, limits: specs.Limits) -> pd.DataFrame:
    rows = saved.comparison[saved.comparison["source"] == saved.main]
    rows = rows[(rows["kind"] == "acquisition") & np.isfinite(rows["lower_bound"])]
    return pd.DataFrame([{
        "time": row["lower_bound"], "loss": _middle(math.nan, row["level_predicted"], limits),
        "colour": context.colour(row["feature"]), "what": feature_name(context, row["feature"]),
    } for row in rows.to_dict("records")], columns=["time", "loss", "colour", "what"])


def _middle(before: float, after: float, limits: specs.Limits) -> float:
    """Geometric mean of the levels around a drop within the axis."""
    low, high = limits
    known = [min(max(level, low), high) for level in (before, after) if math.isfinite(level)]
    return math.sqrt(known[0] * known[-1]) if known else low


def neuron_charts(saved: SavedRun, context: FigureContext) -> tuple[list[Chart], str]:
    """Norm and accumulated utility of each neuron, by source; and what is left out, in words."""
    if not len(saved.neurons):
        return [], ""
    utility = utility_to_threshold(saved.neurons, saved.homogeneity_degree, saved.threshold)
    table = saved.neurons.assign(utility=utility)
    table = table[np.isfinite(table["time"])]
    kept, note = chosen_neurons(table)
    table = table[table["neuron"].isin(kept)]
    charts = []
    for source in sources_of(table):
        rows = of_source(table, source)
        pieces = _pieces(rows, context)
        charts += [_race(source, "log10_norm", "norm", rows, pieces, saved, context),
                   _race(source, "utility", "accumulated utility", rows, pieces, saved, context)]
    order = {"log10_norm": 0, "utility": 1}
    return sorted(charts, key=lambda chart: order[chart.name.split("-")[1]]), note


def chosen_neurons(table: pd.DataFrame) -> tuple[list[int], str]:
    """The neurons that are drawn: all, or those that grow largest and some of the others."""
    peak = table.groupby("neuron")["log10_norm"].max().sort_values(ascending=False, kind="stable")
    ranked = [int(neuron) for neuron in peak.index]
    if len(ranked) <= MOST_NEURONS:
        return ranked, ""
    rest = ranked[LARGEST_NEURONS:]
    places = np.linspace(0, len(rest) - 1, MOST_NEURONS - LARGEST_NEURONS).round().astype(int)
    note = (f"{MOST_NEURONS} of {len(ranked)} neurons are drawn: the {LARGEST_NEURONS} that grow largest, and "
            f"{MOST_NEURONS - LARGEST_NEURONS} of the others spread evenly over their order by size.")
    return [*ranked[:LARGEST_NEURONS], *(rest[place] for place in places)], note


def _pieces(rows: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """Thinned lines, cut where a neuron turns to another feature; neighbouring pieces share a point."""
    labels = rows["direction_feature"].fillna("").astype(object).to_numpy()
    logs = log_times(rows["time"].to_numpy())
    heights = rows["log10_norm"].to_numpy()
    taken, pieces, shown = [], [], []
    for neuron, places in sorted(rows.groupby("neuron", sort=False).indices.items()):
        turns = np.flatnonzero(labels[places][1:] != labels[places][:-1]) + 1
        moments = logs[places][turns] if len(turns) < NEURON_POINTS else ()
        line = places[thin(logs[places], heights[places], NEURON_POINTS, moments)]
        cuts = [0, *(np.flatnonzero(labels[line][1:] != labels[line][:-1]) + 1), len(line)]
        for number, (start, end) in enumerate(zip(cuts, cuts[1:], strict=False)):
            piece = line[start : end + 1]
            taken.append(piece)
            pieces += [f"{neuron}.{number}"] * len(piece)
            shown += [labels[line[start]]] * len(piece)
    order = np.concatenate(taken)
    names = {label: feature_name(context, label) if label else "none" for label in set(shown)}
    table = rows.iloc[order][["neuron", "log10_norm", "utility"]]
    return table.assign(time=np.exp(logs[order]), piece=pieces, feature=[names[label] for label in shown],
                        colour=[context.colour(label) for label in shown])


def _race(source: str, field: str, quantity: str, rows: pd.DataFrame, pieces: pd.DataFrame, saved: SavedRun,
          context: FigureContext) -> Chart:
    relative = saved.homogeneity_degree is not None
    is_norm = field == "log10_norm"
    goal = math.log10(saved.threshold) if is_norm else 1.0 if relative else None
    title = "neuron norm" if is_norm else "accumulated utility" + (" / threshold" if relative else "")
    values = limits_of(rows[field], (-math.inf, math.log10(100 * saved.threshold)) if is_norm
                          else (-1.0, 1.5) if relative else (-math.inf, math.inf), goal)
    spec = specs.race(f"race-{source}", field, title, context.time_limits, values, goal)
    return Chart(f"neurons-{field}-{source}", f"{NAMES[source]}: {quantity}",
                 f"The {quantity} of each neuron over time in {NAMES[source]}, in the colour of the feature that the "
                 "neuron points at; the dotted line is the threshold.", spec, {f"race-{source}": columns(pieces)},
                 legend=_legend(pieces))


def _legend(drawn: pd.DataFrame) -> list[tuple[str, str]]:
    """Name and colour of the features that are drawn, in the order of the run's own."""
    pairs = drawn[["feature", "colour"]].drop_duplicates()
    return [(str(name), str(colour)) for name, colour in pairs.itertuples(index=False)]


def limits_of(values: pd.Series, most: specs.Limits, goal: float | None) -> specs.Limits:
    """Axis limits around the finite values within `most`, with the goal inside and a small margin."""
    finite = values[np.isfinite(values)].clip(*most)
    ends = [float(finite.min()), float(finite.max())] if len(finite) else [0.0]
    ends += [goal] if goal is not None else []
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def feature_chart(saved: SavedRun, context: FigureContext) -> tuple[Chart | None, str]:
    """Features over time, and what is left out, in words."""
    table = saved.features[np.isfinite(saved.features["value"]) & np.isfinite(saved.features["time"])]
    if not len(table):
        return None, ""
    peak = table.assign(size=table["value"].abs()).groupby("feature")["size"].max().sort_values(ascending=False)
    note = "" if len(peak) <= MOST_FEATURES else f"The {MOST_FEATURES} largest of {len(peak)} features are drawn."
    table = table[table["feature"].isin(peak.index[:MOST_FEATURES])]
    sources = sources_of(table)
    most = max(60, FEATURE_VALUES // (table["feature"].nunique() * len(sources)))
    parts = []
    for _, curve in table.groupby(["source", "feature"], sort=False):
        logs = log_times(curve["time"].to_numpy())
        rows = thin(logs, curve["value"].to_numpy(), most)
        parts.append(curve.iloc[rows].assign(time=np.exp(logs[rows])))
    shown = pd.concat(parts)
    shown = shown.assign(colour=shown["feature"].map(context.colour),
                         feature=shown["feature"].map(lambda name: feature_name(context, name)))
    settled = shown["value"][shown["source"] != "training"]
    # Training's own path counts only alone: a diverging one must not flatten the others.
    values = limits_of(settled if len(settled) else shown["value"], (-math.inf, math.inf), 0.0)
    spec = specs.features(sources, context.time_limits, values, context.wording.value)
    description = "The size of each feature in the network's output over time, training solid in the feature's colour."
    return Chart("features", "Features", description, spec, {"features": columns(shown)}, toggles(sources),
                 ("time", "value"), legend=_legend(shown)), note
