"""What `agfrun --help` says: the laboratories and how to begin; with `study=NAME` the keys of that study.

Everything is read from the configuration's files and the laboratories' own lines: neither Hydra nor torch is imported,
so that the answer is there at once.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from agfrun.study.config_tree import config_directory, shipped_choices, slot_groups
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.registry import LABS, STUDY, laboratory_of_study

WIDTH = 100
HELP_FLAGS = ("--help", "-h")
# Hydra's word, in the first line of a file, for one that is not of its group alone.
GLOBAL = "@package _global_"
# Groups of config.yaml that are no part of a run's configuration.
BESIDE_GROUPS = ("hydra", "experiment")

ABOUT = """\
agfrun is a laboratory for how neural networks learn, and what functions they can be: one command trains or
computes, compares with what theory says, and leaves tables, figures and a page.
"""
USAGE = """\
Usage:
  agfrun [study=NAME] [GROUP=CHOICE ...] [KEY=VALUE ...]   one run; study=compare unless told
  agfrun --multirun KEY=VALUE,VALUE ...          one run for each combination of the values, on all cores
  agfrun collect SWEEP_DIR                       gather the tables and figures of a sweep, also while it runs
  agfrun resume RUN_DIR ...                      go on with runs that were interrupted or killed
  agfrun rerun RUN_DIR                           do a run again from its manifest, and compare
  agfrun plot RUN_DIR ...                        redraw the figures of runs from their files
  agfrun report RUN_DIR ...                      write report.html anew, or one page of several runs
  agfrun claims [KEY=VALUE ...]                  decide the claims of the papers, one by one
  agfrun study=NAME --help                       the keys of one study, with what they mean
"""
EXAMPLES = """\
Examples:
  agfrun model=quadratic_modadd
  agfrun model=diagonal_linear init.scale=1e-8
  agfrun experiment=diagonal_5d
  agfrun data.p=31 data.frequencies=[2,4,7] data.amplitudes=[12,6,3] model.width=36 agf=decoupled
  agfrun --multirun seed=0,1,2 init.scale=1e-2,1e-3 train=gradient_descent train.momentum=0.9

Results go to outputs/<model or study>/<date>_<time>/, or where hydra.run.dir=DIR says: tables (CSV), the
configuration, arrays, plots/ and the page report.html. done.json is written last.

Flags:
  --cfg job          show the configuration without running
  --config-dir DIR   add configurations of your own (DIR/data/mine.yaml becomes data=mine)
  --import FILE      add a network, data set or study of your own: a Python file or module
  --info             show where configurations are found and how they are merged
  --version          show the version
  --hydra-help       show the flags of Hydra, which composes the configuration
  --shell-completion install=bash   print the completion script: eval "$(agfrun -sc install=bash)"
