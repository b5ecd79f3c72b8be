"""The page of one run, from its saved files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agfrun.files.folders import PLOTS_FOLDER
from agfrun.files.saved_run import config_value
from agfrun.labs.staircases.report.html import run_charts
from agfrun.labs.staircases.report.html.run_tables import comparison_table, ladder_table
from agfrun.labs.staircases.report.html.verdict import verdict_on_run
from agfrun.labs.staircases.report.saved import SavedRun
from agfrun.labs.staircases.run import tables
from agfrun.labs.staircases.sources import NAMES
from agfrun.report.html.claims_table import claims_table
from agfrun.report.html.folder import Picture, configuration_table, is_current, links, picture, provenance_table
from agfrun.report.html.page import render_page


def run_page(run: SavedRun) -> str:
    """The page of a run."""
    context, verdict = run_charts.context_of(run), verdict_on_run(run)
    staircase = run_charts.staircase_chart(run, context)
    neurons, neuron_note = run_charts.neuron_charts(run, context)
    features, feature_note = run_charts.feature_chart(run, context)
    charts = [staircase, *neurons, *([features] if features else [])]
    model = str(config_value(run.config, "model", "name", "run"))
    seconds = run.manifest.get("wall_seconds")
    return render_page(
        "run.html", charts, title=f"{model}: {verdict.sentence}", kicker=f"{model} · {run.folder.resolve().name}",
        verdict=verdict, notes=_endings(run.manifest, run.main), staircase=staircase, picture=_picture(run.folder),
        has_bounds=bool(staircase.tables["bounds"]["time"]),
        comparison=comparison_table(run.comparison, run.wording),
        ladder=ladder_table(run.ladder, seconds if isinstance(seconds, dict) else {}, run.main),
        neurons=neurons, neuron_note=neuron_note, features=features, feature_note=feature_note,
        claims=claims_table(run.claims), configuration=configuration_table(run.config),
        provenance=provenance_table(run.manifest), links=links(run.folder, tables.TABLES))


def _endings(manifest: Mapping[str, Any], main: str) -> list[str]:
    """How training and prediction ended."""
    parts = [(name, manifest.get(key)) for name, key in (("Training", "training"), (NAMES[main], "agf"))]
    return [f"{name} {part.get('status', 'ended')}: {part['reason']}." for name, part in parts
            if isinstance(part, dict) and part.get("reason")]


def _picture(run_dir: Path) -> Picture | None:
    """The drawn staircase, if it was drawn from these tables."""
    path = run_dir / PLOTS_FOLDER / "staircase.png"
    if not is_current(path, run_dir / tables.LOSS.file):
        return None
    return picture(path, "Staircase of the loss over gradient-flow time: training and predictions")
