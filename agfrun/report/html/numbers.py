"""Numbers and values as a reader wants them in a table."""

from __future__ import annotations

import json

from agfrun.files.tables import is_missing

MISSING = "–"

_DIGITS = 4
_SMALLEST_PERCENT = 1e-6


def number(value: object, digits: int = _DIGITS) -> str:
    """A number with so many significant digits, or a dash where there is none."""
    if is_missing(value):
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 10**digits):
        return str(int(value))
    return f"{value:.{digits}g}"


def percent(share: object) -> str:
    """A relative error with two significant digits, such as `2.1%`."""
    if is_missing(share) or not isinstance(share, int | float):
        return MISSING
    if 0 < share < _SMALLEST_PERCENT:
        return f"{100 * _SMALLEST_PERCENT:g}%"
    value = 100 * float(share)
    return f"{value:.0f}%" if value >= 10 else f"{value:.2g}%"


def seconds(value: object) -> str:
    """Seconds to a tenth where they are many, in milliseconds where they are few."""
    if is_missing(value) or not isinstance(value, int | float):
        return MISSING
    return f"{1000 * value:.0f} ms" if value < 0.1 else f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def text(value: object) -> str:
    """Any plain value on one line; lists and mappings as JSON."""
    if is_missing(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | dict):
        return json.dumps(value, default=str)
    return str(value)


def flag(value: object) -> str:
    """Yes, no, or a dash where it is not known."""
    return MISSING if is_missing(value) else "yes" if value else "no"
