"""The loop does what a loop written by hand does, and arrives where the mathematics says."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sample_trainings import SAMPLES, Net, assert_same, data, evaluate, loss, net, plain_loss, stream
from torch import Tensor, nn

from agfrun.study.errors import ConfigError
from agfrun.training.batches import TensorBatches
from agfrun.training.loop import train
from agfrun.training.settings import LoopSettings


def least_squares() -> tuple[nn.Module, tuple[Tensor, Tensor], Tensor]:
    """A linear model, its data, and the solution of the normal equations."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(30, 4, generator=generator)
    targets = torch.randn(30, 1, generator=generator)
    return nn.Linear(4, 1, bias=False), (inputs, targets), torch.linalg.solve(inputs.T @ inputs, inputs.T @ targets)


@pytest.mark.parametrize(("settings", "tolerance"), [
    (LoopSettings(steps=600, optimizer="sgd", learning_rate=0.3), 1e-12),
    (LoopSettings(steps=400, optimizer="momentum", learning_rate=0.1, momentum=0.8), 1e-12),
    # The search compares losses, so that half of the digits are what it can tell.
    (LoopSettings(steps=5, optimizer="lbfgs", learning_rate=1.0, tolerance=1e-14), 1e-7),
    (LoopSettings(steps=40, optimizer="lbfgs", learning_rate=0.5, tolerance=1e-14, line_search=False), 1e-7),
])
def test_least_squares_are_solved(settings: LoopSettings, tolerance: float) -> None:
    model, samples, solution = least_squares()
    trained = train(model, samples, plain_loss, settings)
    assert trained.status == "finished"
    assert trained.reason == f"all {settings.steps} steps were taken"
    torch.testing.assert_close(model.weight.detach().T, solution, rtol=0, atol=tolerance)
    assert trained.history.column("loss")[-1] == plain_loss(model, samples).item()


def test_gradient_descent_follows_its_closed_form() -> None:
    """On a quadratic, w_k = (1 - rate * curvature)^k w_0 in each direction."""
    curvature, rate = torch.tensor([2.0, 0.5, 0.1]), 0.3
    model = nn.Linear(3, 1, bias=False)
    start = model.weight.detach().clone()
    trained = train(model, torch.zeros(1), lambda m, _: 0.5 * (curvature * m.weight.square()).sum(),
                    LoopSettings(steps=25, optimizer="sgd", learning_rate=rate, evaluate_every=1))
    torch.testing.assert_close(model.weight.detach(), (1 - rate * curvature) ** 25 * start)
    expected = [float(0.5 * (curvature * ((1 - rate * curvature) ** k * start) ** 2).sum()) for k in range(26)]
    np.testing.assert_allclose(trained.history.column("loss"), expected, rtol=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
def test_steps_of_adam_equal_the_formula(decoupled: bool) -> None:
    rate, beta1, beta2, epsilon, decay = 0.01, 0.8, 0.95, 1e-6, 0.1
    model, target = nn.Linear(3, 2, bias=False), torch.arange(6.0).reshape(2, 3)
    weight = model.weight.detach().clone()
    first = second = torch.zeros_like(weight)
    for step in range(1, 4):
        gradient = 2 * (weight - target) + (0 if decoupled else decay) * weight
        first, second = beta1 * first + (1 - beta1) * gradient, beta2 * second + (1 - beta2) * gradient ** 2
        weight = weight * (1 - (rate * decay if decoupled else 0.0))
        weight = weight - rate * (first / (1 - beta1 ** step)) / ((second / (1 - beta2 ** step)).sqrt() + epsilon)
    train(model, target, lambda m, batch: (m.weight - batch).square().sum(),
          LoopSettings(steps=3, optimizer="adamw" if decoupled else "adam", learning_rate=rate, beta1=beta1,
                       beta2=beta2, epsilon=epsilon, weight_decay=decay))
    torch.testing.assert_close(model.weight.detach(), weight, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_a_loop_written_by_hand(dtype: torch.dtype) -> None:
    settings = LoopSettings(epochs=4, batch_size=5, optimizer="adam", learning_rate=0.02, clip=0.5, evaluate_every=3)
    mine = net(dtype)
    mine.dropout.p = 0.0
    trained = train(mine, data(dtype), loss, settings, seed=7)

    hand = net(dtype)
    hand.dropout.p = 0.0
    inputs, targets = data(dtype)
    generator = torch.Generator().manual_seed(7)
    optimizer = torch.optim.Adam(hand.parameters(), lr=0.02)
    losses = []
    for _ in range(4):
        for chosen in torch.randperm(SAMPLES, generator=generator).split(5):
            optimizer.zero_grad()
            value = (hand(inputs[chosen]) - targets[chosen]).square().mean()
            losses.append(value.item())
            value.backward()
            nn.utils.clip_grad_norm_(hand.parameters(), 0.5)
            optimizer.step()
    assert trained.step == len(losses) == 20
    for name, tensor in hand.state_dict().items():
        if isinstance(tensor, Tensor):
            assert torch.equal(tensor, mine.state_dict()[name]), name
    assert trained.history.column("step") == [0, 3, 6, 9, 12, 15, 18, 20]
    assert trained.history.column("loss")[:-1] == losses[::3]
    assert trained.history.column("epoch") == [0, 0, 1, 1, 2, 3, 3, 4]


def test_the_same_seed_gives_the_same_and_another_does_not() -> None:
    settings = LoopSettings(steps=12, batch_size=4, evaluate_every=1)
    runs = [train(net(), data(), loss, settings, seed=seed) for seed in (3, 3, 4)]
    assert_same(runs[0], runs[1])
    assert runs[0].history.column("loss") != runs[2].history.column("loss")


def test_neither_the_callers_random_numbers_nor_rows_change_anything() -> None:
    whole = train(net(), data(), loss, LoopSettings(steps=12, batch_size=4), seed=3)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    often = train(net(), data(), loss, LoopSettings(steps=12, batch_size=4, evaluate_every=1), seed=3,
                  evaluate=evaluate)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, one), (_, other) in zip(whole.model.state_dict().items(), often.model.state_dict().items(), strict=True):
        assert not isinstance(one, Tensor) or torch.equal(one, other), name


def test_an_evaluation_sees_the_model_in_evaluation_mode_and_leaves_its_modes() -> None:
    model, seen = net(), []
    model.norm.eval()  # frozen on purpose

    def look(model: nn.Module) -> dict[str, float]:
        seen.append((model.training, torch.is_grad_enabled()))
        return {}

    train(model, data(), loss, LoopSettings(steps=2, evaluate_every=1), evaluate=look)
    assert seen == [(False, False)] * 3
    assert (model.training, model.norm.training, model.dropout.training) == (True, False, True)
    assert int(model.norm.num_batches_tracked) == 0


def test_a_stream_is_asked_for_each_step_once() -> None:
    asked = []

    def draw(step: int, generator: torch.Generator) -> Any:
        asked.append(step)
        return stream(step, generator)

    trained = train(net(), draw, loss, LoopSettings(steps=6, evaluate_every=4))
    assert asked == list(range(7))  # the loss of the last row is on a batch that no update uses
    assert all(math.isnan(epoch) for epoch in trained.history.column("epoch"))


@pytest.mark.parametrize("form", [lambda x, y: {"x": x, "y": y}, lambda x, y: torch.cat([x, y], 1)])
def test_batches_have_the_form_of_the_samples(form: Any) -> None:
    samples = form(*data())

    def split(model: nn.Module, batch: Any) -> Tensor:
        inputs, targets = (batch["x"], batch["y"]) if isinstance(batch, dict) else (batch[:, :3], batch[:, 3:])
        return plain_loss(model, (inputs, targets))

    settings = LoopSettings(steps=7, batch_size=4, evaluate_every=1)
    assert_same(train(net(), samples, split, settings), train(net(), data(), plain_loss, settings))


def test_an_epoch_has_each_sample_once() -> None:
    batches = TensorBatches(torch.arange(10), 4)
    batches.begin(torch.Generator().manual_seed(0))
    epochs = [torch.cat([batches.next() for _ in range(3)]) for _ in range(2)]
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    assert TensorBatches(torch.arange(10), 4, drop_last=True).steps_per_epoch == 2
    ordered = TensorBatches(torch.arange(10), 4, shuffle=False)
    ordered.begin(torch.Generator())
    assert ordered.next().tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"the lengths \[2, 3\]"):
        TensorBatches((torch.zeros(2), torch.zeros(3)))


