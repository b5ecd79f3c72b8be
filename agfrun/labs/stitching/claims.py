"""The claims of `study=stitching`, decided from its summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agfrun.files.tables import is_missing
from agfrun.labs.stitching.alignment import ALIGNERS
from agfrun.study.claim import Claim, Statement

if TYPE_CHECKING:
    import pandas as pd

SOURCE = "stitching matrix"
OURS = "agfrun"
MOSCHELLA = "Moschella et al., arXiv:2209.15430"
GARCIA = "Garcia-Castellanos et al., arXiv:2409.10967"
MEANS = "means over seeds and pairs; summary.csv has their intervals"
# What a head that knows nothing may reach beyond the most frequent class, and how many death times are to be near beta.
ABOVE_MAJORITY, SHARE_NEAR = 0.05, 0.8
LARGEST_GAP = 0.12
Row = tuple[str, bool]


class Summary:
    """Looks up summary.csv."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._rows = {(row["transform"], bool(row["topology"])): row for row in table.to_dict("records")}

    def value(self, row: Row, column: str) -> float | None:
        """A value; None where it was not measured."""
        found = self._rows.get(row, {}).get(column)
        return None if is_missing(found) else float(found)

    def missing(self, *rows: Row) -> str:
        """Which of these rows there are not, in words; empty: none."""
        absent = [called(row) for row in rows if row not in self._rows]
        return f"there is no row {' or '.join(absent)}" if absent else ""

    def bars(self) -> dict[str, float]:
        """Stitched accuracy of the maps."""
        return {name: float(row["stitched"]) for (name, _), row in self._rows.items()
                if name in ALIGNERS}


def called(row: Row) -> str:
    """A row of the table in words."""
    return f"{row[0]} with densification" if row[1] else row[0]


ABSOLUTE, COSINE, ROBUST = ("absolute", False), ("cosine", False), ("robust", False)
COSINE_DENSE, ROBUST_DENSE = ("cosine", True), ("robust", True)


def claims_of(table: pd.DataFrame) -> list[Claim]:
    """All claims about a table summary.csv."""
    found = Summary(table)
    return [*_order(found), *_invariance(found), *_densification(found), *_controls(found)]


def _order(found: Summary) -> Iterator[Claim]:
    yield _at_most("absolute_does_not_stitch", "heads know next to nothing of another network's latents", MOSCHELLA,
                   found, ABSOLUTE, "stitched", _above_majority(found, ABSOLUTE))
    yield _more("cosine_stitches", "cosines to anchors stitch better than latents as they are", MOSCHELLA, found,
                COSINE, ABSOLUTE)
    yield _more("robust_beats_cosine", "the robust transform stitches better than cosines", GARCIA, found, ROBUST,
                COSINE)
    yield _more("densification_helps_cosine", "densification improves stitching with cosines", GARCIA, found,
                COSINE_DENSE, COSINE)
    yield _more("densification_helps_robust", "densification improves stitching with the robust transform", GARCIA,
                found, ROBUST_DENSE, ROBUST)
    yield _at_most("stitched_is_nearly_same", "with the robust transform and densification a foreign head costs at "
                   f"most {LARGEST_GAP} of accuracy", OURS, found, ROBUST_DENSE, "gap", lambda: LARGEST_GAP)
    statement = Statement("relative_beats_maps", SOURCE, "the robust transform with densification stitches better than "
                          "orthogonal, affine and canonical maps between latents, fitted on the anchors", OURS,
                          "numerics")
    bars, stitched = found.bars(), found.value(ROBUST_DENSE, "stitched")
    if not bars or stitched is None:
        yield statement.undecided(found.missing(ROBUST_DENSE) or "no maps were fitted")
    else:
        best = max(bars, key=lambda name: bars[name])
        yield statement.decided(f"above {bars[best]:.3f} ({best})", stitched, stitched > bars[best], MEANS)


def _invariance(found: Summary) -> Iterator[Claim]:
    for row in (ROBUST, ROBUST_DENSE):
        suffix = "_densified" if row[1] else ""
        statement = Statement(f"robust_is_unmoved{suffix}", SOURCE, "positive scalings and permutations of latents "
                              f"change no accuracy ({called(row)})", f"{GARCIA}, proposition", "theorem")
        change = found.value(row, "largest_change")
        yield statement.undecided(found.missing(row)) if change is None else statement.decided(
            0.0, change, change == 0, "predictions are the same but for ties within rounding")
    statement = Statement("cosine_is_moved", SOURCE, "they lower the accuracy of cosines with their own heads", OURS,
                          "numerics")
    same, moved = (found.value(COSINE, column) for column in ("same", "disturbed_same"))
    yield statement.undecided(found.missing(COSINE)) if same is None or moved is None else statement.decided(
        f"below {same:.3f}", moved, moved < same, MEANS)


def _densification(found: Summary) -> Iterator[Claim]:
    for plain, dense in ((COSINE, COSINE_DENSE), (ROBUST, ROBUST_DENSE)):
        statement = Statement(f"deaths_move_to_beta_{plain[0]}", "death times", f"at least {SHARE_NEAR:.0%} of death "
                              "times within classes are within 30% of beta after densification, and more than without",
                              "Hofer et al., arXiv:2002.04805", "numerics")
        before, after = (found.value(row, "near_beta") for row in (plain, dense))
        yield statement.undecided(found.missing(plain, dense)) if before is None or after is None else (
            statement.decided(f"at least {max(SHARE_NEAR, before):.2f}", after, after >= SHARE_NEAR and after > before,
                              "training batches of all networks"))


def _controls(found: Summary) -> Iterator[Claim]:
    for row in (COSINE, ROBUST):
        yield _at_most(f"shuffled_anchors_tell_nothing_{row[0]}", f"with the encoder's anchors in another order "
                       f"{row[0]} stitches no better than chance", OURS, found, row, "shuffled",
                       _above_majority(found, row))


def _above_majority(found: Summary, row: Row) -> Callable[[], float]:
    return lambda: (found.value(row, "majority") or 0.0) + ABOVE_MAJORITY


def _at_most(name: str, words: str, stated: str, found: Summary, row: Row, column: str, bound: Callable[[], float]
             ) -> Claim:
    statement = Statement(name, SOURCE, words, stated, "numerics")
    measured = found.value(row, column)
    if measured is None:
        return statement.undecided(found.missing(row) or f"{column} was not measured")
    limit = bound()
    return statement.decided(f"at most {limit:.3f}", measured, measured <= limit,
                             MEANS if column == "gap" else f"the most frequent class, and {ABOVE_MAJORITY} for chance")


def _more(name: str, words: str, stated: str, found: Summary, better: Row, worse: Row) -> Claim:
    statement = Statement(name, SOURCE, words, stated, "numerics")
    high, low = (found.value(row, "stitched") for row in (better, worse))
    if high is None or low is None:
        return statement.undecided(found.missing(better, worse) or "there are no pairs")
    return statement.decided(f"above {low:.3f}", high, high > low, MEANS)
