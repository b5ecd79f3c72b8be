"""docs/file_formats.md and docs/configuration.md say what studies declare and configuration files say."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pages import REPOSITORY

from agfrun import load_config
from agfrun.study.claim import CLAIMS
from agfrun.study.config_tree import config_directory
from agfrun.study.registry import studies

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


def test_every_column_and_number_is_there() -> None:
    text = (DOCS / "file_formats.md").read_text(encoding="utf-8")
    found = studies()
    for schema in (CLAIMS, *(schema for study in found.values() for schema in study.tables)):
        assert f"`{schema.file}`" in text or f"### {schema.file}" in text
        for column in schema.columns:
            assert re.search(rf"\| `{column.name}` \| {column.kind} \|", text), (schema.file, column.name)
    for study in found.values():
        for number in study.numbers:
            assert f"| `{number.name}` | {number.kind} |" in text


def test_a_table_that_two_studies_have_is_shown_once(pages_tool: ModuleType) -> None:
    made = list(pages_tool.study_tables())
    assert any(part.startswith("As in study=paper_attention: `runs.csv`, `loss.csv`") for part in made)
    tables = [part for part in made if part.startswith("| column |")]
    assert len(tables) == len(set(tables))


def test_the_groups_of_a_study_are_those_that_are_composed(pages_tool: ModuleType) -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for path in (config_directory() / "study").glob("*.yaml"):
        part = text.partition(f"### study={path.stem}\n")[2].partition("### ")[0]
        line = part.partition("Groups: ")[2].partition("\n")[0]
        said = dict(word.split("=") for word in re.findall(r"`(\w+=\w+)`", line))
        config = load_config([f"study={path.stem}"])
        for group, choice in said.items():
            if group != "agf":  # a group of plain values, which does not know its name
                assert getattr(config, group).name == choice, (path.stem, group)
        assert ("model" in said) == hasattr(config, "model")


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
