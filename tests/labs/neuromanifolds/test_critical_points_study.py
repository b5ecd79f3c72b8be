"""`study=critical_points` as a library and a user run it: files, numbers, claims, limits, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from landscapes import INPUTS, KNOWN, SOLVER, TARGETS, WITHOUT
from tiny_runs import read_json

from agfrun import ConfigError, execute, load_config, redraw, rerun, resume_run
from agfrun.labs.neuromanifolds.landscape import counting, msolve, wording
from agfrun.labs.neuromanifolds.landscape.real_points import RealPoint
from agfrun.labs.neuromanifolds.studies import critical_points

solver = pytest.mark.skipif(not SOLVER, reason=WITHOUT)
DATA = f"study.data={json.dumps({'inputs': INPUTS, 'targets': TARGETS})}".replace('"', "").replace(" ", "")


def run(folder: Path, *overrides: str) -> Any:
    return execute(load_config(["study=critical_points", "plot_formats=[png]", *overrides]), output_dir=folder,
                   progress=False, command=["agfrun"])


def claims(folder: Path) -> dict[str, str]:
    table = pd.read_csv(folder / "claims.csv", dtype=str, keep_default_na=False)
    return dict(zip(table["claim"], table["holds"], strict=True))


@solver
def test_filters_of_3_and_2(tmp_path: Path) -> None:
    result = run(tmp_path, "model=polynomial_cnn", "model.filters=[3,2]", "model.degree=2", "study.datasets=2",
                 "study.starts=8")
    done = read_json(tmp_path / "done.json")
    assert (done["degree"], done["generic_count"], done["data_count"], done["dimension"]) == (12, 79, 79, 4)
    points = pd.read_csv(tmp_path / "points.csv")
    assert {"index", "loss", "pure", "at_zero"} <= set(points.columns)
    assert len(points) == done["real"] == pd.read_csv(tmp_path / "real_counts.csv")["real"][0]
    assert points["loss"].is_monotonic_increasing
    counts = pd.read_csv(tmp_path / "counts.csv")
    assert counts["question"].tolist() == ["degree", "generic", "data", "identity", "bombieri", "samples", "samples"]
    assert counts["count"].tolist()[:5] == [12, 79, 79, 71, 43]
    assert counts["verdict"].tolist()[5:] == ["infinite", "finite"]
    found = claims(tmp_path)
    assert set(found.values()) == {"True"}
    assert {"degree_by_closed_form", "generic_by_closed_form", "data_as_generic", "with_3_samples", "with_4_samples",
            "morse_sum", "only_zero_is_spurious", "real_as_many_as_complex_modulo_two"} <= set(found)
    assert {path.stem for path in (tmp_path / "plots").iterdir()} == {"surface", "real_counts", "critical_values"}
    assert "A generic loss has 79 complex critical points" in (tmp_path / "report.html").read_text()
    assert "79" in result.text


@solver
def test_a_data_set_of_ones_own_and_again(tmp_path: Path) -> None:
    run(tmp_path / "run", DATA, "study.datasets=1", "study.starts=4", "study.sample_counts=[2]",
        "study.inner_products=[]")
    points = pd.read_csv(tmp_path / "run" / "points.csv")
    assert points["index"].tolist() == [index for _, index, _ in KNOWN]
    assert points["loss"].tolist() == pytest.approx([loss for loss, _, _ in KNOWN], abs=2e-5)
    assert points["kind"].tolist() == ["minimum", "minimum", "saddle", "saddle"]
    assert points["reached"].sum() <= 4
    assert pd.read_csv(tmp_path / "run" / "counts.csv")["samples"].tolist()[-1] == 2
    again = rerun(tmp_path / "run", output_dir=tmp_path / "again", progress=False)
    assert not again.differences
    (tmp_path / "run" / "plots" / "surface.png").unlink()
    redraw(tmp_path / "run")
    assert (tmp_path / "run" / "plots" / "surface.png").is_file()


@solver
@pytest.mark.parametrize(("overrides", "numbers"), [
    (["model=two_layer_linear"], {"degree": 3, "generic_count": 39, "data_count": 3, "real": 3, "minima": 1}),
    (["model=lightning_attention", "model.widths=[2,1]", "model.ranks=[2]"], {"degree": 4, "generic_count": 14}),
    (["model=monomial_mlp", "model.widths=[3,2,1]"], {"degree": 3, "generic_count": 13, "data_count": 13}),
    (["model=polynomial_mlp", "model.widths=[2,1,1]"], {"degree": 8, "generic_count": 36, "data_count": 36})])
def test_networks_of_all_kinds(overrides: list[str], numbers: dict[str, int], tmp_path: Path) -> None:
    run(tmp_path, *overrides, "study.datasets=1", "study.starts=2", "plots=false", "study.sample_counts=[]")
    done = read_json(tmp_path / "done.json")
    assert {key: done[key] for key in numbers} == numbers
    assert "False" not in claims(tmp_path).values()


@solver
def test_a_loss_that_no_weight_changes(tmp_path: Path) -> None:
    result = run(tmp_path, "study.data={inputs: [[0,0,0]], targets: [1]}", "plots=false")
    counts = pd.read_csv(tmp_path / "counts.csv").set_index("question")
    assert counts.loc["data", "verdict"] == "infinite"
    assert counts.loc["generic", "count"] == 14
    assert "real critical points are not finite in number" in result.text


@solver
def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    result = run(tmp_path, "model=monomial_mlp", "model.degree=4", "plots=false", "study.datasets=1", "study.starts=0",
                 "study.sample_counts=[]", "study.inner_products=[]")
    assert "those of smaller networks that come in families are left out" in result.text
    whole = run(tmp_path / "whole", "plots=false", "study.datasets=1", "study.starts=0", "study.sample_counts=[]",
                "study.inner_products=[]")
    assert "left out" not in whole.text


@solver
def test_a_symmetry_without_a_chart_leaves_real_points_open(tmp_path: Path) -> None:
    result = run(tmp_path, "model=monomial_mlp", "model.widths=[2,2,1]", "plots=false")
    assert "a continuous symmetry is left" in result.text
    assert not (tmp_path / "points.csv").exists()
    assert claims(tmp_path)["real_as_many_as_complex_modulo_two"] == ""


@solver
def test_what_was_found_before_the_time_was_up_is_kept(tmp_path: Path) -> None:
    result = run(tmp_path, "model.filters=[3,2]", "study.seconds=1e-3", "plots=false")
    counts = pd.read_csv(tmp_path / "counts.csv")
    assert set(counts["verdict"]) == {"not finished"}
    assert counts["note"].str.contains("not done within 0.001 s").all()
    done = read_json(tmp_path / "done.json")
    assert (done["degree"], done["generic_count"], done["status"]) == (12, 79, "finished")  # by closed forms
    assert "data_count" not in done or done["data_count"] is None
    assert set(claims(tmp_path).values()) == {""}
    assert "closed form 79" in result.text


@solver
def test_a_run_goes_on_from_the_steps_that_were_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ["model.filters=[2,2]", "study.datasets=3", "study.starts=0", "plots=false"]
    solved: list[int] = []
    right = critical_points.real_points

    def interrupted(*arguments: Any) -> Any:
        solved.append(1)
        if len(solved) == 2:
            raise KeyboardInterrupt
        return right(*arguments)

    monkeypatch.setattr(critical_points, "real_points", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, *config)
    assert len(pd.read_csv(tmp_path / "points.csv")) > 0
    monkeypatch.setattr(counting, "solutions", lambda *_: pytest.fail("it was counted before"))
    resume_run(tmp_path, progress=False)
    assert len(solved) == 4  # the first, the interrupted one, and the two that were left
    assert read_json(tmp_path / "done.json")["data_count"] == 14


def test_closed_forms_need_no_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (msolve, critical_points):
        monkeypatch.setattr(module, "executable", lambda: None)
    run(tmp_path, "model.filters=[9,9]", "study.groebner=false", "plots=false")
    done = read_json(tmp_path / "done.json")
    assert (done["degree"], done["generic_count"]) == (3294720, 9149042025)
    with pytest.raises(ConfigError, match=r"msolve is not installed; pip install 'agfrun\[algebra\]'") as caught:
        load_config(["study=critical_points"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("overrides", "line"), [
    (["study.seconds=0"], "study.seconds=0 is not allowed: must be above 0"),
    (["study.datasets=-1"], "study.datasets=-1 is not allowed: must be an integer from 0"),
    (["study.starts=-1"], "study.starts=-1"), (["study.samples=0"], "study.samples=0"),
    (["study.sample_counts=[0]"], "study.sample_counts=[0]"),
    (["study.inner_products=[cubic]"], "must be a list of some of identity, bombieri"),
    (["study.data={inputs:[[1,2,3]]}"], "must be null, or have inputs and targets"),
    (["study.data={inputs:[[1,2]],targets:[1]}"], "study.data.inputs=[[1,2]] is not allowed: must be a list of samples "
     "with 3 numbers each"),
    (["study.data={inputs:[[1,2,3]],targets:[1,2]}"], "as many as there are inputs, 1"),
    (["study.data={inputs:[[1,2,x]],targets:[1]}"], "must be integers, decimals or fractions"),
    (["model.filters=[9,9]"], "17 weights beside its symmetries"),
    (["model=softmax_attention"], "must be a polynomial network with study=critical_points")])
def test_what_makes_no_sense_is_refused_in_one_line(overrides: list[str], line: str, monkeypatch: pytest.MonkeyPatch
                                                    ) -> None:
    monkeypatch.setattr(critical_points, "executable", lambda: "msolve")
    with pytest.raises(ConfigError) as caught:
        load_config(["study=critical_points", *overrides])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def row(question: str, count: int | None, samples: int | None = None, verdict: str = counting.FINITE) -> counting.Count:
    return counting.Count(question, samples, count, count, verdict)


def test_wrong_counts_points_and_ends_make_claims_fail() -> None:
    from agfrun.labs.neuromanifolds import PolynomialCnnConfig  # a network with closed forms
    from agfrun.labs.neuromanifolds.landscape.descent import Descent  # SciPy

    rows = [row("degree", 5), row("generic", 15), row("data", 14), row("samples", 9, 2),
            row("samples", None, 3, counting.INFINITE)]
    point = RealPoint(1, 2.0, False, False, "", ())
    real = [wording.real_row(0, [point, dataclasses.replace(point, index=0)], True)]
    ended = [Descent(2.0, 0.0, "point", 0)]
    made = wording.claims_of(PolynomialCnnConfig(), 1, 3, rows, real, [point], ended, "")
    verdicts = {claim.claim: claim.holds for claim in made}
    assert verdicts.pop("morse_sum") is True  # 1 - 1
    assert set(verdicts.values()) == {False}
    assert len(verdicts) == 8
