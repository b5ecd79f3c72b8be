"""The study `optimizers`: two ways of training, and how a share of runs is judged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tiny_studies import assert_files_of, diagonal_config, execute, read

from agfrun import InitConfig, UsageError, load_config
from agfrun.labs.staircases.studies.optimizers import OptimizersConfig, order_claim, summarized


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optimizers")
    study = OptimizersConfig(variants=["gradient_descent", "momentum", "adam"], seeds=1, max_steps=1200)
    execute(diagonal_config(study, init=InitConfig("gaussian", 1e-3)), folder)
    return folder


def test_files(folder: Path) -> None:
    done = assert_files_of(folder, OptimizersConfig, "optimizers")
    assert (done["runs"], done["finished_runs"]) == (3, 3)


def test_momentum_comes_at_the_steps_of_gradient_descent(folder: Path) -> None:
    """A tenth of the learning rate at momentum 0.9 is the same flow, but for the start from rest."""
    steps = read(folder, "acquisitions").pivot_table(index="feature", columns="variant", values="step")
    assert len(steps) >= 2
    late = steps["momentum"] - steps["gradient_descent"]
    assert (late > 0).all()
    assert (late < 0.9 / 0.1 * 20).all()


def test_in_order_is_what_the_acquisitions_say(folder: Path) -> None:
    acquired = read(folder, "acquisitions")
    for row in read(folder, "runs").itertuples():
        own = acquired[acquired["variant"] == row.variant].sort_values("step")["predicted_place"]
        assert row.measured == own.nunique()
        assert pd.isna(row.order_kept) if row.measured < 2 else row.order_kept == (own.tolist() == sorted(own))


def runs(kept: list[bool | None]) -> pd.DataFrame:
    return pd.DataFrame([{"variant": "adam", "status": "horizon", "order_kept": value, "plateau_share": 0.5,
                          "final_loss_share": 0.1} for value in kept])


@pytest.mark.parametrize(("kept", "holds"), [
    ([True] * 8, True), ([False] * 8, False), ([True] * 4 + [False] * 4, None), ([True], None),
    ([True] * 7 + [False], True), ([None, None], None), ([True] * 8 + [None] * 3, True)])
def test_a_claim_is_decided_by_the_interval(kept: list[bool | None], holds: bool | None) -> None:
    (row,) = summarized(runs(kept))
    assert row["runs"] == sum(value is not None for value in kept)
    assert order_claim(row).holds is holds


@pytest.mark.parametrize(("overrides", "message"), [
    (["study.variants=[adm]"], "study.variants"),
    (["study.variants=[adam,adam]"], "different names"),
    (["study.variants=[wide]"], "without wide for model=diagonal_linear"),
    (["study.learning_rate=-1"], "train.learning_rate"),
    (["init=deterministic"], "study.seeds"),
])
def test_bad_values_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(["study=optimizers", *overrides])


def test_width_is_varied_where_there_is_one() -> None:
    config = load_config(["study=optimizers", "model=relu"])
    assert isinstance(config.study, OptimizersConfig)
    assert "wide" in config.study._names(config)
    assert "wide" not in config.study._names(load_config(["study=optimizers"]))
