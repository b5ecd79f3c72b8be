"""The studies of the laboratory as a library runs them: tables, numbers, figures, claims, bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_runs import read_json

from agfrun import UsageError, execute, load_config, redraw, rerun
from agfrun.groups import find_isomorphism, named_group
from agfrun.labs.harmonics import claims as claims_module
from agfrun.labs.harmonics.studies import image_rotations, robustness

NETWORK = "study=invariant_network"
ROBUST = ("study=robustness", "data.group=D3", "study.factors=[1,6]", "study.trials=4", "study.noise=[0,1]",
          "study.samples=[0,24]", "study.draws=2", "study.restarts=24")
IMAGES = ("study=image_rotations", "study.images=40", "study.angles=8", "study.components=8", "study.pairs=300",
          "study.restarts=1", "study.iterations=120")


def run(folder: Path, *overrides: str) -> Any:
    return execute(load_config(["plot_formats=[png]", *overrides]), output_dir=folder, progress=False,
                   command=["agfrun"])


def verdicts(folder: Path) -> dict[str, str]:
    table = pd.read_csv(folder / "claims.csv", dtype=str, keep_default_na=False)
    return dict(zip(table["claim"], table["holds"], strict=True))


def plots(folder: Path) -> set[str]:
    return {path.name for path in (folder / "plots").iterdir()}


def read_table(folder: Path) -> np.ndarray:
    cells = pd.read_csv(folder / "cayley.csv")
    n = int(cells["first"].max()) + 1
    return cells["product"].to_numpy().reshape(n, n)


def test_a_group_is_read_from_the_weights(tmp_path: Path) -> None:
    run(tmp_path, NETWORK, "data=group", "data.group=D4", "study.restarts=12")
    done = read_json(tmp_path / "done.json")
    assert (done["certified"], done["table_correct"], done["order"], done["irreps"]) == (True, True, 8, 5)
    assert 1 <= done["certified_restarts"] < 12
    assert (read_table(tmp_path) == named_group("D4")).all()
    restarts = pd.read_csv(tmp_path / "restarts.csv")
    assert len(restarts) == 12
    assert (restarts.loc[restarts["certified"], "accuracy"] == 1).all()
    assert restarts.loc[restarts["certified"], "isomorphic"].all()
    assert set(verdicts(tmp_path).values()) == {"True"}
    assert plots(tmp_path) == {"weights.png", "tables.png", "certificates.png"}
    assert "the group D4 was read from the weights, all entries of its table right" in (
        tmp_path / "report.html").read_text()


def test_a_table_of_ones_own_and_generators(tmp_path: Path) -> None:
    table = named_group("Q8")
    order = np.array([2, 0, 1, 3, 4, 5, 6, 7])  # the identity is no longer first
    np.savetxt(tmp_path / "mine.csv", np.argsort(order)[table[np.ix_(order, order)]] + 1, fmt="%d", delimiter=",")
    run(tmp_path / "table", NETWORK, f"data.table={tmp_path / 'mine.csv'}", "plots=false", "report=false")
    assert find_isomorphism(read_table(tmp_path / "table"), table) is not None
    assert read_json(tmp_path / "table" / "done.json")["table_correct"]
    run(tmp_path / "generated", NETWORK, "data.generators=['(1 2 3)','(1 2)(3)']", "plots=false", "report=false")
    assert find_isomorphism(read_table(tmp_path / "generated"), named_group("S3")) is not None


def test_dimensions_are_found_by_search(tmp_path: Path) -> None:
    run(tmp_path, "experiment=group_unknown", "plots=false")
    restarts = pd.read_csv(tmp_path / "restarts.csv")
    assert restarts["dimensions"].unique().tolist() == ["1 1 1 1 1 1 1 1 1 1 1 1", "1 1 1 1 2 2", "1 1 1 3"]
    assert restarts.groupby("dimensions", sort=False)["certified"].any().tolist() == [False, False, True]
    assert read_json(tmp_path / "done.json")["table_correct"]


def test_permutations_that_make_a_group_and_others_that_do_not(tmp_path: Path) -> None:
    moves = named_group("D3")[[4, 2, 0, 5, 1, 3]]
    np.savetxt(tmp_path / "moves.csv", moves, fmt="%d", delimiter=",")
    run(tmp_path / "group", NETWORK, "data=permutations", f"data.path={tmp_path / 'moves.csv'}", "plots=false")
    assert (read_table(tmp_path / "group") == named_group("D3")).all()
    run(tmp_path / "none", "experiment=group_none")
    done = read_json(tmp_path / "none" / "done.json")
    assert (done["certified"], done["table_correct"]) == (False, None)
    assert done["certificate"] > 5
    assert verdicts(tmp_path / "none") == {"no_group_is_found": "True"}
    assert "no group found: the least certificate is 10.7" in (tmp_path / "none" / "report.html").read_text().lower()
    assert plots(tmp_path / "none") == {"weights.png", "tables.png", "certificates.png"}


def test_a_group_passed_off_as_none_makes_the_claim_fail(tmp_path: Path) -> None:
    """Rows of a group's table, one of them twice: no table, and yet certified."""
    table = named_group("C4")
    np.savetxt(tmp_path / "moves.csv", table[[1, 2]], fmt="%d", delimiter=",")
    run(tmp_path / "run", NETWORK, "data=permutations", f"data.path={tmp_path / 'moves.csv'}", "plots=false")
    assert verdicts(tmp_path / "run") == {"no_group_is_found": "False"}
    assert read_json(tmp_path / "run" / "done.json")["certified"]


