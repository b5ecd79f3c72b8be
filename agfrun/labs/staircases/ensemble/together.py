"""Single runs that differ in seed and scale alone, trained together and each written into its own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agfrun.files.run_files import RunFiles, opened
from agfrun.labs.staircases.ensemble.members import Member, raise_interruption
from agfrun.labs.staircases.ensemble.training import batches, train_members
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.run.pipeline import StageClock, judge, prepare, write_prediction, write_result
from agfrun.labs.staircases.run.problem import build_architecture
from agfrun.study.schema import RunConfig
from agfrun.study.series import attempt


@dataclass(frozen=True)
class Part:
    """One of the runs.

    Attributes:
        config: of the run, validated.
        folder: where its files go.
        command: that repeats it.
    """

    config: RunConfig
    folder: Path
    command: Sequence[str]


def run_together(parts: Sequence[Part], ended: Callable[[int, str], None]) -> None:
    """Run `staircases.run.pipeline.run` for each part, with one training for all of them.

    A run agrees with its separate twin to rounding (docs/ensembles.md), and its files are the same.

    Args:
        parts: on the same network and data.
        ended: called with the place of each part that has come to its end, and why it failed (empty: it did not).

    Raises:
        ConfigError: the network cannot be built.
        KeyboardInterrupt: interrupted; the runs that were finished by then are written.
    """
    architecture = build_architecture(parts[0].config)
    with ExitStack() as opening:
        _run_together(parts, architecture, opening, ended)


def _run_together(parts: Sequence[Part], architecture: Architecture, opening: ExitStack,
                  ended: Callable[[int, str], None]) -> None:
    members = [Member(place, part.config) for place, part in enumerate(parts)]
    clocks = [StageClock() for _ in parts]
    files: list[RunFiles | None] = [None] * len(parts)

    def begin(place: int) -> None:
        part, member = parts[place], members[place]
        files[place] = made = opening.enter_context(opened(part.folder, part.config.overwrite))
        assert made is not None
        member.plan = prepare(part.config, architecture, clocks[place])
        write_prediction(member.plan, made)

    for place, member in enumerate(members):
        member.failure = attempt(partial(begin, place)).reason
    trained_with = [train_members(batch, None) for batch in batches([m for m in members if not m.failure])]
    raise_interruption(members)
    programs = {number: program for program in trained_with for number in program["members"]}

    def finish(place: int) -> None:
        member, made, clock = members[place], files[place], clocks[place]
        if member.plan is None or member.training is None or made is None:
            raise RuntimeError("it was not trained")
        clock.seconds["train"] = member.shared_seconds
        with clock.stage("compare"):
            result = judge(member.plan, member.training)
        result.wall_seconds = clock.seconds
        write_result(result, made, parts[place].command, clock, {"trained_together": _together(programs[place])})

    for place, member in enumerate(members):
        if not member.failure:
            member.failure = attempt(partial(finish, place)).reason
        ended(place, member.failure)


def _together(program: Mapping[str, Any]) -> dict[str, Any]:
    """For the manifest of a run: how many were trained beside it, by what, and what all of them took."""
    return {"runs": len(program["members"]), "program": program["program"], "wall_seconds": program["wall_seconds"]}
