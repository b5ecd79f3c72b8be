"""All methods by name, with the policy that is to be used; one lattice or many, with the transform that was applied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.labs.lattices.bases import LARGEST_ENTRY, Vectors, checked_bases
from agfrun.labs.lattices.exact import exact_lll, is_unimodular, product
from agfrun.labs.lattices.names import METHODS, POLICIES, TEMPERATURES
from agfrun.labs.lattices.reducers import (
    Batch,
    Method,
    beam_batch,
    best_of,
    greedy_batch,
    hkz_batch,
    lll_batch,
    minima_of,
    product_rule,
    seysen_batch,
    support_batch,
    then,
    walk_batch,
)
from agfrun.labs.lattices.weights import read_policy
from agfrun.study.checks import one_of
from agfrun.study.errors import UsageError


def methods_of(policy: str = POLICIES[0], steps: int | None = None) -> dict[str, Method]:
    """Every method by its name.

    Args:
        policy: a name among `POLICIES` or a file, see `weights.read_policy`.
        steps: moves of walks; None: `reducers.walk_steps`.
    """
    learned, candidates = read_policy(policy)
    drawn = partial(walk_batch, policy=learned, temperature=1.0, candidates=candidates, steps=steps)
    return {
        "raw": lambda batch, generator: None,
        "greedy": greedy_batch, "seysen": seysen_batch,
        "lll_75": partial(lll_batch, delta=0.75), "lll_99": lll_batch, "hkz": hkz_batch,
        "lll_greedy": then(lll_batch, greedy_batch), "seysen_greedy": then(seysen_batch, greedy_batch),
        "seysen_support": then(seysen_batch, greedy_batch, support_batch),
        "random_8": best_of(partial(greedy_batch, temperature=1.0), 8),
        "random_32": best_of(partial(greedy_batch, temperature=1.0), 32),
        "beam": beam_batch,
        "product": partial(walk_batch, policy=product_rule(), temperature=0.0, steps=steps),
        "product_sampled": partial(_tuned, steps=steps),
        "learned": drawn, "learned_8": best_of(drawn, 8),
        "minima": _minima,
    }


def _tuned(batch: Batch, generator: np.random.Generator, steps: int | None) -> None:
    """The product rule at the temperature that suits these very lattices best, on average."""
    best = np.inf
    found = None
    for temperature in TEMPERATURES:
        one = Batch.of(batch.bases, 0 if batch.trace is None else batch.trace.shape[1] - 1)
        walk_batch(one, generator, product_rule(), temperature, steps=steps)
        if (mean := float(one.defects.mean())) < best:
            best, found = mean, one
    assert found is not None
    batch.transforms, batch.moves, batch.at, batch.trace = found.transforms, found.moves, found.at, found.trace


def _minima(batch: Batch, generator: np.random.Generator) -> None:
    hkz_batch(batch, generator)
    minima_of(batch)


@dataclass(frozen=True)
class Reduction:
    """What came of a reduction.

    Attributes:
        basis: the reduced basis, its vectors rows or columns as in what was given; integers stay integers.
        transform: unimodular integers with basis = transform @ given for rows, given @ transform for columns.
    """

    basis: npt.NDArray[Any]
    transform: npt.NDArray[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The basis: what takes a basis takes a reduction."""
        return np.array(self.basis, dtype=dtype)


def reduce(basis: Any, method: str = "seysen_support", *, vectors: Vectors = "rows", seed: int = 0,
           policy: str = POLICIES[0], steps: int | None = None) -> Reduction:
    """Reduce one lattice basis (n, n), or many (N, n, n).

    Args:
        basis: real numbers, or integers of at most 2^53.
        method: one of `METHODS`, or `exact_lll`, which computes with integers alone.
        vectors: whether basis vectors are rows or columns.
        seed: of methods that draw.
        policy, steps: see `methods_of`.

    Raises:
        UsageError: it is no basis; or the reduction needs integers beyond 2^63, which is found by an exact check.
    """
    rows = checked_bases(basis, vectors)
    one_of("method", method, (*METHODS, "exact_lll"))
    whole = not (rows != np.rint(rows)).any()
    many = rows.reshape(-1, *rows.shape[-2:])
    if method == "exact_lll":
        if not whole:
            raise UsageError("exact_lll takes integers: multiply the basis by a power of two and round")
        transforms: Any = np.array([exact_lll(one.astype(np.int64).tolist())[1] for one in many], dtype=object)
    else:
        batch = Batch.of(many)
        methods_of(policy, steps)[method](batch, np.random.default_rng(seed))
        transforms = batch.transforms
    for place, transform in enumerate(transforms):
        if not is_unimodular(transform):
            raise UsageError(f"basis {place} needs a transform with integers beyond 2^63: use method=exact_lll")
    reduced = [applied(transform, one, whole) for transform, one in zip(transforms, many, strict=True)]
    made = Reduction(_stack(reduced, rows.shape), _stack(list(transforms), rows.shape))
    return made if vectors == "rows" else Reduction(*(np.swapaxes(one, -1, -2) for one in (made.basis, made.transform)))


def applied(transform: npt.NDArray[Any], basis: npt.NDArray[Any], whole: bool = True) -> npt.NDArray[Any]:
    """Transform @ basis, exactly where the basis is of integers."""
    if not whole:
        found: npt.NDArray[Any] = transform.astype(np.float64) @ basis
        return found
    return _integers(product(transform.tolist(), [[int(entry) for entry in row] for row in basis.tolist()]))


def _integers(rows: list[list[int]]) -> npt.NDArray[Any]:
    """As int64, or Python's own integers where these are too large."""
    largest = max(abs(entry) for row in rows for entry in row)
    return np.array(rows, dtype=np.int64 if largest < 2**63 else object)


def _stack(parts: list[npt.NDArray[Any]], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if any(part.dtype == object for part in parts) and all(
            abs(int(entry)) <= LARGEST_ENTRY for part in parts for entry in part.ravel()):
        parts = [part.astype(np.int64) for part in parts]
    return np.stack(parts).reshape(shape)


def greedy(basis: Any, vectors: Vectors = "rows") -> Reduction:
    """Pairwise greedy reduction: the row addition with the largest relative gain, while there is one."""
    return reduce(basis, "greedy", vectors=vectors)


def seysen(basis: Any, vectors: Vectors = "rows") -> Reduction:
    """Seysen's reduction."""
    return reduce(basis, "seysen", vectors=vectors)


def lll(basis: Any, delta: float = 0.99, vectors: Vectors = "rows") -> Reduction:
    """LLL; delta is .75 or .99. Integers alone: `reduce(basis, "exact_lll")`.

    Raises:
        UsageError: see `reduce`; or another delta is asked for.
    """
    if delta not in (0.75, 0.99):
        raise UsageError(f"delta={delta} is not allowed: choose one of 0.75, 0.99")
    return reduce(basis, "lll_75" if delta == 0.75 else "lll_99", vectors=vectors)
