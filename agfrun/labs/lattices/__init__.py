"""Lattices: bases that are nearly orthogonal, and whether an algorithm for them can be learned.

The orthogonality defect of a basis is the product of its lengths over its volume. Reduction makes it small by
unimodular integer matrices. Marchetti, Cesa, Kumar and Behboodi ("Neural Lattice Reduction", arXiv:2311.08170) train a
network to do it, without examples; here a policy over row additions does, beside all that needs no learning, and the
proven optimum.

>>> from agfrun.labs.lattices import log_defect, reduce
>>> reduction = reduce([[1, 9], [0, 31]], method="lll_99")
>>> reduction.basis.tolist(), reduction.transform.tolist()
([[3, -4], [4, 5]], [[3, -1], [4, -1]])

What a notebook needs is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.labs.lattices.bases import determinant, log_defect
    from agfrun.labs.lattices.exact import exact_lll, is_lll_reduced, is_unimodular, same_lattice
    from agfrun.labs.lattices.methods import Reduction, greedy, lll, methods_of, reduce, seysen
    from agfrun.labs.lattices.names import METHODS

QUESTION = "how orthogonal can a lattice's basis be made, and can the algorithm be learned?"
FIRST_COMMAND = "agfrun study=reduction"

CHOICES = ("data",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = ["METHODS", "Reduction", "determinant", "exact_lll", "greedy", "is_lll_reduced", "is_unimodular", "lll",
           "log_defect", "methods_of", "reduce", "same_lattice", "seysen"]

__getattr__ = imported_on_first_use(__name__, {
    ".bases": "determinant log_defect",
    ".exact": "exact_lll is_lll_reduced is_unimodular same_lattice",
    ".methods": "Reduction greedy lll methods_of reduce seysen",
    ".names": "METHODS",
})
