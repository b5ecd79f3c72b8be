"""Write the tables of docs/file_formats.md and docs/configuration.md from the schemas and the configuration files.

`python docs/tools/reference_pages.py` writes them; with `--check` the exit status is 1 if they are not up to date.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from agfrun.labs.staircases.report.ensemble_tables import LEADING, MEMBERS

from agfrun import Column
from agfrun.files.tables import SCHEMAS
from agfrun.study import registry
from agfrun.study.config_tree import config_directory
from agfrun.study.table import ColumnKind

DOCS = Path(__file__).resolve().parents[1]
CONFIGS = config_directory()
PLACE = re.compile(r"(<!-- begin: (?P<name>[\w/ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s].*?))?(?: +# (?P<meaning>.*))?$")
OVERRIDE = re.compile(r"override /(?P<group>\w+)[^:]*: (?P<choice>[\w/]+)")
GROUPS = ("model", "data", "init", "train", "agf", "study", "tracking")
STUDY_COLUMNS = Path(__file__).with_name("study_columns.txt")


@dataclass(frozen=True)
class Key:
    """One key of a configuration file."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file: what its first comment says, what it brings along and its keys."""

    choice: str
    description: str
    brings: tuple[str, ...]
    keys: tuple[Key, ...]


def main(arguments: Sequence[str]) -> int:
    """Write both pages, or check them; the exit status."""
    stale = [path for path in (DOCS / "file_formats.md", DOCS / "configuration.md")
             if path.read_text(encoding="utf-8") != updated(path)]
    for path in stale:
        print(f"{path.name} is not up to date" if "--check" in arguments else f"writing {path}")
        if "--check" not in arguments:
            path.write_text(updated(path), encoding="utf-8")
    return int(bool(stale) and "--check" in arguments)


def updated(path: Path) -> str:
    """The page as it should be: everything between `<!-- begin: NAME -->` and `<!-- end -->` made anew."""
    def made(place: re.Match[str]) -> str:
        return f"{place[1]}\n{content(place['name'])}\n\n{place[3]}"

    return PLACE.sub(made, path.read_text(encoding="utf-8"))


def content(name: str) -> str:
    """One generated part, by name."""
    parts = {
        "run tables": run_tables, "ensemble tables": ensemble_tables, "study tables": study_tables,
        "top level": top_level, "experiments": experiments,
    }
    if name in GROUPS:
        return "\n\n".join(group_choices(name))
    return "\n\n".join(parts[name]())


def run_tables() -> Iterator[str]:
    """A table of columns for each table of a run."""
    for schema in SCHEMAS:
        yield f"### {schema.file}"
        yield columns_table(schema.columns)


def ensemble_tables() -> Iterator[str]:
    """The leading columns, and those of members.csv."""
    yield columns_table(LEADING)
    yield f"### {MEMBERS.file}"
    yield columns_table(MEMBERS.columns[len(LEADING):])


def study_tables() -> Iterator[str]:
    """The tables of each study with their columns, where the study's module lists these."""
    meanings = study_meanings()
    for name, study in sorted(registry.studies().items()):
        columns = getattr(importlib.import_module(study.__module__), "COLUMNS", None)
        if columns and set(columns) == set(study.tables):
            yield f"### study={name}"
            for table, names in columns.items():
                yield f"`{table}.csv`"
                yield columns_table(names if isinstance(names[0], Column) else [
                    Column(column, *meanings[name, table, column]) for column in names])


def study_meanings() -> dict[tuple[str, str, str], tuple[ColumnKind, str]]:
    """Kind and meaning by study, table and column, from study_columns.txt."""
    lines = [line for line in STUDY_COLUMNS.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {(study, table, column): (cast(ColumnKind, kind), meaning) for study, table, column, kind, meaning in rows}


def columns_table(columns: Sequence[Column]) -> str:
    """Columns with their kinds and meanings."""
    return markdown_table(("column", "holds", "meaning"),
                          [(f"`{column.name}`", column.kind, column.meaning) for column in columns])


def top_level() -> Iterator[str]:
    """Keys outside all groups."""
    keys = read_config(CONFIGS / "config.yaml", "").keys
    yield keys_table([key for key in keys if key.name != "hydra"], "")


def group_choices(group: str) -> Iterator[str]:
    """Every choice of a group with its keys."""
    for path in sorted((CONFIGS / group).glob("*.yaml")):
        file = read_config(path, path.stem)
        yield f"### {group}={file.choice}"
        yield file.description
        if file.brings:
            yield f"Brings {', '.join(f'`{choice}`' for choice in file.brings)} unless told otherwise."
        keys = [key for key in file.keys if key.name != "name"]
        if keys:
            yield keys_table(keys, f"{group}.")


def experiments() -> Iterator[str]:
    """All experiments with what they say of themselves."""
    folder = CONFIGS / "experiment"
    files = [read_config(path, path.relative_to(folder).with_suffix("").as_posix())
             for path in sorted(folder.rglob("*.yaml"))]
    yield markdown_table(("experiment", "what"), [(f"`{file.choice}`", file.description) for file in files])


def read_config(path: Path, choice: str) -> ConfigFile:
    """Read a configuration file with its comments; nested keys are named with a dot."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments, keys, parent = [], [], ""
    in_head = True
    for line in lines:
        if line.startswith("#"):
            if in_head and "@package" not in line:
                comments.append(line.lstrip("# "))
            continue
        in_head = in_head and not line.strip()
        found = LINE.match(line)
        if found and found["key"] != "defaults":
            parent = found["key"] if not found["indent"] and not found["value"] else parent * bool(found["indent"])
            name = f"{parent}.{found['key']}" if found["indent"] and parent else found["key"]
            if found["value"]:
                keys.append(Key(name, found["value"], found["meaning"] or ""))
    brings = tuple(f"{found['group']}={found['choice']}" for found in map(OVERRIDE.search, lines) if found)
    return ConfigFile(choice, " ".join(comments), brings, tuple(keys))


def keys_table(keys: Sequence[Key], prefix: str) -> str:
    """Keys with their defaults and meanings."""
    return markdown_table(("key", "default", "meaning"),
                          [(f"`{prefix}{key.name}`", f"`{key.default}`", key.meaning) for key in keys])


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
