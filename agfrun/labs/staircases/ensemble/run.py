"""The front door of ensembles: predict, train, compare and write many members of one configuration."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agfrun.files.run_files import RunFiles, opened
from agfrun.labs.staircases.ensemble.files import write_ensemble
from agfrun.labs.staircases.ensemble.members import Member, members_of, raise_interruption
from agfrun.labs.staircases.ensemble.statistics import agreement
from agfrun.labs.staircases.ensemble.summary import summary_text
from agfrun.labs.staircases.ensemble.training import Batch, batches, train_members
from agfrun.labs.staircases.run.pipeline import StageClock, judge, prepare, run
from agfrun.labs.staircases.run.problem import build_architecture, draw_initialization
from agfrun.study.errors import AgfrunError
from agfrun.study.schema import EnsembleConfig, RunConfig
from agfrun.study.series import attempt
from agfrun.study.validation import validate


@dataclass
class EnsembleResult:
    """A finished, or interrupted, ensemble.

    Attributes:
        config: what was asked for.
        members: in order; seeds of the first scale come first.
        programs: how the members were trained, batch by batch.
        wall_seconds: by stage.
        interruption: what ended it, if some members are incomplete for that.
        output_dir: where the files are, or None.
    """

    config: RunConfig
    members: list[Member]
    programs: list[dict[str, Any]] = field(default_factory=list)
    wall_seconds: dict[str, float] = field(default_factory=dict)
    interruption: KeyboardInterrupt | None = None
    output_dir: Path | None = None

    @property
    def verdict(self) -> dict[str, Any]:
        """The numbers of done.json."""
        finished = sum(member.status in ("converged", "horizon") for member in self.members)
        return {"members": len(self.members), "finished_members": finished, **agreement(self.members).values()}

    def summary(self) -> str:
        """Text for the terminal."""
        return summary_text(self.members, self.output_dir)


def run_ensemble(config: RunConfig, *, output_dir: Path | str | None = None, progress: bool | None = None,
                 command: Sequence[str] | None = None) -> EnsembleResult:
    """Predict and train every member, compare, check the claims, and write it all to `output_dir` (None: nowhere).

    A member that fails or diverges says so in its own row and leaves the others alone.

    Args:
        config: with `ensemble.seeds` and `ensemble.scales`; validated here.
        progress: show bars, and how members are trained; None decides by whether standard error is a terminal.
        command: command line for the manifest.

    Raises:
        ConfigError: a value is not allowed.
        OutputError: `output_dir` cannot be written, or holds a finished run and `overwrite` is off.
        AgfrunError: no member came to its end; what there is is written.
        KeyboardInterrupt: interrupted; what is finished is written.
    """
    validate(config)
    with opened(output_dir, config.overwrite) as files:
        ensemble = _run_members(config, files, progress, command)
    if ensemble.interruption is not None:
        raise ensemble.interruption
    if not ensemble.verdict["finished_members"]:
        first = ensemble.members[0]
        raise AgfrunError(f"none of the {len(ensemble.members)} members came to its end; the first {first.status}: "
                          f"{first.reason}")
    return ensemble


def _run_members(config: RunConfig, files: RunFiles | None, progress: bool | None,
                 command: Sequence[str] | None) -> EnsembleResult:
    clock = StageClock()
    ensemble = EnsembleResult(config, members_of(config), wall_seconds=clock.seconds)
    shown = sys.stderr.isatty() if progress is None else progress
    with clock.stage("build"):
        architecture = build_architecture(config)
        for member in ensemble.members:  # a scale that cannot be held is the configuration's fault, not a member's
            draw_initialization(member.config, architecture)
    if files is not None:
        files.begin(config)
        files.write_labels(architecture.wording, architecture.homogeneity_degree)
    with _noting_interruption(ensemble):
        with clock.stage("predict"):
            _each(ensemble.members, "plan", lambda member: prepare(member.config, architecture), shown)
        with clock.stage("train"):
            _train(ensemble, shown, progress is not False)
    with _noting_interruption(ensemble), clock.stage("compare"):
        _each(ensemble.members, "result", _judged, shown)
    if files is not None:
        write_ensemble(files, config, ensemble.members, ensemble.programs, ensemble.verdict,
                       ensemble.interruption is not None, clock, command)
        ensemble.output_dir = files.folder
    return ensemble


def ensemble_seconds(config: RunConfig, members: int) -> dict[str, float]:
    """Wall seconds by stage (`build`, `predict`, `train`, `compare`) of an ensemble of so many seeds, not written.

    One member is the single run that `staircases.run.pipeline.run` makes.
    """
    asked = dataclasses.replace(config, ensemble=EnsembleConfig(seeds=members), plots=False)
    result = run(asked, progress=False) if members == 1 else run_ensemble(asked, progress=False)
    return dict(result.wall_seconds)


def _each(members: Sequence[Member], name: str, task: Callable[[Member], Any], shown: bool) -> None:
    """Set one attribute of every member to what `task` makes of it; a failure is the member's own."""
    for member in tqdm(members, disable=not shown, desc=f"members: {name}", file=sys.stderr, leave=False):
        if member.failure:
            continue
        made = attempt(partial(task, member))
        setattr(member, name, made.outcome)
        member.failure = made.reason
        member.seconds += made.seconds


def _judged(member: Member) -> Any:
    if member.plan is None or member.training is None:
        return None
    return judge(member.plan, member.training)


def _train(ensemble: EnsembleResult, shown: bool, talkative: bool) -> None:
    """Train batch by batch.

    Raises:
        KeyboardInterrupt: interrupted; members know how far they came.
    """
    for batch in batches([member for member in ensemble.members if not member.failure]):
        if talkative and batch.flow is None and len(ensemble.members) > 1:
            print(f"training {len(batch.members)} of {len(ensemble.members)} members one after another: "
                  f"{batch.reason}", file=sys.stderr)
        ensemble.programs.append(_train_shown(batch, shown))
        raise_interruption(batch.members)


def _train_shown(batch: Batch, shown: bool) -> dict[str, Any]:
    with tqdm(total=len(batch.members), disable=not shown, desc="training members", file=sys.stderr,
              leave=False) as bar:
        def show(ended: int) -> None:
            bar.update(ended - bar.n)

        return train_members(batch, show if shown else None)


@contextmanager
def _noting_interruption(ensemble: EnsembleResult) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interruption:
        ensemble.interruption = interruption
