from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agfrun import DataConfig, ModelConfig, Study, UsageError
from agfrun.study import registry

OWN = """
from dataclasses import dataclass

@register("model")
@dataclass
class OwnConfig(ModelConfig):
    name: str = "{name}"
"""


@pytest.fixture(autouse=True)
def registrations_are_undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    for name in ("_MODELS", "_DATA", "_STUDIES"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    monkeypatch.setattr(registry, "_NAMED", [])
    yield
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def test_every_registered_name_is_its_configurations_default() -> None:
    for known, base in ((registry.models(), ModelConfig), (registry.data_sets(), DataConfig),
                        (registry.studies(), Study)):
        assert known
        assert list(known) == sorted(known)
        for name, config in known.items():
            assert issubclass(config, base)
            assert config().name == name  # type: ignore[call-arg]


def test_every_network_can_be_built_on_some_data() -> None:
    for model in registry.models().values():
        assert any(issubclass(data.provides, model.data_type) for data in registry.data_sets().values())


def test_a_file_registers_what_it_defines(tmp_path: Path) -> None:
    path = tmp_path / "own_network.py"
    path.write_text(OWN.format(name="own"))
    registry.import_module(str(path))
    assert registry.models()["own"].__module__ == "own_network"
    assert registry.named_modules() == (str(path),)
    registry.import_module(str(path))  # a second time changes nothing
    assert registry.named_modules() == (str(path),)


def test_a_module_is_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_module.py").write_text(OWN.format(name="own_by_name"))
    monkeypatch.syspath_prepend(tmp_path)
    registry.import_module("own_module")
    assert "own_by_name" in registry.models()


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
    registry.models()
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

    with pytest.raises(ValueError, match="has no default for its field `name`"):
        registry.register("model")(Nameless)


def test_an_installed_plugin_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_plugin.py").write_text(OWN.format(name="plugged"))
    information = tmp_path / "own_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own_plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[agfrun.plugins]\nown = own_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._import_plugins.cache_clear()
    assert "plugged" in registry.models()


def test_a_broken_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_bad_plugin.py").write_text("import own_nothing")
    information = tmp_path / "own_bad_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own_bad_plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[agfrun.plugins]\nbad = own_bad_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._import_plugins.cache_clear()
    with pytest.raises(UsageError, match="the plugin bad \\(own_bad_plugin\\) cannot be imported: ModuleNotFoundError"):
        registry.models()
    registry._import_plugins.cache_clear()
