from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from tiny_studies import assert_files_of, execute, interrupt_after, modadd_config, read

from agfrun import AgfrunError, GradientDescentConfig, GradientFlowConfig, UsageError, load_config, redraw, run
from agfrun.labs.staircases.run.single import one_run
from agfrun.labs.staircases.run.training import train_alone
from agfrun.labs.staircases.studies.width import MEASURES, WidthConfig, find_trends, trend_claims

FLOW = GradientFlowConfig(horizon=60.0, tolerance=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two widths with AGF, two seeds."""
    folder = tmp_path_factory.mktemp("study")
    execute(modadd_config(WidthConfig(widths=[2, 4], seeds=2)), folder)
    return folder


def test_files(folder: Path) -> None:
    done = assert_files_of(folder, WidthConfig, "width")
    assert (done["runs"], done["finished_runs"]) == (4, 4)


def test_every_run_is_measured_for_training_and_agf(folder: Path) -> None:
    runs = read(folder, "runs")
    assert runs.groupby(["width", "seed"])["source"].apply(list).tolist() == [["training", "agf"]] * 4
    by_source = runs.set_index("source")
    assert (by_source.loc["agf", "drop_duration"] == 0).all()
    assert (by_source.loc["training", "drop_duration"] > 0).all()
    assert by_source["steepest_fall"].between(0, 1 + 1e-12).all()  # a jump over all of the fall is 1 but for rounding
    assert runs["drops"].min() >= 1


def test_trends_are_those_of_the_runs(folder: Path) -> None:
    trained = read(folder, "runs").query("source == 'training'")
    trends = read(folder, "trends").set_index("measure")
    for measure in trends.index:
        expected = stats.kendalltau(trained["width"], trained[measure])
        assert trends.loc[measure, "kendall_tau"] == pytest.approx(expected.statistic)
        assert trends.loc[measure, "p_value"] == pytest.approx(expected.pvalue)
        assert trends.loc[measure, "points"] == 4


def test_without_prediction_only_training_is_measured(tmp_path: Path) -> None:
    config = modadd_config(WidthConfig(widths=[2, 3], seeds=1, predict=False), train=FLOW, plots=False)
    execute(config, tmp_path)
    assert read(tmp_path, "runs")["source"].tolist() == ["training", "training"]


def test_training_alone_is_the_training_of_a_run() -> None:
    with_prediction = one_run(modadd_config(WidthConfig(predict=True), train=FLOW))
    alone, beside = train_alone(with_prediction).trajectory, run(with_prediction, progress=False).training.trajectory
    assert alone.times.tolist() == beside.times.tolist()
    assert alone.loss.tolist() == beside.loss.tolist()


def test_gradient_descent_alone() -> None:
    train = GradientDescentConfig(learning_rate=0.05, max_steps=300)
    result = train_alone(modadd_config(WidthConfig(predict=False), train=train))
    assert result.trajectory.steps is not None
    assert result.trajectory.steps[-1] == 300
    by_time = train_alone(modadd_config(WidthConfig(predict=False), train=GradientDescentConfig(
        learning_rate=0.05, horizon=float(result.trajectory.times[-1]))))
    assert by_time.trajectory.loss[-1] == pytest.approx(result.trajectory.loss[-1])


def test_a_run_that_fails_is_a_row(tmp_path: Path) -> None:
    train = GradientDescentConfig(learning_rate=1e6, max_steps=2000)
    with pytest.raises(AgfrunError, match="none of the 2 runs finished; the first ended with DivergenceError"):
        execute(modadd_config(WidthConfig(widths=[2, 3], seeds=1, predict=False), train=train), tmp_path)
    runs = read(tmp_path, "runs")
    assert runs["status"].tolist() == ["failed", "failed"]
    assert runs["reason"].str.startswith("DivergenceError: training diverged").all()


def test_an_interrupted_study_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        execute(modadd_config(WidthConfig(widths=[3, 2, 4], seeds=1)), tmp_path)
    assert read(tmp_path, "runs")["width"].unique().tolist() == [3]
    assert not (tmp_path / "done.json").exists()
    assert [path.name for path in redraw(tmp_path, formats=("png",))] == ["width.png"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=diagonal_linear"], "study=width is not allowed: model=diagonal_linear has no key model.width; those "
                                    "with one are .*quadratic_modadd"),
        (["study.widths=[3]"], "at least two different widths"),
        (["study.widths=[3,3]"], "at least two different widths"),
        (["study.widths=[3,0]"], "model.width=0 is not allowed: must be an integer of at least 1"),
        (["study.widths=[3,2.5]"], "must be a list of integers"),
        (["study.seeds=0"], "an integer from 1 to 100000"),
        (["study.predict=false"], "train.horizon=null is not allowed: must be given"),
        (["study.log10_scales=[-1,-2,-3]"], "it belongs to study=agreement and study=vanishing_init"),
    ],
)
def test_wrong_keys_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(["study=width", *overrides])


def runs_with(durations: list[float]) -> pd.DataFrame:
    """Training runs at widths 1, 2, ... of which only the drops' duration differs; and one of AGF that goes against."""
    rows = [{"width": width, "source": "training", "drop_duration": duration, "plateau_share": 0.5,
             "steepest_fall": math.nan} for width, duration in enumerate(durations, start=1)]
    return pd.DataFrame([*rows, rows[0] | {"source": "agf", "drop_duration": 1e3}])


@pytest.mark.parametrize(
    ("durations", "holds"),
    [([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], True), ([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], False), ([0.1, 0.3, 0.2, 0.1], None)],
    ids=["smoother", "sharper", "undecided"],
)
def test_the_verdict_is_that_of_the_runs(durations: list[float], holds: bool | None) -> None:
    (trend,) = find_trends(runs_with(durations))  # the others do not vary, or are not known
    assert (trend["measure"], trend["smoother"], trend["points"]) == ("drop_duration", "rises", len(durations))
    (claim,) = trend_claims(trend)
    assert claim.holds is holds
    assert claim.stated == "AGF paper, limitations"
    assert ("0.05" in claim.why) or holds is not None  # of an undecided one it says why


def test_a_measure_that_falls_says_smoother_where_it_should() -> None:
    trend = {"measure": "steepest_fall", "kendall_tau": -0.8, "p_value": 0.01}
    (claim,) = trend_claims(trend)
    assert claim.holds
    assert claim.expected == "tau below 0"
    assert set(MEASURES) == {"drop_duration", "plateau_share", "steepest_fall"}
