"""The page of an ensemble: its members, their staircases over one another, the claims that fail."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from agfrun.files import tables
from agfrun.files.run_files import MANIFEST_FILE
from agfrun.files.saved_run import config_value, read_config
from agfrun.files.tables import empty_table, read_table
from agfrun.labs.staircases.report.ensemble_tables import with_members
from agfrun.labs.staircases.report.figures.staircases import time_unit
from agfrun.labs.staircases.report.html import specs
from agfrun.labs.staircases.report.html.run_charts import thinned_curve
from agfrun.labs.staircases.report.html.verdict import ensemble_verdict
from agfrun.labs.staircases.report.saved_ensemble import SavedEnsemble, read_ensemble
from agfrun.report.figures.style import OKABE_ITO
from agfrun.report.html.chart import Cell, Chart, Column, PageTable, Toggle
from agfrun.report.html.columns import columns
from agfrun.report.html.folder import (
    configuration_table,
    is_current,
    links,
    picture,
    provenance_table,
    read_json,
)
from agfrun.report.html.numbers import flag, number, percent, seconds
from agfrun.report.html.page import render_page

_MOST_ROWS = 200
_MOST_CURVES = 40
_ALL_POINTS = 8000
_SMALLEST_SHARE = 1e-4
# The long first plateau, on which nothing happens, would fill a logarithmic axis.
_FALLEN = 0.95
_BEFORE_FIRST_DROP = 4.0


def ensemble_page(run_dir: Path) -> str:
    """The page of an ensemble.

    Raises:
        OutputError: a table is missing or damaged.
    """
    config, manifest = read_config(run_dir), read_json(run_dir / MANIFEST_FILE)
    saved = read_ensemble(run_dir)
    verdict = ensemble_verdict(saved.members)
    chart, note = _staircases(saved)
    model = str(config_value(config, "model", "name", "ensemble"))
    drawn = run_dir / "plots" / "staircases.png"
    fallback = picture(drawn, "Staircases of all members") if is_current(drawn, run_dir / tables.LOSS.file) else None
    return render_page(
        "ensemble.html", [chart], title=f"{model}: {verdict.sentence}",
        kicker=f"{model} · {len(saved.members)} members · {run_dir.resolve().name}", verdict=verdict,
        notes=[note] if note else [], chart=chart, picture=fallback, members=members_table(saved.members),
        claims=failing_claims(run_dir, len(saved.members)), configuration=configuration_table(config),
        provenance=provenance_table({key: value for key, value in manifest.items() if key != "programs"}),
        links=links(run_dir))


def _staircases(saved: SavedEnsemble) -> tuple[Chart, str]:
    """Loss as a part of the initial one, a colour for each scale and a switch for each."""
    scales = sorted(saved.members["log10_init_scale"].unique(), reverse=True)
    colours = [OKABE_ITO[place % len(OKABE_ITO)] for place in range(len(scales))]
    shown = saved.members.groupby("log10_init_scale", sort=False).head(max(1, _MOST_CURVES // max(1, len(scales))))
    most = max(60, _ALL_POINTS // max(1, 2 * len(shown)))
    units = [float(time_unit(np.array(scale), saved.homogeneity_degree)) for scale in scales]
    clock = len(scales) > 1 and all(math.isfinite(unit) and unit > 0 for unit in units)
    parts = []
    for member in shown.to_dict("records"):
        place = scales.index(member["log10_init_scale"])
        parts += _member(saved.loss, member, f"scale_{place}", colours[place], units[place] if clock else 1.0, most)
    names = ["run", "source", "shown", "own_time", "scaled_time", "loss", "colour"]
    curves = _from_first_drop(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names))
    toggles = [Toggle(f"scale_{place}", f"scale {_scale(log)}", "solid", colours[place])
               for place, log in enumerate(scales)]
    choices = {"clock": [("as it is", "own"), ("in units of the growth from the initialization scale", "scaled")]}
    chart = Chart("staircases", "Loss over initial loss: training solid, AGF dashed",
                  "Loss of each member as a part of its initial loss over gradient-flow time, both logarithmic.",
                  specs.overlaid([toggle.parameter for toggle in toggles], clock, "loss / initial loss"),
                  {"curves": columns(curves)}, toggles, ("time", "loss"), choices if clock else {})
    note = "" if len(shown) == len(saved.members) else (
        f"The chart holds {len(shown)} of {len(saved.members)} members: the first of each scale.")
    return chart, note


def _member(loss: pd.DataFrame, member: dict[str, object], parameter: str, colour: str, unit: float,
            most: int) -> list[pd.DataFrame]:
    own = loss[loss["member"] == member["member"]]
    parts = []
    for source in ("training", "agf"):
        # Ends of the events are not known here, but a drop is long on the curve and so keeps its points.
        curve = thinned_curve(own[own["source"] == source], pd.DataFrame({"time": pd.Series(dtype=float)}), most)
        if not len(curve):
            continue
        share = curve["loss"] / float(curve["loss"].iloc[0])
        parts.append(pd.DataFrame({
            "run": f"seed {member['seed']}", "source": source, "shown": parameter, "own_time": curve["time"],
            "scaled_time": curve["time"] / unit, "loss": np.maximum(share, _SMALLEST_SHARE), "colour": colour}))
    return parts


def _from_first_drop(curves: pd.DataFrame) -> pd.DataFrame:
    fallen = curves["own_time"][curves["loss"] < _FALLEN]
    return curves[curves["own_time"] >= fallen.min() / _BEFORE_FIRST_DROP] if len(fallen) else curves


def _scale(log10_scale: float) -> str:
    return f"{10**log10_scale:.3g}" if log10_scale > -300 else f"1e{log10_scale:g}"


def members_table(members: pd.DataFrame) -> PageTable:
    """A row for each member."""
    header = [Column("member", True), Column("seed", True), Column("scale", True), Column("status"), Column("in order"),
              Column("drops seen", True), Column("worst time error", True), Column("worst level error", True),
              Column("claims that hold", True), Column("seconds", True), Column("how it ended", wide=True)]
    rows = []
    for row in members.head(_MOST_ROWS).to_dict("records"):
        good = row["status"] in ("converged", "horizon")
        agrees = flag(row["order_agrees"])
        rows.append([
            Cell(number(row["member"])), Cell(number(row["seed"])), Cell(_scale(row["log10_init_scale"])),
            Cell(number(row["status"]), "" if good else "bad"),
            Cell(agrees, {"yes": "good", "no": "bad"}.get(agrees, "")),
            Cell(f"{number(row['measured_acquisitions'])} of {number(row['predicted_acquisitions'])}"),
            Cell(percent(row["worst_time_error"])), Cell(percent(row["worst_level_error"])),
            Cell(f"{number(row['claims_hold'])} of {number(row['claims'])}"), Cell(seconds(row["wall_seconds"])),
            Cell(number(row["reason"]))])
    more = f": the first {_MOST_ROWS} of {len(members)}, all are in members.csv" if len(members) > _MOST_ROWS else ""
    return PageTable(f"Members{more}", header, rows)


def failing_claims(run_dir: Path, members: int) -> PageTable:
    """Claims by the number of members in which they fail."""
    path, schema = run_dir / tables.CLAIMS.file, with_members(tables.CLAIMS)
    claims = read_table(path, schema) if path.exists() else empty_table(schema)
    failing = claims[(claims["holds"] == False).fillna(False)]  # noqa: E712 - missing counts as neither
    counts = failing.groupby(["claim", "statement"], sort=False)["member"].nunique().sort_values(ascending=False)
    rows = [[Cell(str(claim)), Cell(str(statement)), Cell(f"{count} of {members}", "bad")]
            for (claim, statement), count in counts.items()]
    total = claims["claim"].nunique()
    return PageTable(f"Claims that fail in some member, of {total} that were checked",
                     [Column("claim"), Column("statement", wide=True), Column("fails in", True)], rows)
