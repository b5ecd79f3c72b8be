"""The step controller and the loop that it drives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from known_flows import KnownFlow, MixedLogistic, linear_flow, make, segments
from torch import Tensor

from agfrun import DivergenceError
from agfrun.labs.staircases.dynamics.chebyshev import RungeKuttaChebyshev
from agfrun.labs.staircases.dynamics.integrate import Attempt, StepController, Stepper, integrate
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock

STEPPERS = pytest.mark.parametrize("stepper", [Rosenbrock, RungeKuttaChebyshev])
STEPS = st.floats(1e-12, 1e6)
RATIOS = st.floats(1e-12, 1e12)
TOLERANCE = 1e-6


@given(error=st.floats(0, 1))
def test_accepts_up_to_the_tolerance(error: float) -> None:
    assert StepController(TOLERANCE, 5).accepts(error) == (error <= TOLERANCE)


@pytest.mark.parametrize("error", [math.inf, math.nan])
def test_non_finite_error_is_never_accepted_and_shortens_the_step_tenfold(error: float) -> None:
    controller = StepController(TOLERANCE, 5)
    assert not controller.accepts(error)
    assert controller.next_step(2.0, error) == pytest.approx(0.2)


@given(step=STEPS, ratio=st.floats(1.0000001, 1e12), order=st.integers(2, 8))
def test_rejected_step_shrinks(step: float, ratio: float, order: int) -> None:
    following = StepController(TOLERANCE, order).next_step(step, ratio * TOLERANCE)
    assert 0.15 * step * 0.999 <= following <= 0.9 * step * 1.001


@given(step=STEPS, ratio=st.floats(0, 1), order=st.integers(2, 8))
def test_first_accepted_step_aims_at_the_tolerance(step: float, ratio: float, order: int) -> None:
    """If the error goes like h^order, the next one is safety^order of the tolerance, unless growth is bounded."""
    following = StepController(TOLERANCE, order).next_step(step, ratio * TOLERANCE)
    factor = following / step
    assert factor <= 6 * 1.001
    if factor < 6 * 0.999:
        assert ratio * factor**order == pytest.approx(0.85**order, rel=1e-9)


@given(first=STEPS, second=STEPS, ratios=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)))
def test_growing_errors_are_anticipated(first: float, second: float, ratios: tuple[float, float]) -> None:
    """With the error's constant C = ratio / h^order growing, the next step is shorter than without memory."""
    order = 5
    remembering, fresh = StepController(TOLERANCE, order), StepController(TOLERANCE, order)
    remembering.next_step(first, ratios[0] * TOLERANCE)
    following = remembering.next_step(second, ratios[1] * TOLERANCE)
    plain = fresh.next_step(second, ratios[1] * TOLERANCE)
    assert following <= plain * 1.000001
    trend = second / first * (ratios[0] / ratios[1]) ** (1 / order)
    if trend >= 1.000001:
        assert following == pytest.approx(plain)
    predicted = max(0.15, min(6.0, plain / second * 1.0, 0.85 * ratios[1] ** -0.2 * min(1.0, trend)))
    assert following / second == pytest.approx(predicted, rel=1e-6)


def test_step_does_not_grow_right_after_a_rejection() -> None:
    controller = StepController(TOLERANCE, 5)
    step = controller.next_step(1.0, 100 * TOLERANCE)
    assert controller.next_step(step, 1e-4 * TOLERANCE) == pytest.approx(step)
    assert controller.next_step(step, 1e-4 * TOLERANCE) > 2 * step


def test_zero_error_grows_the_step_by_the_bound_only() -> None:
    assert StepController(TOLERANCE, 5).next_step(1.0, 0.0) == pytest.approx(6.0)


@STEPPERS
def test_segments_join_and_end_at_the_end(stepper: type[Stepper]) -> None:
    flow = MixedLogistic(orthogonal=True)
    path = segments(make(stepper, flow.coordinates), flow.exact(0.0), 1.2345, 1e-6)
    assert path[0].start == 0.0
    assert path[-1].end == 1.2345
    for before, after in zip(path, path[1:], strict=False):
        assert before.end == after.start
        assert torch.equal(before.y_end, after.y_start)
    for segment in path:
        assert segment.end > segment.start
        torch.testing.assert_close(segment.velocity_end, flow.velocity(segment.y_end))
        torch.testing.assert_close(segment.loss_end, segment.y_end.square().sum())
        assert torch.equal(segment.at(segment.end), segment.y_end)
        middle = 0.3 * segment.start + 0.7 * segment.end
        torch.testing.assert_close(segment.at(middle), flow.exact(middle), rtol=0, atol=1e-4)