def test_without_a_certificate_claims_are_undecided(tmp_path: Path) -> None:
    run(tmp_path, "experiment=group_published", "study.steps=20", "study.restarts=2", "plots=false")
    found = verdicts(tmp_path)
    assert {name for name, holds in found.items() if not holds} == {
        "weights_are_irreps", "weights_are_unitary", "schur_orthogonality", "certified_tables_are_right"}
    assert found["published_regulariser_at_irreps"] == "True"
    assert not read_json(tmp_path / "done.json")["certified"]
    assert "no restart is certified" in (tmp_path / "report.html").read_text().lower()


@pytest.mark.parametrize(("claim", "measure"), [
    ("weights_are_irreps", "character_error"), ("weights_are_unitary", "unitarity_error"),
    ("schur_orthogonality", "orthogonality_error"), ("published_regulariser_at_irreps", "published_defect")])
def test_wrong_measurements_make_claims_fail(claim: str, measure: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, measure, lambda *_: 0.01)
    run(tmp_path, NETWORK, "data.group=C3", "study.restarts=2", "plots=false", "report=false")
    assert {name for name, holds in verdicts(tmp_path).items() if holds == "False"} == {claim}


def test_samples_noise_and_the_same_numbers_again(tmp_path: Path) -> None:
    run(tmp_path / "run", NETWORK, "data.group=C5", "study.samples=200", "study.noise=0.1", "study.restarts=3")
    done = read_json(tmp_path / "run" / "done.json")
    assert done["table_correct"]
    assert not done["certified"]  # samples are few, and the certificate is of all inputs
    again = rerun(tmp_path / "run", output_dir=tmp_path / "again", progress=False)
    assert not again.differences
    (tmp_path / "run" / "plots" / "tables.png").unlink()
    redraw(tmp_path / "run")
    assert (tmp_path / "run" / "plots" / "tables.png").is_file()


def test_one_element(tmp_path: Path) -> None:
    run(tmp_path, NETWORK, "data.group=C1", "study.restarts=1")
    assert read_json(tmp_path / "done.json")["certified"]


def test_a_survey_of_all_groups_of_small_order(tmp_path: Path) -> None:
    run(tmp_path, "study=group_survey", "study.largest=8")
    groups = pd.read_csv(tmp_path / "groups.csv")
    assert groups["order"].tolist() == [1, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 8, 8, 8]
    assert (groups["read"] == groups["group"]).all()
    assert groups["table_correct"].all()
    assert set(groups["verdict"]) == {"certified"}
    assert set(verdicts(tmp_path).values()) == {"True"}
    assert plots(tmp_path) == {"survey.png"}
    assert "14 of 14 groups are certified" in (tmp_path / "report.html").read_text()


