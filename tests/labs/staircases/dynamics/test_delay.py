"""The estimate of gradient descent's delay against recurrences that are solved, and against trainings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from agfrun import Result, load_config, run
from agfrun.labs.staircases.dynamics.delay import growth_delay, relative_delay
from agfrun.labs.staircases.dynamics.trajectory import FloatArray

QUICK = ["plots=false", "report=false", "device=cpu", "train.max_rows=1000", "agf.max_events=1"]
DIAGONAL = ["model=diagonal_linear", "init=gaussian", "init.scale=1e-3"]
MODADD = ["model=quadratic_modadd", "model.width=6", "data.p=5", "data.frequencies=[1]", "data.amplitudes=[5]"]


def heavy_ball(power: int, start: float, target: float, step: float, momentum: float) -> tuple[FloatArray, FloatArray]:
    """Times and log norms of x' = x^power by heavy ball, until x is past `target`."""
    x, velocity, path = start, 0.0, [start]
    while x < target:
        velocity = momentum * velocity + step * (1 - momentum) * x**power
        x += velocity
        path.append(x)
    return step * np.arange(len(path)), np.log(path)[:, None]


def flow_time(power: int, start: float, target: float) -> float:
    """Of x' = x^power, in closed form."""
    return math.log(target / start) if power == 1 else (start ** (1 - power) - target ** (1 - power)) / (power - 1)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("power", "start", "step"), [(1, 1e-4, 0.01), (1, 1e-30, 0.003), (2, 1e-2, 0.05),
                                                      (3, 3e-2, 0.05)])
def test_growth_by_itself(power: int, start: float, step: float, momentum: float) -> None:
    """One growing number, x' = x^(kappa - 1), whose flow has a closed form; to a tenth, or two rows."""
    times, log_norms = heavy_ball(power, start, 1.0, step, momentum)
    reached = float(np.interp(0.0, log_norms[:, 0], times))
    measured = reached / flow_time(power, start, 1.0) - 1
    estimated = relative_delay(times, log_norms, [reached], power + 1, step, momentum)
    assert estimated == pytest.approx(measured, rel=0.1, abs=2 * step / reached)
    assert measured > 4 * step / reached or momentum == 0


def test_the_largest_root_of_the_recurrence() -> None:
    """lambda over mu, from the root itself: exact to second order in the step."""
    for momentum in (0.0, 0.9):
        for step in (1e-3, 1e-2):
            linear = 1 + momentum + (1 - momentum) * step
            root = (linear + math.sqrt(linear**2 - 4 * momentum)) / 2
            rate = math.log(root) / step
            delay = growth_delay(rate, 10.0, 2, step, momentum)
            order = (step / (1 - momentum)) ** 2
            assert 10 / (10 - delay) == pytest.approx(1 / rate, abs=2 * order)
            assert 1 / rate - 1 > 4 * order or step > 1e-3


def test_no_neuron_no_delay() -> None:
    times = np.linspace(0, 1, 5)
    assert relative_delay(times, np.zeros((5, 0)), [], 2, 0.1, 0.9) == 0
    assert relative_delay(times, np.zeros((5, 1)), [0.5], 2, 0.1, 0.9) == 0  # one that was large from the start
    assert relative_delay(times, -times[:, None], [0.5], 2, 0.1, 0.9) == 0  # one that shrinks


def trained(settings: list[str], *more: str) -> Result:
    result: Result = run(load_config([*settings, *QUICK, *more]), progress=False)
    return result


def acquired(result: Result) -> list[float]:
    return [event.time for event in result.events["training"] if event.kind == "acquisition"]


def estimate_of(result: Result) -> float:
    """The number in the words, in parts of one; 0 where there is none."""
    words = result.training.reason.partition("delay drops by up to ")[2]
    return float(words.partition("%")[0]) / 100 if words else 0.0


def descent(step: float, momentum: float, *more: Any) -> list[str]:
    return ["train=gradient_descent", "train.loss_normalization=paper", f"train.momentum={momentum}",
            f"train.learning_rate={step * (1 - momentum)}", *more]


@pytest.mark.parametrize(("settings", "step", "momentum", "horizon"), [
    pytest.param(DIAGONAL, 0.008, 0.9, 45.0, id="diagonal, with a neuron that comes back"),
    pytest.param(DIAGONAL, 0.002, 0.9, 45.0, id="diagonal, smaller steps"),
    pytest.param(MODADD, 0.05, 0.9, 60.0, id="modular addition"),
])
def test_what_a_run_says_is_what_is_measured(settings: list[str], step: float, momentum: float, horizon: float) -> None:
    """Within a third of the largest delay of a drop, against the flow from the same neurons."""
    flow, late = trained(settings, f"train.horizon={horizon}"), trained(
        settings, *descent(step, momentum, f"train.horizon={horizon}"))
    assert len(acquired(flow)) == len(acquired(late)) > 0
    largest = max(there / here - 1 for here, there in zip(acquired(flow), acquired(late), strict=True))
    assert largest > 0.05
    assert estimate_of(late) == pytest.approx(largest, rel=1 / 3)


def test_small_delays_and_flows_are_not_told() -> None:
    assert estimate_of(trained(DIAGONAL, *descent(0.008, 0.0, "train.horizon=8"))) == 0
    assert estimate_of(trained(DIAGONAL, "train.horizon=8")) == 0
