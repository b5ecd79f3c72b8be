"""What an ensemble prints at its end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agfrun.labs.staircases.ensemble.members import Member
from agfrun.labs.staircases.ensemble.statistics import Agreement, agreement, failing_claims

_GOOD = ("converged", "horizon")
_MOST_NAMED = 10


def summary_text(members: Sequence[Member], folder: Path | None) -> str:
    """Counts, agreement by scale and in all, claims that fail, and members that did not come to their end."""
    counts = Counter(member.status for member in members)
    lines = [f"{len(members)} members: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())]
    by_scale: dict[float, list[Member]] = {}
    for member in members:
        by_scale.setdefault(member.config.init.log_scale, []).append(member)
    lines += _agreement_lines(agreement(members))
    if len(by_scale) > 1:
        lines += _table(list(by_scale.values()))
    lines += _claim_lines(members)
    lines += [f"member {member.number} (seed {member.config.seed}, scale {scale_name(member)}) {member.status}: "
              f"{member.reason}" for member in members if member.status not in _GOOD][:_MOST_NAMED]
    return "\n".join([*lines, *([f"written to {folder}"] if folder else [])])


def scale_name(member: Member) -> str:
    """The initialization scale as one would write it."""
    init = member.config.init
    return f"{init.scale:g}" if init.log10_scale is None else f"1e{init.log10_scale:g}"


def _agreement_lines(found: Agreement) -> list[str]:
    if not found.members:
        return ["no acquisitions to compare"]
    low, high = found.interval
    return [
        f"acquisitions in the predicted order: {found.in_order} of {found.members} members "
        f"({100 * found.in_order / found.members:.0f}%, 95% interval {100 * low:.0f}% to {100 * high:.0f}%)",
        f"time error: median {_share(found.time_errors[0])}, worst {_share(found.time_errors[1])}; "
        f"level error: median {_share(found.level_errors[0])}, worst {_share(found.level_errors[1])}",
    ]


def _table(groups: Sequence[Sequence[Member]]) -> list[str]:
    """One line for each scale."""
    lines = [f"{'':>10}{'':>12}{'time error':>22}{'level error':>24}",
             f"{'scale':>10}{'in order':>12}" + 2 * f"{'median':>12}{'worst':>12}"]
    for group in groups:
        found = agreement(group)
        order = f"{found.in_order} of {found.members}"
        lines.append(f"{scale_name(group[0]):>10}{order:>12}"
                     + "".join(f"{_share(value):>12}" for value in (*found.time_errors, *found.level_errors)))
    return lines


def _claim_lines(members: Sequence[Member]) -> list[str]:
    checked = [member for member in members if member.result is not None and member.result.claims]
    failing = failing_claims(checked)
    if not checked:
        return []
    if not failing:
        return [f"claims: all hold in all of {len(checked)} members"]
    return [f"claims that fail, in how many of {len(checked)} members:",
            *(f"  {count:>3}  {name}" for name, count in failing.items())]


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2g}%"
