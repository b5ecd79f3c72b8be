"""One claim for all laboratories: it holds, fails or is undecided, and says where it is stated and why."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from agfrun import Claim, Statement, close, undecided
from agfrun.files.tables import read_table, rows_table
from agfrun.files.writing import write_csv
from agfrun.study.claim import CLAIMS, FAILS, HOLDS, UNDECIDED, claim_counts, verdict_of

STATEMENT = Statement("limit", "training", "it tends to one", "section 2", "theorem")


def test_a_claim_holds_fails_or_is_undecided() -> None:
    assert [verdict_of(holds) for holds in (True, False, None)] == [HOLDS, FAILS, UNDECIDED]
    assert STATEMENT.decided("1 2", "1 2", True).verdict == HOLDS
    assert STATEMENT.decided("1 2", "2 1", False).verdict == FAILS
    assert STATEMENT.undecided("training was stopped").verdict == UNDECIDED


def test_a_row_of_the_table_is_a_claim() -> None:
    assert [field.name for field in dataclasses.fields(Claim)] == CLAIMS.names


def test_an_unknown_standing_is_refused() -> None:
    with pytest.raises(ValueError, match="rumour"):
        Claim("limit", "training", "it tends to one", 1.0, 1.0, 0.1, True, standing="rumour")


@pytest.mark.parametrize("holds", [np.True_, np.False_, np.float64(1) <= np.float64(2)])
def test_a_verdict_of_numpy_counts_like_any_other(holds: np.bool_) -> None:
    claim = Claim("limit", "training", "it tends to one", 1.0, 1.0, 0.1, holds)  # type: ignore[arg-type]
    assert type(claim.holds) is bool
    assert claim_counts([claim]) == {"claims_hold": int(holds), "claims": 1, "claims_undecided": 0}


@pytest.mark.parametrize(("expected", "measured", "tolerance", "scale", "holds"), [
    (2.0, 2.019, 0.01, None, True), (2.0, 2.021, 0.01, None, False), (2.0, 1.981, 0.01, None, True),
    (-2.0, -1.981, 0.01, None, True), (0.0, 0.5e-3, 1e-3, 1.0, True), (0.0, 2e-3, 1e-3, 1.0, False),
    (0.0, 1e-9, 1e-3, None, False), (1.0, math.nan, 0.5, None, False),
])
def test_close_is_relative_to_what_is_expected(expected: float, measured: float, tolerance: float,
                                               scale: float | None, holds: bool) -> None:
    claim = close("limit", "training", "it tends to one", expected, measured, tolerance, scale, why="it is so")
    assert claim == Claim("limit", "training", "it tends to one", expected, claim.measured, tolerance, holds,
                          why="it is so")


def test_what_a_statement_says_goes_into_its_claims() -> None:
    made = [STATEMENT.close(1.0, 1.05, 0.1, "a tenth"), STATEMENT.decided(1, 2, False, "a count"),
            STATEMENT.undecided("training was stopped")]
    for claim in made:
        assert (claim.claim, claim.source, claim.statement) == ("limit", "training", "it tends to one")
        assert (claim.stated, claim.standing) == ("section 2", "theorem")
    assert [claim.why for claim in made] == ["a tenth", "a count", "training was stopped"]
    assert [claim.tolerance for claim in made] == [0.1, None, None]
    assert made[2] == undecided("limit", "training", "it tends to one", "training was stopped", "section 2", "theorem")


def test_an_undecided_claim_is_counted_and_written(tmp_path: Path) -> None:
    claims = [STATEMENT.decided(1, 1, True), STATEMENT.decided(1, 2, False), STATEMENT.undecided("nobody looked")]
    assert claim_counts(claims) == {"claims_hold": 1, "claims": 3, "claims_undecided": 1}
    write_csv(tmp_path / CLAIMS.file, rows_table(CLAIMS, [dataclasses.asdict(claim) for claim in claims]))
    read = read_table(tmp_path / CLAIMS.file, CLAIMS)
    assert read["holds"].isna().tolist() == [False, False, True]
    assert read["why"].iloc[2] == "nobody looked"
    assert read["expected"].isna().tolist() == [False, False, True]


def test_claims_of_an_older_version_are_read(tmp_path: Path) -> None:
    """They have no more than a verdict, and none is undecided."""
    (tmp_path / CLAIMS.file).write_text("claim,source,statement,expected,measured,tolerance,holds\n"
                                        "limit,training,it tends to one,1.0,1.5,0.1,False\n")
    read = read_table(tmp_path / CLAIMS.file, CLAIMS)
    assert list(read.columns) == CLAIMS.names
    assert read["holds"].tolist() == [False]
    assert read["stated"].isna().all()
