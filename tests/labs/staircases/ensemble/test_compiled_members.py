"""Members whose steps are compiled are trained one after another, as single runs are to the last bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from agfrun import load_config
from agfrun.labs.staircases.ensemble import training as ensemble_training
from agfrun.labs.staircases.ensemble.run import run_seeds
from agfrun.labs.staircases.run.training import train_alone

DESCENT = ["train=gradient_descent", "train.max_steps=300", "init.scale=1e-2"]


@pytest.mark.parametrize("overrides", [["model=diagonal_linear", "train.horizon=100"],
                                       ["model=linear_attention", "train.horizon=60"],
                                       ["model=diagonal_linear", *DESCENT], ["model=fully_connected_linear", *DESCENT]],
                         ids=["diagonal", "attention", "diagonal by descent", "linear by descent"])
def test_members_are_single_runs_to_the_last_bit(overrides: list[str]) -> None:
    config = load_config([*overrides, "init=gaussian", "device=cpu", "plots=false", "agf.max_events=1"])
    members = run_seeds(config, 3, progress=False)
    (batch,) = ensemble_training.batches(members)
    assert batch.flow is None
    assert batch.reason.startswith("its steps are compiled")
    for member in members:
        assert member.result is not None
        together = member.result.training
        alone = train_alone(dataclasses.replace(config, seed=member.config.seed))
        np.testing.assert_array_equal(together.trajectory.times, alone.trajectory.times)
        np.testing.assert_array_equal(together.trajectory.loss, alone.trajectory.loss)
        assert torch.equal(together.final, alone.final)
