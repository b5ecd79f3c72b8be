"""study=invariance: outputs and representations of trained networks under what activations leave free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import read_json

from agfrun import ConfigError, execute, load_config, read_run
from agfrun.labs.stitching.intertwiners import ACTIVATIONS, KINDS
from agfrun.labs.stitching.invariance_claims import claims_of
from agfrun.labs.stitching.names import ACTIVATION_NAMES

SMALL = ["study=invariance", "data.languages=[en,fr]", "data.features=300", "train.steps=15", "encoder.widths=[24,12]",
         "plot_formats=[png]"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invariance") / "run"
    execute(load_config(SMALL), output_dir=folder, progress=False, command=["agfrun"])
    return folder


@pytest.fixture(scope="module")
def table(finished: Path) -> pd.DataFrame:
    return read_run(finished)[1].tables["invariance"]


def test_names_of_activations_are_known() -> None:
    assert tuple(ACTIVATIONS) == ACTIVATION_NAMES


def test_outputs_change_iff_the_action_is_not_in_the_group(table: pd.DataFrame) -> None:
    assert len(table) == len(ACTIVATION_NAMES) * len(KINDS) * 3
    assert (table.loc[table["in_group"], "output_change"] < 1e-12).all()
    assert (table.loc[~table["in_group"], "output_change"] > 1e-3).all()


def test_robust_representations_do_not_change_within_the_group_but_for_rotations(table: pd.DataFrame) -> None:
    inside = table[table["in_group"]]
    robust, cosine = (inside[inside["transform"] == name] for name in ("robust", "cosine"))
    assert (robust.loc[robust["action"] != "rotation", "representation_change"] < 1e-8).all()
    assert (robust.loc[robust["action"] == "rotation", "representation_change"] > 1e-2).all()
    scaled = cosine["action"].str.endswith("scaling")
    assert (cosine.loc[scaled, "representation_change"] > 1e-2).all()
    assert (cosine.loc[~scaled, "representation_change"] < 1e-8).all()


def test_claims_figure_and_text(finished: Path) -> None:
    done = read_json(finished / "done.json")
    assert (done["claims"], done["claims_hold"], done["claims_undecided"]) == (20, 19, 1)  # nothing is outside GL
    assert done["output_change"] < 1e-12 < done["cosine_change"]
    assert (finished / "plots" / "invariance.png").exists()
    assert "relu        positive scaling  yes" in read_json(finished / "manifest.json")["summary"]


@pytest.mark.parametrize(("column", "action", "value", "claim"), [
    ("output_change", "permutation", 1e-6, "outputs_unchanged_relu"),
    ("output_change", "rotation", 0.0, "no_larger_group_relu"),
    ("representation_change", "positive scaling", 1e-3, "robust_invariant"),
    ("representation_change", "positive scaling", 0.0, "cosine_not_invariant_to_scalings"),
    ("representation_change", "rotation", 0.0, "robust_not_invariant_to_rotations"),
    ("representation_change", "rotation", 0.1, "cosine_invariant_to_rotations")])
def test_claims_fail_where_the_data_say_otherwise(column: str, action: str, value: float, claim: str,
                                                  table: pd.DataFrame) -> None:
    wrong = table.copy()
    wrong.loc[wrong["action"] == action, column] = value
    assert {one.claim: one.verdict for one in claims_of(wrong)}[claim] == "fails"


def test_without_such_an_activation_a_claim_is_undecided(table: pd.DataFrame) -> None:
    found: dict[str, Any] = {one.claim: one for one in claims_of(table[table["activation"] == "gelu"])}
    assert found["robust_not_invariant_to_rotations"].why == "no activation with such an action was chosen"


@pytest.mark.parametrize(("override", "line"), [
    ("encoder.widths=[]", "must be at least one width with study=invariance"),
    ("encoder.activation=tanh", "must be left as it is with study=invariance"),
    ("dtype=float32", "must be float64 with study=invariance"),
    ("study.activations=[relu,relu]", "at least one activation, each once"),
    ("topology.beta=2", "study=invariance has no topology")])
def test_what_makes_no_sense_is_refused(override: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line.replace("[", r"\[")):
        load_config(["study=invariance", override])
