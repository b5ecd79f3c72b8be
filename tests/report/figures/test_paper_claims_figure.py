from __future__ import annotations

import pandas as pd
import pytest

from agfrun import paper_claims
from agfrun.report.figures.paper_claims import VERDICTS, plot_claims
from agfrun.study.claim import FAILS, HOLDS, UNDECIDED


def table(dtype: str) -> pd.DataFrame:
    """Every claim, with verdicts and deviations in turn; texts as pandas makes them, or as they are read back."""
    claims = list(paper_claims().values())
    texts = {"claim": [claim.name for claim in claims], "laboratory": [claim.paper.laboratory for claim in claims],
             "paper": [claim.paper.name for claim in claims], "subject": [claim.subject for claim in claims],
             "standing": [claim.standing for claim in claims],
             "verdict": [(HOLDS, FAILS, UNDECIDED)[place % 3] for place in range(len(claims))]}
    deviations = [(0.1, 50.0, None, float("inf"))[place % 4] for place in range(len(claims))]
    return pd.DataFrame({**{name: pd.Series(cells, dtype=dtype) for name, cells in texts.items()},
                         "deviation": deviations})


@pytest.mark.parametrize("dtype", ["object", "string"])
def test_every_claim_and_verdict_is_drawn(dtype: str) -> None:
    rows = table(dtype)
    figure = plot_claims(rows)
    drawn = {line.get_gid(): line for axes in figure.axes for line in axes.get_lines() if line.get_gid()}
    assert set(drawn) == {f"claim:{claim}" for claim in rows["claim"]}
    for claim, verdict in zip(rows["claim"], rows["verdict"], strict=True):
        assert drawn[f"claim:{claim}"].get_marker() == VERDICTS[verdict]["marker"]


def test_subjects_are_told_apart_and_laboratories_where_there_are_several() -> None:
    rows = table("string")
    first = rows[rows["laboratory"] == "staircases"]
    names = {text.get_text() for axes in plot_claims(first).axes for text in axes.texts}
    assert "relu" in names
    two = pd.concat([first.head(2), first.head(2).assign(laboratory="shapes", claim=["a", "b"])], ignore_index=True)
    names = {text.get_text() for axes in plot_claims(two).axes for text in axes.texts}
    assert names == {"staircases: general", "shapes: general"}
