"""What lies within the folder of a run or a sweep: nothing there is reached through a link.

Such a folder may come from anybody. The folder itself may be a link, since the user has named it; what is in it may
not, for a link leads to a file or a folder that is somebody else's.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from agfrun.files.folders import SWEEP_HIDDEN
from agfrun.study.errors import OutputError

LINK = "it is a link, which is not followed"
NO_FILE = "it is no regular file"


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere: reading it says what is wrong."""
    return os.path.lexists(path)


def refuse_link(path: Path) -> None:
    """Refuse a folder within a run's or a sweep's that is a link.

    Raises:
        OutputError: it is one.
    """
    if path.is_symlink():
        raise OutputError(f"{path} leads to another place: links in the folder of a run or a sweep are not followed")


def refuse_links_of_sweep(path: Path) -> None:
    """Refuse a path whose last folders are a sweep's own, `.sweep` and what is in it, where one of these is a link.

    Raises:
        OutputError: one is.
    """
    for folder in (path.parent, path.parent.parent):
        if SWEEP_HIDDEN in (folder.name, folder.parent.name):
            refuse_link(folder)


def made(folder: Path) -> None:
    """Make the folder of a run or a sweep, and those above it, where they are not there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error


def made_inside(folder: Path, *names: str) -> Path:
    """A folder within another, made where it is not there; none on the way is a link.

    Raises:
        OutputError: one is a link or no folder, or cannot be made.
    """
    for name in names:
        folder = folder / name
        refuse_link(folder)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def opened_inside(path: Path, flags: int) -> int:
    """A descriptor of a regular file that is no link; nothing waits for whoever writes into a pipe.

    Raises:
        OSError: it is something else, or cannot be opened.
        OutputError: a folder of a sweep on the way to it is a link.
    """
    refuse_links_of_sweep(path)
    if is_there(path):
        _refuse_kind(path.lstat().st_mode)  # before it is opened: some devices act on that
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    return _regular(descriptor)


def opened_named(path: Path) -> int:
    """A descriptor for reading a regular file that the user has named; a link may lead to it.

    Raises:
        OSError: it is something else, or cannot be opened.
    """
    _refuse_kind(path.stat().st_mode)
    return _regular(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _regular(descriptor: int) -> int:
    """The descriptor, of a regular file."""
    try:
        _refuse_kind(os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_kind(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(LINK)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(NO_FILE)
