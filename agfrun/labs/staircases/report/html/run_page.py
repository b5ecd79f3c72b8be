"""The page of one run, from its saved files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.files import tables
from agfrun.files.folders import DONE_FILE
from agfrun.files.run_files import MANIFEST_FILE
from agfrun.files.saved_run import SavedRun, config_value, read_config, read_run
from agfrun.files.tables import empty_table, read_table
from agfrun.labs.staircases.report.html import run_charts
from agfrun.labs.staircases.report.html.run_tables import claims_table, comparison_table
from agfrun.labs.staircases.report.html.verdict import Verdict, run_numbers, run_verdict
from agfrun.report.html.folder import (
    Picture,
    configuration_table,
    is_current,
    links,
    picture,
    provenance_table,
    read_json,
)
from agfrun.report.html.page import render_page


@dataclass(frozen=True)
class ReportedRun:
    """A run read back with what its page says of it.

    Attributes:
        saved: its tables.
        config, manifest: its configuration and provenance; an unfinished run has no manifest.
        claims: the table `claims.csv`.
        numbers: of its verdict.
        verdict: in words.
        status: of training, None where it has not come to its end.
    """

    saved: SavedRun
    config: dict[str, Any]
    manifest: dict[str, Any]
    claims: pd.DataFrame
    numbers: dict[str, Any]
    verdict: Verdict
    status: str | None


def reported_run(run_dir: Path) -> ReportedRun:
    """Read a run of the study `compare`.

    Raises:
        OutputError: the folder is no run, or one of its files is damaged.
    """
    saved, manifest = read_run(run_dir), read_json(run_dir / MANIFEST_FILE)
    training = manifest.get("training")
    status = training.get("status") if isinstance(training, dict) else read_json(run_dir / DONE_FILE).get("status")
    compared = (run_dir / tables.COMPARISON.file).is_file() and (saved.loss["source"] == "training").any()
    agf = saved.events[(saved.events["source"] == "agf") & (saved.events["kind"] == "acquisition")]
    numbers = run_numbers(saved.comparison)
    path = run_dir / tables.CLAIMS.file
    claims = read_table(path, tables.CLAIMS) if path.exists() else empty_table(tables.CLAIMS)
    return ReportedRun(saved, read_config(run_dir), manifest, claims, numbers,
                       run_verdict(numbers, status, bool(compared), len(agf)), status)


def run_page(run_dir: Path) -> str:
    """The page of a run.

    Raises:
        OutputError: the folder is no run, or one of its files is damaged.
    """
    run = reported_run(run_dir)
    context = run_charts.context_of(run.saved)
    staircase = run_charts.staircase_chart(run.saved, context)
    neurons, neuron_note = run_charts.neuron_charts(run.saved, context)
    features, feature_note = run_charts.feature_chart(run.saved, context)
    charts = [staircase, *neurons, *([features] if features else [])]
    model = str(config_value(run.config, "model", "name", "run"))
    return render_page(
        "run.html", charts, title=f"{model}: {run.verdict.sentence}",
        kicker=f"{model} · {Path(run_dir).resolve().name}", verdict=run.verdict, notes=_endings(run.manifest),
        staircase=staircase, picture=_picture(run_dir), has_bounds=bool(staircase.tables["bounds"]["time"]),
        comparison=comparison_table(run.saved.comparison, run.saved.wording),
        neurons=neurons, neuron_note=neuron_note, features=features, feature_note=feature_note,
        claims=claims_table(run.claims), configuration=configuration_table(run.config),
        provenance=provenance_table(run.manifest), links=links(run_dir))


def _endings(manifest: dict[str, Any]) -> list[str]:
    """How training and prediction ended."""
    parts = [(name, manifest.get(key)) for name, key in (("Training", "training"), ("AGF", "agf"))]
    return [f"{name} {part.get('status', 'ended')}: {part['reason']}." for name, part in parts
            if isinstance(part, dict) and part.get("reason")]


def _picture(run_dir: Path) -> Picture | None:
    """The drawn staircase, if it was drawn from these tables."""
    path = run_dir / "plots" / "staircase.png"
    if not is_current(path, run_dir / tables.LOSS.file):
        return None
    return picture(path, "Staircase of the loss over gradient-flow time: training, AGF and theory")
