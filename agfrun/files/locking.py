"""A lock on a folder, so that two processes never write into one; the system lets go of it when its holder dies."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from agfrun.study.errors import OutputError


class FolderLock:
    """Holds a folder from its making to `release`.

    Args:
        path: of the lock file; it says who holds it, and is removed in the end.
        what: is being written, for the error of whoever comes second.

    Raises:
        OutputError: another process holds it, or the file cannot be written.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        try:
            self.descriptor = self._taken(what)
        except OSError as error:
            raise OutputError(f"cannot write {path.parent}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let others have the folder."""
        with suppress(OSError):  # the folder may be gone
            self.path.unlink()
        os.close(self.descriptor)

    def _taken(self, what: str) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._lock(descriptor, what)
                if self._is_current(descriptor):
                    os.truncate(descriptor, 0)
                    os.write(descriptor, _holder().encode())
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its holder has removed it in between

    def _lock(self, descriptor: int, what: str) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
            raise OutputError(f"{what} is being written by {holder or 'another process'}") from None
        except OSError as error:  # a file system without locks
            print(f"agfrun: warning: {self.path.parent} cannot be locked: {error.strerror}", file=sys.stderr)

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def _holder() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {os.uname().nodename}, since {since}"
