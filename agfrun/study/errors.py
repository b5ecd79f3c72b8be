"""Errors that agfrun raises on purpose; each message is one line that a user can act on."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable


class AgfrunError(Exception):
    """Base of all errors that are the user's to mend. `exit_status` is the program's exit status."""

    exit_status = 1


class UsageError(AgfrunError):
    """The command line or a configuration file cannot be understood."""

    exit_status = 2


class ConfigError(UsageError):
    """A configuration value is not allowed.

    The message names the key, the value that was given and what is allowed.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key = key
        self.value = value
        self.allowed = allowed
        super().__init__(f"{key}={as_typed(value)} is not allowed: {allowed}")

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str]]:
        """Rebuild from the three parts, not from the message, when sent between processes."""
        return type(self), (self.key, self.value, self.allowed)


class OutputError(AgfrunError):
    """The run folder cannot be used (not writable, holds another finished run, not a run)."""

    exit_status = 2


class CheckpointError(AgfrunError):
    """A checkpoint is damaged, or belongs to another training."""

    exit_status = 2


class DivergenceError(AgfrunError):
    """Training or prediction left the finite numbers; the message says where and what to try."""

    exit_status = 1


class StalledError(DivergenceError):
    """An integration stands still: no step is short enough."""


def first_line(error: BaseException) -> str:
    """What somebody else's error says first; its kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def closest(word: object, allowed: Iterable[str]) -> str | None:
    """The allowed word closest to `word`, whatever its case, or None if none is close or `word` is no word.

    Else the only one that it abbreviates: `lr` for learning_rate, `steps` for max_steps.
    """
    if not isinstance(word, str):
        return None
    by_lower_case = {choice.lower(): choice for choice in allowed}
    found = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.67)
    if not found:
        words = {lower: lower.split("_") for lower in by_lower_case}
        found = [lower for lower, parts in words.items()
                 if word.lower() in (*parts, "".join(part[:1] for part in parts))]
    return by_lower_case[found[0]] if len(found) == 1 else None


def did_you_mean(suggestion: str | None) -> str:
    """`; did you mean X?`, or nothing where there is no suggestion."""
    return f"; did you mean {suggestion}?" if suggestion else ""


def as_typed(value: object) -> str:
    """A value as one would write it on the command line, on one line."""
    if isinstance(value, str) and value:
        return " ".join(value.split())
    return json.dumps(value, default=str, separators=(",", ":"))
