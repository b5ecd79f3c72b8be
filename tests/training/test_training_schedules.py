"""Learning rates equal their formulas, and settings that make no sense are refused in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sample_trainings import data, loss, net
from torch.optim import lr_scheduler

from agfrun.study.errors import ConfigError
from agfrun.training.loop import train
from agfrun.training.optimization import rate_factor
from agfrun.training.settings import SCHEDULES, LoopSettings

FORMULAS: dict[str, Callable[[int], float]] = {
    "constant": lambda s: 1.0,
    "linear": lambda s: 1 - 0.8 * s / 16,
    "cosine": lambda s: 0.2 + 0.4 * (1 + math.cos(math.pi * s / 16)),
    "step": lambda s: 0.5 ** (s // 6),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_schedule_equals_its_formula(name: str, optimizer: str) -> None:
    settings = LoopSettings(steps=20, optimizer=optimizer, learning_rate=0.1, schedule=name, warmup=4, decay_every=6,
                            decay_factor=0.5, final_factor=0.2, evaluate_every=1, max_iter=2)
    rates = train(net(), data(), loss, settings).history.column("learning_rate")
    expected = [0.1 * (step + 1) / 4 if step < 4 else 0.1 * FORMULAS[name](step - 4) for step in range(21)]
    assert rates == pytest.approx(expected, rel=1e-14)


@given(st.sampled_from(SCHEDULES), st.integers(0, 9), st.integers(10, 40), st.floats(0, 1))
def test_a_factor_stays_between_0_and_1(name: str, warmup: int, steps: int, final: float) -> None:
    settings = LoopSettings(schedule=name, warmup=warmup, final_factor=final, decay_every=3)
    factors = [rate_factor(settings, step, steps) for step in range(steps + 5)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert max(factors) == 1.0


def test_torchs_cosine_is_the_same() -> None:
    settings = LoopSettings(steps=15, learning_rate=0.1, evaluate_every=1)
    own = train(net(), data(), loss, replace(settings, schedule="cosine"))
    torchs = train(net(), data(), loss, settings,
                   scheduler=lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 15))
    assert own.history.column("learning_rate") == pytest.approx(torchs.history.column("learning_rate"), abs=1e-15)


def test_a_scheduler_that_waits_for_a_plateau_sees_the_watched_number() -> None:
    settings = LoopSettings(steps=8, learning_rate=0.1, evaluate_every=2, watch="flat")
    trained = train(net(), data(), loss, settings, evaluate=lambda _: {"flat": 1.0},
                    scheduler=lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1))
    assert trained.history.column("learning_rate") == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])


def test_any_optimizer_can_be_given() -> None:
    given: list[Any] = []

    def factory(parameters: Any) -> torch.optim.Optimizer:
        given.extend(parameters)
        return torch.optim.RMSprop(given, lr=0.01)

    model = net()
    model.last.requires_grad_(False)
    assert train(model, data(), loss, LoopSettings(steps=3), optimizer=factory).status == "finished"
    assert len(given) == len(list(model.parameters())) - 2


@pytest.mark.parametrize(("changed", "message"), [
    ({"steps": 0}, "train.steps=0 is not allowed: must be an integer of at least 1"),
    ({"epochs": 0}, "train.epochs=0 is not allowed: must be an integer of at least 1"),
    ({"batch_size": -1}, "train.batch_size=-1 is not allowed"),
    ({"optimizer": "adm"}, "choose one of sgd, momentum, adam, adamw, lbfgs; did you mean adam?"),
    ({"learning_rate": 0.0}, "train.learning_rate=0.0 is not allowed: must be a number above 0"),
    ({"learning_rate": math.inf}, "train.learning_rate=Infinity is not allowed"),
    ({"weight_decay": -0.1}, "train.weight_decay=-0.1 is not allowed"),
    ({"momentum": 1.0}, "train.momentum=1.0 is not allowed: must be at least 0 and below 1"),
    ({"nesterov": True, "momentum": 0.0}, "train.nesterov=true is not allowed: must be false where train.momentum is"),
    ({"clip": 0.0}, "train.clip=0.0 is not allowed: must be a number above 0, or null"),
    ({"optimizer": "lbfgs", "clip": 1.0}, "train.clip=1.0 is not allowed: must be null for lbfgs"),
    ({"optimizer": "lbfgs", "weight_decay": 0.1}, "train.weight_decay=0.1 is not allowed: must be 0 for lbfgs"),
    ({"schedule": "cosin"}, "did you mean cosine?"),
    ({"warmup": -1}, "train.warmup=-1 is not allowed"),
    ({"warmup": 1000}, "train.warmup=1000 is not allowed: must be below the number of steps, 1000"),
    ({"final_factor": 1.5}, "train.final_factor=1.5 is not allowed: must be from 0 to 1"),
    ({"decay_factor": 0.0}, "train.decay_factor=0.0 is not allowed"),
    ({"evaluate_every": 0}, "train.evaluate_every=0 is not allowed"),
    ({"patience": 0}, "train.patience=0 is not allowed"),
    ({"improvement": math.nan}, "train.improvement=NaN is not allowed"),
    ({"target": math.nan}, "train.target=NaN is not allowed: must be a finite number"),
    ({"watch": "accuracy", "patience": 3}, "train.watch=accuracy is not allowed: choose one of learning_rate, loss"),
])
def test_a_setting_out_of_range_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        train(net(), data(), loss, LoopSettings(**changed))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_prefix_is_the_group_of_the_keys() -> None:
    with pytest.raises(ConfigError, match="study.decoder.clip=-1"):
        LoopSettings(clip=-1).check("study.decoder")
