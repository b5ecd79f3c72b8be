"""Clock and scaling of a step against closed forms, and what they are for: steps that hardly depend on the scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_compiled_integration import crossing

from agfrun import load_config
from agfrun.labs.staircases.compiled import growth
from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.run.problem import build_problem


def trained(scale: float, tolerance: float) -> TrainingResult:
    problem = build_problem(load_config(["model=linear_attention", f"init.scale={scale}", "device=cpu"]))
    return train_by_gradient_flow(problem.architecture, problem.initial, math.inf, tolerance=tolerance,
                                  convergence=1e-2, max_rows=10**6)


@pytest.mark.parametrize("warp", [0.0, 1e-6, 0.3, 7.0])
def test_the_clock_and_its_inverse(warp: float) -> None:
    for passed in (1e-9, 0.01, 0.5, 2.0):
        lapse = growth.duration(passed, warp)
        # What is left to the blow-up is a difference of numbers that come near one another.
        assert growth.length(lapse, warp) == pytest.approx(passed, rel=1e-14 * math.exp(2 * warp))
        assert lapse <= passed
    # No length of the clock gets beyond the blow-up.
    if warp:
        assert growth.duration(1e6, warp) <= 1 / warp
        assert growth.length(1 / warp, warp) == math.inf


def test_the_warp_of_a_blow_up_is_exact_however_long_the_step() -> None:
    """The norm 1 / (t* - t) has the rate 1 / (t* - t), and blows up 1 / rate later."""
    blow_up, before, now = 10.0, 1.0, 9.0
    known = np.zeros((growth.ROWS, 2))
    known[growth.PREVIOUS_RATE, 0], known[growth.RATE, 0] = 1 / (blow_up - before), 1 / (blow_up - now)
    known[growth.RATE, 1], known[growth.RELAXATION, 1] = 0.5, 100.0  # has settled
    warp = growth.choose(known, now - before)
    assert warp == pytest.approx(1 / (blow_up - now), rel=1e-14)
    np.testing.assert_array_equal(known[growth.GAUGE], [1.0, 0.0])
    assert growth.choose(known, -1.0) == 0.0  # no rates from before
    # On this clock and in this gauge the neuron stands still.
    for passed in (0.1, 1.0, 5.0):
        norm = 1 / (blow_up - now - growth.duration(passed, warp))
        assert norm * math.exp(-passed * known[growth.GAUGE, 0]) == pytest.approx(1.0, rel=1e-12)


def test_steps_hardly_depend_on_the_scale_and_are_as_exact() -> None:
    """Drops of degree 3 come at times that go as 1 / scale once it is small."""
    steps, drops = [], []
    for scale in (1e-4, 1e-8, 1e-12):
        found = trained(scale, 1e-6)
        assert found.status == "converged"
        steps.append(found.statistics.accepted_steps)
        path = found.trajectory
        levels = path.loss[-1] + np.array([0.8, 0.5, 0.2]) * (path.loss[0] - path.loss[-1])
        drops.append([scale * crossing(path.times, path.loss, level) for level in levels])
    assert steps[2] - steps[0] < 20 * 8  # ninety-seven a decade without
    np.testing.assert_allclose(drops[1], drops[2], rtol=1e-5)
    np.testing.assert_allclose(drops[0], drops[2], rtol=1e-2)


def test_the_path_converges_with_the_tolerance() -> None:
    reference = trained(1e-6, 1e-10).trajectory
    level = 0.5 * (reference.loss[0] + reference.loss[-1])
    exact = crossing(reference.times, reference.loss, level)
    for tolerance, allowed in ((1e-4, 1e-3), (1e-6, 1e-5), (1e-8, 1e-7)):
        path = trained(1e-6, tolerance).trajectory
        assert crossing(path.times, path.loss, level) == pytest.approx(exact, rel=allowed)
