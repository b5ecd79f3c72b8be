from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_studies import assert_files_of, diagonal_config, execute, interrupt_after, read

from agfrun import AgfrunError, InitConfig, Saved, UsageError, load_config, run
from agfrun.labs.staircases.analysis.search_space import with_values
from agfrun.labs.staircases.run.single import one_run
from agfrun.labs.staircases.studies import search
from agfrun.labs.staircases.studies.search import TRIALS, SearchConfig

pytest.importorskip("optuna", reason="pip install 'agfrun[search]'")

SPACE = {"init.scale": [1e-6, 1e-1, "log"], "train.max_rows": [200, 400], "agf.dormant_clock": ["carried", "restarted"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    execute(diagonal_config(SearchConfig(space=SPACE, trials=5)), folder)
    return folder


def test_files_and_types_of_the_values(folder: Path) -> None:
    assert_files_of(folder, SearchConfig, "search")
    trials = read(folder, "trials")
    assert list(trials.columns) == [*TRIALS.names, *SPACE]
    assert trials["init.scale"].between(1e-6, 1e-1).all()
    assert trials["train.max_rows"].between(200, 400).all()
    assert trials["train.max_rows"].dtype.kind == "i"
    assert set(trials["agf.dormant_clock"]) <= {"carried", "restarted"}


def test_the_best_trial_is_the_run_with_its_settings(folder: Path) -> None:
    trials, done = read(folder, "trials"), json.loads((folder / "done.json").read_text())
    best = trials.loc[trials["objective"].idxmin()]
    assert (done["best_trial"], done["best_objective"]) == (best["trial"], best["objective"])
    config = with_values(diagonal_config(SearchConfig()), {key: best[key].item() if hasattr(best[key], "item")
                                                           else best[key] for key in SPACE})
    assert run(one_run(config), progress=False).verdict["worst_time_error"] == best["objective"]


def test_the_same_command_gives_the_same_numbers_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    again = execute(diagonal_config(SearchConfig(space=SPACE, trials=5), plots=False), None).tables["trials"]
    first = read(folder, "trials")
    for name in ("objective", *SPACE):
        assert again[name].astype(object).where(again[name].notna(), None).tolist() \
            == first[name].astype(object).where(first[name].notna(), None).tolist()  # a trial that failed has none
    other = execute(diagonal_config(SearchConfig(space=SPACE, trials=2), seed=1, plots=False), None)
    assert other.tables["trials"]["init.scale"].tolist() != first["init.scale"].tolist()[:2]


def test_several_seeds_are_trained_together_and_their_median_counts(tmp_path: Path) -> None:
    config = diagonal_config(SearchConfig(space={"init.scale": [1e-5, 1e-4, "log"]}, trials=1, seeds=3),
                             init=InitConfig("gaussian", 1e-3), plots=False)
    row = execute(config, None).tables["trials"].iloc[0]
    verdicts = [run(one_run(with_values(config, {"init.scale": row["init.scale"], "seed": seed})),
                    progress=False).verdict for seed in range(3)]
    errors = sorted(verdict["worst_time_error"] for verdict in verdicts)
    assert row["objective"] == pytest.approx(errors[1], rel=1e-3)
    in_order = [verdict["in_predicted_order"] == verdict["predicted_acquisitions"] for verdict in verdicts]
    assert row["order_share"] == pytest.approx(sum(in_order) / 3)


def test_an_error_over_fewer_acquisitions_is_no_smaller_one() -> None:
    with pytest.raises(AgfrunError, match="1 of 2 predicted"):
        search._require_all_met([{"predicted_acquisitions": 2, "measured_acquisitions": 1}])
    with pytest.raises(AgfrunError, match="0 of 0 predicted"):
        search._require_all_met([{"predicted_acquisitions": 0, "measured_acquisitions": 0}])


def test_an_interrupted_search_keeps_its_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        execute(diagonal_config(SearchConfig(trials=4)), tmp_path)
    assert read(tmp_path, "trials")["status"].tolist() == ["finished", "finished"]
    assert not (tmp_path / "done.json").exists()


def test_without_optuna_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        return None

    monkeypatch.setattr(search, "find_spec", missing)
    with pytest.raises(UsageError, match=r"optuna is not installed; pip install 'agfrun\[search\]'"):
        execute(diagonal_config(SearchConfig(trials=1)), None)


@pytest.mark.parametrize(("overrides", "message"), [
    (["study.space={init.scal:[1e-3,1e-2]}"], "init.scal=.*did you mean init.scale"),
    (["study.space={init.scale:[1e-3,2.0]}"], r"init.scale=2.0 is not allowed: must be a number above 0 and below 1"),
    (["study.space={init.scale:[1e-2,1e-3]}"], "low < high"),
    (["study.space={init.scale:1e-3}"], "list of choices"),
    (["study.space={agf.threshold:[0,1,log]}"], "above 0 with log"),
    (["study.space={agf.cost_phase:[decoupled,other]}"], "agf.cost_phase=other is not allowed"),
    (["study.space={model.name:[relu,diagonal_linear]}"], "cannot vary"),
    (["study.space={study.trials:[1,2]}"], "cannot vary"),
    (["study.space={seed:[1,2]}"], "cannot vary"),
    (["study.space=3"], "a mapping"),
    (["study.objective=speed"], "choose one of .*, worst_time_error, .*, claims_hold, order_share$"),
    (["study.trials=0"], "from 1 to 100000"),
    (["study.seeds=2", "init=deterministic"], "1 with init=deterministic"),
])
def test_wrong_keys_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(["study=search", "model=diagonal_linear", *overrides])


def test_trials_that_failed_are_drawn_and_not_best() -> None:
    trials = pd.DataFrame({"trial": [0, 1, 2], "objective": [0.3, None, 0.2], "init.scale": [1e-3, 1e-2, 1e-4]})
    saved = Saved(Path(), {}, {"trials": trials})
    ((_, figure),) = SearchConfig(space={"init.scale": [1e-5, 1e-1, "log"]}).figures(saved)
    lines = {line.get_gid(): line for line in figure.axes[1].lines}
    assert list(lines["failed"].get_xdata()) == [1e-2]
    assert list(lines["best"].get_xdata()) == [1e-4]
    assert list({line.get_gid(): line for line in figure.axes[0].lines}["best_so_far"].get_ydata()) == [0.3, 0.3, 0.2]
