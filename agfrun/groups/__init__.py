"""Finite groups as Cayley tables: constructions, names, all groups of order up to 24, irreps and isomorphism.

A group of order n is an integer table T of shape (n, n), T[g, h] the place of the product gh, and element 0 is the
identity. Laboratories stand on this package; it needs NumPy alone.

>>> from agfrun.groups import irreps, named_group
>>> [block.shape[1] for block in irreps(named_group("S4"))]
[1, 1, 2, 3, 3]
"""

from __future__ import annotations

from agfrun.groups.catalogue import GROUPS_OF_ORDER, LARGEST_ORDER, catalogue, named_group
from agfrun.groups.constructions import (
    cyclic,
    cyclic_extension,
    dicyclic,
    dihedral,
    direct_product,
    generated_group,
    metacyclic,
    permutation_group,
)
from agfrun.groups.irreps import character_table, conjugacy_classes, irrep_dimensions, irreps
from agfrun.groups.isomorphism import find_isomorphism, identify
from agfrun.groups.tables import IntArray, check_group, element_orders, inverses, is_commutative, with_identity_first

__all__ = [
    "GROUPS_OF_ORDER", "LARGEST_ORDER", "IntArray", "catalogue", "character_table", "check_group", "conjugacy_classes",
    "cyclic", "cyclic_extension", "dicyclic", "dihedral", "direct_product", "element_orders", "find_isomorphism",
    "generated_group", "identify", "inverses", "irrep_dimensions", "irreps", "is_commutative", "metacyclic",
    "named_group", "permutation_group", "with_identity_first",
]
