"""Certificates of a batch: exact determinants and Hermite normal forms."""

from __future__ import annotations

from importlib.util import find_spec

from agfrun.labs.lattices.exact import is_unimodular, product, same_lattice
from agfrun.labs.lattices.reducers import Batch

Flags = list[bool | None]


def certified(batch: Batch) -> tuple[Flags, Flags]:
    """Whether transforms are unimodular, and whether given and reduced bases span the same lattice.

    Args:
        batch: of integer bases.

    Returns:
        A flag for each lattice; None where there is no basis, and where python-flint is not installed (second list).
    """
    unimodular: Flags = [is_unimodular(transform) if known else None
                         for transform, known in zip(batch.transforms, batch.found, strict=True)]
    if find_spec("flint") is None:
        return unimodular, [None] * len(batch.bases)
    same: Flags = []
    for basis, transform, known in zip(batch.bases, batch.transforms, batch.found, strict=True):
        rows = [[int(entry) for entry in row] for row in basis.tolist()]
        same.append(same_lattice(rows, product(transform.tolist(), rows)) if known else None)
    return unimodular, same
