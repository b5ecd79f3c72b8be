"""What a run says of the error of its times holds whatever the stopping rule and the tolerance are."""

from __future__ import annotations

import pytest

from agfrun.configuration.composition import load_config
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.run.pipeline import run
from agfrun.labs.staircases.run.result import Result

CASES = {
    "diagonal": ("model=diagonal_linear", "data=random_regression", "seed=3"),
    "linear": ("model=fully_connected_linear", "data=noncommuting_linear_map", "data.input_dimension=4",
               "data.output_dimension=4", "model.width=5", "init.scale=1e-4"),
}


def trained(name: str, tolerance: float, convergence: float) -> Result:
    return run(load_config(["plots=false", "report=false", *CASES[name], f"train.tolerance={tolerance}",
                            f"train.convergence={convergence}"]), progress=False)


def acquired(result: Result) -> list[Event]:
    return [event for event in result.events["training"] if event.kind == "acquisition"]


@pytest.mark.parametrize("name", CASES)
def test_times_are_within_the_estimated_error(name: str) -> None:
    exact = acquired(trained(name, 1e-9, 1e-9))
    for tolerance, convergence in ((1e-6, 1e-4), (1e-5, 1e-7)):
        result = trained(name, tolerance, convergence)
        error = result.training.statistics.drop_time_error
        assert error is not None
        # Half of what the record ends with would move the last time by some 0.5% between these stopping rules.
        assert error < 1e-3
        found = acquired(result)
        assert [event.feature for event in found] == [event.feature for event in exact]
        for event, reference in zip(found, exact, strict=True):
            assert abs(event.time / reference.time - 1) <= error + reference.time_error
