"""What a study is: the interface between a laboratory and everything around it.

The runner, the report, sweeps, trackers, `resume`, `rerun` and `--help` ask a study through this interface and never
by its name. Imports no torch and no Hydra, so that choosing a study costs nothing that it does not use.
"""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from agfrun.study.claim import CLAIMS, Claim
from agfrun.study.table import Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench


LINE_WIDTH = 80
# What the runner itself writes into done.json, and a sweep into runs.csv.
RUN = "run"
WRITTEN = frozenset({RUN, "status", "reason", "study", "config_hash", "claims_hold", "claims", "claims_undecided",
                     "wall_seconds"})


@dataclass
class Choice:
    """Base of what is chosen by name for a slot of the settings: a model, data, a trainer, a study."""

    name: str

    file_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that name files which are read; the manifest has a checksum of each."""


@dataclass
class StudyResult:
    """What a study hands back.

    Attributes:
        tables: by name; those that the study declares. Each is asked for once, so they may be made when asked for.
        claims: checked claims.
        numbers: for done.json: those that the study declares.
        text: what to print at the end.
        status, reason: how it ended; `finished` unless the study says otherwise.
        arrays: of parameters.safetensors, by name; none: no such file.
        words: of labels.json: what figures need beside the tables, as plain values.
        provenance: further entries of manifest.json.
        failure: raised once everything is written: an interruption, or an error that leaves a result behind.
        outcome: the study's own, richer result, for whoever calls it from Python.
        folder: where the files are; set by the runner.
        wall_seconds: by stage; set by the runner.
    """

    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    status: str = "finished"
    reason: str = ""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    failure: BaseException | None = None
    outcome: Any = None
    folder: Path | None = None
    wall_seconds: Mapping[str, float] = field(default_factory=dict)

    def findings(self) -> str:
        """The study's own text, and its claims."""
        lines = [self.text] if self.text else []
        return "\n".join([*lines, *([claims_line(self.claims)] if self.claims else [])])

    def summary(self) -> str:
        """The findings, and where the files are."""
        return "\n".join([*filter(None, [self.findings()]), *([f"written to {self.folder}"] if self.folder else [])])


