"""What a search varies: keys of the configuration with their ranges or choices, each checked before the first run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agfrun.labs.staircases.config import RunConfig
from agfrun.study.checks import require
from agfrun.study.conversion import field_types, from_mapping, unknown_key
from agfrun.study.errors import ConfigError
from agfrun.study.settings import NOT_IN_HASH

DEFAULT_SPACE = {"init.scale": [1e-8, 1e-2, "log"]}
LOG = "log"
# How a run is done rather than what it is, or what the search itself settles.
NOT_VARIED = (*NOT_IN_HASH, "study", "ensemble", "seed", "device")
FORM = "[low, high], [low, high, log] or a list of choices"


@dataclass(frozen=True)
class Dimension:
    """One key that varies: from `low` to `high`, or among `choices` where these are given."""

    key: str
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: Any) -> Any:
        """A value from an Optuna trial."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.logarithmic)
        return trial.suggest_float(self.key, self.low, self.high, log=self.logarithmic)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that stand for all in a check of the configuration."""
        return self.choices or ((int(self.low), int(self.high)) if self.whole else (self.low, self.high))


def dimensions(config: RunConfig, space: Mapping[str, Any] | None) -> list[Dimension]:
    """The dimensions of a space; null is the default one.

    Raises:
        ConfigError: a key is unknown or cannot vary, a range is none, or its ends are no values of the key.
    """
    asked = DEFAULT_SPACE if space is None else space
    require("study.space", dict(asked), bool(asked), f"at least one key with {FORM}")
    made = [_dimension(config, key, choice) for key, choice in asked.items()]
    for entry in made:
        for value in entry.ends:
            with_values(config, {entry.key: value})
    return made


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The single run of a configuration with other values for some dotted keys, validated.

    Raises:
        ConfigError: a key is unknown, or a value not allowed.
    """
    plain: dict[str, Any] = dataclasses.asdict(config) | {"study": {"name": "compare"}}
    if "init.scale" in values:
        plain["init"]["log10_scale"] = None  # it would stand in for the scale
    for key, value in values.items():
        *groups, last = key.split(".")
        place: Any = plain
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise unknown_key(key, value, config.study.name)
        place[last] = value
    made: RunConfig = from_mapping(plain)
    return made


def _dimension(config: RunConfig, key: str, choice: Any) -> Dimension:
    name = f"study.space.{key}"
    if key.partition(".")[0] in NOT_VARIED or key.endswith(".name") or "." not in key and key != "dtype":
        raise ConfigError(name, choice, "this key cannot vary in a search")
    require(name, choice, isinstance(choice, list) and len(choice) >= 2, FORM)
    if not all(map(_is_number, choice[:2])) or len(choice) > 2 and choice[2:] != [LOG]:
        require(name, choice, all(isinstance(value, str | int | float) for value in choice)
                and len(set(map(str, choice))) == len(choice), f"{FORM}, all different")
        return Dimension(key, choices=tuple(choice))
    low, high, logarithmic = choice[0], choice[1], choice[2:] == [LOG]
    require(name, choice, low < high and (low > 0 or not logarithmic), "[low, high] with low < high, above 0 with log")
    return Dimension(key, low, high, logarithmic, _is_whole(config, key))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(config: RunConfig, key: str) -> bool:
    group, _, last = key.partition(".")
    part = getattr(config, group, None)
    return dataclasses.is_dataclass(part) and field_types(type(part)).get(last) in (int, int | None)
