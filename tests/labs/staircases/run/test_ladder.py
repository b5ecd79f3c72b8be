"""All predictions of one run, with own-size steps that are known by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from agfrun import AgfConfig, AlternationOptions, Result, RunConfig, load_config, predict, read_run, run, write_report
from agfrun.labs.staircases.config import PRESETS
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction
from agfrun.labs.staircases.report.saved import saved_run
from agfrun.study.errors import ConfigError
from tests.tiny_runs import diagonal_config

# Of the paper's two coefficients from 1e-4: the first, and long after training's end an invented one.
STEPS = OwnSizePrediction("by hand", (
    OwnSizeEvent("1", 1.8, 1.9, 0.46, 2.3111, 1.1147, error=0.05, neuron=0),
    OwnSizeEvent("2", 4000.0, 4000.5, 1.58, 1.1147, 0.07, error=1e-3),
    OwnSizeEvent("1", math.nan, 4001.0, 0.0, 0.07, 0.07),
), void="nothing is said after coefficient 2", warning="the second is invented", evaluations=12)


def all_rungs(**changes: object) -> RunConfig:
    return diagonal_config(agf=AgfConfig(beside=["own_size", "agf", "decoupled"]), **changes)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("ladder") / "run"
    with mock.patch.object(DiagonalLinear, "own_size", return_value=STEPS):
        return run(dataclasses.replace(all_rungs(), plots=True, plot_formats=["png"]), output_dir=folder,
                   progress=False)


def test_every_rung_is_there_and_the_main_prediction_comes_first(result: Result) -> None:
    assert list(result.predictions.alternations) == ["agf", "decoupled"]
    assert result.prediction is result.predictions.alternations["agf"]
    assert [row["source"] for row in result.ladder] == ["agf", "theory", "own_size", "decoupled", "training"]
    for table in ("comparison", "loss", "events"):
        sources = list(dict.fromkeys(result.tables()[table]["source"]))
        assert [source for source in sources if source in ("agf", "decoupled")] == ["agf", "decoupled"]
        assert {"own_size", "theory"} <= set(sources)
    # Neurons and features are those of the main prediction.
    for table in ("features", "neurons"):
        assert set(result.tables()[table]["source"]) == {"training", "agf"}


def test_rungs_are_what_they_are_alone(result: Result) -> None:
    cost_phase, threshold, loss_tolerance = PRESETS["decoupled"]
    alone = predict(result.problem.architecture, result.problem.initial,
                    AlternationOptions(cost_phase=cost_phase, threshold=threshold, loss_tolerance=loss_tolerance))
    beside = result.predictions.alternations["decoupled"]
    assert [stage.time for stage in beside.rounds] == [stage.time for stage in alone.rounds]
    single = run(diagonal_config(agf=AgfConfig(beside=[])), progress=False)
    assert single.prediction.rounds == result.prediction.rounds
    assert [row["time_predicted"] for row in single.main_rows] == [row["time_predicted"] for row in result.main_rows]
    assert {row["source"] for row in single.ladder} == {"agf", "theory", "training"}


def acquired_by_own_size(result: Result) -> list[dict[str, Any]]:
    return [row for row in result.comparison if row["source"] == "own_size" and row["kind"] == "acquisition"]


def test_own_size_rows_say_whether_the_time_is_within_the_estimated_error(result: Result) -> None:
    rows = acquired_by_own_size(result)
    assert [(row["kind"], row["feature"]) for row in rows] == [("acquisition", "1"), ("acquisition", "2")]
    measured = {event.feature: event.time for event in reversed(result.events["training"])
                if event.kind == "acquisition"}
    for row, error, within in zip(rows, (0.05, 1e-3), (True, False), strict=True):
        assert row["time_error_predicted"] == error
        assert row["time_training"] == measured[row["feature"]]
        assert row["time_ratio"] == row["time_predicted"] / row["time_training"]
        assert row["within_predicted_error"] is within


def test_the_ladder_counts_errors_and_costs(result: Result) -> None:
    rows = {row["source"]: row for row in result.ladder}
    own = rows["own_size"]
    errors = [abs(row["time_ratio"] - 1) for row in acquired_by_own_size(result)]
    assert (own["evaluations"], own["predicted"], own["measured"], own["within_predicted_error"]) == (12, 2, 2, 1)
    assert (own["median_time_error"], own["worst_time_error"]) == (pytest.approx(np.median(errors)), max(errors))
    assert (own["void"], own["warning"]) == (STEPS.void, STEPS.warning)
    assert rows["training"]["evaluations"] == result.training.statistics.gradient_evaluations > 0
    assert rows["decoupled"]["evaluations"] > 0
    assert rows["agf"]["worst_time_error"] == result.verdict["worst_time_error"]


def test_the_verdict_and_the_claims_are_of_the_main_prediction(result: Result) -> None:
    acquired = [row for row in result.main_rows if row["kind"] == "acquisition"]
    assert result.verdict["predicted_acquisitions"] == len(acquired) == 3
    assert result.verdict["order_agrees"] is True


def test_training_waits_for_a_late_own_size_step(result: Result) -> None:
    assert result.horizon == 3 * 4001.0
    assert run(diagonal_config(agf=AgfConfig(beside=[])), progress=False).horizon < 1000


def test_an_own_size_step_without_a_time_is_drawn_where_it_steps(result: Result) -> None:
    loss = result.tables()["loss"]
    path = loss[loss["source"] == "own_size"]
    assert path["time"].tolist()[:-1] == [0, 1.8, 1.8, 4000.0, 4000.0, 4001.0, 4001.0]
    assert path["loss"].tolist()[:4] == pytest.approx([2.3111, 2.3111, 1.1147, 1.1147], abs=1e-3)
    events = result.tables()["events"]
    lost = events[(events["source"] == "own_size") & (events["kind"] == "collapse")]
    assert lost["feature"].tolist() == ["1"]
    assert lost["time"].isna().all()


def test_the_folder_tells_the_whole_ladder(result: Result) -> None:
    """Seconds are in the manifest, and on the page; tables have none, so that a run done again gives the same."""
    folder = result.output_dir
    assert folder is not None
    saved = saved_run(read_run(folder)[1])
    assert saved.main == "agf"
    pd.testing.assert_frame_equal(saved.ladder, result.tables()["ladder"])
    assert not [name for name in saved.ladder if "seconds" in name]
    assert {"theory", "own_size", "predict", "decoupled", "train"} <= set(saved.manifest["wall_seconds"])
    page = write_report(folder).read_text("utf-8")
    for words in ("The ladder of predictions", "own-size steps", "decoupled flow", STEPS.void, STEPS.warning):
        assert words in page
    assert "own-size steps" in result.text()
    assert STEPS.void in result.text()


def test_the_decoupled_flow_may_be_the_main_prediction() -> None:
    config = diagonal_config(agf=AgfConfig(cost_phase="decoupled", threshold=0.1, beside=["agf"]))
    found = run(config, progress=False)
    assert list(found.predictions.alternations) == ["decoupled", "agf"]
    assert found.prediction.source == "decoupled"
    assert {event.kind for event in found.events["decoupled"]} >= {"activation", "acquisition"}
    # The one beside has the threshold of its own preset, and its activations are held against those at it.
    rows = [row for row in found.comparison if (row["source"], row["kind"]) == ("agf", "activation")]
    twin = run(diagonal_config(agf=AgfConfig(beside=[])), progress=False)
    expected = [row for row in twin.main_rows if row["kind"] == "activation"]
    assert [row["time_predicted"] for row in rows] == [row["time_predicted"] for row in expected]
    assert [row["time_training"] for row in rows] == [row["time_training"] for row in expected]


def test_presets_are_those_of_the_configuration_tree() -> None:
    for name, source in (("paper", "agf"), ("decoupled", "decoupled")):
        agf = load_config([f"agf={name}"]).agf
        assert (agf.cost_phase, agf.threshold, agf.loss_tolerance) == PRESETS[source]
        assert agf.main == source
    assert load_config(["agf=all"]).agf.beside == ["own_size", "agf", "decoupled"]
    assert load_config(["model=linear_attention"]).agf == load_config(["agf=all"]).agf


@pytest.mark.parametrize(("overrides", "message"), [
    (["agf.cost_phase=timed"], "agf.cost_phase=timed is not allowed: choose one of instantaneous, decoupled"),
    (["agf.beside=[timed]"], "agf.beside=[timed] is not allowed: choose one of own_size, agf, decoupled"),
    (["agf=timed"], "decoupled"),
])
def test_what_is_not_there_is_refused_in_a_line_that_says_what_is(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(overrides)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_event_knows_its_sign() -> None:
    signs = [Event("acquisition", 1.0, "a", None, 1.0, 0.0, size=size).sign for size in (2.0, -0.1, math.nan)]
    assert signs == [1, -1, 0]
