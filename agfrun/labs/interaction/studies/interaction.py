"""Where is the agent, and where what it pushes? Learned from actions and contacts, against its parts and baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.labs.interaction.claims import claims_of
from agfrun.labs.interaction.config import InteractionSettings
from agfrun.labs.interaction.interaction_tables import COLUMNS, SUMMARY, TABLES, RowFound, tables_of
from agfrun.labs.interaction.names import ABLATIONS, METHODS, OURS, SPLITS
from agfrun.labs.interaction.wording import text_of, verdict_of_summary
from agfrun.study.checks import one_of, require, require_a_day, require_seeds
from agfrun.study.claim import CLAIMS
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

# Measured on one core: seconds of a step per image and pixel of it, for the default channels.
_SECONDS_OF_PIXEL = 0.08 / (256 * 3200)
# Copies of a batch's images and features that a step holds, and held-out images.
_COPIES, _HELD_OUT = 20, 2 * (1000 + 8 * 128)
FRAMES = 12


@register("study")
@dataclass
class InteractionStudy(Study):
    """Errors of methods on held-out states, over seeds and steps.

    `seeds` are counted from `seed`; `methods` are interaction, its ablations and baselines, of which the first is the
    one whose numbers are the run's; `split` is how interaction and its ablations tell contacts: by a mixture, by Otsu's
    threshold as published, or by true labels, the ceiling.
    """

    name: str = "interaction"
    seeds: int = 1
    methods: list[str] = field(default_factory=lambda: [OURS, "constant"])
    split: str = "mixture"

    settings: ClassVar[type] = InteractionSettings
    tables = TABLES
    numbers = (
        Number("isometry_error", "isometry error", logarithmic=True),
        Number("agent_r2", "explained variance of the agent"),
        Number("object_r2", "explained variance of the object"),
        Number("contact_accuracy", "accuracy of contacts", is_share=True),
        Number("offset_gap", "gap between offsets"),
        Number("direction_error", "error of the object's direction in degrees", in_figures=False),
        Number("action_error", "error of the action", in_figures=False),
    )
    key_names: ClassVar[Mapping[str, str]] = {
        "data.contact": "share of contacts", "data.noise": "noise of pixels", "train.steps": "steps",
        "learner.embedding": "dimension of the embedding", "study.split": "split"}

    def check(self, config: InteractionSettings) -> None:
        """See `Study.check`."""
        require_seeds(self.seeds)
        one_of("study.split", self.split, SPLITS)
        for method in self.methods:
            one_of("study.methods", method, METHODS)
        require("study.methods", self.methods, len(set(self.methods)) == len(self.methods) >= 1,
                "at least one method, each once")
        pixels, size = config.data.pixels(), 4 if config.learner.dtype == "float32" else 8
        require_memory(config, size * pixels * (2 * config.train.batch_size * _COPIES + _HELD_OUT))
        wide = max(1.0, config.learner.channels[0] / 16)
        seconds = (len(self.methods) * self.seeds * config.train.steps * 2 * config.train.batch_size * pixels * wide
                   * _SECONDS_OF_PIXEL)
        key, value = ("study.seeds", self.seeds) if self.seeds > 20 else largest_key(config)
        require_a_day(key, value, seconds, "training")

    def run(self, config: InteractionSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table summary.csv."""
        from agfrun.labs.interaction.row import (  # torch, which help, plot and report do without
            frames_of,
            measure,
            scenes_of,
            world_of,
        )

        with bench.clock.stage("data"):
            world = world_of(config)
            self._check_labels(scenes_of(world, config.seed).contacts is not None)
        found: list[RowFound] = []
        tables: dict[str, pd.DataFrame] = {}
        for seed in range(config.seed, config.seed + self.seeds):
            for method in self.methods:
                with bench.clock.stage("train"):
                    values = bench.remember(f"{method} {seed}", partial(measure, config, world, bench, method,
                                                                        self.split, seed))
                found.append(RowFound(method, seed, values))
                tables = tables_of(found)
                bench.save(tables)
        summary = tables[SUMMARY.name]
        first = summary.iloc[0].replace(float("nan"), None)
        return StudyResult(
            tables=tables, claims=claims_of(summary, self.split, config.train.steps), text=text_of(summary),
            numbers={name: first[name] for name in COLUMNS}, outcome=summary,
            arrays={"frames": frames_of(world, config.seed, FRAMES)})

    def _check_labels(self, known: bool) -> None:
        """True contacts can only be taken where there are any."""
        require("study.split", self.split, known or self.split != "labels" or not {OURS, *ABLATIONS} & {*self.methods},
                "mixture or otsu: these data do not say what is a contact")

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.interaction.figures.run import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        table = saved.tables.get(SUMMARY.name)
        return verdict_of_summary(table, saved.tables.get(CLAIMS.name)) if table is not None and len(table) else None
