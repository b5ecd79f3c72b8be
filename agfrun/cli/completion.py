"""What a shell offers for a word that is being typed: commands, flags, groups with their choices, keys."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.completion_plugin import CompletionPlugin

from agfrun.cli.commands import COMMANDS
from agfrun.cli.flags import Flags, flags
from agfrun.cli.help import HELP_FLAGS
from agfrun.configuration import composing
from agfrun.study.config_tree import config_directory
from agfrun.study.errors import UsageError

CLAIMS = "claims"  # of which keys follow, as of no command
FURTHER_FLAGS = (*HELP_FLAGS, "--import", "--version")
# In which the scripts of the shells hand over what was typed so far.
LINE = "COMP_LINE"


def complete(asked_for: Flags) -> None:
    """Print the script for a shell, or what may follow, which the script asks for.

    Raises:
        UsageError: neither is asked for, or for a shell that is not known.
    """
    shells: dict[str, Any] = {plugin.provides(): plugin  # type: ignore[attr-defined]
                              for plugin in Plugins.instance().discover(CompletionPlugin)}
    asked = dict(override.split("=", 1) for override in asked_for.overrides if "=" in override)
    (command, shell), = asked.items() if len(asked) == 1 else [("", "")]
    if command not in ("install", "uninstall", "query") or shell not in shells:
        raise UsageError(f"--shell-completion goes with install=SHELL or uninstall=SHELL; "
                         f"shells are {', '.join(sorted(shells))}")
    with composing.behaving():
        plugin = shells[shell](composing.loader(asked_for.config_dirs))
        if command == "query":
            print(" ".join(offered(os.environ.get(LINE, ""), plugin)))
        else:
            getattr(plugin, command)()


def offered(line: str, plugin: CompletionPlugin) -> list[str]:
    """The words that may stand at the end of a line; none where the names of files do.

    Args:
        line: as typed so far, with the program's name.
        plugin: Hydra's of a shell, which knows groups and keys.
    """
    typed = line.split()[1:]
    word = typed.pop() if typed and not line[-1].isspace() else ""
    if word.startswith("-"):
        return sorted(flag for flag in (*flags(), *FURTHER_FLAGS) if flag.startswith(word))
    if typed and typed[0] in COMMANDS:
        return []
    commands = [] if typed else sorted(name for name in (*COMMANDS, CLAIMS) if name.startswith(word))
    found = _of_configuration([*typed, word], plugin)
    return [*commands, *found, *(name for name in _nested(word) if name not in found)]


def _nested(word: str) -> list[str]:
    """Choices in folders of a group, which Hydra does not offer: `experiment=paper/relu`."""
    group, given, _ = word.partition("=")
    tree = config_directory() / group
    if not given or not re.fullmatch(r"[\w/]+", group) or not tree.is_dir():
        return []
    names = sorted(path.relative_to(tree).with_suffix("").as_posix() for path in tree.glob("*/*.yaml"))
    return [name for name in (f"{group}={name}" for name in names) if name.startswith(word)]


def _of_configuration(words: Sequence[str], plugin: CompletionPlugin) -> list[str]:
    """What Hydra offers for the last word, given the overrides among the others; nothing it cannot make sense of."""
    *before, word = words
    overrides = [text for text in before if "=" in text and not text.startswith("-")]
    written, before_line = io.StringIO(), os.environ.get(LINE)
    os.environ[LINE] = " ".join(["agfrun", *overrides, word])
    try:
        # Whatever is said here would stand in the middle of what is being typed.
        with redirect_stdout(written), redirect_stderr(io.StringIO()):
            plugin.query(config_name=composing.PRIMARY)
    except Exception:  # half a word is nothing that can be composed
        return []
    finally:
        os.environ.pop(LINE)
        if before_line is not None:
            os.environ[LINE] = before_line
    return written.getvalue().split()
