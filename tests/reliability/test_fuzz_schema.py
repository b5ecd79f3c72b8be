"""Any plain values as a configuration: a validated configuration, or one line that names a key that is there."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun import ConfigError, RunConfig, choices, config_hash, load_config, validate
from agfrun.study import registry
from agfrun.study.conversion import field_types, from_mapping, slots_of
from agfrun.study.memory import available_memory
from agfrun.study.settings import RunSettings, saved_values

EXAMPLES = 300
NUMBERS = st.one_of(
    st.integers(), st.integers(-3, 400), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, 10**30]), st.floats(),
    st.floats(0, 2), st.floats(1e-12, 1e4))
WORDS = st.one_of(st.text(max_size=20), st.sampled_from(
    ["", "auto", "cuda", "png", "mean_over_outputs", "../x.npy", "x.csv", "x.npz", "\x00", "\ud800", "a\nb"]))
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=3)), max_leaves=6)


def of_kind(kind: Any) -> st.SearchStrategy[Any]:
    """Mostly values of a field's type, at any size; some of any other."""
    named = str(kind)
    of_type: st.SearchStrategy[Any] = PLAIN
    if "bool" in named:
        of_type = st.booleans()
    elif "int" in named or "float" in named:
        of_type = NUMBERS
    elif "str" in named:
        of_type = WORDS
    if "list" in named:
        of_type = st.lists(of_type, max_size=5)
    return st.one_of(of_type, of_type, of_type, st.none(), PLAIN)


# A study of each type of settings, of runs the one without settings of its own; its slots, and its configuration as it
# is without a further word.
SETTINGS = {study.settings: name for name, study in registry.studies().items()} | {
    RunConfig: "compare", RunSettings: "claims"}
SLOTS = {name: {slot: {option: kind for option, kind in choices(slot, base).items()
                       if slot != "study" or kind.settings is settings}  # type: ignore[attr-defined]
                for slot, base in slots_of(settings).items()} for settings, name in SETTINGS.items()}
FIELDS = {name: field_types(settings) for settings, name in SETTINGS.items()}
START = {name: saved_values(load_config([f"study={name}"])) for name in SETTINGS.values()}


@st.composite
def mappings(draw: st.DrawFn) -> dict[str, Any]:
    """The configuration of some choices of groups, with a few values changed, keys renamed or left out."""
    study = draw(st.sampled_from(["compare", *START]))  # the one with the most keys more often
    values, slots = copy.deepcopy(START[study]), SLOTS[study]
    for group in slots:
        if draw(st.booleans()):
            name = draw(st.sampled_from(sorted(slots[group])))
            values[group] = dataclasses.asdict(slots[group][name](name)) | {"name": name}
    for _ in range(draw(st.integers(0, 3))):
        group = draw(st.sampled_from(sorted(values)))
        inner = values[group]
        if isinstance(inner, dict) and inner and draw(st.integers(0, 9)):
            key, kinds = draw(st.sampled_from(sorted(inner))), {}
            if group in slots and isinstance(inner.get("name"), str) and inner["name"] in slots[group]:
                kinds = field_types(slots[group][inner["name"]])
            _change(draw, inner, key, kinds.get(key, Any))
        else:
            _change(draw, values, group, FIELDS[study].get(group, Any))
    return values


def _change(draw: st.DrawFn, inner: dict[str, Any], key: str, kind: Any) -> None:
    way = draw(st.sampled_from(["value"] * 8 + ["renamed", "left out", "more"]))
    if way == "value":
        inner[key] = draw(of_kind(kind))
    elif way == "more":
        inner[draw(WORDS)] = draw(PLAIN)
    else:
        old = inner.pop(key)
        if way == "renamed":
            inner[key + draw(st.sampled_from(["s", "_", "x", " "]))] = old


def check(values: dict[str, Any]) -> None:
    try:
        config = from_mapping(values)
    except ConfigError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert str(refusal).startswith(refusal.key)
        assert refusal.allowed.strip()
        return
    assert validate(config) is config
    assert from_mapping(saved_values(config)) == config  # what is written into a run's folder is read back
    assert config_hash(from_mapping(saved_values(config))) == config_hash(config)
    if isinstance(config, RunConfig):
        assert config.data.memory() <= (available_memory() or float("inf"))


def test_there_are_settings_of_several_kinds() -> None:
    assert START.keys() >= {"compare", "claims"}
    assert len(START) >= 3


@settings(max_examples=EXAMPLES)
@given(mappings())
def test_values_are_refused_in_a_line_or_make_a_configuration_that_survives_saving(values: dict[str, Any]) -> None:
    check(values)


@pytest.mark.slow
@settings(max_examples=20 * EXAMPLES)
@given(mappings())
def test_thousands_of_values(values: dict[str, Any]) -> None:
    check(values)


@settings(max_examples=EXAMPLES)
@given(st.dictionaries(WORDS, PLAIN, max_size=4))
def test_what_is_no_configuration_at_all_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        from_mapping(values)
