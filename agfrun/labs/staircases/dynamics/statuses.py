"""How training may end. Imports no torch, for tables and figures use it too."""

from __future__ import annotations

# Training that ended so has no end to judge by.
GAVE_UP = ("diverged", "stalled")
