"""What a run and a sweep say in words: the integers beside the closed form, and verdicts in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import is_missing
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm
from agfrun.labs.neuromanifolds.measurement import Measurement
from agfrun.labs.neuromanifolds.precision import PreciseRank
from agfrun.study.claim import failing_claims
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

# Integers beyond are told by their size.
MOST_DIGITS = 15


def text_of(network: NetworkConfig, measured: Measurement, known: ClosedForm | None) -> str:
    """The lines for the terminal: what is counted, what theory says, what was measured."""
    counts = measured.counts
    lines = [
        ("parameters", counts.parameters, ""),
        ("less symmetries", counts.parameters - counts.symmetries,
         f"{counts.symmetries} known directions change weights and no function"),
        ("ambient space", counts.ambient,
         "" if counts.ambient is None else f"functions of degree {counts.output_degree}"),
        ("expected", counts.expected, "the smaller of these two"),
        ("upper bound", counts.bound, "proved"),
        ("closed form", known.dimension if known else None, _origin(known) if known else network.why_no_closed_form()),
        ("dimension", measured.dimension, _certainty(measured)),
        ("fibre", measured.fibre_dimension, "dimension of the weights that give one function"),
    ]
    degree = network.activation_degree()
    of_degree = "" if degree is None else f", degree {degree}"
    head = f"{network.name} {network.architecture()}{of_degree}: {headline(_values(measured))}"
    shown = [(name, _integer(value), remark) for name, value, remark in lines]
    width = max(len(value) for _, value, _ in shown)
    return "\n".join([head, *(f"  {name:<16}{value:>{width}}  {remark}".rstrip() for name, value, remark in shown)])


def headline(values: Mapping[str, Any]) -> str:
    """The verdict on one network in a clause, from the numbers of its run."""
    found, defect = int(values["dimension"]), int(values["defect"])
    short = "as expected" if not defect else f"{defect} below the expected {int(values['expected'])}"
    fills = ", filling its ambient space" if _true(values.get("filling")) else ""
    return f"dimension {found}, {short}{fills}"


def verdict_on(row: pd.Series[Any], claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run in a sentence.

    Args:
        row: of architectures.csv.
        claims: its claims.
    """
    failing = failing_claims(claims)
    found = headline(dict(row)).capitalize()
    if failing:
        return Verdict(f"{found}; {'claims fail' if len(failing) > 1 else 'a claim fails'}: {', '.join(failing)}.",
                       "bad")
    if not is_missing(row["closed_form"]):
        of = "a theorem" if row["closed_form_standing"] == "theorem" else "our closed form, which is not proved,"
        return Verdict(f"{found}, as {of} says ({row['closed_form_source']}).", "good")
    certain = "the dimension is certain: it meets a proved upper bound" if _true(row["proved"]) else (
        "the dimension is what ranks agree on")
    return Verdict(f"{found}. No closed form is known; {certain}.", "open")


def sweep_sentence(runs: pd.DataFrame) -> Verdict:
    """The verdict on the ended runs of a sweep, without a full stop."""
    defects = runs["defect"].astype(float)
    filling = sum(map(_true, runs["filling"])) if "filling" in runs else 0
    short = int((defects > 0).sum())
    parts = [f"{short} of {len(runs)} runs {'falls' if short == 1 else 'fall'} short of the expected dimension",
             f"{filling} {'fills its' if filling == 1 else 'fill their'} ambient space"]
    failing = int((runs["claims"].astype(float) - runs["claims_hold"].astype(float)
                   - runs["claims_undecided"].astype(float) > 0).sum())
    known = int(runs["closed_form"].notna().sum()) if "closed_form" in runs else 0
    parts.append(f"a claim fails in {failing}" if failing else "the closed form agrees" if known == 1
                 else f"all {known} closed forms agree" if known else "no closed form is known")
    return Verdict("; ".join(parts), "bad" if failing else "good")


def _values(measured: Measurement) -> dict[str, Any]:
    return {"dimension": measured.dimension, "expected": measured.counts.expected, "defect": measured.defect,
            "filling": measured.filling}


def _origin(known: ClosedForm) -> str:
    return f"{'theorem' if known.proved else 'derived, not proved'}: {known.source}"


def _certainty(measured: Measurement) -> str:
    modulo = " and ".join(
        f"{found.rank} in {found.digits} digits, where singular values drop by {found.gap:.0f} of them"
        if isinstance(found, PreciseRank) else f"{found.rank} modulo {found.prime}" for found in measured.ranks)
    agree = "" if measured.unanimous else "; the ranks differ, and the largest counts"
    return f"{'proved: it meets the upper bound; ' if measured.proved else 'not proved; '}rank {modulo}{agree}"


def _integer(value: int | None) -> str:
    if value is None:
        return "-"
    return str(value) if value < 10**MOST_DIGITS else f"over 10^{MOST_DIGITS}"


def _true(value: Any) -> bool:
    return str(value) == "True"

