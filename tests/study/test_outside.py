"""Studies and choices from outside: only a study's own keys, and every group can be extended."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from outside_laboratory import CONFIGS, EXTENSIONS, FOLDER, WALKS, composed, registered

from agfrun import ConfigError, UsageError, build_problem, config_hash, load_config, read_run
from agfrun.cli.main import main
from agfrun.configuration import composing
from agfrun.study.config_tree import config_directory
from agfrun.study.conversion import from_mapping, known_keys
from agfrun.study.settings import saved_values

OF_EVERY_RUN = ["study", "seed", "device", "dtype", "plots", "plot_formats", "report", "overwrite", "checkpoint",
                "sweep", "tracking"]
OF_WALK = [*OF_EVERY_RUN, "terrain", "pace", "length"]


@pytest.fixture(autouse=True)
def the_process_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["agfrun"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


def agfrun(*arguments: str, folder: Path) -> int:
    """The command line in this process, its run and sweep in a folder."""
    return main([*arguments, f"hydra.run.dir={folder}", "plots=false", "report=false"])


def test_a_configuration_has_the_keys_of_its_study_and_no_others(walks: Any) -> None:
    config = composed("study=walk")
    assert type(config) is walks.WalkSettings
    assert list(saved_values(config)) == [key for key in OF_WALK if key not in ("sweep", "tracking")]
    assert [key for key in known_keys(walks.WalkSettings, "walk") if "." not in key] == OF_WALK
    assert known_keys(walks.WalkSettings, "walk")["terrain.height"] == ["hills"]
    assert list(dataclasses.asdict(composed("study=rest"))) == OF_EVERY_RUN
    assert list(dataclasses.asdict(load_config(["study=claims"]))) == OF_EVERY_RUN


FOREIGN = [
    ("walk", "init.scale=2", f"study=walk has no init; it has {', '.join(OF_WALK)}"),
    ("walk", "model=relu", f"study=walk has no model; it has {', '.join(OF_WALK)}"),
    ("walk", "model.width=3", f"study=walk has no model; it has {', '.join(OF_WALK)}"),
    ("rest", "pace.stride=2", f"study=rest has no pace; it has {', '.join(OF_EVERY_RUN)}"),
    ("rest", "agf=decoupled", f"study=rest has no agf; it has {', '.join(OF_EVERY_RUN)}"),
    ("claims", "init.scale=2", f"study=claims has no init; it has {', '.join(OF_EVERY_RUN)}"),
    ("claims", "train=gradient_descent", f"study=claims has no train; it has {', '.join(OF_EVERY_RUN)}"),
    ("dimension", "init.scale=2", f"study=dimension has no init; it has {', '.join(OF_EVERY_RUN)}, model"),
    ("walk", "terrain.height=2", "it belongs to terrain=hills"),
    ("walk", "study.nights=2", "it belongs to study=rest"),
]


@pytest.mark.parametrize(("study", "override", "allowed"), FOREIGN, ids=[f"{s} {o}" for s, o, _ in FOREIGN])
def test_a_foreign_key_is_refused_in_one_line_that_names_the_study(study: str, override: str, allowed: str,
                                                                   walks: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(f"study={study}", override)
    assert str(caught.value) == f"{override} is not allowed: {allowed}"


@pytest.mark.parametrize(("study", "override", "allowed"), [FOREIGN[0], FOREIGN[5]], ids=["walk", "claims"])
def test_the_command_line_refuses_it_in_the_same_words(
        study: str, override: str, allowed: str, walks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    line = f"{override} is not allowed: {allowed}"
    assert agfrun(*CONFIGS, f"study={study}", override, folder=tmp_path / "run") == 2
    assert capsys.readouterr().err == f"agfrun: error: {line}\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("study", "group", "value"), [
    ("walk", "init", {"name": "gaussian", "scale": 2.0}), ("walk", "model", {"name": "relu"}), ("rest", "pace", {}),
    ("claims", "init", {"name": "gaussian"}), ("dimension", "init", {"name": "gaussian"}), ("rest", "length", 3)])
def test_a_foreign_group_in_plain_values_is_refused_too(study: str, group: str, value: Any, walks: Any) -> None:
    values = saved_values(composed(f"study={study}"))
    assert from_mapping(values) == composed(f"study={study}")
    with pytest.raises(ConfigError) as caught:
        from_mapping(values | {group: value})
    assert caught.value.key == group
    said = caught.value.allowed
    assert f"study={study}" in said
    if group not in ("pace", "length"):  # which no shipped study has
        assert said.startswith(f"study={study} has no {group}; it has study, seed")


def test_a_study_is_chosen_by_its_name_in_plain_values(walks: Any) -> None:
    values = saved_values(composed("study=walk", "terrain=hills", "length=7"))
    assert from_mapping(values).terrain == walks.Hills()
    for wrong, said in (({"name": "wlak"}, "did you mean walk?"), ({"name": 3}, "choose one of "),
                        ({}, "choose one of "), ("walk", "choose one of "), (None, "choose one of ")):
        with pytest.raises(ConfigError) as caught:
            from_mapping(values | {"study": wrong})
        assert caught.value.key.startswith("study")
        assert said in caught.value.allowed
    with pytest.raises(ConfigError, match=r"^terrain=null is not allowed: choose one of flat, hills$"):
        from_mapping({key: value for key, value in values.items() if key != "terrain"})


@pytest.mark.parametrize("study", ["walk", "rest", "claims", "dimension"])
def test_a_changed_default_of_a_foreign_group_changes_no_hash(study: str, walks: Any, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: config_hash(composed(f"study={name}")) for name in (study, "compare")}
    tree = tmp_path / "configs"
    shutil.copytree(config_directory(), tree)
    for name in ("train/gradient_flow", "init/gaussian", "agf/paper"):
        file = tree / f"{name}.yaml"
        changed = file.read_text().replace("1e-6", "1e-7").replace("scale: 1e-2", "scale: 2e-2")
        file.write_text(changed.replace("max_events: 200", "max_events: 100"))
    monkeypatch.setattr(composing, "config_directory", lambda: tree)
    after = {name: config_hash(composed(f"study={name}")) for name in (study, "compare")}
    assert after[study] == before[study]
    assert after["compare"] != before["compare"]


@pytest.mark.parametrize(("choices", "slot", "name"), [
    (["model=product"], "model", "product"),
    (["model=product"], "data", "two_points"),  # the model's file chooses it
    (["model=relu", "data=two_points", "data.height=2"], "data", "two_points"),
    (["train=strict_flow", "train.horizon=3"], "train", "strict_flow"),
    (["model=product", "init=upright", "init.scale=0.1"], "init", "upright"),
])
def test_every_group_is_extended_by_a_class_and_a_file(choices: list[str], slot: str, name: str, extensions: Any,
                                                       tmp_path: Path) -> None:
    config = composed(*choices)
    assert getattr(config, slot).name == name
    assert type(getattr(config, slot)).__module__ == "extensions"
    problem = build_problem(config)
    assert problem.initial.shape[0] == config.model.width
    if slot == "init":
        assert float(problem.initial.min()) >= 0


def test_a_run_with_a_choice_of_ones_own_in_every_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    """`--import` and `--config-dir` are all that it takes."""
    monkeypatch.chdir(tmp_path)
    with registered():
        assert main([*EXTENSIONS, "model=product", "init=upright", "train=strict_flow", "train.max_rows=200",
                     "agf.max_events=1", "plots=false", "report=false"]) == 0
        assert capsys.readouterr().err == ""
        (run_dir,) = (tmp_path / "outputs" / "product").iterdir()
        _, saved = read_run(run_dir)
        assert {slot: saved.config[slot]["name"] for slot in ("model", "data", "train", "init")} == {
            "model": "product", "data": "two_points", "train": "strict_flow", "init": "upright"}
        assert saved.done["status"] in ("converged", "horizon")
        assert config_hash(from_mapping(saved.config)) == saved.done["config_hash"]


def test_a_slot_of_ones_own_is_a_group(walks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agfrun(*CONFIGS, "study=walk", "terrain=hills", "terrain.height=3", folder=tmp_path / "run") == 0
    assert "from home" in capsys.readouterr().out
    _, saved = read_run(tmp_path / "run")
    assert saved.config["terrain"] == {"name": "hills", "height": 3.0}
    for override, line in (("terrain=hill", "terrain=hill is not allowed: choose one of flat, hills; did you mean "
                                            "hills?"),
                           ("terrain.name=hills", "terrain.name=hills is not allowed: it comes with the group; write "
                                                  "terrain=NAME"),
                           ("terrain.hight=3", "terrain.hight=3 is not allowed: there is no such key; did you mean "
                                               "terrain.height? agfrun study=walk --help shows all"),
                           ("terrain=hills terrain.height=-1",
                            "terrain.height=-1 is not allowed: must be a positive number")):
        assert agfrun(*CONFIGS, "study=walk", *override.split(), folder=tmp_path / "refused") == 2
        assert capsys.readouterr().err == f"agfrun: error: {line}\n"


def test_a_run_lies_in_a_folder_of_its_study_and_a_sweep_beside_it(walks: Any, tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quiet = [*CONFIGS, "study=walk", "length=2", "plots=false", "report=false"]
    assert main(quiet) == 0
    assert main([*quiet, "-m", "seed=0,1", "hydra/launcher=serial"]) == 0
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["walk"]
    (run,) = (tmp_path / "outputs" / "walk").glob("*/done.json")
    (swept,) = (tmp_path / "outputs" / "walk" / "multirun").glob("*/runs.csv")
    assert read_run(run.parent)[1].done["status"] == "finished"
    assert {path.name for path in swept.parent.iterdir()} >= {"path.csv", "walk_runs.csv", "claims.csv", ".sweep"}


def test_a_group_without_a_class_is_extended_by_a_file_alone(tmp_path: Path) -> None:
    (tmp_path / "agf").mkdir()
    (tmp_path / "agf" / "coarse.yaml").write_text("defaults: [decoupled, _self_]\nmax_events: 2\n")
    config = load_config([f"hydra.searchpath=[file://{tmp_path}]", "agf=coarse"])
    assert (config.agf.max_events, config.agf.cost_phase, config.agf.threshold) == (2, "decoupled", 0.2)


UNSUITABLE = [
    ("model=module", "model.name=module is not allowed: it builds a Linear, not an agfrun.Architecture: a sum of "
                     "homogeneous neurons"),
    ("model=saturating", "model.name=saturating is not allowed: its neurons are not homogeneous: declared degree 2"),
    ("model=stranger", "model.name=stranger is not allowed: choose one of diagonal_linear, "),
    ("model=monomial_mlp", "model.name=monomial_mlp is not allowed: choose one of diagonal_linear, "),
    ("study=dimension model=relu", "model=relu is not allowed: choose one of lightning_attention, "),
    ("study=dimension model=product", "model=product is not allowed: choose one of lightning_attention, "),
    ("study=dimension model=stranger", "model=stranger is not allowed: choose one of lightning_attention, "),
    ("study=width model=diagonal_linear", "study=width is not allowed: model=diagonal_linear has no key model.width"),
    ("study=width model=module", "model=module has no key model.width"),
    ("study=vanishing_init model=saturating", "its neurons are not homogeneous"),
    ("model=product init=balanced", "init.name=balanced is not allowed: choose one of gaussian, upright, file with "
                                    "model=product"),
    ("model=relu init=upright", "init.name=upright is not allowed: choose one of "),
    ("model=relu data=modular_addition", "data.name=modular_addition is not allowed: choose one of "),
]


@pytest.mark.parametrize(("words", "line"), UNSUITABLE, ids=[words for words, _ in UNSUITABLE])
def test_a_choice_that_does_not_suit_the_study_is_refused_in_one_line(words: str, line: str, extensions: Any) -> None:
    with pytest.raises(ConfigError) as caught:  # noqa: PT012 - some are seen once the network is built
        build_problem(composed(*words.split()))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", ["model=module", "model=saturating", "study=dimension model=product"])
def test_it_leaves_nothing_behind(words: str, extensions: Any, tmp_path: Path,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert agfrun(*CONFIGS, *words.split(), folder=tmp_path / "run") == 2
    errors = capsys.readouterr().err
    assert errors.startswith("agfrun: error: model")
    assert errors.count("\n") == 1
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_names_are_those_of_the_studys_kind(extensions: Any) -> None:
    """A choice of another laboratory is not offered."""
    with pytest.raises(UsageError) as caught:
        composed("model=stranger")
    assert "monomial_mlp" not in str(caught.value)
    assert str(caught.value).endswith(" with study=compare")
    assert "product" in str(caught.value)


def test_studies_that_need_no_torch_do_not_import_it(tmp_path: Path) -> None:
    """Neither to be validated or refused nor, without a training, to be run, drawn and reported."""
    code = f"""
import sys
from agfrun.cli.main import main
import agfrun.runner.execution

def said(*arguments):
    status = main([*{WALKS}, *arguments])
    print(*arguments[:1], status, *(name for name in ("torch", "agfrun.labs.staircases", "agfrun.labs.neuromanifolds")
                                    if name in sys.modules))

said("study=walk", "length=3", "plot_formats=[png]", "hydra.run.dir=run")
said("resume", "run")
said("plot", "run")
said("study=walk", "init.scale=2")
agfrun.runner.execution.execute = lambda *_, **__: sys.exit(0)
said("study=claims", "study.seeds=1")
said("study=dimension")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=False,
                          timeout=600, env=os.environ | {"PYTHONPATH": str(FOLDER.parents[1])})
    assert done.stderr.count("\n") == 1, done.stderr
    assert "study=walk has no init" in done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith(("study=", "resume", "plot"))] == [
        "study=walk 0", "resume 0", "plot 0", "study=walk 2", "study=claims 0",
        "study=dimension 0 agfrun.labs.neuromanifolds"]
    assert (tmp_path / "run" / "plots" / "walk.png").exists()
    assert (tmp_path / "run" / "report.html").exists()
