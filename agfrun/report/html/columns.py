"""The data of a chart: thinned curves, and tables by column that take little room in a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, Any]

DIGITS = 6


def thin(times: FloatArray, heights: FloatArray, most: int, keep: Iterable[float] = ()) -> npt.NDArray[np.int64]:
    """Rows of a curve to show, evenly spaced along its length as it is drawn.

    Ends, and the rows on either side of each moment in `keep`, always stay.

    Args:
        times, heights: (T,) the curve as it is drawn, that is with logarithms taken; times do not fall.
        most: about how many rows to return; all of them if there are no more.
        keep: moments, in the units of `times`.
    """
    if len(times) <= most:
        return np.arange(len(times))
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(_steps(times), _steps(heights)))])
    targets = np.linspace(0.0, travelled[-1], most)
    rows = np.clip(np.searchsorted(travelled, targets), 0, len(times) - 1)
    after = np.searchsorted(times, np.array([*keep], dtype=np.float64))
    beside = np.clip(np.concatenate([after - 1, after, after + 1]), 0, len(times) - 1)
    return np.unique(np.concatenate([rows, beside, [0, len(times) - 1]]))


def _steps(values: FloatArray) -> FloatArray:
    """Differences as parts of the whole range; what is not finite does not move."""
    finite = values[np.isfinite(values)]
    spread = float(np.ptp(finite)) if len(finite) else 0.0
    steps = np.diff(values) / (spread or 1.0)
    return np.asarray(np.where(np.isfinite(steps), steps, 0.0))


def log_times(times: FloatArray) -> FloatArray:
    """Natural logarithms of times, with time zero far before the first."""
    positive = times[times > 0]
    first = float(positive.min()) if len(positive) else 1.0
    return np.asarray(np.log(np.maximum(times, first / 10)))


def columns(table: pd.DataFrame) -> Columns:
    """A table as columns of plain values for JSON: numbers of six digits, repeated texts as numbers of a list.

    Missing and infinite values become null.
    """
    return {str(name): _column(table[name]) for name in table.columns}


def _column(values: pd.Series) -> Any:
    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        return _texts(values)
    if pd.api.types.is_integer_dtype(values.dtype):
        return [None if pd.isna(value) else int(value) for value in values]
    return [_rounded(value) for value in values.to_numpy(dtype=np.float64, na_value=np.nan).tolist()]


def _texts(values: pd.Series) -> Mapping[str, Any]:
    codes, found = pd.factorize(values.astype(object), use_na_sentinel=True)
    return {"texts": [str(value) for value in found], "codes": [int(code) for code in codes]}


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
