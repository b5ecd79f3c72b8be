from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_studies import (
    assert_files_of,
    diagonal_config,
    execute,
    interrupt_after,
    modadd_config,
    read,
    replace_run,
)

from agfrun import (
    AgfConfig,
    AgfrunError,
    CompareConfig,
    ConfigError,
    DivergenceError,
    GradientFlowConfig,
    InitConfig,
    Result,
    UsageError,
    load_config,
    redraw,
    run,
    validate,
)
from agfrun.labs.staircases.analysis.approach import AcceleratedClock, curve_rows, distance_rows, window
from agfrun.labs.staircases.analysis.rates import PowerLaw, fit_power_law
from agfrun.labs.staircases.studies.vanishing_init import (
    Quantity,
    VanishingInitConfig,
    default_log10_scales,
    fit_rates,
    rate_claims,
)

SCALES = [-4.0, -6.0, -9.0, -13.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study on the paper's two coefficients."""
    folder = tmp_path_factory.mktemp("study")
    execute(diagonal_config(VanishingInitConfig(log10_scales=SCALES)), folder)
    return folder


@pytest.fixture(scope="module")
def result() -> Result:
    config = diagonal_config(CompareConfig(), init=InitConfig("deterministic", log10_scale=-6.0), plots=False)
    return run(config, progress=False)


def test_files(folder: Path) -> None:
    done = assert_files_of(folder, VanishingInitConfig, "vanishing_init")
    assert (done["status"], done["runs"], done["finished_runs"]) == ("finished", 4, 4)
    assert "loss to agf" in json.loads((folder / "manifest.json").read_text())["summary"]


def test_one_row_for_each_run(folder: Path) -> None:
    runs = read(folder, "runs")
    assert runs["log10_scale"].tolist() == SCALES
    assert (runs["status"] == "converged").all()
    assert runs["reason"].notna().all()
    assert (runs["in_predicted_order"] == 3).all()
    assert runs["clock_rate"].to_numpy() == pytest.approx([1 / (-x * math.log(10)) for x in SCALES])


def test_the_distance_vanishes_like_the_theorem_says(folder: Path) -> None:
    rates = read(folder, "rates").set_index(["reference", "quantity"])
    pooled = rates[rates["feature"].isna()]
    assert set(pooled.index) >= {("agf", "loss"), ("agf", "features"), ("agf", "time"), ("theory", "loss")}
    assert ((pooled["low"] <= 1) & (pooled["high"] >= 1)).all()
    assert (pooled["high"] - pooled["low"] < 0.2).all()
    claims = read(folder, "claims")
    assert len(claims) == 2 * len(pooled)
    assert claims["holds"].all()
    assert claims["statement"].str.contains("theorem 3.1").all()


def test_between_the_drops_the_distance_vanishes_faster(folder: Path) -> None:
    distances = read(folder, "distances")
    on_plateaus = distances[(distances["quantity"] == "plateaus") & (distances["reference"] == "theory")]
    shrunk = (on_plateaus[["distance", "clock_rate"]].iloc[-1] / on_plateaus[["distance", "clock_rate"]].iloc[0])
    assert shrunk["distance"] < shrunk["clock_rate"] ** 3


def test_an_interrupted_study_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        execute(diagonal_config(VanishingInitConfig(log10_scales=SCALES)), tmp_path)
    assert read(tmp_path, "runs")["log10_scale"].tolist() == SCALES[:1]
    assert set(read(tmp_path, "distances")["log10_scale"]) == set(SCALES[:1])
    assert not (tmp_path / "done.json").exists()
    assert [path.name for path in redraw(tmp_path, formats=("png",))] == ["vanishing_init.png"]


def test_a_run_that_fails_is_a_row(tmp_path: Path) -> None:
    """1e-200 is too small at homogeneity degree 3; the other scales go on."""
    study = VanishingInitConfig(log10_scales=[-200.0, -2.0, -2.5, -3.0])
    execute(modadd_config(study, plots=False), tmp_path)
    runs = read(tmp_path, "runs")
    assert runs["status"].tolist()[0] == "failed"
    assert "ConfigError: init.log10_scale=-200" in runs["reason"][0]
    assert (runs["status"][1:] != "failed").all()
    assert runs["clock"].unique().tolist() == ["t * scale"]
    assert "theorem" not in "".join(read(tmp_path, "claims")["statement"])
    assert set(read(tmp_path, "distances")["log10_scale"]) == {-2.0, -2.5, -3.0}
    assert json.loads((tmp_path / "done.json").read_text())["finished_runs"] == 3


def test_a_study_of_which_nothing_comes_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_run(monkeypatch, 0, DivergenceError("it left"))
    with pytest.raises(AgfrunError, match="none of the 4 runs finished; the first ended with DivergenceError: it left"):
        execute(diagonal_config(VanishingInitConfig(log10_scales=SCALES)), tmp_path)
    assert len(read(tmp_path, "runs")) == 4
    assert not (tmp_path / "done.json").exists()


def test_a_mistake_in_the_code_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_run(monkeypatch, 0, AttributeError("no such thing"))
    with pytest.raises(AttributeError):
        execute(diagonal_config(VanishingInitConfig(log10_scales=SCALES)), None)


def test_seeds_are_counted_from_the_configured_one(tmp_path: Path) -> None:
    study = VanishingInitConfig(log10_scales=[-4.0, -6.0, -9.0], seeds=2)
    execute(diagonal_config(study, seed=5, init=InitConfig("gaussian"), plots=False), tmp_path)
    assert read(tmp_path, "runs")["seed"].tolist() == [5, 6] * 3
    rates = read(tmp_path, "rates")
    assert rates.loc[(rates["reference"] == "agf") & (rates["quantity"] == "loss"), "groups"].tolist() == [2]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["study.log10_scales=[-1,-2]"], "at least 3 different exponents"),
        (["study.log10_scales=[-1,-2,-2]"], "at least 3 different exponents"),
        (["study.log10_scales=[-1,-2,0.5]"], "at least 3 different exponents"),
        (["study.log10_scales=1e-4"], "must be a list of numbers"),
        (["study.seeds=0"], "an integer from 1 to 100000"),
        (["study.seeds=2", "experiment=diagonal_5d"], "1 with init=deterministic"),
        (["study.widths=[1,2]"], "it belongs to study=paper_relu and study=width"),
        (["study.seed=2"], "did you mean study.seeds?"),
    ],
)
def test_wrong_keys_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        load_config(["study=vanishing_init", *overrides])


