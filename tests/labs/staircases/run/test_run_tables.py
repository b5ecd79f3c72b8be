"""The tables of a run: their columns, how they are built from paths and events, and that they come back as written."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agfrun import Schema
from agfrun.files.tables import empty_table, read_table, rows_table
from agfrun.files.writing import write_csv
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.run import tables


def _trajectory(moments: int, width: int, source: str = "training") -> Trajectory:
    """Norm of neuron n at moment m is 1 + m + n / 1000, so that each row tells where it is from."""
    norms = 1 + np.arange(moments)[:, None] + np.arange(width) / 1000
    direction = np.tile(np.arange(width) % 3 - 1, (moments, 1))
    return Trajectory(
        source, np.arange(moments) * 0.1, np.linspace(1, 0, moments), ("1", "3"),
        np.arange(2.0 * moments).reshape(-1, 2), np.log(norms), -norms, direction, norms > 2,
        np.arange(moments) * 10,
    )


def test_columns_are_those_of_the_specification() -> None:
    promised = {
        "loss.csv": "source,time,step,loss",
        "features.csv": "source,time,feature,value",
        "observables.csv": "source,time,quantity,index,value",
        "neurons.csv": "source,time,neuron,norm,log10_norm,accumulated_utility,direction_feature,active",
        "events.csv": "source,event,kind,time,feature,neuron,loss_before,loss_after,"
        "plateau_start,plateau_end,size,time_error,neurons",
        "ladder.csv": "source,evaluations,predicted,measured,in_order,worst_time_error,worst_level_error",
        "endings.csv": "source,status,reason,time,loss",
        "comparison.csv": "source,event,feature,time_predicted,time_training,time_ratio,level_predicted,level_training,"
        "level_error,order_matches,lower_bound,lower_bound_holds",
    }
    assert {schema.file for schema in tables.TABLES} == set(promised)
    for schema in tables.TABLES:
        wanted = promised[schema.file].split(",")
        assert [name for name in schema.names if name in wanted] == wanted


def test_loss_table_keeps_sources_steps_and_missing_steps() -> None:
    stepped = _trajectory(3, 1)
    flow = dataclasses.replace(_trajectory(2, 1, "agf"), steps=None)
    frame = tables.loss_table([stepped, flow])
    assert frame["source"].tolist() == ["training"] * 3 + ["agf"] * 2
    assert frame["step"].tolist()[:3] == [0, 10, 20]
    assert frame["step"].isna().tolist() == [False] * 3 + [True] * 2
    assert frame["loss"].tolist() == [1.0, 0.5, 0.0, 1.0, 0.0]


def test_features_table_is_tidy() -> None:
    frame = tables.features_table([_trajectory(2, 1)])
    assert frame.to_numpy().tolist() == [
        ["training", 0.0, "1", 0.0],
        ["training", 0.0, "3", 1.0],
        ["training", 0.1, "1", 2.0],
        ["training", 0.1, "3", 3.0],
    ]


def test_neurons_table_names_the_features_that_neurons_point_at() -> None:
    frame = tables.neurons_table([_trajectory(2, 3)])
    assert frame["neuron"].tolist() == [0, 1, 2] * 2
    assert frame["norm"].tolist() == pytest.approx([1.0, 1.001, 1.002, 2.0, 2.001, 2.002])
    assert frame["accumulated_utility"].tolist() == pytest.approx((-frame["norm"]).tolist())
    assert frame["log10_norm"].tolist() == pytest.approx(np.log10(frame["norm"]).tolist())
    # The indices are -1 (nowhere), 0 and 1.
    assert frame["direction_feature"].isna().tolist() == [True, False, False] * 2
    assert frame["direction_feature"].dropna().tolist() == ["1", "3"] * 2
    assert frame["active"].tolist() == [False, False, False, False, True, True]


def test_sources_without_neurons_have_no_rows() -> None:
    assert len(tables.neurons_table([_trajectory(4, 0, "theory")])) == 0
    assert list(tables.neurons_table([]).columns) == tables.NEURONS.names


def test_long_runs_are_thinned_evenly_with_their_ends() -> None:
    trajectories = [_trajectory(1000, 7), _trajectory(300, 7, "agf")]
    frame = tables.neurons_table(trajectories, max_rows=2000)
    assert 1800 <= len(frame) <= 2000
    for trajectory in trajectories:
        rows = frame[frame["source"] == trajectory.source]
        moments = rows["norm"][rows["neuron"] == 0].to_numpy().round().astype(int) - 1
        assert moments[0] == 0
        assert moments[-1] == len(trajectory.times) - 1
        gaps = np.diff(moments)
        assert gaps.max() - gaps.min() <= 1
        np.testing.assert_array_equal(
            rows["norm"].to_numpy().reshape(-1, 7), trajectory.neuron_norms[moments]
        )


def test_thinning_never_loses_the_ends() -> None:
    frame = tables.neurons_table([_trajectory(50, 9)], max_rows=5)
    assert frame["time"].unique().tolist() == [0.0, 49 * 0.1]


def test_events_are_numbered_within_their_source() -> None:
    frame = tables.events_table({
        "training": [Event("acquisition", 2.0, "1", None, 5.0, 1.0, 2.5, 9.0)],
        "agf": [Event("activation", 1.0, "1", 4, 5.0, 3.0), Event("collapse", 1.5, "3", 2, 3.0, math.nan)],
    })
    assert frame["event"].tolist() == [1, 1, 2]
    assert frame["kind"].tolist() == ["acquisition", "activation", "collapse"]
    assert frame["neuron"].isna().tolist() == [True, False, False]
    assert frame["neuron"].tolist()[1:] == [4, 2]
    assert frame.loc[0, "plateau_end"] == 9.0
    assert np.isnan(frame.loc[2, "loss_after"])


def _tables_with_everything() -> list[tuple[Schema, pd.DataFrame]]:
    trajectories = [_trajectory(5, 4), dataclasses.replace(_trajectory(3, 4, "agf"), steps=None)]
    return [
        (tables.LOSS, tables.loss_table(trajectories)),
        (tables.FEATURES, tables.features_table(trajectories)),
        (tables.NEURONS, tables.neurons_table(trajectories)),
        (tables.EVENTS, tables.events_table({"agf": [Event("activation", 1.0, "NA", 4, 5.0, math.nan)]})),
        (tables.COMPARISON, rows_table(tables.COMPARISON, [{"event": 1, "order_matches": True}])),
    ]


@pytest.mark.parametrize("place", range(5))
def test_tables_of_a_run_come_back_as_written(tmp_path: Path, place: int) -> None:
    schema, frame = _tables_with_everything()[place]
    write_csv(tmp_path / schema.file, frame)
    pd.testing.assert_frame_equal(read_table(tmp_path / schema.file, schema), frame, check_exact=True)


@pytest.mark.parametrize("schema", tables.TABLES, ids=lambda schema: schema.file)
def test_empty_tables_of_a_run_come_back_with_their_types(tmp_path: Path, schema: Schema) -> None:
    write_csv(tmp_path / schema.file, empty_table(schema))
    pd.testing.assert_frame_equal(read_table(tmp_path / schema.file, schema), empty_table(schema))
