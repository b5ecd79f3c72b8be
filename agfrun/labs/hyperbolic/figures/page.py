"""The page of a run: that of any study, and the Delaunay graph in a disk whose points say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from agfrun.labs.hyperbolic.figures.disk import geodesics
from agfrun.labs.hyperbolic.plane import EDGES, POINTS
from agfrun.report.figures.style import feature_colours
from agfrun.report.html.chart import Chart, Spec
from agfrun.report.html.columns import columns
from agfrun.report.html.study_page import study_page

if TYPE_CHECKING:
    from agfrun.study.study import Saved, Study

# Of a page that opens at once: more points are a picture alone, more edges are left out.
_MOST_POINTS, _MOST_EDGES = 4000, 3000
# Points on an arc.
_STEPS = 9
_BETWEEN = "var(--soft)"


def page_with_disk(study: Study, saved: Saved) -> str:
    """The page of a run; with a disk if its points are of a plane."""
    points, edges = saved.tables.get(POINTS.name), saved.tables.get(EDGES.name)
    if points is None or edges is None or not 0 < len(points) <= _MOST_POINTS:
        return study_page(study, saved)
    return study_page(study, saved, [disk_chart(points, edges)])


def disk_chart(points: pd.DataFrame, edges: pd.DataFrame) -> Chart:
    """The interactive chart of points.csv and edges.csv."""
    labels = list(dict.fromkeys(points["label"]))
    colours = feature_colours(labels)
    drawn = edges if len(edges) <= _MOST_EDGES else edges.iloc[:0]
    title = "Poincare disk: point at a dot for its set and row" if len(drawn) else (
        f"Poincare disk, {len(points)} points; the {len(edges)} edges are in the picture below")
    degrees = np.bincount(edges[["i", "j"]].to_numpy(int).ravel(), minlength=len(points))
    table = points.assign(colour=points["label"].map(colours), row=np.arange(len(points)), edges=degrees)
    angle = np.linspace(0, 2 * np.pi, 181)
    rim = pd.DataFrame({"x": np.cos(angle), "y": np.sin(angle), "place": np.arange(181)})
    return Chart(
        "disk", title, f"Delaunay graph of {len(points)} points of {len(labels)} sets in the "
        "Poincare disk", _spec(), {"points": columns(table), "arcs": columns(_arcs(points, drawn, colours)),
                                   "rim": columns(rim)},
        legend=[*colours.items(), ("between sets", _BETWEEN)])


def _arcs(points: pd.DataFrame, edges: pd.DataFrame, colours: dict[str, str]) -> pd.DataFrame:
    """Points of all arcs in order, a row of nothing after each, at which its line breaks off."""
    p, names = points[["x", "y"]].to_numpy(float), points["label"].to_numpy(str)
    i, j = edges["i"].to_numpy(int), edges["j"].to_numpy(int)
    arcs = np.full((len(edges), _STEPS + 1, 2), np.nan)
    arcs[:, :-1] = np.round(geodesics(p[i], p[j], _STEPS), 4)
    own = [colours[a] if a == b else _BETWEEN for a, b in zip(names[i], names[j], strict=True)]
    return pd.DataFrame({"x": arcs[:, :, 0].ravel(), "y": arcs[:, :, 1].ravel(), "place": np.arange(arcs[..., 0].size),
                         "colour": np.repeat(np.array(own, dtype=object), _STEPS + 1)})


def _spec() -> Spec:
    """Circles stay circles at any width: the x axis is as much longer as the chart is wider."""
    half = "1.03 * width / height"
    x = {"field": "x", "type": "quantitative", "axis": None,
         "scale": {"nice": False, "zero": False, "domainMin": {"expr": f"-{half}"}, "domainMax": {"expr": half}}}
    y = {"field": "y", "type": "quantitative", "axis": None,
         "scale": {"nice": False, "zero": False, "domain": [-1.03, 1.03]}}
    order = {"field": "place", "type": "quantitative"}
    own = {"field": "colour", "type": "nominal", "scale": None, "legend": None}
    said = {"value": {"expr": "{'set': datum.label, 'row of points.csv': datum.row, 'edges': datum.edges}"}}
    layers = [
        {"data": {"name": "rim"}, "mark": {"type": "line", "stroke": "var(--line)", "strokeWidth": 1.2},
         "encoding": {"x": x, "y": y, "order": order}},
        {"data": {"name": "arcs"},
         "mark": {"type": "line", "strokeWidth": 0.7, "invalid": "break-paths-filter-domains"},
         "encoding": {"x": x, "y": y, "order": order, "stroke": own}},
        {"data": {"name": "points"}, "mark": {"type": "point", "filled": True, "size": 36, "opacity": 1},
         "encoding": {"x": x, "y": y, "fill": own, "tooltip": said}}]
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "width": "container", "height": 560,
            "autosize": {"type": "fit", "contains": "padding"}, "layer": layers,
            "config": {"background": "transparent", "view": {"stroke": None}}}
