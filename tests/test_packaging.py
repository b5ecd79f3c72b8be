from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
# Every requirement as it is written: what builds the package, what it needs, and its extras but for agfrun's own name.
REQUIREMENTS = [requirement for text in (
    *PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"],
    *(text for extra in PROJECT["project"]["optional-dependencies"].values() for text in extra))
    if (requirement := Requirement(text)).name != "agfrun"]


def pinned(name: str) -> dict[str, Version]:
    """The versions of a file of constraints."""
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): Version(number) for package, number in pins}


def bound(requirement: Requirement, operator: str) -> str:
    """The only bound of a requirement with this operator."""
    (found,) = [one.version for one in requirement.specifier if one.operator == operator]
    return found


def rows(page: str) -> list[list[str]]:
    """The cells of the first table of a page of the documentation, but for its heading."""
    table = (REPOSITORY / "docs" / page).read_text(encoding="utf-8").partition("|---")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_dependency_has_two_bounds_and_the_tested_versions_keep_them(requirement: Requirement) -> None:
    assert sorted(one.operator for one in requirement.specifier) == ["<", ">="]
    assert Version(bound(requirement, ">=")) < Version(bound(requirement, "<"))
    assert pinned("constraints.txt")[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    bounds = {canonicalize_name(one.name): Version(bound(one, ">=")) for one in REQUIREMENTS}
    assert pinned("constraints-lowest.txt") == bounds


def test_a_dependency_has_the_same_range_wherever_it_is_named() -> None:
    ranges = {(canonicalize_name(one.name), str(one.specifier)) for one in REQUIREMENTS}
    assert len(ranges) == len({name for name, _ in ranges})


def test_the_page_of_dependencies_gives_every_range_and_licence() -> None:
    licences = {canonicalize_name(name): licence for name, _, licence in rows("licences.md")}
    written = {canonicalize_name(name): (limits, licence) for name, _, _, limits, licence in rows("dependencies.md")}
    assert written == {name: (f"{bound(one, '>=')} to below {bound(one, '<')}", licences[name])
                       for one in REQUIREMENTS if (name := canonicalize_name(one.name))}


def test_the_page_of_licences_is_that_of_the_tested_versions() -> None:
    listed = {canonicalize_name(name): Version(number) for name, number, _ in rows("licences.md")}
    assert listed == pinned("constraints.txt")


def test_the_script_lists_the_licences_of_what_is_installed() -> None:
    script = [sys.executable, str(REPOSITORY / "scripts" / "licences.py")]
    printed = subprocess.run(script, check=True, capture_output=True, text=True, timeout=600).stdout
    head = (REPOSITORY / "docs" / "licences.md").read_text(encoding="utf-8").partition("|")[0]
    assert printed.startswith(head)
    for name, licence in (("numpy", ""), ("pytest", "MIT")):
        assert f"| {name} | {version(name)} | {licence}" in printed
    assert "agfrun |" not in printed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, str(REPOSITORY)], check=True, timeout=600)
    (path,) = folder.glob("agfrun-*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_every_configuration_and_file_of_the_package(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel).namelist()
    configs = {f"agfrun/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "configs").rglob("*.yaml")}
    files = (path for path in (REPOSITORY / "agfrun").rglob("*") if path.is_file() and path.suffix != ".pyc")
    package = {str(path.relative_to(REPOSITORY)) for path in files}
    assert len(configs) >= 15
    assert {"agfrun/configs/laboratory/staircases.yaml", "agfrun/configs/study/dimension.yaml"} <= configs
    laboratories = {path.parent.name for path in (REPOSITORY / "agfrun" / "labs").glob("*/__init__.py")}
    assert laboratories >= {"staircases", "neuromanifolds", "stitching", "harmonics", "hyperbolic",
                            "lattices", "interaction"}
    assert laboratories <= {name.split("/")[2] for name in packed if name.startswith("agfrun/labs/")}
    assert {name for name in packed if ".dist-info/" not in name} == configs | package


@pytest.mark.slow
def test_an_installed_wheel_works_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, timeout=600)

    def agfrun(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(site / "bin" / "agfrun"), *arguments],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)},
            capture_output=True, text=True, timeout=600,
        )

    assert str(site / "agfrun" / "configs") in agfrun("--info", "searchpath").stdout
    for name in ("staircases", "neuromanifolds", "stitching", "harmonics", "hyperbolic", "lattices",
                 "interaction"):
        assert f"\n{name}: " in agfrun("--help").stdout
    # A study of each laboratory, one of none, and figures and pages with the files that come with the package.
    for words, figure in ((["model=diagonal_linear"], "staircase"), (["study=dimension"], ""),
                          (["study=claims", "study.only=[utility_is_homogeneous]", "study.seeds=1"], "paper_claims")):
        folder = words[0].replace("=", "_")
        run = agfrun(*words, f"hydra.run.dir={folder}")
        assert (run.returncode, run.stderr) == (0, "")
        assert (tmp_path / folder / "done.json").is_file()
        assert (tmp_path / folder / "report.html").is_file()
        if figure:
            assert f"{folder}/plots/{figure}.png" in agfrun("plot", folder, "--formats", "png").stdout
    swept = agfrun("-m", "study=dimension", "model.degree=2,3", "hydra.sweep.dir=sweep")
    assert swept.returncode == 0, swept.stderr
    assert (tmp_path / "sweep" / "report.html").is_file()
