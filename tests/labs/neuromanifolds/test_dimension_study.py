"""study=dimension as a library runs it: its folder, claims, words, and what it makes of an interruption."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from polynomial_networks import TABLE
from tiny_runs import read_json

from agfrun import ConfigError, UsageError, execute, load_config, read_run, redraw, rerun, resume_run, write_report
from agfrun.files.saved_run import read_config
from agfrun.labs.neuromanifolds import (
    Measurement,
    MonomialMlpConfig,
    NeuromanifoldConfig,
    dimension,
    exact_study,
    measure_strata,
    measurement,
)
from agfrun.labs.neuromanifolds.studies import dimension as study_module
from agfrun.tracking.record import read_record

# Ranks modulo two primes stay one below the bound.
UNDECIDED = ["model.widths=[2,13,15,11,4,6,5,2]"]
OWN = {"format", "study", "seed", "device", "dtype", "plots", "plot_formats", "report", "overwrite", "checkpoint",
       "model"}


def config_of(*overrides: str) -> Any:
    return load_config(["study=dimension", "plot_formats=[png]", *overrides])


def run(folder: Path | None, *overrides: str) -> Any:
    return execute(config_of(*overrides), output_dir=folder, progress=False, command=["agfrun"])


def claims(folder: Path) -> dict[str, dict[str, Any]]:
    rows = pd.read_csv(folder / "claims.csv", dtype=str, keep_default_na=False).to_dict("records")
    return {row["claim"]: row for row in rows}


@pytest.fixture(scope="module")
def exceptional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an Alexander-Hirschowitz exception, one dimension below the expected."""
    folder = tmp_path_factory.mktemp("exceptional") / "run"
    run(folder, "model.widths=[3,5,1]", "model.degree=4")
    return folder


def test_defaults_are_those_of_the_settings() -> None:
    assert load_config(["study=dimension"]) == NeuromanifoldConfig()


def test_the_folder_holds_the_study_s_own_keys_and_files(exceptional: Path) -> None:
    assert set(yaml.safe_load((exceptional / "config.yaml").read_text())) == OWN
    assert read_config(exceptional)["model"] == {"name": "monomial_mlp", "widths": [3, 5, 1], "degree": 4,
                                                 "degrees": None}
    assert {path.name for path in exceptional.iterdir()} == {
        "architectures.csv", "ranks.csv", "claims.csv", "config.yaml", "manifest.json", "done.json", "report.html",
        "plots"}
    assert [path.name for path in (exceptional / "plots").iterdir()] == ["counts.png"]


def test_numbers_of_a_run(exceptional: Path) -> None:
    done = read_json(exceptional / "done.json")
    expected = {"dimension": 14, "expected": 15, "ambient": 15, "parameters": 20, "defect": 1, "fibre_dimension": 6,
                "filling": False, "closed_form": 14, "bound": 14, "proved": True, "claims": 5, "claims_hold": 5,
                "claims_undecided": 0}
    assert {key: done[key] for key in expected} == expected
    assert "python_flint" not in read_json(exceptional / "manifest.json")  # no other package was needed


def test_tables_of_a_run(exceptional: Path) -> None:
    study, saved = read_run(exceptional)
    assert {schema.name: list(saved.tables[schema.name].columns) for schema in study.tables} == {
        schema.name: schema.names for schema in study.tables}
    ranks = saved.tables["ranks"]
    assert (ranks["rank"].tolist(), ranks["rows"].tolist(), ranks["columns"].tolist()) == ([14, 14], [19, 19], [15, 15])
    row = saved.tables["architectures"].iloc[0]
    assert (row["architecture"], row["degree"], row["symmetries"], row["dimension"]) == ("3-5-1", 4, 5, 14)


def test_the_text_shows_the_integers_and_the_closed_form_beside_them(exceptional: Path) -> None:
    text = read_json(exceptional / "manifest.json")["summary"]
    assert text.startswith("monomial_mlp 3-5-1, degree 4: dimension 14, 1 below the expected 15\n")
    for words in ("parameters      20", "ambient space   15", "closed form     14  theorem: Alexander & Hirschowitz",
                  "dimension       14  proved: it meets the upper bound; rank 14 modulo 8388593 and 14 modulo"):
        assert words in text


