"""Colours for a sequence of curves."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

# The paler end of the colour map is too faint on white.
_LIGHTEST = 0.85


def sequential_colours(count: int) -> list[str]:
    """Colours from light (the first) to dark of a map that colour-blind readers can follow too."""
    places = np.linspace(_LIGHTEST, 0.0, max(count, 2))[:count]
    return [to_hex(matplotlib.colormaps["viridis"](place)) for place in places]
