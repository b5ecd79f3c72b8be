"""Lattices of the user's own, from a file of NumPy's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from agfrun.files.array_files import read_npy
from agfrun.files.reading import MOST_DATA, reading_named
from agfrun.labs.lattices.bases import FloatArray, checked_bases
from agfrun.labs.lattices.data.lattices import LatticesConfig
from agfrun.study.checks import one_of, positive, require
from agfrun.study.errors import ConfigError, UsageError
from agfrun.study.registry import register

KEY = "data.path"


@register("data")
@dataclass
class BasesFileConfig(LatticesConfig):
    """Bases from a `.npy` file of the shape (n, n) or (N, n, n).

    `vectors` says whether basis vectors are rows or columns. Entries are integers; real ones are multiplied by `scale`
    and rounded.
    """

    name: str = "bases_file"
    path: str | None = None
    vectors: str = "rows"
    scale: float | None = None

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `LatticesConfig.check`."""
        require(KEY, self.path, self.path is not None, "a .npy file of the shape (n, n) or (N, n, n)")
        one_of("data.vectors", self.vectors, ("rows", "columns"))
        require("data.scale", self.scale, self.scale is None or positive(self.scale),
                "a number above 0, or null for integers as they are")

    def build(self) -> FloatArray:
        """See `LatticesConfig.build`."""
        with reading_named(KEY, self.path):
            array = read_npy(Path(str(self.path)).expanduser(), MOST_DATA)
        require(KEY, self.path, array.dtype.kind in "iuf" and array.ndim in (2, 3) and array.size > 0,
                f"a file of numbers of the shape (n, n) or (N, n, n), not {array.dtype} of {array.shape}")
        try:
            given = array if self.scale is None else np.rint(np.asarray(array, dtype=np.float64) * self.scale)
            rows = checked_bases(given, "rows" if self.vectors == "rows" else "columns", integers=True)
        except UsageError as error:
            raise ConfigError(KEY, self.path, str(error)) from error
        return rows.reshape(-1, *rows.shape[-2:])
