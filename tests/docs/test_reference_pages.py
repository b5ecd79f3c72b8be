"""docs/file_formats.md and docs/configuration.md say what the schemas and the configuration files say."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pages import REPOSITORY

from agfrun.files.tables import SCHEMAS
from agfrun.labs.staircases.report.ensemble_tables import MEMBERS
from agfrun.study.config_tree import config_directory

DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def pages_tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("reference_pages", DOCS / "tools" / "reference_pages.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["reference_pages"] = module  # where dataclasses look for the module of a class
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["file_formats.md", "configuration.md"])
def test_the_page_is_up_to_date(pages_tool: ModuleType, name: str) -> None:
    page = DOCS / name
    assert page.read_text(encoding="utf-8") == pages_tool.updated(page), "run python docs/tools/reference_pages.py"


def test_every_column_of_a_run_is_there() -> None:
    text = (DOCS / "file_formats.md").read_text(encoding="utf-8")
    for schema in (*SCHEMAS, MEMBERS):
        assert f"### {schema.file}" in text
        for column in schema.columns:
            assert re.search(rf"\| `{column.name}` \| {column.kind} \|", text), (schema.file, column.name)


def test_every_choice_is_there() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for group in ("model", "data", "init", "train", "agf", "study"):
        for path in (config_directory() / group).glob("*.yaml"):
            assert f"### {group}={path.stem}" in text


def test_a_configuration_file_is_read_with_its_comments(pages_tool: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("# @package _global_\n# What it is,\n# in two lines.\n"
                    "defaults:\n  - override /data@_global_.data: a\n  - _self_\n\n"
                    "name: some\nlist: [1, 2] # of numbers\ngroup: # nested\n  inner: 1e-2\n")
    read = pages_tool.read_config(path, "some")
    assert (read.description, read.brings) == ("What it is, in two lines.", ("data=a",))
    assert [(key.name, key.default, key.meaning) for key in read.keys] == [
        ("name", "some", ""), ("list", "[1, 2]", "of numbers"), ("group.inner", "1e-2", "")]
