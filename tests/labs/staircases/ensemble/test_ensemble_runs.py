"""Many runs at once: in memory from many seeds, and in folders of their own as a sweep does them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_ensembles import members_without_prediction
from tiny_runs import FILES, descent, diagonal_config, modadd_config, read_json

from agfrun import ConfigError, GradientFlowConfig, InitConfig, RunConfig, config_hash, run, run_seeds
from agfrun.labs.staircases.ensemble import run as ensemble_run
from agfrun.labs.staircases.ensemble import together
from agfrun.labs.staircases.ensemble import training as ensemble_training
from agfrun.labs.staircases.ensemble.members import Member
from agfrun.runner.execution import OpenRun, opened_run

# The tensor program of all members, which networks take that nothing is compiled for.
pytestmark = pytest.mark.usefixtures("without_kernels")

def small(**changes: Any) -> RunConfig:
    config = diagonal_config(init=InitConfig("gaussian", 1e-3), seed=5, train=GradientFlowConfig(tolerance=1e-4))
    return dataclasses.replace(config, **changes)


def at_scales(*scales: float, **changes: Any) -> list[RunConfig]:
    return [small(init=InitConfig("gaussian", scale), **changes) for scale in scales]


@pytest.fixture(scope="module")
def members() -> list[Member]:
    return run_seeds(small(), 3, progress=False)


def statuses(members: list[Member]) -> list[str]:
    return [member.status for member in members]


# ---- In memory


def test_members_are_the_seeds_from_the_configured_one_on(members: list[Member]) -> None:
    assert [member.config.seed for member in members] == [5, 6, 7]
    assert statuses(members) == ["converged"] * 3
    assert all(member.result is not None and member.failure == "" for member in members)
    assert all(member.seconds > 0 for member in members)
    assert [member.order_agrees for member in members] == [
        member.result.verdict["in_predicted_order"] == 3 for member in members if member.result is not None]


@pytest.mark.parametrize("number", [0, 2])
def test_a_member_is_the_run_of_its_seed(members: list[Member], number: int) -> None:
    result, alone = members[number].result, run(members[number].config, progress=False)
    assert result is not None
    assert result.horizon == pytest.approx(alone.horizon)
    assert result.verdict["in_predicted_order"] == alone.verdict["in_predicted_order"]
    assert len(result.comparison) == len(alone.comparison)
    for row, expected in zip(result.comparison, alone.comparison, strict=True):
        for key in ("time_predicted", "time_training", "level_predicted", "level_training"):
            assert row[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-6, nan_ok=True)
    assert [(claim.claim, claim.source, claim.holds) for claim in result.claims] == [
        (claim.claim, claim.source, claim.holds) for claim in alone.claims]


def fail_for_seed(seed: int, monkeypatch: pytest.MonkeyPatch, name: str, module: Any, error: BaseException) -> None:
    """The function of that name fails where what it is given first has the seed, or its `config` has."""
    real = getattr(module, name)

    def failing(first: Any, *rest: Any, **named: Any) -> Any:
        config = first if isinstance(first, RunConfig) else first.config
        if config.seed == seed:
            raise error
        return real(first, *rest, **named)

    monkeypatch.setattr(module, name, failing)


@pytest.mark.parametrize("stage", ["prepare", "judge"])
def test_a_failing_member_leaves_the_others_alone(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for_seed(6, monkeypatch, stage, ensemble_run, ArithmeticError("no digits left"))
    members = run_seeds(small(), 3, progress=False)
    assert statuses(members) == ["converged", "failed", "converged"]
    assert members[1].reason == "ArithmeticError: no digits left"
    assert members[1].result is None
    assert members[1].order_agrees is None
    assert all(members[place].result is not None for place in (0, 2))


def test_a_batch_that_fails_is_trained_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **named: Any) -> Any:
        raise RuntimeError("the batch is broken")

    real = ensemble_training.train

    def failing(settings: Any, problem: Any, horizon: float, watch: Any) -> Any:
        if watch.seed == 7:
            raise RuntimeError("and so is this one")
        return real(settings, problem, horizon, watch)

    monkeypatch.setattr(ensemble_training, "train_ensemble_by_gradient_flow", broken)
    monkeypatch.setattr(ensemble_training, "train", failing)
    config = small(train=GradientFlowConfig(tolerance=1e-3, horizon=1.0))
    members = members_without_prediction(config, 3)
    (batch,) = ensemble_training.batches(members)
    report = ensemble_training.train_members(batch, None)
    assert report["program"] == "one after another"
    assert "the batch is broken" in report["reason"]
    assert statuses(members) == ["horizon", "horizon", "failed"]
    assert members[2].reason == "RuntimeError: and so is this one"


def test_a_diverging_member_leaves_the_others_alone() -> None:
    """Gradient descent at a rate that some of large initializations do not bear."""
    rough = dataclasses.replace(descent(), learning_rate=0.2, momentum=0.0, max_steps=8)
    members = run_seeds(small(init=InitConfig("gaussian", 0.3), train=rough), 6, progress=False)
    assert set(statuses(members)) == {"horizon", "diverged"}
    for member in members:
        assert member.result is not None
        diverged = member.status == "diverged"
        assert ("learning_rate" in member.result.training.reason) or not diverged
        assert (member.order_agrees is None) == diverged
        assert (member.result.claims == []) == diverged


def interrupt_at_the_first_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once the first of several members has converged."""
    real = ensemble_training.train_ensemble_by_gradient_flow

    def interrupted(*arguments: Any, **named: Any) -> Any:
        def progress(ended: int) -> None:
            if ended == 1:
                raise KeyboardInterrupt

        return real(*arguments, **{**named, "progress": progress})

    monkeypatch.setattr(ensemble_training, "train_ensemble_by_gradient_flow", interrupted)


