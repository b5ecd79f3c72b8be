"""A training that is taken up again from any of its states ends as one that was never interrupted, to the last bit."""

from __future__ import annotations

import functools
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_trainings import (
    HASH,
    EveryFew,
    Interrupting,
    Last,
    assert_same,
    data,
    evaluate,
    in_a_process,
    kill,
    long_training,
    loss,
    net,
    newest_checkpoint,
    outcome,
    resumed_everywhere,
    stream,
    wait_for_checkpoint,
)
from torch import nn, optim
from torch.optim import lr_scheduler

from agfrun.files.checkpoints import CheckpointFolder, read_state, write_state
from agfrun.files.training_state import TrainingState
from agfrun.study.errors import CheckpointError
from agfrun.study.settings import CheckpointConfig
from agfrun.training.loop import Trained, train
from agfrun.training.settings import OPTIMIZERS, SCHEDULES, LoopSettings
from agfrun.training.state import flatten, unflatten

STEPS = 17
TORCHS: dict[str, Callable[..., optim.Optimizer]] = {
    "amsgrad": functools.partial(optim.Adam, lr=0.01, amsgrad=True, foreach=True),
    "fused": functools.partial(optim.AdamW, lr=0.01, fused=True),
    "tensor rate": lambda p: optim.Adam(p, lr=torch.tensor(0.01), foreach=False),
    "adagrad": functools.partial(optim.Adagrad, lr=0.05),
    "adadelta": functools.partial(optim.Adadelta, lr=1.0),
    "adafactor": functools.partial(optim.Adafactor, lr=0.05),
    "adamax": functools.partial(optim.Adamax, lr=0.01),
    "asgd": functools.partial(optim.ASGD, lr=0.05, t0=3),
    "nadam": functools.partial(optim.NAdam, lr=0.01),
    "radam": functools.partial(optim.RAdam, lr=0.01),
    "rmsprop": functools.partial(optim.RMSprop, lr=0.01, momentum=0.5, centered=True),
    "rprop": functools.partial(optim.Rprop, lr=0.01),
    "nesterov": functools.partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True),
    "groups": lambda p: optim.Adam([{"params": list(p)[:2], "lr": 0.1}, {"params": list(p)[2:]}], lr=0.01),
}
SCHEDULERS: dict[str, Callable[[optim.Optimizer], lr_scheduler.LRScheduler]] = {
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=30),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3, mode="exp_range"),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
    "several steps": lambda o: lr_scheduler.MultiStepLR(o, [3, 6, 6, 11]),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "product": lambda o: lr_scheduler.MultiplicativeLR(o, lambda step: 0.95),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, 20),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.7),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=5), lr_scheduler.CosineAnnealingLR(o, 10)], [5]),
    "chain": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 6), lr_scheduler.ExponentialLR(o, 0.9)]),
}


def runs(dtype: torch.dtype = torch.float32, samples: Any = None, factory: Any = None, scheduler: Any = None,
         **changed: Any) -> Callable[..., Trained]:
    """A short training with dropout, running means and an evaluation, to be started and resumed at will."""
    options: dict[str, Any] = {"steps": STEPS, "batch_size": 5, "learning_rate": 0.02, "evaluate_every": 2,
                               "patience": 1000, **changed}
    if options.get("optimizer") == "lbfgs":
        options |= {"max_iter": 4, "history_size": 3, "learning_rate": 0.5, "clip": None}
    chosen = LoopSettings(**options)

    def run(function: Any = loss, **more: Any) -> Trained:
        return train(net(dtype), data(dtype) if samples is None else samples, function, chosen, seed=3,
                     evaluate=evaluate, optimizer=factory, scheduler=scheduler, **more)

    return run


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_optimizer_of_the_settings(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    assert resumed_everywhere(runs(dtype, optimizer=name), tmp_path, 1) == STEPS


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["momentum", "lbfgs"])
def test_every_schedule_of_the_settings(name: str, optimizer: str, tmp_path: Path) -> None:
    run = runs(optimizer=optimizer, schedule=name, warmup=4, decay_every=5, clip=0.5)
    assert resumed_everywhere(run, tmp_path, 2) == STEPS // 2


