from __future__ import annotations

import sys
from pathlib import Path

from outside_laboratory import extensions, walks

# Processes that are killed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reliability"))

__all__ = ["extensions", "walks"]
