"""What trackers are told of a run of any study: what the study says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from outside_laboratory import composed, registered

from agfrun import AgfrunError, config_hash, execute
from agfrun.tracking.record import Point, parameters_of, read_record


def test_a_record_has_the_studys_own_parameters_numbers_and_series(tmp_path: Path) -> None:
    with registered("walks"):
        config = composed("study=walk", "terrain=hills", "terrain.height=2", "length=4", "plots=false", "report=false")
        result = execute(config, output_dir=tmp_path / "walks" / "one", command=["agfrun"])
        record = read_record(tmp_path / "walks" / "one", config, ["length=4"])
    assert (record.name, record.status) == ("walks/one", "finished")
    assert dict(record.parameters) == {
        "study.name": "walk", **{f"study.{key}": "" for key in ("deed", "river", "waits_for", "log", "together",
                                                                "drawing")},
        "study.seconds": "0.0", "seed": "0", "device": "auto", "dtype": "float64", "terrain.name": "hills",
        "terrain.height": "2.0", "pace.stride": "1", "pace.tired": "0.0", "length": "4"}
    # Flags are no numbers; claims are counted.
    assert dict(record.metrics) == {
        "distance": result.numbers["distance"], "turns": float(result.numbers["turns"]), "claims": 2.0,
        "claims_hold": 1.0, "claims_undecided": 1.0, "wall_seconds": record.metrics["wall_seconds"]}
    path = pd.read_csv(tmp_path / "walks" / "one" / "path.csv")
    # An undecided claim is neither true nor false.
    assert list(record.series) == [*(Point("place", row.step, row.place) for row in path.itertuples()),
                                   Point("claims/walk/it_goes_on", 0, 1.0)]
    assert record.tags["config_hash"] == config_hash(config)
    assert record.tags["overrides"] == "length=4"


def test_a_run_that_failed_on_the_way_tells_what_it_had_saved(tmp_path: Path) -> None:
    with registered("walks"):
        config = composed("study=walk", "study.deed=fail", "plots=false", "report=false")
        with pytest.raises(AgfrunError):
            execute(config, output_dir=tmp_path / "run")
        record = read_record(tmp_path / "run", config, [])
    assert (record.status, dict(record.metrics)) == ("unfinished", {})
    assert [point.step for point in record.series] == [0, 1, 2]


def test_parameters_are_those_of_the_study_alone() -> None:
    with registered("walks"):
        assert set(parameters_of(composed("study=rest"))) == {"study.name", "study.nights", "seed", "device", "dtype"}
