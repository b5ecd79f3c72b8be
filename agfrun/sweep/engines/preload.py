"""What the server of local processes imports once, so that each process starts with it."""

from __future__ import annotations

import agfrun.ensemble.together  # noqa: F401
import agfrun.sweep.worker  # noqa: F401
from agfrun import registry

registry.studies()
