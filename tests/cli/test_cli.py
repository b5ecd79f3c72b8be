from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from forked import Forked

from agfrun import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
# The command line, then a line that says whether torch was imported on the way.
COMMAND = """
import sys
from agfrun.cli.main import main
status = main(sys.argv[1:])
print("torch imported:", "torch" in sys.modules)
sys.exit(status)
"""
QUICK = ["model=diagonal_linear", "plots=false", "train.max_rows=200"]


@pytest.fixture(scope="module", autouse=True)
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    for warm in (False, True):
        SERVERS[warm] = Forked(tmp_path_factory.mktemp("said"), warm)
    yield
    for server in SERVERS.values():
        server.close()


SERVERS: dict[bool, Forked] = {}


def start(arguments: list[str], directory: Path, before: str = "", warm: bool = False, **environment: str
          ) -> subprocess.CompletedProcess[str]:
    """Run the command line in `directory`, without the environment's own Hydra settings.

    `before` is code that is run before; a process that is `warm` has imported torch and the networks, as it will.
    """
    return SERVERS[warm or bool(before)].run(before + COMMAND, arguments, directory, **environment)


def fake_run(body: str) -> str:
    """Code that puts a run of this body in the place of the real one, to test the command line alone."""
    return f"""
import agfrun.runner.execution
from agfrun.study.study import StudyResult
def execute(config, *, output_dir, progress, command, tell):
    {body}
    tell(f"command: {{command}} progress: {{progress}} folder: {{output_dir}}")
    return StudyResult(folder=output_dir)
agfrun.runner.execution.execute = execute
"""


WRITES = "(output_dir / 'loss.csv').touch()"

# Arguments, and what the one line on stderr must hold (tests/test_configs.py has many more).
REFUSED: dict[str, tuple[list[str], str]] = {
    "unknown choice": (["model=foo"], "model=foo is not allowed: choose one of diagonal_linear, "),
    "unknown key": (["init.scal=1"], "init.scal=1 is not allowed: there is no such key; did you mean init."),
    "out of range": (["data.p=1"], "data.p=1 is not allowed: must be an integer of at least 2"),
    "wrong type": (["data.p=abc"], "data.p=abc is not allowed: must be an integer"),
    "underflow": (["init.scale=1e-400"], "init.scale=1e-400 is not allowed: must be a number above 0"),
    "not an override": (["foo"], "foo cannot be read; write KEY=VALUE"),
    "unwritable folder": (["hydra.run.dir=/proc/x"], "the run folder /proc/x cannot be made"),
    "folder is a file": (["hydra.run.dir=occupied"], "the run folder occupied cannot be made: File exists"),
    "deep folder": (["hydra.run.dir=a/b/c", "init.scale=-1"], "init.scale=-1 is not allowed"),
    "folder that exists": (["hydra.run.dir=existing", "init.scale=-1"], "init.scale=-1 is not allowed"),
    "no such config folder": (["--config-dir", "nowhere"], "nowhere' not found"),
    "two commands": (["--cfg", "job", "--info"], "Only one of --run"),
    "sweep over a wrong key": (["-m", "init.scal=1,2"], "there is no such key; did you mean init.scale?"),
    "lookup of nothing": (["report=${nothing}"], "report=${nothing} is not allowed: Interpolation key 'nothing' not f"),
    "group without a word": (["model=1"], "model=1 is not allowed: choose one of diagonal_linear, "),
    "choice in a list": (["model=[relu,x]"], "model=x is not allowed: choose one of diagonal_linear, "),
    "plot without a run": (["plot", "nowhere"], "nowhere is not the folder of a run"),
}

# Only the value of a key that exists takes the network's own check, and so torch.
LOOKED_AT_BY_THE_NETWORK = {"out of range", "wrong type", "underflow", "deep folder", "folder that exists"}
# Of which one shows that it is imported then.
WARM = LOOKED_AT_BY_THE_NETWORK - {"out of range"}

@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_gives_one_line_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    (tmp_path / "existing").mkdir()
    done = start(REFUSED[name][0], tmp_path, warm=name in WARM)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("agfrun: error: ")
    assert REFUSED[name][1] in lines[0]
    assert done.returncode == 2
    assert done.stdout == f"torch imported: {name in LOOKED_AT_BY_THE_NETWORK}\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["existing", "occupied"]


def test_version(tmp_path: Path) -> None:
    assert start(["--version"], tmp_path).stdout == f"agfrun {__version__}\ntorch imported: False\n"


def test_the_configuration_is_shown_without_running(tmp_path: Path) -> None:
    done = start(["--cfg", "job", "experiment=diagonal_5d", "seed=3"], tmp_path)
    shown = yaml.safe_load(done.stdout.removesuffix("torch imported: False\n"))
    assert (shown["model"]["name"], shown["data"]["name"]) == ("diagonal_linear", "random_regression")
    assert shown["seed"] == 3
    assert list(tmp_path.iterdir()) == []


def test_where_configurations_are_found_is_shown(tmp_path: Path) -> None:
    assert str(REPOSITORY / "configs") in start(["--info", "searchpath"], tmp_path).stdout


def test_completion_knows_groups_and_keys(tmp_path: Path) -> None:
    networks = sorted(path.stem for path in (REPOSITORY / "configs" / "model").glob("*.yaml"))
    for line, expected in (("agfrun model=", " ".join(f"model={network}" for network in networks)),
                           ("agfrun init.s", "init.scale= init.stream=")):
        done = start(["-sc", "query=bash"], tmp_path, COMP_LINE=line, COMP_POINT=str(len(line)))
        assert done.stdout.splitlines()[0] == expected
    assert "hydra_bash_completion" in start(["-sc", "install=bash"], tmp_path).stdout


