"""Around every study but the default one: its folder, its tables as they come, figures, provenance."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agfrun.files.run_files import RunFiles, opened
from agfrun.runner.provenance import provenance
from agfrun.study.schema import RunConfig, StudyConfig, config_hash
from agfrun.study.study import StudyResult
from agfrun.study.validation import validate


@dataclass(frozen=True)
class FinishedStudy:
    """A finished study and its folder, or None."""

    result: StudyResult
    folder: Path | None

    def summary(self) -> str:
        """The study's own text, its claims, and where the files are."""
        failing = [claim.claim for claim in self.result.claims if not claim.holds]
        verdict = "none fails" if not failing else f"{len(failing)} fail: {', '.join(failing)}"
        lines = [self.result.text] if self.result.text else []
        if self.result.claims:
            lines.append(f"claims: {len(self.result.claims) - len(failing)} hold, {verdict}")
        return "\n".join([*lines, *([f"written to {self.folder}"] if self.folder else [])])


def execute_study(
    study: StudyConfig, config: RunConfig, output_dir: Path | str | None, progress: bool | None,
    command: Sequence[str] | None,
) -> FinishedStudy:
    """Do a study and write config.yaml, its tables, claims.csv, plots/, manifest.json, report.html, last done.json.

    Raises:
        ConfigError: a value is not allowed.
        OutputError: the folder cannot be written, or holds a finished run and `overwrite` is off.
    """
    validate(config)
    with opened(output_dir, config.overwrite) as files:
        return _study(study, config, files, progress, command)


def _study(study: StudyConfig, config: RunConfig, files: RunFiles | None, progress: bool | None,
           command: Sequence[str] | None) -> FinishedStudy:
    started = time.perf_counter()

    def save(tables: Mapping[str, pd.DataFrame]) -> None:
        if files is not None:
            for name, table in tables.items():
                files.write_table(name, table)

    if files is not None:
        files.begin(config)
    result = study.study(config, save, progress)
    if files is not None:
        save(result.tables)
        rows = [dataclasses.asdict(claim) for claim in result.claims]
        files.write_claims(rows)
        if config.plots:
            files.plot(config.plot_formats)
        seconds = time.perf_counter() - started
        files.write_manifest(provenance(config, command) | {
            "summary": result.text, "wall_seconds": {"study": seconds}})
        if config.report:
            files.report()
        files.finish({
            "status": "finished", "config_hash": config_hash(config), **result.verdict,
            "claims_hold": sum(row["holds"] for row in rows), "claims": len(rows), "wall_seconds": seconds})
    return FinishedStudy(result, files.folder if files is not None else None)
