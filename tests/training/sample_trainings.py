"""Small trainings with everything that a resumption may forget, ways to interrupt them, and one in its own process."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agfrun.files.checkpoints import CheckpointFolder, read_state, write_state
from agfrun.files.training_state import TrainingState
from agfrun.files.writing import write_safetensors
from agfrun.study.settings import CheckpointConfig
from agfrun.training.loop import Trained, train
from agfrun.training.settings import LoopSettings

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["agfrun.training.loop", "torch", "sample_trainings"])
SAMPLES = 22
HASH = "hash"


class Net(nn.Module):
    """Buffers, dropout, a buffer that is not persistent, an extra state, a parameter without gradient."""

    def __init__(self, dtype: torch.dtype = torch.float32, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(3, width, dtype=dtype)
        self.norm = nn.BatchNorm1d(width, dtype=dtype)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(width, 1, dtype=dtype)
        self.unused = nn.Parameter(torch.ones(2, dtype=dtype))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64), persistent=False)
        self.noted = 0

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.passes += 1
            self.noted += 1
        return self.last(self.dropout(torch.relu(self.norm(self.first(inputs)))))

    def get_extra_state(self) -> Any:
        return {"noted": self.noted}

    def set_extra_state(self, state: Any) -> None:
        self.noted = state["noted"]


class EveryFew:
    """Keeps every n-th state, as a file."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every
        self.asked = 0
        self.paths: list[Path] = []

    def due(self) -> bool:
        self.asked += 1
        return self.asked % self.every == 0

    def save(self, state: TrainingState) -> None:
        self.paths.append(self.folder / f"{len(self.paths)}.safetensors")
        write_state(self.paths[-1], state, HASH)


def net(dtype: torch.dtype = torch.float32, width: int = 4) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return Net(dtype, width)


def data(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(SAMPLES, 3, generator=generator, dtype=torch.float64)
    return inputs.to(dtype), inputs.sin().sum(1, keepdim=True).to(dtype)


def stream(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(7, 3, generator=generator, dtype=torch.float32)
    return inputs, inputs.sin().sum(1, keepdim=True) + 0.01 * step


def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    inputs, targets = batch
    error = (model(inputs) - targets).square().mean()
    return {"loss": error, "root": error.sqrt()}


def plain_loss(model: nn.Module, batch: Any) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def evaluate(model: Any) -> dict[str, Tensor | float]:
    inputs = next(model.parameters()).new_tensor([[0.1, -0.2, 0.3]])
    drawn = torch.rand((), dtype=torch.float32)  # of one type in every process
    return {"output": model(inputs)[0, 0] + 1e-3 * drawn, "norm": model.first.weight.norm()}


def assert_same(one: Trained, other: Trained) -> None:
    """The two ended alike, with the same numbers on their way, to the last bit."""
    assert (one.status, one.reason, one.step) == (other.status, other.reason, other.step)
    assert one.history.names == other.history.names
    assert one.history.rows(seconds=False) == other.history.rows(seconds=False)
    assert_same_model(one.model, other.model)


def assert_same_model(one: nn.Module, other: nn.Module) -> None:
    mine = {**dict(one.named_parameters()), **dict(one.named_buffers())}
    theirs = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name
    assert getattr(one, "noted", None) == getattr(other, "noted", None)


def resumed_everywhere(run: Callable[..., Trained], folder: Path, every: int) -> int:
    """Compare a whole training with what comes of each state on its way; how many they were."""
    kept = EveryFew(folder, every)
    whole = run(checkpoints=kept)
    for path in kept.paths:
        assert_same(run(resume=read_state(path, HASH)), whole)
    return len(kept.paths)


class Interrupting:
    """A loss function that is interrupted when it is called for the n-th time."""

    def __init__(self, call: int, number: signal.Signals = signal.SIGINT) -> None:
        self.call, self.number = call, number
        self.calls = 0

    def __call__(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == self.call:
            signal.raise_signal(self.number)
        return loss(model, batch)


class Last:
    """Keeps the last state, in memory."""

    state: TrainingState | None = None

    def due(self) -> bool:
        return False

    def save(self, state: TrainingState) -> None:
        self.state = copy.deepcopy(state)


# --- in a process of its own


def long_training(folder: Path, pause: float = 0.0) -> Trained:
    """A training that saves all the time, and goes on from what it finds in the folder."""
    def slowly(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        time.sleep(pause)
        return loss(model, batch)

    kept = CheckpointFolder(folder, CheckpointConfig(seconds=0.0), HASH)
    return train(net(), data(), slowly, LoopSettings(steps=600, batch_size=5, learning_rate=0.01, schedule="cosine",
                                                     warmup=20, evaluate_every=7, patience=10_000),
                 seed=4, evaluate=evaluate, checkpoints=kept, resume=kept.latest(), progress=False)


def in_a_process(folder: Path) -> Any:
    """Start `long_training` in a process, whose end leaves `result.safetensors`."""
    process = CONTEXT.Process(target=_main, args=(str(folder),))
    process.start()
    return process


def newest_checkpoint(folder: Path) -> int:
    return max((int(path.stem) for path in folder.glob("checkpoints/[0-9]*.safetensors")), default=0)


def wait_for_checkpoint(process: Any, folder: Path, number: int, timeout: float = 120.0) -> None:
    """Until that many checkpoints were written, or the process has ended."""
    end = time.monotonic() + timeout
    while newest_checkpoint(folder) < number and process.is_alive():
        assert time.monotonic() < end, f"no checkpoint {number} comes into {folder}"
        time.sleep(0.002)


def kill(process: Any, number: signal.Signals = signal.SIGKILL) -> int:
    """Send a signal, if it is still there, and wait for the end; the exit status."""
    if process.is_alive():
        os.kill(process.pid, number)
    process.join(120.0)
    assert process.exitcode is not None, "still running"
    return int(process.exitcode)


def outcome(trained: Trained) -> dict[str, Any]:
    """All that is to be the same, as arrays."""
    columns = [trained.history.column(name) for name in trained.history.names if name != "seconds"]
    tensors = {**dict(trained.model.named_parameters()), **dict(trained.model.named_buffers())}
    return {"history": torch.tensor(columns, dtype=torch.float64).numpy(), "step": torch.tensor([trained.step]).numpy(),
            **{f"model.{name}": tensor.detach().reshape(-1).numpy() for name, tensor in tensors.items()}}


def _main(folder: str) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    trained = long_training(Path(folder), pause=5e-4)
    if trained.status == "interrupted":
        sys.exit(3)
    write_safetensors(Path(folder) / "result.safetensors", outcome(trained))
