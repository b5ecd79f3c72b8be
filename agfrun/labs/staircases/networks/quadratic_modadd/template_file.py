"""A template of the user's own from a `.npy` or `.csv` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agfrun.files.array_files import read_npy
from agfrun.files.reading import MIB, read_named_text, reading_named
from agfrun.study.checks import LARGEST_DATUM, ORDINARY, require
from agfrun.study.errors import ConfigError

SUFFIXES = (".npy", ".csv")
MOST_TEMPLATE = 64 * MIB


def read_template(key: str, name: str) -> np.ndarray:
    """The finite numbers of a file, in order; at least two, and not all of them equal.

    `.npy`: one array of real numbers. `.csv`: one number a line, or all in one line, separated by commas or spaces; no
    header.

    Args:
        key: configuration key that names the file, for errors.
        name: path, relative to the current working directory.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    path = Path(name).expanduser()
    with reading_named(key, name):
        values = read_npy(path) if path.suffix == ".npy" else _read_csv(key, name, path)
    require(key, name, values.dtype.kind in "fiu", "a file of real numbers")
    require(key, name, values.size == max(values.shape, default=0) and values.size >= 2,
            f"a file with one row of at least two numbers, not shape {values.shape}")
    template = values.reshape(-1).astype(np.float64)
    require(key, name, bool((np.abs(template) <= LARGEST_DATUM).all()), f"a file of numbers {ORDINARY}")
    spread = float(np.ptp(template))
    require(key, name, spread > 1e-12 * float(np.abs(template).max()), "a file whose numbers are not all equal")
    return template


def _read_csv(key: str, name: str, path: Path) -> np.ndarray:
    text = read_named_text(path, MOST_TEMPLATE).read()
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and any(len(words) > 1 for words in lines):  # of a decimal comma, say
        raise ConfigError(key, name, "must have one number a line, or all in one line, with decimal points")
    try:
        return np.array([float(word) for words in lines for word in words])
    except ValueError:
        raise ConfigError(key, name, "must be a file of numbers separated by commas, without a header") from None
