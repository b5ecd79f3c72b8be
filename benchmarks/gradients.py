"""Microseconds a gradient and a step of gradient descent, beside autograd, torch.compile and JAX.

A gradient is checked against agfrun's before it is timed, a step by where fifty of them lead. The autograd loop works
on the full data set, or on a fresh batch where the published code draws one; agfrun and JAX then take the exact
gradient of the population.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from unittest import mock

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from agfrun import train_by_gradient_descent
from agfrun.labs.staircases.dynamics.clock import loss_factor
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from benchmarks import plots
from benchmarks.numpy_loop import NumpyLoop, make_loop
from benchmarks.numpy_loop import gradient_error as numpy_gradient_error
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.published_loop import PublishedLoop, gradient_error
from benchmarks.settings import Row, Settings
from benchmarks.timing import Timing, alternate, repeated, seconds_of

COLUMNS = ("experiment", "neurons", "neuron_dimension", "quantity", "competitor", "status", "microseconds",
           "lowest", "highest", "runs", "relative_error", "times_agfrun", "note")
LARGEST_ERROR = 1e-7
LARGEST_ERROR_FLOAT32 = 1e-3
CHECKED_STEPS = 50
# Of training's first hundred steps every one is recorded, of a million one in a thousand.
LEAST_STEPS = 20_000
# Scale at which nothing underflows and no term of the loss is negligible.
SCALE = 0.05


@dataclass
class Competitor:
    """Something to be timed.

    Attributes:
        name: for the table.
        measure: prepares and returns a function that times itself, in seconds a call or a step.
        error: relative difference of its answer from agfrun's.
        allowed: largest such difference.
        note: remark for the table.
    """

    name: str
    measure: Callable[[], Callable[[], float]]
    error: Callable[[], float]
    allowed: float = LARGEST_ERROR
    note: str = ""


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, experiment by experiment."""
    names = ["diagonal", "modular_addition"] if settings.quick else list(EXPERIMENTS)
    for name in names:
        instance = build(name)
        for quantity, competitors in (("gradient", _gradients(instance, settings)),
                                      ("step", _steps(instance, settings))):
            common = {"experiment": name, "neurons": instance.architecture.width,
                      "neuron_dimension": instance.architecture.neuron_dimension, "quantity": quantity}
            yield from (common | row for row in compete(competitors, settings.repeats))


def compete(competitors: list[Competitor], repeats: int) -> Iterator[Row]:
    """Check every competitor, time in turn those whose answer is right; the first is what others are relative to."""
    ready: dict[str, Callable[[], float]] = {}
    rows: dict[str, Row] = {}
    for competitor in competitors:
        row: Row = {"competitor": competitor.name, "note": competitor.note}
        rows[competitor.name] = row
        try:
            error = competitor.error()
            row["relative_error"] = error
            if not error <= competitor.allowed:
                row["status"] = "wrong"
                continue
            ready[competitor.name] = competitor.measure()
            row["status"] = "ok"
        except ImportError as missing:
            row |= {"status": "skipped", "note": f"{missing.name} is not installed"}
        except Exception as failure:  # a competitor that fails is a result, not the end of the benchmark
            row |= {"status": "failed", "note": f"{type(failure).__name__}: {str(failure).splitlines()[0][:120]}"}
    timings = alternate(ready, repeats, budget=20.0)
    first = timings.get(competitors[0].name)
    for name, row in rows.items():
        yield row | (_timed(timings[name], first) if name in timings else {})


def _timed(timing: Timing, first: Timing | None) -> Row:
    return {"microseconds": 1e6 * timing.median, "lowest": 1e6 * timing.low, "highest": 1e6 * timing.high,
            "runs": timing.runs, "times_agfrun": timing.median / first.median if first else None}


