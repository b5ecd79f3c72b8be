"""The studies of fibres, singularities, exposedness and the dictionary as a library runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_runs import read_json

from agfrun import ConfigError, UsageError, execute, load_config, redraw, rerun
from agfrun.labs.neuromanifolds import PolynomialCnnConfig, PolynomialMlpConfig
from agfrun.labs.neuromanifolds.geometry import strata
from agfrun.labs.neuromanifolds.geometry.pinch import pinched_surface
from agfrun.labs.neuromanifolds.landscape.msolve import executable

COLUMNS = ["layer", "kind", "rank", "stratum_dimension", "union_rank", "exposed_dimension", "span", "verdict"]


def run(folder: Path, *overrides: str) -> Any:
    return execute(load_config(["plot_formats=[png]", *overrides]), output_dir=folder, progress=False,
                   command=["agfrun"])


def claims(folder: Path) -> dict[str, str]:
    table = pd.read_csv(folder / "claims.csv", dtype=str, keep_default_na=False)
    return dict(zip(table["claim"], table["holds"], strict=True))


def test_singularities(tmp_path: Path) -> None:
    result = run(tmp_path, "study=singularities", "model=polynomial_mlp", "model.widths=[2,2,2,1]")
    table = pd.read_csv(tmp_path / "strata.csv")
    assert set(COLUMNS) <= set(table.columns)
    assert table["layer"].tolist() == [1] * 4 + [2] * 4
    assert table["kind"].tolist() == ["in&out", "out", "in", "duplicate"] * 2
    assert table["rank"].tolist() == [5, 7, 7, 7, 7, 8, 9, 7]
    assert set(table["verdict"]) == {"singular"}
    assert set(table["type"]) == {"ramified"}
    assert table["exposed_dimension"].isna().all()
    done = read_json(tmp_path / "done.json")
    assert (done["dimension"], done["span"], done["strata"], done["singular"]) == (10, 54, 8, 8)
    assert set(claims(tmp_path).values()) == {"True"}
    assert "8 of 8 kinds of subnetworks are singular points" in (tmp_path / "report.html").read_text()
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"ranks.png", "pinch.png"}
    assert "singular" in result.text


def test_branches_that_cross_are_nodes(tmp_path: Path) -> None:
    """Filters padded with zeros are preimages at which the Jacobian has full rank; at a vanishing filter it drops."""
    run(tmp_path, "study=singularities", "model=polynomial_cnn")
    table = pd.read_csv(tmp_path / "strata.csv")
    assert dict(zip(table["kind"], table["type"], strict=True)) == {"node 1-2": "node", "zero": "ramified"}


@pytest.mark.parametrize("study", ["singularities", "exposedness", "dictionary"])
def test_a_span_that_is_too_large_is_refused_before_anything_is_written(
        study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agfrun.labs.neuromanifolds.geometry.span.LARGEST_SPAN", 30)
    with pytest.raises(UsageError, match="span a space of more than 30 dimensions"):
        run(tmp_path / "run", f"study={study}", "model=polynomial_mlp", "model.widths=[3,3,2,1]")
    assert not (tmp_path / "run").exists()


def test_dimensions_by_depth_are_the_closed_forms(tmp_path: Path) -> None:
    result = run(tmp_path, "study=depth", "study.layers=4", "study.width=2", "study.filter=4")
    table = pd.read_csv(tmp_path / "depths.csv")
    found = {family: part["dimension"].tolist() for family, part in table.groupby("family")}
    # |k| - L + 1; d (d + 1) - 1 after another for squares of width 2; tables of attention with tokens of two entries.
    assert found == {"polynomial_cnn": [4, 7, 10, 13], "monomial_mlp": [6, 8, 10],
                     "lightning_attention": [7, 10, 13, 16]}
    assert set(claims(tmp_path).values()) == {"True"}
    assert read_json(tmp_path / "done.json")["agree"] == table["closed_form"].notna().sum() == 11
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"depths.png"}
    assert "lightning_attention" in result.text


def test_functions_around_a_subnetwork_make_a_surface_that_is_pinched_there() -> None:
    """For 1-1-1 with c_1 z + c_2 z^2 + c_3 z^3 the surface is the cone s (c_1 w, c_2 w^2, c_3 w^3) itself."""
    network = PolynomialMlpConfig(widths=[1, 1, 1], degree=3, coefficients=[1, 1, 1])
    surface = pinched_surface(network, 0)
    assert surface is not None
    places = np.stack([surface[name] for name in ("first", "second", "third")], axis=1)
    cone = surface["outgoing"][:, None] * np.cos(surface["turn"])[:, None] ** np.array([1, 2, 3])
    assert np.abs(places[surface["outgoing"] == 0]).max() < 1e-12
    assert np.linalg.matrix_rank(np.concatenate([cone, places], axis=1), tol=1e-9) == 3  # one is linear in the other
    assert pinched_surface(PolynomialCnnConfig(), 0) is None


def test_what_tangents_do_not_certify_is_inconclusive(tmp_path: Path) -> None:
    run(tmp_path, "study=singularities", "model.widths=[2,2,2,1]", "model.degree=3", "plots=false")
    assert set(pd.read_csv(tmp_path / "strata.csv")["verdict"]) == {"inconclusive"}
    found = claims(tmp_path)
    assert [name for name, holds in found.items() if holds] == ["rank_at_strict_subnetworks"]
    assert read_json(tmp_path / "done.json")["singular"] == 0


def test_exposedness(tmp_path: Path) -> None:
    run(tmp_path, "study=exposedness", "model=polynomial_mlp", "study.trials=3")
    table = pd.read_csv(tmp_path / "strata.csv").set_index("kind")
    assert table["exposed_dimension"].to_dict() == {"in&out": 9, "out": 9, "in": 7, "duplicate": 9}
    assert table["verdict"].to_dict() == {"in&out": "exposed", "out": "exposed", "in": "not exposed",
                                          "duplicate": "exposed"}
    trials = pd.read_csv(tmp_path / "trials.csv").set_index("kind")
    assert (trials["trials"] == 3).all()
    assert trials.loc["in", "followed"] == 0
    assert set(claims(tmp_path).values()) == {"True"}
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["exposedness.png"]


def test_a_run_is_done_again_with_the_same_numbers_and_figures_are_drawn_again(tmp_path: Path) -> None:
    run(tmp_path / "run", "study=exposedness", "model=polynomial_cnn", "study.trials=2")
    again = rerun(tmp_path / "run", output_dir=tmp_path / "again", progress=False)
    assert not again.differences
    (tmp_path / "run" / "plots" / "exposedness.png").unlink()
    redraw(tmp_path / "run")
    assert (tmp_path / "run" / "plots" / "exposedness.png").is_file()


def test_wrong_integers_make_claims_of_exposedness_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strata, "_moved", lambda *_: 0)
    run(tmp_path, "study=exposedness", "model=polynomial_mlp", "study.trials=2", "plots=false")
    found = claims(tmp_path)
    assert found["strict_is_exposed_in_and_out_1"] == "False"
    assert found["floats_confirm_in_and_out_1"] == "False"


def test_fibres_with_given_weights(tmp_path: Path) -> None:
    run(tmp_path, "study=fibres", "model=polynomial_cnn", "study.weights={filter_1:[0,2],filter_2:[3,0]}")
    done = read_json(tmp_path / "done.json")
    assert {key: done[key] for key in ("dimension", "fibre_dimension", "orbit_dimension", "unexplained", "orbits",
                                       "rank_at_weights")} == {
        "dimension": 3, "fibre_dimension": 1, "orbit_dimension": 1, "unexplained": 0, "orbits": 2, "rank_at_weights": 3}
    # Of generic weights: those that are given are a self-intersection.
    assert done["preimages"] == (1 if executable() else None)
    weights = pd.read_csv(tmp_path / "weights.csv", dtype=str)
    assert weights["given"].tolist() == ["0", "2", "3", "0"]
    assert weights["canonical"].tolist() == ["0", "1", "12", "0"]
    assert set(claims(tmp_path).values()) == {"True"}
    report = (tmp_path / "report.html").read_text()
    assert "explain the whole fibre, of dimension 1. At the given weights: 2 preimages; zeros" in report
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["fibre.png"]


def test_a_fibre_that_symmetries_do_not_explain_is_undecided(tmp_path: Path) -> None:
    run(tmp_path, "study=fibres", "model.widths=[3,3,1]")
    assert read_json(tmp_path / "done.json")["unexplained"] == 3  # the orthogonal group of the quadratic form
    assert claims(tmp_path)["symmetries_explain_the_fibre"] == ""


def test_the_dictionary(tmp_path: Path) -> None:
    result = run(tmp_path, "study=dictionary", "model=two_layer_linear")
    table = pd.read_csv(tmp_path / "dictionary.csv", dtype=str).set_index("geometry")["value"]
    assert table["dimension"] == "8"
    assert (table["degree"], table["generic Euclidean distance degree"], table["Euclidean distance degree"]) == (
        "3", "39", "3")
    assert (table["generic fibre"], table["group actions"], table["singular locus"]) == ("4", "4", "4 of 4")
    assert table["critical exposedness"] == "1 of 4"
    done = read_json(tmp_path / "done.json")
    assert done["sample_term"] == pytest.approx(8 * np.log(3 / 0.1))
    assert (done["singular"], done["exposed"]) == (4, 1)
    assert "8 directions apart" in result.text


@pytest.mark.parametrize(("overrides", "line"), [
    (["study=exposedness", "study.trials=-1"], "study.trials=-1 is not allowed: must be an integer from 0 to 1000"),
    (["study=dictionary", "study.accuracy=1"], "study.accuracy=1 is not allowed: must be above 0 and below 1"),
    (["study=fibres", "study.weights={layer_1:[[1,2],[3,4]]}"], "null, or have layer_1 of shape (2, 2), layer_2"),
    (["study=fibres", "study.weights={layer_1:[[1,2]],layer_2:[[1,1]]}"], "study.weights.layer_1=[[1,2]] is not "
     "allowed: must be of shape (2, 2)"),
    (["study=fibres", "study.weights={layer_1:[[1,a],[3,4]],layer_2:[[1,1]]}"], "an array of integers, decimals or"),
    (["study=singularities", "model=softmax_attention"], "must be a polynomial network with study=singularities"),
    (["study=dimension", "model=polynomial_mlp", "model.coefficients=[1,2]"], "3 integers, of z to the highest"),
    (["study=dimension", "model=polynomial_mlp", "model.coefficients=[1,2,0]"], "of which the last is not 0"),
    (["study=dimension", "model.degrees=[2,3]"], "must be a degree of at least 2 for each of the 1 hidden layers"),
    (["study=dimension", "model=polynomial_cnn", "model.filters=[2,0]"], "must be at least one filter size, each at"),
    (["study=dimension", "model=polynomial_cnn", "model.strides=[1]"], "a stride of at least 1 for each of the 2"),
    (["study=dimension", "model=polynomial_cnn", "model.degree=1"], "must be an integer of at least 2"),
    (["study=dimension", "model=polynomial_cnn", "model.coefficients=[1,1]"], "must be null with model.activation="),
    (["study=dimension", "model=polynomial_cnn", "model.activation=relu"], "choose one of monomial, polynomial"),
    (["study=dimension", "model=polynomial_cnn", "model.filters=[9,9,9,9,9,9,9,9]",
      "model.strides=[9,9,9,9,9,9,9,9]"], "and 100000 are allowed"),
    (["study=dimension", "model=two_layer_linear", "model.widths=[2,2]"], "must be three widths, inputs, hidden"),
])
def test_what_makes_no_sense_is_refused_in_one_line(overrides: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_network_without_strata_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agfrun.labs.neuromanifolds import MonomialMlpConfig  # its method is replaced

    monkeypatch.setattr(MonomialMlpConfig, "strata", lambda _: ())
    with pytest.raises((ConfigError, UsageError), match="names no strata"):
        run(tmp_path / "run", "study=singularities")


FROM_OUTSIDE = '''
from dataclasses import dataclass
import numpy as np
from agfrun import register
from agfrun.labs.neuromanifolds import NetworkConfig

@register("model")
@dataclass
class Own(NetworkConfig):
    name: str = "own"
    def architecture(self): return "2"
    def weight_shapes(self): return {"w": (2, 2)}
    def input_shape(self): return (2,)
    def output_degree(self): return 2
    def value(self, weights, inputs): return FUNCTION
'''


@pytest.mark.parametrize(("function", "line"), [
    ("np.tanh(weights['w'] @ inputs)", "is not polynomial"), ("(weights['w'] @ inputs) / inputs", "it uses division"),
    ("weights['w'] @ inputs * 0.5", "coefficients must be integers or fractions"),
    ("weights['w']", "it must return a vector of outputs"), ("3", "returns a int: it must return a vector")])
def test_a_map_that_is_no_polynomial_is_refused_before_anything_is_written(function: str, line: str, tmp_path: Path
                                                                           ) -> None:
    (tmp_path / "own.py").write_text(FROM_OUTSIDE.replace("FUNCTION", function))
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "own.yaml").write_text("name: own\n")
    done = subprocess.run([sys.executable, "-m", "agfrun", "--import", "own.py", "--config-dir", "configs",
                           "study=dimension", "model=own"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "outputs").exists()
