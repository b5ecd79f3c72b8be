"""A study of something else, as small as they come: how a pendulum swings. What serves any study is tested with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from matplotlib.figure import Figure

from agfrun import (
    Bench,
    Claim,
    Column,
    ConfigError,
    Number,
    RunSettings,
    Saved,
    SavedSweep,
    Schema,
    Study,
    StudyResult,
    Verdict,
    execute,
    new_figure,
    settle,
    styled,
    undecided,
)
from agfrun.files.sweep_folder import SweepFolder, record_failure
from agfrun.files.sweep_jobs import job_of
from agfrun.report.html.chart import Chart

SWINGS = Schema("swings.csv", (
    Column("swing", "integer", "number of the swing, from 1"),
    Column("side", "text", "left or right"),
    Column("time", "number", "when it turns, in seconds"),
), "where it turns")


@dataclass
class PendulumConfig(Study):
    """A pendulum. `swings` is how many are watched."""

    name: str = "pendulum"
    swings: int = 3

    settings: ClassVar[type]
    tables = (SWINGS,)
    numbers = (
        Number("period", "period in seconds", logarithmic=True),
        Number("turns", "turns", "integer"),
        Number("rests", "comes to rest", "flag"),
        Number("lefts", "turns to the left", "integer", of="turns", in_figures=False),
        Number("lost", "energy lost", is_share=True, in_figures=False),
        Number("mass", "mass", in_figures=False, in_pages=False),
    )
    key_names = {"length": "length in metres"}

    def check(self, config: PendulumSettings) -> None:
        if config.damping < 0:
            raise ConfigError("damping", config.damping, "must be a number of at least 0")

    def run(self, config: PendulumSettings, bench: Bench) -> StudyResult:
        period = 2 * math.pi * math.sqrt(config.length / 9.81) * (1 + 0.01 * config.seed)
        turns = [{"swing": swing, "side": ("left", "right")[swing % 2], "time": swing * period / 2}
                 for swing in range(1, self.swings + 1)]
        lost = 1 - math.exp(-config.damping)
        bench.save({"swings": pd.DataFrame(turns)})
        claims = [
            Claim("isochrony", "clock", "the period does not depend on the swing", period, period, 0.01, True,
                  "Galilei 1602", "theorem", "what the clock tells apart"),
            Claim("goes_on", "clock", "it swings for ever", 0.0, lost, None, lost < 0.5, sharper="decays"),
            undecided("aether", "eye", "nothing but gravity pulls at it", "nobody has seen it"),
        ]
        numbers = {"period": period, "turns": len(turns), "rests": lost > 0.5, "mass": 2.0, "lost": lost,
                   "lefts": sum(turn["side"] == "left" for turn in turns)}
        return StudyResult({"swings": pd.DataFrame(turns)}, claims, numbers, f"it swings every {period:.3g} s",
                           words={"bob": "brass"})

    @styled()
    def _drawn(self, swings: pd.DataFrame) -> Figure:
        figure = new_figure(3.0, 2.0)
        figure.add_subplot().plot(swings["swing"], swings["time"])
        settle(figure)
        return figure

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        if "swings" in saved.tables:
            yield "turning_points", self._drawn(saved.tables["swings"])


@dataclass
class PendulumSettings(RunSettings):
    study: Study = field(default_factory=PendulumConfig)
    length: float = 1.0
    damping: float = 0.0
    shape: str = "bob"


PendulumConfig.settings = PendulumSettings


@dataclass
class ClockConfig(PendulumConfig):
    """Another study of the same settings, with a number and a verdict of its own."""

    name: str = "clock"

    numbers = (Number("period", "period in seconds"), Number("hands", "hands", "integer"))

    def run(self, config: PendulumSettings, bench: Bench) -> StudyResult:
        swung = super().run(config, bench)
        return dataclasses.replace(swung, numbers={"period": swung.numbers["period"], "hands": 2}, claims=())

    def verdict(self, saved: Saved) -> Verdict:
        return Verdict("it ticks", "open")

    def charts(self, runs: Sequence[tuple[str, Saved]]) -> list[Chart]:
        return [Chart("ticks", "Ticks", "", {}, {"runs": {"name": [name for name, _ in runs]}})]


def pendulum(**changes: Any) -> PendulumSettings:
    return dataclasses.replace(PendulumSettings(plot_formats=["png"]), **changes)


def swung(folder: Path, **changes: Any) -> Path:
    """The folder of a finished run."""
    execute(pendulum(**changes), output_dir=folder, progress=False, command=["agfrun", "study=pendulum"])
    return folder


def make_sweep(folder: Path, *jobs: dict[str, Any]) -> Path:
    """A sweep whose jobs have ended, or failed where a value is not allowed; not gathered yet."""
    words = [{key: getattr(value, "name", value) for key, value in job.items()} for job in jobs]
    sweep, planned = SweepFolder(folder), [job_of([f"{key}={value}" for key, value in job.items()]) for job in words]
    with sweep.claimed():
        sweep.write_plan(planned)
        for job, changes in zip(planned, jobs, strict=True):
            try:
                swung(folder / job.folder, plots=False, report=False, **changes)
            except ConfigError as error:
                record_failure(folder / job.folder, job.overrides, str(error))
    return folder


LENGTHS, SHAPES, SEEDS = (0.1, 1.0, 10.0), ("bob", "rod"), range(5)


def saved_sweep(keys: Sequence[str] = ("length", "shape"), study: Study | None = None, **columns: Any) -> SavedSweep:
    """Runs at each length and shape from each seed, with numbers that follow from these; `columns` replace some."""
    rows = [{"run": f"{length} {shape} {seed}", "length": length, "shape": shape, "seed": seed, "status": "finished",
             "period": length * (1 + seed) * (2 if shape == "rod" else 1), "turns": 3 + seed,
             "rests": length == 0.1 or (length == 1.0 and seed < 2), "lefts": 1, "lost": 0.25, "mass": 2.0}
            for length in LENGTHS for shape in SHAPES for seed in SEEDS]
    runs = pd.DataFrame(rows).assign(**columns)
    return SavedSweep(Path(), study or PendulumConfig(), runs, tuple(keys), {}, {})
