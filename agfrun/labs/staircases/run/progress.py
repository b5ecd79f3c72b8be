"""A progress bar for training: time, loss and what remains; silent when not on a terminal."""

from __future__ import annotations

import math
import sys
from types import TracebackType

from tqdm import tqdm

PARTS = 1000


class TrainingBar:
    """Bar over gradient-flow time, on a log scale for an adaptive flow.

    Args:
        horizon: time at which training stops at the latest.
        first_time: time of the first predicted event, where a log scale begins; None for a linear scale.
        enabled: None decides by whether standard error is a terminal.
    """

    def __init__(self, horizon: float, first_time: float | None, enabled: bool | None) -> None:
        shown = sys.stderr.isatty() if enabled is None else enabled
        self.horizon = horizon
        self.first_time = first_time
        self.bar = tqdm(total=PARTS, disable=not shown, desc="training", file=sys.stderr, leave=False,
                        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}")

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.bar.close()

    def __call__(self, time: float, loss: float) -> None:
        """Show that training has reached a time with this loss."""
        if self.bar.disable:
            return
        share = time / self.horizon
        if self.first_time:
            share = math.log1p(time / self.first_time) / math.log1p(self.horizon / self.first_time)
        self.bar.set_postfix_str(f"time {time:.4g}, loss {loss:.3g}", refresh=False)
        self.bar.update(int(PARTS * min(share, 1.0)) - self.bar.n)
