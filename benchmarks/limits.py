"""What this machine can do at most, by measurement: arithmetic, factorizations, memory, starts of operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from agfrun.labs.staircases.dynamics.linearization import lapack_cholesky, lapack_lu
from benchmarks.counting import cholesky_flops, lu_flops, product_flops, solve_flops
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, repeated

SIZES = (5, 45, 100, 200, 324, 576)
LARGEST_PRODUCT = 1000
BATCH = 64
# Numbers in each of the arrays of the copy: far more than any cache holds.
STREAM_NUMBERS = 2**25
SMALL = 8


@dataclass(frozen=True)
class Limits:
    """The machine's own limits on one thread, double precision.

    Attributes:
        flops: floating-point operations a second, of the quickest matrix product.
        bandwidth: bytes a second between memory and processor, of a large triad.
        torch_start, numpy_start, lapack_start: seconds that one operation on almost no numbers takes from Python.
    """

    flops: float
    bandwidth: float
    torch_start: float
    numpy_start: float
    lapack_start: float


@dataclass(frozen=True)
class Probe:
    """One measurement: what it does, how large, and how much work that is."""

    quantity: str
    size: int
    function: Callable[[], object]
    flops: float = 0.0
    moved: float = 0.0


def measure_limits(settings: Settings) -> tuple[Limits, list[Row]]:
    """The limits, and the rows of all measurements behind them."""
    sizes = SIZES[:3] if settings.quick else SIZES
    probes = [*_starts(), *_products(sizes, settings), *_linear_algebra(sizes), *_streams(settings)]
    timings = alternate({f"{probe.quantity} {probe.size}": repeated(probe.function, settings.shortest / 4)
                         for probe in probes}, min(settings.repeats, 5), budget=3.0)
    seconds = {(probe.quantity, probe.size): timings[f"{probe.quantity} {probe.size}"].median for probe in probes}
    best = max(probe.flops / seconds[probe.quantity, probe.size] for probe in probes if "product" in probe.quantity)
    stream = max(probe.moved / seconds[probe.quantity, probe.size] for probe in probes if probe.moved)
    limits = Limits(best, stream, *(seconds[f"start of an operation, {name}", SMALL]
                                    for name in ("torch", "NumPy", "LAPACK")))
    return limits, [_row(probe, seconds[probe.quantity, probe.size]) for probe in probes]


def _row(probe: Probe, seconds: float) -> Row:
    return {"target": "machine", "quantity": probe.quantity, "size": probe.size, "status": "ok",
            "microseconds": 1e6 * seconds, "flops": probe.flops or None, "moved_bytes": probe.moved or None,
            "gflops_per_second": 1e-9 * probe.flops / seconds if probe.flops else None,
            "gbytes_per_second": 1e-9 * probe.moved / seconds if probe.moved else None}


def _starts() -> Iterator[Probe]:
    small = torch.ones(SMALL, dtype=torch.float64)
    array, square = np.ones(SMALL), np.eye(SMALL)
    solve = lapack_cholesky(square.copy())
    assert solve is not None
    yield Probe("start of an operation, torch", SMALL, lambda: small + small)
    yield Probe("start of an operation, NumPy", SMALL, lambda: array + array)
    yield Probe("start of an operation, LAPACK", SMALL, lambda: solve(array))


def _products(sizes: tuple[int, ...], settings: Settings) -> Iterator[Probe]:
    for n in (*sizes, *(() if settings.quick else (LARGEST_PRODUCT,))):
        matrix = np.random.default_rng(n).standard_normal((n, n))
        tensor = torch.from_numpy(matrix)
        yield Probe("matrix product, NumPy", n, lambda m=matrix: m @ m, product_flops(n, n, n))  # type: ignore[misc]
        yield Probe("matrix product, torch", n, lambda t=tensor: t @ t, product_flops(n, n, n))  # type: ignore[misc]
        if n <= max(SIZES[:4]):
            stack = tensor.expand(BATCH, n, n).contiguous()
            yield Probe("matrix product, torch, 64 at once", n, lambda s=stack: s @ s,  # type: ignore[misc]
                        BATCH * product_flops(n, n, n))


def _linear_algebra(sizes: tuple[int, ...]) -> Iterator[Probe]:
    for n in sizes:
        root = np.random.default_rng(n).standard_normal((n, n))
        matrix, right = root @ root.T / n + np.eye(n), np.ones(n)
        tensor, column = torch.from_numpy(matrix), torch.ones(n, 1, dtype=torch.float64)
        factor = torch.linalg.cholesky(tensor)
        by_cholesky, by_lu = lapack_cholesky(matrix.copy()), lapack_lu(matrix.copy())
        assert by_cholesky is not None
        assert by_lu is not None
        yield Probe("Cholesky, LAPACK", n, lambda m=matrix: lapack_cholesky(m.copy()), cholesky_flops(n))  # type: ignore[misc]
        yield Probe("Cholesky, torch", n, lambda t=tensor: torch.linalg.cholesky_ex(t), cholesky_flops(n))  # type: ignore[misc]
        yield Probe("LU, LAPACK", n, lambda m=matrix: lapack_lu(m.copy()), lu_flops(n))  # type: ignore[misc]
        yield Probe("solve with Cholesky, LAPACK", n, lambda s=by_cholesky, b=right: s(b), solve_flops(n))  # type: ignore[misc]
        yield Probe("solve with Cholesky, torch", n,
                    lambda c=column, f=factor: torch.cholesky_solve(c, f), solve_flops(n))  # type: ignore[misc]
        yield Probe("solve with LU, LAPACK", n, lambda s=by_lu, b=right: s(b), solve_flops(n))  # type: ignore[misc]
        yield from _batched(n, tensor, factor)


def _batched(n: int, matrix: torch.Tensor, factor: torch.Tensor) -> Iterator[Probe]:
    """The same of 64 matrices at once."""
    stack, factors = (part.expand(BATCH, n, n).contiguous() for part in (matrix, factor))
    column = torch.ones(BATCH, n, 1, dtype=torch.float64)
    yield Probe("Cholesky, torch, 64 at once", n, lambda: torch.linalg.cholesky_ex(stack), BATCH * cholesky_flops(n))
    yield Probe("solve with Cholesky, torch, 64 at once", n, lambda: torch.cholesky_solve(column, factors),
                BATCH * solve_flops(n))


def _streams(settings: Settings) -> Iterator[Probe]:
    """Copy a = b and triad a = b + c / 2 over arrays that no cache holds."""
    numbers = STREAM_NUMBERS // (64 if settings.quick else 1)
    a, b, c = (torch.ones(numbers, dtype=torch.float64) for _ in range(3))
    yield Probe("copy", numbers, lambda: a.copy_(b), moved=2.0 * a.nbytes)
    yield Probe("triad", numbers, lambda: torch.add(b, c, alpha=0.5, out=a), moved=3.0 * a.nbytes)
