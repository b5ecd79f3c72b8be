"""Configurations of studies that take a moment, and what a test does around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import read_json

import agfrun
from agfrun import AgfConfig, GradientFlowConfig, InitConfig, RunConfig, Study, StudyResult
from agfrun.files.tables import read_any_table
from agfrun.labs.staircases.networks.diagonal_linear.data import RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig
from agfrun.labs.staircases.run import pipeline
from agfrun.study.study import WRITTEN

OF_EVERY_STUDY = {"config.yaml", "claims.csv", "manifest.json", "report.html", "done.json", "plots"}


def diagonal_config(study: Study, **changes: Any) -> RunConfig:
    """The paper's two coefficients."""
    config = RunConfig(model=DiagonalLinearConfig(), data=RotatedRegressionConfig(), study=study,
                       init=InitConfig("deterministic", 1e-4), device="cpu", plot_formats=["png"])
    return dataclasses.replace(config, **changes)


def modadd_config(study: Study, **changes: Any) -> RunConfig:
    """Four neurons on one frequency of p = 5, stopped early."""
    config = RunConfig(
        model=QuadraticModaddConfig(width=4), data=ModularAdditionConfig(p=5, frequencies=[1], amplitudes=[5.0]),
        study=study, train=GradientFlowConfig(tolerance=1e-5), agf=AgfConfig(max_events=2, cost_tolerance=1e-2),
        device="cpu", plot_formats=["png"])
    return dataclasses.replace(config, **changes)


def execute(config: RunConfig, folder: Path | None) -> StudyResult:
    return agfrun.execute(config, output_dir=folder, progress=False, command=["agfrun"])


def assert_files_of(folder: Path, study: type[Study], *figures: str) -> dict[str, Any]:
    """The folder holds what every study leaves, what this one declares, and these figures; what done.json says."""
    tables = study.tables
    assert {path.name for path in folder.iterdir()} == OF_EVERY_STUDY | {schema.file for schema in tables}
    assert [path.name for path in (folder / "plots").iterdir()] == [f"{name}.png" for name in figures]
    for schema in tables:
        columns = list(read(folder, schema.name).columns)
        assert columns[: len(schema.names)] == schema.names
        assert schema.open or columns == schema.names
    done = read_json(folder / "done.json")
    assert [number.name for number in study.numbers] == [name for name in done if name not in WRITTEN]
    return done


def read(folder: Path, name: str) -> pd.DataFrame:
    return read_any_table(folder / f"{name}.csv")


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline works `count` times and is then interrupted."""
    replace_run(monkeypatch, count, KeyboardInterrupt())


def replace_run(monkeypatch: pytest.MonkeyPatch, count: int, error: BaseException) -> None:
    """The pipeline works `count` times and then raises."""
    run: Callable[..., Any] = pipeline.run
    calls = iter(range(count))

    def counted(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            raise error
        return run(*arguments, **options)

    monkeypatch.setattr(pipeline, "run", counted)
