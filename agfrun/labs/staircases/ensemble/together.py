"""Single runs that differ in seed and scale alone, trained together and each written into its own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from agfrun.files.series import attempt
from agfrun.labs.staircases.ensemble.members import Member, raise_interruption
from agfrun.labs.staircases.ensemble.training import batches, train_members
from agfrun.labs.staircases.run.pipeline import judged, prepare, save_prediction
from agfrun.labs.staircases.run.problem import build_architecture
from agfrun.study.study import Part


def run_together(parts: Sequence[Part], ended: Callable[[int, str], None]) -> None:
    """Do the study `compare` for each part, with one training for all of them.

    A run agrees with its separate twin to rounding (docs/ensembles.md), and its files are the same.

    Args:
        parts: on the same network and data.
        ended: called with the place of each part that has come to its end, and why it failed (empty: it did not).

    Raises:
        ConfigError: the network cannot be built.
        KeyboardInterrupt: interrupted; the runs that were finished by then are written.
    """
    architecture = build_architecture(parts[0].config)
    members = [Member(place, part.config) for place, part in enumerate(parts)]

    def begin(place: int) -> None:
        part, member = parts[place], members[place]
        member.plan = prepare(part.config, architecture, part.bench.clock)
        save_prediction(member.plan, part.bench)

    for place, member in enumerate(members):
        member.failure = attempt(partial(begin, place)).reason
    trained_with = [train_members(batch, None) for batch in batches([m for m in members if not m.failure])]
    raise_interruption(members)
    programs = {number: program for program in trained_with for number in program["members"]}

    def finish(place: int) -> None:
        part, member = parts[place], members[place]
        if member.plan is None or member.training is None:
            raise RuntimeError("it was not trained")
        part.bench.clock.seconds["train"] = member.shared_seconds
        part.finish(judged(member.plan, member.training, part.bench,
                           {"trained_together": _together(programs[place])}))

    for place, member in enumerate(members):
        if not member.failure:
            member.failure = attempt(partial(finish, place)).reason
        ended(place, member.failure)


def _together(program: Mapping[str, Any]) -> dict[str, Any]:
    """For the manifest of a run: how many were trained with it, by what or why one by one, and what all took."""
    told = {name: program[name] for name in ("program", "reason", "wall_seconds") if name in program}
    return {"runs": len(program["members"]), **told}