@pytest.mark.parametrize("name", TORCHS)
def test_other_optimizers_of_torch(name: str, tmp_path: Path) -> None:
    assert resumed_everywhere(runs(factory=TORCHS[name]), tmp_path, 3) == STEPS // 3


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # of SequentialLR's own making
def test_other_schedules_of_torch(name: str, tmp_path: Path) -> None:
    assert resumed_everywhere(runs(scheduler=SCHEDULERS[name]), tmp_path, 3) == STEPS // 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex128])
def test_models_of_other_types(dtype: torch.dtype, tmp_path: Path) -> None:
    def run(**more: Any) -> Trained:
        torch.manual_seed(0)
        return train(nn.Linear(3, 1, dtype=dtype), data()[0].to(dtype),
                     lambda model, batch: model(batch).abs().square().mean(),
                     LoopSettings(steps=9, batch_size=8, learning_rate=0.01), **more)

    assert resumed_everywhere(run, tmp_path, 2) == 4


def test_state_more_precise_than_the_parameters(tmp_path: Path) -> None:
    """`Optimizer.load_state_dict` alone would round it."""
    class Precise(optim.Optimizer):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {"lr": 0.01})

        def step(self, closure: Any = None) -> Any:
            value = closure()
            for parameter in self.param_groups[0]["params"]:
                if parameter.grad is not None:
                    kept = self.state[parameter].setdefault("sum", torch.zeros(parameter.shape, dtype=torch.float64))
                    kept.mul_(0.9).add_(parameter.grad.double())
                    parameter.data.sub_((0.01 * kept).to(parameter.dtype))
            return value

    assert resumed_everywhere(runs(factory=Precise), tmp_path, 2) == STEPS // 2


@pytest.mark.parametrize("samples", [stream, data()[0].new_ones(4, 2, 3).unbind(1)])
def test_streams_and_small_data(samples: Any, tmp_path: Path) -> None:
    def squares(model: nn.Module, batch: Any) -> Any:
        return model(batch[0]).square().mean()

    run = functools.partial(runs(samples=samples, batch_size=2), squares)
    assert resumed_everywhere(run, tmp_path, 2) == STEPS // 2


@pytest.mark.parametrize("ends", [{"patience": 4, "watch": "norm"}, {"target": 0.56, "watch": "root"}])
def test_an_early_stop_is_remembered(ends: dict[str, Any], tmp_path: Path) -> None:
    run = runs(steps=200, evaluate_every=3, **ends)
    assert run().status == "converged"
    assert resumed_everywhere(run, tmp_path, 2) > 5


def test_divergence_is_where_it_was(tmp_path: Path) -> None:
    run = runs(optimizer="sgd", learning_rate=1e30, steps=200)
    assert run().status == "diverged"
    assert resumed_everywhere(run, tmp_path, 1) >= 1


