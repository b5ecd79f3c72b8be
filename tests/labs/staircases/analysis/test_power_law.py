from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agfrun.labs.staircases.analysis.rates import fit_power_law

SIZES = np.array([0.2, 0.1, 0.05, 0.02, 0.01])


@given(st.floats(-2, 3), st.floats(1e-3, 1e3))
def test_an_exact_power_is_recovered(exponent: float, prefactor: float) -> None:
    law = fit_power_law(SIZES, prefactor * SIZES**exponent)
    assert law is not None
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.prefactor == pytest.approx(prefactor, rel=1e-8)
    assert law.covers(exponent)
    assert (law.points, law.groups) == (5, 1)
    assert (law.smallest, law.largest) == (pytest.approx(0.01), pytest.approx(0.2))


def test_without_scatter_the_interval_is_that_of_the_accuracy() -> None:
    law = fit_power_law(SIZES, SIZES, accuracy=0.02, confidence=0.9)
    assert law is not None
    spread = math.sqrt(5 * np.var(np.log(SIZES)))
    assert law.high - law.exponent == pytest.approx(stats.t.ppf(0.95, 3) * 0.02 / spread)


def test_one_group_is_ordinary_regression() -> None:
    distances = SIZES**0.8 * np.array([1.1, 0.8, 1.3, 0.9, 1.05])
    law = fit_power_law(SIZES, distances)
    assert law is not None
    ordinary = stats.linregress(np.log(SIZES), np.log(distances))
    assert law.exponent == pytest.approx(ordinary.slope)
    assert law.high - law.exponent == pytest.approx(stats.t.ppf(0.975, 3) * ordinary.stderr)
    assert law.prefactor == pytest.approx(math.exp(ordinary.intercept))


def test_groups_are_regression_with_an_intercept_each() -> None:
    generator = np.random.default_rng(0)
    sizes, groups = np.tile(SIZES, 3), np.repeat([7, 8, 9], 5)
    distances = np.repeat([0.1, 1.0, 30.0], 5) * sizes**1.3 * np.exp(0.2 * generator.standard_normal(15))
    law = fit_power_law(sizes, distances, groups.tolist())
    assert law is not None
    design = np.column_stack([np.log(sizes), *(groups == group for group in (7, 8, 9))]).astype(float)
    solution, residual, *_ = np.linalg.lstsq(design, np.log(distances), rcond=None)
    variance = float(residual[0]) / (15 - 4) * np.linalg.inv(design.T @ design)[0, 0]
    assert law.exponent == pytest.approx(solution[0])
    assert law.high - law.low == pytest.approx(2 * stats.t.ppf(0.975, 11) * math.sqrt(variance))
    assert law.groups == 3


def test_the_interval_covers_as_often_as_it_says() -> None:
    """1000 experiments; the number that cover is binomial, 3.3 standard deviations are allowed."""
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        law = fit_power_law(SIZES, SIZES * np.exp(0.3 * generator.standard_normal(5)))
        assert law is not None
        covered += law.covers(1.0)
    assert abs(covered - 950) < 3.3 * math.sqrt(1000 * 0.95 * 0.05)


def test_points_without_a_logarithm_are_left_out() -> None:
    law = fit_power_law([*SIZES, 0.3, 0.4, 0.5], [*SIZES, 0.0, math.nan, math.inf])
    assert law is not None
    assert law.points == 5
    assert law.exponent == pytest.approx(1.0)


def test_a_group_of_one_size_says_nothing_about_the_exponent() -> None:
    law = fit_power_law([*SIZES, 0.1, 0.1], [*SIZES, 5.0, 9.0], [*"aaaaa", "b", "b"])
    assert law is not None
    assert (law.points, law.groups) == (5, 1)


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [([], None), ([0.1], None), ([0.1, 0.2], None), ([0.1, 0.1, 0.1], None), ([0.1, 0.2, 0.1, 0.2], [*"abcd"])],
)
def test_too_few_points_have_no_exponent(sizes: list[float], groups: list[object] | None) -> None:
    assert fit_power_law(sizes, sizes, groups) is None