def test_the_clock() -> None:
    assert AcceleratedClock(2).rate(-400.0) == pytest.approx(1 / (400 * math.log(10)))
    assert AcceleratedClock(3).rate(-2.0) == pytest.approx(1e-2)
    assert AcceleratedClock(5).rate(-2.0) == pytest.approx(1e-6)
    assert [AcceleratedClock(degree).formula for degree in (2, 3, 5)] == [
        "t / log(1/scale)", "t * scale", "t * scale^3"]


@pytest.mark.parametrize("degree", [2, 3, 4, 7])
def test_default_scales_fall_and_span_the_clock(degree: int) -> None:
    scales = default_log10_scales(degree)
    assert sorted(scales, reverse=True) == scales
    rates = [AcceleratedClock(degree).rate(scale) for scale in scales]
    assert rates[0] / rates[-1] >= 3 - 1e-9
    validate(diagonal_config(VanishingInitConfig(log10_scales=scales)))


def test_times_are_those_of_the_comparison(result: Result) -> None:
    rate = 0.25
    rows = [row for row in distance_rows(result, rate) if row["quantity"] == "time"]
    acquired = [row for row in result.main_rows if row["kind"] == "acquisition"]
    of_agf = [row for row in rows if row["reference"] == "agf"]
    assert [(row["feature"], row["occurrence"]) for row in of_agf] == [("1", 1), ("2", 1), ("1", 2)]
    assert [row["distance"] for row in of_agf] == pytest.approx(
        [rate * abs(row["time_predicted"] - row["time_training"]) for row in acquired])
    saddles = [event.time for event in result.events["theory"] if event.kind == "activation"]
    of_theory = [row for row in rows if row["reference"] == "theory"]
    assert [row["clock_time"] for row in of_theory] == pytest.approx([rate * time for time in saddles])


def test_training_has_no_distance_from_itself(result: Result) -> None:
    twin = dataclasses.replace(result.training.trajectory, source="agf")
    alternations = {"agf": dataclasses.replace(result.prediction, trajectory=twin)}
    same = dataclasses.replace(result, predictions=dataclasses.replace(result.predictions, alternations=alternations))
    rows = {row["quantity"]: row for row in distance_rows(same, 1.0) if row["reference"] == "agf"}
    assert {name: rows[name]["distance"] for name in ("loss", "features", "plateaus")} == {
        "loss": 0, "features": 0, "plateaus": 0}
    assert not any(rows[name]["resolved"] for name in ("loss", "features", "plateaus"))


