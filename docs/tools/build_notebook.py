"""Run docs/notebooks/tour.py and write tour.ipynb with its output: python docs/tools/build_notebook.py."""

from __future__ import annotations

from pathlib import Path

import jupytext
from nbclient import NotebookClient

SOURCE = Path(__file__).resolve().parents[1] / "notebooks" / "tour.py"


def main() -> None:
    """Execute the cells in order; an error in one of them ends it."""
    notebook = jupytext.read(SOURCE)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(SOURCE.parent)}}
                   ).execute()
    # The interpreter's patch version is nobody's business and would change the file.
    notebook.metadata.pop("language_info", None)
    jupytext.write(notebook, SOURCE.with_suffix(".ipynb"), fmt="ipynb")


if __name__ == "__main__":
    main()
