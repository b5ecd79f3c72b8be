"""Lattice bases: what is one, how far from orthogonal it is.

Rows are basis vectors everywhere in this laboratory, as in fplll; papers often write them as columns, and whoever has
columns says `vectors="columns"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from agfrun.study.errors import UsageError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Vectors = Literal["rows", "columns"]

MOST_DIMENSION = 64
LARGEST_ENTRY = 2**53
"""Integers beyond have no place of their own among the numbers of double precision."""
# A basis whose volume is this small beside the product of its lengths is singular within rounding.
LEAST_VOLUME = 1e-12


def log_defect(basis: Any, vectors: Vectors = "rows") -> Any:
    """Natural logarithm of the orthogonality defect, prod |b_i| / |det B|: 0 exactly for orthogonal bases.

    Args:
        basis: (n, n), or (..., n, n) for many.
        vectors: whether basis vectors are rows or columns.

    Returns:
        A float, or an array of the leading shape.

    Raises:
        UsageError: it is no basis.
    """
    rows = checked_bases(basis, vectors)
    defects = defects_of(rows)
    return float(defects) if rows.ndim == 2 else defects


def defects_of(rows: FloatArray) -> FloatArray:
    """`log_defect` of bases that have been checked."""
    found: FloatArray = np.log(np.linalg.norm(rows, axis=-1)).sum(-1) - np.linalg.slogdet(rows)[1]
    return np.maximum(found, 0.0)


def checked_bases(basis: Any, vectors: Vectors = "rows", integers: bool = False) -> FloatArray:
    """Bases as an array whose rows are basis vectors.

    Args:
        basis: (..., n, n), of anything that NumPy makes an array of.
        vectors: what the basis vectors are.
        integers: whether all entries are to be integers.

    Raises:
        UsageError: they are no bases; the message says which of several, and why.
    """
    if vectors not in ("rows", "columns"):
        raise UsageError(f"vectors={vectors} is not allowed: choose one of rows, columns")
    try:
        array = np.asarray(basis)
        if array.dtype == object:  # Python's own integers, of any size
            _require_doubles(array)
        rows = np.array(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError("a basis is a square matrix of numbers") from error
    if rows.ndim < 2 or rows.shape[-1] != rows.shape[-2]:
        raise UsageError(f"a basis is a square matrix, not one of the shape {rows.shape}")
    if not 2 <= rows.shape[-1] <= MOST_DIMENSION:
        raise UsageError(f"a basis has 2 to {MOST_DIMENSION} vectors, not {rows.shape[-1]}")
    if array.dtype.kind in "iu":
        _require_doubles(array)
    _require_bases(rows, integers)
    return np.ascontiguousarray(rows if vectors == "rows" else np.swapaxes(rows, -1, -2))


def _require_doubles(array: npt.NDArray[Any]) -> None:
    for entry in array.ravel().tolist():
        if isinstance(entry, int) and abs(entry) > LARGEST_ENTRY:
            raise UsageError(_too_large(abs(entry)))


def _too_large(entry: int) -> str:
    return f"a basis has entries of at most 2^53 in size, not {entry}: divide all by a common factor"


def _require_bases(rows: FloatArray, integers: bool) -> None:
    flat = rows.reshape(-1, *rows.shape[-2:])
    for place, one in enumerate(flat):
        which = f"basis {place}" if len(flat) > 1 else "the basis"
        if not np.isfinite(one).all():
            raise UsageError(f"{which} has an entry that is no finite number")
        if np.abs(one).max(initial=0.0) > LARGEST_ENTRY:
            raise UsageError(f"{which}: " + _too_large(int(np.abs(one).max())))
        if integers and (one != np.rint(one)).any():
            raise UsageError(f"{which} has the entry {float(one[one != np.rint(one)][0])}, where integers are promised")
    if not len(flat):
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.linalg.norm(flat, axis=-1)
        lost = ~(np.abs(np.linalg.det(flat / lengths[..., None])) > LEAST_VOLUME)
    # Equilibrated rows alone would refuse bases that are good but skew, such as q-ary ones: these have exact volumes.
    for place in np.flatnonzero(lost).tolist():
        one = flat[place]
        exact = not (one != np.rint(one)).any()
        if not exact or determinant(one.astype(np.int64).tolist()) == 0:
            which = f"basis {place}" if len(flat) > 1 else "the basis"
            raise UsageError(f"{which} is singular{'' if exact else ', or nearly so'}: its vectors are dependent")


def determinant(matrix: Sequence[Sequence[int]]) -> int:
    """The determinant of a matrix of integers, exactly: fraction-free elimination (Bareiss 1968)."""
    rows = [list(map(int, row)) for row in matrix]
    n, sign, previous = len(rows), 1, 1
    for k in range(n - 1):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // previous
        previous = rows[k][k]
    return sign * rows[-1][-1]
