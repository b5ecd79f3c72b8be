"""A network from outside that kills its process, fails or waits: what sweeps have to live with."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODULE = '''
from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun import register


@register("model")
@dataclass
class HostileConfig(DiagonalLinearConfig):
    name: str = "hostile"
    deed: str = ""
    waits_for: str = ""

    def build(self, data):
        if self.deed == "die" :
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deed == "run out of memory":
            raise MemoryError("no room")
        if self.deed == "raise":
            raise ZeroDivisionError("nothing\\nto divide by")
        while self.waits_for and Path(self.waits_for).exists():
            time.sleep(0.02)
        return super().build(data)
'''
GROUP = "name: hostile\ndeed: ''\nwaits_for: ''\n"


def environment() -> dict[str, str]:
    """For a command line as a user has it."""
    kept = {key: value for key, value in os.environ.items() if key not in {"HYDRA_FULL_ERROR", "AGFRUN_DEBUG"}}
    return kept | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def write_hostile(directory: Path) -> None:
    """The network's module and configuration."""
    (directory / "mine" / "model").mkdir(parents=True)
    (directory / "hostile.py").write_text(MODULE)
    (directory / "mine" / "model" / "hostile.yaml").write_text(GROUP)