@STEPPERS
@pytest.mark.parametrize("tolerance", [1e-4, 1e-6])
def test_error_follows_the_tolerance(stepper: type[Stepper], tolerance: float) -> None:
    flow = MixedLogistic(orthogonal=True)
    end = segments(make(stepper, flow.coordinates), flow.exact(0.0), 3.0, tolerance)[-1].y_end
    assert float((end - flow.exact(3.0)).norm() / flow.exact(3.0).norm()) < 30 * tolerance


@STEPPERS
@pytest.mark.parametrize("scale", [1e-3, 1e-100])
def test_steps_do_not_depend_on_the_scale_of_the_start(stepper: type[Stepper], scale: float) -> None:
    """Nothing absolute anywhere: a linear flow takes the same steps from any size."""
    flow = linear_flow(torch.tensor([[-1.0, 0.3], [0.3, 0.5]]))
    ends = [[segment.end for segment in segments(make(stepper, flow), factor * torch.tensor([1.0, 0.2]), 4.0, 1e-5)]
            for factor in (1.0, scale)]
    assert len(ends[0]) == len(ends[1])
    assert ends[1] == pytest.approx(ends[0], rel=1e-3)


@STEPPERS
def test_flow_at_rest_is_crossed_in_few_steps(stepper: type[Stepper]) -> None:
    flow = KnownFlow(torch.zeros_like, symmetric=True)
    path = segments(make(stepper, flow), torch.ones(2), 1e6, 1e-6)
    assert len(path) < 15
    assert torch.equal(path[-1].y_end, torch.ones(2))


def test_first_step_is_used_and_an_infinite_end_is_left_by_the_caller() -> None:
    flow = MixedLogistic(orthogonal=True)
    stepper = make(Rosenbrock, flow.coordinates)
    for segment in integrate(stepper, flow.exact(0.0), 0.0, math.inf, 1e-6, first_step=1e-3):
        if segment.start == 0.0:
            assert segment.end == 1e-3
        if segment.end > 5.0:
            break
    torch.testing.assert_close(segment.y_end, flow.exact(segment.end), rtol=0, atol=1e-5)


def test_start_time_shifts_the_path() -> None:
    flow = MixedLogistic(orthogonal=True)
    shifted = list(integrate(make(Rosenbrock, flow.coordinates), flow.exact(0.0), 7.0, 8.0, 1e-8))
    assert (shifted[0].start, shifted[-1].end) == (7.0, 8.0)
    torch.testing.assert_close(shifted[-1].y_end, flow.exact(1.0), rtol=0, atol=1e-7)


@STEPPERS
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_start(stepper: type[Stepper], bad: float) -> None:
    flow = KnownFlow(lambda y: -y, symmetric=True)
    with pytest.raises(DivergenceError, match="not finite at time 0"):
        segments(make(stepper, flow), torch.tensor([1.0, bad]), 1.0, 1e-6)


def blow_up(y: Tensor) -> Tensor:
    return y * y.norm()


@STEPPERS
def test_blow_up_is_reported_with_its_time(stepper: type[Stepper]) -> None:
    """y' = y^2 from 1/2 leaves the numbers at t = 2."""
    flow = KnownFlow(blow_up, symmetric=True)
    with pytest.raises(DivergenceError) as caught:
        segments(make(stepper, flow), torch.tensor([0.5]), 3.0, 1e-3)
    assert float(str(caught.value).split("at time ")[1].split(":")[0]) == pytest.approx(2.0, rel=1e-2)


@STEPPERS
def test_velocity_that_turns_non_finite_stalls_at_the_edge(stepper: type[Stepper]) -> None:
    """Numbers exist up to y = 1 only, which y' = 1 from 0 reaches at t = 1."""
    flow = KnownFlow(lambda y: torch.where(y < 1, torch.ones_like(y), math.nan), symmetric=True)
    with pytest.raises(DivergenceError, match=r"at time (0\.99\d*|1)\b"):
        segments(make(stepper, flow), torch.zeros(1) + 1e-3, 3.0, 1e-6)


class AlwaysWrong(Stepper):
    """Never good enough, however short the step."""

    order = 2

    def begin(self, y: Tensor, velocity: Tensor) -> None:
        self.y = y

    def attempt(self, step: float) -> Attempt | None:
        return Attempt(self.y, torch.ones_like(self.y), lambda fraction: self.y)


@pytest.mark.parametrize("start", [0.0, 5.0])
def test_no_step_is_short_enough(start: float) -> None:
    stepper = make(AlwaysWrong, linear_flow(torch.tensor([[-1.0]])))
    with pytest.raises(DivergenceError, match="stalled at time"):
        list(integrate(stepper, torch.ones(1), start, 10.0, 1e-6))
    assert stepper.statistics.accepted_steps == 0
    assert stepper.statistics.rejected_steps > 0