def test_a_survey_with_too_few_restarts_says_what_is_missing(tmp_path: Path) -> None:
    run(tmp_path, "study=group_survey", "study.largest=8", "study.restarts=1", "study.rounds=1", "seed=2",
        "plots=false")
    groups = pd.read_csv(tmp_path / "groups.csv")
    assert (groups["verdict"] == "not certified").any()
    assert verdicts(tmp_path)["every_group_is_learned"] == "False"
    assert verdicts(tmp_path)["certified_tables_are_right"] == "True"
    assert "not certified: " in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_all_groups_of_order_up_to_sixteen(tmp_path: Path) -> None:
    run(tmp_path, "study=group_survey", "study.largest=16", "plots=false")
    groups = pd.read_csv(tmp_path / "groups.csv")
    assert len(groups) == 42
    assert (groups["read"] == groups["group"]).all()


def test_robustness(tmp_path: Path) -> None:
    run(tmp_path, *ROBUST)
    perturbation = pd.read_csv(tmp_path / "perturbation.csv").groupby("factor")["accuracy"]
    assert perturbation.min()[1.0] == 1
    assert perturbation.mean()[6.0] < 0.8
    recovery = pd.read_csv(tmp_path / "recovery.csv")
    assert len(recovery) == 2 + 4
    quiet = recovery[recovery["noise"] == 0]
    assert quiet["correct"].all()
    assert quiet["matching_correct"].dropna().all()
    assert recovery.loc[recovery["samples"].isna(), "matching_accuracy"].isna().all()
    assert set(verdicts(tmp_path).values()) == {"True"}
    assert plots(tmp_path) == {"perturbation.png", "recovery.png"}
    done = read_json(tmp_path / "done.json")
    assert done["radius"] == pytest.approx(0.2652, abs=1e-4)
    assert (done["trained"], done["half_factor"]) == (6, 6.0)


def test_a_radius_that_is_too_large_makes_the_claim_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = robustness.robust_radius
    monkeypatch.setattr(robustness, "robust_radius", lambda slots: 6 * right(slots))
    run(tmp_path, *ROBUST, "study.noise=[0]", "study.samples=[24]", "study.draws=1", "plots=false", "report=false")
    found = verdicts(tmp_path)
    assert found["tables_within_the_radius"] == "False"
    assert found["noise_on_all_inputs_leaves_the_table"] == found["noise_degrades_recovery_from_pairs"] == ""


def test_rotations_of_images(tmp_path: Path) -> None:
    run(tmp_path, *IMAGES)
    filters = pd.read_csv(tmp_path / "filters.csv")
    assert filters.groupby("trained_on")["filter"].count().to_dict() == dict.fromkeys(
        ("components", "before training", "rotations", "unrelated images"), 8)
    means = filters.groupby("trained_on")["share"].mean()
    assert means["rotations"] > 0.85 > 0.6 > means["unrelated images"]
    # Real components hold a frequency and its negative in equal parts.
    assert filters.loc[filters["trained_on"] == "components", "share"].median() == pytest.approx(0.5, abs=0.03)
    retrieval = pd.read_csv(tmp_path / "retrieval.csv").set_index("features")["right"]
    assert retrieval["filters, rotations"] > 2 * retrieval["whitened images"]
    assert set(verdicts(tmp_path).values()) == {"True"}
    assert plots(tmp_path) == {"filters.png", "energies.png"}


def test_patches_of_photographs(tmp_path: Path) -> None:
    run(tmp_path, *IMAGES, "study.source=patches", "study.images=100", "study.pairs=1000", "study.components=12",
        "study.angles=16", "study.iterations=200", "plots=false", "report=false")
    done = read_json(tmp_path / "done.json")
    assert done["share"] > 2 * max(done["share_before"], done["share_control"])


def test_filters_that_are_no_harmonics_make_claims_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_rotations.ImageRotationsStudy, "iterations", 1)
    run(tmp_path, *IMAGES[:-1], "study.iterations=1", "plots=false", "report=false")
    assert verdicts(tmp_path)["rotations_give_circular_harmonics"] == "False"