def test_configurations_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "experiment").mkdir()
    (tmp_path / "mine" / "data" / "p31.yaml").write_text(
        "defaults: [modular_addition, _self_]\np: 31\nfrequencies: [2, 4, 7]\n"
    )
    (tmp_path / "mine" / "experiment" / "wide.yaml").write_text(
        "# @package _global_\ndefaults: [{override /data: p31}]\nmodel: {width: 36}\n"
    )
    shows = fake_run("print(config.data.p, config.data.frequencies, config.model.width); " + WRITES)
    for flag in (["--config-dir", "mine"], [f"hydra.searchpath=[file://{tmp_path}/mine]"]):
        done = start([*flag, "experiment=wide"], tmp_path, before=shows)
        assert done.stderr == ""
        assert done.stdout.startswith("31 [2, 4, 7] 36\n")


@pytest.mark.parametrize("words", [["--config-dir", "mine", "claims"], ["-cd", "mine", "claims"],
                                   ["claims", "--config-dir=mine"]], ids=" ".join)
def test_claims_with_configurations_of_the_users_own(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "few.yaml").write_text("# @package _global_\nseed: 7\n")
    shows = fake_run("print(config.study.name, config.seed); " + WRITES)
    done = start([*words, "experiment=few"], tmp_path, before=shows)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("claims 7\n")


def test_a_run_gets_its_folder_and_command(tmp_path: Path) -> None:
    done = start(["seed=3"], tmp_path, before=fake_run(WRITES))
    (folder,) = (tmp_path / "outputs" / "quadratic_modadd").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}", folder.name)
    assert done.stdout.startswith(f"command: ['agfrun', 'seed=3'] progress: None folder: {folder}\n")
    assert [path.name for path in folder.iterdir()] == ["loss.csv"]
    assert (done.returncode, done.stderr) == (0, "")


def test_a_value_may_look_up_another_key(tmp_path: Path) -> None:
    shows = fake_run("print('seed:', config.seed); " + WRITES)
    done = start(["model.width=7", "seed=${model.width}"], tmp_path, before=shows)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seed: 7\n")


def test_an_interrupted_run_says_where_the_finished_part_lies(tmp_path: Path) -> None:
    done = start(["hydra.run.dir=here"], tmp_path, before=fake_run(f"{WRITES}; raise KeyboardInterrupt"))
    assert done.returncode == 130
    assert done.stderr == f"\nagfrun: interrupted; what is finished lies in {tmp_path / 'here'}\n"


def test_a_run_interrupted_at_once_leaves_nothing(tmp_path: Path) -> None:
    done = start(["seed=1"], tmp_path, before=fake_run("raise KeyboardInterrupt"))
    assert done.returncode == 130
    assert done.stderr == "\nagfrun: interrupted before anything was written\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_resume_says_how_to_go_on_in_words_for_a_shell(tmp_path: Path) -> None:
    stopped = """
import agfrun.runner.resumption

def resume_run(run_dir, **options):
    if run_dir.name != "done":
        raise KeyboardInterrupt

agfrun.runner.resumption.resume_run = resume_run
"""
    done = start(["resume", "done", "the second", "third"], tmp_path, before=stopped)
    assert done.returncode == 130
    assert done.stderr == "\nagfrun: interrupted; go on with agfrun resume 'the second' third\n"


def test_a_failed_run_says_why_in_one_line(tmp_path: Path) -> None:
    diverges = "from agfrun.study.errors import DivergenceError; raise DivergenceError('loss is NaN\\nat step 3')"
    done = start(["seed=1"], tmp_path, before=fake_run(diverges))
    assert (done.returncode, done.stderr) == (1, "agfrun: error: loss is NaN at step 3\n")


def test_a_programming_error_shows_its_traceback(tmp_path: Path) -> None:
    done = start(["seed=1"], tmp_path, before=fake_run("1 / 0"))
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    debug = "import os; os.environ['AGFRUN_DEBUG'] = '1'\n"
    done = start(["data.p=1"], tmp_path, before=debug)
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("agfrun: error: data.p=1 is not allowed")


@pytest.mark.parametrize("arguments", ["--help", "--cfg all", "seed=1"])
def test_a_reader_that_leaves_is_no_error(arguments: str, tmp_path: Path) -> None:
    code = fake_run(f"{WRITES}; output_dir = 'x' * 200_000")
    code += "from agfrun.cli.main import entry_point; entry_point()"
    (tmp_path / "program.py").write_text(code)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} program.py {arguments} | true; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=600,
    )
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_real_run_from_another_directory(tmp_path: Path) -> None:
    done = start([*QUICK, "hydra.run.dir=here"], tmp_path, warm=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"loss.csv", "comparison.csv", "config.yaml", "manifest.json", "done.json"} <= {
        path.name for path in (tmp_path / "here").iterdir()
    }
    assert str(tmp_path / "here") in done.stdout


def test_cuda_without_cuda_is_refused(tmp_path: Path) -> None:
    hidden = "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
    done = start(["device=cuda"], tmp_path, before=hidden)
    assert done.returncode == 2
    assert re.fullmatch(r"agfrun: error: device=cuda is not allowed: .*\n", done.stderr)
    assert list(tmp_path.iterdir()) == []
