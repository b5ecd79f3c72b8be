"""Vega-Lite specifications of the charts, as plain mappings; data are named and come with the page.

Colours are CSS variables of the page wherever they are not a feature's own, so that light, dark and print
need no second drawing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agfrun.labs.staircases.sources import AGF, DECOUPLED, OWN_SIZE, THEORY, TRAINING
from agfrun.report.html.chart import Spec

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
TIME_TITLE = "gradient-flow time"

LINES: dict[str, dict[str, Any]] = {
    THEORY: {"stroke": "var(--theory)", "strokeWidth": 1},
    TRAINING: {"stroke": "var(--training)", "strokeWidth": 3.5},
    OWN_SIZE: {"stroke": "var(--own_size)", "strokeWidth": 1.4},
    AGF: {"stroke": "var(--agf)", "strokeWidth": 1.6, "strokeDash": [6, 3]},
    DECOUPLED: {"stroke": "var(--decoupled)", "strokeWidth": 2, "strokeDash": [2, 2]},
}
SHAPES = {TRAINING: "circle", AGF: "triangle-up", DECOUPLED: "triangle-down", OWN_SIZE: "square", THEORY: "diamond"}

Limits = tuple[float, float]

# A field that begins so holds decimal logarithms.
LOG10 = "log10_"

# Over so many decades powers of ten alone are ticks enough.
_DECADES_OF_WHOLE_TICKS = 2.0

_INK = "var(--ink)"
_CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": "var(--soft)", "titleColor": _INK, "domainColor": "var(--line)", "gridColor": "var(--grid)",
             "tickColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal",
             "gridOpacity": 1, "labelOverlap": True, "titlePadding": 6},
    "text": {"fill": _INK, "fontSize": 12},
}


def figure(layers: Sequence[Spec], height: int, params: Sequence[Spec] = ()) -> Spec:
    """A chart of layers that is as wide as the page lets it be."""
    spec = {"$schema": SCHEMA, "width": "container", "height": height, "config": _CONFIG,
            "autosize": {"type": "fit", "contains": "padding"}, "layer": list(layers)}
    return {**spec, "params": list(params)} if params else spec


def log_axis(field: str, title: str, limits: Limits | None) -> Spec:
    """A logarithmic axis."""
    scale = {"type": "log", "nice": False, **({"domain": list(limits)} if limits else {})}
    return {"field": field, "type": "quantitative", "scale": scale,
            "axis": {"title": title, "format": "~g", "tickCount": 6}}


def linear_axis(field: str, title: str, limits: Limits | None = None) -> Spec:
    """A linear axis; of a field of decimal logarithms the powers of ten are written at the ticks."""
    scale = {"type": "linear", "zero": False, "nice": False, **({"domain": list(limits)} if limits else {})}
    axis: Spec = {"title": title, "tickCount": 6}
    if field.startswith(LOG10):
        axis["labelExpr"] = ("abs(datum.value) > 4 ? '1e' + format(datum.value, '~g') : "
                             "format(pow(10, datum.value), '.2~g')")
        if limits and limits[1] - limits[0] > _DECADES_OF_WHOLE_TICKS:
            axis["tickMinStep"] = 1
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def shown(source: str) -> str:
    """The parameter that is true while a source is shown."""
    return f"show_{source}"


def show_parameters(sources: Sequence[str]) -> list[Spec]:
    """The parameters of `shown`."""
    return [{"name": shown(source), "value": True} for source in sources]


def only(source: str) -> list[Spec]:
    """Transform that keeps one source, while it is shown."""
    return [{"filter": f"{shown(source)} && datum.source == '{source}'"}]


def any_shown(sources: Sequence[str]) -> list[Spec]:
    """Transform that keeps all sources that are shown."""
    terms = [f"({shown(source)} && datum.source == '{source}')" for source in sources]
    return [{"filter": " || ".join(terms) or "false"}]


def pan_and_zoom() -> Spec:
    """Parameter: drag to pan, Ctrl and the wheel (or two fingers) to zoom, double click to go back."""
    return {"name": "zoom", "bind": "scales", "select": {
        "type": "interval", "zoom": "wheel![event.ctrlKey || event.shiftKey || event.metaKey]"}}


def nearest(name: str) -> Spec:
    """Parameter: the point nearest to the pointer."""
    return {"name": name, "select": {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}}


def hover_layer(data: str, x: Spec, y: Spec, tooltip: Spec, transform: Sequence[Spec] = ()) -> Spec:
    """Invisible points of which the one nearest to the pointer is shown with its numbers."""
    layer: Spec = {
        "data": {"name": data}, "params": [nearest("hover")],
        "mark": {"type": "point", "filled": True, "size": 60, "clip": True, "fill": _INK},
        "encoding": {"x": x, "y": y, "tooltip": tooltip,
                     "opacity": {"condition": {"param": "hover", "empty": False, "value": 1}, "value": 0}},
    }
    return {**layer, "transform": list(transform)} if transform else layer


def tooltip(**titles: str) -> Spec:
    """Encoding: what is said of the point under the pointer: titles by field, numbers to four digits.

    Vega-Lite's own lines of a tooltip say "undefined" of every text where the point nearest to the pointer is sought:
    what is drawn there is a cell around the point, and the row that it stands for lies one level deeper.
    """
    lines = (f"{_text(title)}: {_said(field)}" for field, title in titles.items())
    return {"value": {"expr": f"{{{', '.join(lines)}}}"}}


def _said(field: str) -> str:
    value = f"(datum.datum || datum)[{_text(field)}]"
    if field.startswith(LOG10):
        return f"format(pow(10, {value}), '.4~g')"
    return f"isNumber({value}) ? format({value}, '.4~g') : {value}"


def _text(text: str) -> str:
    """A text as an expression."""
    return json.dumps(text, ensure_ascii=False)


def own_colour() -> Spec:
    """Encoding: the colour that stands in the data."""
    return {"field": "colour", "type": "nominal", "scale": None, "legend": None}


def staircase(sources: Sequence[str], times: Limits, losses: Limits) -> Spec:
    """Loss over time: data `curves` (source, time, loss, learned), `drops`, `levels` (loss) and `bounds`."""
    x, y = log_axis("time", TIME_TITLE, times), log_axis("loss", "loss", losses)
    levels = {"data": {"name": "levels"}, "transform": [{"filter": shown("theory")}] if "theory" in sources else [],
              "mark": {"type": "rule", "stroke": "var(--theory)", "strokeWidth": 0.8, "strokeDash": [2, 2],
                       "clip": True},
              "encoding": {"y": y, "tooltip": tooltip(loss="theory level")}}
    lines: list[Spec] = [
        {"data": {"name": "curves"}, "transform": only(source), "mark": {"type": "line", "clip": True, **line},
         "encoding": {"x": x, "y": y}} for source, line in LINES.items() if source in sources]
    lines[0]["params"] = [pan_and_zoom()]
    hover = hover_layer("curves", x, y, tooltip(source="source", time="time", loss="level", learned="last learned"),
                        any_shown(sources))
    return figure([levels, *lines, _bounds(x, y), hover,
                   *_drops(sources, x, y)], 400, show_parameters(sources))


def _drops(sources: Sequence[str], x: Spec, y: Spec) -> list[Spec]:
    """Markers on the drops: shape by source, colour by feature; those of one source carry their names."""
    said = tooltip(source="source", what="drop", time="time", before="level before", after="level after")
    markers = [{"data": {"name": "drops"}, "transform": only(source),
                "mark": {"type": "point", "shape": SHAPES[source], "filled": True, "size": 90, "opacity": 1,
                         "stroke": "var(--paper)", "strokeWidth": 1, "clip": True},
                "encoding": {"x": x, "y": y, "fill": own_colour(), "tooltip": said}} for source in sources]
    return [*markers, _names("left", 9, x, y), _names("right", -9, x, y)]


def _names(side: str, offset: int, x: Spec, y: Spec) -> Spec:
    """Names of the drops whose text is aligned to one side of the marker."""
    return {"data": {"name": "drops"}, "transform": [{"filter": f"datum.label != null && datum.side == '{side}'"}],
            "mark": {"type": "text", "align": side, "dx": offset, "dy": -8, "clip": True},
            "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}, "fill": own_colour()}}


def _bounds(x: Spec, y: Spec) -> Spec:
    """Lower bounds of the time of a drop, as arrow heads that point to later times."""
    return {"data": {"name": "bounds"},
            "mark": {"type": "point", "shape": "triangle-right", "size": 70, "filled": False, "opacity": 1,
                     "clip": True},
            "encoding": {"x": x, "y": y, "stroke": own_colour(),
                         "tooltip": tooltip(what="lower bound", time="not before")}}


def race(data: str, field: str, title: str, times: Limits, heights: Limits, goal: float | None) -> Spec:
    """A line for each neuron: data of that name (time, neuron, piece, feature, colour) and the field, and a goal."""
    x, y = log_axis("time", TIME_TITLE, times), linear_axis(field, title, heights)
    said = tooltip(neuron="neuron", feature="points at", time="time", **{field: title})
    lines = {"data": {"name": data}, "mark": {"type": "line", "strokeWidth": 1.4, "clip": True},
             "encoding": {"x": x, "y": y, "stroke": own_colour(), "detail": {"field": "piece", "type": "nominal"}}}
    layers = [lines, hover_layer(data, x, y, said)]
    if goal is not None:
        layers.insert(0, {"data": {"values": [{field: goal}]},
                          "mark": {"type": "rule", "stroke": _INK, "strokeDash": [2, 2], "strokeWidth": 1},
                          "encoding": {"y": y}})
    return figure(layers, 220)


def features(sources: Sequence[str], times: Limits, values: Limits, title: str) -> Spec:
    """Features over time: data `features` (source, time, feature, value, colour)."""
    x, y = log_axis("time", TIME_TITLE, times), linear_axis("value", title, values)
    detail = {"field": "feature", "type": "nominal"}
    # Predictions in the colours of their sources, over the features' own.
    predicted = (OWN_SIZE, AGF, DECOUPLED)
    styles: dict[str, Spec] = {THEORY: {"strokeWidth": 0.8, "strokeDash": [2, 2]}, TRAINING: {"strokeWidth": 2.4},
                               **{source: LINES[source] for source in predicted}}
    lines: list[Spec] = [
        {"data": {"name": "features"}, "transform": only(source),
         "mark": {"type": "line", "clip": True, **styles[source]},
         "encoding": {"x": x, "y": y, "detail": detail, **({} if source in predicted else {"stroke": own_colour()})}}
        for source in styles if source in sources]
    lines[0]["params"] = [pan_and_zoom()]
    said = tooltip(source="source", feature="feature", time="time", value="size" if title == "feature" else title)
    hover = hover_layer("features", x, y, said, any_shown(sources))
    return figure([*lines, hover], 300, show_parameters(sources))


def overlaid(names: Sequence[str], clock: bool, title: str = "loss") -> Spec:
    """Staircases of several runs: data `curves` (run, source, shown, own_time, scaled_time, loss, colour).

    Args:
        names: parameters, one for each group of lines that can be switched.
        clock: whether the time axis can be changed to the accelerated one; the parameter `clock` chooses the field.
        title: of the loss axis.
    """
    chosen = "clock == 'scaled' ? datum.scaled_time : datum.own_time" if clock else "datum.own_time"
    keep = " || ".join(f"({name} && datum.shown == '{name}')" for name in names) or "false"
    transform: list[Spec] = [{"calculate": chosen, "as": "time"}, {"filter": f"({keep}) && datum.time > 0"}]
    x, y = log_axis("time", TIME_TITLE, None), log_axis("loss", title, None)
    lines: list[Spec] = [
        {"data": {"name": "curves"}, "transform": [*transform, {"filter": f"datum.source == '{source}'"}],
         "mark": {"type": "line", "clip": True, **style},
         "encoding": {"x": x, "y": y, "stroke": own_colour(), "detail": {"field": "run", "type": "nominal"}}}
        for source, style in (("training", {"strokeWidth": 2.2}),
                              ("prediction", {"strokeWidth": 1.3, "strokeDash": [6, 3]}))]
    lines[0]["params"] = [pan_and_zoom()]
    said = tooltip(run="run", source="source", time="time", loss="level")
    params: list[Spec] = [{"name": name, "value": True} for name in names]
    return figure([*lines, hover_layer("curves", x, y, said, transform)], 400,
                  [*params, {"name": "clock", "value": "own"}] if clock else params)


def scatter(ends: Limits) -> Spec:
    """Measured against predicted times: data `times` (run, feature, predicted, measured, colour), and the diagonal."""
    x, y = log_axis("predicted", "predicted time", ends), log_axis("measured", "measured time", ends)
    said = tooltip(run="run", feature="feature", predicted="predicted", measured="measured", ratio="ratio")
    diagonal = {"data": {"values": [{"predicted": end, "measured": end} for end in ends]},
                "mark": {"type": "line", "stroke": "var(--soft)", "strokeWidth": 1, "strokeDash": [2, 2]},
                "encoding": {"x": x, "y": y}}
    points = {"data": {"name": "times"}, "params": [pan_and_zoom()],
              "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.85, "clip": True},
              "encoding": {"x": x, "y": y, "fill": own_colour(), "tooltip": said}}
    return figure([diagonal, points], 380)
