from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agfrun import (
    AgfConfig,
    ConfigError,
    DataConfig,
    GradientDescentConfig,
    InitConfig,
    ModelConfig,
    RunConfig,
    UsageError,
    choices,
    load_config,
)
from agfrun.labs.staircases.networks.diagonal_linear.data import RandomRegressionConfig, RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.study import registry
from agfrun.study.config_tree import config_directory, shipped_choices, shipped_keys, slot_groups
from agfrun.study.conversion import field_types, slots_of, suiting

CONFIGS = config_directory()
DIAGONAL = "model=diagonal_linear"


HYPERBOLIC = Path(__file__).resolve().parents[1] / "labs/hyperbolic/data"
# Data of the user's own need a file, whose contents are looked at later.
FILES = {
    "data=custom_linear_map": ["data.input_covariance=a.npy", "data.target_map=b.csv"],
    "data=custom_modular_addition": ["data.path=a.npy"],
    "data=custom_group_sequences": ["data.path=a.npy"],
    "data=samples_file": ["data.path=a.npz"],
    "data=parallel_text": ["data.path=a.csv"],
    "data=bases_file": ["data.path=a.npy"],
    "data=recordings": ["data.path=a"],
    "data=saved_latents": ["data.path=a"],
    # These are read when they are checked: sets that cannot be compared are refused before anything is written.
    "data=labelled_points": [f"data.path={HYPERBOLIC}/labelled.csv"],
    "data=features": [f"data.path={HYPERBOLIC}/labelled.csv", "data.neighbours=2"],
    "data=two_sets": [f"data.a={HYPERBOLIC}/a.csv", f"data.b={HYPERBOLIC}/b.csv"],
    "init=file": ["init.path=a.npy"],
    # Of an extra that is not among those of the tests.
    "experiment=stitching_sentences": ["data.sentences=[]"],
}


def settings_of_slots() -> dict[tuple[str, type], str]:
    """Each slot of the settings of a study, with what its choices derive from; a study that takes all of them."""
    found: dict[tuple[str, type], str] = {}
    for name in sorted(registry.studies(), key=lambda name: name not in ("compare", "dimension")):
        for slot, base in slots_of(registry.studies()[name].settings).items():  # type: ignore[attr-defined]
            found.setdefault((slot, base), name)
    return found


SLOTS = settings_of_slots()


def companions(choice: str) -> list[str]:
    """The study and model that a choice of a group needs to be valid, and files."""
    group, _, option = choice.partition("=")
    study = next((name for (slot, base), name in SLOTS.items() if slot == group and option in choices(slot, base)),
                 "compare")
    if study != "compare" and group != "study":
        return [f"study={study}", *FILES.get(choice, [])]
    for name, model in choices("model", ModelConfig).items():
        if (group == "data" and issubclass(choices("data", DataConfig)[option].provides, model.data_type)) or (
                group == "init" and (option in model.initializations
                                     or choices("init", InitConfig)[option].of_any_network)):
            return [f"model={name}", *FILES.get(choice, [])]
    return FILES.get(choice, [])


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


ALL_GROUPS = [*slot_groups(), "experiment"]
ALL_OPTIONS = [f"{group}={option}" for group in ALL_GROUPS for option in options(group)]


def test_the_tree_is_that_of_the_repository() -> None:
    assert Path(__file__).resolve().parents[2] / "configs" == CONFIGS
    assert {"model", "data", "init", "train", "agf", "study", "tracking"} <= set(slot_groups())
    # A group is a slot of some study's settings, or one of its plain groups of keys.
    assert set(slot_groups()) == {slot for slot, _ in SLOTS} | {"agf", "tracking"}


def test_defaults_are_those_of_the_schema() -> None:
    assert load_config() == RunConfig()


@pytest.mark.parametrize("choice", ALL_OPTIONS)
def test_every_option_composes_and_validates(choice: str) -> None:
    config = load_config([choice, *companions(choice)])
    group, _, option = choice.partition("=")
    if group in {slot for slot, _ in SLOTS}:
        assert getattr(config, group).name == option


