"""How far AGF's times may be off at a finite scale: hand-made growth, and what a logistic newcomer shows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from claims_runs import run_evidence

from agfrun.labs.staircases.claims import finite_scale
from agfrun.labs.staircases.claims.claim import Evidence


def with_norms(evidence: Evidence, start: float, own: float) -> Evidence:
    """AGF's neurons all from one log norm to another."""
    path = evidence.prediction.trajectory
    norms = np.full_like(path.log_norms, own)
    norms[0] = start
    return replace(evidence, prediction=replace(evidence.prediction, trajectory=replace(path, log_norms=norms)))


@pytest.mark.parametrize(("degree", "norm", "expected"), [(2, 0.5, math.log(0.5)), (3, 0.5, -2.0), (4, 0.5, -2.0)])
def test_growth_coordinate_obeys_its_definition(degree: int, norm: float, expected: float) -> None:
    """dh/dt = drive where dn/dt = drive n^(degree - 1): h is the integral of n^(1 - degree)."""
    assert finite_scale.growth(math.log(norm), degree) == pytest.approx(expected)


def test_growth_from_below_the_floats_takes_for_ever() -> None:
    assert finite_scale.growth(-2000.0, 3) == -math.inf


def test_a_logistic_newcomer_is_late_by_its_own_size() -> None:
    """n^2 = s^2 / (1 + (s^2 / n0^2) e^(-2t)): half of s^2 at t = log(s / n0), at which free growth gives s."""
    start, own = 1e-6, 3.0
    times = np.linspace(0, 40, 400_001)
    squares = own**2 / (1 + own**2 / start**2 * np.exp(-2 * times))
    half = times[np.argmax(squares >= own**2 / 2)]
    assert half - math.log(1 / start) == pytest.approx(math.log(own), abs=1e-3)


def test_tolerance_at_degree_two_falls_like_one_over_the_logarithm() -> None:
    evidence = replace(run_evidence("diagonal"), threshold=1.0)
    found = [finite_scale.time_tolerance(with_norms(evidence, -folds, math.log(2)), "1")[0] for folds in (20, 200)]
    assert found == pytest.approx([(1 + math.log(2)) / 20, (1 + math.log(2)) / 200])


def test_neurons_that_share_a_feature_come_the_sooner() -> None:
    evidence = replace(run_evidence("relu"), threshold=1.0)
    tolerance, _ = finite_scale.time_tolerance(with_norms(evidence, -100, 0.0), "positive")
    assert tolerance == pytest.approx((1 + 0.5 * math.log(evidence.architecture.width)) / 100)


def test_tolerance_at_degree_three_is_of_the_order_of_the_initial_norm() -> None:
    evidence = replace(run_evidence("attention"), threshold=1.0)
    tolerance, _ = finite_scale.time_tolerance(with_norms(evidence, math.log(1e-2), math.log(0.5)), "1")
    assert tolerance == pytest.approx((2 + 1) / (1e2 - 1))


def test_no_scale_excuses_more_than_a_fifth_nor_less_than_can_be_read() -> None:
    evidence = replace(run_evidence("diagonal"), threshold=1.0)
    for start, expected in ((-2.0, finite_scale.WRONG_TIME), (0.5, finite_scale.WRONG_TIME),
                            (-1e6, finite_scale.READING)):
        assert finite_scale.time_tolerance(with_norms(evidence, start, math.log(2)), "1")[0] == expected
