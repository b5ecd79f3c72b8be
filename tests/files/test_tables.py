from __future__ import annotations

import math
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun import Column, OutputError, Schema
from agfrun.files import tables
from agfrun.files.writing import write_csv
from agfrun.study.claim import CLAIMS

PATHS = Schema("paths.csv", (
    Column("source", "text", "whose"),
    Column("time", "number", "when"),
    Column("step", "integer", "which; empty where there are none"),
    Column("loss", "number", "how much"),
))
EVERYTHING = Schema("everything.csv", (
    Column("word", "text", "a text"),
    Column("number", "number", "a number"),
    Column("count", "integer", "a whole number"),
    Column("flag", "flag", "yes or no"),
    Column("either", "number or text", "a number or a text"),
))
ROWS: list[dict[str, Any]] = [
    {"word": 'a, "quoted"\nline', "number": 0.1, "count": 0, "flag": np.bool_(False), "either": np.float64(1 / 3)},
    {"word": "NA", "number": 5e-324, "count": -(2**53) - 1, "flag": True, "either": "NA"},
    {"word": "1", "number": -0.0, "count": np.int64(7), "flag": False, "either": "1,3,5"},
    {"number": math.inf, "either": 1e300},
    {},
]


def test_rows_with_an_unknown_key_are_refused() -> None:
    with pytest.raises(ValueError, match=r"claims\.csv has no column claimed"):
        tables.rows_table(CLAIMS, [{"claim": "levels", "claimed": True}])


def test_the_columns_of_claims_are_those_of_the_first_format_and_then_the_new_ones() -> None:
    assert CLAIMS.names[:7] == ["claim", "source", "statement", "expected", "measured", "tolerance", "holds"]
    assert set(CLAIMS.names[7:]) == set(CLAIMS.optional)


@pytest.mark.parametrize(("schema", "rows"), [(EVERYTHING, ROWS), (PATHS, [{"source": "a", "time": 1.5, "step": 3}])])
def test_tables_come_back_as_written(tmp_path: Path, schema: Schema, rows: list[dict[str, Any]]) -> None:
    frame = tables.rows_table(schema, rows)
    assert len(frame) == len(rows)
    write_csv(tmp_path / schema.file, frame)
    pd.testing.assert_frame_equal(tables.read_table(tmp_path / schema.file, schema), frame, check_exact=True)


@pytest.mark.parametrize("schema", [EVERYTHING, PATHS, CLAIMS], ids=lambda schema: schema.file)
def test_empty_tables_come_back_with_their_types(tmp_path: Path, schema: Schema) -> None:
    write_csv(tmp_path / schema.file, tables.empty_table(schema))
    pd.testing.assert_frame_equal(
        tables.read_table(tmp_path / schema.file, schema), tables.empty_table(schema)
    )


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, width=64), min_size=1))
def test_numbers_come_back_bit_for_bit(values: list[float]) -> None:
    frame = tables.rows_table(PATHS, [{"source": "agf", "loss": value} for value in values])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paths.csv"
        write_csv(path, frame)
        read = tables.read_table(path, PATHS)["loss"]
    assert [struct.pack("d", value) for value in read] == [struct.pack("d", value) for value in values]


def test_columns_beyond_the_schema_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "paths.csv").write_text("loss,mine,source,time,step\n0.5,x,agf,1.0,\n")
    frame = tables.read_table(tmp_path / "paths.csv", PATHS)
    assert list(frame.columns) == ["source", "time", "step", "loss"]
    assert frame["loss"].tolist() == [0.5]


def test_an_open_table_keeps_them_behind_its_own(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("train.rate,trial,value\n1.5969566010933356,1,0.25\n0.5,2,\n")
    schema = Schema("trials.csv", (Column("trial", "integer", "which"), Column("value", "number", "what")), open=True)
    frame = tables.read_table(tmp_path / "trials.csv", schema)
    assert list(frame.columns) == ["trial", "value", "train.rate"]
    assert frame["train.rate"].tolist() == [1.5969566010933356, 0.5]
    assert list(tables.conforming(frame, schema).columns) == list(frame.columns)


def test_a_column_that_older_files_lack_is_read_as_missing(tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text(",".join(CLAIMS.names[:7]) + "\nlevels,agf,as said,1,1.5,0.1,False\n")
    (row,) = tables.read_table(tmp_path / "claims.csv", CLAIMS).to_dict("records")
    assert (row["claim"], row["measured"], row["holds"]) == ("levels", 1.5, False)
    assert all(tables.is_missing(row[name]) for name in CLAIMS.optional)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        ("", "cannot read"),
        ("source,time,loss\nagf,1,2\n", "has no column step: expected source,time,step,loss"),
        ("source,time,step,loss\nagf,soon,,2\n", "could not convert string to float: 'soon'"),
        ("source,time,step,loss\nagf,1.0,1.5,2\n", "1.5"),
        ("source,time,step,loss\nagf,1.0\nagf,1,2,3,4,5\n", "cannot read"),
    ],
)
def test_unreadable_tables_are_one_clear_line(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "paths.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OutputError) as caught:
        tables.read_table(path, PATHS)
    assert message in str(caught.value)
    assert "paths.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_flag_is_true_or_false(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(",".join(CLAIMS.names) + "\na,,,,,,yes,,,,\n")
    with pytest.raises(OutputError, match="'yes' is neither True nor False"):
        tables.read_table(path, CLAIMS)


def test_a_table_takes_the_columns_and_kinds_of_its_schema() -> None:
    given = pd.DataFrame({"loss": [1, 2], "step": [3.0, math.nan], "source": ["a", None]}, index=[5, 9])
    frame = tables.conforming(given, PATHS)
    pd.testing.assert_frame_equal(frame, tables.rows_table(PATHS, [
        {"source": "a", "step": 3, "loss": 1.0}, {"loss": 2.0}]), check_exact=True)


@pytest.mark.parametrize(("columns", "message"), [
    ({"loss": [1.0], "lossy": [2.0]}, r"paths\.csv has no column lossy"),
    ({"loss": ["high"]}, r"paths\.csv: could not convert string to float: 'high'"),
    ({"step": [1.5]}, r"paths\.csv: cannot safely cast non-equivalent"),
])
def test_a_table_of_other_columns_or_kinds_is_refused(columns: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tables.conforming(pd.DataFrame(columns), PATHS)


def test_a_table_without_a_schema_is_read_exactly_or_refused(tmp_path: Path) -> None:
    (tmp_path / "fine.csv").write_text("a,b\n1.5969566010933356,x\n5e-324,\n")
    assert tables.read_any_table(tmp_path / "fine.csv")["a"].tolist() == [1.5969566010933356, 5e-324]
    (tmp_path / "ragged.csv").write_text("a,b\n1,2,3\n4,5\n")
    with pytest.raises(OutputError, match=r"ragged\.csv: it has rows with more cells than columns"):
        tables.read_any_table(tmp_path / "ragged.csv")


@pytest.mark.parametrize(("count", "most"), [(10, 3), (10, 100), (1, 5), (7, 1), (1000, 200)])
def test_thinned_rows_are_even_and_keep_both_ends(count: int, most: int) -> None:
    kept = tables.even_indices(count, most)
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(kept) == min(count, max(2, most))
    gaps = np.diff(kept)
    assert len(gaps) == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)
