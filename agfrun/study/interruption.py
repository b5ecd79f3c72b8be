"""An interruption that waits for the end of a step, so that what is recorded and saved stays consistent."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


BY_USER = "interrupted by the user"
BY_SIGNAL = "ended by "
# Sent by `kill` and by batch systems before they kill, by a terminal that is closed, and by `sbatch --signal=USR1@90`.
TERMINATING = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Terminated(KeyboardInterrupt):
    """A signal of `TERMINATING` has arrived; its number is the argument."""


def interruption_of(reason: str) -> KeyboardInterrupt:
    """What to raise for a training that ended for a reason of `Interruption`, whatever follows it."""
    for number in TERMINATING:
        if reason.startswith(BY_SIGNAL + number.name):
            return Terminated(number)
    return KeyboardInterrupt()


class Interruption:
    """Within this context a first Ctrl-C is noted in `asked`; a second one interrupts at once.

    The same goes for those of `TERMINATING` where a handler of them is installed (`agfrun.study.termination`).

    A KeyboardInterrupt that is raised within the context, by whatever it calls, counts as noted too. Outside the
    main thread, where signals do not arrive, only that is left.
    """

    def __init__(self) -> None:
        self.asked = False
        self.reason = BY_USER
        self.previous: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *TERMINATING):
                handler = signal.getsignal(number)
                if callable(handler):
                    self.previous[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> bool:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        noted = kind is not None and issubclass(kind, KeyboardInterrupt) and not self.asked
        self.asked = self.asked or noted
        return noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if number in TERMINATING:
            self.reason = BY_SIGNAL + signal.Signals(number).name
