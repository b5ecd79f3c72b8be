from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from benchmarks.gradients import Competitor, compete
from benchmarks.timing import Deadline, TimeLimitError, alternate, repeated, seconds_of


def test_competitors_run_in_turn_and_medians_are_taken() -> None:
    calls: list[str] = []
    values = {"a": iter([1.0, 9.0, 2.0]), "b": iter([5.0, 4.0, 6.0])}

    def function(name: str) -> Callable[[], float]:
        return lambda: (calls.append(name), next(values[name]))[1]

    timings = alternate({"a": function("a"), "b": function("b")}, repeats=3)
    assert calls == ["a", "b"] * 3
    assert (timings["a"].median, timings["a"].low, timings["a"].high) == (2.0, 1.0, 9.0)
    assert timings["b"].median == 5.0


def work(seconds: float) -> float:
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return seconds


def test_a_slow_competitor_leaves_the_rounds_but_runs_once() -> None:
    def slow() -> float:
        time.sleep(0.03)
        return 0.03

    timings = alternate({"slow": slow, "fast": lambda: 0.0}, repeats=5, budget=0.04)
    assert (timings["slow"].runs, timings["fast"].runs) == (1, 5)


def test_time_of_one_call() -> None:
    assert repeated(lambda: work(0.002), 0.02)() == pytest.approx(0.002, rel=0.5)


def test_waiting_is_not_counted_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert seconds_of(lambda: time.sleep(0.05)) < 0.02
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert seconds_of(lambda: time.sleep(0.05)) >= 0.05


def test_a_first_call_that_compiles_does_not_count() -> None:
    waits = iter([0.05])
    measure = repeated(lambda: work(next(waits, 1e-4)), 0.01)
    assert measure() < 0.01


def test_a_deadline_ends_what_takes_too_long() -> None:
    Deadline(60.0).check()
    with pytest.raises(TimeLimitError, match="stopped after 0 s"):
        Deadline(0.0).check()


def test_wrong_missing_and_failing_competitors_are_reported_and_not_timed() -> None:
    timed: list[str] = []

    def measuring(name: str) -> Callable[[], Callable[[], float]]:
        return lambda: lambda: (timed.append(name), 1e-6)[1]

    def missing() -> float:
        raise ModuleNotFoundError("no", name="jax")

    def failing() -> float:
        raise ValueError("boom")

    rows = {row["competitor"]: row for row in compete([
        Competitor("right", measuring("right"), lambda: 1e-12),
        Competitor("wrong", measuring("wrong"), lambda: 0.1),
        Competitor("undefined", measuring("undefined"), lambda: float("nan")),
        Competitor("missing", measuring("missing"), missing),
        Competitor("failing", measuring("failing"), failing),
    ], repeats=2)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "right": "ok", "wrong": "wrong", "undefined": "wrong", "missing": "skipped", "failing": "failed"}
    assert set(timed) == {"right"}
    assert "microseconds" not in rows["wrong"]
    assert rows["right"]["microseconds"] == pytest.approx(1.0)
    assert rows["missing"]["note"] == "jax is not installed"
