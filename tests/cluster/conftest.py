from __future__ import annotations

from pathlib import Path

import pytest
from hostile_network import write_hostile


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder with a network that kills its process or waits."""
    write_hostile(tmp_path)
    return tmp_path
