"""What the server of local processes imports once, so that each process starts with it."""

from __future__ import annotations

import signal

# Ctrl-C reaches the server too, while it imports; the sweep ends its processes itself.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import agfrun.sweep.worker  # noqa: E402, F401