def test_interruptions_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail_for_seed(6, patch, "prepare", ensemble_run, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_seeds(small(), 3, progress=False)
    interrupt_at_the_first_end(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run_seeds(small(), 3, progress=False)


@pytest.mark.parametrize(("changes", "seeds", "message"), [
    ({}, 0, r"seeds=0 .*from 1 to 100000"),
    ({}, 100_001, r"seeds=100001 .*from 1 to 100000"),
    ({"init": InitConfig("deterministic", 1e-3)}, 2, r"seeds=2 .*deterministic"),
    ({"init": InitConfig("gaussian", 2.0)}, 2, r"init\.scale=2.* below 1"),
])
def test_wrong_values_are_named(changes: dict[str, Any], seeds: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_seeds(small(**changes), seeds)


def test_a_scale_too_small_for_the_network_is_nobodys_own_failure() -> None:
    with pytest.raises(ConfigError, match=r"init\.scale=1e-200"):
        run_seeds(modadd_config(init=InitConfig("gaussian", 1e-200)), 2, progress=False)


# ---- Each in its folder, as a sweep has them done


@contextmanager
def parts_in(folder: Path, configs: list[RunConfig]) -> Iterator[list[OpenRun]]:
    with ExitStack() as opening:
        yield [opening.enter_context(opened_run(config, folder / str(place), False, ["agfrun", str(place)]))
               for place, config in enumerate(configs)]


def run_together(folder: Path, configs: list[RunConfig]) -> dict[int, str]:
    """What was told of each part that has ended."""
    told: dict[int, str] = {}
    with parts_in(folder, configs) as parts:
        together.run_together(parts, lambda place, failure: told.update({place: failure}))
    return told


def test_each_part_leaves_the_folder_of_a_run(tmp_path: Path) -> None:
    configs = [*at_scales(1e-2, 1e-4), small(seed=6, init=InitConfig("gaussian", log10_scale=-4.0))]
    assert run_together(tmp_path, configs) == {0: "", 1: "", 2: ""}
    for place, config in enumerate(configs):
        folder = tmp_path / str(place)
        assert {path.name for path in folder.iterdir() if path.name != ".lock"} == FILES
        done, manifest = read_json(folder / "done.json"), read_json(folder / "manifest.json")
        assert (done["status"], done["config_hash"]) == ("converged", config_hash(config))
        assert (manifest["seed"], manifest["command"]) == (config.seed, ["agfrun", str(place)])
        assert manifest["trained_together"]["runs"] == 3
        assert "vectorizing" in manifest["trained_together"]["program"]
        trained = pd.read_csv(folder / "loss.csv").query("source == 'training'")
        assert trained["loss"].iloc[-1] < 1e-5 * trained["loss"].iloc[0]


def test_a_part_that_fails_says_why_and_the_others_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for_seed(6, monkeypatch, "prepare", together, ArithmeticError("no\ndigits left"))
    assert run_together(tmp_path, [small(seed=seed) for seed in (5, 6, 7)]) == {
        0: "", 1: "ArithmeticError: no digits left", 2: ""}
    assert [(tmp_path / str(place) / "done.json").exists() for place in range(3)] == [True, False, True]


def test_a_part_that_diverges_is_written_like_any_other(tmp_path: Path) -> None:
    rough = dataclasses.replace(descent(), learning_rate=0.2, momentum=0.0, max_steps=8)
    assert run_together(tmp_path, at_scales(1e-12, 0.9, train=rough)) == {0: "", 1: ""}
    done = [read_json(tmp_path / str(place) / "done.json") for place in range(2)]
    assert [one["status"] for one in done] == ["horizon", "diverged"]
    assert "learning_rate" in done[1]["reason"]
    assert done[1]["claims"] == 0


def test_an_interruption_leaves_predictions_and_no_done_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at_the_first_end(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run_together(tmp_path, at_scales(1e-2, 1e-5, 1e-9))
    for place in range(3):
        assert not (tmp_path / str(place) / "done.json").exists()
        assert set(pd.read_csv(tmp_path / str(place) / "loss.csv")["source"]) == {"agf", "theory", "own_size"}
