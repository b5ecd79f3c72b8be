from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from agfrun import DataConfig, InitConfig, ModelConfig, RunSettings, Study, TrainConfig, UsageError
from agfrun.study import registry
from agfrun.study.config_tree import shipped_choices
from agfrun.study.conversion import suiting

LABORATORY: dict[str, type] = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "init": InitConfig}
OWN = """
from dataclasses import dataclass

from agfrun import ModelConfig, Samples, register

@register("model")
@dataclass
class OwnConfig(ModelConfig):
    name: str = "{name}"
    data_type = Samples
"""


@pytest.fixture(autouse=True)
def registrations_are_undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for slot, base in LABORATORY.items():  # what is imported within a test would be forgotten, and not imported again
        registry.choices(slot, base)
    registry.studies()
    before = set(sys.modules)
    monkeypatch.setattr(registry, "_CHOICES", {slot: dict(known) for slot, known in registry._CHOICES.items()})
    monkeypatch.setattr(registry, "_NAMED", [])
    yield
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.mark.parametrize("slot", LABORATORY)
def test_every_registered_name_is_its_configurations_default(slot: str) -> None:
    base = LABORATORY[slot]
    known = registry.choices(slot, base)
    assert list(known) == sorted(suiting(slot, "compare"))
    for name, config in known.items():
        assert issubclass(config, base)
        assert slot == "init" or config().name == name  # one class for all initializations


def test_every_study_is_found_by_its_name_and_lies_in_a_file_of_that_name() -> None:
    known = registry.studies()
    assert list(known) == sorted(shipped_choices("study"))
    for name, study in known.items():
        assert issubclass(study, Study)
        assert issubclass(study.settings, RunSettings)
        assert study().name == name  # type: ignore[call-arg]
        assert registry.study_type(name) is study
        assert study.__module__.rpartition(".")[2] == name
        assert registry.laboratory_of_study(name) == registry.laboratory_of(study.__module__)


def test_choices_are_those_of_a_type() -> None:
    @dataclass
    class Other:
        name: str = "own_other"

    registry.register("model")(Other)
    assert "own_other" in registry.choices("model")
    assert "own_other" not in registry.choices("model", ModelConfig)
    assert registry.choices("model", Other) == {"own_other": Other}
    assert "own_other" in registry.registered("model")
    assert registry.choices("own_slot") == registry.registered("own_slot") == {}


def test_one_class_may_have_several_names() -> None:
    @dataclass
    class Shape:
        name: str

    registry.register("own_slot", "own_round", "own_square")(Shape)
    assert registry.choices("own_slot", Shape) == {"own_round": Shape, "own_square": Shape}


def test_a_name_is_taken_once_a_class_has_it_unless_its_module_is_imported_anew() -> None:
    def made(qualname: str) -> type:
        @dataclass
        class Own:
            name: str = "own_twice"

        Own.__qualname__ = qualname
        return Own

    registry.register("own_slot")(made("Own"))
    again = made("Own")
    registry.register("own_slot")(again)
    assert registry.choices("own_slot")["own_twice"] is again
    with pytest.raises(ValueError, match="own_twice is already registered by"):
        registry.register("own_slot")(made("Another"))


@pytest.mark.parametrize("slot", ["study", "model", "data", "train", "init", "tracking"])
def test_what_is_shipped_cannot_be_replaced_from_outside(slot: str) -> None:
    """Be it imported already or not."""
    @dataclass
    class Own:
        name: str = min(shipped_choices(slot))

    with pytest.raises(ValueError, match=f"^{Own.name} is already registered by"):
        registry.register(slot)(Own)


@pytest.mark.parametrize("name", ["widht", "__init__", "", "*", "**x", "[a", "..", "../../config", "a/b", "/etc/x",
                                  "a\x00"])
def test_no_such_study(name: str) -> None:
    assert registry.study_type(name) is None
    assert registry.laboratory_of_study(name) == ""


def test_every_network_can_be_built_on_some_data() -> None:
    for model in registry.choices("model", ModelConfig).values():
        assert any(issubclass(data.provides, model.data_type)
                   for data in registry.choices("data", DataConfig).values())


def test_a_file_registers_what_it_defines(tmp_path: Path) -> None:
    path = tmp_path / "own_network.py"
    path.write_text(OWN.format(name="own"))
    registry.import_module(str(path))
    assert registry.choices("model", ModelConfig)["own"].__module__ == "own_network"
    assert registry.named_modules() == (str(path),)
    registry.import_module(str(path))  # a second time changes nothing
    assert registry.named_modules() == (str(path),)


def test_a_module_is_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_module.py").write_text(OWN.format(name="own_by_name"))
    monkeypatch.syspath_prepend(tmp_path)
    registry.import_module("own_module")
    assert "own_by_name" in registry.choices("model", ModelConfig)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("own_missing.py", None, "no such file"),
    ("own_broken.py", "def", "SyntaxError"),
    ("own_failing.py", "raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ("own_taken.py", OWN.format(name="diagonal_linear"), "diagonal_linear is already registered by"),
    ("json.py", "x = 1", "a module called json is already in use"),
    ("own_nowhere.module", None, "ModuleNotFoundError"),
])
def test_what_cannot_be_imported_is_said_in_one_line(
    tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as caught:
        registry.import_module(str(path) if path.suffix == ".py" else name)
    assert said in str(caught.value)
    assert "--import" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.stem not in sys.modules or path.stem == "json"


def test_a_name_needs_a_default() -> None:
    @dataclass
    class Nameless(ModelConfig):
        width: int = 3

        data_type: ClassVar[type] = int

    with pytest.raises(ValueError, match="has no default for its field `name`"):
        registry.register("model")(Nameless)


@pytest.mark.parametrize(("slot", "base", "said"), [
    ("model", ModelConfig, "Silent does not say on which data it is built: its class attribute data_type is no type"),
    ("data", DataConfig, "Silent does not say what it makes: its class attribute provides is no type"),
])
def test_a_network_says_what_it_is_built_on_and_data_what_they_are(slot: str, base: type, said: str) -> None:
    @dataclass
    class Silent(base):  # type: ignore[misc]
        name: str = "own_silent"

    with pytest.raises(ValueError, match=said):
        registry.register(slot)(Silent)
    assert "own_silent" not in registry.registered(slot)


def test_an_installed_plugin_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_plugin.py").write_text(OWN.format(name="plugged"))
    information = tmp_path / "own_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own_plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[agfrun.plugins]\nown = own_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._import_plugins.cache_clear()
    assert "plugged" in registry.choices("model", ModelConfig)


def test_a_broken_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_bad_plugin.py").write_text("import own_nothing")
    information = tmp_path / "own_bad_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own_bad_plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[agfrun.plugins]\nbad = own_bad_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._import_plugins.cache_clear()
    with pytest.raises(UsageError, match="the plugin bad \\(own_bad_plugin\\) cannot be imported: ModuleNotFoundError"):
        registry.choices("model", ModelConfig)
    registry._import_plugins.cache_clear()
