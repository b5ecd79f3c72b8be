from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        yield opened
        opened.close()
