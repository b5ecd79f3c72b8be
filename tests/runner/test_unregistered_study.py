from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agfrun import Bench, ConfigError, RunSettings, Study, StudyResult, execute


@dataclass
class ForgottenConfig(Study):
    """Nobody has registered it."""

    name: str = "forgotten"

    settings: ClassVar[type] = RunSettings

    def run(self, config: Any, bench: Bench) -> StudyResult:
        if bench.folder is not None:
            raise AssertionError("not reached: nobody could read the folder back")
        return StudyResult(text="done")


@dataclass
class Settings(RunSettings):
    study: Study = field(default_factory=ForgottenConfig)


def test_it_is_refused_files_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"study=forgotten .*no study of that name is registered; write @agfrun"):
        execute(Settings(), output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert execute(Settings()).text == "done"
