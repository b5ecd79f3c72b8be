"""Timing that can be compared: pinned threads, competitors in turn, medians, and what machine it was.

Competitors run in turn, round after round, so that a slower minute of the machine meets all of them.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NPROC")
PACKAGES = ("agfrun", "torch", "numpy", "scipy", "jax", "jaxlib", "diffrax", "torchdiffeq")
# One measurement of something short repeats it for about so many seconds.
SHORTEST = 0.05


class TimeLimitError(Exception):
    """A competitor has used up its time."""


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated runs: median, least and largest."""

    median: float
    low: float
    high: float
    runs: int


class Deadline:
    """Raises `TimeLimitError` once so many seconds have passed since it was made, by `clock`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = clock() + seconds

    def check(self) -> None:
        """Raise if the time is over.

        Raises:
            TimeLimitError: it is.
        """
        if clock() > self.end:
            raise TimeLimitError(f"stopped after {self.seconds:g} s")


def pin_threads(threads: int) -> None:
    """Give every library `threads` threads. Effective only before torch, NumPy and JAX are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    flags = [] if threads > 1 else ["--xla_cpu_multi_thread_eigen=false"]
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    import torch

    torch.set_num_threads(threads)


def clock() -> float:
    """Processor seconds of this process where it has one thread, which other work does not lengthen; else wall seconds.

    The thread count is that of `pin_threads`.
    """
    return time.process_time() if os.environ.get(THREAD_VARIABLES[0]) == "1" else time.perf_counter()


def seconds_of(function: Callable[[], object]) -> float:
    """Seconds of one call, by `clock`."""
    start = clock()
    function()
    return clock() - start


def alternate(
    functions: Mapping[str, Callable[[], float]], repeats: int, budget: float = float("inf")
) -> dict[str, Timing]:
    """Medians of functions that time themselves, called in turn.

    Args:
        functions: each returns the seconds that count, so that preparations may stay out of them.
        repeats: rounds.
        budget: seconds that one function may take in all; it leaves the round before it would exceed them,
            but runs at least once.
    """
    samples: dict[str, list[float]] = {name: [] for name in functions}
    spent = dict.fromkeys(functions, 0.0)
    for _ in range(repeats):
        for name, function in functions.items():
            taken = samples[name]
            if taken and spent[name] * (1 + 1 / len(taken)) > budget:
                continue
            start = time.perf_counter()
            taken.append(function())
            spent[name] += time.perf_counter() - start
    return {name: Timing(statistics.median(taken), min(taken), max(taken), len(taken))
            for name, taken in samples.items() if taken}


def repeated(function: Callable[[], object], shortest: float = SHORTEST) -> Callable[[], float]:
    """A function that times `function` per call, over as many calls as fill `shortest` seconds.

    The number of calls is found here.
    """
    def measure(calls: int) -> float:
        start = clock()
        for _ in range(calls):
            function()
        return clock() - start

    function()  # what is compiled or allocated once does not count
    calls = 1
    while (taken := measure(calls)) < shortest:
        calls = max(2 * calls, int(0.7 * shortest / max(taken / calls, 1e-9)))
    return lambda: measure(calls) / calls


def machine(threads: int) -> dict[str, object]:
    """The machine and the versions that measured."""
    return {
        "processor": _processor(), "processors_usable": len(os.sched_getaffinity(0)), "threads": threads,
        "load_average": list(os.getloadavg()), "system": platform.platform(), "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def write_machine(folder: Path, threads: int, seconds: Mapping[str, float]) -> None:
    """Write machine.json, with the seconds that each benchmark took; those of benchmarks not run now are kept."""
    from agfrun.files.writing import write_json

    path = folder / "machine.json"
    earlier = json.loads(path.read_text()).get("benchmark_seconds", {}) if path.exists() else {}
    taken = earlier | {name: round(value, 1) for name, value in seconds.items()}
    description = machine(threads) | {"benchmark_seconds": taken}
    write_json(path, description)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
