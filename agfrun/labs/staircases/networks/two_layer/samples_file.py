"""The user's own samples from a `.npz` or `.csv` file."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from agfrun.files.array_files import open_archive, read_member
from agfrun.files.reading import read_named_text, reading_named
from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.networks.two_layer.samples import Array, Samples, samples
from agfrun.study.checks import LARGEST_DATUM, ORDINARY, ordinary, require
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.registry import register

SUFFIXES = (".npz", ".csv")
KEY = "data.path"


@register("data")
@dataclass
class SamplesFileConfig(DataConfig):
    """Samples from a file, taken as they are: neither centred nor scaled.

    `.npz`: arrays `inputs` (n, d) and `targets` (n, c) or (n,). `.csv`: a line of column names, then numbers;
    the columns named by `target_columns`, or the last one, are the targets and all others inputs.
    """

    name: str = "samples_file"
    path: str | None = None
    target_columns: list[str] | None = None

    file_keys: ClassVar[tuple[str, ...]] = ("path",)
    provides: ClassVar[type] = Samples

    def check(self) -> None:
        """See `DataConfig.check`."""
        require(KEY, self.path, self.path is not None and Path(self.path).suffix in SUFFIXES,
                f"a file that ends in {' or '.join(SUFFIXES)}")
        columns = self.target_columns
        if columns is not None:
            require("data.target_columns", columns, self.path is not None and self.path.endswith(".csv"),
                    "null unless data.path ends in .csv")
            require("data.target_columns", columns, len(columns) > 0 and len(set(columns)) == len(columns),
                    "names of columns, each once, or null for the last column")

    def build(self, dtype: torch.dtype, device: torch.device) -> Samples:
        """See `DataConfig.build`."""
        name = self.path or ""
        path = Path(name).expanduser()
        names: tuple[str, ...] | None = None
        try:
            if path.suffix == ".npz":
                inputs, targets = _read_npz(name, path)
            else:
                inputs, targets, names = _read_csv(name, path, self.target_columns)
        except OSError as error:
            raise ConfigError(KEY, name, f"it cannot be read: {error.strerror or error}") from None
        return samples(inputs, targets, dtype, device, names)


def _read_npz(name: str, path: Path) -> tuple[Array, Array]:
    """Arrays `inputs` and `targets`; pickled objects are refused.

    Raises:
        ConfigError: the file holds something else.
    """
    try:
        with open_archive(path) as archive:
            held = [member.removesuffix(".npy") for member in archive.namelist()]
            for array in ("inputs", "targets"):
                require(KEY, name, array in held,
                        f"a file with the arrays inputs and targets, not {', '.join(held) or 'none'}")
            inputs, targets = read_member(archive, "inputs"), read_member(archive, "targets")
    except zipfile.BadZipFile as error:
        raise ConfigError(KEY, name, f"it cannot be read: {error}; write an archive of arrays (numpy.savez)") from None
    except (ValueError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ConfigError(KEY, name, f"it cannot be read: {' '.join(str(error).split())}") from None
    inputs, targets = _matrix(name, "inputs", inputs), _matrix(name, "targets", targets)
    require(KEY, name, len(inputs) == len(targets),
            f"a file with as many targets as inputs, not {len(targets)} and {len(inputs)}")
    return inputs, targets


def _matrix(name: str, array: str, values: np.ndarray) -> Array:
    """A finite matrix; a vector counts as one column."""
    require(KEY, name, values.dtype.kind in "fiub", f"a file whose {array} are real numbers, not {values.dtype}")
    matrix = values[:, None] if values.ndim == 1 else values
    require(KEY, name, matrix.ndim == 2 and matrix.size > 0,
            f"a file whose {array} have a row for each sample, not shape {values.shape}")
    numbers = matrix.astype(np.float64)
    for row, column in np.argwhere(~(np.abs(numbers) <= LARGEST_DATUM)):
        require(KEY, name, False, f"a file with numbers {ORDINARY}; {array}[{row}, {column}] is {numbers[row, column]}")
    return numbers


def _read_csv(name: str, path: Path, target_columns: Sequence[str] | None) -> tuple[Array, Array, tuple[str, ...]]:
    """Inputs, targets and the names of the targets.

    Raises:
        ConfigError: there is no line of names, a row is too short or long, or a cell is no finite number.
    """
    with reading_named(KEY, name):
        lines = [row for row in csv.reader(read_named_text(path), strict=True) if row]
    columns = [column.strip() for column in lines[0]] if lines else []
    require(KEY, name, len(columns) >= 2 and all(columns) and not any(map(_is_number, columns)),
            "a file whose first line names at least two columns")
    require(KEY, name, len(set(columns)) == len(columns), "a file that names each column once")
    require(KEY, name, len(lines) > 1, "a file with at least one sample")
    table = np.array([_numbers(name, number, row, columns) for number, row in enumerate(lines[1:], 1)])
    targets = _target_places(columns, target_columns)
    inputs = [place for place in range(len(columns)) if place not in targets]
    require("data.target_columns", target_columns, len(inputs) > 0, "fewer than all columns: none is left as an input")
    return table[:, inputs], table[:, targets], tuple(columns[place] for place in targets)


def _numbers(name: str, number: int, row: list[str], columns: list[str]) -> list[float]:
    """The cells of sample `number`, counted from 1."""
    require(KEY, name, len(row) == len(columns),
            f"a file with {len(columns)} cells in every row; sample {number} has {len(row)}")
    for column, cell in zip(columns, row, strict=True):
        require(KEY, name, _is_number(cell) and ordinary(float(cell)),
                f"a file with numbers {ORDINARY}; sample {number} has {cell!r} in column {column}")
    return [float(cell) for cell in row]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _target_places(columns: list[str], target_columns: Sequence[str] | None) -> list[int]:
    """Places of the target columns; the last one if none are named."""
    if target_columns is None:
        return [len(columns) - 1]
    for column in target_columns:
        if column not in columns:
            raise ConfigError("data.target_columns", list(target_columns),
                              f"there is no column {column}{did_you_mean(closest(column, columns))}")
    return [columns.index(column) for column in target_columns]
