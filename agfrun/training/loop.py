"""The training loop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from agfrun.files.training_state import Checkpoints, TrainingState, restoring
from agfrun.study.errors import DivergenceError
from agfrun.study.interruption import Interruption, interruption_of
from agfrun.training.batches import Batches, Draw, Samples, batches_of
from agfrun.training.history import NAMES, History, Number
from agfrun.training.optimization import (
    OptimizerFactory,
    SchedulerFactory,
    optimizer_of,
    scheduler_of,
    waits_for_a_plateau,
)
from agfrun.training.settings import LoopSettings
from agfrun.training.state import (
    check_model,
    flatten,
    model_state,
    optimizer_state,
    random_devices,
    random_numbers,
    random_state,
    restore_model,
    restore_optimizer,
    restore_random,
    unflatten,
)
from agfrun.training.stopping import EarlyStop

Status = Literal["converged", "finished", "diverged", "interrupted"]
Ending = tuple[Status, str]
Numbers = Mapping[str, Tensor | float]
Loss = Callable[[nn.Module, Any], Tensor | Numbers]
Evaluation = Callable[[nn.Module], Numbers]


@dataclass(frozen=True)
class Trained:
    """A training that has ended.

    Attributes:
        model: the model that was given, trained in place.
        history: the numbers on its way. A training that diverged has those from before.
        status: converged (early stop, or target reached), finished (all steps were taken), diverged (the loss or a
            parameter is not finite) or interrupted.
        reason: of the status, in words.
        step: optimizer steps taken.
        seconds: that they took, all resumptions together.
    """

    model: nn.Module
    history: History
    status: Status
    reason: str
    step: int
    seconds: float

    def require_ended(self, key: str = "train.learning_rate", name: str = "") -> None:
        """Refuse a training that did not come to its end.

        Args:
            key: of the learning rate, which a smaller value of might help.
            name: of what was trained, where a study trains several.

        Raises:
            KeyboardInterrupt: it was interrupted; it says by what.
            DivergenceError: it left the finite numbers.
        """
        if self.status == "interrupted":
            raise interruption_of(self.reason)
        if self.status == "diverged":
            raise DivergenceError(f"training {name and name + ' '}diverged: {self.reason}; try a smaller {key}")


def train(
    model: nn.Module, data: Samples | Draw | Batches, loss: Loss, settings: LoopSettings | None = None, *,
    seed: int = 0, optimizer: OptimizerFactory | None = None, scheduler: SchedulerFactory | None = None,
    evaluate: Evaluation | None = None, checkpoints: Checkpoints | None = None, resume: TrainingState | None = None,
    progress: bool | None = None,
) -> Trained:
    """Train a model in place.

    The row of step k of the history describes the model after k updates: its loss on the next batch, and the
    evaluation. On the same machine and number of threads, all numbers follow from the seed and from the model as it is
    given, and do not depend on where training was interrupted and taken up again, to the last bit. To this end torch's
    global generators are seeded within the training, and are afterwards as they were before; loss function, batches and
    evaluation may draw from these, and from the generator they are given, but from no others.

    Args:
        model: any module, of any type and on any device, in training mode or not, as is wanted.
        data: samples (a tensor, or a tuple or mapping of tensors of equal length) of which batches of
            `settings.batch_size` are made; or a function `(step, generator) -> batch`; or other `Batches`.
        loss: from the model and a batch, the loss to be minimized, a scalar; or a mapping with "loss" and further
            scalars, which become columns of the history.
        settings: see there; None for the defaults.
        seed: of all random numbers. A generator of this seed draws the batches: `torch.randperm(count,
            generator=generator)` is the order of each epoch.
        optimizer: from the model's parameters that require a gradient, in place of the optimizer of the settings.
        scheduler: from the optimizer, in place of the schedule of the settings; it goes one step further after each
            update, except `ReduceLROnPlateau`, which is shown the watched number of each row.
        evaluate: scalars of the model for the rows of the history. It is called without gradients, in evaluation
            mode, and changes nothing: what it draws at random is drawn again by the training.
        checkpoints: asked before each update whether it is time to save.
        resume: a state that `checkpoints` were given by a training with the same arguments.
        progress: whether a bar is shown on standard error; None if that is a terminal.

    Ctrl-C, SIGTERM and SIGHUP end the training after the update under way, with a checkpoint; a KeyboardInterrupt that
    is raised within an update (a second Ctrl-C, or by the loss function) ends it at once, without one, for there is
    nothing whole to save: the last one that was due stands.

    Raises:
        ConfigError: the settings are not allowed, or do not fit the data.
        CheckpointError: `resume` is of another training; the model is left as it was.
        TypeError: something is to be saved that no checkpoint can hold (`state.flatten`).
        ValueError: the loss is no scalar, or two numbers of a row have the same name.
    """
    settings = settings or LoopSettings()
    settings.check()
    batches = batches_of(data, settings.batch_size)
    steps = settings.total_steps(batches.steps_per_epoch)
    with random_numbers(model, seed):
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        made = optimizer_of(settings, parameters) if optimizer is None else optimizer(parameters)
        schedule = scheduler_of(settings, made, steps) if scheduler is None else scheduler(made)
        batches.begin(torch.Generator().manual_seed(seed))
        training = _Training(model, batches, loss, settings, made, schedule, evaluate)
        first = 0 if resume is None else training.restore(resume)
        (status, reason), step = _steps(training, first, steps, checkpoints, progress)
    made.zero_grad(set_to_none=True)
    return Trained(model, training.history, status, reason, step, training.seconds())


def _steps(training: _Training, first: int, steps: int, checkpoints: Checkpoints | None,
           progress: bool | None) -> tuple[Ending, int]:
    """How and after how many steps training ended."""
    ended: Ending | None = None
    step = first
    with Interruption() as interruption, _bar(first, steps, progress) as bar:
        for step in range(first, steps + 1):
            if step > first and checkpoints is not None and (interruption.asked or checkpoints.due()):
                checkpoints.save(training.state(step))
            if interruption.asked:
                break
            ended = training.advance(step, bar, last=step == steps)
            if ended is not None:
                break
            bar.update()
    return ended or ("interrupted", f"{interruption.reason} at step {step}"), step


def _bar(first: int, steps: int, progress: bool | None) -> Any:
    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(total=steps, initial=first, disable=not shown, desc="training", file=sys.stderr, leave=False)


class _Training:
    """The parts of a training, and what they carry from step to step."""

    def __init__(self, model: nn.Module, batches: Batches, loss: Loss, settings: LoopSettings, optimizer: Optimizer,
                 scheduler: Any, evaluate: Evaluation | None) -> None:
        # `scheduler` is a torch scheduler or None; the signatures of their `step` differ, hence Any.
        self.model, self.batches, self.loss, self.settings = model, batches, loss, settings
        self.optimizer, self.scheduler, self.evaluate = optimizer, scheduler, evaluate
        self.waits = waits_for_a_plateau(scheduler)
        self.history, self.stop = History(), EarlyStop(settings)
        self.kinds = [type(part).__qualname__ for part in (optimizer, scheduler, batches)]
        self.started, self.before = time.perf_counter(), 0.0

    def seconds(self) -> float:
        """Time spent so far, in this process and in those that it goes on from."""
        return self.before + time.perf_counter() - self.started

    def state(self, step: int) -> TrainingState:
        """All that the steps from this one on depend on."""
        parts = TrainingState.joined(
            model=model_state(self.model), optimizer=optimizer_state(self.optimizer),
            scheduler=flatten(None if self.scheduler is None else self.scheduler.state_dict(), self.kinds[1]),
            batches=self.batches.state(), random=random_state(self.model), stop=self.stop.state(),
            history=self.history.state())
        return TrainingState({**parts.numbers, "step": step, "seconds": self.seconds(), "kinds": self.kinds},
                             parts.arrays)

    def restore(self, state: TrainingState) -> int:
        """Take up a state; its step."""
        with restoring():
            if state.numbers["kinds"] != self.kinds:
                raise ValueError(f"it was trained by {_listed(state.numbers['kinds'])}, not by {_listed(self.kinds)}")
            check_model(self.model, state.part("model"))
            step, self.before = int(state.numbers["step"]), float(state.numbers["seconds"])
            self.stop.restore(state.part("stop"))
            self.history.restore(state.part("history"))
            self.batches.restore(state.part("batches"))
            restore_optimizer(self.optimizer, state.part("optimizer"))
            if self.scheduler is not None:
                self.scheduler.load_state_dict(unflatten(state.part("scheduler")))
            restore_random(self.model, state.part("random"))
            restore_model(self.model, state.part("model"))  # last: a state that is refused has changed no model
        return step

    def advance(self, step: int, bar: Any, *, last: bool) -> Ending | None:
        """Record the row of a step, if it has one, and make the update that follows; how training ends, if it does."""
        due = last or step % self.settings.evaluate_every == 0
        evaluated: dict[str, float] = {}
        if due:
            if not all(bool(torch.isfinite(parameter).all()) for parameter in self.model.parameters()):
                return "diverged", f"a parameter is not finite at step {step}"
            evaluated = self._evaluated()
            buffers = [buffer.clone() for buffer in self.model.buffers()]
        batch = self.batches.next()
        numbers = self._numbers(batch)
        loss = _number(numbers["loss"])
        if not math.isfinite(loss):
            return "diverged", f"the loss is not finite at step {step}"
        if due:
            row = self._record(step, numbers, evaluated)
            bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
            reason = self._watch(row, step)
            if reason is not None or last:
                # No update follows: the last forward pass leaves no trace, such as in a running mean.
                with torch.no_grad():
                    for buffer, saved in zip(self.model.buffers(), buffers, strict=True):
                        buffer.copy_(saved)
                return ("finished", f"all {step} steps were taken") if reason is None else ("converged", reason)
        self._update(batch, numbers["loss"])
        if self.scheduler is not None and not self.waits:
            self.scheduler.step()
        return None

    def _numbers(self, batch: Any) -> dict[str, Any]:
        """The loss and the further numbers of a batch, by name."""
        found = self.loss(self.model, batch)
        numbers = dict(found) if isinstance(found, Mapping) else {"loss": found}
        loss = numbers.get("loss")
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise ValueError(f"the loss function is to return a scalar tensor, or a mapping with one as 'loss', "
                             f"not {type(loss).__name__ if not isinstance(loss, Tensor) else tuple(loss.shape)}")
        return numbers

    def _update(self, batch: Any, loss: Tensor) -> None:
        """One step of the optimizer; one that searches evaluates the loss several times."""
        computed = [loss]
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

        def closure() -> Tensor:
            # The first evaluation is where the parameters are, and has been made already.
            value: Tensor = computed.pop() if computed else self._numbers(batch)["loss"]
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            if self.settings.clip is not None:
                nn.utils.clip_grad_norm_(parameters, self.settings.clip)
            return value

        self.optimizer.step(closure)  # type: ignore[arg-type] # torch asks for floats, and takes tensors

    def _evaluated(self) -> dict[str, float]:
        """The numbers of the evaluation, which leaves the model and the random numbers to come as they are."""
        if self.evaluate is None:
            return {}
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=random_devices(self.model)):
                return {name: _number(value) for name, value in self.evaluate(self.model).items()}
        finally:
            for module, mode in modes.items():
                module.training = mode

    def _record(self, step: int, numbers: Mapping[str, Any], evaluated: Mapping[str, float]) -> dict[str, Number]:
        """Append the row of a step, and show it to a scheduler that waits for it."""
        further = {name: _number(value) for name, value in numbers.items() if name != "loss"}
        for name in (*further, *evaluated):
            if name in NAMES or (name in further and name in evaluated):
                raise ValueError(f"the history has two numbers of the name {name!r}: rename one")
        per_epoch = self.batches.steps_per_epoch
        row: dict[str, Number] = {
            "step": step, "epoch": None if per_epoch is None else step // per_epoch, "seconds": self.seconds(),
            "learning_rate": None, "loss": _number(numbers["loss"]), **further, **evaluated}
        if self.waits:
            self.scheduler.step(self.stop.watched(row))
        row["learning_rate"] = _number(self.optimizer.param_groups[0]["lr"])
        self.history.add(row)
        return row

    def _watch(self, row: Mapping[str, Number], step: int) -> str | None:
        return self.stop.look(self.stop.watched(row), step) if self.stop.needed else None


def _number(value: Tensor | float) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def _listed(kinds: list[str]) -> str:
    return ", ".join(kind for kind in kinds if kind != "NoneType")
