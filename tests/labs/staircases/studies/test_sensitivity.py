"""The study `sensitivity`: times that the tolerance decides."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from tiny_studies import assert_files_of, diagonal_config, execute, read

from agfrun import AgfConfig, ConfigError, GradientDescentConfig, GradientFlowConfig, InitConfig, load_config, run
from agfrun.labs.staircases.report.figures.sensitivity import plot_sensitivity
from agfrun.labs.staircases.studies.sensitivity import SensitivityConfig, loosened, paired


def event(time: float, feature: str, kind: str = "acquisition") -> dict[str, object]:
    return {"kind": kind, "feature": feature, "time": time}


def test_pairs_by_feature_kind_and_number() -> None:
    tight = [event(2.0, "b"), event(1.0, "a"), event(3.0, "a", "collapse"), event(4.0, "a")]
    rows = paired(tight, [event(2.05, "b"), event(1.0, "a"), event(9.0, "a"), event(0.1, "c")], 0.05)
    assert [(row["feature"], row["kind"], row["occurrence"], row["sensitive"]) for row in rows] == [
        ("a", "acquisition", 1, False), ("b", "acquisition", 1, False), ("a", "collapse", 1, True),
        ("a", "acquisition", 2, True)]
    assert math.isnan(rows[2]["looser_time"])
    assert [row["shift"] for row in rows[:2]] == [0.0, pytest.approx(0.025)]
    assert rows[3]["looser_time"] == 9.0


@pytest.mark.parametrize(("later", "sensitive"), [(104.9, False), (105.1, True), (95.3, False), (95.1, True)])
def test_five_percent(later: float, sensitive: bool) -> None:
    (row,) = paired([event(100.0, "a")], [event(later, "a")], 0.05)
    assert row["sensitive"] is sensitive


def test_a_study_whose_times_can_be_told(tmp_path: Path) -> None:
    config = diagonal_config(study=SensitivityConfig(), init=InitConfig("gaussian", 1e-3),
                             train=GradientFlowConfig(tolerance=1e-5), agf=AgfConfig(method="generic"))
    result = execute(config, tmp_path / "run")
    done = assert_files_of(tmp_path / "run", SensitivityConfig, "sensitivity")
    times = read(tmp_path / "run", "times")
    assert list(dict.fromkeys(times["source"])) == ["training", "agf", "theory", "own_size"]
    assert not times["sensitive"].any()
    assert (done["times"], done["sensitive_times"]) == (len(times), 0)
    trained = times[times["source"] == "training"]
    assert (trained["shift"] > 0).all()
    assert (trained["shift"] < 1e-2).all()
    assert "training: 4 of 4 times can be told" in result.text
    # The times are those of two runs.
    again = run(diagonal_config(study=load_config([]).study, init=config.init, agf=loosened(config).agf,
                                train=loosened(config).train), progress=False)
    acquired = [one.time for one in again.events["training"] if one.kind in ("acquisition", "collapse")]
    assert sorted(trained["looser_time"]) == sorted(acquired)


def test_tolerances_are_loosened_up_to_a_hundredth() -> None:
    config = loosened(diagonal_config(study=SensitivityConfig(), train=GradientFlowConfig(tolerance=5e-3)))
    assert (config.train.tolerance, config.agf.tolerance) == (1e-2, pytest.approx(1e-7))


def test_the_figure_tells_what_is_sensitive() -> None:
    figure = plot_sensitivity(rows_of_two_sources())
    dots = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid()]
    assert [(dot.get_gid(), dot.get_color()) for dot in dots] == [
        ("training", "0.35"), ("training", "#D55E00"), ("agf", "0.35")]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["training", "AGF"]


def rows_of_two_sources() -> pd.DataFrame:
    rows = [{"source": "training", **row} for row in paired([event(1, "a"), event(5, "b")], [event(1, "a")], 0.05)]
    return pd.DataFrame([*rows, *({"source": "agf", **row} for row in paired([event(2, "a")], [event(2, "a")], 0.05))])


@pytest.mark.parametrize(("changes", "key"), [
    ({"train": GradientDescentConfig()}, "train.name"),
    ({"train": GradientFlowConfig(tolerance=1e-2)}, "train.tolerance")])
def test_what_it_refuses(changes: dict[str, object], key: str) -> None:
    study = SensitivityConfig()
    with pytest.raises(ConfigError, match="is not allowed") as caught:
        study.check(diagonal_config(study=study, **changes))
    assert str(caught.value).startswith(key)
    with pytest.raises(ConfigError, match="study.moved=0"):
        SensitivityConfig(moved=0.0).check(diagonal_config(study=study))


@pytest.mark.slow
def test_a_frequency_that_the_tolerance_decides(tmp_path: Path) -> None:
    """The last frequency of this start is learned at 531 with a tolerance of 1e-3, else at 1731."""
    config = load_config(["study=sensitivity", "model=quadratic_modadd", "seed=4", "init.stream=network",
                          "agf.beside=[]", "train.tolerance=1e-4", "train.horizon=2500", "plots=false", "report=false"])
    execute(config, tmp_path / "run")
    times = read(tmp_path / "run", "times")
    trained = times[(times["source"] == "training") & (times["kind"] == "acquisition")]
    assert list(zip(trained["feature"].astype(str), trained["sensitive"], strict=True)) == [
        ("1", False), ("3", False), ("5", True)]
