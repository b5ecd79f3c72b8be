"""Folders of runs and sweeps from anybody: links, pipes, devices, bombs. One line, soon, and nothing is touched."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Ended, error_of, run
from tiny_runs import modadd_config

from agfrun import run as run_once
from agfrun.report.figures.style import new_figure, render

SMALL = ["model=diagonal_linear", "train.horizon=1", "plots=false", "report=false", "device=cpu"]
COMMANDS = ("report", "plot", "resume", "rerun")
PRECIOUS = "mine\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_once(modadd_config(), output_dir=folder)
    return folder


@pytest.fixture
def theirs(finished: Path, tmp_path: Path) -> Path:
    """A stranger's copy of a finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file of the user's."""
    path = tmp_path / "precious.txt"
    path.write_text(PRECIOUS)
    return path


@pytest.fixture(scope="module")
def sweep_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    ended = run(["-m", "seed=0,1", *SMALL, "init=gaussian", "hydra/launcher=serial", f"hydra.sweep.dir={folder}/sweep"],
                folder)
    assert ended.status == 0, ended.errors
    return folder / "sweep"


@pytest.fixture
def their_sweep(sweep_of_two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sweep_of_two, tmp_path / "sweep"))


def soon(arguments: list[str], folder: Path) -> Ended:
    """What comes of a command line, which has to end within seconds; the machine may be busy."""
    return run(arguments, folder / "said", timeout=60.0)


def contents(folder: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink() and path.name not in but}


def anchors(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(lines)


YAML_BOMBS = {
    "ten levels of anchors": anchors(10),
    "merged anchors": "a: &a {x: 1}\nstudy: {<<: *a}\n",
    "a sequence in itself": "study: &a [*a]\n",
    "a mapping in itself": "model: &a {name: *a}\n",
    "nested lists": f"seed: {'[' * 3000}{']' * 3000}\n",
    "nested mappings": f"seed: {'{a: ' * 3000}1{'}' * 3000}\n",
    "nested blocks": "".join(f"{' ' * depth}a:\n" for depth in range(400)),
    "a number to the base of sixty": "seed: 1" + ":59" * 100_000,
    "a value of another kind": "seed: !!timestamp x\n",
    "gigabytes": None,
}
JSON_BOMBS = {
    "nested lists": f'{{"a": {"[" * 100_000}{"]" * 100_000}}}',
    "nested objects": '{"a": ' * 100_000 + "1" + "}" * 100_000,
    "as deep as the parser goes": f'{{"a": {"[" * 400}{"]" * 400}}}',
    "an endless number": f'{{"status": {"9" * 100_000}}}',
    "gigabytes": None,
}


def lay(path: Path, bomb: str | None) -> None:
    """Write a bomb in place of a file; None: ten gigabytes of nothing."""
    path.write_text(bomb or "")
    if bomb is None:
        os.truncate(path, 10 * 2**30)


@pytest.mark.parametrize("command", ["report", "resume", *(pytest.param(name, marks=pytest.mark.slow)
                                                            for name in ("plot",))])
@pytest.mark.parametrize("bomb", YAML_BOMBS)
def test_a_configuration_that_is_a_bomb(bomb: str, command: str, theirs: Path, tmp_path: Path) -> None:
    lay(theirs / "config.yaml", YAML_BOMBS[bomb])
    before = contents(theirs, ("config.yaml",))
    assert f"cannot read {theirs}/config.yaml: " in error_of(soon([command, str(theirs)], tmp_path))
    assert contents(theirs, ("config.yaml",)) == before


@pytest.mark.parametrize(("name", "command"), [
    ("done.json", "resume"), ("done.json", "report"), ("done.json", "rerun"), ("manifest.json", "report"),
    ("manifest.json", "rerun"), ("labels.json", "plot")])
@pytest.mark.parametrize("bomb", ["nested lists", *(pytest.param(name, marks=pytest.mark.slow)
                                                    for name in JSON_BOMBS if name != "nested lists")])
def test_an_object_that_is_a_bomb(bomb: str, name: str, command: str, theirs: Path, tmp_path: Path) -> None:
    lay(theirs / name, JSON_BOMBS[bomb])
    assert f"cannot read {theirs}/{name}: " in error_of(soon([command, str(theirs)], tmp_path))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


IN_PLACE: dict[str, Callable[[Path], None]] = {
    "a pipe": pipe, "a link to a device": link_to("/dev/zero"), "a link to a file": link_to("/etc/hosts"),
    "a link to nothing": link_to("nowhere"), "a folder": Path.mkdir,
}
FILES = {"features.csv": "report", "loss.csv": "rerun", "claims.csv": "report", "config.yaml": "resume",
         "manifest.json": "rerun", "done.json": "resume", "labels.json": "plot", "parameters.safetensors": "plot"}


@pytest.mark.parametrize("name", ["features.csv", "done.json", *(pytest.param(name, marks=pytest.mark.slow)
                                  for name in FILES if name not in ("features.csv", "done.json"))])
@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_file_in_place_of_one(kind: str, name: str, theirs: Path, tmp_path: Path) -> None:
    (theirs / name).unlink()
    IN_PLACE[kind](theirs / name)
    assert f"cannot read {theirs}/{name}: " in error_of(soon([FILES[name], str(theirs)], tmp_path))


def test_a_table_of_gigabytes(theirs: Path, tmp_path: Path) -> None:
    lay(theirs / "features.csv", None)
    assert "are the most that is read of its kind" in error_of(soon(["report", str(theirs)], tmp_path))


def test_a_table_of_a_million_columns(theirs: Path, tmp_path: Path) -> None:
    (theirs / "features.csv").write_text(",".join(map(str, range(200_000))) + "\n")
    assert "more than 10000 columns" in error_of(soon(["report", str(theirs)], tmp_path))


def test_a_run_s_folder_that_the_user_names_may_be_a_link(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(theirs)
    assert soon(["report", str(tmp_path / "latest")], tmp_path).status == 0


# ---- Writing


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["soft", "hard"])
@pytest.mark.parametrize("arguments", [["resume"], [*SMALL, "overwrite=true"]], ids=["resume", "overwrite"])
def test_a_lock_that_is_a_link(arguments: list[str], link: Callable[[Path, Path], None], theirs: Path, precious: Path,
                               tmp_path: Path) -> None:
    (theirs / "done.json").unlink()
    link(theirs / ".lock", precious)
    before = contents(theirs)
    asked = [*arguments, str(theirs)] if arguments == ["resume"] else [*arguments, f"hydra.run.dir={theirs}"]
    assert f"cannot write {theirs}/.lock: it is " in error_of(soon(asked, tmp_path))
    assert precious.read_text() == PRECIOUS
    assert contents(theirs) == before


@pytest.mark.parametrize("name", ["checkpoints", "plots"])
@pytest.mark.parametrize("arguments", [["resume"], [*SMALL, "overwrite=true"]], ids=["resume", "overwrite"])
def test_a_folder_in_a_run_s_that_is_a_link(arguments: list[str], name: str, theirs: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("000001.safetensors", "staircase.png", "steps.jsonl", ".x.csv.1-00000000.tmp"):
        (elsewhere / file).write_text(PRECIOUS)
    (theirs / "done.json").unlink()
    (theirs / name).symlink_to(elsewhere)
    before = contents(elsewhere)
    asked = [*arguments, str(theirs)] if arguments == ["resume"] else [*arguments, f"hydra.run.dir={theirs}"]
    assert f"{theirs}/{name} leads to another place" in error_of(soon(asked, tmp_path))
    assert contents(elsewhere) == before


def test_a_job_s_folder_that_is_a_link(their_sweep: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (job,) = their_sweep.glob("*seed=1*")
    job.rename(elsewhere)
    (elsewhere / "done.json").unlink()
    job.symlink_to(elsewhere)
    before, plan = contents(elsewhere), contents(their_sweep, ("multirun.yaml",))
    for arguments in (["-m", f"sweep.resume={their_sweep}", "hydra/launcher=serial"], ["collect", str(their_sweep)]):
        assert f"{job} leads to another place" in error_of(soon(arguments, tmp_path))
    assert contents(elsewhere) == before
    assert contents(their_sweep, ("multirun.yaml",)) == plan


@pytest.mark.parametrize("name", [".sweep", ".sweep/batches", ".sweep/logs", ".sweep/ended", ".sweep/lock", "plots",
                                  "multirun.yaml"])
def test_what_is_a_sweep_s_own_and_a_link(name: str, their_sweep: Path, precious: Path, tmp_path: Path) -> None:
    for job in their_sweep.glob("*seed=*"):
        (job / "done.json").unlink()
    path, elsewhere = their_sweep / name, tmp_path / "elsewhere"
    if path.is_dir():
        path.rename(elsewhere)
    else:
        elsewhere.write_text(PRECIOUS) if path.suffix or path.name == "lock" else elsewhere.mkdir()
        path.unlink(missing_ok=True)
    path.symlink_to(elsewhere)
    before = contents(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()
    error = error_of(soon(["-m", f"sweep.resume={their_sweep}", "hydra/launcher=serial"], tmp_path))
    assert str(path) in error
    assert (contents(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()) == before


@pytest.mark.parametrize("name", ["gathered.json", "finished.json", "gather.lock"])
def test_a_file_of_a_sweep_s_own_that_is_a_link(name: str, their_sweep: Path, precious: Path, tmp_path: Path) -> None:
    path = their_sweep / ".sweep" / name
    path.unlink(missing_ok=True)
    path.symlink_to(precious)
    (job,) = their_sweep.glob("*seed=1*")
    (job / "done.json").unlink()
    assert f"{path} leads to another place" in error_of(
        soon(["-m", f"sweep.resume={their_sweep}", "hydra/launcher=serial"], tmp_path))
    assert precious.read_text() == PRECIOUS


def test_what_the_next_batch_would_write_into_is_taken_away_first(their_sweep: Path, precious: Path, tmp_path: Path
                                                                  ) -> None:
    for name in ("logs/000001.jsonl", "ended/000001"):
        (their_sweep / ".sweep" / name).symlink_to(precious)
    (job,) = their_sweep.glob("*seed=1*")
    (job / "done.json").unlink()
    ended = soon(["-m", f"sweep.resume={their_sweep}", "hydra/launcher=serial"], tmp_path)
    assert ended.status == 0, ended.errors
    assert precious.read_text() == PRECIOUS
    assert (job / "done.json").exists()


# ---- Pages


def test_a_page_shows_no_file_of_the_user_s(theirs: Path, precious: Path, tmp_path: Path) -> None:
    (theirs / "plots").mkdir()
    (theirs / "plots" / "staircase.png").symlink_to(precious)
    (theirs / "plots" / "other.png").write_text(PRECIOUS)
    (theirs / "plots" / "link.png").symlink_to(precious)
    ended = soon(["report", str(theirs)], tmp_path)
    assert ended.status == 0
    assert "staircase.png: it is a link, which is not followed" in ended.errors
    page = (theirs / "report.html").read_text()
    assert base64.b64encode(PRECIOUS.encode()).decode().rstrip("=")[:-1] not in page
    assert "link.png" not in page


def test_a_page_shows_a_picture_that_is_one(theirs: Path, tmp_path: Path) -> None:
    picture = render(new_figure(3, 2), "png")
    (theirs / "plots").mkdir()
    (theirs / "plots" / "staircase.png").write_bytes(picture)
    assert soon(["report", str(theirs)], tmp_path).errors == ""
    assert base64.b64encode(picture).decode() in (theirs / "report.html").read_text()


# ---- Data


@pytest.mark.parametrize("arguments", [
    ["model=relu", "data=samples_file", "data.path={}.csv"],
    *(pytest.param(arguments, marks=pytest.mark.slow) for arguments in (
        ["model=relu", "data=samples_file", "data.path={}.npz"],
        ["data=custom_modular_addition", "data.path={}.npy"], ["data=custom_modular_addition", "data.path={}.csv"],
        ["model=group_composition", "data=custom_group_sequences", "data.path={}.npy"],
        ["model=fully_connected_linear", "data=custom_linear_map", "data.input_covariance={}.csv",
         "data.target_map={}.npy"],
        ["init=file", "init.path={}.safetensors"], ["init=file", "init.path={}.npy"]))], ids=str)
@pytest.mark.parametrize("kind", ["a pipe", "a link to a device", "a folder"])
def test_data_that_are_no_file(kind: str, arguments: list[str], tmp_path: Path) -> None:
    for suffix in ("csv", "npz", "npy", "safetensors"):
        IN_PLACE[kind](tmp_path / f"data.{suffix}")
    asked = [argument.format(tmp_path / "data") for argument in arguments]
    ended = soon([*asked, *SMALL[2:], f"hydra.run.dir={tmp_path}/run"], tmp_path)
    assert error_of(ended).endswith(("it cannot be read: it is no regular file", "it cannot be read: Is a directory"))
    assert not list((tmp_path / "run").glob("*"))


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_data_of_gigabytes_of_nothing(suffix: str, tmp_path: Path) -> None:
    lay(tmp_path / f"data.{suffix}", None)
    error_of(soon(["model=relu", "data=samples_file", f"data.path={tmp_path}/data.{suffix}"], tmp_path))


def test_data_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,y\n" + "".join(f"{place / 8},{place / 4}\n" for place in range(-4, 4)))
    (tmp_path / "link.csv").symlink_to(tmp_path / "data.csv")
    asked = ["model=relu", "data=samples_file", f"data.path={tmp_path}/link.csv", "model.width=2", "init.scale=0.1",
             "train.horizon=0.5", "agf.max_events=1", *SMALL[2:]]
    assert soon([*asked, f"hydra.run.dir={tmp_path}/run"], tmp_path).status == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["inputs"]["data.path"] is not None


# ---- The user's own folders


MINE = {"features.csv": "1\n", "manifest.json": "{}", "report.html": "<html></html>", "config.yaml": "lr: 0.1\n"}


@pytest.mark.parametrize("arguments", [["hydra.run.dir=."], ["hydra.run.dir=.", "overwrite=true"],
                                       ["-m", "hydra.sweep.dir=.", "seed=0,1", "overwrite=true"]], ids=str)
def test_a_run_in_a_folder_of_the_user_s_leaves_it_as_it_is(arguments: list[str], tmp_path: Path) -> None:
    mine = tmp_path / "said"  # where the command line works
    mine.mkdir()
    for name, content in {**MINE, "runs.csv": "1\n"}.items():
        (mine / name).write_text(content)
    before = contents(mine)
    error = error_of(soon([*SMALL, *arguments], tmp_path))
    assert "of this program, but has " in error
    assert contents(mine, ("stdout", "stderr")) == before


def test_a_job_of_a_sweep_in_a_folder_of_the_user_s(their_sweep: Path, tmp_path: Path) -> None:
    (job,) = their_sweep.glob("*seed=1*")
    shutil.rmtree(job)
    job.mkdir()
    (job / "config.yaml").write_text("lr: 0.1\n")
    assert f"{job} holds no run of this program, but has config.yaml" in error_of(
        soon(["-m", f"sweep.resume={their_sweep}", "hydra/launcher=serial"], tmp_path))
    assert contents(job) == {"config.yaml": b"lr: 0.1\n"}


def test_a_page_of_the_user_s_is_not_written_over(theirs: Path, tmp_path: Path) -> None:
    for name in ("report.html", "run/report.html"):
        (tmp_path / name).write_text("<html>mine</html>")
    shutil.copytree(theirs, tmp_path / "other")
    for arguments in ([str(theirs)], [str(theirs), str(tmp_path / "other")], [str(tmp_path)]):
        assert "this program has not written it" in error_of(soon(["report", *arguments], tmp_path))
    for name in ("report.html", "run/report.html"):
        assert (tmp_path / name).read_text() == "<html>mine</html>"


def test_a_page_of_ours_is_written_anew(theirs: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert soon(["report", str(theirs)], tmp_path).status == 0
