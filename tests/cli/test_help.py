"""What `agfrun --help` says, of the program and of each study."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from outside_laboratory import CONFIGS

from agfrun import ConfigError, load_config
from agfrun.cli.help import greeting, help_text
from agfrun.study import registry
from agfrun.study.config_tree import config_directory, shipped_choices, slot_groups
from agfrun.study.conversion import suiting

STUDIES = list(shipped_choices("study"))
# None of them may be needed to answer.
HEAVY = ("hydra", "omegaconf", "torch", "pandas", "numpy", "matplotlib")
COMMAND = f"""
import sys
from agfrun.cli.main import main
status = main(sys.argv[1:])
print("imported:", *(name for name in {HEAVY} if name in sys.modules))
sys.exit(status)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["study=compare", "--help"], ["study=claims", "-h"]],
                         ids=" ".join)
def test_help_needs_nothing_that_takes_time_to_import(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True,
                          timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{help_text(arguments)}\nimported:\n"
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_laboratory_with_the_command_to_begin_with() -> None:
    text = help_text(["--help"])
    names = registry.laboratories()
    assert len(names) >= 2
    for name in names:
        laboratory = importlib.import_module(f"agfrun.labs.{name}")
        assert f"\n{name}: {laboratory.QUESTION}\n  {laboratory.FIRST_COMMAND}\n" in text


def test_help_names_every_study_below_its_laboratory() -> None:
    text = help_text(["--help"])
    heads = [(match.start(), match[1]) for match in re.finditer(r"^(\w[\w ]*): ?.*$", text, re.MULTILINE)]
    for study in STUDIES:
        places = [match.start() for match in re.finditer(rf"^    study={study}\s", text, re.MULTILINE)]
        assert len(places) == 1, study
        below = max(head for head in heads if head[0] < places[0])[1]
        assert below == (registry.laboratory_of_study(study) or "for all laboratories")


def test_help_names_every_choice_of_every_group() -> None:
    words = " ".join(help_text(["--help"]).split())
    for group in (*(group for group in slot_groups() if group != "study"), "experiment"):
        tree = config_directory() / group
        choices = sorted(path.relative_to(tree).with_suffix("").as_posix() for path in tree.rglob("*.yaml"))
        assert f" {group}: {', '.join(choices)} " in words


def test_every_example_is_a_configuration() -> None:
    """Of values to sweep over, the first; a list in brackets is one value."""
    examples = re.findall(r"^  agfrun (.*)$", help_text([]).split("Examples:")[1].split("Results")[0], re.MULTILINE)
    assert len(examples) == 5
    firsts = [importlib.import_module(f"agfrun.labs.{name}").FIRST_COMMAND.removeprefix("agfrun ")
              for name in registry.laboratories()]
    for example in [*examples, *firsts]:
        words = [word.strip("'") for word in example.split() if word != "--multirun"]
        load_config([word if "[" in word else word.split(",")[0] for word in words])


def keys_in(text: str) -> list[str]:
    """The dotted keys that a text explains, `  model.width: 3 # neurons`, and those of indented groups."""
    found, group = [], ""
    for line in text.splitlines():
        match = re.match(r"(  |    )([a-z][\w.]*):( |$)", line)
        if match is None:
            continue
        name = match[2] if match[1] == "  " else f"{group}.{match[2]}"
        rest = line[match.end():].strip()
        if match[1] == "  " and (not rest or rest.startswith("#")):
            group = name  # the keys of it follow
        else:
            found.append(name)
    return found


def keys_of(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")
        elif key != "name":  # comes with the choice of a group
            yield prefix + key


def composed_keys(*overrides: str) -> list[str]:
    """The keys that the configuration of a study has."""
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", list(overrides)), resolve=False)
    assert isinstance(composed, dict)
    return list(keys_of(composed))


@pytest.mark.parametrize("study", STUDIES)
def test_the_help_of_a_study_has_its_keys_and_nothing_elses(study: str) -> None:
    text = help_text([f"study={study}", "--help"])
    assert sorted(keys_in(text)) == sorted(composed_keys(f"study={study}"))
    assert text.startswith(f"study={study}: ")
    groups = re.findall(r"^(\w+)=(\w+): ", text, re.MULTILINE)[1:]
    config = load_config([f"study={study}"])
    # The choice of `agf` leaves no name behind.
    assert all(getattr(config, group).name == name for group, name in groups if group != "agf")
    assert {"tracking"} <= dict(groups).keys() <= set(slot_groups())
    for group, _ in groups:
        assert ", ".join(sorted(suiting(group, study))) in " ".join(text.split())


@pytest.mark.parametrize("chosen", [["model=relu"], ["model=diagonal_linear", "train=gradient_descent"],
                                    ["data=gaussian_modular_addition"], ["agf=decoupled"]], ids=" ".join)
def test_further_choices_ask_for_their_keys(chosen: list[str]) -> None:
    text = help_text(["study=compare", *chosen, "--help"])
    assert sorted(keys_in(text)) == sorted(composed_keys("study=compare", *chosen))
    if "agf=decoupled" in chosen:  # its file builds on another, and says nothing of what the keys mean
        assert "  agf.threshold: 0.2 # norm at which a dormant neuron becomes active\n" in text


@pytest.mark.parametrize("words", [["study=walk"], ["study=walk", "terrain=hills"], ["study=rest"],
                                   ["study=compare", "model=product"], ["study=compare", "train=strict_flow"]],
                         ids=" ".join)
def test_studies_and_choices_from_outside_are_explained_from_their_files(words: list[str]) -> None:
    text = help_text([*CONFIGS, *words, "--help"])
    assert sorted(keys_in(text)) == sorted(composed_keys(*words, f"hydra.searchpath=[file://{CONFIGS[1]}]"))
    if "study=walk" in words:
        assert "(choices: flat, hills)" in text
        assert "  length: 5 # steps\n" in text
        assert "  pace.stride: 1 # of a step\n" in text
        assert "init" not in text.partition("of every run:")[0]


@pytest.mark.parametrize(("arguments", "said"), [
    (["study=widht", "--help"], r"^study=widht is not allowed: choose one of agreement, .*; did you mean width\?$"),
    (["study=width", "model=rleu", "-h"], r"^model=rleu is not allowed: choose one of .*; did you mean relu\?$"),
])
def test_help_for_what_there_is_not(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        help_text(arguments)


def test_the_program_alone_greets_and_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND], cwd=tmp_path, capture_output=True, text=True, timeout=600,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{greeting()}\nimported:\n"
    lines = done.stdout.splitlines()
    for name in registry.laboratories():
        assert any(line.startswith(f"{name}: ") for line in lines)
    assert sum(line.startswith("  agfrun ") for line in lines) == len(registry.laboratories())
    assert max(map(len, lines)) <= 110
    assert list(tmp_path.iterdir()) == []
