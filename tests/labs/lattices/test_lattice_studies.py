"""The studies of lattices as a library runs them: tables, certificates, comparisons, claims, figures, interruption."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_runs import read_json

from agfrun import execute, load_config, read_run, resume_run
from agfrun.labs.lattices import METHODS, certificates, joint
from agfrun.labs.lattices.anytime_tables import curve_rows, equal_rows
from agfrun.labs.lattices.claims import reduction_claims
from agfrun.labs.lattices.comparison import comparison_rows, paired
from agfrun.labs.lattices.detection import Transmission, bit_errors, linear, most_likely, reduced, transmit
from agfrun.labs.lattices.reducers import lll_batch
from agfrun.labs.lattices.reduction_tables import REDUCTIONS, tables_of
from agfrun.labs.lattices.wording import verdict_of_summary

SMALL = ["study=reduction", "data.dimension=5", "data.count=30", "plot_formats=[png]"]


def run(folder: Path | None, *overrides: str) -> Any:
    return execute(load_config(list(overrides)), output_dir=folder, progress=False, command=["agfrun"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lattices") / "run"
    run(folder, *SMALL)
    return folder


def test_reductions(finished: Path) -> None:
    study, saved = read_run(finished)
    assert REDUCTIONS.names == ["method", "lattice", "log_defect", "moves", "det_ok", "hnf_ok"]
    table, summary = saved.tables["reductions"], saved.tables["summary"]
    assert len(table) == len(METHODS) * 30
    assert table["det_ok"].all()
    assert table["hnf_ok"].all()
    for row in summary.itertuples():
        part = table[table["method"] == row.method]["log_defect"]
        assert row.mean == pytest.approx(part.mean())
        assert row.median == pytest.approx(part.median())
        assert row.certified == 1
    best = table.groupby("lattice")["log_defect"].min()
    minima = table[table["method"] == "minima"].set_index("lattice")["log_defect"]
    assert minima.to_numpy(float) == pytest.approx(best.to_numpy(float), abs=1e-9)
    assert read_json(finished / "done.json")["minima_defect"] == summary.set_index("method").loc["minima", "mean"]
    assert {path.stem for path in (finished / "plots").iterdir()} == {"methods", "lattices"}
    assert "proven for all lattices" in (finished / "report.html").read_text(encoding="utf-8")
    assert {schema.name for schema in study.tables} <= set(saved.tables)


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
                                                        ) -> None:
    real, seen = certificates.certified, []

    def once(*arguments: Any) -> Any:
        seen.append(1)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as context:
        context.setattr(certificates, "certified", once)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", *SMALL)
    assert resume_run(tmp_path / "broken", progress=False) is not None
    assert (tmp_path / "broken" / "reductions.csv").read_bytes() == (finished / "reductions.csv").read_bytes()


def test_claims_fail_where_the_data_say_otherwise(finished: Path) -> None:
    tables = {name: table.copy() for name, table in read_run(finished)[1].tables.items()}
    tables["reductions"].loc[3, ["det_ok", "hnf_ok"]] = False
    tables["reductions"].loc[3, "log_defect"] = -0.1
    tables["summary"].loc[tables["summary"]["method"] == "minima", "above_best"] = 0.01
    tables["summary"].loc[tables["summary"]["method"] == "learned", "mean"] = 9.0
    tables["comparisons"].loc[tables["comparisons"]["method"] == "learned", "verdict"] = "worse"
    assert {claim.claim for claim in reduction_claims(tables) if claim.verdict == "fails"} == {
        "moves_are_unimodular", "lattices_stay_the_same", "defects_are_not_negative", "nothing_beats_the_minima",
        "learned_reaches_lll", "learned_reaches_hkz", "learned_beats_product_rule"}


def test_what_was_not_tried_leaves_claims_undecided() -> None:
    result = run(None, *SMALL, "study.methods=[greedy]", "study.certificates=false", "data.count=1")
    assert {claim.claim: claim.verdict for claim in result.claims} == {
        "moves_are_unimodular": "undecided", "lattices_stay_the_same": "undecided", "defects_are_not_negative": "holds",
        "nothing_beats_the_minima": "undecided", "learned_reaches_lll": "undecided", "learned_reaches_hkz": "undecided",
        "learned_beats_product_rule": "undecided"}


def test_bases_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "bases.npy", np.array([[1.0, 0.0], [0.25, 0.5]]).T)
    result = run(None, "study=reduction", "data=bases_file", f"data.path={tmp_path}/bases.npy", "data.vectors=columns",
                 "data.scale=4")
    table = result.tables["reductions"]
    assert len(table) == len(METHODS)
    assert table["log_defect"].to_numpy(float)[0] == pytest.approx(np.log(5**0.5 / 2))


def test_minima_that_form_no_basis_are_left_empty() -> None:
    values = {"defects": [0.1, None], "moves": [1, 2], "at": [1, 2], "det_ok": [True, None], "hnf_ok": [True, None],
              "microseconds": 1.0}
    other = {**values, "defects": [0.2, 0.3], "det_ok": [True, True], "hnf_ok": [None, None]}
    tables = tables_of({"greedy": other, "minima": values})
    row = tables["summary"].set_index("method").loc["minima"]
    assert (row["lattices"], row["at_minima"], row["certified"]) == (1, 0.5, 1.0)
    assert not len(tables["comparisons"])
    sentence = verdict_of_summary(tables["summary"], None).sentence
    assert sentence == "Without learning greedy is best, 0.2500; the optimum is proven for 50.0% of the lattices."
    assert tables_of({"minima": values})["summary"]["above_best"].tolist() == [0.0]


def test_certificates_that_nobody_looked_at_are_not_counted() -> None:
    values = {"defects": [0.1, 0.2], "moves": [1, 2], "at": [1, 2], "det_ok": [None, None], "hnf_ok": [None, None],
              "microseconds": 1.0}
    known = {**values, "det_ok": [True, True], "hnf_ok": [True, False]}
    summary = tables_of({"greedy": values, "seysen": known})["summary"].set_index("method")
    assert np.isnan(float(summary.loc["greedy", "certified"]))
    assert summary.loc["seysen", "certified"] == 0.5


def test_verdicts_allow_for_the_number_of_comparisons() -> None:
    generator = np.random.default_rng(0)
    base = generator.normal(size=400)
    noise = generator.normal(size=400)
    shift = base + 0.13 * (noise - noise.mean()) / noise.std() - 0.13 * 2.5 / 20  # two and a half standard errors
    assert paired(shift, base, 1)["verdict"] == "better"
    assert paired(base, shift, 1)["verdict"] == "worse"
    assert paired(shift, base, 20)["verdict"] == "tie"
    assert paired(base, base, 1)["verdict"] == "tie"
    assert paired(base[:1], shift[:1], 1)["verdict"] == "tie"
    rows = comparison_rows({"greedy": base, "lll_99": shift, "learned": base}, ("lll_99", "learned"))
    assert [(row["method"], row["against"]) for row in rows] == [
        ("greedy", "lll_99"), ("greedy", "learned"), ("learned", "lll_99")]


def test_equal_work_gives_the_product_rule_its_best_temperature_and_more_moves() -> None:
    learned = {"small": {"10": np.array([1.0, 1.2])}}
    product = {0.5: {"10": np.array([1.5, 1.5]), "19": np.array([1.3, 1.3])},
               1.0: {"10": np.array([1.6, 1.6]), "19": np.array([0.9, 1.0])}}
    moves, work = equal_rows(learned, product, {"small": 1.92}, [10])
    assert (moves["temperature"], moves["product_moves"], moves["difference"]) == (0.5, 10, pytest.approx(-0.4))
    assert (work["temperature"], work["product_moves"], work["difference"]) == (1.0, 19, pytest.approx(0.15))


def test_excess_is_over_the_optima_that_are_known() -> None:
    trace = np.array([[3.0, 2.0], [5.0, 4.5]])
    first, last = curve_rows("greedy", trace, 1000.0, np.array([2.0, np.nan]), 2)
    assert (first["moves"], first["above_optimum"], first["at_minima"]) == (0, 1.0, 0.0)
    assert (last["work"], last["mean"], last["above_optimum"], last["at_minima"]) == (1.0, 3.25, 0.0, 0.5)
    assert curve_rows("greedy", trace, 1.0, np.full(2, np.nan), 2)[0]["above_optimum"] is None


def test_anytime(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "study=anytime", "data.dimension=5", "data.count=20", "study.budgets=[8,16]",
                 "study.policies=[small,cheap]", "plot_formats=[png]")
    curves = result.tables["curves"]
    assert set(curves["method"]) == {"greedy", "seysen", "lll_99", "learned_small", "learned_cheap", "product_0.5",
                                     "product_1", "product_1.5", "product_2", "product_3", "product_4.5"}
    for _, part in curves.groupby("method"):
        assert part["mean"].is_monotonic_decreasing or part["method"].iloc[0] in ("lll_99", "seysen")
        assert (part["above_optimum"] >= -1e-9).all()
    assert curves[curves["moves"] == 0]["mean"].nunique() == 1
    assert len(result.outcome) == 8
    assert (tmp_path / "run" / "plots" / "anytime.png").exists()


def test_matrices_of_one_sub_carrier_used_at_others() -> None:
    """Means of LLL .99 by fplll over twenty channels; own: over the lags 0, 1, 2, 4 and 8."""
    expected = {2: (3.13, .83, .88, 1.05, 1.75, 3.68), 4: (3.03, .85, 1.82, 2.87, 4.85, 7.94),
                8: (3.04, .85, 3.19, 4.92, 7.19, 9.71)}
    for taps, (raw, own, *lags) in expected.items():
        sites = joint.sites_of(taps, range(20), 64, 4)
        assert joint.site_defects(sites, lambda batch, generator: None).mean() == pytest.approx(raw, abs=0.02)
        assert joint.site_defects(sites, lll_batch)[:, [0, 1, 2, 4, 8]].mean() == pytest.approx(own, abs=0.02)
        assert [joint.lag_defects(sites, lag).mean() for lag in (1, 2, 4, 8)] == pytest.approx(lags, abs=0.02)


def test_joint_reduction(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "study=joint", "study.taps=[2,4]", "study.channels=6", "study.subcarriers=16",
                 "study.antennas=2", "study.blocks=[4]", "plot_formats=[png]")
    table = result.outcome.set_index(["taps", "block", "method"])["mean"]
    for taps in (2, 4):
        assert table[taps, 4, "joint_learned"] <= min(table[taps, 4, name] for name in ("raw", "centre", "mean_gram"))
        assert table[taps, 1, "site_lll"] <= table[taps, 4, "joint_learned"]
    assert {path.stem for path in (tmp_path / "run" / "plots").iterdir()} == {"blocks", "grid"}
    assert len(result.tables["sites"]) == 2 * 16 * 8


def test_maximum_likelihood_by_brute_force() -> None:
    one = transmit(40, 2, 4, 8.0, np.random.default_rng(0))
    grid = np.array(list(itertools.product(range(4), repeat=4)))
    points = np.einsum("nij,gj->ngi", one.channels, 2.0 * grid - 3)
    nearest = grid[((points - one.received[:, None])**2).sum(2).argmin(1)]
    assert (most_likely(one) == nearest).all()
    assert 0 < (nearest != one.sent).any(1).sum() < 40


def test_without_noise_every_detector_is_right() -> None:
    one = transmit(50, 3, 8, 80.0, np.random.default_rng(1))
    for found in (linear(one, False), linear(one, True), most_likely(one), reduced(one, False, "lll_99", "small", 0),
                  reduced(one, True, "learned", "small", 0)):
        assert (found == one.sent).all()


def test_a_basis_that_is_left_alone_detects_as_before() -> None:
    one = transmit(300, 2, 4, 10.0, np.random.default_rng(2))
    for regularized in (False, True):
        assert (reduced(one, regularized, "raw", "small", 0) == linear(one, regularized)).all()


def test_the_noise_is_that_of_the_ratio() -> None:
    one = transmit(4000, 3, 4, 12.0, np.random.default_rng(3))
    noise = one.received - (one.channels @ (2.0 * one.sent - 3)[..., None])[..., 0]
    signal = one.received - noise
    assert (signal**2).mean() / (noise**2).mean() == pytest.approx(10**1.2, rel=0.05)


def test_bits_of_neighbouring_levels_differ_in_one() -> None:
    one, other = np.arange(7), np.arange(1, 8)
    assert [bit_errors(one[k:k + 1], other[k:k + 1], 8) for k in range(7)] == [1] * 7
    assert bit_errors(one, one, 8) == 0
    assert isinstance(transmit(3, 1, 2, 0.0, np.random.default_rng(0)), Transmission)


def test_detection(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "study=detection", "study.vectors=200", "study.snr_db=[10,20]",
                 "study.reducers=[lll_99,learned]", "plot_formats=[png]")
    table = result.outcome
    assert len(table) == 2 * 7
    assert ((table["low"] <= table["vector_error_rate"]) & (table["vector_error_rate"] <= table["high"])).all()
    at = table[table["snr_db"] == 20].set_index("detector")["vector_errors"]
    assert at["ml"] < at["mmse_learned"] <= at["zf_learned"] + 5 < at["zf"]
    assert {claim.verdict for claim in result.claims} == {"holds"}
    assert pd.read_csv(tmp_path / "run" / "ber.csv")["vectors"].eq(200).all()
