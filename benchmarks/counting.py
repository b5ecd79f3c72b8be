"""Counts of what a computation does: operations started from Python, floating-point operations, bytes moved.

Torch's operations are seen by its dispatcher, NumPy's by an array type of our own. Both count what is asked for, not
what the processor does about it: a fused multiplication and addition is two floating-point operations, an exponential
is one, and bytes are those of operands and results, each once, whether they come from memory or from a cache. Views
cost an operation and move nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass
class Work:
    """What a computation did.

    Attributes:
        operations: started from Python.
        flops: floating-point operations.
        moved: bytes of operands and results.
        by_name: operations by name.
    """

    operations: float = 0.0
    flops: float = 0.0
    moved: float = 0.0
    by_name: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, flops: float, moved: float) -> None:
        """Count one operation."""
        self.operations += 1
        self.flops += flops
        self.moved += moved
        self.by_name[name] += 1

    def scaled(self, factor: float) -> Work:
        """So many times this work."""
        return Work(self.operations * factor, self.flops * factor, self.moved * factor)

    def plus(self, other: Work) -> Work:
        """Both, one after the other."""
        return Work(self.operations + other.operations, self.flops + other.flops, self.moved + other.moved,
                    self.by_name + other.by_name)


def product_flops(rows: int, inner: int, columns: int, batch: int = 1) -> float:
    """A matrix product."""
    return 2.0 * batch * rows * inner * columns


def cholesky_flops(n: int) -> float:
    """A Cholesky factorization, to leading order."""
    return n**3 / 3


def lu_flops(n: int) -> float:
    """An LU factorization, to leading order."""
    return 2 * n**3 / 3


def solve_flops(n: int, right_sides: int = 1) -> float:
    """Two triangular solves."""
    return 2.0 * n**2 * right_sides


class CountTorch(TorchDispatchMode):
    """Counts the operations of torch within its context, in `work`.

    LAPACK called through SciPy is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Do the operation and count it."""
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        operands = list(_tensors((args, tuple((kwargs or {}).values()))))
        results = list(_tensors((result,)))
        if function.is_view:
            self.work.add(name, 0.0, 0.0)
        else:
            self.work.add(name, _flops(name, operands, results), float(sum(t.nbytes for t in operands + results)))
        return result


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


# Operations that move numbers and compute none.
_COPIES = frozenset((
    "copy_", "clone", "cat", "stack", "index", "index_select", "gather", "scatter", "flip", "constant_pad_nd",
    "_to_copy", "_unsafe_view", "lift_fresh", "empty", "empty_like", "new_empty", "zeros", "zeros_like", "new_zeros",
    "ones", "ones_like", "full", "eye", "fill_", "zero_"))


def _flops(name: str, operands: list[Tensor], results: list[Tensor]) -> float:
    """Floating-point operations of one of torch's operations that is no view."""
    formula = _FORMULAS.get(name)
    if formula is not None:
        return formula(operands)
    if name in _COPIES or not results:
        return 0.0
    # Sums read more than they return; the others do one for each number they return.
    return float(max(tensor.numel() for tensor in operands + results))


def _product(first: Tensor, second: Tensor) -> float:
    return product_flops(first.shape[-2], first.shape[-1], second.shape[-1], int(np.prod(first.shape[:-2])))


def _of_matrices(formula: Callable[[int], float]) -> Callable[[list[Tensor]], float]:
    return lambda operands: formula(operands[0].shape[-1]) * int(np.prod(operands[0].shape[:-2]))


def _solves(right: Tensor, factor: Tensor) -> float:
    return solve_flops(factor.shape[-1], right.shape[-1]) * int(np.prod(right.shape[:-2]))


_FORMULAS: dict[str, Callable[[list[Tensor]], float]] = {
    "mm": lambda o: _product(o[0], o[1]), "bmm": lambda o: _product(o[0], o[1]),
    "addmm": lambda o: _product(o[1], o[2]), "baddbmm": lambda o: _product(o[1], o[2]),
    "mv": lambda o: 2.0 * o[0].numel(), "addmv": lambda o: 2.0 * o[1].numel(), "dot": lambda o: 2.0 * o[0].numel(),
    "linalg_cholesky_ex": _of_matrices(cholesky_flops), "linalg_lu_factor_ex": _of_matrices(lu_flops),
    "cholesky_solve": lambda o: _solves(o[0], o[1]), "linalg_lu_solve": lambda o: _solves(o[2], o[0]),
}


class CountedArray(np.ndarray):
    """An array whose operations, and those of what comes of them, are counted in `counted_work`.

    `count_numpy` makes them and counts.
    """

    counted_work: Work | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.counted_work = getattr(source, "counted_work", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Do it on plain arrays and count it."""
        work = next(array.counted_work for array in (*inputs, *kwargs.get("out", ()))
                    if isinstance(array, CountedArray))
        plain = [_plain(array) for array in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(_plain(array) for array in kwargs["out"])
        result = getattr(ufunc, method)(*plain, **kwargs)
        arrays = [array for array in plain if isinstance(array, np.ndarray)]
        if work is not None:
            moved = sum(array.nbytes for array in arrays) + np.asarray(result).nbytes
            work.add(ufunc.__name__, _ufunc_flops(ufunc.__name__, arrays, np.asarray(result)), float(moved))
        return _counted(result, work)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Functions that put arrays together are counted; what others do is counted as its ufuncs are."""
        if function is not np.concatenate:
            return super().__array_function__(function, types, args, kwargs)
        result = function([_plain(array) for array in args[0]], *args[1:], **kwargs)
        work = next(array.counted_work for array in args[0] if isinstance(array, CountedArray))
        if work is not None:
            work.add("concatenate", 0.0, 2.0 * result.nbytes)
        return _counted(result, work)

    def __getitem__(self, key: Any) -> Any:
        """A part; counted, and moved where it is a copy."""
        result = np.asarray(self)[key]
        if self.counted_work is not None:
            copied = isinstance(result, np.ndarray) and not np.shares_memory(result, self)
            self.counted_work.add("getitem", 0.0, 2.0 * result.nbytes if copied else 0.0)
        return _counted(result, self.counted_work)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set a part; counted."""
        if self.counted_work is not None:
            self.counted_work.add("setitem", 0.0, 2.0 * np.asarray(value).nbytes)
        np.asarray(self)[key] = _plain(value)


def _plain(array: Any) -> Any:
    return np.asarray(array) if isinstance(array, CountedArray) else array


def _counted(result: Any, work: Work | None) -> Any:
    if not isinstance(result, np.ndarray):
        return result
    view = result.view(CountedArray)
    view.counted_work = work
    return view


def _ufunc_flops(name: str, arrays: list[np.ndarray], result: np.ndarray) -> float:
    if name == "matmul":
        return 2.0 * result.size * arrays[0].shape[-1]
    return float(max([array.size for array in arrays] + [result.size]))


def count_numpy(function: Callable[[np.ndarray], object], argument: np.ndarray) -> Work:
    """What `function` does with an array through NumPy.

    Operations none of whose operands comes from the argument are not seen.
    """
    work = Work()
    function(_counted(argument, work))
    return work


def count_torch(function: Callable[[], object]) -> Work:
    """What `function` does through torch."""
    counter = CountTorch()
    with counter:
        function()
    return counter.work
