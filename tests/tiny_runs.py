"""Configurations of runs that take a moment, for the tests of whole runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from agfrun import AgfConfig, GradientDescentConfig, GradientFlowConfig, InitConfig, Result, RunConfig
from agfrun.labs.staircases.networks.diagonal_linear.data import RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig

COLUMNS = {
    "loss.csv": "source,time,step,loss",
    "features.csv": "source,time,feature,value",
    "neurons.csv": "source,time,neuron,norm,accumulated_utility,direction_feature,active",
    "events.csv": "source,event,kind,time,feature,neuron,loss_before,loss_after,plateau_start,plateau_end",
    "endings.csv": "source,status,reason,time,loss",
    "comparison.csv": "source,event,feature,time_predicted,time_training,time_ratio,level_predicted,"
                      "level_training,level_error,order_matches,lower_bound,lower_bound_holds",
    "ladder.csv": "source,evaluations,predicted,measured,in_order,worst_time_error,worst_level_error",
    "claims.csv": "claim,source,statement,expected,measured,tolerance,holds",
}


FILES = {*COLUMNS, "config.yaml", "labels.json", "manifest.json", "parameters.safetensors", "report.html", "done.json"}


def folder_of(result: Result) -> Path:
    assert result.output_dir is not None
    return result.output_dir


def modadd_config(**changes: Any) -> RunConfig:
    """Three neurons on one frequency, stopped early."""
    config = RunConfig(
        model=QuadraticModaddConfig(width=3), data=ModularAdditionConfig(p=4, frequencies=[1], amplitudes=[4.0]),
        train=GradientFlowConfig(horizon=40.0, tolerance=1e-5), agf=AgfConfig(max_events=2, cost_tolerance=1e-2),
        device="cpu", plots=False)
    return dataclasses.replace(config, **changes)


def diagonal_config(**changes: Any) -> RunConfig:
    config = RunConfig(model=DiagonalLinearConfig(), data=RotatedRegressionConfig(),
                       init=InitConfig("deterministic", 1e-4), device="cpu", plots=False)
    return dataclasses.replace(config, **changes)


def descent(learning_rate: float = 0.05, **changes: Any) -> GradientDescentConfig:
    """For p = 4, five times the learning rate in flow time a step."""
    return GradientDescentConfig(learning_rate=learning_rate, momentum=0.9, horizon=40.0, **changes)


CONFIGS = {"modadd": modadd_config, "diagonal": diagonal_config}


ON_EITHER = pytest.mark.parametrize("model", CONFIGS)


def read_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return content


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in COLUMNS}
