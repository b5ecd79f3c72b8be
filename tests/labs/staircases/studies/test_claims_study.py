"""`study=claims` and `agfrun claims`: files, terminal, refusals, figure, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_studies import execute, read

from agfrun import AgfrunError, ConfigError, RunConfig, load_config, validate
from agfrun.cli.main import main
from agfrun.labs.staircases.paper.claims import laboratory
from agfrun.labs.staircases.paper.claims.paper_claim import COLUMNS, FAILS, HOLDS, UNDECIDED, paper_claims
from agfrun.labs.staircases.paper.figures.claims import VERDICTS, plot_claims
from agfrun.labs.staircases.studies.claims import ClaimsConfig

FEW = ["published_utility_at_nyquist", "utility_is_homogeneous", "diagonal_published_plateaus"]


def config(**changes: Any) -> RunConfig:
    return RunConfig(study=ClaimsConfig(**{"only": FEW, "seeds": 1, **changes}), device="cpu", plot_formats=["png"])


def test_tables_claims_and_figure(tmp_path: Path) -> None:
    finished = execute(config(), tmp_path / "claims")
    table = read(tmp_path / "claims", "paper_claims")
    assert list(table.columns) == list(COLUMNS)
    assert set(table["claim"]) == {*FEW, "nyquist_maximal_utility"}
    verdicts = dict(zip(table["claim"], table["verdict"], strict=True))
    assert verdicts.pop("published_utility_at_nyquist") == FAILS
    assert set(verdicts.values()) == {HOLDS}
    assert len(read(tmp_path / "claims", "claims")) == 4
    assert (tmp_path / "claims" / "plots" / "paper_claims.png").stat().st_size > 1000
    assert "sharper: nyquist_maximal_utility" in finished.summary()


def test_the_shipped_configuration_is_every_claim() -> None:
    study = load_config(["study=claims"]).study
    assert isinstance(study, ClaimsConfig)
    assert study == ClaimsConfig()


@pytest.mark.parametrize(("overrides", "message"), [
    (["study.only=[comuting_times]"], "did you mean commuting_times"), (["study.only=[]"], "study.only"),
    (["study.seeds=0"], "study.seeds"), (["model=relu"], "brings its own experiments"),
    (["init.scale=1e-3"], "brings its own experiments"), (["dtype=float32"], "float64")])
def test_refusals(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(load_config(["study=claims", *overrides]))


def test_failing_runs_leave_claims_undecided_and_the_others_go_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AgfrunError("the run broke")

    monkeypatch.setattr(laboratory, "run", fail)
    finished = execute(config(only=["relu_order", "relu_maximal_utility"]), tmp_path / "claims")
    table = read(tmp_path / "claims", "paper_claims").set_index("claim")
    assert table.loc["relu_order", "verdict"] == UNDECIDED
    assert "the run broke" in table.loc["relu_order", "why"]
    assert table.loc["relu_maximal_utility", "verdict"] == HOLDS
    assert list(read(tmp_path / "claims", "claims")["claim"]) == ["relu_maximal_utility"]
    assert "relu_order is undecided" in finished.summary()


def test_what_was_decided_survives_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(laboratory, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        execute(config(only=["relu_order", "utility_is_homogeneous"]), tmp_path / "claims")
    assert list(read(tmp_path / "claims", "paper_claims")["claim"]) == ["utility_is_homogeneous"]


def test_the_command_is_short_for_the_study(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status = main(["claims", "study.only=[published_utility_at_nyquist]", "device=cpu", "plots=false"])
    assert status == 0  # a claim that fails is a result
    text = capsys.readouterr().out
    assert text.splitlines()[0].split()[:3] == ["verdict", "claim", "network"]
    assert "1 hold, 1 fail, 0 undecided" in text
    folders = list((tmp_path / "outputs" / "claims").iterdir())
    assert len(folders) == 1
    assert (folders[0] / "paper_claims.csv").is_file()


def test_every_claim_and_verdict_is_drawn() -> None:
    claims = list(paper_claims().values())
    verdicts = [(HOLDS, FAILS, UNDECIDED)[place % 3] for place in range(len(claims))]
    deviations = [(0.1, 50.0, None, float("inf"))[place % 4] for place in range(len(claims))]
    table = pd.DataFrame({"claim": [c.name for c in claims], "network": [c.network for c in claims],
                          "standing": [c.standing for c in claims], "verdict": verdicts, "deviation": deviations})
    figure = plot_claims(table)
    drawn = {line.get_gid(): line for axes in figure.axes for line in axes.get_lines() if line.get_gid()}
    assert set(drawn) == {f"claim:{claim.name}" for claim in claims}
    for claim, verdict in zip(claims, verdicts, strict=True):
        assert drawn[f"claim:{claim.name}"].get_marker() == VERDICTS[verdict]["marker"]


@pytest.mark.slow
def test_every_claim_is_decided(tmp_path: Path) -> None:
    """All of them from one seed; those that fail are the ones with a sharper statement, which holds."""
    execute(config(only=None), tmp_path / "claims")
    table = read(tmp_path / "claims", "paper_claims").set_index("claim")
    known = paper_claims()
    assert list(table.index) == list(known)
    assert not (table["verdict"] == UNDECIDED).any()
    for name in table.index[table["verdict"] == FAILS]:
        assert table.loc[known[str(name)].sharper, "verdict"] == HOLDS
