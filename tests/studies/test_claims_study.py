"""`study=claims` and `agfrun claims`: files, terminal, refusals, failures, resumption, older folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agfrun import (
    AgfrunError,
    ConfigError,
    Finding,
    OutputError,
    Paper,
    RunSettings,
    StudyResult,
    execute,
    load_config,
    paper_claims,
    read_run,
    small,
    validate,
)
from agfrun.cli.main import main
from agfrun.labs.staircases.paper.claims import laboratory
from agfrun.report.paper_claims import WIDTH
from agfrun.studies.claims import PAPER_CLAIMS, ClaimsConfig
from agfrun.study import paper_claim
from agfrun.study.claim import CLAIMS, FAILS, HOLDS, UNDECIDED

FEW = ["published_utility_at_nyquist", "utility_is_homogeneous", "diagonal_published_plateaus"]


def config(**changes: Any) -> RunSettings:
    return RunSettings(study=ClaimsConfig(**{"only": FEW, "seeds": 1, **changes}), device="cpu", plot_formats=["png"])


def done(settings: RunSettings, folder: Path, **options: Any) -> StudyResult:
    return execute(settings, output_dir=folder, progress=False, **options)


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """paper_claims.csv and claims.csv, by claim."""
    _, saved = read_run(folder)
    return saved.tables["paper_claims"].set_index("claim"), saved.tables["claims"].set_index("claim")


def test_tables_claims_and_figure(tmp_path: Path) -> None:
    finished = done(config(), tmp_path / "claims")
    table, claims = tables(tmp_path / "claims")
    assert set(table.index) == set(claims.index) == {*FEW, "nyquist_maximal_utility"}
    verdicts = dict(table["verdict"])
    assert verdicts.pop("published_utility_at_nyquist") == FAILS
    assert set(verdicts.values()) == {HOLDS}
    assert set(table["laboratory"]) == {"staircases"}
    assert table["subject"].equals(table["source"])
    assert table.loc["nyquist_maximal_utility", "stated"] == claims.loc["nyquist_maximal_utility", "stated"] == "agfrun"
    assert claims.loc["utility_is_homogeneous", "stated"] == "Kunin, Marchetti et al. 2025, arXiv:2506.06489, section 2"
    assert (tmp_path / "claims" / "plots" / "paper_claims.png").stat().st_size > 1000
    assert "sharper: nyquist_maximal_utility" in finished.summary()


def test_the_table_has_the_columns_of_claims_and_more() -> None:
    more = [name for name in PAPER_CLAIMS.names if name not in CLAIMS.names]
    assert more == ["laboratory", "paper", "subject", "seeds", "deviation", "verdict", "seconds"]
    assert set(CLAIMS.names) < set(PAPER_CLAIMS.names)


def test_the_shipped_configuration_is_every_claim() -> None:
    loaded = load_config(["study=claims"])
    assert type(loaded) is RunSettings  # no group of any laboratory
    assert loaded.study == ClaimsConfig()


@pytest.mark.parametrize(("overrides", "message"), [
    (["study.only=[comuting_times]"], "did you mean commuting_times"), (["study.only=[]"], "study.only"),
    (["study.seeds=0"], "study.seeds"), (["model=relu"], "model"), (["init.scale=1e-3"], "init.scale"),
    (["dtype=float32"], "float64")])
def test_refusals(overrides: list[str], message: str) -> None:
    with pytest.raises(AgfrunError, match=message):
        validate(load_config(["study=claims", *overrides]))


def test_a_word_that_nothing_has_is_refused_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"study\.only=xyzzy .* subject \(.*relu.*\) or a laboratory \(.*staircases"):
        validate(config(only=["xyzzy"]))


def test_failing_runs_leave_claims_undecided_and_the_others_go_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AgfrunError("the run broke")

    monkeypatch.setattr(laboratory, "run", fail)
    finished = done(config(only=["relu_order", "relu_maximal_utility"]), tmp_path / "claims")
    table, claims = tables(tmp_path / "claims")
    assert dict(table["verdict"]) == {"relu_order": UNDECIDED, "relu_maximal_utility": HOLDS}
    assert "the run broke" in table.loc["relu_order", "why"]
    assert claims["holds"].isna().tolist() == (table["verdict"] == UNDECIDED).tolist()
    assert finished.numbers == {"holds": 1, "fails": 0, "undecided": 1}
    assert "undecided: a run of relu with seed 0 failed: AgfrunError: the run broke" in " ".join(
        finished.text.split())
    assert "1 hold, 0 fail, 1 undecided" in finished.text


def test_what_was_decided_survives_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    settings = config(only=["relu_order", "utility_is_homogeneous"])
    with monkeypatch.context() as interrupted:
        interrupted.setattr(laboratory, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            done(settings, tmp_path / "claims")
    decided = pd.read_csv(tmp_path / "claims" / "paper_claims.csv")
    assert list(decided["claim"]) == ["utility_is_homogeneous"]
    monkeypatch.setattr(laboratory, "run", lambda *_, **__: (_ for _ in ()).throw(AgfrunError("it broke")))
    done(settings, tmp_path / "claims", resume=True)
    table, _ = tables(tmp_path / "claims")
    assert dict(table["verdict"]) == {"utility_is_homogeneous": HOLDS, "relu_order": UNDECIDED}
    assert table.loc["utility_is_homogeneous", "seconds"] == decided["seconds"][0]  # not decided again


def test_the_command_is_short_for_the_study(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status = main(["claims", "study.only=[published_utility_at_nyquist]", "device=cpu", "plots=false"])
    assert status == 0  # a claim that fails is a result
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("staircases: ")
    assert "3 claims" not in lines[-3]
    assert "1 hold, 1 fail, 0 undecided" in "\n".join(lines)
    assert max(map(len, lines[:-1])) <= WIDTH
    folders = list((tmp_path / "outputs" / "claims").iterdir())
    assert len(folders) == 1
    assert (folders[0] / "paper_claims.csv").is_file()


def test_a_claim_of_ones_own_is_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_claim, "_CLAIMS", {})

    @Paper("shapes", "Euclid, Elements", ("circle",), lambda seeds, device: tuple(seeds)).claim(
        "circle", "book III", "theorem")
    def it_is_round(seeds: tuple[int, ...]) -> Finding:
        """A circle is as wide in every direction."""
        return small(0.0, 1.0, "drawn by hand", str(seeds))

    finished = done(config(only=["circle"], seeds=2), tmp_path / "claims")
    table, _ = tables(tmp_path / "claims")
    assert table.loc["it_is_round", ["laboratory", "paper", "subject", "seeds", "verdict"]].tolist() == [
        "shapes", "Euclid, Elements", "circle", "(0, 1)", HOLDS]
    assert finished.text.splitlines()[0] == "shapes: Euclid, Elements"


def test_laboratories_that_are_not_asked_for_are_not_imported() -> None:
    """Nor torch, before anything is decided."""
    code = ("import sys\nfrom agfrun import load_config\nload_config(['study=claims'])\n"
            "print([name for name in sys.modules if name == 'torch' or name.startswith('agfrun.labs.')])")
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_an_older_folder_is_told_so(tmp_path: Path) -> None:
    done(config(only=["utility_is_homogeneous"]), tmp_path / "claims")
    path = tmp_path / "claims" / "paper_claims.csv"
    pd.read_csv(path).drop(columns=["laboratory", "paper", "source", "holds"]).rename(
        columns={"subject": "network"}).to_csv(path, index=False)
    with pytest.raises(OutputError, match=r"paper_claims\.csv has no column laboratory, paper, subject"):
        read_run(tmp_path / "claims")


@pytest.mark.slow
def test_every_claim_is_decided(tmp_path: Path) -> None:
    """All of them from one seed; those that fail are the ones with a sharper statement, which holds."""
    done(config(only=None), tmp_path / "claims")
    table, _ = tables(tmp_path / "claims")
    known = paper_claims()
    assert list(table.index) == list(known)
    assert not (table["verdict"] == UNDECIDED).any()
    for name in table.index[table["verdict"] == FAILS]:
        assert table.loc[known[str(name)].sharper, "verdict"] == HOLDS
