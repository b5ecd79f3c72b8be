"""The default study: train one network, predict it, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agfrun.study.registry import register_study
from agfrun.study.schema import RunConfig, StudyConfig

if TYPE_CHECKING:
    from agfrun.study.study import Finished


@register_study
@dataclass
class CompareConfig(StudyConfig):
    """Training against AGF from one initialization; its tables are those of `agfrun.files.tables`."""

    name: str = "compare"

    def execute(self, config: RunConfig, *, output_dir: Path | str | None, progress: bool | None,
                command: Sequence[str] | None) -> Finished:
        """See `staircases.run.pipeline.run`, or `staircases.ensemble.run` where many members are asked for."""
        if config.ensemble.is_asked_for:
            from agfrun.labs.staircases.ensemble.run import run_ensemble

            return run_ensemble(config, output_dir=output_dir, progress=progress, command=command)
        from agfrun.labs.staircases.run.pipeline import run

        return run(config, output_dir=output_dir, progress=progress, command=command)
