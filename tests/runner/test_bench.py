"""What a study goes on from: checkpoints of several trainings, steps that were done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
import torch
from outside_laboratory import registered

from agfrun import Bench, Column, RunSettings, Schema, Study, StudyResult, execute, register, resume_run
from agfrun.study.settings import CheckpointConfig
from agfrun.training import LoopSettings, train

LOSSES = Schema("losses.csv", (Column("name", "text", "of the training"), Column("loss", "number", "its last loss")))


class Cut(BaseException):
    """The end of a process, as far as a study can see it."""


@dataclass
class TwoTrainings(Study):
    """Two trainings of the same shape one after another, with nothing saved between; `cut` is a step of the second."""

    name: str = "two_trainings"

    settings: ClassVar[type] = RunSettings
    tables = (LOSSES,)
    cut: ClassVar[int] = -1
    begun: ClassVar[list[str]] = []

    def run(self, config: Any, bench: Bench) -> StudyResult:
        rows = [{"name": name, "loss": bench.remember(name, lambda: self._trained(name, bench))}  # noqa: B023
                for name in ("one", "other")]
        return StudyResult({"losses": pd.DataFrame(rows)})

    def _trained(self, name: str, bench: Bench) -> float:
        self.begun.append(name)
        model, steps = torch.nn.Linear(2, 1, dtype=torch.float64), 0
        torch.nn.init.constant_(model.weight, 1.0 if name == "one" else 2.0)
        torch.nn.init.zeros_(model.bias)

        def loss(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
            nonlocal steps
            steps += 1
            if name == "other" and steps == self.cut:
                raise Cut
            return model(batch).square().mean()

        trained = train(model, torch.eye(2, dtype=torch.float64), loss, LoopSettings(steps=30, evaluate_every=1),
                        checkpoints=bench.checkpoints(name), resume=bench.last_state(name), progress=False)
        return trained.history.column("loss")[-1]


@pytest.fixture
def config() -> Iterator[RunSettings]:
    TwoTrainings.begun.clear()
    with registered():
        register("study")(TwoTrainings)
        yield RunSettings(study=TwoTrainings(), plots=False, report=False, checkpoint=CheckpointConfig(seconds=0.0))


@pytest.mark.parametrize("step", [1, 2, 7])
def test_each_training_goes_on_from_its_own_checkpoints(step: int, config: RunSettings, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    execute(config, output_dir=tmp_path / "whole")
    monkeypatch.setattr(TwoTrainings, "cut", step)
    with pytest.raises(Cut):
        execute(config, output_dir=tmp_path / "cut")
    assert (tmp_path / "cut" / "config.yaml").exists()
    assert "one" in (tmp_path / "cut" / "checkpoints" / "steps.jsonl").read_text()
    monkeypatch.setattr(TwoTrainings, "cut", -1)
    TwoTrainings.begun.clear()
    assert resume_run(tmp_path / "cut") is not None
    assert TwoTrainings.begun == ["other"]
    assert (tmp_path / "cut" / "losses.csv").read_bytes() == (tmp_path / "whole" / "losses.csv").read_bytes()
    assert sorted(os.listdir(tmp_path / "cut")) == sorted(os.listdir(tmp_path / "whole"))


def test_a_status_of_interrupted_is_raised(config: RunSettings, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwoTrainings, "run", lambda self, config, bench: StudyResult(status="interrupted"))
    with pytest.raises(KeyboardInterrupt):
        execute(config, output_dir=tmp_path)
    assert '"interrupted"' in (tmp_path / "done.json").read_text()


def test_a_run_that_is_interrupted_before_it_saves_anything_can_be_gone_on_with(
        config: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: TwoTrainings, config: RunSettings, bench: Bench) -> StudyResult:
        raise KeyboardInterrupt

    execute(config, output_dir=tmp_path / "whole")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(TwoTrainings, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            execute(config, output_dir=tmp_path / "run")
        before = tables(tmp_path / "whole")
        config.overwrite = True
        with pytest.raises(KeyboardInterrupt):
            execute(config, output_dir=tmp_path / "whole")
    assert os.listdir(tmp_path / "run") == ["config.yaml"]
    assert resume_run(tmp_path / "run") is not None
    assert (tmp_path / "run" / "losses.csv").read_bytes() == before["losses.csv"]
    # What was there before is not given up for a run of which nothing came.
    assert tables(tmp_path / "whole") == before


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}
