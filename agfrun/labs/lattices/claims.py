"""The claims of the studies of lattices, decided from their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agfrun.files.tables import is_missing
from agfrun.labs.lattices.comparison import BETTER, TIE
from agfrun.study.claim import Claim, Statement

if TYPE_CHECKING:
    import pandas as pd

OURS = "agfrun"
MARCHETTI = "Marchetti et al., arXiv:2311.08170"
HADAMARD = "Hadamard's inequality"
# Where a bar is at its best this often no method can be told from it.
SATURATED = 0.95
PAIRED = "paired over lattices, at 5 % over all comparisons of the table"


def reduction_claims(tables: Mapping[str, pd.DataFrame]) -> list[Claim]:
    """All claims of `study=reduction`."""
    return [*_exactness(tables["reductions"]), *_optimality(tables["summary"]),
            *_learning(tables["summary"], tables["comparisons"])]


def _exactness(table: pd.DataFrame) -> Iterator[Claim]:
    for name, column, words in (
            ("moves_are_unimodular", "det_ok", "every transform has the determinant 1 or -1"),
            ("lattices_stay_the_same", "hnf_ok", "given and reduced bases have the same Hermite normal form")):
        statement = Statement(name, "certificates", words, f"{MARCHETTI}, section 3", "theorem")
        known = table[column].dropna()
        yield statement.decided(len(known), int(known.sum()), bool(known.all()), "exact integers") if len(known) else (
            statement.undecided("certificates were not computed" if column == "det_ok" else
                                "certificates were not computed, or python-flint is not installed"))
    statement = Statement("defects_are_not_negative", "reductions", "no log defect is negative", HADAMARD, "theorem")
    least = float(table["log_defect"].min())
    yield statement.decided("at least 0", least, least >= 0) if least == least else statement.undecided("no basis")


def _optimality(summary: pd.DataFrame) -> Iterator[Claim]:
    statement = Statement("nothing_beats_the_minima", "reductions", "where the successive minima form a basis no "
                          "method has a smaller defect", "Minkowski; van der Waerden 1956", "theorem")
    row = _row(summary, "minima")
    if row is None or not row["lattices"]:
        yield statement.undecided("minima were not computed, or form no basis")
        return
    excess = float(row["above_best"])
    yield statement.close(0.0, excess, 1e-9, "rounding", scale=1.0)


def _learning(summary: pd.DataFrame, comparisons: pd.DataFrame) -> Iterator[Claim]:
    learned = _row(summary, "learned")
    for name, bar, words, stated in (
            ("learned_reaches_lll", "lll_99", "learned moves reach the mean defect of LLL .99", MARCHETTI),
            ("learned_reaches_hkz", "hkz", "learned moves reach that of HKZ", OURS)):
        statement, other = Statement(name, "reductions", words, stated, "numerics"), _row(summary, bar)
        if learned is None or other is None:
            yield statement.undecided(f"learned or {bar} was not tried")
        else:
            yield statement.decided(f"at most {other['mean']:.4f}", float(learned["mean"]),
                                    learned["mean"] <= other["mean"], "means over the same lattices")
    statement = Statement("learned_beats_product_rule", "comparisons", "learned moves are better than the untrained "
                          "product rule at its best temperature, at one draw and as many moves", OURS, "numerics")
    found = comparisons[(comparisons["method"] == "learned") & (comparisons["against"] == "product_sampled")]
    rule = _row(summary, "product_sampled")
    if not len(found) or rule is None:
        yield statement.undecided("learned or product_sampled was not tried")
        return
    one = found.iloc[0]
    if one["verdict"] == TIE and rule["at_best"] >= SATURATED:
        yield statement.undecided(f"a tie where the bar is as good as any method on {rule['at_best']:.1%} of the "
                                  "lattices: more dimensions, or fewer moves, decide")
    else:
        yield statement.decided(BETTER, f"{one['verdict']}, {one['difference']:+.4f}", one["verdict"] == BETTER, PAIRED)


def anytime_claims(equal: pd.DataFrame) -> list[Claim]:
    """All claims of `study=anytime`."""
    found = []
    for kind, words in (("moves", "as many moves"), ("work", "as many multiply-adds")):
        for moves, part in equal[equal["equal"] == kind].groupby("moves", sort=True):
            statement = Statement(f"learned_wins_at_equal_{kind}_{moves}", "equal", f"after {moves} moves a policy is "
                                  f"better than the product rule at its best temperature with {words}", OURS,
                                  "numerics")
            best = part.loc[part["difference"].astype(float).idxmin()]
            found.append(statement.decided(BETTER, f"{best['verdict']}: {best['policy']}, {best['difference']:+.4f}",
                                           best["verdict"] == BETTER, PAIRED))
    return found


def policy_claims(numbers: Mapping[str, float]) -> list[Claim]:
    """All claims of `study=policy`."""
    found = []
    for name, bar, words in (("training_helps", "defect_start", "training lowers the policy's own defect"),
                             ("training_beats_the_product_rule", "defect_product", "the trained policy is below the "
                              "product rule at its best temperature, with as many moves")):
        statement = Statement(name, "history", words, OURS, "numerics")
        found.append(statement.decided(f"below {numbers[bar]:.4f}", float(numbers["defect"]),
                                       numbers["defect"] < numbers[bar], "means over 300 validation lattices"))
    return found


def joint_claims(table: pd.DataFrame) -> list[Claim]:
    """All claims of `study=joint`."""
    found = []
    for method in ("joint_product", "joint_learned"):
        part = table[table["method"] == method]
        stated = MARCHETTI if method == "joint_learned" else OURS
        statement = Statement(f"{method}_beats_the_bars", "blocks", f"one matrix for each block, by {method}, is below "
                              "the best of no reduction, the centre's matrix and the mean Gram matrix, for every "
                              "number of taps and size of block", stated, "numerics")
        found.append(_everywhere(statement, part, "difference", "verdict"))
    statement = Statement("learning_helps_jointly", "blocks", "learned joint walks are below untrained ones at their "
                          "best temperature, for every number of taps and size of block", OURS, "numerics")
    found.append(_everywhere(statement, table[table["method"] == "joint_learned"], "learning", "learning_verdict"))
    return found


def _everywhere(statement: Statement, part: pd.DataFrame, difference: str, verdict: str) -> Claim:
    """A claim that all rows say "better"."""
    worst, better = float(part[difference].max()), int((part[verdict] == BETTER).sum())
    return statement.decided(f"{BETTER} in {len(part)} of {len(part)}",
                             f"{better} of {len(part)}, the largest {worst:+.4f}", better == len(part),
                             "paired over channels, at 5 % over all cases")


def detection_claims(table: pd.DataFrame) -> list[Claim]:
    """All claims of `study=detection`, at the largest signal-to-noise ratio where zero forcing errs often enough."""
    at = table[(table["detector"] == "zf") & (table["vector_errors"] >= 20)]["snr_db"]
    chosen = table[table["snr_db"] == (float(at.max()) if len(at) else float("nan"))].set_index("detector")
    found = []
    for name, better, worse, words, stated, standing in (
            ("reduction_improves_zero_forcing", "zf_lll_99", "zf", "zero forcing after LLL errs less than zero forcing",
             "Taherzadeh et al. 2007, arXiv:cs/0607078", "numerics"),
            ("learned_reduction_improves_zero_forcing", "zf_learned", "zf", "zero forcing after learned reduction errs "
             "less than zero forcing", MARCHETTI, "numerics"),
            ("maximum_likelihood_is_best", "ml", "mmse", "maximum likelihood errs less than MMSE", "by definition",
             "theorem")):
        statement = Statement(name, "error rates", words, stated, standing)
        if not {better, worse} <= set(chosen.index):
            found.append(statement.undecided("a detector was not tried, or zero forcing errs too rarely"))
            continue
        low, high = float(chosen.loc[worse, "low"]), float(chosen.loc[better, "high"])
        found.append(statement.decided(f"below {low:.4f}", high, high < low,
                                       "ends of 95% intervals of vector error rates"))
    return found


def _row(summary: pd.DataFrame, method: str) -> Mapping[str, float] | None:
    found = summary[summary["method"] == method].to_dict("records")
    return found[0] if found and not is_missing(found[0]["mean"]) else None
