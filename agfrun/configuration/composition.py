"""Composition of the configuration tree into the typed configuration.

Imports no torch, and Hydra only where it composes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agfrun.study.config_tree import config_directory, slot_groups
from agfrun.study.conversion import chosen_study, from_mapping, slots_of
from agfrun.study.errors import AgfrunError, ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def load_config(overrides: Sequence[str] = ()) -> Any:
    """Compose the shipped configuration, as the command line does.

    Args:
        overrides: as on the command line, for instance `["model=diagonal_linear", "init.scale=1e-8"]`.

    Returns:
        The validated settings of the study that is chosen, ready for `agfrun.execute`.

    Raises:
        UsageError: an override cannot be understood, or (ConfigError) its key or value is not allowed.
    """
    return from_composed(_compose(overrides), overrides)


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

    search = [f"hydra.searchpath=[{','.join('file://' + folder for folder in config_dirs)}]"] if config_dirs else []
    try:
        base = _compose([*common, *search])
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


def _compose(overrides: Sequence[str]) -> DictConfig:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from agfrun.configuration import guard as hydra_guard  # Hydra
    from agfrun.configuration.hydra_errors import explain  # Hydra

    hydra_guard.install()
    # A study composes further networks while the command line's own Hydra runs, which allows for no second one.
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return compose("config", overrides=list(overrides))
    except Exception as error:  # Hydra lets ValueError, TypeError and more of its own through
        raise explain(error, overrides) from error
    finally:
        GlobalHydra.instance().hydra = running


def _parsed(overrides: Sequence[str]) -> list[tuple[str, Any]]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from agfrun.configuration.hydra_errors import explain  # Hydra

    try:
        return [(override.get_key_element(), override.value())
                for override in OverridesParser.create().parse_overrides(list(overrides))]
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

    from agfrun.configuration.hydra_errors import explain, values_by_key  # Hydra

    written = values_by_key(overrides)
    _refuse_names(slot_groups(), written)
    try:
        values: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
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
