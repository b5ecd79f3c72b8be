"""Claims about the labelled plateaus of one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from agfrun.labs.neuromanifolds.claims import OURS, SHAHVERDI_MLP
from agfrun.labs.neuromanifolds.plateaus.table import DEGENERATE_SADDLE, MINIMUM, STRICT_SADDLE
from agfrun.study.claim import Claim, Statement

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.plateaus.closed_forms import ClosedForm

Rows = Sequence[dict[str, Any]]

SOURCE = "plateaus"
# Of a gradient, for a loss of one at the start.
SMALL_GRADIENT = 1e-10
# A plateau is that of a critical point if the losses differ by no more than this part of the loss at the start.
NEAR = 0.02
# Two numbers of float64 that were computed in a few hundred steps.
ROUNDING = 1e-7
FEWEST_DIGITS = 2.0


def claims_of(rows: Rows, forms: Sequence[ClosedForm | None], degree: int) -> list[Claim]:
    """All claims about one run.

    Args:
        rows: of plateaus.csv.
        forms: of each plateau, see `closed_forms`.
        degree: homogeneity degree of the neurons.
    """
    return [_critical(rows), _near(rows), _rank_clear(rows), _smaller_ranks(rows), _ranks_of_subnetworks(rows),
            _second_order(rows, degree), _saddles(rows, degree), _last(rows), _falling_utility(rows), _exposed(rows),
            *_closed(rows, forms)]


def _worst(values: Iterable[float]) -> float:
    return max(values, default=0.0)


def _start(rows: Rows) -> float:
    return max(float(rows[0]["loss_trained"]), 1e-300)


def _critical(rows: Rows) -> Claim:
    statement = Statement("plateaus_are_critical_points", SOURCE, "beside each plateau lies a critical point of a "
                          "subnetwork: with the dead neurons at zero the gradient vanishes", OURS, "numerics")
    return statement.close(0.0, _worst(row["gradient"] for row in rows) / max(1.0, _start(rows)), SMALL_GRADIENT,
                           "what rounding leaves of zero after Newton's method", 1.0)


def _near(rows: Rows) -> Claim:
    statement = Statement("losses_are_critical_values", SOURCE, "the loss on each plateau is the loss at that critical "
                          "point", OURS, "numerics")
    worst = _worst(abs(row["loss_trained"] - row["loss"]) for row in rows)
    return statement.close(0.0, worst / _start(rows), NEAR, "of the loss at the start: training does not stand still "
                           "on a plateau of finite length", 1.0)


def _rank_clear(rows: Rows) -> Claim:
    statement = Statement("ranks_are_clear", SOURCE, "after the last singular value that counts they drop by "
                          f"{FEWEST_DIGITS:g} digits or more", OURS, "numerics")
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    if not gaps:
        return statement.undecided("no plateau has a rank above 0")
    return statement.decided(f"at least {FEWEST_DIGITS:g}", round(min(gaps), 1), min(gaps) >= FEWEST_DIGITS,
                             "float64 has 16 digits")


def _known(rows: Rows, *columns: str) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[column] is not None for column in columns)]


NO_EXACT = "the network has no polynomial counterpart over finite fields"


def _smaller_ranks(rows: Rows) -> Claim:
    statement = Statement("plateaus_before_the_last_are_degenerate", SOURCE, "before the last plateau the derivative's "
                          "rank is below the generic rank of the network", SHAHVERDI_MLP + ", section 4", "ours")
    known = _known(rows[:-1], "generic_rank")
    if not known:
        return statement.undecided(NO_EXACT if len(rows) > 1 else "there is one plateau")
    failing = [row["plateau"] for row in known if row["rank"] >= row["generic_rank"]]
    return statement.decided("all", f"not plateau {failing[0]}" if failing else "all", not failing, "integers")


def _ranks_of_subnetworks(rows: Rows) -> Claim:
    statement = Statement("ranks_are_those_of_subnetworks", SOURCE, "the derivative's rank is at most the generic rank "
                          "of the network of the active neurons alone", f"{SHAHVERDI_MLP}, dimension of strata",
                          "theorem")
    known = _known(rows, "subnetwork_rank")
    if not known:
        return statement.undecided(NO_EXACT)
    failing = [row["plateau"] for row in known if row["rank"] > row["subnetwork_rank"]]
    return statement.decided("all", f"not plateau {failing[0]}" if failing else "all", not failing,
                             "a rank at one point never exceeds the generic one")


def _second_order(rows: Rows, degree: int) -> Claim:
    why = "eigenvalues below 1e-8 of the largest are 0"
    if degree > 2:
        statement = Statement("no_negative_eigenvalue", SOURCE, "no plateau has a negative eigenvalue of the Hessian: "
                              "dead neurons of a degree above 2 enter at that degree", OURS, "ours")
        return statement.decided(0, int(_worst(row["negative"] for row in rows)),
                                 all(row["negative"] == 0 for row in rows), why)
    statement = Statement("negative_eigenvalues_are_of_dead_neurons", SOURCE, "at degree 2 all negative eigenvalues of "
                          "plateaus are in the blocks of dead neurons", OURS, "ours")
    return statement.decided(0, int(_worst(row["negative"] - row["negative_dead"] for row in rows)),
                             all(row["negative"] == row["negative_dead"] for row in rows), why)


def _saddles(rows: Rows, degree: int) -> Claim:
    kind = DEGENERATE_SADDLE if degree > 2 else STRICT_SADDLE
    statement = Statement("plateaus_before_the_last_are_saddles", SOURCE, f"each plateau before the last is a {kind}",
                          OURS, "ours")
    if len(rows) < 2:
        return statement.undecided("there is one plateau")
    other = [row["plateau"] for row in rows[:-1] if row["verdict"] != kind]
    return statement.decided("all", f"not plateau {other[0]}" if other else "all", not other, "the verdicts above")


def _last(rows: Rows) -> Claim:
    statement = Statement("the_last_plateau_is_a_minimum", SOURCE, "the last plateau is a minimum", OURS, "ours")
    return statement.decided(MINIMUM, rows[-1]["verdict"], rows[-1]["verdict"] == MINIMUM)


def _falling_utility(rows: Rows) -> Claim:
    statement = Statement("utilities_fall", SOURCE, "the largest utility of a dead neuron falls from plateau to "
                          "plateau", OURS, "ours")
    values = [row["utility"] for row in _known(rows, "utility")]
    if len(values) < 2:
        return statement.undecided("fewer than two plateaus have dead neurons")
    rise = max(after - before for before, after in zip(values, values[1:], strict=False))
    return statement.decided("below 0", rise, rise < 0, "the largest change from one plateau to the next")


def _exposed(rows: Rows) -> Claim:
    statement = Statement("subnetworks_are_exposed", SOURCE, "the stratum of each plateau's subnetwork is critically "
                          "exposed: critical points there are not lost when the targets move", f"{SHAHVERDI_MLP}, "
                          "theorem 4.3", "theorem")
    known = _known(rows, "exposed_dimension")
    if not known:
        return statement.undecided("no plateau between the first and the last has an exact counterpart that is small "
                                   "enough")
    failing = [row for row in known if row["exposed_dimension"] != row["span"]]
    measured = f"not plateau {failing[0]['plateau']}" if failing else "all"
    return statement.decided("all", measured, not failing, f"integers, of {len(known)} plateaus")


def _closed(rows: Rows, forms: Sequence[ClosedForm | None]) -> list[Claim]:
    found = []
    for column, words in (("loss", "the losses are those of closed form"),
                          ("rank", "the derivatives' ranks are those of closed form"),
                          ("utility", "the largest utilities are those of closed form"),
                          ("negative", "the numbers of negative eigenvalues are those of closed form")):
        statement = Statement(f"{column}_of_closed_form", SOURCE, words, OURS, "ours")
        pairs = [(row[column], getattr(form, column)) for row, form in zip(rows, forms, strict=True)
                 if form is not None and getattr(form, column) is not None and row[column] is not None]
        if not pairs:
            found.append(statement.undecided("no closed form is known for this network"))
            continue
        scale = max(abs(expected) for _, expected in pairs) or 1.0
        worst = max(abs(measured - expected) for measured, expected in pairs) / scale
        tolerance = 0.0 if column in ("rank", "negative") else ROUNDING
        found.append(statement.close(0.0, worst, tolerance, f"relative to the largest, of {len(pairs)} plateaus", 1.0))
    return found
