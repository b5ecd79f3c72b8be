"""A lock on a folder, so that two processes never write into one; the system lets go of it when its holder dies."""

from __future__ import annotations

import fcntl
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agfrun.files.inside import opened_inside
from agfrun.study.errors import OutputError

# A lock file has one line of this length, so that a new holder's covers the last one's and nothing is ever cut off.
LENGTH = 200
POLL_SECONDS = 0.05
_LINE = re.compile(r"\s*(process \d+ on \S+, since [\d: -]+)?\s*")
_told: set[str] = set()


class FolderLock:
    """Holds a folder from its making to `release`.

    Args:
        path: of the lock file; it says who holds it, and is removed in the end.
        what: is being written, for the error of whoever comes second.

    Raises:
        OutputError: another process holds it, the file cannot be written, or is no lock of this program.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        try:
            self.descriptor = self._taken(what)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let others have the folder."""
        with suppress(OSError):  # the folder may be gone
            if self.is_current:
                self.path.unlink()
        os.close(self.descriptor)

    @property
    def is_current(self) -> bool:
        """Whether the lock's file is still there; it is gone with a folder that was removed."""
        return _is_at(self.path, self.descriptor)

    def _taken(self, what: str) -> int:
        while True:
            descriptor = _opened(self.path)
            try:
                self._lock(descriptor, what)
                if _is_at(self.path, descriptor):
                    os.pwrite(descriptor, _holder(), 0)
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its holder has removed it in between

    def _lock(self, descriptor: int, what: str) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{what} is being written by {_said_in(descriptor).strip() or 'another process'}"
                              ) from None
        except OSError as error:
            warn_of_no_locks(self.path.parent, error)


@contextmanager
def taking_turns(path: Path, limit: float = math.inf) -> Iterator[None]:
    """Wait until nobody else is in this block with a lock file, which stays.

    Args:
        path: of the file.
        limit: seconds to wait at most.

    Raises:
        OutputError: the file cannot be written, or is no lock of this program.
        TimeoutError: somebody else was there for too long.
    """
    try:
        descriptor = _opened(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        try:
            _wait_for(descriptor, path, time.monotonic() + limit)
        except TimeoutError:
            raise
        except OSError as error:
            warn_of_no_locks(path.parent, error)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"other processes held {path} for too long") from None
        time.sleep(POLL_SECONDS)


def warn_of_no_locks(folder: Path, error: OSError) -> None:
    """Say, once in a process for a reason, that a file system has no locks; work goes on without."""
    reason = error.strerror or str(error)
    if reason not in _told:
        _told.add(reason)
        print(f"agfrun: warning: {folder} cannot be locked: {reason}", file=sys.stderr)


def _opened(path: Path) -> int:
    """A lock file, made where there is none.

    Raises:
        OSError: it cannot be opened, is a link or no regular file, or holds something of somebody else's.
    """
    descriptor = opened_inside(path, os.O_RDWR | os.O_CREAT)
    status = os.fstat(descriptor)
    if status.st_nlink > 1 or status.st_size > LENGTH or not _LINE.fullmatch(_said_in(descriptor)):
        os.close(descriptor)
        raise OSError("it is no lock of this program")
    return descriptor


def _said_in(descriptor: int) -> str:
    return os.pread(descriptor, LENGTH, 0).decode("utf-8", "replace")


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _holder() -> bytes:
    """The line of this process, filled up with spaces."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    line = f"process {os.getpid()} on {os.uname().nodename}, since {since}"
    return line[: LENGTH - 1].ljust(LENGTH - 1).encode("ascii", "replace") + b"\n"
