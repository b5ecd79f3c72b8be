"""The flags of a command line that composes a configuration, wherever they stand among its overrides."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from agfrun.study.errors import UsageError

CFG = ("job", "hydra", "all")
INFO = ("all", "searchpath", "defaults")
COMMANDS = ("--run", "--multirun", "--cfg", "--info", "--shell-completion")
# Hydra's, which take another configuration than the program's for the first.
REFUSED = ("--config-path", "-cp", "--config-name", "-cn")


@dataclass(frozen=True)
class Flags:
    """What a command line asks for.

    Attributes:
        overrides: what stands beside the flags.
        config_dirs: further folders with configurations.
        multirun: run each combination of the values.
        cfg: show this part of the configuration; with `package` only that below a key, with `resolve` looked up.
        info: show this of how configurations are found and merged.
        completion, hydra_help: print the completion script, or the flags.
    """

    overrides: tuple[str, ...]
    config_dirs: tuple[str, ...] = ()
    multirun: bool = False
    cfg: str | None = None
    package: str | None = None
    resolve: bool = False
    info: str | None = None
    completion: bool = False
    hydra_help: bool = False

    @property
    def shows(self) -> bool:
        """Whether something is to be shown, and nothing run."""
        return bool(self.cfg or self.info or self.completion or self.hydra_help)


class Parser(argparse.ArgumentParser):
    """One whose complaints are the one line of any other mistake."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse has to say.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message}; {self.prog} --help shows what there is")


def parser() -> Parser:
    """What reads them."""
    made = Parser(prog="agfrun", add_help=False, allow_abbrev=False, usage="agfrun [FLAG ...] [KEY=VALUE ...]",
                  description="Overrides and flags of the configuration; agfrun --help says more.")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="what differs from the shipped configuration")
    made.add_argument("--multirun", "-m", action="store_true", help="run each combination of KEY=VALUE,VALUE")
    made.add_argument("--run", "-r", action="store_true", help="run once, which is done unless told")
    made.add_argument("--config-dir", "-cd", action="append", default=[], metavar="DIR",
                      help="folder with configurations of your own; may be given more than once")
    made.add_argument("--cfg", "-c", choices=CFG, help="show the configuration without running")
    made.add_argument("--package", "-p", metavar="KEY", help="with --cfg: only what lies below a key")
    made.add_argument("--resolve", action="store_true", help="with --cfg: with what values look up")
    made.add_argument("--info", "-i", choices=INFO, help="show where configurations are found, and which are merged")
    made.add_argument("--shell-completion", "-sc", action="store_true",
                      help="print the completion script: install=SHELL, uninstall=SHELL")
    made.add_argument("--hydra-help", action="store_true", help="show these flags")
    return made


def read_flags(arguments: Sequence[str]) -> Flags:
    """Read a command line.

    Raises:
        UsageError: flags contradict each other, or one is not taken.
    """
    for argument in arguments:
        if argument.partition("=")[0] in REFUSED:
            raise UsageError(f"{argument} is not taken: configurations of your own come with --config-dir DIR, such as "
                             "DIR/experiment/mine.yaml, which is experiment=mine")
    given, unknown = parser().parse_known_intermixed_args(_with_info(arguments))
    for word in unknown:
        raise UsageError(_no_flag(word))
    asked = [given.run, given.multirun, given.cfg is not None, given.info is not None, given.shell_completion]
    if sum(asked) > 1:
        raise UsageError(f"Only one of {', '.join(COMMANDS)} can be asked for at a time")
    if (given.resolve or given.package is not None) and given.cfg is None:
        raise UsageError("--resolve and --package go with --cfg, such as --cfg job")
    return Flags(tuple(given.overrides), tuple(given.config_dir), given.multirun, given.cfg, given.package,
                 given.resolve, given.info, given.shell_completion, given.hydra_help)


def _no_flag(word: str) -> str:
    """What is said of a word that looks like a flag."""
    if meant := difflib.get_close_matches(word, flags(), 1, cutoff=0.8):
        return f"{word} is no flag; did you mean {meant[0]}?"
    key = word.lstrip("-").replace("-", "_")
    return (f"{word} is no flag; keys have no dashes before them, and values follow at once: "
            f"{key if '=' in key else f'{key}=VALUE'}")


def flags() -> list[str]:
    """All flags, in all their forms."""
    return [flag for action in parser()._actions for flag in action.option_strings]


def _with_info(arguments: Sequence[str]) -> list[str]:
    """`--info` alone asks for all of it; what stands after it is its value only if it can be."""
    made, after = list[str](), [*arguments, ""][1:]
    for argument, following in zip(arguments, after, strict=True):
        alone = argument in ("--info", "-i") and following not in INFO
        made += [argument, INFO[0]] if alone else [argument]
    return made
