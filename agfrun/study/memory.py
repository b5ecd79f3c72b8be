"""How much memory a run will need, estimated before any of it is taken, and how much there is.

A number of neurons or samples with three digits too many would otherwise end the run after minutes, killed
without a word by the operating system. The estimates are rough (tests/reliability/test_memory.py compares them
with what runs took) and refuse only what exceeds the memory there is.

Imports no torch.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agfrun.study.checks import require
from agfrun.study.schema import GradientDescentConfig, RunConfig

NUMBER_BYTES = {"float64": 8, "float32": 4}
# Vectors of all parameters that a training holds at a time: stages, history, kept states, copies for files.
VECTORS = 60
# Square matrices of an integrator that factorizes: the Jacobian, its factors, those of the carried error.
MATRICES = 8
# Numbers of 8 bytes for each row of the recorded paths: for a neuron, and for a feature, which has a row of the
# tables to itself.
NEURON_NUMBERS, FEATURE_NUMBERS = 16, 40
# Whole states are kept up to this size, by training and by the prediction.
STATES = 2 * 256 * 2**20
LARGEST_FACTORIZED = 2500
FACTORIZING = ("rosenbrock", "lsoda")
# The members of an ensemble keep their paths and states to the end.
MEMBER_BYTES = 1_000_000
# Groups whose integers decide the size of a run.
SIZING_GROUPS = ("data", "model", "train", "ensemble")


def require_memory(config: RunConfig, needed: float) -> None:
    """Refuse a run that needs more memory than there is.

    Args:
        config: what asks for it; the key is named that is furthest above its default.
        needed: bytes.

    Raises:
        ConfigError: it needs more; the message says how much.
    """
    available = available_memory()
    if available is not None and needed > available:
        key, value = largest_key(config)
        require(key, value, False, f"smaller: the run would need about {in_units(needed)} of memory, and "
                f"{in_units(available)} are available")


def check_data_memory(config: RunConfig) -> None:
    """Refuse data that do not fit into memory.

    Raises:
        ConfigError: see `require_memory`.
    """
    require_memory(config, config.data.memory())


def check_training_memory(config: RunConfig, data: object) -> None:
    """Refuse a network that cannot be trained in the memory there is.

    Args:
        data: what it is trained on.

    Raises:
        ConfigError: see `require_memory`.
    """
    shape = config.model.neurons_shape(data)
    if shape is not None:
        require_memory(config, config.data.memory() + training_memory(config, *shape))


def training_memory(config: RunConfig, width: int, dimension: int) -> float:
    """Bytes that prediction and training take, of a network of H neurons (`width`) of dimension D.

    Besides the parameters these are the matrices of an integrator that factorizes, and the recorded paths, of about
    D features.
    """
    number, parameters = NUMBER_BYTES[config.dtype], float(width) * dimension
    method = getattr(config.train, "method", "")
    factorizes = not isinstance(config.train, GradientDescentConfig) and (
        method in FACTORIZING or (method == "auto" and parameters <= LARGEST_FACTORIZED))
    # A state is kept whole even if it exceeds what states may take.
    states = min(STATES, 2.0 * config.train.max_rows * parameters * number)
    paths = 8.0 * config.train.max_rows * (NEURON_NUMBERS * width + FEATURE_NUMBERS * dimension)
    one = states + paths + number * (VECTORS * parameters + (MATRICES * parameters**2 if factorizes else 0.0))
    return one + (members(config) - 1) * (MEMBER_BYTES + 8.0 * config.train.max_rows * width + 4 * number * parameters)


def members(config: RunConfig) -> int:
    """How many runs are made in one."""
    ensemble = config.ensemble
    return ensemble.seeds * (1 if ensemble.scales is None else len(ensemble.scales))


def available_memory() -> int | None:
    """Bytes that this process may still take, or None where the system does not say.

    The least of the machine's available memory and what is left of the limits of the control groups (version 2)
    that the process is in, as containers and batch systems set them.
    """
    return min((*_of_machine(), *_of_control_groups()), default=None)


def in_units(size: float) -> str:
    """A number of bytes to two digits: `480 GB`, `1.2e+04 TB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.2g} {unit}" if size < 100 else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.2g} TB"


def largest_key(config: RunConfig) -> tuple[str, int]:
    """The integer of the configuration that is the largest multiple of its default, with its value."""
    return max(_sizes(config), key=lambda found: found[2])[:2]


def _sizes(config: RunConfig) -> Iterator[tuple[str, int, float]]:
    for group in SIZING_GROUPS:
        part = getattr(config, group)
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, int) and not isinstance(value, bool) and "seed" not in field.name.removesuffix("s"):
                usual = field.default if isinstance(field.default, int) else 1
                yield f"{group}.{field.name}", value, value / max(1, usual)
    yield "ensemble.seeds", config.ensemble.seeds, float(config.ensemble.seeds)


def _of_machine() -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024
                return
    with suppress(OSError, ValueError, AttributeError):  # all there is, where nobody says what is free
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_control_groups(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
                       ) -> Iterator[int]:
    try:
        path = next(line for line in membership.read_text().splitlines() if line.startswith("0::"))[3:].strip("/")
    except (OSError, StopIteration):
        return
    folder = root / path
    for group in (folder, *folder.parents):
        if not group.is_relative_to(root):
            return
        with suppress(OSError, ValueError):  # `max` is no number: no limit
            limit = int((group / "memory.max").read_text())
            yield max(0, limit - int((group / "memory.current").read_text()))
