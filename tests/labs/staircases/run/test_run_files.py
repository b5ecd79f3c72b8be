"""What a run writes. Networks are tiny; agreement is tested elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
import yaml
from tiny_runs import COLUMNS, FILES, ON_EITHER, diagonal_config, folder_of, read_json

import agfrun
from agfrun import Result, config_hash, run
from agfrun.files.saved_run import read_config
from agfrun.files.tables import read_table
from agfrun.labs.staircases.run.tables import LOSS
from agfrun.study.conversion import from_mapping


@ON_EITHER
def test_writes_exactly_the_files_of_a_run(result: Result) -> None:
    assert {path.name for path in folder_of(result).iterdir()} == FILES


@ON_EITHER
@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_the_required_columns_first_come_first(result: Result, name: str) -> None:
    found = pd.read_csv(folder_of(result) / name).columns.tolist()
    required = COLUMNS[name].split(",")
    assert [column for column in found if column in required] == required


@ON_EITHER
def test_done_is_written_last(result: Result) -> None:
    ages = {path.name: path.stat().st_mtime_ns for path in folder_of(result).iterdir()}
    assert max(ages, key=lambda name: ages[name]) == "done.json"


@ON_EITHER
def test_done_holds_status_verdict_and_hash(result: Result) -> None:
    done = read_json(folder_of(result) / "done.json")
    assert done["status"] == result.training.status
    assert (done["study"], done["config_hash"]) == ("compare", config_hash(result.config))
    for key, value in result.verdict.items():
        assert done[key] == value
    assert set(result.verdict) >= {number.name for number in result.config.study.numbers}
    assert done["claims"] == len(result.claims)
    assert done["claims_hold"] == sum(claim.holds is True for claim in result.claims)
    assert done["claims_undecided"] == sum(claim.holds is None for claim in result.claims)
    assert done["wall_seconds"] > 0


@ON_EITHER
def test_config_reads_back_as_the_same_configuration(result: Result) -> None:
    values = yaml.safe_load((folder_of(result) / "config.yaml").read_text())
    assert values.pop("format") == 4
    assert from_mapping(values) == result.config
    assert from_mapping(read_config(folder_of(result))) == result.config


@ON_EITHER
def test_manifest_tells_where_the_numbers_come_from(result: Result, model: str) -> None:
    manifest = read_json(folder_of(result) / "manifest.json")
    assert manifest["agfrun"] == agfrun.__version__
    assert manifest["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert (manifest["device"], manifest["dtype"], manifest["seed"]) == ("cpu", "float64", 0)
    assert manifest["command"] == ["agfrun", model]
    assert (manifest["format"], manifest["study"]) == (4, "compare")
    assert manifest["config_hash"] == config_hash(result.config)
    assert set(manifest["files"]) == set(COLUMNS)
    assert set(manifest["wall_seconds"]) >= {"build", "predict", "train", "compare", "write"}
    for part in ("training", "agf"):
        assert {"accepted_steps", "rejected_steps", "gradient_evaluations"} <= set(manifest[part])
    assert manifest["training"]["accepted_steps"] > 0
    assert manifest["clock"]["horizon"] == result.horizon
    assert len(manifest["agf"]["rounds"]) == len(result.prediction.rounds)


@ON_EITHER
def test_loss_table_holds_all_three_sources_in_full_precision(result: Result) -> None:
    table = read_table(folder_of(result) / "loss.csv", LOSS)
    assert set(table["source"]) == {"training", "agf", "theory", "own_size"}
    training = table[table["source"] == "training"]
    np.testing.assert_array_equal(training["time"], result.training.trajectory.times)
    np.testing.assert_array_equal(training["loss"], result.training.trajectory.loss)
    assert table["step"].isna().all()  # a flow has no steps
    assert table["loss"].notna().all()


@ON_EITHER
def test_parameters_hold_start_end_and_plateaus(result: Result, model: str) -> None:
    arrays = safetensors.numpy.load_file(folder_of(result) / "parameters.safetensors")
    np.testing.assert_array_equal(arrays["neurons/initial"], result.problem.initial)
    np.testing.assert_array_equal(arrays["neurons/final"], result.training.final)
    plateaus = sorted(name for name in arrays if name.startswith("neurons/plateau_"))
    assert len(plateaus) == len(arrays["plateau_times"]) >= 1
    assert all(arrays[name].shape == tuple(result.problem.initial.shape) for name in plateaus)
    assert ("template" in arrays) == (model == "modadd")


@ON_EITHER
def test_events_of_all_sources_are_listed_by_time(result: Result) -> None:
    table = pd.read_csv(folder_of(result) / "events.csv")
    assert set(table["source"]) == {"training", "agf", "theory", "own_size"}
    assert set(table["kind"]) <= {"activation", "acquisition", "collapse", "drop"}
    for source, rows in table.groupby("source"):
        assert rows["time"].is_monotonic_increasing
        assert rows["event"].tolist() == list(range(1, len(rows) + 1))
        assert len(rows) == len(result.events[str(source)])


def test_plots_are_drawn_in_the_formats_asked_for(tmp_path: Path) -> None:
    run(diagonal_config(plots=True, plot_formats=["png"]), output_dir=tmp_path / "run")
    drawn = {path.name for path in (tmp_path / "run" / "plots").iterdir()}
    assert {path.suffix for path in (tmp_path / "run" / "plots").iterdir()} == {".png"}
    assert any("staircase" in name for name in drawn)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*FILES, "plots"}
