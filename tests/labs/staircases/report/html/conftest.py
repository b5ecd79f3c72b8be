from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def finished(run_dir: Path) -> Path:
    """The synthetic run with the files that a finished one has."""
    (run_dir / "manifest.json").write_text(
        '{"agfrun": "0", "command": ["agfrun", "seed=1"], "wall_seconds": {"train": 0.25},'
        ' "training": {"status": "converged", "reason": "all was learned", "drop_time_error": 1e-7},'
        ' "agf": {"reason": "nothing left"}}', encoding="utf-8")
    (run_dir / "claims.csv").write_text(
        "claim,source,statement,expected,measured,tolerance,holds\n"
        "first,agf,it holds,1,1,0.1,True\nsecond,agf,it does not,1,2,0.1,False\n", encoding="utf-8")
    return run_dir
