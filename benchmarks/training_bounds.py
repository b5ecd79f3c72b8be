"""How far each network's training by compiled steps is from what the machine could do at best, and where its time goes.

Two bounds. Arithmetic: all floating-point operations at the rate of the quickest matrix product. LAPACK: factorizations
and solves in the time that LAPACK takes for the same size in the same run (without its start from Python), and the rest
of the arithmetic at the quickest rate. Parts are compiled calls of the same code, so many times as training makes them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.linearization import lapack_cholesky, lapack_lu
from agfrun.labs.staircases.dynamics.rosenbrock import GAMMA
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates
from benchmarks.compiled_flow import CompiledFlow, compiled_flow
from benchmarks.counting import Work, cholesky_flops, count_numpy, count_torch, lu_flops, solve_flops
from benchmarks.limits import Limits
from benchmarks.problems import Instance, build
from benchmarks.profiles import CARRIED, STAGES, TOLERANCE, Part, gradient_work, horizon_of
from benchmarks.reference import Array
from benchmarks.settings import Settings
from benchmarks.timing import alternate, clock, repeated, seconds_of

TRAINING = "training by compiled steps"
NETWORKS = ("diagonal", "attention", "linear", "modular_addition")
STEP = 1e-3 * GAMMA


def trainings(settings: Settings, limits: Limits) -> Iterator[Part]:
    """Each network's training with its recording, and its parts."""
    for name in NETWORKS[:1] if settings.quick else NETWORKS:
        yield from training_parts(build(name), settings, limits)


def training_parts(instance: Instance, settings: Settings, limits: Limits) -> Iterator[Part]:
    """The parts of one training, what is left of it, and all of it; seconds and work of the whole training."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y = coordinates.encode(instance.neurons_at(0.1) if coordinates.isometric else instance.initial)
    flow = compiled_flow(coordinates, y.numel())
    assert flow is not None
    horizon = horizon_of(instance.name, settings)
    _train(instance, horizon)  # compilation is not timed
    found: list[IntegrationStatistics] = []
    timing = alternate({"all": lambda: seconds_of(lambda: found.append(_train(instance, horizon)))}, settings.repeats,
                       budget=20.0)["all"]
    count, seconds, size = found[0], timing.median, flow.shape[1]
    solves = STAGES * count.factorizations + CARRIED * count.accepted_steps
    calls = parts_of(flow, y.numpy())
    times = {"gradients": count.gradient_evaluations, "Jacobians": count.jacobian_evaluations,
             "factorizations": count.factorizations, "solves": solves}
    works = work_of_parts(coordinates, y, size)
    lapack = lapack_seconds(coordinates.symmetric, size, settings, limits)
    left, whole, best = seconds, Work(), 0.0
    for key, often in times.items():
        each = seconds_of_call(calls[key], settings)
        work = works[key].scaled(often)
        least = often * lapack.get(key, works[key].flops / limits.flops)
        left, whole, best = left - often * each, whole.plus(work), best + least
        yield Part(TRAINING, instance.name, key, often * each, work, size, 0.0, lapack=least,
                   note=f"{often} times {1e6 * each:.3g} us; {often * each / seconds:.0%} of the training")
    sums = Work(0, combination_flops(y.numel()) * count.factorizations, 0.0)
    yield Part(TRAINING, instance.name, "the rest", max(left, 0.0), sums, size, 0.0, note=f"{left / seconds:.0%} of "
               "the training: combinations of stages, step control, carried errors, recording")
    yield Part(TRAINING, instance.name, "all of it", seconds, whole.plus(sums), size, 0.0,
               lapack=best + sums.flops / limits.flops,
               note=f"{count.accepted_steps} steps, {count.rejected_steps} rejected, to time {horizon:g}")


def _train(instance: Instance, horizon: float) -> IntegrationStatistics:
    return train_by_gradient_flow(instance.architecture, instance.initial, horizon, tolerance=TOLERANCE,
                                  convergence=0.0).statistics


def parts_of(flow: CompiledFlow, y: Array) -> dict[str, Callable[[int], object]]:
    """Each part, done so many times in compiled code."""
    matrix = flow.jacobian(y)
    factor = flow.factorized(matrix, STEP)
    return {"gradients": lambda times: flow.loss_and_velocity(y, times),
            "Jacobians": lambda times: flow.jacobian(y, times),
            "factorizations": lambda times: flow.factorized(matrix, STEP, times),
            "solves": lambda times: flow.solved(factor, y, times)}


def work_of_parts(coordinates: FlowCoordinates, y: Tensor, size: int) -> dict[str, Work]:
    """Work of one call of each part; `size` unknowns are factorized."""
    jacobian = count_torch(lambda: coordinates.linearization(y))
    if isinstance(coordinates, TemplateCoordinates) and coordinates.output_loss is not None:
        loss = coordinates.output_loss
        jacobian = jacobian.plus(count_numpy(lambda rows: loss.curvature(rows, loss.residual(rows), loss.rank),
                                             y.view(coordinates.count, -1).numpy()))
    factor = cholesky_flops(size) if coordinates.symmetric else lu_flops(size)
    return {"gradients": gradient_work(coordinates, y), "Jacobians": jacobian,
            "factorizations": Work(0, factor, 16.0 * size**2), "solves": Work(0, solve_flops(size), 8.0 * size**2)}


def combination_flops(size: int) -> float:
    """Of an attempted step: for each stage two sums of those before (its point, its right side), and the result."""
    return 2.0 * size * (2 * sum(range(STAGES)) + STAGES)


def lapack_seconds(symmetric: bool, size: int, settings: Settings, limits: Limits) -> dict[str, float]:
    """Seconds of a factorization and a solve by LAPACK without its start, and no less than their arithmetic."""
    root = np.random.default_rng(size).standard_normal((size, size))
    matrix, right = root @ root.T / size + np.eye(size), np.ones(size)
    factorize = lapack_cholesky if symmetric else lapack_lu
    solve = factorize(matrix.copy())
    assert solve is not None
    timings = alternate({"factorizations": repeated(lambda: factorize(matrix.copy()), settings.shortest / 4),
                         "solves": repeated(lambda: solve(right), settings.shortest / 4)}, settings.repeats)
    flops = {"factorizations": cholesky_flops(size) if symmetric else lu_flops(size), "solves": solve_flops(size)}
    return {key: max(timing.median - limits.lapack_start, flops[key] / limits.flops)
            for key, timing in timings.items()}


def seconds_of_call(function: Callable[[int], object], settings: Settings) -> float:
    """Median seconds of one call, of a function that does so many in compiled code."""
    function(1)
    times, taken = 1, 0.0
    while taken < settings.shortest / 4:
        times *= 2
        start = clock()
        function(times)
        taken = clock() - start
    return statistics.median(seconds_of(lambda: function(times)) for _ in range(settings.repeats)) / times
