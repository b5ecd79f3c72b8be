from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, str(REPOSITORY)], check=True, timeout=120)
    (path,) = folder.glob("agfrun-*.whl")
    return path


def test_the_wheel_holds_every_configuration_and_file_of_the_package(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel).namelist()
    configs = {f"agfrun/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "configs").rglob("*.yaml")}
    files = (path for folder in ("agfrun", "hydra_plugins") for path in (REPOSITORY / folder).rglob("*")
             if path.is_file() and path.suffix != ".pyc")
    package = {str(path.relative_to(REPOSITORY)) for path in files}
    assert len(configs) >= 15
    assert {name for name in packed if ".dist-info/" not in name} == configs | package


def test_an_installed_wheel_works_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, timeout=120)

    def agfrun(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(site / "bin" / "agfrun"), *arguments],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)},
            capture_output=True, text=True, timeout=120,
        )

    assert str(site / "agfrun" / "configs") in agfrun("--info", "searchpath").stdout
    run = agfrun("model=diagonal_linear", "hydra.run.dir=here")
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "here" / "done.json").is_file()
    assert "here/plots/staircase.png" in agfrun("plot", "here", "--formats", "png").stdout