REFUSED = [
    ([NETWORK, "data.group=X5"], "data.group=X5 is not allowed: must be one of C4, D4 (of order 8)"),
    ([NETWORK, "data.group=12:9"], "order 12 has 5"),
    ([NETWORK, "data.group=D4", "data.generators=['(1 2)']"], "leave it out with data.generators"),
    ([NETWORK, "data.generators=['(1 2']"], "permutations as cycles of points from 1"),
    ([NETWORK, "data.generators=['(1 2 2)']"], "disjoint cycles"),
    ([NETWORK, "data.generators=['(1 2 3 4 5 6 7)','(1 2)']"], "more than 240 elements"),
    ([NETWORK, "data.table=nowhere.csv"], "must be a CSV file of integers: No such file"),
    ([NETWORK, "study.dimensions=[1,2]"], "integers from 1 on whose squares sum to 8"),
    ([NETWORK, "study.restarts=0"], "study.restarts=0 is not allowed: must be an integer from 1 to 10000"),
    ([NETWORK, "study.method=sgd"], "choose one of lbfgs, adam"),
    ([NETWORK, "study.regulariser=none"], "choose one of weighted, published"),
    ([NETWORK, "study.noise=-1"], "study.noise=-1 is not allowed: must be a number from 0 to 10"),
    ([NETWORK, "study.samples=10", "study.method=adam"], "null, as it has to be with study.method=adam"),
    ([NETWORK, "device=cuda"], "device=cuda is not allowed: must be auto or cpu"),
    ([NETWORK, "dtype=float32"], "must be float64"),
    ([NETWORK, "data.group=C900"], "a group of at most 240 elements; it has 900"),
    ([NETWORK, "data.group=C200", "study.restarts=10000"], "study.restarts=10000 is not allowed: must be smaller"),
    ([NETWORK, "data=permutations", "data.points=1"], "an integer from 2 to 200, or null"),
    (["study=robustness", "data=permutations"], "a group with study=robustness"),
    (["study=robustness", "study.factors=[0]"], "different numbers above 0 to 100"),
    (["study=robustness", "study.noise=[0,0]"], "different numbers from 0 on to 10"),
    (["study=robustness", "study.samples=[-1]"], "different integers from 0 (all inputs)"),
    (["study=group_survey", "study.largest=25"], "an integer from 1 to 24"),
    (["study=image_rotations", "study.source=faces"], "choose one of digits, patches"),
    (["study=image_rotations", "study.iterations=1000000", "study.pairs=100000"], "training would take about"),
    (["study=image_rotations", "study.components=500"], "an integer from 2 to 128, half of the pixels"),
]


@pytest.mark.parametrize(("overrides", "line"), REFUSED, ids=[" ".join(one) for one, _ in REFUSED])
def test_bad_input_is_refused_in_one_line(overrides: list[str], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(overrides)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "line"), [
    ("0,1\n1,1\n", "is no Latin square: row 1 has an element twice"), ("0,1,2\n1,2,0\n", "2x3, not square"),
    ("0,x\n1,0\n", "must be a CSV file of integers"), ("", "a CSV file of integers, a row a line"),
    ("0,1.5\n1.5,0\n", "a CSV file of integers, a row a line"),
    ("0,1,2,3,4\n1,0,3,4,2\n2,4,0,1,3\n3,2,4,0,1\n4,3,1,2,0\n", "is not associative: (1 1) 2 differs from 1 (1 2)")])
def test_a_table_that_is_none_is_refused(content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(UsageError) as caught:
        load_config([NETWORK, f"data.table={tmp_path / 'mine.csv'}"])
    assert line in str(caught.value)


def test_nothing_of_the_laboratory_imports_torch() -> None:
    code = ("import sys\nfrom agfrun import execute, load_config\n"
            "execute(load_config(['study=invariant_network', 'data.group=C3', 'plots=false', 'report=false']),"
            " progress=False)\nprint('torch' in sys.modules, 'sklearn' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
