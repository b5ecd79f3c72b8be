"""The claims of `study=invariance`, decided from its table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agfrun.labs.stitching.claims import GARCIA, MOSCHELLA, OURS
from agfrun.study.claim import Claim, Statement

if TYPE_CHECKING:
    import pandas as pd

GODFREY = "Godfrey et al., arXiv:2205.14258"
# What counts as unchanged (outputs, representations), and as changed.
UNCHANGED, UNMOVED, CHANGED = 1e-12, 1e-8, 1e-3
ROUNDING = "rounding, in parts of the largest entry"
SCALED = ("permutation", "signs", "positive scaling", "signed scaling")


def claims_of(table: pd.DataFrame) -> list[Claim]:
    """All claims about a table invariance.csv."""
    return [*_outputs(table), *_representations(table)]


def _outputs(table: pd.DataFrame) -> Iterator[Claim]:
    """For each activation: its group leaves outputs as they are, and nothing else that was tried does."""
    for activation, part in table.groupby("activation", sort=False):
        group = part["group"].iloc[0]
        inside, outside = part[part["in_group"]], part[~part["in_group"]]
        statement = Statement(f"outputs_unchanged_{activation}", "outputs", f"{group} around every layer of "
                              f"{activation} leave the outputs as they are", f"{GODFREY}, section 3", "theorem")
        yield _below(statement, inside["output_change"].max(), UNCHANGED)
        statement = Statement(f"no_larger_group_{activation}", "outputs", f"with {activation} every other action "
                              "changes the outputs", f"{GODFREY}, section 3", "theorem")
        yield statement.undecided("all actions are in the group") if not len(outside) else _above(
            statement, outside["output_change"].min())


def _representations(table: pd.DataFrame) -> Iterator[Claim]:
    inside = table[table["in_group"] & table["action"].isin(SCALED)]
    statement = Statement("robust_invariant", "representations", "whatever the activation leaves free, of "
                          "permutations, signs and scalings, does not change robust representations",
                          f"{GARCIA}, proposition", "theorem")
    yield _below(statement, inside.loc[inside["transform"] == "robust", "representation_change"].max(), UNMOVED)
    statement = Statement("cosine_invariant_to_rotations", "representations", "rotations, permutations and signs do "
                          "not change cosines", f"{MOSCHELLA}, section 3", "theorem")
    isometric = table[table["action"].isin(["permutation", "signs", "rotation"]) & table["in_group"]]
    yield _below(statement, isometric.loc[isometric["transform"] == "cosine", "representation_change"].max(), UNMOVED)
    for transform, action, words, stated in (
            ("cosine", "positive scaling", "positive scalings change cosines", GARCIA),
            ("robust", "rotation", "rotations change robust representations", OURS)):
        part = table[(table["transform"] == transform) & (table["action"] == action) & table["in_group"]]
        statement = Statement(f"{transform}_not_invariant_to_{action.split()[-1]}s", "representations", words, stated,
                              "theorem" if stated == GARCIA else "ours")
        yield _above(statement, part["representation_change"].min())


def _below(statement: Statement, change: float, limit: float) -> Claim:
    if change != change:
        return statement.undecided("no activation with such an action was chosen")
    return statement.decided(f"at most {limit:g}", float(change), change <= limit, ROUNDING)


def _above(statement: Statement, change: float) -> Claim:
    if change != change:
        return statement.undecided("no activation with such an action was chosen")
    return statement.decided(f"above {CHANGED:g}", float(change), change > CHANGED, "a change that no rounding makes")