"""


@dataclass(frozen=True)
class _File:
    """One file of the tree: what its first comment says, what it chooses for other groups, and its keys as written.

    One that `is_global` names groups beside its own, and its keys have the group before them. One that `builds_on`
    other choices of its group has their keys too.
    """

    says: str
    chooses: dict[str, str]
    keys: list[str]
    is_global: bool = False
    builds_on: tuple[str, ...] = ()


def greeting() -> str:
    """What `agfrun` alone says: the laboratories, how to begin in each, and where to look further."""
    lines = [ABOUT]
    for name in _names_of_laboratories():
        laboratory = importlib.import_module(f"{LABS}.{name}")
        lines += [f"{name}: {laboratory.QUESTION}", f"  {laboratory.FIRST_COMMAND}", ""]
    return "\n".join([*lines, "agfrun --help shows everything else; agfrun study=NAME --help the keys of one study."])


def help_text(arguments: Sequence[str]) -> str:
    """The help for a command line.

    Args:
        arguments: what stands beside `--help`: `study=NAME` asks for the keys of that study, further choices of groups
            (`model=NAME`) for theirs.

    Raises:
        ConfigError: there is no such study, or choice of a group.
    """
    trees = [*_further_trees(arguments), config_directory()]
    chosen = dict(argument.split("=", 1) for argument in arguments if "=" in argument and not argument.startswith("-"))
    if STUDY not in chosen:
        return "\n".join([ABOUT, USAGE, *_laboratories(), "", *_groups(), "", EXAMPLES.rstrip()])
    return "\n".join(_study(trees, chosen))


def _laboratories() -> Iterator[str]:
    """Each laboratory with its question, its first command, and its studies in a line each."""
    yield "Laboratories, the command to begin with, and their studies:"
    studies: dict[str, list[str]] = {}
    for study in shipped_choices(STUDY):
        studies.setdefault(laboratory_of_study(study), []).append(study)
    for name in _names_of_laboratories():
        laboratory = importlib.import_module(f"{LABS}.{name}")
        yield ""
        yield f"{name}: {laboratory.QUESTION}"
        yield f"  {laboratory.FIRST_COMMAND}"
        yield from _lines_of_studies(studies.get(name, []))
    if studies.get(""):
        yield ""
        yield "for all laboratories:"
        yield from _lines_of_studies(studies[""])


def _names_of_laboratories() -> list[str]:
    labs = importlib.import_module(LABS)
    return [module.name for module in pkgutil.iter_modules(labs.__path__)]


def _lines_of_studies(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        says = _read(config_directory() / STUDY / f"{name}.yaml").says
        yield from textwrap.wrap(f"study={name:<22} {says}", WIDTH, initial_indent="    ",
                                 subsequent_indent=" " * 33, break_long_words=False, break_on_hyphens=False)


def _groups() -> Iterator[str]:
    yield "Groups and their choices (a study has some of them; the model chooses what suits it):"
    for group in [*(group for group in slot_groups() if group != STUDY), "experiment"]:
        tree = config_directory() / group
        names = sorted(path.relative_to(tree).with_suffix("").as_posix() for path in tree.rglob("*.yaml"))
        yield from textwrap.wrap(f"{group}: {', '.join(names)}", WIDTH, initial_indent="  ", subsequent_indent="    ",
                                 break_long_words=False, break_on_hyphens=False)


def _study(trees: Sequence[Path], chosen: dict[str, str]) -> Iterator[str]:
    """The keys of a study, of the choices of its groups, and of every run."""
    name = chosen[STUDY]
    file = _find(trees, STUDY, name)
    yield f"study={name}: {file.says}"
    yield from _section(f"study={name}", "study", file)
    laboratory = file.chooses.get("laboratory") or laboratory_of_study(name)
    for group, choice in _brought(trees, file, chosen).items():
        yield from _group(trees, group, choice, laboratory)
    everywhere = _read(config_directory() / "config.yaml")
    yield ""
    yield "of every run:"
    yield from (f"  {line}" for line in everywhere.keys)
    for group, choice in everywhere.chooses.items():
        if group not in (*BESIDE_GROUPS, STUDY):
            yield from _group(trees, group, chosen.get(group, choice), laboratory)


def _group(trees: Sequence[Path], group: str, choice: str, laboratory: str) -> Iterator[str]:
    part = _find(trees, group, choice)
    suiting = ", ".join(_suiting(trees, group, laboratory))
    yield ""
    yield from textwrap.wrap(f"{group}={choice}: {part.says} (choices: {suiting})", WIDTH, subsequent_indent="  ",
                             break_long_words=False, break_on_hyphens=False)
    yield from _keys(group, part)


def _section(heading: str, group: str, file: _File) -> Iterator[str]:
    if file.keys:
        yield ""
        yield f"{heading}:"
        yield from _keys(group, file)


def _suiting(trees: Sequence[Path], group: str, laboratory: str) -> list[str]:
    """The choices of a group: those of a laboratory, those of any, and those of the user's own folders."""
    shipped = {name for name, of in shipped_choices(group).items() if of in ("", laboratory)}
    return sorted(shipped | {path.stem for tree in trees[:-1] for path in (tree / group).glob("*.yaml")})


