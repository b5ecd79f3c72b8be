"""What the process of a batch says while it works: which jobs it has begun, and which have ended.

Lines are only ever appended, so that a process that is killed leaves at most its last line broken.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FINISHED, FAILED = "finished", "failed"


class BatchLog:
    """The writing end."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")


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
    """Read a log, which may not be there yet or end in a broken line."""
    progress = Progress()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return progress
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if "begin" in message:
            progress.begun.append(list(message["begin"]))
        elif "end" in message:
            progress.ended[int(message["end"])] = (str(message["status"]), str(message["reason"]))
        elif "together" in message:
            progress.together.append(int(message["together"]))
    return progress
