"""A verdict in words, for the head of a page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """A sentence and its tone: `good`, `bad` or `open`."""

    sentence: str
    tone: str
