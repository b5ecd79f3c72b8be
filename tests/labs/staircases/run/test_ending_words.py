"""What is said of a training that has acquired nothing: noise, drops without a feature, or nothing at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agfrun.configuration.composition import load_config
from agfrun.labs.staircases.run.advice import with_advice
from agfrun.labs.staircases.run.pipeline import prepare
from agfrun.labs.staircases.run.result import Plan
from agfrun.labs.staircases.run.training import Watch, train

TIMES = np.linspace(0, 50, 500)
NOISE = 0.3 * np.random.default_rng(0).normal(size=500)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return prepare(load_config(["model=diagonal_linear", "plots=false", "report=false", "train.horizon=50"]))


def said(plan: Plan, loss: np.ndarray, learned: bool, status: str = "horizon") -> str:
    training = train(plan.config.train, plan.problem, 1.0, Watch())
    path = replace(training.trajectory.at_rows(np.zeros(500, dtype=np.int64)), times=TIMES, loss=loss)
    training.trajectory, training.status, training.reason = path, status, "it ended"
    return with_advice(plan.config, plan.problem.architecture, plan.prediction, training, learned)


@pytest.mark.parametrize(("loss", "words"), [
    (np.ones(500), "it ended; nothing was learned, though"),
    (1 + NOISE, "it ended; no drop can be told from noise of standard deviation 0.3"),
    (5 - 0.02 * TIMES + NOISE, "it ended; the loss fell from 5.04 to 4.11, but no drop can be told from noise"),
    (np.where(TIMES < 20, 2.0, 1.0), "it ended; the loss fell in 1 drop, but no feature was acquired, though"),
])
def test_what_is_said_where_nothing_was_acquired(plan: Plan, loss: np.ndarray, words: str) -> None:
    assert said(plan, loss, learned=False).startswith(words)


def test_a_loss_that_runs_away_is_told(plan: Plan) -> None:
    loss = np.where(TIMES < 20, 2.0, 1.0) + np.maximum(TIMES - 45, 0) ** 2
    assert "the loss rises: what comes later is left out" in said(plan, loss, learned=True)
    assert said(plan, np.where(TIMES < 20, 2.0, 1.0), learned=True) == "it ended"
