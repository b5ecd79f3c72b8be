"""What the process of a batch says while it works: which jobs it has begun, and which have ended.

Lines are only ever appended, so that a process that is killed leaves at most its last line broken.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agfrun.files.inside import is_there, made_inside
from agfrun.files.parsing import parse_json
from agfrun.files.reading import MOST_LINES, read_bytes
from agfrun.files.writing import append_text

FINISHED, FAILED = "finished", "failed"


class BatchLog:
    """The writing end."""

    def __init__(self, path: Path) -> None:
        made_inside(path.parent.parent, path.parent.name)
        self._path = path

    def begin(self, jobs: Sequence[int]) -> None:
        """These jobs of the batch are under way, together."""
        self._say({"begin": list(jobs)})

    def end(self, job: int, status: str, reason: str = "") -> None:
        """A job has ended: `finished` or `failed`."""
        self._say({"end": job, "status": status, "reason": reason})

    def say_together(self, jobs: int) -> None:
        """So many jobs are trained together."""
        self._say({"together": jobs})

    def _say(self, message: dict[str, object]) -> None:
        append_text(self._path, json.dumps(message) + "\n")


@dataclass
class Progress:
    """What a log says so far.

    Attributes:
        begun: groups of jobs that were begun, in order.
        ended: status and reason of each job that has ended.
        together: sizes of the groups that were trained together.
    """

    begun: list[list[int]] = field(default_factory=list)
    ended: dict[int, tuple[str, str]] = field(default_factory=dict)
    together: list[int] = field(default_factory=list)

    @property
    def under_way(self) -> list[int]:
        """Jobs that were begun and have not ended."""
        return [job for group in self.begun for job in group if job not in self.ended]


def read_log(path: Path) -> Progress:
    """Read a log, which may not be there yet or end in a broken line.

    Raises:
        OutputError: it is a link or no regular file.
    """
    progress = Progress()
    if not is_there(path):
        return progress
    for line in read_bytes(path, MOST_LINES).decode("utf-8", "replace").splitlines():
        with suppress(ValueError, KeyError, TypeError):
            _take_up(progress, parse_json(line))
    return progress


def _take_up(progress: Progress, message: dict[str, Any]) -> None:
    if "begin" in message:
        progress.begun.append(list(message["begin"]))
    elif "end" in message:
        progress.ended[int(message["end"])] = (str(message["status"]), str(message["reason"]))
    elif "together" in message:
        progress.together.append(int(message["together"]))
