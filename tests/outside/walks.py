"""A laboratory from outside: walks on a line. Nothing of it needs a network, a loss or torch."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from matplotlib.figure import Figure

from agfrun import (
    AgfrunError,
    Bench,
    Choice,
    Claim,
    Column,
    Number,
    RunSettings,
    Saved,
    Schema,
    Study,
    StudyResult,
    new_figure,
    one_of,
    register,
    require,
    undecided,
)

PATH = Schema("path.csv", (
    Column("phase", "text", "out or back"),
    Column("step", "integer", "number of the step, from 0"),
    Column("place", "number", "where it leads"),
), "where the walk leads", in_sweeps="thinned")
# Called as a sweep's own table, with a column called as a key.
RUNS = Schema("runs.csv", (Column("phase", "text", "out or back"), Column("length", "integer", "of it")), "phases")
DIARY = Schema("diary.csv", (Column("step", "integer", "number"), Column("weather", "text", "of the day")), "the days",
               in_sweeps="none")
DREAMS = Schema("dreams.csv", (Column("night", "integer", "number"), Column("about", "text", "what of")), "dreams")


@dataclass
class Terrain(Choice):
    """What is walked on; a slot of its own."""

    def check(self) -> None:
        """Every terrain is fine unless it says otherwise."""

    def slope(self, step: int) -> float:
        raise NotImplementedError


@register("terrain")
@dataclass
class Flat(Terrain):
    name: str = "flat"

    def slope(self, step: int) -> float:
        return 0.0


@register("terrain")
@dataclass
class Hills(Terrain):
    name: str = "hills"
    height: float = 1.0

    def check(self) -> None:
        require("terrain.height", self.height, self.height > 0, "a positive number")

    def slope(self, step: int) -> float:
        return self.height * (-1) ** step


@dataclass
class Pace:
    """A group of plain values."""

    stride: int = 1
    tired: float = 0.0


@dataclass
class WalkSettings(RunSettings):
    terrain: Terrain = field(default_factory=Flat)
    pace: Pace = field(default_factory=Pace)
    length: int = 5

    def check(self) -> None:
        super().check()
        self.terrain.check()
        require("pace.stride", self.pace.stride, self.pace.stride >= 1, "an integer of at least 1")
        require("length", self.length, 1 <= self.length <= 100_000, "an integer from 1 to 100000")


@register("study")
@dataclass
class Walk(Study):
    """A walk out and back, a step at a time.

    Attributes:
        deed: what goes wrong in the last step but one, see `_do`, or at the end.
        river: a file; only while it is there the deed is done.
        waits_for: a file; steps wait while it is there.
        seconds: that a step takes.
        log: a file that gets a line for each step that is done.
        together: what becomes of walks that are done together, see `run_together`.
        drawing: what goes wrong in drawing or on the page.
    """

    name: str = "walk"
    deed: str = ""
    river: str = ""
    waits_for: str = ""
    seconds: float = 0.0
    log: str = ""
    together: str = ""
    drawing: str = ""

    settings: ClassVar[type] = WalkSettings
    tables = (PATH, RUNS, DIARY)
    numbers = (
        Number("distance", "distance from home"),
        Number("turns", "turns", "integer", in_figures=False),
        Number("home", "ends at home", "flag"),
    )
    key_names: ClassVar[dict[str, str]] = {"terrain.height": "height of the hills"}
    together_keys: ClassVar[tuple[str, ...]] = ("seed", "length")

    def check(self, config: WalkSettings) -> None:
        one_of("study.together", self.together, ("", "all", "some", "raise", "no"))

    def run(self, config: WalkSettings, bench: Bench) -> StudyResult:
        rows: list[dict[str, Any]] = []
        for step in range(config.length):
            rows.append(bench.remember(f"step {step}", partial(self._step, config, step)))
            if step % 100 == 0 or config.length < 100:
                bench.save({"path": pd.DataFrame(rows)}, {"weather": "fine"})
        return self._result(config, rows)

    def _step(self, config: WalkSettings, step: int) -> dict[str, Any]:
        while self.waits_for and Path(self.waits_for).exists():
            time.sleep(0.01)
        time.sleep(self.seconds)
        if step == config.length - 2:
            self._do()
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{step}\n")
        drawn = random.Random(f"{config.seed} {step}").gauss(0.0, 1.0)
        return {"phase": "out" if 2 * step < config.length else "back", "step": step,
                "place": config.pace.stride * drawn + config.terrain.slope(step)}

    def _do(self) -> None:
        if self.river and not Path(self.river).exists():
            return
        if self.deed == "fail":
            raise AgfrunError("a river is in the way")
        if self.deed == "stumble":
            raise ZeroDivisionError("nothing\nto divide by")
        if self.deed == "turn back":
            raise KeyboardInterrupt
        if self.deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    def _result(self, config: WalkSettings, rows: Sequence[dict[str, Any]]) -> StudyResult:
        path = pd.DataFrame(rows)
        distance = abs(float(path["place"].sum()))
        stopped = self.deed == "stop" and (not self.river or Path(self.river).exists())
        phases = path.groupby("phase", sort=False).size()
        claims = [Claim("it_goes_on", "walk", "every step leads somewhere", config.length, len(path), None,
                        len(path) == config.length, standing="ours"),
                  undecided("it_is_fun", "walk", "walking is fun", "nobody was asked")]
        return StudyResult(
            tables={"path": path, "runs": pd.DataFrame({"phase": phases.index, "length": phases.to_numpy()}),
                    "diary": pd.DataFrame({"step": path["step"], "weather": "fine, mostly"})},
            claims=claims, numbers={"distance": distance, "turns": int((path["place"].diff() < 0).sum()),
                                    "home": distance < 1.0},
            text=f"{distance:.3g} from home", words={"weather": "fine"}, arrays={"places": path["place"].to_numpy()},
            failure=AgfrunError("rain at the end") if self.deed == "rain" else None,
            status="wet" if self.deed == "rain" else "interrupted" if stopped else "finished",
            reason="ended by SIGTERM" if stopped else "")

    def run_together(self, parts: Sequence[Any], ended: Callable[[int, str], None]) -> bool:
        """`all` are done here, `no` none, `some` all but the last, which fails; `raise` does the first and raises."""
        if self.together in ("", "no"):
            return False
        for place, part in enumerate(parts):
            if self.together == "some" and place == len(parts) - 1:
                ended(place, "it got lost")
                continue
            if self.together == "raise" and place == 1:
                raise RuntimeError("they lost one another")
            result = self.run(part.config, part.bench)
            result.provenance = {"walked_together": len(parts)}
            part.finish(result)
            ended(place, "")
        return True

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        if self.drawing == "raise":
            raise ValueError("no pencil\nat hand")
        figure = new_figure(2.0, 2.0)
        figure.add_subplot().plot(saved.tables["path"]["place"])
        yield "walk", figure

    def page(self, saved: Saved) -> str | None:
        if self.drawing == "no page":
            raise ValueError("no paper\nat hand")
        return None

    def series(self, saved: Saved) -> Iterator[tuple[str, int, float]]:
        for row in saved.tables["path"].to_dict("records"):
            yield "place", int(row["step"]), float(row["place"])


@register("study")
@dataclass
class Rest(Study):
    """Another study, with the settings that every run has."""

    name: str = "rest"
    nights: int = 2

    settings: ClassVar[type] = RunSettings
    tables = (DREAMS,)
    numbers = (Number("hours", "hours of sleep"), Number("distance", "distance in dreams"))

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        nights = range(1, self.nights + 1)
        return StudyResult({"dreams": pd.DataFrame({"night": nights, "about": "walks"})}, (),
                           {"hours": 8.0 * self.nights + config.seed, "distance": 0.5}, "slept")

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        figure = new_figure(2.0, 2.0)
        figure.add_subplot().plot(saved.tables["dreams"]["night"].astype(int))
        yield "sleep", figure
