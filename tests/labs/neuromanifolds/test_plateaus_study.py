"""Plateaus of real training against closed forms, from its folder and trained here; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agfrun import ConfigError, execute, load_config, read_run
from agfrun.labs.neuromanifolds.plateaus.claims import claims_of
from agfrun.labs.neuromanifolds.plateaus.closed_forms import ClosedForm
from agfrun.labs.neuromanifolds.plateaus.labelled import labelled_network

COLUMNS = ["plateau", "loss", "active", "rank", "generic_rank", "negative", "zero", "positive", "utility", "verdict"]
Labelled = tuple[list[dict[str, Any]], list[ClosedForm | None]]


@pytest.fixture(scope="module")
def teacher() -> Labelled:
    return labelled_network(["model=quadratic_form", "init=balanced", "init.scale=1e-4", "agf.beside=[]"])


def test_the_teacher_shows_every_closed_form(teacher: Labelled) -> None:
    """Eigenvalues 3, 1.5, 0.7, 0 in four dimensions, six neurons of five weights each."""
    rows, forms = teacher
    assert [row["loss"] for row in rows] == pytest.approx([11.74, 2.74, 0.49, 0.0], abs=1e-12)
    assert [row["rank"] for row in rows] == [row["subnetwork_rank"] for row in rows] == [0, 4, 7, 9]
    assert [row["utility"] for row in rows] == pytest.approx([6.0, 3.0, 1.4, 0.0], abs=1e-12)
    assert [(row["negative"], row["zero"], row["positive"]) for row in rows] == [
        (0, 30 - rank, rank) for rank in (0, 4, 7, 9)]
    assert [row["symmetry_zeros"] for row in rows] == [0, 1, 3, 6]  # rescalings, and rotations of k neurons
    assert {row["generic_rank"] for row in rows} == {10}
    assert [row["verdict"] for row in rows] == ["degenerate saddle"] * 3 + ["minimum"]
    assert [row["purity"] for row in rows] == ["spurious"] * 3 + ["pure"]
    assert [(row["exposed_dimension"], row["span"]) for row in rows[1:]] == [(10, 10)] * 3
    assert max(row["gradient"] for row in rows) < 1e-12
    assert max(row["moved"] for row in rows) < 0.02
    assert all(claim.holds for claim in claims_of(rows, forms, 3))


@pytest.mark.parametrize(("change", "failing"), [
    ({"loss": 2.0}, {"loss_of_closed_form", "losses_are_critical_values"}),
    ({"rank": 5}, {"rank_of_closed_form", "ranks_are_those_of_subnetworks"}),
    ({"gradient": 1e-6}, {"plateaus_are_critical_points"}), ({"gap": 1.0}, {"ranks_are_clear"}),
    ({"negative": 1}, {"no_negative_eigenvalue", "negative_of_closed_form"}),
    ({"verdict": "minimum"}, {"plateaus_before_the_last_are_saddles"}),
    ({"utility": 7.0}, {"utilities_fall", "utility_of_closed_form"}),
    ({"exposed_dimension": 9}, {"subnetworks_are_exposed"}),
    ({"rank": 10}, {"plateaus_before_the_last_are_degenerate", "rank_of_closed_form",
                    "ranks_are_those_of_subnetworks"})])
def test_wrong_numbers_make_claims_fail(teacher: Labelled, change: dict[str, Any], failing: set[str]) -> None:
    rows, forms = teacher
    wrong = [row | change if row["plateau"] == 1 else row for row in rows]
    assert {claim.claim for claim in claims_of(wrong, forms, 3) if claim.holds is False} == failing


def test_claims_without_data_are_undecided(teacher: Labelled) -> None:
    nothing = dict.fromkeys(("generic_rank", "subnetwork_rank", "exposed_dimension", "span", "utility"))
    rows = [row | nothing for row in teacher[0]]
    claims = {claim.claim: claim for claim in claims_of(rows, [None] * len(rows), 3)}
    undecided = {name for name, claim in claims.items() if claim.holds is None}
    assert undecided == {"plateaus_before_the_last_are_degenerate", "ranks_are_those_of_subnetworks", "utilities_fall",
                         "subnetworks_are_exposed", "loss_of_closed_form", "rank_of_closed_form",
                         "utility_of_closed_form", "negative_of_closed_form"}
    assert all(claims[name].why for name in undecided)


def run(words: list[str], folder: Path) -> pd.DataFrame:
    execute(load_config([*words, "plots=false", "report=false"]), output_dir=folder, progress=False)
    return read_run(folder)[1].tables["plateaus" if "study=plateaus" in words else "loss"]


@pytest.fixture(scope="module")
def diagonal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "diagonal"
    run(["model=diagonal_linear", "data=random_regression", "init.scale=1e-16", "agf.beside=[]"], folder)
    return folder


def test_a_saved_run_is_labelled(diagonal: Path, tmp_path: Path) -> None:
    """Five coefficients; losses are those of least squares, by NumPy, and each dead one makes a negative eigenvalue."""
    table = run(["study=plateaus", f"study.run={diagonal}"], tmp_path / "labels")
    assert [name for name in table.columns if name in COLUMNS] == COLUMNS
    assert table["active"].tolist() == table["rank"].tolist() == table["subnetwork_rank"].tolist() == list(range(6))
    assert table["negative"].tolist() == table["dead"].tolist() == [5, 4, 3, 2, 1, 0]
    assert table["verdict"].tolist() == ["strict saddle"] * 5 + ["minimum"]
    assert pd.isna(table["utility"].iloc[-1])  # no coefficient is dead
    data = load_config(["model=diagonal_linear", "data=random_regression"]).data.build(*_cpu())
    inputs, targets = data.inputs.numpy(), data.targets.numpy()
    for row in table.itertuples():
        active = [int(word) for word in str(row.neurons).split()] if row.active else []
        fitted = inputs[:, active] @ np.linalg.lstsq(inputs[:, active], targets, rcond=None)[0] if active else 0.0
        assert row.loss == pytest.approx(0.5 * np.mean((targets - fitted) ** 2), abs=1e-12)
    manifest, claims = read_run(tmp_path / "labels")[1].manifest, read_run(tmp_path / "labels")[1].tables["claims"]
    assert manifest["labelled_run"]["weights"] == "saved"
    assert set(claims["claim"][~claims["holds"].astype(bool)]) == {"utilities_fall"}  # 0.73 is followed by 1.36


def test_the_same_plateaus_to_the_bit_if_trained_here(diagonal: Path, tmp_path: Path) -> None:
    saved = run(["study=plateaus", f"study.run={diagonal}"], tmp_path / "saved")
    here = run(["study=plateaus", "model=diagonal_linear", "data=random_regression", "init.scale=1e-16",
                "agf.beside=[]"], tmp_path / "here")
    pd.testing.assert_frame_equal(saved, here, check_exact=True)


def test_what_is_no_run_of_training_is_refused(diagonal: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"study.run=.*nowhere"):
        execute(load_config(["study=plateaus", f"study.run={tmp_path / 'nowhere'}"]))
    run(["study=plateaus", f"study.run={diagonal}"], tmp_path / "labels")
    with pytest.raises(ConfigError, match="it is a run of study=plateaus"):
        execute(load_config(["study=plateaus", f"study.run={tmp_path / 'labels'}"]))
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.yaml").write_bytes((diagonal / "config.yaml").read_bytes())
    with pytest.raises(ConfigError, match="not finished"):
        execute(load_config(["study=plateaus", f"study.run={tmp_path / 'bare'}"]))


def test_a_network_that_does_not_tell_its_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="function_values"):
        execute(load_config(["study=plateaus", "model=linear_attention", "model.width=4", "data.dimension=2"]),
                progress=False)


@pytest.mark.slow
def test_frequencies_of_modular_addition() -> None:
    """Losses and utilities of closed form; all plateaus before the last are degenerate saddles."""
    rows, forms = labelled_network(["model=quadratic_modadd", "agf.beside=[]"])
    assert [row["active"] for row in rows][:2] == [0, 6]
    for row, form, learned in zip(rows, forms, (0, 1, 2, 3), strict=True):
        assert form is not None
        left = [10.0, 5.0, 2.5][learned:]
        assert form.loss == pytest.approx(sum(size**2 for size in left) / 20)
        assert form.utility == pytest.approx(0.5 * (2 / 20) ** 1.5 * max(left, default=0.0) ** 3)
        assert row["loss"] == pytest.approx(form.loss, abs=1e-11)
        assert row["utility"] == pytest.approx(form.utility, abs=1e-10)
        assert row["generic_rank"] == 558
        assert row["gradient"] < 1e-11
        assert row["negative"] == 0
    assert [row["verdict"] for row in rows] == ["degenerate saddle"] * 3 + ["minimum"]
    assert rows[1]["rank"] < rows[1]["subnetwork_rank"]
    assert all(claim.holds is not False for claim in claims_of(rows, forms, 3))


@pytest.mark.slow
def test_modes_of_a_linear_network() -> None:
    rows, forms = labelled_network(["model=fully_connected_linear", "model.width=6", "data.input_dimension=4",
                                    "data.output_dimension=3", "data.data_seed=2", "init.scale=1e-8",
                                    "train.convergence=1e-8", "agf.beside=[]"])
    assert [row["rank"] for row in rows] == [k * (7 - k) for k in range(len(rows))]
    assert [row["negative"] for row in rows] == [(6 - k) * (3 - k) for k in range(len(rows))]
    for row, form in zip(rows, forms, strict=True):
        assert form is not None
        assert (row["loss"], row["utility"]) == pytest.approx((form.loss, form.utility), abs=1e-10)
    assert [row["verdict"] for row in rows][:-1] == ["strict saddle"] * (len(rows) - 1)


def _cpu() -> tuple[Any, Any]:
    import torch

    return torch.float64, torch.device("cpu")
