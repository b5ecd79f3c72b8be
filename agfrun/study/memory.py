"""How much memory there is, so that work that needs more is refused before any of it is taken.

A number with three digits too many would otherwise end a run after minutes, killed without a word by the operating
system. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from agfrun.study.checks import require
from agfrun.study.settings import RunSettings
from agfrun.study.study import Choice


def require_memory(config: RunSettings, needed: float) -> None:
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


def largest_key(config: RunSettings) -> tuple[str, Any]:
    """The integer, or list of integers, of the configuration that is the largest multiple of its default.

    Returns:
        The key and its value; of a list the largest entries are compared.
    """
    return max(_sizes(config), key=lambda found: found[2])[:2]


def _sizes(config: RunSettings) -> Iterator[tuple[str, Any, float]]:
    for group in (entry.name for entry in dataclasses.fields(config)):
        part = getattr(config, group)
        if not isinstance(part, Choice):
            continue
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            largest = _largest(value)
            if largest is not None and "seed" not in field.name.removesuffix("s"):
                made = field.default_factory() if callable(field.default_factory) else field.default
                yield f"{group}.{field.name}", value, largest / max(1, _largest(made) or 1)
    yield "seed", config.seed, 0.0  # there is always one


def _largest(value: object) -> int | None:
    """An integer, or the largest of a list of them; None for anything else."""
    entries = value if isinstance(value, list) else [value]
    whole = [entry for entry in entries if isinstance(entry, int) and not isinstance(entry, bool)]
    return max(whole) if whole and len(whole) == len(entries) else None


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
