"""How densely a step is recorded: where the loss or the time changes much over it, at points inside too."""

from __future__ import annotations

import math

FINEST_SAMPLING = 30
# Points inside a step are recorded once this share of the initial loss is lost over it, or the logarithm of the
# loss or of time changes by so much; a loss below the smallest share of the initial one counts as that.
LOSS_SHARE = 0.01
LOG_CHANGE = 0.05
SMALLEST_SHARE = 1e-14


def pieces(start: float, end: float, loss_before: float, loss: float, initial_loss: float) -> int:
    """Into how many pieces of equal duration a step is divided by what is recorded of it, 1 to `FINEST_SAMPLING`."""
    unit = initial_loss or 1.0  # nothing is to be learned
    drop = abs(loss_before - loss) / unit
    tiny = SMALLEST_SHARE * unit
    decline = abs(math.log(max(loss_before, tiny) / max(loss, tiny)))
    lapse = math.log(end / start) if start > 0 else 0.0
    return min(FINEST_SAMPLING, math.ceil(max(drop / LOSS_SHARE, decline / LOG_CHANGE, lapse / LOG_CHANGE, 1)))