def _gradients(instance: Instance, settings: Settings) -> list[Competitor]:
    """Competitors for one gradient with its loss."""
    architecture, neurons = instance.architecture, instance.neurons_at(SCALE)
    expected = architecture.loss_and_gradient(neurons)[1]
    batch = instance.published.batch_size
    sampled = f"of a batch of {batch}" if batch else "of the full data set"

    def autograd() -> Callable[[], float]:
        return repeated(_backward(PublishedLoop(instance, start=neurons, bookkeeping=False)), settings.shortest)

    def jax_gradient() -> Callable[[Tensor], Tensor]:
        import jax

        from benchmarks.jax_networks import array, jax_loss

        compiled = jax.jit(jax.value_and_grad(jax_loss(architecture)))
        # The answer is awaited, as a step of an adaptive solver would.
        return lambda theta: compiled(array(theta))[1].block_until_ready()

    def jax_call() -> Callable[[], float]:
        import jax

        from benchmarks.jax_networks import array, jax_loss

        gradient, theta = jax.jit(jax.value_and_grad(jax_loss(architecture))), array(neurons)
        return repeated(lambda: gradient(theta)[1].block_until_ready(), settings.shortest)

    competitors = [
        Competitor("agfrun", lambda: repeated(lambda: architecture.loss_and_gradient(neurons), settings.shortest),
                   lambda: _directional_error(instance, neurons), 1e-5),
        Competitor("autograd", autograd, lambda: gradient_error(_unrounded(instance), neurons), note=sampled),
        Competitor("JAX, one jitted call", jax_call, lambda: _difference(
            torch.tensor(np.asarray(jax_gradient()(neurons))), expected)),
    ]
    if not settings.quick:
        loop = _CompiledLoop(instance, neurons)
        competitors.insert(2, Competitor("autograd, torch.compile", lambda: repeated(
            loop.backward, settings.shortest), loop.error, LARGEST_ERROR_FLOAT32, sampled))
    return competitors


def _steps(instance: Instance, settings: Settings) -> list[Competitor]:
    """Competitors for one step of gradient descent."""
    start = instance.neurons_at(SCALE)
    full_batch = instance.published.batch_size is None
    expected = descend(instance, start, CHECKED_STEPS)

    def plain(bookkeeping: bool) -> Callable[[], float]:
        return _per_step(PublishedLoop(instance, start=start, bookkeeping=bookkeeping), settings.shortest)

    def plain_error() -> float:
        if not full_batch:  # its steps are random; its gradient on one batch is the check
            return gradient_error(_unrounded(instance), start)
        loop = PublishedLoop(instance, torch.float64, start)
        loop.run(CHECKED_STEPS)
        return _difference(loop.network.neurons() - start, expected - start)

    def scan(steps: int) -> Callable[[], Tensor]:
        from benchmarks.jax_networks import array, gradient_descent, jax_loss

        program = gradient_descent(jax_loss(instance.architecture), paper_rate(instance),
                                   instance.published.momentum, steps)
        theta = array(start)
        return lambda: program(theta).block_until_ready()

    def scanned() -> Callable[[], float]:
        steps = 200 if settings.quick else 5000
        program = scan(steps)
        program()
        return lambda: seconds_of(program) / steps

    drawn = "" if full_batch else f"a fresh batch of {instance.published.batch_size} each step"
    competitors = [
        Competitor("agfrun", lambda: _own_steps(instance, start, settings),
                   lambda: _difference(
            expected - start, _slow_descent(instance, start, CHECKED_STEPS) - start),
                   note="with its recording; compiled for all but ReLU"),
        Competitor("agfrun, by torch", lambda: _own_steps(instance, start, settings, by_torch=True),
                   lambda: _difference(
            descend(instance, start, CHECKED_STEPS, by_torch=True) - start, expected - start),
                   note="with its recording"),
        Competitor("JAX scan", scanned, lambda: _difference(
            torch.tensor(np.asarray(scan(CHECKED_STEPS)())) - start, expected - start), note="no recording"),
        Competitor("plain loop", lambda: plain(True), plain_error, note=drawn),
        Competitor("plain loop, no bookkeeping", lambda: plain(False), plain_error, note=drawn),
    ]
    numpy_loop = make_loop(instance, start)
    if numpy_loop is not None:
        competitors.append(Competitor(
            "plain loop in NumPy", lambda: _per_step(numpy_loop, settings.shortest),
            lambda: numpy_gradient_error(instance, start), note=drawn))
    if not settings.quick:
        compiled = _CompiledLoop(instance, start)
        competitors.append(Competitor(
            "plain loop, torch.compile", lambda: repeated(compiled.step, settings.shortest),
            compiled.error, LARGEST_ERROR_FLOAT32, f"no bookkeeping; {drawn}".strip("; ")))
    return competitors


class _CompiledLoop:
    """The plain loop with its loss compiled."""

    def __init__(self, instance: Instance, start: Tensor) -> None:
        self.instance, self.start = instance, start
        self.loop = PublishedLoop(instance, start=start, bookkeeping=False)
        self.loss = torch.compile(lambda inputs, targets: self.loop.criterion(self.loop.network(inputs), targets))

    def error(self) -> float:
        """Difference of the gradient from the uncompiled one, both in float32; compiles."""
        batch = self.loop.batch()
        self.loss(*batch).backward()
        compiled = self.loop.network.neuron_gradient()
        self.loop.optimizer.zero_grad()
        self.loop.criterion(self.loop.network(batch[0]), batch[1]).backward()
        return _difference(compiled, self.loop.network.neuron_gradient())

    def backward(self) -> None:
        """A gradient."""
        self.loop.optimizer.zero_grad()
        self.loss(*self.loop.batch()).backward()

    def step(self) -> None:
        """A step."""
        self.backward()
        self.loop.optimizer.step()


