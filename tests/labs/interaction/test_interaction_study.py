"""study=interaction as a library runs it: tables, numbers, claims, figures, interruption; slow ones: the oracles."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import read_json

from agfrun import ConfigError, execute, load_config, read_run, resume_run
from agfrun.labs.interaction import Interaction, isometry_error, translation_r2
from agfrun.labs.interaction.claims import claims_of
from agfrun.labs.interaction.config import InteractionSettings
from agfrun.labs.interaction.interaction_tables import COLUMNS, SUMMARY
from agfrun.labs.interaction.method import Places
from agfrun.labs.interaction.metrics import direction_error
from agfrun.labs.interaction.names import METHODS
from agfrun.labs.interaction.row import Judge, world_of
from agfrun.labs.interaction.wording import verdict_of_summary

SMALL = ["study=interaction", "data.size=20", "train.steps=8", "train.evaluate_every=4", "train.batch_size=16",
         "learner.channels=[4,4,4]", "learner.warmup=3", "plot_formats=[png]"]


def run(folder: Path | None, *overrides: str) -> Any:
    return execute(load_config([*SMALL, *overrides]), output_dir=folder, progress=False, command=["agfrun"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interaction") / "run"
    run(folder, "study.seeds=2", f"study.methods=[{','.join(METHODS)}]", "data.shape=bar", "learner.elongation=3",
        "data.background=random")
    return folder


def test_the_tables(finished: Path) -> None:
    study, saved = read_run(finished)
    assert {schema.name: list(saved.tables[schema.name].columns) for schema in study.tables} == {
        schema.name: schema.names for schema in study.tables}
    errors, summary = saved.tables["errors"], saved.tables["summary"]
    trained = [method for method in METHODS if method not in ("constant", "pca")]
    assert summary["method"].tolist() == list(METHODS)
    for method, part in errors.groupby("method"):
        assert part["step"].tolist() == ([0, 4, 8] if method in trained else [8]) * 2
    for row in summary.itertuples():
        ends = errors[(errors["method"] == row.method) & (errors["step"] == 8)]
        assert row.isometry_error == pytest.approx(ends["isometry_error"].mean())
        assert row.isometry_error_low <= row.isometry_error <= row.isometry_error_high
    constant = summary[summary["method"] == "constant"].iloc[0]
    assert constant["isometry_error"] == pytest.approx(constant["constant_error"], rel=0.05)
    assert abs(constant[["agent_r2", "object_r2"]]).max() < 1e-12
    assert summary["direction_error"].notna().tolist() == [method in METHODS[:5] for method in METHODS]
    told = summary["contact_accuracy"].notna()
    assert told.tolist() == [method in METHODS[:5] for method in METHODS]


def test_places_are_those_that_errors_are_of(finished: Path) -> None:
    tables = read_run(finished)[1].tables
    places = tables["places"]
    assert len(places) == 300 * len(METHODS)
    assert places["angle"].notna().sum() == 300 * 5
    assert places["angle"].dropna().between(0, np.pi).all()
    grid = tables["grid"]
    assert grid.groupby(["method", "moves"]).size().eq(81).all()
    assert len(tables["distances"]) == 8 * 16 * 5


def test_numbers_claims_figures_and_text(finished: Path) -> None:
    done, summary = read_json(finished / "done.json"), read_run(finished)[1].tables["summary"]
    assert {name: done[name] for name in COLUMNS} == {name: summary[name].iloc[0] for name in COLUMNS}
    assert (done["claims"], done["claims_undecided"]) == (14, 14)
    assert {path.stem for path in (finished / "plots").iterdir()} == {"errors", "frames", "grid", "split"}
    assert "interaction: isometry error " in (finished / "report.html").read_text(encoding="utf-8")
    assert read_json(finished / "manifest.json")["summary"].startswith("held-out states   isometry error")


def test_the_same_command_gives_the_same_numbers_and_an_interrupted_one_goes_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", "plots=false", "report=false")
    times = iter(range(1000))

    def interrupted(*arguments: Any) -> Any:
        if next(times) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    real = Interaction.loss
    monkeypatch.setattr(Interaction, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", "plots=false", "report=false", "checkpoint.seconds=0")
    monkeypatch.setattr(Interaction, "loss", real)
    resume_run(tmp_path / "parts", progress=False)
    for file in ("errors.csv", "places.csv", "grid.csv", "distances.csv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


def test_recordings_need_no_states(tmp_path: Path) -> None:
    seen = world_of(load_config([*SMALL, "data.size=16"])).transitions(150, torch.Generator().manual_seed(0))
    for name in ("before", "after", "actions"):
        np.save(tmp_path / f"{name}.npy", getattr(seen, name).numpy())
    recorded = [override for override in SMALL if not override.startswith("data.size")]
    chosen = [*recorded, "data=recordings", f"data.path={tmp_path}", "study.methods=[interaction,vae]"]
    result = execute(load_config(chosen), output_dir=tmp_path / "run", progress=False, command=["agfrun"])
    assert {name: result.numbers[name] is None for name in COLUMNS} == {
        name: name != "action_error" for name in COLUMNS}
    assert all(claim.holds is None for claim in result.claims)
    assert {path.stem for path in (tmp_path / "run" / "plots").iterdir()} == {"split"}
    for override, line in (("study.split=labels", "do not say what is a contact"),
                           ("study.methods=[supervised]", "true states")):
        with pytest.raises(ConfigError, match=line):
            execute(load_config([*chosen, override]), output_dir=None, progress=False, command=["agfrun"])


def test_metrics_forgive_a_common_translation_and_nothing_else() -> None:
    agent, thing = np.random.default_rng(0).random((2, 200, 2))
    shift = np.array([0.3, -0.1])
    assert isometry_error(agent, thing, agent + shift, thing + shift) < 1e-30
    assert isometry_error(agent, thing, agent + shift, thing) == pytest.approx(0.1)
    assert translation_r2(thing, thing + shift) == pytest.approx(1)
    assert translation_r2(thing, thing[:, ::-1]) < 0
    assert translation_r2(thing, 2 * thing) == pytest.approx(0)
    assert translation_r2(thing, np.zeros_like(thing)) == pytest.approx(0)


def test_directions_have_no_sign() -> None:
    true = np.array([0.0, 0.1, 3.0])
    assert direction_error(true, true + np.pi) == pytest.approx(0, abs=1e-9)
    assert direction_error(true, true - 0.2) == pytest.approx(np.degrees(0.2))
    assert direction_error(np.zeros(1), np.full(1, np.pi / 2)) == pytest.approx(90)


def test_a_judge_finds_nothing_wrong_with_the_truth() -> None:
    config: InteractionSettings = load_config(SMALL)
    judge = Judge(config, world_of(config), 0)

    class Truth(Interaction):
        def places(self, images: Any) -> Places:
            seen = judge.scenes
            states = seen.states if images is seen.before else seen.later
            assert states is not None
            return Places(states[:, :2].numpy() + 0.1, states[:, 2:].numpy() + 0.1)

    found = judge(Truth(world_of(config), config.learner, "labels", 0))
    assert found["isometry_error"] < 1e-12
    assert found["action_error"] < 1e-6
    assert found["contact_accuracy"] == 1
    assert found["object_r2"] == pytest.approx(1)


GOOD = {"isometry_error": 0.02, "agent_r2": 1.0, "object_r2": 0.8, "contact_accuracy": 0.98, "offset_gap": 0.01,
        "direction_error": 5.0}


def summary_of(**methods: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame([{**dict.fromkeys(SUMMARY.names), "method": method, **values}
                         for method, values in methods.items()])


@pytest.mark.parametrize(("column", "value", "claim"), [
    ("isometry_error", 0.05, "error_is_small"), ("offset_gap", 0.06, "one_offset"),
    ("agent_r2", 0.98, "agent_is_found"), ("object_r2", 0.71, "object_is_found"),
    ("contact_accuracy", 0.9, "contacts_are_found"), ("direction_error", 20.0, "direction_is_found"),
    ("isometry_error", 0.3, "beats_vae")])
def test_claims_fail_where_the_data_say_otherwise(column: str, value: float, claim: str) -> None:
    for values, verdict in ((GOOD, "holds"), ({**GOOD, column: value}, "fails")):
        table = summary_of(interaction=values, vae={"isometry_error": 0.25}, no_plus={"object_r2": 0.0})
        found = {one.claim: one.verdict for one in claims_of(table, "mixture", 500)}
        assert found[claim] == verdict
        assert (found["fails_no_plus"], found["beats_keypoints"]) == ("holds", "undecided")
    assert {one.verdict for one in claims_of(table, "mixture", 499)} == {"undecided"}


def test_the_verdict_is_open_where_no_claim_is_decided() -> None:
    table = summary_of(interaction={**GOOD, "constant_error": 0.24})
    for steps, tone in ((8, "open"), (500, "good")):
        claims = pd.DataFrame([asdict(one) for one in claims_of(table, "mixture", steps)])
        assert verdict_of_summary(table, claims).tone == tone


@pytest.mark.parametrize(("override", "line"), [
    ("study.methods=[interaction,interaction]", "at least one method, each once"),
    ("study.methods=[magic]", "choose one of interaction"), ("study.split=magic", "choose one of mixture"),
    ("data.size=8", "an integer from 16"), ("data.shape=disc", "choose one of diamond"),
    ("data.contact=0", "from 0.01"), ("learner.elongation=0.5", "from 1 to 100"), ("dtype=float32", "must be float64"),
    ("learner.temperature=0", "from 1e-6"), ("learner.channels=[]", "one to eight"), ("train.batch_size=2", "from 8"),
    ("data.size=256 train.steps=100000000", "about"), ("data=recordings", "a folder with the files")])
def test_what_makes_no_sense_is_refused(override: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        load_config(["study=interaction", *override.split()])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_agent_and_object_are_found_after_500_steps(seed: int) -> None:
    result = execute(load_config(["study=interaction", f"seed={seed}", "study.methods=[interaction]"]), output_dir=None,
                     progress=False, command=["agfrun"])
    numbers = result.numbers
    assert numbers["isometry_error"] <= 0.025
    assert numbers["object_r2"] >= 0.78
    assert numbers["agent_r2"] >= 0.99
    assert numbers["contact_accuracy"] >= 0.95
    assert numbers["offset_gap"] < 0.05
    assert numbers["action_error"] < 0.02