def test_all_claims_hold_where_theory_knows_the_dimension(exceptional: Path) -> None:
    rows = claims(exceptional)
    assert {row["holds"] for row in rows.values()} == {"True"}
    closed = rows["equals_closed_form"]
    assert (closed["expected"], closed["measured"], closed["standing"]) == ("14", "14", "theorem")
    assert closed["stated"] == "Alexander & Hirschowitz 1995"
    assert all(row["why"] and row["stated"] and row["standing"] for row in rows.values())


def test_what_theory_does_not_know_is_undecided_and_says_why(tmp_path: Path) -> None:
    result = run(tmp_path, *UNDECIDED)
    assert isinstance(result.outcome, Measurement)
    rows = claims(tmp_path)
    assert {name for name, row in rows.items() if not row["holds"]} == {"equals_closed_form", "meets_upper_bound"}
    assert "from degree 19 on theory says that the defect is 0" in rows["equals_closed_form"]["why"]
    assert "84 is below the bound 85" in rows["meets_upper_bound"]["why"]
    assert read_json(tmp_path / "done.json")["claims_undecided"] == 2
    assert "claims: 3 hold, 2 undecided, none fails" in result.summary()
    assert "not proved; rank 84 modulo" in result.text
    report = (tmp_path / "report.html").read_text()
    assert "Dimension 84, 46 below the expected 130. No closed form is known; the dimension is what ranks" in report


def test_our_own_closed_form_is_called_ours(tmp_path: Path) -> None:
    run(tmp_path, "model.widths=[3,3,3,1]")
    assert claims(tmp_path)["equals_closed_form"]["standing"] == "ours"
    assert "our closed form, which is not proved, says" in (tmp_path / "report.html").read_text()


def test_one_prime_leaves_their_agreement_undecided(tmp_path: Path) -> None:
    run(tmp_path, "study.primes=1", "plots=false")
    assert len(pd.read_csv(tmp_path / "ranks.csv")) == 1
    assert claims(tmp_path)["primes_agree"]["holds"] == ""


def test_ranks_that_contradict_theory_make_claims_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = iter([12, 13, 13])
    monkeypatch.setattr(measurement, "rank", lambda matrix, prime: next(ranks))
    run(tmp_path, "model.widths=[3,5,1]", "model.degree=4")
    failing = {name for name, row in claims(tmp_path).items() if row["holds"] == "False"}
    assert failing == {"equals_closed_form", "primes_agree"}
    assert "; claims fail: equals_closed_form, primes_agree." in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("widths", "degree", "known", "ambient", "defect"), TABLE)
def test_the_study_finds_every_dimension_of_the_table(widths: tuple[int, ...], degree: int, known: int,
                                                      ambient: int | None, defect: int | None) -> None:
    network = MonomialMlpConfig(widths=list(widths), degree=degree)
    result = execute(NeuromanifoldConfig(model=network))
    numbers = result.numbers
    assert (numbers["dimension"], numbers["proved"]) == (known, True)
    assert ambient is None or (numbers["ambient"], numbers["defect"]) == (ambient, defect)
    assert all(claim.holds is not False for claim in result.claims)


def test_a_space_too_large_for_an_integer_of_a_table_is_left_out(tmp_path: Path) -> None:
    run(tmp_path, "model.widths=[20,3,1]", "model.degree=4000")
    assert read_json(tmp_path / "done.json")["ambient"] is None
    assert pd.read_csv(tmp_path / "architectures.csv")["ambient"].isna().all()
    assert read_json(tmp_path / "done.json")["filling"] is False
    assert "ambient space   over 10^15" in read_json(tmp_path / "manifest.json")["summary"]


def test_figures_and_page_are_made_anew_from_the_files(exceptional: Path) -> None:
    before = (exceptional / "plots" / "counts.png").read_bytes()
    assert [path.read_bytes() for path in redraw(exceptional, ["png"])] == [before]
    page = write_report(exceptional).read_text()
    assert "Dimension 14, 1 below the expected 15, as a theorem says (Alexander &amp; Hirschowitz 1995)." in page
    for words in ("architectures.csv", "ranks.csv", "Figure counts"):
        assert words in page
    for foreign in ("AGF", "neuron", "loss"):
        assert foreign not in page


def test_a_rerun_is_identical(exceptional: Path) -> None:
    again = rerun(exceptional, progress=False)
    assert again.largest == 0.0
    assert sorted(again.tables) == ["architectures.csv", "claims.csv", "ranks.csv"]
    assert not again.differences


