from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from agfrun.report.html.numbers import MISSING, flag, number, percent, seconds, text


@pytest.mark.parametrize(("value", "shown"), [
    (1234.56789, "1235"), (1e-17, "1e-17"), (3, "3"), (2.0, "2"), (123456.0, "1.235e+05"), ("2 3 1", "2 3 1"),
    (True, "yes"), (None, MISSING), (math.nan, MISSING), (pd.NA, MISSING), (math.inf, "inf")])
def test_numbers_have_four_digits(value: Any, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(("share", "shown"), [
    (0.0208, "2.1%"), (0.36, "36%"), (2.5, "250%"), (0.0, "0%"), (1e-20, "0.0001%"), (None, MISSING)])
def test_errors_are_percentages_of_two_digits(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_seconds_flags_and_values() -> None:
    assert [seconds(value) for value in (0.0123, 4.56, 250.2, None)] == ["12 ms", "4.6 s", "250 s", MISSING]
    assert [flag(value) for value in (True, False, pd.NA)] == ["yes", "no", MISSING]
    shown = [text(value) for value in (1e-06, [1, "a"], {"a": None}, False)]
    assert shown == ["1e-06", '[1, "a"]', '{"a": null}', "no"]