def claims_line(claims: Sequence[Claim]) -> str:
    """How many claims hold, which fail and how many are undecided: `claims: 14 hold, 1 fails: name`."""
    failing = [claim.claim for claim in claims if claim.holds is False]
    holding = sum(claim.holds is True for claim in claims)
    undecided = len(claims) - len(failing) - holding
    if undecided == len(claims):
        return f"claims: nothing decided, {undecided} undecided"
    text = f"claims: {holding} {'holds' if holding == 1 else 'hold'}"
    text += f", {undecided} undecided" if undecided else ""
    text += f", {len(failing)} {'fails' if len(failing) == 1 else 'fail'}: {', '.join(failing)}" if failing else (
        ", none fails")
    return textwrap.fill(text, LINE_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


@dataclass(frozen=True)
class Saved:
    """A run's folder read back.

    Attributes:
        folder: where it lies.
        config: its configuration, as plain values.
        tables: those that are there, by name, with the columns that the study declares.
        arrays: of parameters.safetensors, by name.
        words: of labels.json.
        manifest, done: provenance and the done-marker; empty where the run has not come to its end.
    """

    folder: Path
    config: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    done: Mapping[str, Any] = field(default_factory=dict)


class Part(Protocol):
    """One of several runs of a study that are done together, see `Study.run_together`."""

    @property
    def config(self) -> Any:
        """Its configuration."""

    @property
    def bench(self) -> Bench:
        """Its bench."""

    def finish(self, result: StudyResult) -> None:
        """Write what came of it."""


@dataclass
class Study(Choice, ABC):
    """What is done with a configuration. Its fields are the keys `study.KEY`.

    A study makes tables, and draws figures from these tables alone, so that they can be redrawn. A subclass is
    registered with `agfrun.register("study")` and has a file `configs/study/NAME.yaml`; see docs/add_a_study.md.
    """

    settings: ClassVar[type]
    """Type of the whole configuration: `agfrun.RunSettings` or a dataclass derived from it, whose further fields are
    the groups and keys that the study has. A key that it does not name is refused."""
    tables: ClassVar[tuple[Schema, ...]] = ()
    """The tables that `run` makes."""
    numbers: ClassVar[tuple[Number, ...]] = ()
    """The numbers of its result: what sweeps tabulate and draw, a search looks for, and trackers record."""
    key_names: ClassVar[Mapping[str, str]] = {}
    """How figures call keys of the configuration; the key itself where nothing is said."""
    ended: ClassVar[tuple[str, ...]] = ("finished",)
    """Which values of `StudyResult.status` are good ends."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that the processes of a sweep share, imported once: what `run` imports first."""
    together_keys: ClassVar[tuple[str, ...]] = ("seed",)
    """Keys that only change numbers: runs of a sweep that differ in these alone share a process, and are done
    together where `run_together` can."""

    @classmethod
    def check_declaration(cls) -> None:
        """Check what the class declares, when it is registered.

        Raises:
            ValueError: it has no settings; a table has no file of its own, or a column that sweeps need; or a number
                has the name of another, of a key or of what the runner writes.
        """
        if not hasattr(cls, "settings"):
            raise ValueError(f"{cls.__qualname__}: `settings` is agfrun.RunSettings, or a dataclass derived from it")
        names = [schema.name for schema in cls.tables]
        if len(set(names)) < len(names) or CLAIMS.name in names:
            raise ValueError(f"{cls.__qualname__}: each table needs a name of its own, and {CLAIMS.name} is taken")
        for schema in cls.tables:
            if schema.file != f"{schema.name}.csv" or not schema.name.isidentifier():
                raise ValueError(f"{cls.__qualname__}: {schema.file} cannot be the file of a table, NAME.csv")
            if len(set(schema.names)) < len(schema.names) or (RUN in schema.names and schema.in_sweeps != "none"):
                raise ValueError(f"{cls.__qualname__}: {schema.file} has two columns of one name, or one called {RUN}, "
                                 "which is where a sweep says whose row it is")
        taken = {entry.name for entry in fields(cls.settings)} | WRITTEN
        for number in cls.numbers:
            if number.name in taken or not number.name.isidentifier():
                raise ValueError(f"{cls.__qualname__}: {number.name} cannot be the name of a number")
            taken.add(number.name)

    def check(self, config: Any) -> None:
        """Check the ranges of this study's own keys, and that it suits the configuration.

        Raises:
            ConfigError: a value is not allowed.
        """

    @abstractmethod
    def run(self, config: Any, bench: Bench) -> StudyResult:
        """Do the study.

        Args:
            config: of the type `settings`, validated.
            bench: where results are saved as they come, and what long work goes on from.
        """

    def run_together(self, parts: Sequence[Part], ended: Callable[[int, str], None]) -> bool:
        """Do several runs at once, if that is better than one after another.

        Args:
            parts: differ in `together_keys` alone.
            ended: to be called with the place of each part that has come to its end, and why it failed, in one line
                (empty: it did not).

        Returns:
            Whether they were done; False: they are done one by one.
        """
        return False

    def figures(self, saved: Saved) -> Iterable[tuple[str, Figure]]:
        """Names and figures, drawn from what is saved; a table that was not saved yet is absent."""
        return ()

    def page(self, saved: Saved) -> str | None:
        """The page of a run as HTML; None: the page that suits any study."""
        return None

    def verdict(self, saved: Saved) -> Verdict | None:
        """The verdict on a run in a sentence; None: how many claims hold."""
        return None

    def sweep_figures(self, sweep: Any) -> Iterable[tuple[str, Figure]] | None:
        """Names and figures of a sweep, from an `agfrun.SavedSweep`; None: the numbers over the swept keys."""
        return None

    def sweep_verdict(self, runs: pd.DataFrame) -> Verdict | None:
        """The verdict on the ended runs of a sweep, from the table `runs.csv`; None: how many ended, and claims."""
        return None

    def sweep_text(self, runs: pd.DataFrame) -> str:
        """What a sweep prints of its ended runs, beside how many there are."""
        return ""

    def charts(self, runs: Sequence[tuple[str, Saved]]) -> Sequence[Any]:
        """Charts (`agfrun.report.html.chart.Chart`) for a page that compares runs, each with its name."""
        return ()

    def series(self, saved: Saved) -> Iterator[tuple[str, int, float]]:
        """Name, step and value of what trackers record beside `numbers` and claims: curves, events."""
        return iter(())
