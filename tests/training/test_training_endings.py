"""How a training may end: early, at its target, diverged, interrupted."""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sample_trainings import Interrupting, Last, assert_same, data, loss, net
from torch import Tensor, nn

from agfrun.study.errors import DivergenceError
from agfrun.study.interruption import Terminated, interruption_of
from agfrun.training.loop import Status, Trained, train
from agfrun.training.settings import LoopSettings
from agfrun.training.state import initialization


def numbers(values: list[float]) -> Callable[[nn.Module], dict[str, float]]:
    """An evaluation that gives these numbers, row by row."""
    remaining = iter(values)
    return lambda _: {"score": next(remaining)}


@pytest.mark.parametrize(("values", "larger", "improvement", "rows"), [
    ([5, 4, 4, 4, 1], False, 0.0, 4),
    ([5, 4, 3.95, 3.91, 1], False, 0.1, 4),
    ([5, 4, 3.95, 3.89, 3.85, 3.8, 1], False, 0.1, 6),  # 3.89 is an improvement on 4, though not on 3.95
    ([1, 2, 2, 1, 5], True, 0.0, 4),
    ([math.nan, math.nan, 1], False, 0.0, 2),
    ([3, math.nan, 2, 2.5, 2.5, 0], False, 0.0, 5),
])
def test_training_ends_when_nothing_improves(values: list[float], larger: bool, improvement: float, rows: int) -> None:
    settings = LoopSettings(steps=100, evaluate_every=3, watch="score", larger_is_better=larger, patience=2,
                            improvement=improvement)
    trained = train(net(), data(), loss, settings, evaluate=numbers(values))
    assert trained.status == "converged"
    assert len(trained.history) == rows
    assert trained.step == 3 * (rows - 1)
    assert trained.reason == f"score has not improved in 2 rows, up to step {trained.step}"


@pytest.mark.parametrize(("target", "larger"), [(0.5, False), (-0.2, True)])
def test_training_ends_at_its_target(target: float, larger: bool) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    sign = -1.0 if larger else 1.0
    trained = train(model, torch.zeros(1), lambda m, _: {"loss": m.weight.square().sum(),
                                                         "watched": sign * m.weight.square().sum()},
                    LoopSettings(steps=100, optimizer="sgd", learning_rate=0.05, evaluate_every=1, watch="watched",
                                 larger_is_better=larger, target=target))
    reached = trained.history.column("watched")
    assert trained.status == "converged"
    assert "has reached the target" in trained.reason
    assert sign * reached[-1] <= sign * target < sign * reached[-2]
    assert model.weight.item() ** 2 == pytest.approx(sign * reached[-1])  # no update followed


def test_a_loss_that_is_not_finite_ends_training_and_keeps_the_history() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    trained = train(model, torch.zeros(1), lambda m, _: m.weight.square().sum(),
                    LoopSettings(steps=10_000, optimizer="sgd", learning_rate=100.0, evaluate_every=10))
    assert trained.status == "diverged"
    assert trained.reason == f"the loss is not finite at step {trained.step}"
    assert len(trained.history) == 1 + (trained.step - 1) // 10
    assert all(math.isfinite(value) for value in trained.history.column("loss"))


def test_a_parameter_that_is_not_finite_is_not_evaluated() -> None:
    model = nn.Linear(1, 1, bias=False)

    def careful(model: nn.Module) -> dict[str, float]:
        assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())
        return {}

    def bad_gradient(model: nn.Module, batch: Tensor) -> Tensor:
        return (model.weight * 0).sqrt().sum()  # type: ignore[operator,union-attr]

    trained = train(model, torch.zeros(1), bad_gradient, LoopSettings(steps=5, evaluate_every=1), evaluate=careful)
    assert (trained.status, trained.reason) == ("diverged", "a parameter is not finite at step 1")
    assert len(trained.history) == 1


def test_a_loss_that_is_not_finite_from_the_start() -> None:
    trained = train(net(), data(), lambda m, b: m(b[0]).sum() * math.nan, LoopSettings(steps=5))
    assert (trained.status, trained.step, len(trained.history)) == ("diverged", 0, 0)
    assert len(trained.history.frame()) == 0


def run(function: Any = loss, **options: Any) -> Trained:
    return train(net(), data(), function, LoopSettings(steps=20, batch_size=5, evaluate_every=3), seed=2, **options)


def test_ctrl_c_ends_after_the_step_with_a_checkpoint() -> None:
    kept, before = Last(), signal.getsignal(signal.SIGINT)
    trained = run(Interrupting(8), checkpoints=kept)
    assert (trained.status, trained.reason) == ("interrupted", "interrupted by the user at step 8")
    assert trained.step == 8  # the update under way was made
    assert trained.history.column("step") == [0, 3, 6]
    assert signal.getsignal(signal.SIGINT) is before
    assert kept.state is not None
    assert_same(run(resume=kept.state), run())
    assert_same(run(resume=kept.state), run())  # taking it up has not changed it


def test_sigterm_does_the_same_where_it_is_handled() -> None:
    kept = Last()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        trained = run(Interrupting(5, signal.SIGTERM), checkpoints=kept)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert trained.reason == "ended by SIGTERM at step 5"
    assert isinstance(interruption_of(trained.reason), Terminated)
    assert kept.state is not None
    assert_same(run(resume=kept.state), run())


def test_an_interruption_within_a_step_saves_nothing_torn() -> None:
    kept, calls = Last(), []

    def raising(model: nn.Module, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return loss(model, batch)

    trained = run(raising, checkpoints=kept)
    assert (trained.status, trained.step) == ("interrupted", 5)
    assert kept.state is None


def test_outside_the_main_thread_training_is_the_same() -> None:
    found: list[Trained] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    thread.join()
    assert_same(found[0], run())


def test_an_error_of_the_users_comes_through() -> None:
    def broken(model: nn.Module, batch: Any) -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        run(broken)


def test_only_a_training_that_came_to_its_end_is_taken() -> None:
    def ended(status: Status) -> Trained:
        return dataclasses.replace(run(), status=status, reason="SIGTERM" if status == "interrupted" else "why")

    for status in ("converged", "finished"):
        ended(status).require_ended()  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        ended("interrupted").require_ended()
    with pytest.raises(DivergenceError, match=r"^training diverged: why; try a smaller train\.learning_rate$"):
        ended("diverged").require_ended()
    with pytest.raises(DivergenceError, match=r"^training left diverged: why; try a smaller study\.learning_rate$"):
        ended("diverged").require_ended("study.learning_rate", "left")


def test_an_initialization_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        with initialization(seed):
            drawn.append(torch.rand(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
