from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from agfrun import OutputError, gather
from agfrun.cli.main import main
from agfrun.files import locking
from agfrun.files.locking import LENGTH, FolderLock, taking_turns

SMALL = ["model=diagonal_linear", "train.horizon=1", "plots=false", "report=false", "device=cpu", "init=gaussian"]


def test_a_lock_says_who_holds_it_and_goes_with_them(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    lock = FolderLock(path, "the run")
    assert path.read_text().startswith(f"process {os.getpid()} on ")
    with pytest.raises(OutputError, match=rf"^the run is being written by process {os.getpid()} on \S+, since [\d :-]*$"
                       ):
        FolderLock(path, "the run")
    assert lock.is_current
    lock.release()
    assert not path.exists()


@pytest.mark.parametrize("left", ["", "process 1 on there, since 2026-11-30 10:00:00",
                                  "process 99999999 on somewhere.else, since 2026-11-30 10:00:00".ljust(LENGTH)])
def test_what_a_killed_process_has_left_is_taken_over(left: str, tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text(left)
    lock = FolderLock(path, "the run")
    assert path.read_text().split(" on ")[0] == f"process {os.getpid()}"
    assert len(path.read_text().splitlines()) == 1
    lock.release()


@pytest.mark.parametrize("content", ["mine", "process 1 on there, since 2026-11-30 10:00:00\nmine", " " * (LENGTH + 1)])
@pytest.mark.parametrize("kind", ["file", "link", "hard link"])
def test_a_file_that_is_no_lock_is_left_alone(content: str, kind: str, tmp_path: Path) -> None:
    path, target = tmp_path / ".lock", tmp_path / "target"
    if kind == "file":
        path.write_text(content)
    else:
        target.write_text("")
        (path.symlink_to if kind == "link" else path.hardlink_to)(target)
        target.write_text(content)
    with pytest.raises(OutputError, match="it is (no lock of this program|a link)"):
        FolderLock(path, "the run")
    with pytest.raises(OutputError, match="it is (no lock of this program|a link)"), taking_turns(path):
        pass
    assert path.read_text() == content


def test_a_lock_in_a_folder_that_was_made_anew_is_another_s(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    lock = FolderLock(path, "the run")
    path.unlink()
    assert not lock.is_current
    path.write_text("mine")
    lock.release()
    assert path.read_text() == "mine"


def test_turns_are_taken(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", []
    with taking_turns(path):
        other = threading.Thread(target=lambda: _take(path, order))
        other.start()
        with pytest.raises(TimeoutError, match="too long"), taking_turns(path, 0.1):
            pass
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]


def _take(path: Path, order: list[str]) -> None:
    with taking_turns(path):
        order.append("second")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_costs_one_warning(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    """Runs, sweeps and the gathering of their tables go on without."""
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(locking, "_told", set())
    monkeypatch.chdir(tmp_path)
    assert main(["-m", *SMALL, "seed=0,1", "hydra/launcher=serial", f"hydra.sweep.dir={tmp_path}/sweep"]) == 0
    gathered = gather(tmp_path / "sweep", formats=(), report=False)
    assert len(gathered.runs) == 2
    assert {"runs.csv", "loss.csv"} <= {path.name for path in (tmp_path / "sweep").iterdir()}
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("sweep: ")]
    assert errors == [f"agfrun: warning: {tmp_path}/sweep/.sweep cannot be locked: {os.strerror(number)}"]
