"""docs/notebooks/tour.py runs, and tour.ipynb is what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from pages import REPOSITORY

NOTEBOOKS = REPOSITORY / "docs" / "notebooks"
SOURCE = (NOTEBOOKS / "tour.py").read_text(encoding="utf-8")


def test_the_notebook_has_the_cells_of_its_source() -> None:
    cells = json.loads((NOTEBOOKS / "tour.ipynb").read_text(encoding="utf-8"))["cells"]
    parts = re.split(r"^# %%(?: \[markdown\])?\n", SOURCE, flags=re.MULTILINE)[1:]
    ours = [re.sub(r"^# ?(?=%|)", "", part, flags=re.MULTILINE) for part in parts]

    def bare(text: str) -> str:
        return re.sub(r"^# ?", "", text, flags=re.MULTILINE).strip()

    assert [bare("".join(cell["source"])) for cell in cells] == [bare(part) for part in ours]


def test_the_notebook_was_run_without_an_error_and_is_small() -> None:
    path = NOTEBOOKS / "tour.ipynb"
    code = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"]
                if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert path.stat().st_size < 1_000_000


@pytest.mark.slow
def test_the_source_runs() -> None:
    done = subprocess.run([sys.executable, str(NOTEBOOKS / "tour.py")], capture_output=True, text=True, timeout=600,
                          env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "claims: 16 hold, 8 undecided, none fails" in done.stdout