def test_what_the_integrator_may_have_done_is_not_resolved(result: Result) -> None:
    coarse = dataclasses.replace(result.config, train=GradientFlowConfig(tolerance=1e-2))
    fine = {row["quantity"]: row["resolved"] for row in distance_rows(result, 1.0)}
    rough = {row["quantity"]: row["resolved"] for row in distance_rows(dataclasses.replace(result, config=coarse), 1.0)}
    assert fine["loss"]
    assert not rough["loss"]


def test_the_window_follows_training(result: Result) -> None:
    last = [event.time for event in result.events["training"] if event.kind == "acquisition"][-1]
    reached = float(result.training.trajectory.times[-1])
    assert last < reached < 1.5 * last
    assert window(result) == 1.5 * last
    stopped = dataclasses.replace(result, training=dataclasses.replace(result.training, status="horizon"))
    assert window(stopped) == reached
    missed = dataclasses.replace(result, events={**result.events, "training": []})
    assert window(missed) == 1.5 * [event.time for event in result.events["agf"] if event.kind == "acquisition"][-1]
    nothing = dataclasses.replace(result, events={"training": [], "agf": [], "theory": []})
    assert window(nothing) is None
    assert distance_rows(nothing, 1.0) == []
    assert curve_rows(nothing, 1.0) == []


def test_how_far_training_was_let_converge_is_no_distance(result: Result) -> None:
    """The coefficients that a run stopped at 1e-6 of its loss still lacks, 1e-3 of them, for ever."""
    fine = dataclasses.replace(result.config, train=GradientFlowConfig(convergence=1e-10))
    there = {row["quantity"]: row["distance"] for row in distance_rows(run(fine, progress=False), 1.0)}
    here = {row["quantity"]: row["distance"] for row in distance_rows(result, 1.0)}
    assert here["features"] == pytest.approx(there["features"], rel=2e-3)
    assert here["loss"] == pytest.approx(there["loss"], rel=2e-3)


def test_late_drops_are_an_area_of_delay_times_fall(result: Result) -> None:
    """AGF itself, 1% late, stands in for training: every drop is late by 1% of its time."""
    path = result.prediction.trajectory
    late = dataclasses.replace(path, source="training", times=1.01 * path.times)
    same = dataclasses.replace(result, training=dataclasses.replace(result.training, trajectory=late))
    (row,) = [row for row in distance_rows(same, 0.25) if (row["reference"], row["quantity"]) == ("agf", "loss")]
    drops = [event for event in result.events["agf"] if event.kind == "activation"]
    area = sum(0.01 * drop.time * (drop.loss_before - drop.loss_after) for drop in drops)
    assert row["distance"] == pytest.approx(0.25 * area / path.loss[0], rel=1e-9)


def test_curves_reach_over_the_window(result: Result) -> None:
    rows = pd.DataFrame(curve_rows(result, 0.5))
    end = window(result)
    assert end is not None
    for source, curve in rows.groupby("source"):
        assert source in ("training", "agf", "theory")
        assert curve["clock_time"].is_monotonic_increasing
        assert curve["clock_time"].max() == pytest.approx(0.5 * end)
        assert curve["loss_share"].iloc[0] == pytest.approx(1.0)


def distances(exponents: dict[str, float]) -> pd.DataFrame:
    """Distances of two acquisitions that shrink by known powers, one of them not resolved."""
    rows = [
        {"log10_scale": 0.0, "seed": 0, "clock_rate": rate, "reference": "agf", "quantity": "time", "feature": feature,
         "occurrence": 1, "clock_time": 1.0, "distance": (place + 1) * rate**exponent, "resolved": True}
        for place, (feature, exponent) in enumerate(exponents.items()) for rate in (0.1, 0.05, 0.02, 0.01)
    ]
    return pd.DataFrame([*rows, rows[0] | {"distance": 1e3, "resolved": False}])


def test_times_have_the_rate_of_each_feature_and_of_their_mean() -> None:
    fits = fit_rates(distances({"1": 1.0, "2": 2.0}))
    assert set(fits) == {Quantity("agf", "time"), Quantity("agf", "time", "1"), Quantity("agf", "time", "2")}
    assert fits[Quantity("agf", "time", "1")].exponent == pytest.approx(1.0)
    assert fits[Quantity("agf", "time", "2")].exponent == pytest.approx(2.0)
    rates = np.array([0.1, 0.05, 0.02, 0.01])
    mean = fit_power_law(rates, 0.5 * (rates + 2 * rates**2))
    assert mean is not None
    assert dataclasses.astuple(fits[Quantity("agf", "time")]) == pytest.approx(dataclasses.astuple(mean))


