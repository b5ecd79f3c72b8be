"""Runs as a library: what they return. Networks are tiny; agreement is tested elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import (
    CONFIGS,
    ON_EITHER,
    descent,
    diagonal_config,
    folder_of,
    modadd_config,
    read_json,
    tables,
)

from agfrun import AgfConfig, GradientFlowConfig, InitConfig, Result, RunConfig, run
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.diagonal_linear.data import RandomRegressionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.run.pipeline import mark_active
from agfrun.labs.staircases.run.result import plateau_moments


@ON_EITHER
def test_without_a_folder_nothing_is_written_and_the_same_is_returned(
    result: Result, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    other = run(CONFIGS[model]())
    assert list(tmp_path.iterdir()) == []
    assert other.output_dir is None
    np.testing.assert_array_equal(other.training.trajectory.loss, result.training.trajectory.loss)
    np.testing.assert_array_equal(other.prediction.trajectory.loss, result.prediction.trajectory.loss)
    assert [row["time_predicted"] for row in other.comparison] == [row["time_predicted"] for row in result.comparison]


@ON_EITHER
def test_prediction_and_training_start_from_the_same_neurons(result: Result) -> None:
    norms = torch.linalg.vector_norm(result.problem.initial, dim=1).numpy()
    np.testing.assert_allclose(result.training.trajectory.neuron_norms[0], norms, rtol=1e-14)
    np.testing.assert_allclose(result.prediction.trajectory.neuron_norms[0], norms, rtol=1e-14)


@ON_EITHER
def test_summary_shows_the_comparison_and_the_folder(result: Result) -> None:
    summary = result.summary()
    assert "predicted" in summary
    assert "measured" in summary
    assert result.training.reason in summary
    assert result.prediction.reason in summary
    assert str(result.output_dir) in summary


def test_training_rows_are_active_between_their_events(results: dict[str, Result]) -> None:
    """Coordinate 1 of the paper's example activates, collapses and activates again."""
    result = results["diagonal"]
    path = result.training.trajectory
    moments = [event.time for event in result.events["training"] if event.neuron == 0]
    assert len(moments) == 3
    expected = ((path.times >= moments[0]) & (path.times < moments[1])) | (path.times >= moments[2])
    np.testing.assert_array_equal(path.active[:, 0], expected)


def test_default_horizon_sees_every_predicted_drop(results: dict[str, Result]) -> None:
    result = results["diagonal"]
    assert result.config.train.horizon is None
    assert result.horizon > 1.5 * result.prediction.last_time
    assert len(result.events["training"]) >= len(result.prediction.events)


def test_horizon_and_rows_follow_the_configuration() -> None:
    result = run(modadd_config(train=GradientFlowConfig(horizon=25.0, max_rows=100, tolerance=1e-5)))
    assert result.horizon == 25.0
    assert result.training.trajectory.times[-1] == 25.0
    assert len(result.training.trajectory.times) <= 100


def test_agf_options_reach_the_prediction() -> None:
    one = run(modadd_config(agf=AgfConfig(max_events=1, threshold=0.5)))
    assert len(one.prediction.rounds) == 1
    decoupled = run(modadd_config(agf=AgfConfig(cost_phase="decoupled", max_time=30.0, threshold=0.3)))
    assert decoupled.prediction.cost_phase == "decoupled"
    generic = run(diagonal_config(agf=AgfConfig(method="generic", max_events=1)))
    assert generic.prediction.method == "generic"


def test_without_any_predicted_event_training_goes_on_all_the_same() -> None:
    """Balanced neurons of the wrong sign never activate."""
    result = run(diagonal_config(init=InitConfig("balanced", 1e-3), seed=0))
    assert result.prediction.rounds == ()
    assert result.comparison == []
    assert result.training.trajectory.times[-1] > 0
    assert result.verdict["predicted_acquisitions"] == 0


# ---- Determinism


@ON_EITHER
def test_same_configuration_gives_the_same_bytes(result: Result, model: str, tmp_path: Path) -> None:
    run(CONFIGS[model](), output_dir=tmp_path / "again")
    assert tables(tmp_path / "again") == tables(folder_of(result))
    arrays = "parameters.safetensors"
    assert (tmp_path / "again" / arrays).read_bytes() == (folder_of(result) / arrays).read_bytes()


def test_seed_decides_the_initialization() -> None:
    first, same, other = (run(modadd_config(seed=seed, agf=AgfConfig(max_events=1),
                                            train=GradientFlowConfig(horizon=1.0))).problem.initial
                          for seed in (4, 4, 5))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_sampled_batches_repeat_with_the_seed() -> None:
    losses = []
    for seed in (1, 1, 2):
        config = modadd_config(train=descent(0.01, batch_size=8, max_steps=500), seed=seed, agf=AgfConfig(max_events=1))
        losses.append(run(config).training.trajectory.loss)
    np.testing.assert_array_equal(losses[0], losses[1])
    assert losses[0].shape != losses[2].shape or (losses[0] != losses[2]).any()


# ---- Gradient descent


