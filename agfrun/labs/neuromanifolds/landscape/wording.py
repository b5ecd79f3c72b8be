"""What a run of `study=critical_points` says: rows of its tables, claims and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import atan, degrees
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import is_missing
from agfrun.labs.neuromanifolds.claims import OURS, SHAHVERDI_CNN
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.counting import Count
from agfrun.labs.neuromanifolds.landscape.equations import EVERY, FAMILIES, NONE
from agfrun.study.claim import Claim, Statement, failing_claims
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from agfrun.labs.neuromanifolds.config import NetworkConfig
    from agfrun.labs.neuromanifolds.landscape.descent import Descent
    from agfrun.labs.neuromanifolds.landscape.equations import Equations
    from agfrun.labs.neuromanifolds.landscape.real_points import RealPoint

MINIMUM, SADDLE, MAXIMUM, DEGENERATE = KINDS = ("minimum", "saddle", "maximum", "degenerate")
EXACT = "integers"
_SHOWN = 12


def kind_of(point: RealPoint, dimension: int) -> str:
    """What kind of critical point it is, in a word."""
    if point.index is None:
        return DEGENERATE
    return {0: MINIMUM, dimension: MAXIMUM}.get(point.index, SADDLE)


def point_row(number: int, point: RealPoint, equations: Equations, reached: int | None) -> dict[str, Any]:
    """A row of points.csv."""
    angles = [degrees(atan(float(weight))) for weight in point.weights[:2]]
    names = equations.expansion.names
    weights = ", ".join(f"{name} {float(value):.17g}" for name, value in zip(names, point.weights, strict=True))
    return {"point": number, "index": point.index, "loss": point.loss, "pure": point.pure, "at_zero": point.at_zero,
            "kind": kind_of(point, equations.variables - len(equations.slices)), "subnetwork": point.subnetwork,
            "reached": reached, "first": angles[0], "second": angles[1] if len(angles) > 1 else None,
            "weights": weights}


def real_row(number: int, points: Sequence[RealPoint], complete: bool) -> dict[str, Any]:
    """A row of real_counts.csv; `complete` where no degenerate weights were left out."""
    certain = complete and all(one.index is not None for one in points)
    return {"dataset": number, "real": len(points), "minima": sum(one.index == 0 for one in points),
            "nonzero": sum(not one.at_zero and not one.subnetwork for one in points),
            "saddles": sum(bool(one.index) for one in points), "at_zero": sum(one.at_zero for one in points),
            "spurious": sum(not one.pure for one in points),
            "spurious_minima": sum(not one.pure and one.index == 0 for one in points),
            "alternating_sum": sum((-1) ** (one.index or 0) for one in points) if certain else None}


def claims_of(model: NetworkConfig, outputs: int, dimension: int, rows: Sequence[Count], real: Sequence[dict[str, Any]],
              points: Sequence[RealPoint] | None, ended: Sequence[Descent], unfinished: str) -> list[Claim]:
    """What a run decides: counts against closed forms, real points against invariants, ends of gradient flow."""
    found = {(row.question, row.samples): row for row in rows}
    generic = found[counting.GENERIC, None]
    # Squared errors of several outputs are a special inner product, whatever the samples.
    single = [_as_generic(found[counting.DATA, None], generic), *_of_samples(dimension, rows, generic)]
    return [*_of_closed_forms(model, found), *claims_of_monodromy(rows), *(single if outputs == 1 else ()),
            *_of_real_points(model, generic, real, unfinished), *_of_descents(points, ended)]


def _of_closed_forms(model: NetworkConfig, found: dict[tuple[str, int | None], Count]) -> Iterator[Claim]:
    invariants = model.invariants()
    for question, known, name in (
            (counting.DEGREE, invariants.degree, "degree"),
            (counting.GENERIC, invariants.critical_points, "number of complex critical points of a generic loss"),
            (counting.IDENTITY, invariants.nearest_points, "number of complex critical points of the sum of squares")):
        row = found.get((question, None))
        if known is None or row is None:
            continue
        statement = Statement(f"{question}_by_closed_form", "Groebner bases", f"the {name} is that of the closed form",
                              known.source, "theorem" if known.proved else "ours")
        yield (statement.undecided(row.note) if row.verdict == counting.UNFINISHED else
               statement.decided(str(known.value), _counted(row), row.count == known.value, EXACT))


def claims_of_monodromy(rows: Sequence[Count]) -> Iterator[Claim]:
    """Whether continuation finds as many critical points as there are, where that is known."""
    for row in rows:
        if row.question != counting.MONODROMY:
            continue
        statement = Statement("monodromy_finds_all", "monodromy", "loops of the targets carry one critical point to "
                              "all that a generic loss has", OURS, "numerics")
        known = [one.count or one.expected for one in rows if one.question == counting.GENERIC] + [row.expected]
        wanted = next((one for one in known if one), None)
        if wanted is None or row.verdict != counting.FINITE:
            yield statement.undecided(row.note if wanted is not None else "their number is not known")
        else:
            yield statement.decided(str(wanted), str(row.count), row.count == wanted, EXACT)


def _as_generic(row: Count, generic: Count) -> Claim:
    statement = Statement("data_as_generic", "Groebner bases", "this data set has as many complex critical points as "
                          "a generic loss", OURS, "numerics")
    if generic.count is None or row.verdict == counting.UNFINISHED:
        return statement.undecided(generic.note or row.note or "there is no generic count")
    return statement.decided(str(generic.count), _counted(row), row.count == generic.count, EXACT)


def _of_samples(dimension: int, rows: Sequence[Count], generic: Count) -> Iterator[Claim]:
    for row in rows:
        if row.question != counting.SAMPLES or row.samples is None:
            continue
        enough = row.samples >= dimension
        words = ("as many samples as dimensions, or more, have the generic number of critical points" if enough else
                 "fewer samples than dimensions have infinitely many critical points")
        statement = Statement(f"with_{row.samples}_samples", "Groebner bases", words, OURS, "numerics")
        if row.verdict == counting.UNFINISHED or (enough and generic.count is None):
            yield statement.undecided(row.note or "there is no generic count")
        else:
            expected = str(generic.count) if enough else counting.INFINITE
            yield statement.decided(expected, _counted(row), _counted(row) == expected, EXACT)


def _of_real_points(model: NetworkConfig, generic: Count, real: Sequence[dict[str, Any]], unfinished: str
                    ) -> Iterator[Claim]:
    parity = Statement("real_as_many_as_complex_modulo_two", "real points", "real critical functions that are no "
                       "smaller network's are as many as complex ones, modulo 2: others come in pairs", OURS, "ours")
    morse = Statement("morse_sum", "real points", "the sum of (-1)^index over all real critical points is the Euler "
                      "characteristic of the inner weights", OURS, "ours")
    zero = Statement("only_zero_is_spurious", "real points", "critical points of the weights with f not 0 are critical "
                     "points of the function", f"{SHAHVERDI_CNN}, theorem on critical points", "theorem")
    expected = model.morse_sum()
    if not real:
        yield parity.undecided(unfinished)
        if model.name == "polynomial_cnn":
            yield zero.undecided(unfinished)
        if expected is not None:
            yield morse.undecided(unfinished)
        return
    # Weights of several neurons may be complex where the function is real.
    if generic.count is not None and generic.count == generic.solutions:
        odd = [row["nonzero"] for row in real if (row["nonzero"] - generic.count) % 2]
        yield parity.decided(f"{generic.count % 2} modulo 2", str(odd or "all"), not odd,
                             f"{len(real)} data sets")
    if expected is not None:
        sums = [row["alternating_sum"] for row in real]
        if None in sums:
            yield morse.undecided("families of critical points were left out, or an index is not certain")
        else:
            yield morse.decided(str(expected), ", ".join(map(str, sums)), set(sums) == {expected},
                                f"{len(real)} data sets")
    if model.name == "polynomial_cnn":
        others = sum(row["spurious"] - row["at_zero"] for row in real)
        yield zero.decided("0 others", f"{others} others", others == 0, f"{len(real)} data sets")


def _of_descents(points: Sequence[RealPoint] | None, ended: Sequence[Descent]) -> Iterator[Claim]:
    if points is None or not ended:
        return
    # Where weights of a smaller network vanish, outside of every chart, flow can end at its saddles.
    statement = Statement("flow_ends_at_minima", "gradient flow", "gradient flow from random weights that ends at a "
                          "critical function, of no smaller network, ends at a minimum", "stable manifolds of saddles "
                          "have measure zero", "theorem")
    reached = [points[one.point] for one in ended if one.point is not None]
    whole = [one for one in reached if not one.subnetwork and not one.at_zero]
    if not whole:
        yield statement.undecided("no start ended at such a point")
        return
    others = sum(one.index != 0 for one in whole)
    yield statement.decided("0 elsewhere", f"{others} elsewhere", others == 0, f"of {len(whole)} starts that ended "
                            f"at such a point, {len(ended)} in all")


def _counted(row: Count) -> str:
    return row.verdict if row.verdict != counting.FINITE else str(row.count)


def text_of(model: NetworkConfig, rows: Sequence[Count], points: Sequence[RealPoint] | None,
            ended: Sequence[Descent], unfinished: str = "", left_out: str = NONE) -> str:
    """The lines for the terminal; `left_out` are the degenerate weights that are not among the points."""
    degree = model.activation_degree()
    of_degree = "" if degree is None else f", degree {degree}"
    lines = [f"{model.name} {model.architecture()}{of_degree}: critical points of the squared error"]
    for row in rows:
        name = f"{row.question} {row.samples}" if row.samples is not None else row.question
        at_least = f"{counting.AT_LEAST} " if row.verdict == counting.AT_LEAST else ""
        value = f"{at_least}{row.count}" if row.count is not None else row.verdict
        closed = "" if row.expected is None else f"closed form {row.expected}"
        told = row.count is not None and row.question != counting.MONODROMY
        remark = closed if told else "; ".join(filter(None, (row.note, closed)))
        lines.append(f"  {name:<12}{value:>14}  {remark}".rstrip())
    if not rows:
        lines.append("  no closed form is known")
    if points is not None:
        lines += _point_lines(points, ended, left_out)
    return "\n".join([*lines, *([f"  {unfinished}"] if unfinished else [])])


def _point_lines(points: Sequence[RealPoint], ended: Sequence[Descent], left_out: str) -> Iterator[str]:
    others = {NONE: "", FAMILIES: "; those of smaller networks that come in families are left out",
              EVERY: "; those of smaller networks are left out"}[left_out]
    yield f"  {len(points)} real, {sum(one.index == 0 for one in points)} of them minima{others}"
    ends = [one.point for one in ended]
    for i, one in enumerate(points[:_SHOWN]):
        index = "?" if one.index is None else str(one.index)
        words = "; ".join(filter(None, ("" if one.pure else "spurious", one.subnetwork)))
        yield f"    loss {one.loss:<12.8g} index {index:<3}reached {ends.count(i):>4}  {words}".rstrip()
    if len(points) > _SHOWN:
        yield f"    and {len(points) - _SHOWN} more in points.csv"
    for end, words in (("zero", "the function 0"), ("subnetwork", "another smaller network"),
                       ("none", "none of these")):
        count = sum(one.end == end for one in ended)
        if count:
            yield f"    {count} of {len(ended)} starts end at {words}"


def verdict_on(counts: pd.DataFrame, points: pd.DataFrame | None, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run in a sentence.

    Args:
        counts: counts.csv.
        points: points.csv, where it is there.
        claims: its claims.
    """
    generic = counts[counts["question"] == counting.GENERIC]
    number = "an unknown number of" if not len(generic) or is_missing(generic["count"].iloc[0]) else str(
        int(generic["count"].iloc[0]))
    words = f"A generic loss has {number} complex critical points"
    if points is not None and len(points):
        minima = int((points["kind"] == MINIMUM).sum())
        words += f"; this data set has {len(points)} real ones, {minima} of them minima"
    failing = failing_claims(claims)
    if failing:
        return Verdict(f"{words}; {'claims fail' if len(failing) > 1 else 'a claim fails'}: {', '.join(failing)}.",
                       "bad")
    return Verdict(f"{words}.", "good" if len(generic) else "open")
