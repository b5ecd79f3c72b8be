"""What is shown of a configuration, without running: it is looked through as for a run."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf, flag_override, open_dict
from omegaconf.errors import OmegaConfBaseException

from agfrun.cli.completion import complete
from agfrun.cli.flags import Flags, parser
from agfrun.configuration import composing
from agfrun.configuration.composition import Composition, compose
from agfrun.configuration.hydra_errors import explain
from agfrun.study.config_tree import config_directory
from agfrun.study.errors import UsageError


def show(flags: Flags) -> int:
    """Print what flags ask for; the exit status.

    Raises:
        UsageError: an override cannot be understood, or (ConfigError) a file, key or value is not allowed.
    """
    if flags.hydra_help:
        print(parser().format_help(), end="")
    elif flags.completion:
        complete(flags)
    else:
        composition = compose(flags.overrides, flags.config_dirs)
        print("\n".join(_info(composition, str(flags.info))) if flags.info else _configuration(composition, flags))
    return 0


def _configuration(composition: Composition, flags: Flags) -> str:
    shown = _shown(composition, str(flags.cfg))
    try:
        part = OmegaConf.select(shown, flags.package) if flags.package not in (None, "_global_") else shown
        if part is None:
            raise UsageError(f"--package {flags.package}: there is no such key in --cfg {flags.cfg}")
        if not OmegaConf.is_config(part):
            return str(part)
        if flags.resolve:
            OmegaConf.resolve(part)
        header = "" if part is shown else f"# @package {flags.package}\n"
        written: str = OmegaConf.to_yaml(part)
        return (header + written).rstrip("\n")
    except OmegaConfBaseException as error:
        raise explain(error, flags.overrides) from error


def _shown(composition: Composition, what: str) -> DictConfig:
    """The part that is asked for, without Hydra's own help, of which nothing is used."""
    if what == "job":
        return composition.run
    shown = copy.deepcopy(composition.tree)
    with flag_override(shown.hydra, ["struct", "readonly"], False):
        for key in ("hydra_help", "help"):
            del shown.hydra[key]
    with open_dict(shown):
        for other in [other for other in shown if other != "hydra" and what == "hydra"]:
            del shown[other]
    return shown


def _info(composition: Composition, what: str) -> Iterator[str]:
    if what in ("all", "searchpath"):
        yield "Folders in which configurations are found, the first that has one first:"
        for folder in (str(config_directory()), *composition.config_dirs):
            yield f"  {folder}"
    if what in ("all", "defaults"):
        yield "Configurations that are merged, a later one winning:"
        for file in composing.files_of(composition.overrides, composition.config_dirs):
            yield f"  {file}"
