from __future__ import annotations

from outside_laboratory import extensions, walks

__all__ = ["extensions", "walks"]