@settings(max_examples=12)
@given(st.sampled_from(OPTIMIZERS), st.sampled_from(SCHEDULES), st.booleans(), st.integers(1, 9),
       st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_interrupted_again_and_again(optimizer: str, schedule: str, endless: bool, rows: int,
                                     calls: list[int]) -> None:
    run = runs(samples=stream if endless else None, optimizer=optimizer, schedule=schedule, evaluate_every=rows)
    whole, state = run(), None
    for call in calls:
        kept = Last()
        ended = run(Interrupting(call), checkpoints=kept, resume=state)
        if ended.status != "interrupted":
            break
        state = kept.state or state
    assert_same(run(resume=state), whole)


def test_seconds_are_those_of_all_parts_together() -> None:
    kept, run = Last(), runs()
    first = run(Interrupting(9), checkpoints=kept)
    assert kept.state is not None
    later = TrainingState({**kept.state.numbers, "seconds": 1e6}, kept.state.arrays)
    again = run(resume=later)
    assert again.seconds > 1e6
    assert again.history.column("seconds")[:2] == first.history.column("seconds")[:2]


def test_a_longer_training_goes_on_from_a_shorter_one(tmp_path: Path) -> None:
    kept = EveryFew(tmp_path, STEPS)
    runs()(checkpoints=kept)
    assert_same(runs(steps=30)(resume=read_state(kept.paths[-1], HASH)), runs(steps=30)())


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty"])
def test_a_damaged_checkpoint_is_seen_and_the_one_before_used(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    class Always(CheckpointFolder):
        def due(self) -> bool:
            return True

    kept = Always(tmp_path, CheckpointConfig(seconds=0.0, keep=2), HASH)
    run = runs()
    assert run(Interrupting(9), checkpoints=kept).status == "interrupted"
    newest = max(kept.folder.glob("*.safetensors"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes({"truncated": content[:-100], "one bit": content, "empty": b""}[damage])
    found = kept.latest()
    assert f"{newest} is damaged" in capsys.readouterr().err
    assert found is not None
    assert found.numbers["step"] == 8
    assert_same(run(resume=found), run())


@pytest.mark.parametrize(("other", "message"), [
    (lambda: net(width=5), "first.weight is float32 of shape (4, 3) in it, float32 of shape (5, 3) in this model"),
    (lambda: net(torch.float64), "unused is float32 of shape (2,) in it, float64 of shape (2,) in this model"),
    (lambda: nn.Linear(3, 1), "only this model has weight"),
    (lambda: nn.Sequential(net(), nn.Linear(1, 1)), "only this model has 0.unused"),
])
def test_the_checkpoint_of_another_model_is_refused(other: Callable[[], nn.Module], message: str) -> None:
    kept, model = Last(), other()
    runs()(Interrupting(5), checkpoints=kept)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    dtype = next(iter(before.values())).dtype
    with pytest.raises(CheckpointError) as error:
        train(model, data(dtype), loss, LoopSettings(steps=STEPS, batch_size=5), resume=kept.state)
    assert str(error.value).startswith("the checkpoint is none of this training: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.named_parameters())


@pytest.mark.parametrize(("changed", "message"), [
    ({"optimizer": "sgd"}, "it was trained by Adam, TensorBatches, not by SGD, TensorBatches"),
    ({"schedule": "cosine"}, "not by Adam, LambdaLR, TensorBatches"),
    ({"samples": stream}, "not by Adam, Stream"),
    ({"batch_size": 4}, "its batches have the batch_size 5, not 4"),
    ({"factory": TORCHS["groups"]}, "different number of parameter groups"),
])
def test_the_checkpoint_of_another_training_is_refused(changed: dict[str, Any], message: str) -> None:
    kept = Last()
    runs()(Interrupting(5), checkpoints=kept)
    with pytest.raises(CheckpointError) as error:
        runs(**changed)(resume=kept.state)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(CheckpointError, match="'kinds'"):
        runs()(resume=TrainingState({"step": 3}))


def test_any_nesting_is_kept_bit_for_bit(tmp_path: Path) -> None:
    tensors = [torch.tensor(1.5), torch.zeros(0, 3), torch.arange(6).reshape(2, 3).T, torch.tensor([True, False]),
               torch.tensor([1e-40, float("nan"), -0.0], dtype=torch.bfloat16), torch.tensor(2 ** 62),
               torch.tensor(3.0, dtype=torch.bfloat16), torch.tensor([1 + 2j]).conj(),
               torch.zeros((), dtype=torch.int16), torch.tensor([7], dtype=torch.uint8),
               torch.ones(2, dtype=torch.float8_e4m3fn)]
    value = {0: tensors, "0": (None, True, 2 ** 70, -0.0, float("inf"), "word", 1j), (1, 2): [{}, [], ()],
             "numpy": np.float32(0.1), "deep": {0: {"0": tensors[0] + 1, 0: tensors[0]}}}
    path = tmp_path / "state.safetensors"
    write_state(path, flatten(value), HASH)
    found = unflatten(read_state(path, HASH))
    for mine, theirs in zip(tensors, found[0], strict=True):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        assert np.array_equal(mine.resolve_conj().contiguous().reshape(-1).view(torch.uint8).numpy(),
                              theirs.reshape(-1).view(torch.uint8).numpy())
    assert repr(found["0"]) == repr(value["0"])
    assert found[1, 2] == [{}, [], ()]
    assert found["numpy"] == float(np.float32(0.1))
    assert [found["deep"][0][key].item() for key in ("0", 0)] == [2.5, 1.5]


def test_what_no_checkpoint_can_hold_is_named() -> None:
    with pytest.raises(TypeError, match=r"Adam\.state\.0\.hook is a function, which no checkpoint can hold"):
        flatten({"state": {0: {"hook": lambda: 0}}}, "Adam")
    with pytest.raises(TypeError, match="is a sparse tensor"):
        flatten([torch.eye(2).to_sparse()])


def test_a_state_does_not_change_while_training_goes_on(tmp_path: Path) -> None:
    class All(Last):
        def __init__(self) -> None:
            self.states: list[tuple[TrainingState, Path]] = []

        def due(self) -> bool:
            return True

        def save(self, state: TrainingState) -> None:
            self.states.append((state, tmp_path / f"{len(self.states)}.safetensors"))
            write_state(self.states[-1][1], state, HASH)

    for optimizer in ("adam", "lbfgs"):
        kept = All()
        runs(optimizer=optimizer)(checkpoints=kept)
        for state, path in kept.states:
            saved = read_state(path, HASH)
            assert saved.numbers == dict(state.numbers)
            assert all(torch.equal(array, saved.arrays[name]) for name, array in state.arrays.items())


# --- in processes of their own


def killed_at_random(folder: Path, kills: int, seed: int) -> int:
    """Kill a training and its resumptions at random moments, until it gets to its end; how often it was killed."""
    moments, killed = random.Random(seed), 0
    while not (folder / "result.safetensors").exists():
        process = in_a_process(folder)
        if killed < kills:
            wait_for_checkpoint(process, folder, newest_checkpoint(folder) + moments.randint(1, 4))
            process.join(moments.uniform(0.0, 0.02))  # anywhere between two checkpoints, or within one
            status = kill(process)
            assert status in (0, -signal.SIGKILL)
            killed += status == -signal.SIGKILL
        else:
            process.join(120.0)
            assert process.exitcode == 0
    return killed


def assert_result(folder: Path, whole: Trained) -> None:
    found, expected = safetensors.numpy.load_file(folder / "result.safetensors"), outcome(whole)
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_killed_training_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    killed = killed_at_random(folder, 2, seed=1)
    assert killed == 2
    (tmp_path / "whole").mkdir()
    assert_result(folder, long_training(tmp_path / "whole"))


@pytest.mark.slow
def test_a_dozen_kills_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = long_training(tmp_path / "whole")
    killed = 0
    for seed in range(100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        killed += killed_at_random(folder, min(6, 12 - killed), seed)
        assert_result(folder, whole)
        if killed == 12:
            return
    raise AssertionError(f"only {killed} of the processes could be killed")


@pytest.mark.slow
def test_ctrl_c_of_a_process_saves_its_last_step(tmp_path: Path) -> None:
    process = in_a_process(tmp_path)
    wait_for_checkpoint(process, tmp_path, 2)
    assert kill(process, signal.SIGINT) == 3
    state = CheckpointFolder(tmp_path, CheckpointConfig(seconds=0.0), HASH).latest()
    assert state is not None
    process = in_a_process(tmp_path)
    process.join(120.0)
    assert process.exitcode == 0
    (tmp_path / "whole").mkdir()
    assert_result(tmp_path, long_training(tmp_path / "whole"))
