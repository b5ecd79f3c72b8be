"""Wall seconds by stage, and on a terminal a sign of life from each that takes long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

# A stage that is over sooner needs no sign of life; one that is not gives one so often.
SILENT, EVERY = 2.0, 0.5


class StageClock:
    """Wall seconds by stage.

    Attributes:
        seconds: by the name of the stage.

    Args:
        shown: whether a stage of more than two seconds shows its name and how long it has taken.
    """

    def __init__(self, shown: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._shown = shown

    @contextmanager
    def stage(self, name: str, has_bar: bool = False) -> Iterator[None]:
        """Time what is done within this context.

        Args:
            name: of the stage.
            has_bar: whether it shows itself how far it is.
        """
        start = time.perf_counter()
        try:
            with _sign_of_life(name.replace("_", " ")) if self._shown and not has_bar else nullcontext():
                yield
        finally:
            self.seconds[name] = time.perf_counter() - start


@contextmanager
def _sign_of_life(name: str) -> Iterator[None]:
    from tqdm import tqdm  # which runs that show nothing need not load

    over = threading.Event()

    def show() -> None:
        if over.wait(SILENT):
            return
        with tqdm(desc=name, bar_format="{desc}: {elapsed}", file=sys.stderr, leave=False) as line:
            line.start_t -= SILENT
            while not over.wait(EVERY):
                line.refresh()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
