"""Objects in JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agfrun.files.inside import is_there
from agfrun.files.parsing import parse_json
from agfrun.files.reading import MOST_JSON, read_text
from agfrun.study.errors import OutputError


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file; empty where there is no such file.

    Raises:
        OutputError: the file cannot be read or holds something else.
    """
    return read_object(path) if is_there(path) else {}


def read_object(path: Path, most: int = MOST_JSON) -> dict[str, Any]:
    """An object of a JSON file of at most so many bytes.

    Raises:
        OutputError: the file cannot be read or holds something else.
    """
    try:
        content = parse_json(read_text(path, most))
    except ValueError as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise OutputError(f"cannot read {path}: it holds no object")
    return content


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    from agfrun.files.writing import write_text  # pandas and NumPy, which the plan of a sweep does not need yet

    write_text(path, json.dumps(content, allow_nan=False) + "\n")
