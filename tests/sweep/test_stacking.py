from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agfrun.sweep.stacking import Source, Stacked, stack

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=6)
COLUMNS = st.lists(st.sampled_from(["time", "loss", "a,b", 'say "x"']), min_size=1, max_size=4, unique=True)
TABLE = COLUMNS.flatmap(lambda columns: st.tuples(
    st.just(columns), st.lists(st.lists(CELLS, min_size=len(columns), max_size=len(columns)), max_size=5)))
Table = tuple[list[str], list[list[str]]]


def write(folder: Path, table: Table) -> None:
    folder.mkdir(exist_ok=True)
    with open(folder / "loss.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([table[0], *table[1]])


def source(folder: Path, mark: str = "") -> Source:
    return Source(folder.name, folder, (folder.name, "3,5"), mark)


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TABLE, min_size=1, max_size=4), st.integers(0, 4))
def test_stacked_in_two_goes_or_in_one(tmp_path_factory: pytest.TempPathFactory, tables: list[Table],
                                       first: int) -> None:
    """Whatever the cells hold, the rows of all tables are there with their values, and nothing else is."""
    folder = tmp_path_factory.mktemp("stacked")
    runs = [folder / f"run {place}" for place in range(len(tables))]
    for run, table in zip(runs, tables, strict=True):
        write(run, table)
    path, leading = folder / "loss.csv", ["run", "seed"]
    before = stack(path, "loss.csv", leading, [source(run) for run in runs[:first]], Stacked())
    stacked = stack(path, "loss.csv", leading, [source(run) for run in runs], before)
    expected = [{"run": run.name, "seed": "3,5"} | dict(zip(columns, row, strict=True))
                for run, (columns, rows) in zip(runs, tables, strict=True) for row in rows]
    found = [{key: value for key, value in row.items() if key in ("run", "seed") or value} for row in read(path)]
    assert found == [{key: value for key, value in row.items() if key in ("run", "seed") or value}
                     for row in expected]
    assert set(stacked.columns) == {column for columns, _ in tables for column in columns}
    assert stacked.size == path.stat().st_size


def stacked_pair(folder: Path) -> tuple[Path, list[Path], Stacked]:
    runs = [folder / "a", folder / "b"]
    for run in runs:
        write(run, (["source", "time"], [["training", run.name]]))
    path = folder / "loss.csv"
    return path, runs, stack(path, "loss.csv", ["run", "seed"], [source(run) for run in runs], Stacked())


def test_what_is_there_is_not_read_again(tmp_path: Path) -> None:
    path, runs, before = stacked_pair(tmp_path)
    (runs[0] / "loss.csv").unlink()
    write(tmp_path / "c", (["source", "time"], [["training", "c"]]))
    stack(path, "loss.csv", ["run", "seed"], [source(folder) for folder in (*runs, tmp_path / "c")], before)
    assert [row["time"] for row in read(path)] == ["a", "b", "c"]


@pytest.mark.parametrize("change", ["done anew", "left out", "file changed", "other keys"])
def test_what_has_changed_is_read_again(tmp_path: Path, change: str) -> None:
    path, runs, before = stacked_pair(tmp_path)
    write(runs[0], (["source", "time"], [["training", "new"]]))
    sources, leading = [source(run) for run in runs], ["run", "seed"]
    if change == "done anew":
        sources[0] = source(runs[0], mark="second time")
    elif change == "left out":
        sources = sources[:1]
    elif change == "file changed":
        path.write_text(path.read_text() + "x")
    else:
        leading = ["run", "width"]
    stack(path, "loss.csv", leading, sources, before)
    assert [row["time"] for row in read(path)] == (["new"] if change == "left out" else ["new", "b"])
    assert list(read(path)[0]) == [*leading, "source", "time"]


def test_long_tables_are_thinned_source_by_source(tmp_path: Path) -> None:
    rows = [["training", str(time)] for time in range(300)] + [["agf", str(time)] for time in range(100)]
    write(tmp_path / "a", (["source", "time"], rows))
    stack(tmp_path / "loss.csv", "loss.csv", ["run", "seed"], [source(tmp_path / "a")], Stacked(), most_rows=40)
    found = {name: [int(row["time"]) for row in read(tmp_path / "loss.csv") if row["source"] == name]
             for name in ("training", "agf")}
    assert (len(found["training"]), len(found["agf"])) == (30, 10)
    assert (found["training"][0], found["training"][-1], found["agf"][0], found["agf"][-1]) == (0, 299, 0, 99)
    assert found["training"] == sorted(found["training"])


def test_runs_without_the_table(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert stack(tmp_path / "loss.csv", "loss.csv", ["run", "seed"], [source(tmp_path / "a")], Stacked()).columns == []
    assert not (tmp_path / "loss.csv").exists()
