"""Composition of the configuration tree into the typed configuration.

Imports no torch, and Hydra only where it composes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agfrun.study.config_tree import slot_groups
from agfrun.study.conversion import chosen_study, from_mapping, slots_of
from agfrun.study.errors import AgfrunError, ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Composition:
    """What Hydra composed, looked through.

    Attributes:
        tree: all of it, with Hydra's own node, unresolved.
        overrides: behind it, of the run and of Hydra.
        config_dirs: the further folders in which configurations are found.
    """

    tree: DictConfig
    overrides: tuple[str, ...]
    config_dirs: tuple[str, ...]

    @property
    def run(self) -> DictConfig:
        """The configuration of the run alone."""
        from omegaconf import open_dict

        alone = copy.deepcopy(self.tree)
        with open_dict(alone):
            del alone["hydra"]
        return alone

    @property
    def run_overrides(self) -> list[str]:
        """The overrides of the run alone."""
        return [text for text in self.overrides if not text.lstrip("+~").startswith(("hydra.", "hydra/", "hydra="))]

    @property
    def asks_for_sweep(self) -> bool:
        """Whether an experiment, or `hydra.mode`, makes a sweep of it."""
        return getattr(self.value("hydra.mode"), "name", None) == "MULTIRUN"

    def value(self, key: str) -> Any:
        """A value of the tree, all it looks up done.

        Raises:
            UsageError: it cannot be, or is missing.
        """
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        from agfrun.configuration.hydra_errors import explain  # Hydra

        try:
            found = OmegaConf.select(self.tree, key, throw_on_missing=True)
            return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
        except OmegaConfBaseException as error:
            raise explain(error, self.overrides) from error


def load_config(overrides: Sequence[str] = ()) -> Any:
    """Compose the shipped configuration, as the command line does.

    Args:
        overrides: as on the command line, for instance `["model=diagonal_linear", "init.scale=1e-8"]`.

    Returns:
        The validated settings of the study that is chosen, ready for `agfrun.execute`.

    Raises:
        UsageError: an override cannot be understood, or (ConfigError) its key or value is not allowed.
    """
    return from_composed(compose(overrides).run, overrides)


def compose_varied(common: Sequence[str], varied: Sequence[Sequence[str]],
                   config_dirs: Sequence[str] = ()) -> list[Any]:
    """The configurations of many runs that have most in common: `load_config([*common, *more])` for each `more`.

    Composition takes a tenth of a second; that of plain values on top of it takes a hundredth of that.

    Args:
        common: overrides of all runs.
        varied: overrides `KEY=VALUE` of keys that exist, for each run, of values alone (no group's choice).
        config_dirs: further folders with configurations.

    Returns:
        For each run its configuration, or why it has none.
    """
    from omegaconf import OmegaConf

    from agfrun.configuration.guard import check_value  # Hydra

    try:
        base = compose(common, config_dirs).run
    except AgfrunError as error:
        return [error] * len(varied)
    made: list[Any] = []
    for more in varied:
        composed = base.copy()
        try:
            for key, value in _parsed(more):
                check_value(key, value)
                OmegaConf.update(composed, key, value)
            made.append(from_composed(composed, [*common, *more]))
        except AgfrunError as error:
            made.append(error)
    return made


def compose(overrides: Sequence[str] = (), config_dirs: Sequence[str] = (), multirun: bool = False) -> Composition:
    """Compose and look through what came of it.

    Args:
        overrides: as on the command line.
        config_dirs: further folders with configurations.
        multirun: overrides may sweep over values; the composition is that without those.

    Raises:
        UsageError: an override cannot be understood, or (ConfigError) a file, key or value is not allowed.
    """
    from agfrun.configuration import composing, guard, preset_files  # Hydra
    from agfrun.configuration.hydra_errors import explain  # Hydra
    from agfrun.configuration.overrides import at_home, searched  # Hydra

    try:
        folders, words = searched(at_home(overrides), config_dirs)
        preset_files.check_named(words, folders)
        tree = composing.load(words, folders, multirun)
        guard.check_typed(words)
        alone = None
        if folders:
            preset_files.check_used(composing.files_of(words, folders, multirun), folders)
            alone = composing.load(guard.words_of_command_line(words), folders, multirun)
        guard.check(tree, words, alone)
        return Composition(tree, tuple(words), tuple(folders))
    except Exception as error:  # Hydra lets ValueError, TypeError and more of its own through
        raise explain(error, overrides) from error


def _parsed(overrides: Sequence[str]) -> list[tuple[str, Any]]:
    from agfrun.configuration.hydra_errors import explain  # Hydra
    from agfrun.configuration.overrides import at_home, parsed  # Hydra

    try:
        return [(override.get_key_element(), override.value()) for override in parsed(at_home(overrides))]
    except Exception as error:
        raise explain(error, overrides) from error


def from_composed(composed: DictConfig, overrides: Sequence[str] = ()) -> Any:
    """Resolve what Hydra composed and convert it to the validated, typed configuration.

    Args:
        composed: Hydra's configuration, without its `hydra` node.
        overrides: the overrides behind it; an error repeats a value as it was written there.

    Raises:
        UsageError: an interpolation cannot be resolved, or (ConfigError) a key or value is not allowed.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from agfrun.configuration.guard import check_resolved  # Hydra
    from agfrun.configuration.hydra_errors import explain, values_by_key  # Hydra

    written = values_by_key(overrides)
    _refuse_names(slot_groups(), written)
    try:
        values: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        check_resolved(values)
        _refuse_names(slots_of(chosen_study(values).settings), written)
        return from_mapping(values)
    except OmegaConfBaseException as error:
        raise explain(error, overrides) from error
    except ConfigError as error:
        raise ConfigError(error.key, written.get(error.key, error.value), error.allowed) from error


def _refuse_names(slots: Iterable[str], written: Mapping[str, str]) -> None:
    """Refuse `SLOT.name=...`, which would leave the keys of another choice in their place."""
    for slot in slots:
        if (key := f"{slot}.name") in written:
            raise ConfigError(key, written[key], f"it comes with the group; write {slot}=NAME")
