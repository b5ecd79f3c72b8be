"""Dormant heads solved by quadrature, against SciPy's integrators and the three-wave system."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar

from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead
from agfrun.labs.staircases.networks.quadratic_modadd.three_wave import blow_up_time

Vector = npt.NDArray[np.float64]
DRIVES = np.array([5.0, 2.0, 0.0, 0.7])


def velocity(state: Vector, drives: Vector, rank: int) -> Vector:
    keys, queries = state[1:].reshape(2, rank, -1)
    return np.concatenate([[(drives * keys * queries).sum()], (state[0] * drives * queries).ravel(),
                           (state[0] * drives * keys).ravel()])


def flat(head: DormantHead) -> Vector:
    return head.scale * np.concatenate([[head.value], head.keys.ravel(), head.queries.ravel()])


def integrated(head: DormantHead, drives: Vector, end: float, threshold: float = math.inf) -> tuple[float, Vector]:
    """Time at which the norm reaches the threshold (or `end`), and the state there."""
    def crossing(_: float, state: Vector) -> float:
        return float(np.linalg.norm(state) - threshold) if math.isfinite(threshold) else 1.0

    crossing.terminal = True  # type: ignore[attr-defined]
    start = flat(head)
    path = solve_ivp(lambda _, state: velocity(state, drives, len(head.keys)), (0.0, end), start, method="DOP853",
                     rtol=1e-12, atol=1e-14 * float(np.linalg.norm(start)), events=crossing)
    return float(path.t[-1]), path.y[:, -1]


@st.composite
def heads(draw: st.DrawFn, modes: int = 4) -> DormantHead:
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    rank, scale = draw(st.integers(1, 3)), draw(st.sampled_from([1.0, 1e-2]))
    value = scale * generator.normal() * draw(st.sampled_from([1.0, 0.1, 0.0]))
    return DormantHead.of(value, scale * generator.normal(size=(rank, modes)),
                          scale * generator.normal(size=(rank, modes)))


@settings(max_examples=30)
@given(head=heads(), share=st.floats(0.05, 0.99))
def test_path_is_that_of_an_integrator(head: DormantHead, share: float) -> None:
    threshold = 100 * head.norm
    time = head.activation_time(DRIVES, threshold)
    expected = integrated(head, DRIVES, 2 * time, threshold)[0]
    assert time == pytest.approx(expected, rel=1e-8)
    state = integrated(head, DRIVES, share * time)[1]
    np.testing.assert_allclose(flat(head.after(share * time, DRIVES)), state, rtol=0,
                               atol=1e-7 * float(np.linalg.norm(state)))


def turning_head() -> DormantHead:
    """v starts positive, vanishes and blows up on the other side."""
    keys = np.array([[0.6, 0.3, 0.2, -0.5]])
    return DormantHead.of(0.1, keys, -0.9 * keys)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_head_that_turns(share: float) -> None:
    head = turning_head()
    time = head.activation_time(DRIVES, 50.0)
    assert time == pytest.approx(integrated(head, DRIVES, 2 * time, 50.0)[0], rel=1e-9)
    assert head.after(time, DRIVES).value < 0
    state = integrated(head, DRIVES, share * time)[1]
    np.testing.assert_allclose(flat(head.after(share * time, DRIVES)), state, rtol=0,
                               atol=1e-8 * float(np.linalg.norm(state)))


@pytest.mark.parametrize("exponent", range(-20, -1))
def test_next_to_no_value_is_not_none(exponent: int) -> None:
    """A path that begins with a layer thinner than its length by twice the exponent; an elliptic integral knows."""
    value = 10.0**exponent
    head = DormantHead.of(value, np.array([[0.5]]), np.array([[0.5]]))
    expected = blow_up_time(value, 0.5, 0.5, 1.0)
    assert head.activation_time(np.array([1.0]), 1e14) == pytest.approx(expected, rel=1e-11)


@settings(max_examples=40)
@example(v=1e-160, k=1.0, q=1.0, drive=1.0)  # whose square is a subnormal number
@given(v=st.floats(-1, 1), k=st.floats(-1, 1), q=st.floats(-1, 1), drive=st.floats(0.1, 10))
def test_one_mode_is_a_three_wave_system(v: float, k: float, q: float, drive: float) -> None:
    assume(sorted([abs(v), abs(k), abs(q)])[1] > 1e-3)
    head = DormantHead.of(v, np.array([[k]]), np.array([[q]]))
    # Symmetric in the three; with the smallest first nothing cancels.
    expected = blow_up_time(*sorted([v, k, q], key=abs), drive)
    assume(math.isfinite(expected) and expected < 1e3)
    # From norm 1e12 on, blow-up takes another sqrt(3) / (drive 1e12).
    assert head.activation_time(np.array([drive]), 1e12) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=15)
@given(head=heads(), share=st.floats(0.1, 0.9))
def test_two_stages_are_one(head: DormantHead, share: float) -> None:
    time = head.activation_time(DRIVES, 10 * head.norm)
    at_once, in_two = head.after(time, DRIVES), head.after(share * time, DRIVES).after((1 - share) * time, DRIVES)
    np.testing.assert_allclose(flat(in_two), flat(at_once), rtol=0, atol=1e-7 * at_once.norm)


@settings(max_examples=30)
@given(head=heads())
def test_constants_of_motion_and_frozen_modes(head: DormantHead) -> None:
    later = head.after(0.7 * head.activation_time(DRIVES, 10 * head.norm), DRIVES)
    for before, after in [(head.keys, later.keys), (head.queries, later.queries)]:
        np.testing.assert_allclose(after[:, 2], before[:, 2], rtol=0, atol=1e-14)  # no drive on that mode
    start, end = (h.value**2 - (h.keys**2).sum() for h in (head, later))
    assert end == pytest.approx(start, abs=1e-8 * (later.norm / later.scale) ** 2)
    start, end = ((h.keys**2).sum() - (h.queries**2).sum() for h in (head, later))
    assert end == pytest.approx(start, abs=1e-8 * (later.norm / later.scale) ** 2)


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e-3])
def test_times_are_inverse_to_the_scale(scale: float) -> None:
    generator = np.random.default_rng(3)
    value, keys, queries = generator.normal(), generator.normal(size=(2, 4)), generator.normal(size=(2, 4))
    unit = DormantHead.of(value, keys, queries)
    small = DormantHead.of(scale * value, scale * keys, scale * queries)
    assert small.norm == pytest.approx(scale * unit.norm)
    far = unit.activation_time(DRIVES, 1e10)
    assert scale * small.activation_time(DRIVES, scale * 1e10) == pytest.approx(far, rel=1e-9)


def test_heads_at_rest() -> None:
    moving = DormantHead.of(1.0, np.ones((1, 2)), np.ones((1, 2)))
    assert moving.activation_time(np.zeros(2), 10.0) == math.inf
    assert moving.after(5.0, np.zeros(2)) == moving
    resting = DormantHead.of(0.0, np.ones((1, 2)), np.zeros((1, 2)))
    assert resting.activation_time(np.ones(2), 10.0) == math.inf
    assert resting.after(5.0, np.ones(2)) == resting
    assert DormantHead.of(0.0, np.zeros((1, 2)), np.zeros((1, 2))).activation_time(np.ones(2), 1.0) == math.inf


def test_a_head_that_only_decays() -> None:
    """K = -Q and v^2 > |K|^2: all modes die out and v stays."""
    head = DormantHead.of(1.0, np.array([[0.5, 0.2]]), np.array([[-0.5, -0.2]]))
    assert head.activation_time(np.array([2.0, 1.0]), 10.0) == math.inf
    late = head.after(1e4, np.array([2.0, 1.0]))
    assert late.scale * late.value == pytest.approx(math.sqrt(1 - 0.29))
    assert float(np.abs(late.keys).max()) < 1e-12


@pytest.mark.parametrize("above", [1e-4, -1e-4, 1e-6, -1e-6])
@pytest.mark.filterwarnings("error")
def test_a_head_that_all_but_stops(above: float) -> None:
    """Close to the value at which v would just reach zero, below which the head turns."""
    keys = np.array([[0.6, 0.3, 0.2, -0.5]])
    rising, falling = (0.05 * keys[0]) ** 2, (0.95 * keys[0]) ** 2  # |K +- Q|^2 / 4 with Q = -0.9 K

    def gained(s: float) -> float:
        return float((rising * np.expm1(2 * DRIVES * s) + falling * np.expm1(-2 * DRIVES * s)).sum())

    critical = math.sqrt(-minimize_scalar(gained, bounds=(0, 3), method="bounded", options={"xatol": 1e-12}).fun)
    head = DormantHead(critical * (1 + above), keys, -0.9 * keys)
    time = head.activation_time(DRIVES, 50.0)
    assert time == pytest.approx(integrated(head, DRIVES, 2 * time, 50.0)[0], rel=1e-6)
    assert (head.after(0.99 * time, DRIVES).value < 0) == (above < 0)


def test_a_value_that_is_all_but_zero() -> None:
    head = DormantHead.of(-1e-101, np.ones((1, 1)), np.ones((1, 1)))
    expected = blow_up_time(-1e-101, 1.0, 1.0, 1.0)
    assert head.activation_time(np.ones(1), 1e12) == pytest.approx(expected, rel=1e-9)


def test_there_is_nothing_after_blow_up() -> None:
    for head in (turning_head(), DormantHead.of(0.3, np.ones((1, 4)), np.ones((1, 4)))):
        with pytest.raises(ValueError, match="blown up"):
            head.after(1.1 * head.activation_time(DRIVES, 1e9), DRIVES)


def test_already_there() -> None:
    head = DormantHead.of(1.0, np.ones((1, 4)), np.ones((1, 4)))
    assert head.activation_time(DRIVES, 0.5) == 0.0


def test_turning_the_axes_keeps_what_matters() -> None:
    generator = np.random.default_rng(0)
    head = DormantHead.of(0.3, generator.normal(size=(2, 4)), generator.normal(size=(2, 4)))
    axes = np.linalg.qr(generator.normal(size=(2, 2)))[0]
    turned = head.turned([1, 3], axes)
    assert turned.norm == pytest.approx(head.norm)
    np.testing.assert_allclose(turned.keys[:, [1, 3]] @ axes.T, head.keys[:, [1, 3]])
    np.testing.assert_array_equal(turned.queries[:, [0, 2]], head.queries[:, [0, 2]])
    alike = np.array([5.0, 2.0, 1.0, 2.0])
    assert turned.activation_time(alike, 30.0) == pytest.approx(head.activation_time(alike, 30.0))
