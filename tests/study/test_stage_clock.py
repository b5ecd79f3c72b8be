"""What takes long shows that it is under way; what is over soon, or shows a bar of its own, does not."""

from __future__ import annotations

import sys
import time

import pytest

from agfrun.study import stage_clock
from agfrun.study.bench import Bench
from agfrun.study.stage_clock import StageClock

LAST_RESORT = 300


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages count as long from their first moment."""
    monkeypatch.setattr(stage_clock, "SILENT", 0.0)
    monkeypatch.setattr(stage_clock, "EVERY", 0.01)


def test_a_long_stage_is_told_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    clock, last, said = StageClock(shown=True), time.monotonic() + LAST_RESORT, ""
    with clock.stage("own_size_steps"):
        while said.count("own size steps: 00:") < 2 and time.monotonic() < last:
            time.sleep(0.01)
            said += capsys.readouterr().err
    assert said.count("own size steps: 00:") >= 2
    assert capsys.readouterr().err.endswith("\r")  # the line is wiped
    assert clock.seconds["own_size_steps"] > 0


@pytest.mark.parametrize(("shown", "has_bar"), [(False, False), (True, True)])
def test_others_say_nothing(shown: bool, has_bar: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with StageClock(shown).stage("plot", has_bar):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_failure_ends_the_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    clock = StageClock(shown=True)
    with pytest.raises(KeyboardInterrupt), clock.stage("agf"):
        raise KeyboardInterrupt
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""
    assert "agf" in clock.seconds


def test_a_bench_shows_stages_where_it_shows_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert [Bench(progress=progress).shows for progress in (True, False, None)] == [True, False, True]
