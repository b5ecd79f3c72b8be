from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfrun import ConfigError, GradientDescentConfig, ModelConfig, RunConfig, choices
from agfrun.study.conversion import from_mapping, unknown_key

MODEL_NAMES = f"choose one of {', '.join(choices('model', ModelConfig))} with study=compare"


def mapping(**changes: Any) -> dict[str, Any]:
    """The defaults as nested plain values; `init__scale=1` sets values["init"]["scale"]."""
    values = dataclasses.asdict(RunConfig())
    for path, value in changes.items():
        *groups, key = path.split("__")
        target = values
        for group in groups:
            target = target[group]
        target[key] = value
    return values


def test_a_saved_configuration_comes_back_equal() -> None:
    config = RunConfig(train=GradientDescentConfig(max_steps=100, momentum=0.9), seed=4)
    assert from_mapping(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_the_given_values_are_not_changed() -> None:
    values = mapping(data__amplitudes=[10, 5, 2])
    before = copy.deepcopy(values)
    from_mapping(values)
    assert values == before


def test_numbers_are_converted_only_without_loss() -> None:
    config = from_mapping(mapping(data__amplitudes=[10, 5, 2], data__p=31.0, agf__max_events=1e2))
    data = config.data
    assert data.amplitudes == [10.0, 5.0, 2.0]  # type: ignore[attr-defined]
    assert all(type(amplitude) is float for amplitude in data.amplitudes)  # type: ignore[attr-defined]
    assert (data.p, type(data.p)) == (31, int)  # type: ignore[attr-defined]
    assert (config.agf.max_events, type(config.agf.max_events)) == (100, int)


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("seed", True, "must be an integer"),
        ("seed", 1.5, "must be an integer"),
        ("seed", float("nan"), "must be an integer"),
        ("seed", float("inf"), "must be an integer"),
        ("seed", None, "must be an integer"),
        ("data__p", "twenty", "must be an integer"),
        ("data__p", "20", "must be an integer; write it without quotes, blanks and commas, such as 1000"),
        ("train__horizon", "1 000", "must be a number, or null; write it without quotes, blanks and commas, such as "
                                    "0.0015 or 1.5e-3"),
        ("init__scale", False, "must be a number"),
        ("init__scale", "small", "must be a number"),
        ("init__scale", 10**400, "must be a number"),
        ("train__horizon", "long", "must be a number, or null"),
        ("plots", 1, "must be true or false"),
        ("plots", "yes", "must be true or false"),
        ("dtype", None, "must be a word"),
        ("dtype", 64, "choose one of float64, float32"),
        ("data__frequencies", 3, "must be a list of integers such as [1,3,5]"),
        ("data__frequencies", "1,3", "must be a list of integers such as [1,3,5]"),
        ("data__frequencies", [1, 3.5, 5], "must be a list of integers such as [1,3,5]"),
        ("data__amplitudes", [10, "5", 2], "must be a list of numbers such as [10,5,2.5]"),
        ("init", 3, "must be a group of keys: {key: value, ...}"),
        ("model", "relu", "must be a group of keys: {key: value, ...}; a choice, model=relu, stands among a file's "
                          "defaults: - override /model: relu"),
        ("model__name", "diagonal", f"{MODEL_NAMES}; did you mean diagonal_linear?"),
        ("model__name", ["diagonal_linear"], MODEL_NAMES),
    ],
)
def test_wrong_types_are_refused(path: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(mapping(**{path: value}))
    assert caught.value.key == path.replace("__", ".")
    assert caught.value.allowed == allowed


@pytest.mark.parametrize("group", ["model", "data", "init", "train"])
def test_a_missing_group_or_name_is_refused(group: str) -> None:
    values = mapping()
    del values[group]["name"]
    with pytest.raises(ConfigError, match=rf"^{group}\.name=null .*choose one of "):
        from_mapping(values)
    del values[group]
    with pytest.raises(ConfigError, match=rf"^{group}=null .*choose one of "):
        from_mapping(values)


MORE = "agfrun study=compare --help shows all"
BELONGS = "it belongs to train=adam and train=adamw and train=gradient_descent and train=optimizer"


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("init.scal", f"there is no such key; did you mean init.scale? {MORE}"),
        ("train.momentm", f"there is no such key; did you mean train.momentum? {MORE}"),
        ("scale", f"there is no such key; did you mean init.scale? {MORE}"),
        ("learning_rate", f"there is no such key; did you mean train.learning_rate? {MORE}"),
        ("modle", f"there is no such key; did you mean model? {MORE}"),
        ("data.scale", f"there is no such key; did you mean init.scale? {MORE}"),
        ("init.foo", f"there is no such key; init has the keys name, scale, log10_scale, stream, path, key; {MORE}"),
        ("optimizer", f"there is no such key; did you mean train.optimizer? {MORE}"),
        ("hydra.runn", "there is no such key; agfrun --cfg hydra shows the keys"),
        ("train.momentum", BELONGS),
        ("data.frequencies", "it belongs to data=modular_addition"),
        ("train.loss_normalization", BELONGS),
        ("study.widths", "it belongs to study=paper_relu and study=width"),
    ],
)
def test_an_unknown_key_says_where_to_look(key: str, allowed: str) -> None:
    error = unknown_key(key, 1, "compare")
    assert str(error).startswith(f"{key}=1 is not allowed: ")
    assert error.allowed == allowed


def test_a_group_that_is_not_there_is_told_from_a_misspelt_one() -> None:
    told = unknown_key("trian.momentum", 1, "compare").allowed
    assert told.startswith("study=compare has no trian; it has study, seed, ")
    assert told.endswith("; did you mean train.momentum?")


@pytest.mark.parametrize("key", ["init.scale", "model.width", "train", "data.p"])
def test_a_group_that_only_other_studies_have_is_refused_by_the_studys_name(key: str) -> None:
    told = unknown_key(key, 1, "claims").allowed
    group = key.partition(".")[0]
    assert told == (f"study=claims has no {group}; it has study, seed, device, dtype, plots, plot_formats, report, "
                    "overwrite, checkpoint, sweep, tracking")


def test_without_a_study_the_keys_of_every_run_are_known() -> None:
    assert unknown_key("seeed", 1).allowed == (
        "there is no such key; did you mean seed? agfrun --cfg job shows the keys")


def test_a_key_of_another_choice_is_refused_by_conversion() -> None:
    with pytest.raises(ConfigError, match=rf"^train\.momentum=0\.9 .*{BELONGS}$"):
        from_mapping(mapping(train__momentum=0.9))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PATHS = [f"{group}__{key}" for group, value in mapping().items() if isinstance(value, dict) for key in value]


@given(path=st.sampled_from([*mapping(), *PATHS]), value=JSON)
def test_any_value_is_either_accepted_or_refused_by_key(path: str, value: Any) -> None:
    outcome = outcome_of(mapping(**{path: value}))
    if isinstance(outcome, ConfigError):
        groups = {path.split("__")[0], "data"}  # the data must fit the model
        assert outcome.key.split(".")[0] in groups
        assert "\n" not in str(outcome)


def outcome_of(values: dict[str, Any]) -> RunConfig | ConfigError:
    try:
        return from_mapping(values)
    except ConfigError as error:
        return error


def test_errors_survive_the_way_between_processes() -> None:
    error = ConfigError("data.p", 1, "must be an integer of at least 2")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
