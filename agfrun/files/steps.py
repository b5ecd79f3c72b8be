"""What came of the steps of a run, so that an interrupted one does not do them again.

A line of JSON a step, added as soon as it is done: whatever is cut off is the last line, which is then left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agfrun.files.inside import is_there, made_inside
from agfrun.files.parsing import parse_json
from agfrun.files.reading import MOST_LINES, read_bytes
from agfrun.files.writing import append_text, write_text
from agfrun.study.errors import OutputError

STEPS_FILE = "steps.jsonl"


class StepLog:
    """The steps of one run; implements `agfrun.study.bench.Steps`.

    Args:
        path: of the file.
        config_hash: of the run; the steps of another are not taken up.
        resume: whether to take up what the file holds; otherwise it begins anew.
        begin: called before anything is written, to make the folder one of a run.
    """

    def __init__(self, path: Path, config_hash: str, resume: bool, begin: Callable[[], None] = lambda: None) -> None:
        self.path, self._first, self._begin = path, json.dumps({"config_hash": config_hash}), begin
        self._failure = ""
        self._done: dict[str, str] = self._read() if resume else {}  # the line of each
        self._rewrite = True  # a cut-off line goes before anything is added

    def get(self, key: str) -> tuple[bool, Any]:
        """See `Steps.get`."""
        # Anew each time: lists for tuples and words as keys, as a resumed run finds them, and nobody else's to change.
        return (True, json.loads(self._done[key])["value"]) if key in self._done else (False, None)

    def add(self, key: str, value: Any) -> None:
        """See `Steps.add`: a disk that is full now may not be later, and the run needs none of this."""
        # Python writes NaN and infinities as words that its own reader takes, and every float with all its digits.
        self._done[key] = json.dumps({"step": key, "value": value})
        self._begin()
        try:
            made_inside(self.path.parent.parent, self.path.parent.name)
            if self._rewrite:  # all at once: a process that is killed now loses none of what was there
                write_text(self.path, "".join(f"{line}\n" for line in (self._first, *self._done.values())))
            else:
                append_text(self.path, f"{self._done[key]}\n", keep=True)
            self._rewrite = False
        except (OSError, OutputError) as error:
            self._rewrite = True  # the line may have been cut off
            if str(error) != self._failure:
                print(f"agfrun: warning: a step was not noted: {error}", file=sys.stderr)
            self._failure = str(error)

    def _read(self) -> dict[str, str]:
        if not is_there(self.path):
            return {}
        lines = read_bytes(self.path, MOST_LINES).decode("utf-8", "replace").splitlines()
        if not lines or lines[0] != self._first:
            return {}
        done = {}
        for line in lines[1:]:
            try:
                key, _ = (step := parse_json(line))["step"], step["value"]
            except (ValueError, KeyError, TypeError):
                break
            done[str(key)] = line
        return done