def test_means_are_over_acquisitions_that_all_runs_have() -> None:
    table = distances({"1": 1.0, "2": 1.0})
    missing = table[~((table["feature"] == "2") & (table["clock_rate"] == 0.02))]
    mean = fit_rates(missing)[Quantity("agf", "time")]
    assert mean.points == 4
    assert mean.exponent == pytest.approx(1.0)
    assert mean.prefactor == pytest.approx(1.0)  # that of feature 1 alone
    gone = missing[~((missing["feature"] == "1") & (missing["clock_rate"] == 0.1))]
    assert Quantity("agf", "time") not in fit_rates(gone)


def law(exponent: float, half_width: float) -> PowerLaw:
    return PowerLaw(exponent, exponent - half_width, exponent + half_width, 1.0, 5, 1, 0.01, 0.1)


DIAGONAL = diagonal_config(VanishingInitConfig())
MODADD = modadd_config(VanishingInitConfig())
LOSS = Quantity("agf", "loss")


def test_claims_on_the_theorem() -> None:
    vanishes, rate = rate_claims(DIAGONAL, AcceleratedClock(2), LOSS, law(0.98, 0.03))
    assert (vanishes.holds, rate.holds) == (True, True)
    assert (rate.expected, rate.measured, rate.tolerance) == (1.0, 0.98, pytest.approx(0.03))
    assert {(claim.stated, claim.standing) for claim in (vanishes, rate)} == {("AGF paper, theorem 3.1", "theorem")}
    vanishes, rate = rate_claims(DIAGONAL, AcceleratedClock(2), LOSS, law(0.5, 0.1))
    assert (vanishes.holds, rate.holds) == (True, False)


@pytest.mark.parametrize(
    ("config", "degree"),
    [(dataclasses.replace(DIAGONAL, agf=AgfConfig(cost_phase="decoupled")), 2), (DIAGONAL, 3), (MODADD, 3)],
    ids=["not as published", "another depth", "another network"],
)
def test_where_nothing_is_proved_only_the_approach_is_claimed(config: object, degree: int) -> None:
    (claim,) = rate_claims(config, AcceleratedClock(degree), LOSS, law(0.9, 0.2))  # type: ignore[arg-type]
    assert claim.holds
    assert "not proved" in claim.statement
    assert (claim.stated, claim.standing) == ("agfrun", "numerics")


def test_what_does_not_approach_fails_and_what_is_uncertain_is_undecided() -> None:
    (claim,) = rate_claims(MODADD, AcceleratedClock(3), LOSS, law(0.05, 0.2))
    assert not claim.holds
    (claim,) = rate_claims(MODADD, AcceleratedClock(3), LOSS, law(0.3, 0.6))
    assert (claim.holds, claim.expected, claim.measured) == (None, None, None)
    assert "-0.30 to 0.90" in claim.why
    names = [claim.claim for claim in rate_claims(DIAGONAL, AcceleratedClock(2), LOSS, law(0.9, 0.6))]
    assert names == ["loss_distance_vanishes", "loss_distance_rate"]
    assert rate_claims(MODADD, AcceleratedClock(3), Quantity("agf", "time", "1"), law(1.0, 0.1)) == []


def test_no_claim_on_a_closed_form_that_nobody_calls_the_limit() -> None:
    assert rate_claims(MODADD, AcceleratedClock(3), Quantity("theory", "loss"), law(1.0, 0.1)) == []
    assert rate_claims(DIAGONAL, AcceleratedClock(2), Quantity("theory", "loss"), law(1.0, 0.1)) != []


def test_the_deterministic_initialization_has_one_seed() -> None:
    with pytest.raises(ConfigError, match="which no seed changes"):
        validate(diagonal_config(VanishingInitConfig(seeds=2)))


@pytest.mark.slow
def test_five_coefficients_far_below_the_smallest_float() -> None:
    config = load_config(["study=vanishing_init", "experiment=diagonal_5d", "study.log10_scales=[-50,-100,-200,-300]"])
    found = execute(config, None)
    rates = found.tables["rates"].query("feature.isna() and reference == 'theory'")
    assert np.allclose(rates["exponent"].astype(float), 1.0, atol=0.02)
