from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import pytest

from agfrun.labs.staircases.report.html import specs
from agfrun.report.html.chart import Spec

jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("altair")

TIMES, VALUES = (0.1, 100.0), (-1.0, 2.0)
SPECS: dict[str, Spec] = {
    "staircase": specs.staircase(["training", "agf", "theory"], TIMES, (1e-4, 10.0)),
    "prediction alone": specs.staircase(["agf"], TIMES, (1e-4, 10.0)),
    "race of norms": specs.race("race", "log10_norm", "neuron norm", TIMES, (-400.0, 1.0), 0.0),
    "race without a goal": specs.race("race", "utility", "accumulated utility", TIMES, VALUES, None),
    "features": specs.features(["training", "agf", "theory"], TIMES, VALUES, "amplitude"),
    "overlaid": specs.overlaid(["run_0", "run_1"], True),
    "overlaid, one clock": specs.overlaid(["run_0"], False),
    "scatter": specs.scatter(TIMES),
}


@cache
def _validator() -> Any:
    schema = json.loads((resources.files("altair") / "vegalite/v6/schema/vega-lite-schema.json").read_text())
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.mark.parametrize("name", SPECS)
def test_specifications_follow_the_schema(name: str) -> None:
    errors = [error.message for error in _validator().iter_errors(SPECS[name])]
    assert not errors, errors[0][:300]


def test_the_check_can_fail() -> None:
    assert list(_validator().iter_errors({**SPECS["scatter"], "layer": [{"mark": "no such mark"}]}))
