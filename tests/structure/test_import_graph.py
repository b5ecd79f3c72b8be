"""The layout of docs/architecture.md, held: imports never run upwards, laboratories do not know each other."""

from __future__ import annotations

from collections import Counter

import pytest
from import_graph import PACKAGE, Import, circles, graph, imports, modules

# From the bottom up: a module imports from its own layer and from those before it.
LAYERS = ("study", "groups", "configuration", "files", "training", "tracking", "report", "runner", "sweep", "labs",
          "studies", "cli")
# The one laboratory that may read another's public surface.
MAY_READ = {("neuromanifolds", "staircases")}
# Outside the layers: the version, the public surface that nothing inside imports, and `python -m agfrun`.
OUTSIDE = {"agfrun", "agfrun.version", "agfrun.__main__"}

FOUND = imports()


def layer(name: str) -> str:
    return name.split(".")[1]


def laboratory(name: str) -> str:
    parts = name.split(".")
    return parts[2] if len(parts) > 2 and parts[1] == "labs" else ""


def test_every_folder_is_a_layer() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(LAYERS)
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "version.py"}


def test_imports_never_run_upwards() -> None:
    upward = [entry for entry in FOUND if entry.source not in OUTSIDE and entry.target not in OUTSIDE
              and LAYERS.index(layer(entry.target)) > LAYERS.index(layer(entry.source))]
    assert upward == []


def test_nothing_inside_imports_the_public_surface() -> None:
    assert [entry for entry in FOUND if entry.target == "agfrun" and entry.source not in OUTSIDE] == []


def test_laboratories_do_not_know_each_other() -> None:
    between = [entry for entry in FOUND if laboratory(entry.source) and laboratory(entry.target)
               and laboratory(entry.source) != laboratory(entry.target)
               and (laboratory(entry.source), laboratory(entry.target)) not in MAY_READ]
    assert between == []


def test_there_is_no_circle() -> None:
    edges = graph([entry for entry in FOUND if entry.source not in OUTSIDE])
    assert circles(edges) == []


def test_the_shared_part_names_no_laboratory() -> None:
    names = {path.parent.name for path in PACKAGE.glob("labs/*/__init__.py")}
    for name, path in modules().items():
        if name in OUTSIDE or layer(name) == "labs":
            continue
        text = path.read_text(encoding="utf-8")
        assert not [lab for lab in names if lab in text], name


@pytest.mark.parametrize(("edges", "found"), [
    ({"a": {"b"}, "b": set()}, []),
    ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
    ({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}}, [["a", "b"], ["c", "d"]]),
])
def test_circles_are_found(edges: dict[str, set[str]], found: list[list[str]]) -> None:
    assert sorted(circles(edges)) == found


def test_imports_in_functions_say_why() -> None:
    """Each is for the time it takes to start, and says of what; one comment may stand for several lines."""
    silent = [entry for entry in FOUND if entry.in_function and not _says_why(entry)]
    assert [f"{entry.source}:{entry.line}" for entry in silent] == []


def _says_why(entry: Import) -> bool:
    lines = modules()[entry.source].read_text(encoding="utf-8").splitlines()
    # The statement may span lines, and follow others of one group.
    place = entry.line - 1
    while place > 0 and lines[place - 1].strip().startswith(("from ", "import ")):
        place -= 1
    group = []
    while place < len(lines) and (lines[place].strip().startswith(("from ", "import ", ")")) or group and (
            lines[place].startswith((" " * 8, " " * 12)) and lines[place].strip().endswith(","))):
        group.append(lines[place])
        place += 1
    return any("  # " in line for line in group) or any(line.strip().startswith("#") for line in lines[
        max(0, entry.line - 4): entry.line])


def test_no_two_test_files_have_one_name() -> None:
    """Test folders are no packages, so pytest would refuse the second file that one process collects."""
    names = Counter(path.name for path in PACKAGE.parent.glob("tests/**/*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
