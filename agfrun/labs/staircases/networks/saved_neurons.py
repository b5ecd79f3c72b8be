"""Start from neurons that the user has in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from agfrun.files.array_files import read_npy
from agfrun.files.reading import MOST_ARRAYS, open_named, reading_named
from agfrun.labs.staircases.config import InitConfig
from agfrun.study.checks import LARGEST_DATUM, ORDINARY, positive, require
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.registry import register

SUFFIXES = (".npy", ".safetensors")
PATH = "init.path"


@register("init")
@dataclass
class FileInitConfig(InitConfig):
    """Neurons (H, D) from a file, times `scale` (or 10 to the power `log10_scale`): as they are where that is 1.

    `.npy`, or the array `key` of a `.safetensors` file, such as a run's own `parameters.safetensors`. alpha is then
    what it would be for Gaussian neurons of that root mean square norm, sqrt(2) * alpha.
    """

    name: str = "file"
    scale: float = 1.0
    path: str | None = None
    key: str = "neurons/initial"

    of_any_network: ClassVar[bool] = True
    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `InitConfig.check`."""
        require(PATH, self.path, self.path is not None and Path(self.path).suffix in SUFFIXES,
                f"a file that ends in {' or '.join(SUFFIXES)}")
        require("init.scale", self.scale, positive(self.scale), "a positive number, which multiplies the neurons")
        exponent = self.log10_scale
        require("init.log10_scale", exponent, exponent is None or abs(exponent) <= 1e6,
                "an exponent from -1e6 to 1e6, or null")

    def neurons(self, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
        """See `InitConfig.neurons`."""
        path = Path(self.path or "").expanduser()
        with reading_named(PATH, self.path):
            found = _read_safetensors(path, self.path, self.key, shape) if path.suffix == ".safetensors" \
                else read_npy(path)
        return _checked(self.path, found, shape)


def _read_safetensors(path: Path, name: str | None, key: str, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """One array of a file of several, whose shape is looked at before any of it is read.

    Raises:
        ConfigError: there is no such array, or it does not fit.
        OSError, ValueError: the file cannot be read.
    """
    from agfrun.files import arrays  # compiled, and most runs draw their neurons

    with open_named(path, MOST_ARRAYS) as file:
        header = arrays.read_header(file)
        held = sorted(header.keys() - {"__metadata__"})
        if key not in held:
            raise ConfigError("init.key", key, f"{name} has the arrays {', '.join(held) or 'none'}"
                              f"{did_you_mean(closest(key, held))}")
        _check_shape(name, arrays.shape_of(header, key), shape)
        return arrays.read_open_arrays(file)[key]


def _check_shape(name: str | None, found: Iterable[int], needed: tuple[int, int]) -> None:
    require(PATH, name, tuple(found) == needed, f"of shape {needed} for this network: a row for each neuron; "
            f"the file's is {tuple(found)}")


def _checked(name: str | None, found: np.ndarray[Any, Any], shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Real, finite numbers of the network's shape, no neuron zero: such a neuron would never move."""
    require(PATH, name, found.dtype.kind in "fiu", f"a file of real numbers, not {found.dtype}")
    _check_shape(name, found.shape, shape)
    neurons = found.astype(np.float64)
    for row, column in np.argwhere(~(np.abs(neurons) <= LARGEST_DATUM))[:1]:
        require(PATH, name, False, f"a file with numbers {ORDINARY}; [{row}, {column}] is {neurons[row, column]}")
    for row in np.flatnonzero(~neurons.any(axis=1))[:1]:
        require(PATH, name, False, f"neurons that can move; neuron {row}, counted from 0, is zero and never will")
    return neurons
