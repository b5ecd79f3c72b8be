"""The one place that has Hydra compose: it reads files and merges them, and is asked for nothing else.

Hydra keeps what it runs, and as which of its versions it behaves, in singletons. A program that has a Hydra of its own
finds them as they were: a loader is used by itself, without them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig

from agfrun.configuration.hydra_folders import register_resolvers
from agfrun.study.config_tree import config_directory
from agfrun.study.errors import UsageError

PRIMARY = "config"
BEHAVIOUR = "1.3"


def loader(config_dirs: Sequence[str] = ()) -> ConfigLoader:
    """Hydra's reader of configurations, of the shipped ones and of those in further folders.

    Raises:
        UsageError: a folder is not there.
    """
    for folder in config_dirs:
        if not Path(folder).is_dir():
            raise UsageError(f"the folder of configurations '{folder}' not found; --config-dir DIR names one that "
                             "holds GROUP/NAME.yaml, such as DIR/experiment/mine.yaml")
    Plugins.instance()  # which knows what reads files
    search = ConfigSearchPathImpl()
    search.append("hydra", "pkg://hydra.conf")
    search.append("main", f"file://{config_directory()}")
    for folder in config_dirs:
        search.append("command-line", f"file://{folder}")
    search.append("schema", "structured://")
    return ConfigLoaderImpl(search)


def load(overrides: Sequence[str], config_dirs: Sequence[str] = (), multirun: bool = False) -> DictConfig:
    """Compose: the whole tree, with its `hydra` node, unresolved.

    Args:
        overrides: as on the command line.
        config_dirs: further folders with configurations.
        multirun: leave out overrides that sweep over values, instead of refusing them.
    """
    mode = RunMode.MULTIRUN if multirun else RunMode.RUN
    with behaving():
        return loader(config_dirs).load_configuration(PRIMARY, list(overrides), mode)


def files_of(overrides: Sequence[str], config_dirs: Sequence[str], multirun: bool = False) -> list[str]:
    """What is merged, in this order: `GROUP/NAME` of each file."""
    mode = RunMode.MULTIRUN if multirun else RunMode.RUN
    with behaving():
        made = loader(config_dirs).compute_defaults_list(PRIMARY, list(overrides), mode)
    return [str(entry.config_path) for entry in made.defaults]


@contextmanager
def behaving() -> Iterator[None]:
    """Let Hydra behave as the version that the configurations were written for, within the block alone."""
    register_resolvers()
    kept = version.VersionBase.instance()
    before = kept.version_base
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Hydra 1.4 says of this
        version.setbase(BEHAVIOUR)
    try:
        yield
    finally:
        kept.version_base = before
