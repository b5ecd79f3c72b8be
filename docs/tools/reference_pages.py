"""Write the tables of docs/file_formats.md and docs/configuration.md, from studies and configuration files.

`python docs/tools/reference_pages.py` writes them; with `--check` the exit status is 1 if they are not up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agfrun import Column, Number, Schema
from agfrun.study import registry
from agfrun.study.claim import CLAIMS
from agfrun.study.config_tree import config_directory, shipped_choices

DOCS = Path(__file__).resolve().parents[1]
CONFIGS = config_directory()
PLACE = re.compile(r"(<!-- begin: (?P<name>[\w/ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s].*?))?(?: +# (?P<meaning>.*))?$")
CHOICE = re.compile(r"^  - (?:override )?/(?P<group>\w+)[^:]*: (?P<choice>[\w/]+)")
GROUPS = ("model", "data", "init", "train", "agf", "study", "tracking")
RUN = "compare"


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
    parts = {"run tables": run_tables, "claims": claims, "run numbers": run_numbers, "study tables": study_tables,
             "top level": top_level, "experiments": experiments}
    if name in GROUPS:
        return "\n\n".join(group_choices(name))
    return "\n\n".join(parts[name]())


def run_tables() -> Iterator[str]:
    """The tables of a run of the default study."""
    for schema in _study(RUN).tables:
        yield f"### {schema.file}"
        yield f"{_sentence(schema)[:1].upper()}{_sentence(schema)[1:]}."
        yield columns_table(schema.columns)


def claims() -> Iterator[str]:
    """The table of claims, which every run has."""
    yield columns_table(CLAIMS.columns)


def run_numbers() -> Iterator[str]:
    """The numbers of a run of the default study."""
    yield numbers_table(_study(RUN).numbers)


def study_tables() -> Iterator[str]:
    """Tables and numbers of every other study; a table that another has too is shown once."""
    shown = {(schema.file, schema.columns): RUN for schema in _study(RUN).tables}
    for name, study in sorted(registry.studies().items()):
        if name == RUN:
            continue
        yield f"### study={name}"
        others: dict[str, list[str]] = {}
        for schema in study.tables:  # type: ignore[attr-defined]
            other = shown.setdefault((schema.file, schema.columns), name)
            if other == name:
                yield f"`{schema.file}`: {_sentence(schema)}."
                yield columns_table(schema.columns)
            else:
                others.setdefault(other, []).append(f"`{schema.file}`")
        for other, files in others.items():
            yield f"As in study={other}: {', '.join(files)}."
        if study.numbers:  # type: ignore[attr-defined]
            yield "In `done.json`:"
            yield numbers_table(study.numbers)  # type: ignore[attr-defined]


def _study(name: str) -> type:
    kind = registry.study_type(name)
    assert kind is not None
    return kind


def _sentence(schema: Schema) -> str:
    """What a table holds, and what a sweep does with it."""
    gathered = {"all": "", "thinned": "; thinned in sweeps", "none": "; not gathered by sweeps"}[schema.in_sweeps]
    return f"{schema.meaning}{'; further columns follow' if schema.open else ''}{gathered}"


def columns_table(columns: Sequence[Column]) -> str:
    """Columns with their kinds and meanings."""
    return markdown_table(("column", "holds", "meaning"),
                          [(f"`{column.name}`", column.kind, column.meaning) for column in columns])


def numbers_table(numbers: Sequence[Number]) -> str:
    """Numbers with their kinds and meanings."""
    return markdown_table(("number", "holds", "meaning"),
                          [(f"`{number.name}`", number.kind, number.meaning) for number in numbers])


def top_level() -> Iterator[str]:
    """Keys outside all groups."""
    keys = read_config(CONFIGS / "config.yaml", "").keys
    yield keys_table(list(keys), "")


def group_choices(group: str) -> Iterator[str]:
    """Every choice of a group with its keys."""
    laboratories = shipped_choices(group)
    for path in sorted((CONFIGS / group).glob("*.yaml")):
        laboratory = laboratories[path.stem]
        file = read_config(path, path.stem)
        yield f"### {group}={file.choice}"
        yield file.description.removeprefix(f"{laboratory}: ")
        if group == "study":
            yield from _groups_of(file)
        elif file.brings:
            yield f"Brings {', '.join(f'`{choice}`' for choice in file.brings)} unless told otherwise."
        if len(set(laboratories.values())) > 1:
            yield f"Laboratory: {laboratory}."
        keys = [key for key in file.keys if key.name != "name"]
        if keys:
            yield keys_table(keys, f"{group}.")


def _groups_of(file: ConfigFile) -> Iterator[str]:
    """The groups that a study has, each with its choice."""
    chosen: dict[str, str] = {}
    for brought in file.brings:
        group, _, choice = brought.partition("=")
        named = read_config(CONFIGS / group / f"{choice}.yaml", choice)
        chosen |= dict(part.split("=") for part in named.brings) if group == "laboratory" else {}
        if group != "laboratory":
            # A model chooses what suits it among the groups that there are.
            chosen |= {group: choice, **{key: value for key, value in (part.split("=") for part in named.brings)
                                         if key in chosen}}
    if chosen:
        yield f"Groups: {', '.join(f'`{group}={choice}`' for group, choice in chosen.items())}, unless told otherwise."


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
    brings = tuple(f"{found['group']}={found['choice']}" for found in map(CHOICE.search, lines) if found)
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
