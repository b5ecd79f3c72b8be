"""What the figures of this laboratory share: names and colours of rows."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from agfrun.report.figures.style import OKABE_ITO

COLOURS = {"absolute": "0.45", "cosine": OKABE_ITO[4], "robust": OKABE_ITO[0], "procrustes": OKABE_ITO[2],
           "affine": OKABE_ITO[3], "cca": OKABE_ITO[5]}
PLAIN_STYLE, DENSE_STYLE = (0, (3, 1.5)), "-"
Row = tuple[str, bool]


def row_name(row: Row) -> str:
    """A row in a few letters."""
    return f"{row[0]} + topology" if row[1] else row[0]


def parts_of(table: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    """The part of each transform, without and with densification, in the order of the table."""
    for (transform, topology), part in table.groupby(["transform", "topology"], sort=False):
        yield (str(transform), bool(topology)), part
