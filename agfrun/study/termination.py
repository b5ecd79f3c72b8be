"""SIGTERM, SIGHUP and SIGUSR1 end a run as Ctrl-C does: what is finished is saved first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from agfrun.study.interruption import TERMINATING, Terminated

SIGNALLED = 128
# Seconds after which a signal that was lost is sent again.
_LATER = 0.01


def heed_termination() -> None:
    """From here on these signals raise `Terminated`, once what must not be torn apart is done.

    One that is ignored stays ignored: `nohup` asks for that.
    """
    if threading.current_thread() is threading.main_thread():
        for number in TERMINATING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _raise)
        if not isinstance(sys.unraisablehook, _SendingAgain):
            sys.unraisablehook = _SendingAgain(sys.unraisablehook)


def exit_status(interruption: KeyboardInterrupt) -> int:
    """That of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP, 138 for SIGUSR1."""
    return SIGNALLED + (int(interruption.args[0]) if isinstance(interruption, Terminated) else signal.SIGINT)


class _SendingAgain:
    """Sends a signal again that came within a finalizer, where Python drops whatever is raised."""

    def __init__(self, before: Callable[[Any], Any]) -> None:
        self.before = before

    def __call__(self, lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            self.before(lost)
            return
        number = lost.exc_value.args[0] if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        again = threading.Timer(_LATER, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)
