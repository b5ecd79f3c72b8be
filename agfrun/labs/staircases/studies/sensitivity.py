"""Which times can be told? Training and every prediction once more, at ten times the tolerance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.series import Tables
from agfrun.labs.staircases.config import GradientFlowConfig, RunConfig
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.run.single import one_run
from agfrun.labs.staircases.sources import NAMES
from agfrun.study.checks import require
from agfrun.study.registry import register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

LOOSENED = 10.0
LOOSEST = 1e-2

TIMES = Schema("times.csv", (
    Column("source", "text", "whose: training, agf, decoupled, own_size or theory"),
    Column("kind", "text", "acquisition or collapse; activation where a source has no acquisitions"),
    Column("feature", "text", "label of the feature"),
    Column("occurrence", "integer", "which event of that kind and feature, from 1"),
    Column("time", "number", "at the configured tolerances"),
    Column("looser_time", "number", "at ten times the tolerances; empty where it does not come"),
    Column("shift", "number", "by how much they differ, over the earlier of the two"),
    Column("sensitive", "flag", "whether that is more than study.moved, or the event does not come again"),
), "each time, and the same one at ten times the tolerances")
NUMBERS = (
    Number("times", "times", "integer", in_figures=False, in_pages=False),
    Number("sensitive_times", "times that the tolerance decides", "integer", of="times"),
    Number("largest_shift", "largest shift of a time", is_share=True, logarithmic=True),
)


@register("study")
@dataclass
class SensitivityConfig(Study):
    """Which times of training and of its predictions can be told.

    A time that moves with the tolerance of the integration is decided by differences as small as its errors: no
    prediction can be expected to get it, and a number without this warning says more than is known. Everything is
    done twice, at the configured `train.tolerance` and `agf.tolerance` and at ten times of both (1e-2 at most); a time
    is *sensitive* that moves by more than the share `moved`, or does not come again.
    """

    name: str = "sensitivity"
    moved: float = 0.05

    settings: ClassVar[type] = RunConfig
    tables = (TIMES,)
    numbers = NUMBERS

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        require("study.moved", self.moved, 0 < self.moved < 1, "between 0 and 1")
        require("train.name", config.train.name, isinstance(config.train, GradientFlowConfig),
                "gradient_flow, which has a tolerance")
        assert isinstance(config.train, GradientFlowConfig)
        require("train.tolerance", config.train.tolerance, config.train.tolerance < LOOSEST,
                f"below {LOOSEST:g}, so that there is a looser one")

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        tight = bench.remember("as configured", partial(_events, config))
        loose = bench.remember("ten times as loose", partial(_events, loosened(config)))
        tables = Tables(self.tables)
        for source, events in tight.items():
            rows = paired(events, loose.get(source, []), self.moved)
            tables.add("times", [{"source": source, **row} for row in rows])
        frame = tables.frames()["times"]
        finite = frame["shift"][frame["shift"].notna()]
        return StudyResult(tables.frames(), (), {
            "times": len(frame), "sensitive_times": int(frame["sensitive"].astype(bool).sum()),
            "largest_shift": float(finite.max()) if len(finite) else None}, _text(frame))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.sensitivity import plot_sensitivity  # Matplotlib

        if "times" in saved.tables and len(saved.tables["times"]):
            yield "sensitivity", plot_sensitivity(saved.tables["times"])


def loosened(config: RunConfig) -> RunConfig:
    """The same at ten times the tolerances of training and of the prediction."""
    def of(group: Any) -> Any:
        return dataclasses.replace(group, tolerance=min(LOOSENED * group.tolerance, LOOSEST))

    return dataclasses.replace(config, train=of(config.train), agf=of(config.agf))


def paired(events: Sequence[dict[str, Any]], looser: Sequence[dict[str, Any]], moved: float) -> list[dict[str, Any]]:
    """Rows of times.csv of one source, by time: events paired by feature, kind and how often they have come."""
    rows, seen = list[dict[str, Any]](), dict[tuple[str, str], int]()
    for event in sorted(events, key=lambda event: float(event["time"])):
        which = (event["feature"], event["kind"])
        seen[which] = number = seen.get(which, 0) + 1
        same = sorted(other["time"] for other in looser if (other["feature"], other["kind"]) == which)
        later = same[number - 1] if number <= len(same) else math.nan
        shift = abs(later - event["time"]) / min(later, event["time"])
        rows.append({**event, "occurrence": number, "looser_time": later, "shift": shift,
                     "sensitive": not shift <= moved})
    return rows


def _events(config: RunConfig) -> dict[str, list[dict[str, Any]]]:
    """The events of every source that have a time, as plain values."""
    from agfrun.labs.staircases.run.pipeline import run  # torch

    found = run(one_run(config), progress=False).events
    return {source: [{"kind": event.kind, "feature": event.feature, "time": event.time}
                     for event in _of_features(events)] for source, events in found.items()}


def _of_features(events: Sequence[Event]) -> list[Event]:
    """Acquisitions and collapses, or activations where there are no acquisitions."""
    acquired = any(event.kind == "acquisition" for event in events)
    kinds = ("acquisition", "collapse") if acquired else ("activation", "collapse")
    return [event for event in events if event.kind in kinds and math.isfinite(event.time)]


def _text(times: pd.DataFrame) -> str:
    """What can be told, in a line for each source."""
    lines = []
    for source, own in times.groupby("source", sort=False):
        moved = own[own["sensitive"].astype(bool)]
        named = ", ".join(f"{row.kind} of {row.feature} ({row.time:.4g}, looser {row.looser_time:.4g})"
                          for row in moved.itertuples())
        lines.append(f"{NAMES[str(source)]}: {len(own) - len(moved)} of {len(own)} times can be told"
                     + (f"; sensitive: {named}" if named else f"; largest shift {own['shift'].max():.1g}"))
    return "\n".join(lines)
