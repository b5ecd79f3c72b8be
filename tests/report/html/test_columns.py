from __future__ import annotations

import json

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from agfrun.report.html.columns import columns, log_times, thin


@given(st.integers(2, 400), st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_thinning_keeps_ends_events_and_order(length: int, most: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    times = np.sort(generator.uniform(0, 10, length))
    heights = generator.normal(size=length).cumsum()
    events = generator.uniform(times[0], times[-1], 3)
    rows = thin(times, heights, most, events)
    assert np.array_equal(rows, np.unique(rows))
    assert {0, length - 1} <= set(rows.tolist())
    assert len(rows) <= max(length if length <= most else 0, most + 3 * len(events) + 2)
    for event in events:
        after = int(np.searchsorted(times, event))
        assert {max(after - 1, 0), min(after, length - 1)} <= set(rows.tolist())


def test_a_thinned_staircase_is_close_to_the_whole_one() -> None:
    times = np.linspace(0, 10, 5001)
    heights = sum(1 / (1 + np.exp(40 * (times - at))) for at in (2.0, 5.0, 9.0))
    rows = thin(times, heights, 300)
    assert len(rows) <= 302
    assert np.abs(np.interp(times, times[rows], heights[rows]) - heights).max() < 0.01


def test_time_zero_has_a_place_before_the_first_moment() -> None:
    assert np.allclose(log_times(np.array([0.0, 1.0, np.e])), [-np.log(10), 0.0, 1.0])


def test_columns_are_json_and_read_back() -> None:
    table = pd.DataFrame({"time": [0.123456789, np.nan, np.inf], "neuron": pd.array([1, None, 3], dtype="Int64"),
                          "feature": ["a", None, "a"]})
    found = json.loads(json.dumps(columns(table), allow_nan=False))
    assert found == {"time": [0.123457, None, None], "neuron": [1, None, 3],
                     "feature": {"texts": ["a"], "codes": [0, -1, 0]}}
