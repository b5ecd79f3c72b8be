"""Initialization scales of runs that were read back, as decimal logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.files.saved_run import config_value, read_config
from agfrun.report.saved_sweep import SavedSweep

SCALES = ("init.scale", "init.log10_scale")


def log10_scale(config: Mapping[str, Any]) -> float:
    """Of a configuration that was read back; NaN where it says none."""
    exponent = config_value(config, "init", "log10_scale", None)
    scale = config_value(config, "init", "scale", None)
    if isinstance(exponent, int | float):
        return float(exponent)
    return math.log10(scale) if isinstance(scale, int | float) and scale > 0 else math.nan


def log10_scales(sweep: SavedSweep) -> npt.NDArray[np.float64]:
    """Of each run of a sweep: from the swept key, or what the first run says where none is swept."""
    runs = sweep.runs
    if SCALES[1] in runs and runs[SCALES[1]].notna().all():
        return np.asarray(runs[SCALES[1]], dtype=float)
    if SCALES[0] in runs and runs[SCALES[0]].notna().all():
        return np.asarray(np.log10(np.asarray(runs[SCALES[0]], dtype=float)))
    return np.full(len(runs), log10_scale(read_config(sweep.folder / str(runs["run"].iloc[0]))))
