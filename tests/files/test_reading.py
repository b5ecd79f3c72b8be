from __future__ import annotations

import os
from pathlib import Path

import pytest

from agfrun import OutputError
from agfrun.files.inside import made_inside
from agfrun.files.reading import beginning, open_named, read_bytes, read_named_text, read_text
from agfrun.files.tables import open_table, read_any_table
from agfrun.files.writing import append_text, remove_file, remove_folder, remove_temporaries, write_text

WITHIN = {"a link": "it is a link", "a link to nothing": "it is a link", "a pipe": "it is no regular file",
          "a folder": "Is a directory", "a device": "it is a link", "nothing": "No such file or directory"}


def lay(path: Path, kind: str) -> None:
    if kind in ("a link", "a link to nothing"):
        path.symlink_to(path.with_name("target" if kind == "a link" else "nowhere"))
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()


@pytest.mark.parametrize("kind", WITHIN)
def test_within_a_folder_regular_files_alone_are_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    path = tmp_path / "loss.csv"
    lay(path, kind)
    for read in (lambda: read_bytes(path, 100), lambda: read_text(path, 100), lambda: read_any_table(path)):
        with pytest.raises(OutputError, match=rf"^cannot read .*loss\.csv: {WITHIN[kind]}"):
            read()
    assert beginning(path, 10) == ""


@pytest.mark.parametrize("kind", WITHIN)
def test_what_the_user_names_may_be_a_link_to_a_regular_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    path = tmp_path / "data.csv"
    lay(path, kind)
    if kind == "a link":
        assert read_named_text(path).read() == "mine"
    else:
        with pytest.raises(OSError, match="no regular file|No such file|Is a directory"), open_named(path):
            pass


def test_a_file_has_no_more_bytes_than_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(OutputError, match="it has 5 B, and 4 B are the most that is read of its kind"):
        read_bytes(path, 4)
    with pytest.raises(OSError, match="it has 5 B"), open_named(path, 4):
        pass
    path.write_bytes(b"\xff")
    with pytest.raises(OutputError, match="cannot read .*utf-8"):
        read_text(path, 5)


def test_words_that_the_user_has_written_may_begin_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert list(read_named_text(path)) == ["a\r\n", "b"]


@pytest.mark.parametrize(("content", "said"), [
    (b"a,b\0\n", "no text"), (b"a," * 20_000 + b"a\n1\n", "columns"), (b"x" * 2**21, "columns")])
def test_a_table_begins_like_one(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(OutputError, match=said), open_table(tmp_path / "x.csv"):
        pass


def test_a_table_that_memory_does_not_hold_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agfrun.files.tables.WORTH_A_LOOK", 3)
    monkeypatch.setattr("agfrun.files.tables.available_memory", lambda: 15)
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(OutputError, match="it has 4 B, and 15 B of memory are available"):
        read_any_table(tmp_path / "x.csv")


# ---- Writing


def test_a_link_is_replaced_and_a_pipe_refused(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "done.json"
    target.write_text("mine")
    path.symlink_to(target)
    write_text(path, "new")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("mine", "new", False)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="no regular file"):
        write_text(tmp_path / "pipe", "new")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["soft", "hard"])
def test_nothing_is_added_to_the_file_of_another(link: object, tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "steps.jsonl"
    target.write_text("mine")
    link(path, target)  # type: ignore[operator]
    with pytest.raises(OSError, match="link"):
        append_text(path, "new")
    assert target.read_text() == "mine"
    append_text(tmp_path / "own", "a")
    append_text(tmp_path / "own", "b", keep=True)
    assert (tmp_path / "own").read_text() == "ab"


def test_temporaries_of_others_stay(tmp_path: Path) -> None:
    names = (".notes.tmp", ".x.csv.1-0123abcd.tmp", ".x.csv.1-0123abcd.tmp.bak", "x.1-0123abcd.tmp")
    for name in names:
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(set(names) - {names[1]})


def test_nothing_is_removed_through_a_link(tmp_path: Path) -> None:
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    (elsewhere / "logs").mkdir(parents=True)
    (elsewhere / "logs" / "file").touch()
    run.mkdir()
    (run / "checkpoints").symlink_to(elsewhere)
    (run / ".sweep").symlink_to(elsewhere)
    for folder in (run / "checkpoints", run / "checkpoints" / "logs"):
        remove_folder(folder)
    for path in (run / ".sweep" / "logs" / "file", run / ".sweep" / "file"):
        for write in (remove_file, lambda path: write_text(path, ""), lambda path: append_text(path, ""),
                      lambda path: read_bytes(path, 1)):
            with pytest.raises(OutputError, match="leads to another place"):
                write(path)
    for names in (("checkpoints",), ("checkpoints", "logs")):
        with pytest.raises(OutputError, match="leads to another place"):
            made_inside(run, *names)
    assert [path.name for path in elsewhere.rglob("*")] == ["logs", "file"]
    remove_folder(elsewhere)
    assert not elsewhere.exists()
