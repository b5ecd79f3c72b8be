"""The study `agreement`: the ladder of many runs, condensed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_studies import assert_files_of, diagonal_config, execute, read

from agfrun import AgfConfig, InitConfig, UsageError, load_config
from agfrun.labs.staircases.report.figures.agreement import plot_agreement
from agfrun.labs.staircases.studies.agreement import AgreementConfig, summarized


def rung(scale: float, seed: int, source: str, evaluations: int, **numbers: float | None) -> dict[str, object]:
    return {"log10_scale": scale, "seed": seed, "source": source, "evaluations": evaluations,
            "kind": "acquisition", "predicted": 3, "measured": 3, "in_order": 3, "median_time_error": 0.1,
            "worst_time_error": 0.2, "worst_level_error": 0.0, "within_predicted_error": None} | numbers


def trained(scale: float, seed: int, evaluations: int) -> dict[str, object]:
    nothing = dict.fromkeys(("predicted", "measured", "in_order", "median_time_error", "worst_time_error",
                             "worst_level_error"))
    return rung(scale, seed, "training", evaluations, **nothing)


RUNGS = pd.DataFrame([
    rung(-2, 0, "agf", 50), rung(-2, 0, "own_size", 10, within_predicted_error=3), trained(-2, 0, 100),
    rung(-2, 1, "agf", 10, in_order=2, median_time_error=0.3, worst_time_error=0.7, worst_level_error=0.04),
    rung(-2, 1, "own_size", 0, within_predicted_error=1, measured=2, in_order=2), trained(-2, 1, 40),
    rung(-2, 2, "own_size", 5, measured=0, worst_time_error=None, within_predicted_error=None), trained(-2, 2, 10),
    rung(-4, 0, "agf", 30, worst_time_error=0.05), trained(-4, 0, 10),
])


def test_a_row_a_scale_and_prediction() -> None:
    rows = summarized(RUNGS)
    assert [(row["log10_scale"], row["source"]) for row in rows] == [(-2, "own_size"), (-2, "agf"), (-4, "agf")]
    own, published, below = rows
    assert published == {
        "log10_scale": -2, "source": "agf", "runs": 2, "order": 1, "kind": "acquisition", "predicted": 6, "events": 6,
        "median_time_error": pytest.approx(0.2),
        "worst_time_error": 0.7, "worst_level_error": 0.04, "within_predicted_error": None,
        "share_of_training": pytest.approx((0.5 + 0.25) / 2)}
    # A run of which training shows nothing that it predicts says nothing of its errors.
    assert (own["runs"], own["predicted"], own["events"], own["within_predicted_error"]) == (2, 6, 5, 4)
    # What is predicted for a time after the end of training is in no order.
    assert own["order"] == 2
    assert own["share_of_training"] == pytest.approx((0.1 + 0.0) / 2)
    assert (below["share_of_training"], below["worst_time_error"]) == (3.0, 0.05)


def test_a_study_of_two_scales(tmp_path: Path) -> None:
    study = AgreementConfig(log10_scales=[-2.0, -4.0], seeds=2)
    config = diagonal_config(study=study, init=InitConfig("gaussian"), agf=AgfConfig(beside=["own_size"]))
    execute(config, tmp_path / "run")
    assert_files_of(tmp_path / "run", AgreementConfig, "agreement")
    table = read(tmp_path / "run", "agreement")
    assert list(table["source"]) == ["theory", "own_size", "agf"] * 2
    assert (table["runs"] == 2).all()
    errors = table.pivot(index="log10_scale", columns="source", values="worst_time_error")
    # Own-size steps are exact but for overlap; AGF is off by 1 / log(1/scale).
    assert (errors["own_size"] < 0.1 * errors["agf"]).all()
    assert errors.loc[-4, "agf"] < errors.loc[-2, "agf"]
    rungs = read(tmp_path / "run", "rungs")
    assert list(rungs.groupby(["log10_scale", "seed"]).size()) == [4] * 4


def test_the_figure_has_a_line_for_each_prediction() -> None:
    figure = plot_agreement(RUNGS)
    lines = {line.get_gid(): line for line in figure.axes[0].get_lines() if line.get_gid()}
    assert set(lines) >= {"agf", "own_size"}
    np.testing.assert_allclose(lines["agf"].get_ydata(), [0.05, 0.45])
    assert list(figure.axes[0].get_xticks()) == [-4, -2]


@pytest.mark.parametrize(("changes", "key"), [
    ({"log10_scales": []}, "study.log10_scales=[]"), ({"log10_scales": [-2.0, -2.0]}, "study.log10_scales"),
    ({"log10_scales": [0.0]}, "study.log10_scales"), ({"seeds": 0}, "study.seeds=0")])
def test_what_it_refuses(changes: dict[str, object], key: str) -> None:
    study = dataclasses.replace(AgreementConfig(), **changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is not allowed") as caught:
        study.check(diagonal_config(study=study, init=InitConfig("gaussian")))
    assert str(caught.value).startswith(key)


def test_all_predictions_unless_told_otherwise() -> None:
    assert list(load_config(["study=agreement", "init=gaussian"]).agf.beside) == ["own_size", "agf", "decoupled"]