def test_the_record_for_a_tracker(exceptional: Path) -> None:
    record = read_record(exceptional, config_of("model.widths=[3,5,1]", "model.degree=4"), ["model.degree=4"])
    assert record.status == "finished"
    assert record.parameters == {"study.name": "dimension", "study.primes": "2", "seed": "0", "device": "auto",
                                 "dtype": "float64", "model.name": "monomial_mlp", "model.widths": "[3,5,1]",
                                 "model.degree": "4", "model.degrees": "null"}
    assert (record.metrics["dimension"], record.metrics["defect"], record.metrics["fibre_dimension"]) == (14, 1, 6)
    points = {(point.name, point.step): point.value for point in record.series}
    assert (points["rank", 0], points["rank", 1], points["claims/ranks/equals_closed_form", 0]) == (14, 14, 1)


def counted_ranks(monkeypatch: pytest.MonkeyPatch, interrupted_at: int | None) -> Iterator[int]:
    """Count ranks as they are taken; one of them is interrupted."""
    taken: list[int] = []
    real = measurement.rank

    def rank(matrix: Any, prime: int) -> int:
        taken.append(prime)
        if len(taken) - 1 == interrupted_at:
            raise KeyboardInterrupt
        return real(matrix, prime)

    monkeypatch.setattr(measurement, "rank", rank)
    return iter(taken)


@pytest.mark.parametrize("interrupted_at", [0, 1])
def test_an_interrupted_run_goes_on_with_the_next_prime(interrupted_at: int, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        counted_ranks(context, interrupted_at)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", *UNDECIDED)
    assert len(pd.read_csv(tmp_path / "broken" / "ranks.csv")) == interrupted_at
    assert not (tmp_path / "broken" / "done.json").exists()
    with monkeypatch.context() as context:
        taken = counted_ranks(context, None)
        resumed = resume_run(tmp_path / "broken", progress=False)
        assert len(list(taken)) == 2 - interrupted_at
    assert resumed is not None
    assert resumed.outcome == run(tmp_path / "whole", *UNDECIDED).outcome
    assert claims(tmp_path / "broken") == claims(tmp_path / "whole")
    assert resume_run(tmp_path / "broken", progress=False) is None


def test_what_needs_python_flint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "find_spec", lambda name: None)
    monkeypatch.setattr(exact_study, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "flint", None)
    assert dimension([2, 2, 1], 2) == execute(config_of(), progress=False).numbers["dimension"] == 3
    for choice in ("study=singularities", "model=softmax_attention"):
        with pytest.raises(ConfigError, match=r"python-flint is not installed; pip install 'agfrun\[algebra\]'"):
            config_of(choice)
    with pytest.raises(UsageError, match="python-flint is not installed"):
        measure_strata(MonomialMlpConfig(), 0, "exposed")


REFUSED = [
    (["model.widths=[2,0,1]"], "model.widths=[2,0,1] is not allowed: must be widths from 1 to 10000"),
    (["model.widths=[2,20000,1]"], "must be widths from 1 to 10000"),
    (["model.widths=[2,2]"], "must be at least three widths, input, hidden and output: a single layer of weights has"),
    (["model.degree=1"], "model.degree=1 is not allowed: must be an integer of at least 2"),
    (["model.degree=9000000"], "model.degree=9000000 is not allowed: must be smaller, or the network shallower"),
    ([f"model.widths=[{'2,' * 300}1]"], "model.degree=2 is not allowed: must be smaller, or the network shallower"),
    (["model.widths=[900,900,900,9]"], "model.widths=[900,900,900,9] is not allowed: must be smaller: the run would"),
    (["study.primes=0"], "study.primes=0 is not allowed: must be an integer from 1 to 4"),
    (["device=cuda"], "device=cuda is not allowed: must be auto or cpu with study=dimension"),
    (["dtype=float32"], "dtype=float32 is not allowed: must be float64 with study=dimension"),
    (["init.scale=2"], "init.scale=2 is not allowed: study=dimension has no init; it has study, seed, device"),
    (["train.tolerance=1e-6"], "study=dimension has no train"),
    (["model.width=99"], "model.width=99 is not allowed: there is no such key; did you mean model.widths? agfrun "
                         "study=dimension --help shows all"),
    (["model=relu"], "model=relu is not allowed: choose one of lightning_attention, monomial_mlp, "),
    (["study.seeds=3"], "study.seeds=3 is not allowed"),
]


@pytest.mark.parametrize(("overrides", "line"), REFUSED, ids=[" ".join(words)[:40] for words, _ in REFUSED])
def test_what_makes_no_sense_is_refused_in_one_line(overrides: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(*overrides)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2