def _keys(group: str, file: _File) -> Iterator[str]:
    for line in file.keys:
        yield f"  {group}.{line}" if line[:1].strip() and not file.is_global else f"  {line}"


def _brought(trees: Sequence[Path], file: _File, chosen: dict[str, str]) -> dict[str, str]:
    """The groups that a study has, with the choice of each that is made, down to what a chosen model chooses."""
    found: dict[str, str] = {}
    for group, choice in file.chooses.items():
        if group == "laboratory":
            found = {**_find(trees, group, choice).chooses, **found}
        else:
            found[group] = choice
    for group in list(found):
        part = _find(trees, group, chosen.get(group, found[group]))
        found |= {other: choice for other, choice in part.chooses.items()
                  if other in found and other not in file.chooses}
    return found | {group: choice for group, choice in chosen.items() if group in found}


def _find(trees: Sequence[Path], group: str, name: str) -> _File:
    for tree in trees:
        if (path := tree / group / f"{name}.yaml").is_file():
            file = _read(path)
            for base in file.builds_on:
                file = _on(_find(trees, group, base), file)
            return file
    known = sorted({path.stem for tree in trees for path in (tree / group).glob("*.yaml")})
    raise ConfigError(group, name, f"choose one of {', '.join(known)}{did_you_mean(closest(name, known))}")


def _on(base: _File, file: _File) -> _File:
    """A file with what it takes from another choice of its group: keys, and what its own keys mean."""
    theirs, own = _by_key(base.keys), _by_key(file.keys)
    for key in theirs.keys() & own.keys():
        first, says = own[key][0], theirs[key][0].partition(" # ")[2]
        if says and " # " not in first:
            own[key][0] = f"{first} # {says}"
    keys = {**theirs, **own}
    return replace(file, chooses={**base.chooses, **file.chooses}, keys=[line for of in keys.values() for line in of])


def _by_key(lines: Sequence[str]) -> dict[str, list[str]]:
    """The lines of each key, those that are indented below it among them."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines:
        key = line.partition(":")[0] if line[:1].strip() else key
        found.setdefault(key, []).append(line)
    return found


def _read(path: Path) -> _File:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    is_shipped = path.parent.parent == config_directory()
    laboratory = shipped_choices(path.parent.name).get(path.stem, "") if is_shipped else ""
    says = " ".join(part for part in comment if part != GLOBAL).removeprefix(f"{laboratory}: ")
    content = yaml.safe_load(text) or {}
    chooses, defaults = {}, content.get("defaults", [])
    for entry in defaults:
        for key, choice in entry.items() if isinstance(entry, dict) else ():
            group = str(key).removeprefix("override ").lstrip("/").partition("@")[0]
            chooses[group] = str(choice)
    start = next((place for place, line in enumerate(lines) if line[:1].isalpha() and not line.startswith(
        ("defaults:", "name:"))), len(lines))
    keys = [line for line in lines[start:] if line.strip()]
    is_global = GLOBAL in comment
    builds_on = tuple(entry for entry in defaults if isinstance(entry, str) and entry not in ("_self_", path.stem))
    return _File(says, chooses, list(_dotted(keys)) if is_global else keys, is_global, builds_on)


def _dotted(lines: Sequence[str]) -> Iterator[str]:
    """The lines of a file that names whole groups, with the group before each key."""
    group = ""
    for line in lines:
        if line[:1].strip():
            key, _, rest = line.partition(":")
            group = key if not rest.partition("#")[0].strip() else ""
            if not group:
                yield line
        elif group and line[:3].startswith("  ") and line[2:3].strip():
            if not line.strip().startswith("name:"):
                yield f"{group}.{line[2:]}"
        else:
            yield line


def _further_trees(arguments: Sequence[str]) -> list[Path]:
    """Folders that the command line adds with `--config-dir`."""
    found = []
    for place, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            value = value or (arguments[place + 1] if place + 1 < len(arguments) else "")
            found.append(Path(os.path.expanduser(value)))
    return found