@pytest.mark.parametrize(("slot", "base"), SLOTS, ids=[f"{study}-{slot}" for (slot, _), study in SLOTS.items()])
def test_every_choice_of_the_schema_has_a_file_with_its_defaults(slot: str, base: type) -> None:
    study = SLOTS[slot, base]
    assert list(choices(slot, base)) == sorted(shipped_choices(slot) if slot == "study" else suiting(slot, study))
    for option, kind in choices(slot, base).items():
        choice = f"{slot}={option}"
        composed = dataclasses.asdict(getattr(load_config([choice, *companions(choice)]), slot))
        expected = dataclasses.asdict(kind(option))
        if slot == "init":  # one dataclass for all initializations; the scale is the file's
            assert composed.keys() == expected.keys()
        elif choice == "train=gradient_descent":
            assert composed == expected | {"loss_normalization": load_config().model.loss_normalization}
        else:
            given = {file.partition("=")[0].partition(".")[2] for file in FILES.get(choice, [])}
            assert {key: value for key, value in composed.items() if key not in given} == {
                key: value for key, value in expected.items() if key not in given}


def test_the_diagonal_model_brings_the_papers_example() -> None:
    config = load_config([DIAGONAL])
    assert config.model == DiagonalLinearConfig()
    assert config.data == RotatedRegressionConfig()
    assert config.init == InitConfig(name="deterministic", scale=1e-6)


def test_the_command_line_wins_over_the_model() -> None:
    config = load_config([DIAGONAL, "data=random_regression", "init=gaussian", "init.scale=1e-3",
                          "train=gradient_descent"])
    assert config.data == RandomRegressionConfig()
    assert config.init == InitConfig(name="gaussian", scale=1e-3)
    assert config.train == GradientDescentConfig(loss_normalization="paper")


def test_the_five_dimensional_experiment() -> None:
    config = load_config(["experiment=diagonal_5d"])
    assert config.model == DiagonalLinearConfig()
    assert config.data == RandomRegressionConfig(dimension=5, samples=20, data_seed=10)
    assert config.init == InitConfig(name="deterministic", scale=1e-16)


def test_the_command_line_wins_over_an_experiment() -> None:
    config = load_config(["experiment=diagonal_5d", "data=rotated_regression", "init.scale=1e-4"])
    assert config.data == RotatedRegressionConfig()
    assert config.init.scale == 1e-4


def test_the_optimizer_descends_the_loss_that_the_model_names() -> None:
    config = load_config(["train=gradient_descent", "model.loss_normalization=sum_over_outputs"])
    assert config.train.loss_normalization == "sum_over_outputs"  # type: ignore[attr-defined]


def test_the_decoupled_variant() -> None:
    assert load_config(["agf=decoupled"]).agf == AgfConfig(cost_phase="decoupled", threshold=0.2, loss_tolerance=1e-6)


def test_overrides_of_every_type() -> None:
    data = ["data.p=31", "data.frequencies=[2,4,7]", "data.amplitudes=[12,6,3]"]
    others = ["plots=false", "plot_formats=[pdf]", "agf.max_time=100"]
    config = load_config([*data, "train=gradient_descent", "train.max_steps=2e5", *others])
    assert dataclasses.asdict(config.data) == {
        "name": "modular_addition", "p": 31, "frequencies": [2, 4, 7], "amplitudes": [12.0, 6.0, 3.0],
        "phases": None,
    }
    assert dataclasses.asdict(config.train)["max_steps"] == 200_000
    assert (config.plots, config.plot_formats, config.agf.max_time) == (False, ["pdf"], 100.0)


