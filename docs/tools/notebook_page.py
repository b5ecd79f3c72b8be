"""MkDocs hook: an executed notebook (.ipynb) as a page: its text, code, printed output and pictures."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page and its pictures beside every notebook; the notebook itself stays as a download."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        cells = json.loads(notebook.content_string)["cells"]
        pictures: dict[str, bytes] = {}
        name = PurePosixPath(notebook.src_uri)
        text = "\n\n".join(part for cell in cells for part in _cell(cell, name.stem, pictures))
        text = f"[Download this notebook]({name.name}){{ .md-button }}\n\n{text}"
        title, _, rest = text.partition("\n# ")
        heading, _, body = rest.partition("\n")
        page = f"# {heading}\n\n{title.strip()}\n{body}"
        files.append(File.generated(config, str(name.with_name(f"{name.stem}_page.md")), content=page))
        for picture, content in pictures.items():
            files.append(File.generated(config, str(name.with_name(picture)), content=content))
    return files


def on_page_markdown(text: str, page: Page, **_: Any) -> str:
    """Let links to a notebook lead to its page; only that page's own link is to the notebook."""
    if page.file.src_uri.endswith("_page.md"):
        return text
    return re.sub(r"\(([\w./]+)\.ipynb\)", r"(\1_page.md)", text)


def _cell(cell: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield "\n" + source
    elif source.strip():
        yield f"```python\n{source}\n```"
        for output in cell.get("outputs", []):
            yield from _output(output, stem, pictures)


def _output(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{stem}_{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode("".join(data["image/png"]))
        yield f"![Figure drawn by the cell above]({name})"
    else:
        text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
        if text:
            yield f"```text\n{text}\n```"
