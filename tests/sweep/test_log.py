from __future__ import annotations

from pathlib import Path

from agfrun.sweep.log import FAILED, FINISHED, BatchLog, read_log


def test_a_log_says_what_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "0.jsonl"
    log = BatchLog(path)
    log.begin([0, 1, 2])
    log.say_together(3)
    log.end(1, FAILED, "two\nlines")
    log.begin([3])
    log.end(3, FINISHED)
    progress = read_log(path)
    assert progress.begun == [[0, 1, 2], [3]]
    assert progress.ended == {1: (FAILED, "two\nlines"), 3: (FINISHED, "")}
    assert progress.under_way == [0, 2]
    assert progress.together == [3]


def test_a_broken_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    log = BatchLog(path)
    log.begin([0])
    log.end(0, FINISHED)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        progress = read_log(path)
        assert progress.begun in ([], [[0]])
        assert progress.ended in ({}, {0: (FINISHED, "")})


def test_no_log(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none").begun == []