def descend(instance: Instance, start: Tensor, steps: int, by_torch: bool = False) -> Tensor:
    """Neurons after `steps` of the published gradient descent, full batch, by agfrun."""
    return _train(instance, start, steps, by_torch).final


def _train(instance: Instance, start: Tensor, steps: int, by_torch: bool) -> TrainingResult:
    training = instance.published
    train = partial(
        train_by_gradient_descent, instance.architecture, start, steps, learning_rate=training.learning_rate,
        momentum=training.momentum, loss_normalization=training.loss_normalization, convergence=0.0)
    if not by_torch:
        return train()
    with mock.patch.object(HeavyBall, "kernel", return_value=None):
        return train()


def paper_rate(instance: Instance) -> float:
    """Learning rate on the paper's loss that is worth the published one."""
    training = instance.published
    factor = loss_factor(training.loss_normalization, instance.architecture.output_dimension)
    return training.learning_rate * factor


def _slow_descent(instance: Instance, start: Tensor, steps: int) -> Tensor:
    """The same steps by autograd of the loss alone."""
    neurons, velocity = start.clone(), torch.zeros_like(start)
    architecture = build(instance.name).architecture
    if isinstance(architecture, QuadraticModadd):
        architecture.output_loss = None  # whose kernel autograd cannot see into
    for _ in range(steps):
        variable = neurons.clone().requires_grad_()
        loss = architecture.loss(architecture.residual(variable))
        velocity = instance.published.momentum * velocity + torch.autograd.grad(loss, variable)[0]
        neurons = neurons - paper_rate(instance) * velocity
    return neurons


def _own_steps(instance: Instance, start: Tensor, settings: Settings, by_torch: bool = False
               ) -> Callable[[], float]:
    def measure(steps: int) -> tuple[float, int]:
        """Seconds and steps; once all is learned to the last digit it takes no more."""
        began = time.perf_counter()
        taken = _train(instance, start, steps, by_torch).statistics.accepted_steps
        return time.perf_counter() - began, taken

    steps = 100 if settings.quick else LEAST_STEPS
    while True:
        seconds, taken = measure(steps)
        if seconds >= settings.shortest or taken < steps:
            break
        steps *= 2

    def timed() -> float:
        seconds, taken = measure(steps)
        return seconds / taken

    return timed


def _per_step(loop: PublishedLoop | NumpyLoop, shortest: float) -> Callable[[], float]:
    """Seconds a step of a loop that goes on."""
    loop.run(1)
    once = statistics.median(seconds_of(lambda: loop.run(1)) for _ in range(3))
    steps = max(1, int(shortest / once))
    return lambda: seconds_of(lambda: loop.run(steps)) / steps


def _backward(loop: PublishedLoop) -> Callable[[], None]:
    def backward() -> None:
        loop.optimizer.zero_grad()
        inputs, targets = loop.batch()
        loop.criterion(loop.network(inputs), targets).backward()

    return backward


def _unrounded(instance: Instance) -> Instance:
    """The experiment with the kink as it is, as the plain loop has it."""
    return build(instance.name, "model.kink_width=0") if instance.name == "relu" else instance


def _directional_error(instance: Instance, neurons: Tensor) -> float:
    """Difference of the gradient along a direction from a central difference of the loss."""
    architecture = instance.architecture
    direction = torch.randn(neurons.shape, generator=torch.Generator().manual_seed(3), dtype=neurons.dtype)
    step = 1e-5 * float(neurons.norm() / direction.norm())
    losses = [float(architecture.loss_and_gradient(neurons + sign * step * direction)[0]) for sign in (1, -1)]
    slope = float((architecture.loss_and_gradient(neurons)[1] * direction).sum())
    return abs((losses[0] - losses[1]) / (2 * step) - slope) / float(
        architecture.loss_and_gradient(neurons)[1].norm() * direction.norm())


def _difference(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


def draw(table: pd.DataFrame) -> Figure:
    """Microseconds by experiment and competitor, one panel for gradients and one for steps."""
    figure, axes = plots.panels(2, "Cost of a gradient and of a step of gradient descent")
    for axis, quantity in zip(axes, ("gradient", "step"), strict=True):
        chosen = table[(table["quantity"] == quantity) & (table["status"] == "ok")]
        plots.grouped_bars(axis, chosen, "experiment", "competitor", "microseconds")
        axis.set(title=f"one {quantity}", ylabel="microseconds", yscale="log")
    return figure


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "gradients"]))