def test_a_long_gradient_is_clipped() -> None:
    model = nn.Linear(2, 1, bias=False)
    start = model.weight.detach().clone()
    train(model, torch.tensor([[300.0, 400.0]]), lambda m, batch: m(batch).sum(),
          LoopSettings(steps=1, optimizer="sgd", learning_rate=1.0, clip=2.0))
    torch.testing.assert_close(start - model.weight.detach(), torch.tensor([[1.2, 1.6]]), rtol=1e-6, atol=0)


def test_the_history_is_a_typed_table() -> None:
    trained = train(net(), data(), loss, LoopSettings(epochs=2, batch_size=11, evaluate_every=2), evaluate=evaluate)
    frame = trained.history.frame()
    assert list(frame.columns) == ["step", "epoch", "seconds", "learning_rate", "loss", "root", "output", "norm"]
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "Int64"] + ["float64"] * 6
    rows = trained.history.rows()
    assert json.loads(json.dumps(rows)) == rows
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert "seconds" not in trained.history.rows(seconds=False)[0]
    assert rows[-1]["norm"] == trained.model.first.weight.norm().item()
    assert all(row["seconds"] <= trained.seconds for row in rows)
    # A number that comes late is empty before.
    trained.history.add({"step": 5, "late": 1.5})
    assert [row["late"] for row in trained.history.rows()] == [None, None, None, 1.5]
    assert trained.history.frame()["late"].isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize("name", ["loss", "root", "step"])
def test_two_numbers_of_one_name_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"two numbers of the name '{name}'"):
        train(net(), data(), loss, LoopSettings(steps=2), evaluate=lambda _: {name: 0.0})


@pytest.mark.parametrize("wrong", [lambda m, b: m(b[0]), lambda m, b: {"cost": 1.0}, lambda m, b: 1.0])
def test_a_loss_that_is_no_scalar_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is to return a scalar tensor"):
        train(net(), data(), wrong, LoopSettings(steps=2))


def test_epochs_of_a_stream_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"train.epochs=3 is not allowed: these batches have no end"):
        train(net(), stream, loss, LoopSettings(epochs=3))
    with pytest.raises(TypeError, match="neither tensors nor a function"):
        train(net(), 3, loss)  # type: ignore[arg-type]


def test_the_bar_is_on_standard_error_and_only_where_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    train(net(), data(), loss, LoopSettings(steps=3), progress=None)
    assert capfd.readouterr() == ("", "")
    train(net(), data(), loss, LoopSettings(steps=3), progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "training" in shown.err


def test_gradients_are_released_and_a_frozen_model_is_left() -> None:
    model = net()
    model.first.requires_grad_(False)
    frozen = model.first.weight.clone()
    train(model, data(), loss, LoopSettings(steps=3))
    assert torch.equal(model.first.weight, frozen)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert isinstance(model, Net)


def test_settings_need_no_torch() -> None:
    code = "import sys, agfrun.training.settings as s; s.LoopSettings().check(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
