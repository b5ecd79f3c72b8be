"""A run's folder read back: its configuration, tables and arrays, for figures, pages and whoever else looks at it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from agfrun.files.folders import (
    CONFIG_FILE,
    DONE_FILE,
    FORMAT,
    LABELS_FILE,
    MANIFEST_FILE,
    PARAMETERS_FILE,
    checked_format,
)
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_json, read_object
from agfrun.files.parsing import parse_yaml
from agfrun.files.reading import MOST_YAML, read_text
from agfrun.study import registry
from agfrun.study.claim import CLAIMS
from agfrun.study.errors import OutputError
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study

# What folders of the first format held where they did not say so.
FIRST_STUDY = "compare"


def read_run(run_dir: Path) -> tuple[Study, Saved]:
    """Read the folder of a run of any study.

    Returns:
        The study as it was configured, and what it saved; a table or file that is not there is absent or empty.

    Raises:
        OutputError: the folder is no run, its study is not known here, or one of its files is damaged.
    """
    config = read_config(run_dir)
    study = study_of(run_dir, config)
    from agfrun.files.tables import read_table  # pandas, which reading the configuration alone does not need

    schemas = [schema for schema in (*study.tables, CLAIMS) if is_there(run_dir / schema.file)]
    return study, Saved(
        folder=run_dir, config=config,
        tables={schema.name: read_table(run_dir / schema.file, schema) for schema in schemas},
        arrays=_read_arrays(run_dir / PARAMETERS_FILE), words=read_json(run_dir / LABELS_FILE),
        manifest=read_json(run_dir / MANIFEST_FILE), done=read_json(run_dir / DONE_FILE))


def study_of(run_dir: Path, config: Mapping[str, Any]) -> Study:
    """The study of a folder, with the settings that it was configured with.

    Raises:
        OutputError: the study is not known here.
    """
    name = study_name(config)
    kind = registry.study_type(name)
    if kind is None:
        raise OutputError(f"{run_dir} is a run of the study {name}, which is not known here; name its module with "
                          f"{' '.join(_imports(run_dir)) or '--import'}")
    known = {field.name for field in dataclasses.fields(kind)}
    values = config.get("study")
    made = kind(**{key: value for key, value in values.items() if key in known} if isinstance(values, dict) else {})
    assert isinstance(made, Study)
    return made


def _imports(run_dir: Path) -> list[str]:
    """How modules were named on the command line of a run, as far as its manifest tells."""
    command = read_json(run_dir / MANIFEST_FILE).get("command")
    words = [word for word in command if isinstance(word, str)] if isinstance(command, list) else []
    joined = [word for word in words if word.startswith("--import=")]
    return joined + [f"--import={source}" for flag, source in pairwise(words) if flag == "--import"]


def study_name(config: Mapping[str, Any]) -> str:
    """Name of the study of a configuration that was read back."""
    return str(config_value(config, "study", "name", FIRST_STUDY))


def read_config(run_dir: Path) -> dict[str, Any]:
    """The configuration of a run of any study, as plain values.

    Raises:
        OutputError: the folder is no run, its configuration cannot be read, or its format is none of this version's.
    """
    path = run_dir / CONFIG_FILE
    if not is_there(path):
        raise OutputError(f"{run_dir} is not the folder of a run: it has no {path.name}")
    try:
        config = parse_yaml(read_text(path, MOST_YAML))
    except ValueError as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise OutputError(f"cannot read {path}: it holds no configuration")
    return of_this_format(run_dir, config)


def of_this_format(run_dir: Path, config: dict[str, Any]) -> dict[str, Any]:
    """A saved configuration as this version would say it, without its format number.

    Raises:
        OutputError: this version does not read the folder; the message says which does, or what to do instead.
    """
    number = checked_format(config.pop("format", 1), f"{run_dir} has")
    if number == 1:
        ensemble = config.pop("ensemble", None) or {}
        if ensemble.get("seeds", 1) != 1 or ensemble.get("scales") is not None:
            raise OutputError(f"{run_dir} is an ensemble of agfrun 0.1 (format 1), which this version does not read; "
                              "agfrun -m seed=... makes the same runs as a sweep")
    kind = registry.study_type(study_name(config)) if number < FORMAT else None
    if kind is not None:
        _translate(config, kind.settings, number)  # type: ignore[attr-defined]
    return config


def _translate(config: dict[str, Any], settings: type[RunSettings], number: int) -> None:
    """Say values of a format as they are said now.

    Keys that there are no more are left out, and those that it did not have are added, with what it meant.
    """
    for key in settings.removed():
        group, _, name = key.partition(".")
        if isinstance(config.get(group), dict):
            config[group] = {other: value for other, value in config[group].items() if other != name}
    for key, names in settings.renamed(number).items():
        group, _, name = key.partition(".")
        value = config_value(config, group, name, None)
        if isinstance(value, str) and value in names:
            config[group] = {**config[group], name: names[value]}
    for key, value in settings.unsaid(number).items():
        group, _, name = key.partition(".")
        if isinstance(config.get(group), dict) and name not in config[group]:
            config[group] = {**config[group], name: value}


def config_value(config: Mapping[str, Any], group: str, key: str, default: object) -> Any:
    """One value of a configuration that was read back, or a default."""
    values = config.get(group)
    return values.get(key, default) if isinstance(values, dict) else default


def finished_status(run_dir: Path) -> str | None:
    """The status in done.json; None if there is no such file.

    Raises:
        OutputError: it is damaged, or no regular file.
    """
    path = run_dir / DONE_FILE
    return str(read_object(path).get("status")) if is_there(path) else None


def _read_arrays(path: Path) -> dict[str, Any]:
    if not is_there(path):
        return {}
    from agfrun.files.arrays import read_arrays  # compiled, and most studies save no arrays

    return read_arrays(path)[0]
