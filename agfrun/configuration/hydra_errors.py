"""Hydra's errors, which span many lines and speak of its inner workings, as one line for the user."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from agfrun.study import registry
from agfrun.study.config_tree import config_directory
from agfrun.study.conversion import slots_of, unknown_key
from agfrun.study.conversion import suiting as suiting_choices
from agfrun.study.errors import AgfrunError, ConfigError, OutputError, UsageError, closest, did_you_mean

_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")
_NOISE = re.compile(
    r"See https://hydra\.cc.*|Config search path:[\s\S]*|\n\s*(full_key|object_type|reference_type)[:=].*"
)
_EXPERIMENTS_STUDY = re.compile(r"override /study: (\w+)")
_DEFAULT_STUDY = re.compile(r"^  - study: (\w+)", re.MULTILINE)
_NO_WORD = "Config group override must be"
_AMBIGUOUS = re.compile(r"Ambiguous value for argument '([^=']+)=(.*)'")


def values_by_key(overrides: Sequence[str]) -> dict[str, str]:
    """The value of each override as it was written, by key; of two for one key, the last."""
    return {key.lstrip("+~"): value for key, _, value in (override.partition("=") for override in overrides)}


def explain(error: Exception, overrides: Sequence[str]) -> AgfrunError:
    """One line for what Hydra raised while it read the command line and composed the configuration.

    Args:
        error: what Hydra, OmegaConf or the creation of the run folder raised.
        overrides: the command line's overrides.

    Returns:
        The error to show: it names the key, the value as it was written, and what is allowed.
    """
    if isinstance(error, AgfrunError):
        return error
    if isinstance(error, MissingConfigException):
        return _unknown_choice(error)
    if isinstance(error, OverrideParseException):
        return _malformed(error.override, _one_line(error.message))
    if isinstance(error, OSError):
        if error.filename is None:
            return OutputError(f"the current folder cannot be used: {error.strerror}")
        return OutputError(f"the run folder {error.filename} cannot be made: {error.strerror}; "
                           "choose another with hydra.run.dir=DIR, for a sweep with hydra.sweep.dir=DIR")
    if found := _AMBIGUOUS.search(str(error)):
        key, value = found.groups()
        return ConfigError(key, value, f"for a list write {key}=[{value}], to run each add --multirun")
    if found := _UNKNOWN_KEY.search(str(error)):
        return _unknown_key(getattr(error.__cause__, "full_key", None) or found[1], overrides)
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        written = values_by_key(overrides).get(error.full_key, "")
        return ConfigError(error.full_key, written, _one_line(error.msg or str(error)))
    if str(error).startswith(_NO_WORD) and (refused := _no_choice(values_by_key(overrides))):
        return refused
    cause = f": {error.__cause__}" if error.__cause__ else ""
    # Some messages do not say what they are about.
    keys = values_by_key(overrides)
    named = not keys or any(key and key in str(error) for key in keys)
    return UsageError(_one_line(f"{'' if named else ' '.join(overrides) + ': '}{error}{cause}"))


def _unknown_key(key: str, overrides: Sequence[str]) -> ConfigError:
    """`key` is what Hydra missed: an override's key, the start of it, or a key within its value."""
    values = values_by_key(overrides)
    starting = sorted((written for written in values if f"{written}.".startswith(f"{key}.")), key=len)
    # A value {KEY: ...} has keys; the choice of a group, study=width beside study.widhts=[6], has none.
    around = [written for written in values if key.startswith(f"{written}.") and values[written].startswith("{")]
    if not starting + around:
        return _unsuitable(values, asked_study(overrides)) or unknown_key(key, None, asked_study(overrides))
    written = (starting + around)[0]
    return unknown_key(max(written, key, key=len), values[written], asked_study(overrides))


def _unsuitable(values: Mapping[str, str], study: str) -> ConfigError | None:
    """A choice of another laboratory, whose file chooses for groups that the study does not have."""
    kind = registry.study_type(study)
    slots = slots_of(kind.settings) if kind is not None else {}  # type: ignore[attr-defined]
    for group in slots.keys() & values.keys():
        outside, choice = registry.registered(group), values[group]
        suiting = {*suiting_choices(group, study),
                   *(name for name, of in outside.items() if issubclass(of, slots[group]))}
        if choice in {*_shipped_choices(group), *outside} and choice not in suiting:
            return ConfigError(group, choice, f"choose one of {', '.join(sorted(suiting))} with study={study}")
    return None


def asked_study(overrides: Sequence[str]) -> str:
    """The study that overrides ask for, be it through an experiment; the default one if none does."""
    values = values_by_key(overrides)
    if "study" in values:
        return values["study"]
    experiment = config_directory() / "experiment" / f"{values.get('experiment', '')}.yaml"
    if experiment.is_file() and (found := _EXPERIMENTS_STUDY.search(experiment.read_text(encoding="utf-8"))):
        return found[1]
    default = _DEFAULT_STUDY.search((config_directory() / "config.yaml").read_text(encoding="utf-8"))
    return default[1] if default else ""


def _unknown_choice(error: MissingConfigException) -> UsageError:
    """A group without the chosen file, or no such primary configuration."""
    group, _, choice = (error.missing_cfg_file or "").rpartition("/")
    outer, _, inner = group.partition("/")
    options = set(error.options or _shipped_choices(outer))
    if not group or not options:
        return UsageError(_one_line(str(error)))
    if (config_directory() / outer).is_dir() and outer != "hydra":
        # A choice in a folder of its group, experiment=paper/attention, is written with that folder.
        group, choice = outer, f"{inner}/{choice}" if inner else choice
        options |= {f"{path.parent.name}/{path.stem}" for path in (config_directory() / outer).glob("*/*.yaml")}
    suggestion = did_you_mean(closest(choice, options))
    return ConfigError(group, choice, f"choose one of {', '.join(sorted(options))}{suggestion}")


def _no_choice(values: Mapping[str, str]) -> ConfigError | None:
    """The group whose choice is no word, of which Hydra says neither group nor choice."""
    for key, value in values.items():
        if (options := _shipped_choices(key)) and value not in options:
            return ConfigError(key, value, f"choose one of {', '.join(sorted(options))}")
    return None


def _shipped_choices(group: str) -> set[str]:
    return {path.stem for path in (config_directory() / group).glob("*.yaml")} if group else set()


def _malformed(override: str, message: str) -> UsageError:
    key, equals, value = override.partition("=")
    hint = f"check its brackets, commas and quotes: {message}"
    if "LexerNoViableAlt" in message or "token recognition" in message or '"' in value:
        written = shlex.quote(f"{key}={QuotedString(value, Quote.double).with_quotes()}")
        hint = ("check its brackets, commas and quotes; a text with such characters stands in quotes, which the shell "
                f"is to leave: {written}")
    if not equals:
        hint = "write KEY=VALUE, for instance init.scale=1e-4; agfrun --help shows more"
    return UsageError(f"{_one_line(override)} cannot be read; {hint}")


def _one_line(text: str) -> str:
    """The text without line breaks, links to Hydra's manual and OmegaConf's notes on types."""
    return " ".join(_NOISE.sub("", text).split())
