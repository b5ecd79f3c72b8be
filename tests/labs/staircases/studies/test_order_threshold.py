from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_studies import assert_files_of, diagonal_config, execute, read

from agfrun import Bench, InitConfig, UsageError, load_config
from agfrun.labs.staircases.studies import order_threshold
from agfrun.labs.staircases.studies.order_threshold import (
    RIGHT,
    UNDECIDED,
    WRONG,
    OrderThresholdConfig,
    bisected,
    exact_interval,
)


def threshold_config(**changes: object) -> OrderThresholdConfig:
    return dataclasses.replace(OrderThresholdConfig(), **changes)  # type: ignore[arg-type]


def test_the_interval_is_exact_at_its_ends() -> None:
    assert exact_interval(20, 20, 0.05) == pytest.approx((0.025 ** (1 / 20), 1.0))
    assert exact_interval(0, 20, 0.05) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))


@pytest.mark.parametrize(("successes", "trials"), [(7, 10), (29, 32), (1, 40)])
def test_the_interval_ends_where_the_binomial_tails_are_half_the_risk(successes: int, trials: int) -> None:
    def at_least(probability: float, count: int) -> float:
        return sum(math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
                   for k in range(count, trials + 1))

    low, high = exact_interval(successes, trials, 0.02)
    assert at_least(low, successes) == pytest.approx(0.01)
    assert 1 - at_least(high, successes + 1) == pytest.approx(0.01)


def test_the_documented_numbers_of_seeds() -> None:
    study = OrderThresholdConfig()
    assert (study.sizes, study.looks) == ([32, 64, 128], 15)
    for seeds, low in ((32, 0.82), (61, 0.90), (125, 0.95)):
        assert exact_interval(seeds, seeds, study.risk)[0] == pytest.approx(low, abs=2e-3)


@given(place=st.floats(-4.0, -0.5), resolution=st.floats(0.05, 3.0))
@settings(max_examples=100, deadline=None)
def test_bisection_brackets_the_threshold(place: float, resolution: float) -> None:
    asked: list[float] = []

    def is_right(scale: float) -> bool:
        asked.append(scale)
        return scale < place or scale == -4.0

    right, above = bisected(is_right, -4.0, -0.5, resolution)
    assert right is not None
    if above is not None:
        assert right <= place <= above
        assert above - right <= resolution
    assert len(asked) <= threshold_config(resolution=resolution).looks / 3
    assert bisected(lambda scale: False, -4.0, -0.5, resolution) == (None, None)
    assert bisected(lambda scale: True, -4.0, -0.5, resolution) == (-0.5, None)


def test_all_decisions_of_a_study_are_right_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks whose order is right with a known probability: the worst case is one exactly at the share asked for."""
    random = np.random.default_rng(0)
    study, config = OrderThresholdConfig(), diagonal_config(OrderThresholdConfig())
    probability = 0.8 - 1e-9  # so that `right` is a mistake
    monkeypatch.setattr(order_threshold, "_orders",
                        lambda config, scale, first, seeds, progress: list(random.random(seeds) < probability))
    mistaken = sum(any(row["verdict"] == RIGHT for scale in (-1.0, -2.0, -3.0, -3.5, -4.0)
                       for row in study._looks_at(config, scale, Bench(progress=False))) for _ in range(400))
    assert mistaken <= 0.05 * 400


@pytest.mark.parametrize(("probability", "verdict", "seeds"),
                         [(1.0, RIGHT, 32), (0.0, WRONG, 32), (0.8, UNDECIDED, 128)])
def test_seeds_are_doubled_until_it_is_decided(probability: float, verdict: str, seeds: int,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    firsts: list[int] = []

    def orders(config: object, scale: float, first: int, count: int, progress: object) -> list[bool]:
        firsts.append(first)
        return [number < probability * count for number in range(count)]

    monkeypatch.setattr(order_threshold, "_orders", orders)
    rows = list(OrderThresholdConfig()._looks_at(diagonal_config(OrderThresholdConfig()), -1.0, Bench(progress=False)))
    assert (rows[-1]["verdict"], rows[-1]["seeds"]) == (verdict, seeds)
    assert firsts == [0, 32, 64][: len(firsts)]  # no seed twice
    assert [row["decided"] for row in rows] == [False] * (len(rows) - 1) + [True]


def test_seeds_without_an_answer_count_against_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_threshold, "_orders", lambda *arguments: [True] * 4)
    study = OrderThresholdConfig()
    row = next(iter(study._looks_at(diagonal_config(study), -1.0, Bench(progress=False))))
    assert (row["compared"], row["share"], row["high"], row["verdict"]) == (4, 1.0, 1.0, UNDECIDED)
    assert row["low"] < 0.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real scales: at the larger one training often learns in another order."""
    folder = tmp_path_factory.mktemp("study")
    study = threshold_config(smallest_log10_scale=-4.0, resolution=3.5, share=0.5, seeds=12, max_seeds=12)
    execute(diagonal_config(study, init=InitConfig("gaussian")), folder)
    return folder


def test_files_of_a_real_study(folder: Path) -> None:
    done = assert_files_of(folder, OrderThresholdConfig, "order_threshold")
    scales = read(folder, "scales")
    assert scales["log10_scale"].tolist() == [-4.0, -0.5]
    assert scales["in_order"].iloc[0] > scales["in_order"].iloc[1]
    assert scales["verdict"].iloc[0] == RIGHT
    assert (done["threshold_log10_scale"], done["next_log10_scale"]) == (-4.0, -0.5)
    assert read(folder, "claims")["holds"].tolist() == [True]


@pytest.mark.parametrize(("overrides", "message"), [
    (["init=deterministic"], "random, so that seeds differ"),
    (["study.smallest_log10_scale=-0.1"], "below study.largest_log10_scale"),
    (["study.resolution=9"], "at most the distance"),
    (["study.share=1.0"], "between 0 and 1"),
    (["study.max_seeds=8"], "at least study.seeds"),
    (["study.share=0.99"], "at least 637: with fewer seeds"),
])
def test_wrong_keys_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(["study=order_threshold", "model=diagonal_linear", "init=gaussian", *overrides])