# Overrides, and what the one line that refuses them must hold.
REFUSED = [
    ("model=foo", "model=foo is not allowed: choose one of diagonal_linear, "),
    ("experiment=paper/atention", "experiment=paper/atention is not allowed: choose one of "),
    ("experiment=paper/atention", "did you mean paper/attention?"),
    ("experiment=paper_overview", "did you mean paper/overview?"),
    ("model=diagonal_liner", "did you mean diagonal_linear?"),
    ("model=RELU", "did you mean relu?"),
    ("init.SCALE=1", "did you mean init.scale?"),
    ("experiment=diagonal_5", "did you mean diagonal_5d?"),
    ("model=", 'model="" is not allowed: choose one of'),
    ("train.lr=0.1", "train.lr=0.1 is not allowed: there is no such key; did you mean train.learning_rate?"),
    ("train.steps=10", "did you mean train.max_steps?"),
    ("train.batch=10", "did you mean train.batch_size?"),
    ("train.compile=true", "train.compile=true is not allowed: there is no such key any more: steps are compiled by "
                           "themselves"),
    ("init.scal=1", "init.scal=1 is not allowed: there is no such key; did you mean init.scale?"),
    ("+init.foo=1", "init.foo=1 is not allowed: there is no such key; init has the keys name, scale, log10_scale"),
    ("init.scale.x=1", "init.scale.x=1 is not allowed: there is no such key"),
    ("data={a:1}", "data.a={a:1} is not allowed: there is no such key; data has the keys"),
    ("hydra.runn.dir=x", "hydra.runn.dir=x is not allowed: there is no such key; agfrun --cfg hydra"),
    ("study.widhts=[6,9]", "study.widhts=[6,9] is not allowed: there is no such key; did you mean study.widths?"),
    ("study.scales=[1e-3,1e-4]", "study.scales=[1e-3,1e-4] is not allowed: there is no such key"),
    ("train.momentum=0.9",
     "train.momentum=0.9 is not allowed: it belongs to train=adam and train=adamw and train=gradient_descent"),
    ("model.name=diagonal_linear", "it comes with the group; write model=NAME"),
    ("~data", f"choose one of {', '.join(choices('data', DataConfig))}"),
    ("data=null", "data=null"),
    ("data=[1]", "data=[1]"),
    ("data=random_regression", "modular_addition with model=quadratic_modadd"),
    ("data.p=abc", "data.p=abc is not allowed: must be an integer"),
    ("data.p='1 000'", "must be an integer; write it without quotes, blanks and commas, such as 1000"),
    ("data.p=1", "data.p=1 is not allowed: must be an integer of at least 2"),
    ("data.frequencies=[1,99]", "data.frequencies=[1,99] is not allowed: must be a list of frequencies"),
    ("model.width=0", "model.width=0 is not allowed: must be an integer of at least 1"),
    ("init.scale=-1", "init.scale=-1 is not allowed: must be a number above 0"),
    ("init.scale=1e-400", "init.scale=1e-400 is not allowed: must be a number above 0"),
    ("init.scale='1,5e-3'", "must be a number; write it without quotes, blanks and commas, such as 0.0015 or 1.5e-3"),
    ("init.scale=", 'init.scale="" is not allowed: must be a number'),
    ("init.scale=???", "init.scale=??? is not allowed"),
    ("init.scale=${nowhere}", "init.scale=${nowhere} is not allowed"),
    ("seed=1,2", "for a list write seed=[1,2], to run each add --multirun"),
    ("foo", "foo cannot be read; write KEY=VALUE"),
    ("=3", "=3"),
    ("data.frequencies=[1,2", "data.frequencies=[1,2 cannot be read; check its brackets"),
    ("init.scale=1e-2]", "init.scale=1e-2] cannot be read; check its brackets"),
]


@pytest.mark.parametrize(("override", "line"), REFUSED, ids=[override for override, _ in REFUSED])
def test_a_wrong_override_is_refused_in_one_line(override: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config([override])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("choice", ["study=vanishing_init", "model=diagonal_linear", "+study={a:1}"])
def test_a_wrong_key_is_named_with_its_own_value(choice: str) -> None:
    with pytest.raises(ConfigError, match=r"^study\.scales=\[1e-3,1e-4\] .* there is no such key"):
        load_config([choice, "study.scales=[1e-3,1e-4]"])


@pytest.mark.parametrize("slot", ["model", "data", "study"])
def test_keys_read_from_the_files_are_those_of_the_schema(slot: str) -> None:
    assert {name: set(keys) for name, keys in shipped_keys(slot).items()} == {
        name: set(field_types(kind)) for (group, base) in SLOTS if group == slot
        for name, kind in choices(slot, base).items()}


def test_of_two_values_for_one_key_the_last_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^data\.p=1 "):
        load_config(["data.p=31", "data.p=1"])
