"""The catalogue against GAP, where it is installed: pip install passagemath-gap passagemath-gap-pkg-smallgrp-data."""

from __future__ import annotations

from collections import Counter

import pytest

from agfrun.groups import GROUPS_OF_ORDER, irrep_dimensions, named_group

pytest.importorskip("sage.all__sagemath_gap", reason="pip install passagemath-gap passagemath-gap-pkg-smallgrp-data")


@pytest.mark.slow
def test_numbers_and_dimensions_are_those_of_gap() -> None:
    from sage.libs.gap.libgap import libgap  # GAP starts with it

    for order, names in GROUPS_OF_ORDER.items():
        for number, name in enumerate(names, start=1):
            table = named_group(name)
            # Left translations of the group by its elements.
            group = libgap.Group([libgap.PermList([int(place) + 1 for place in row]) for row in table])
            assert [int(part) for part in libgap.IdGroup(group)] == [order, number], name
            degrees = {int(degree): int(count) for degree, count in libgap.CharacterDegrees(group)}
            assert degrees == Counter(irrep_dimensions(table)), name
