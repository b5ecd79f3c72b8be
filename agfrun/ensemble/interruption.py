"""An interruption that waits for the end of a step, so that many members' records stay consistent."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """Within this context a first Ctrl-C is noted in `asked`; a second one interrupts at once.

    A KeyboardInterrupt that is raised within the context, by whatever it calls, counts as noted too. Outside the
    main thread, where signals do not arrive, only that is left.
    """

    def __init__(self) -> None:
        self.asked = False
        self.previous = signal.getsignal(signal.SIGINT)
        self.installed = False

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread() and callable(self.previous):
            signal.signal(signal.SIGINT, self._note)
            self.installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> bool:
        if self.installed:
            signal.signal(signal.SIGINT, self.previous)
        noted = kind is KeyboardInterrupt and not self.asked
        self.asked = self.asked or noted
        return noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
