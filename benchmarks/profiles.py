"""Parts of a computation, timed and counted, and steps of gradient descent, for `benchmarks.bounds`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, integrate
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates
from benchmarks.counting import Work, count_numpy, count_torch
from benchmarks.gradients import SCALE, descend, paper_rate
from benchmarks.limits import Limits
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, repeated, seconds_of

DESCENT = "step of gradient descent"
# As long as an integration has to be to show what a step costs; others go to the experiment's horizon.
HORIZONS = {"relu": 20.0}
QUICK_HORIZON = 10.0
TOLERANCE = 1e-6
# Solves of a step of Rodas5P, and of carrying its error on.
STAGES, CARRIED = 8, 2


@dataclass(frozen=True)
class Part:
    """One thing that was measured.

    Attributes:
        target, network, quantity, size, note: for the table.
        seconds: it took.
        work: counted.
        start: seconds that its operations take to start; None is the number of operations times that of torch.
        streams: whether its operands come from memory.
        lapack: seconds that it would take at the rates of LAPACK.
    """

    target: str
    network: str
    quantity: str
    seconds: float
    work: Work | None = None
    size: float | None = None
    start: float | None = None
    streams: bool = False
    lapack: float | None = None
    note: str = ""

    def row(self, limits: Limits) -> Row:
        """Its row of the table."""
        row: Row = {"target": self.target, "network": self.network, "quantity": self.quantity, "size": self.size,
                    "status": "ok", "microseconds": 1e6 * self.seconds, "note": self.note}
        if self.work is None:
            return row
        start = self.work.operations * limits.torch_start if self.start is None else self.start
        times = {"start": start, "arithmetic": self.work.flops / limits.flops,
                 "memory": self.work.moved / limits.bandwidth}
        bounding = {name: value for name, value in times.items() if name != "memory" or self.streams}
        bounded_by = max(bounding, key=bounding.__getitem__)
        bound = bounding[bounded_by]
        return row | {
            "operations": self.work.operations, "flops": self.work.flops, "moved_bytes": self.work.moved,
            **{f"{name}_us": 1e6 * value for name, value in times.items()}, "bound_us": 1e6 * bound,
            "bounded_by": bounded_by, "distance": self.seconds / bound if bound > 0 else None,
            **({} if not self.lapack else {"lapack_us": 1e6 * self.lapack, "times_lapack": self.seconds / self.lapack}),
            "gflops_per_second": 1e-9 * self.work.flops / self.seconds if self.seconds > 0 else None}


def integration(
    instance: Instance, horizon: float, tolerance: float = TOLERANCE
) -> tuple[float, IntegrationStatistics]:
    """Seconds of the steps alone, nothing recorded, and their statistics."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y, statistics = coordinates.encode(instance.initial), IntegrationStatistics()

    def steps() -> None:
        for _ in integrate(Rosenbrock(coordinates, statistics), y, 0.0, horizon, tolerance, estimate_error=True):
            pass

    return seconds_of(steps), statistics


def horizon_of(name: str, settings: Settings) -> float:
    """How far an experiment is integrated here."""
    horizon = HORIZONS.get(name, EXPERIMENTS[name].horizon)
    return min(horizon, QUICK_HORIZON) if settings.quick else horizon


def gradient_work(coordinates: FlowCoordinates, y: Tensor) -> Work:
    """Work of one loss and velocity at y."""
    work = count_torch(lambda: coordinates.loss_and_velocity(y))
    if isinstance(coordinates, TemplateCoordinates) and coordinates.output_loss is not None:
        rows = y.view(coordinates.count, -1).numpy()
        work = work.plus(count_numpy(coordinates.output_loss.loss_and_utility_gradient, rows))
    return work


def gradient_part(target: str, instance: Instance, settings: Settings) -> Part:
    """One loss and velocity at the start of an experiment."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y = coordinates.encode(instance.initial)
    seconds = median_seconds(lambda: coordinates.loss_and_velocity(y), settings)
    return Part(target, instance.name, "a gradient", seconds, gradient_work(coordinates, y), y.numel())


def median_seconds(function: Callable[[], object], settings: Settings) -> float:
    """Median seconds of a call."""
    return alternate({"it": repeated(function, settings.shortest / 2)}, settings.repeats)["it"].median


def steps_of_descent(settings: Settings, limits: Limits) -> Iterator[Part]:
    """A step with and without its recording, and that of the compiled loop."""
    for name in ("diagonal",) if settings.quick else ("diagonal", "linear", "attention", "modular_addition"):
        instance = build(name)
        start, steps = instance.neurons_at(SCALE), 50 if settings.quick else 5000
        bare, work = bare_descent(instance, start)
        ways: dict[str, Callable[[], float]] = {
            "with its recording": lambda i=instance, s=start, n=steps: seconds_of(  # type: ignore[misc]
                lambda: descend(i, s, n)) / n,
            "nothing recorded": lambda b=bare, n=steps: seconds_of(lambda: b(n)) / n}  # type: ignore[misc]
        compiled = _scan(instance, start, steps)
        if compiled is not None:
            ways["compiled by JAX"] = compiled
        timings = alternate(ways, settings.repeats, budget=6.0)
        for way, timing in timings.items():
            # Compiled, nothing is started from Python.
            begun = 0.0 if way == "compiled by JAX" else None
            yield Part(DESCENT, name, f"a step, {way}", timing.median, work, start.numel(), begun,
                       note=f"{steps} steps")


def bare_descent(instance: Instance, start: Tensor) -> tuple[Callable[[int], Tensor], Work]:
    """Gradient descent as agfrun does it without looking at the loss, to the neurons; and the work of one step."""
    coordinates = instance.architecture.flow_coordinates(start)
    if not coordinates.isometric:
        coordinates = EuclideanCoordinates(instance.architecture, start, None)
    y = coordinates.encode(start).clone()
    momentum, drive, rate = instance.published.momentum, torch.zeros_like(y), paper_rate(instance)

    def descend_on(steps: int) -> Tensor:
        for _ in range(steps):
            drive.mul_(momentum).add_(coordinates.loss_and_velocity(y)[1])
            y.add_(drive, alpha=rate)
        return coordinates.decode(y)

    own, pull = y.clone(), drive.clone()
    update = count_torch(lambda: own.add_(pull.mul_(momentum).add_(y), alpha=rate))
    return descend_on, gradient_work(coordinates, y).plus(update)


def _scan(instance: Instance, start: Tensor, steps: int) -> Callable[[], float] | None:
    try:
        from benchmarks.jax_networks import array, gradient_descent, jax_loss
    except ImportError:
        return None
    momentum = instance.published.momentum
    program = gradient_descent(jax_loss(instance.architecture), paper_rate(instance), momentum, steps)
    theta = array(start)
    program(theta).block_until_ready()
    return lambda: seconds_of(lambda: program(theta).block_until_ready()) / steps
