from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from agfrun.study.intervals import QUANTILE, wilson_interval


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (7, 9), (60, 64), (1, 1)])
def test_wilson_interval(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_it_holds_the_share_and_stays_a_probability(trials: int, part: float) -> None:
    successes = round(part * trials)
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials + 1e-15
    assert successes / trials - 1e-15 <= high <= 1
    # What is counted the other way round lies the other way round.
    mirrored = wilson_interval(trials - successes, trials)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_a_higher_confidence_is_a_wider_interval() -> None:
    assert pytest.approx(norm.ppf(0.975), abs=1e-15) == QUANTILE
    expected = binomtest(7, 9).proportion_ci(0.99, method="wilson")
    assert wilson_interval(7, 9, float(norm.ppf(0.995))) == pytest.approx((expected.low, expected.high), abs=1e-12)
