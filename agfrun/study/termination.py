"""SIGTERM, SIGHUP and SIGUSR1 end a run as Ctrl-C does: what is finished is saved first."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from agfrun.study.interruption import TERMINATING, Terminated

SIGNALLED = 128


def heed_termination() -> None:
    """From here on these signals raise `Terminated`, once what must not be torn apart is done.

    One that is ignored stays ignored: `nohup` asks for that.
    """
    if threading.current_thread() is threading.main_thread():
        for number in TERMINATING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _raise)


def exit_status(interruption: KeyboardInterrupt) -> int:
    """That of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP, 138 for SIGUSR1."""
    return SIGNALLED + (int(interruption.args[0]) if isinstance(interruption, Terminated) else signal.SIGINT)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)
