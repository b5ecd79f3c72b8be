"""SIGTERM, which batch systems and `kill` send, ends a run as Ctrl-C does: what is finished is saved first."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from agfrun.dynamics.interruption import Terminated

INTERRUPTED = 130
TERMINATED = 143


def heed_termination() -> None:
    """From here on SIGTERM raises `Terminated`, once what must not be torn apart is done."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _raise)


def exit_status(interruption: KeyboardInterrupt) -> int:
    """That of a program that was interrupted or terminated."""
    return TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated
