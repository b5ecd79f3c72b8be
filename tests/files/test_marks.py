from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from agfrun import OutputError
from agfrun.files.marks import foreign, holds_run, refuse_foreign, refuse_foreign_page

OLD = Path(__file__).with_name("old_folders")
OURS = {
    "format 3": "format: 3\nmodel:\n  name: relu\nstudy:\n  name: compare\n",
    "in another order": "study: {name: walk}\nformat: 2\n",
}
OTHERS = ("", "lr: 0.1\n", "format: 3\n", "format: 1\nname: mine\n", "study: {name: compare}\n", "- 1\n", "{",
          "seed: 1\nmodel: x\n")


@pytest.mark.parametrize("said", OURS)
def test_a_configuration_says_whose_a_folder_is(said: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(OURS[said])
    (tmp_path / "loss.csv").write_text("mine")
    assert holds_run(tmp_path)
    refuse_foreign(tmp_path, ["config.yaml", "loss.csv"])


@pytest.mark.parametrize("said", OTHERS)
def test_other_configurations_are_other_programs(said: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(said)
    (tmp_path / "manifest.json").write_text('{"files": []}')
    assert not holds_run(tmp_path)
    with pytest.raises(OutputError, match=r"has config\.yaml, which would be written over; .* hydra\.run\.dir=DIR$"):
        refuse_foreign(tmp_path, ["config.yaml", "loss.csv", "config.yaml"])


@pytest.mark.parametrize("name", ["run", "ensemble"])
def test_folders_of_the_first_format_are_ours(name: str, tmp_path: Path) -> None:
    assert holds_run(OLD / name)
    folder = shutil.copytree(OLD / name, tmp_path / name)
    for missing in ("manifest.json", "done.json"):  # it was killed
        (folder / missing).unlink()
    assert holds_run(folder)


@pytest.mark.parametrize("name", ["manifest.json", "done.json"])
def test_a_damaged_configuration_stands_beside_what_says_it(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.yaml")
    assert not holds_run(tmp_path)
    (tmp_path / name).write_text(json.dumps({"config_hash": "0123"}))
    assert holds_run(tmp_path)


def test_some_files_say_it_alone(tmp_path: Path) -> None:
    files = {"report.html": '<head>\n<meta name="generator" content="agfrun 0.1.0">', "loss.csv": "1\n",
             "failed.json": '{"status": "failed", "overrides": []}',
             "multirun.yaml": "# agfrun: what the jobs of this sweep begin from\nhydra: {}\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert foreign(tmp_path, [*files, "features.csv"]) == ["loss.csv"]
    for name in files:
        (tmp_path / name).write_text("{}")
    assert foreign(tmp_path, files) == sorted(files)


def test_a_page_of_others_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    refuse_foreign_page(page)
    page.write_text("<html>mine</html>")
    with pytest.raises(OutputError, match=r"report\.html is there, and this program has not written it"):
        refuse_foreign_page(page)