@pytest.mark.parametrize("batch_size", [None, 16])
def test_gradient_descent_counts_steps_on_the_flows_clock(batch_size: int | None, tmp_path: Path) -> None:
    result = run(modadd_config(train=descent(batch_size=batch_size)), output_dir=tmp_path / "run")
    per_step = 0.05 * (2 / 4) / (1 - 0.9)
    clock = read_json(tmp_path / "run" / "manifest.json")["clock"]
    assert clock["flow_time_per_step"] == pytest.approx(per_step, rel=1e-12)
    assert (clock["learning_rate"], clock["momentum"]) == (0.05, 0.9)
    table = pd.read_csv(tmp_path / "run" / "loss.csv")
    training = table[table["source"] == "training"]
    np.testing.assert_allclose(training["time"], training["step"] * per_step, rtol=1e-12)
    assert table.loc[table["source"] != "training", "step"].isna().all()
    assert training["step"].iloc[-1] == math.ceil(40.0 / per_step)
    assert result.training.status == "horizon"
    assert not any(claim.claim == "loss_never_rises" for claim in result.claims)


def test_max_steps_bounds_gradient_descent() -> None:
    result = run(modadd_config(train=descent(max_steps=37)))
    assert result.training.trajectory.steps is not None
    assert result.training.trajectory.steps[-1] == 37


def test_gradient_descent_tends_to_the_flow_on_the_same_clock() -> None:
    """Momentum 0.9 included. It lags by a first-order error, which extrapolation to step zero removes."""

    def first_activation(config: RunConfig) -> float:
        return next(event.time for event in run(config).events["training"] if event.kind == "activation")

    flow = first_activation(modadd_config())
    coarse, fine = (first_activation(modadd_config(train=descent(rate))) for rate in (0.005, 0.0025))
    assert (fine - flow) / (coarse - flow) == pytest.approx(0.5, abs=0.06)
    assert 2 * fine - coarse == pytest.approx(flow, rel=0.015)


# ---- Other settings


@ON_EITHER
def test_single_precision_agrees_to_single_precision(result: Result, model: str, tmp_path: Path) -> None:
    config = CONFIGS[model](dtype="float32")
    single = run(config, output_dir=tmp_path / "run")
    assert read_json(tmp_path / "run" / "manifest.json")["dtype"] == "float32"
    assert single.training.final.dtype == torch.float32
    assert [stage.neuron for stage in single.prediction.rounds] == [s.neuron for s in result.prediction.rounds]
    # A cost phase in a valley may end one step of its integration earlier or later.
    np.testing.assert_allclose([stage.time for stage in single.prediction.rounds],
                               [stage.time for stage in result.prediction.rounds], rtol=5e-3)
    ours, path = single.training.trajectory, result.training.trajectory
    loss = np.interp(ours.times, path.times, path.loss)
    assert np.abs(loss - ours.loss).max() < 0.02 * path.loss[0]


def test_equal_amplitudes_leave_the_order_undecided(tmp_path: Path) -> None:
    data = ModularAdditionConfig(p=5, frequencies=[1, 2], amplitudes=[3.0, 3.0])
    train = GradientFlowConfig(horizon=20.0, tolerance=1e-4)
    config = modadd_config(data=data, agf=AgfConfig(max_events=1), train=train)
    result = run(config, output_dir=tmp_path / "run")
    assert result.theory is not None
    assert "1 and 2" in result.theory.undecided
    assert result.theory.undecided in result.summary()
    done = read_json(tmp_path / "run" / "done.json")
    assert done["status"] in ("converged", "horizon")
    claims = pd.read_csv(tmp_path / "run" / "claims.csv")
    order = claims[claims["claim"] == "feature_order"]
    assert set(order["source"]) == {"agf", "training"}
    assert order["holds"].isna().all()
    assert (order["why"] == result.theory.undecided).all()
    assert done["claims_undecided"] == claims["holds"].isna().sum() >= 2
    assert done["claims"] == len(claims) == len(result.claims)


def test_five_dimensional_regression_at_the_smallest_scale() -> None:
    result = run(diagonal_config(data=RandomRegressionConfig(), init=InitConfig("deterministic", 1e-16)))
    assert [stage.neuron for stage in result.prediction.rounds] == [1, 2, 3, 0, 4]
    assert result.training.status == "converged"
    activated = [event.neuron for event in result.events["training"] if event.kind == "activation"]
    assert activated == [1, 2, 3, 0, 4]
    rows = [row for row in result.main_rows if row["kind"] == "activation"]
    assert max(abs(row["time_ratio"] - 1) for row in rows) < 2 / math.log(1e16)


# ---- Paths and their plateaus


def test_mark_active_follows_activations_and_collapses() -> None:
    times = np.arange(6.0)
    path = Trajectory("training", times, np.ones(6), ("1", "2"), np.ones((6, 2)), np.ones((6, 2)), np.ones((6, 2)),
                      np.zeros((6, 2), dtype=np.int64), np.zeros((6, 2), dtype=bool))
    events = [Event("activation", 4.0, "1", 0, 1, 1), Event("collapse", 3.0, "1", 0, 1, 1),
              Event("activation", 1.0, "1", 0, 1, 1), Event("activation", 2.5, "2", 1, 1, 1),
              Event("acquisition", 0.5, "1", None, 1, 1), Event("collapse", 0.5, "1", None, 1, 1)]
    active = mark_active(path, events).active
    assert active[:, 0].tolist() == [False, True, True, False, True, True]
    assert active[:, 1].tolist() == [False, False, False, True, True, True]


@ON_EITHER
def test_plateau_moments_lie_between_the_acquisitions(result: Result) -> None:
    moments = plateau_moments(result)
    acquired = [event.time for event in result.events["training"] if event.kind == "acquisition"]
    assert len(moments) == len(acquired) + 1
    for before, time, after in zip(moments, acquired, moments[1:], strict=False):
        assert before < time <= after
