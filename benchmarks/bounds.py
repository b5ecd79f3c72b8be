"""What bounds the cost where a goal is missed: time, counted work, what the machine could do at best, and the distance.

The machine's limits are measured in the same run (`benchmarks.limits`), work is counted (`benchmarks.counting`). Three
times follow for each part: that of starting its operations from Python, that of its arithmetic at the rate of the
quickest matrix product, that of its operands at the bandwidth of memory. The bound is the largest of the first two, and
of the third where the operands fit into no cache; the distance is the measured time over it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from agfrun import ConfigError, load_config, run
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, integrate
from agfrun.labs.staircases.dynamics.linearization import SMALLEST_BY_TRIANGLES
from agfrun.labs.staircases.dynamics.rosenbrock import GAMMA, Rosenbrock
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.ensemble.integrate import EnsembleIntegration
from agfrun.labs.staircases.ensemble.stacked_flow import stacked_flow
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss
from benchmarks import plots
from benchmarks.counting import Work, cholesky_flops, count_numpy, count_torch, lu_flops, solve_flops
from benchmarks.ensembles import starts
from benchmarks.limits import Limits, measure_limits
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.profiles import (
    CARRIED,
    HORIZONS,
    STAGES,
    TOLERANCE,
    Part,
    gradient_part,
    gradient_work,
    integration,
    median_seconds,
    steps_of_descent,
    steps_of_the_flow,
    unknowns,
)
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, repeated, seconds_of
from benchmarks.trajectories import plain_loops

COLUMNS = ("target", "network", "quantity", "size", "status", "microseconds", "operations", "flops", "moved_bytes",
           "start_us", "arithmetic_us", "memory_us", "bound_us", "bounded_by", "distance", "gflops_per_second",
           "gbytes_per_second", "note")
WHOLE_RUN, ENSEMBLE, DEGREE_3, DIGITS = "whole run", "64 members", "flat at degree 3", "ReLU on digits"
MEMBERS = 64
# Operands of this many bytes are in no cache of a core.
CACHE_BYTES = 2**25
GOAL_OVER_PLAIN_LOOP = 250.0
GOAL_OF_MEMBERS = 8.0


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table: the machine, then goal by goal."""
    limits, rows = measure_limits(settings)
    yield from rows
    parts: list[Callable[[Settings, Limits], Iterator[Part]]] = [steps_of_the_flow, steps_of_descent, _ensembles]
    if not settings.quick:
        parts += [_digits, _whole_run]
    for measured in parts:
        yield from (part.row(limits) for part in measured(settings, limits))
    yield from _degree_3(settings)


# ---- Ensembles


def _ensembles(settings: Settings, limits: Limits) -> Iterator[Part]:
    """An attempted step of one member and of 64, its parts, and the least ratio that arithmetic allows."""
    members = 8 if settings.quick else MEMBERS
    for name in ("diagonal",) if settings.quick else ("diagonal", "attention", "linear", "modular_addition"):
        instance, everyone = build(name), starts(name, members)
        single, size = _single_attempt(instance), unknowns(instance)
        flow = _flow(instance, everyone)
        y = flow.encode(everyone)
        ends = torch.full((members,), EXPERIMENTS[name].horizon, dtype=y.dtype)
        ensemble = EnsembleIntegration(flow, y, ends, TOLERANCE)
        timings = alternate({"one": lambda s=single: seconds_of(s) / 5,  # type: ignore[misc]
                             "all": lambda e=ensemble: seconds_of(e.attempt)}, settings.repeats, budget=10.0)  # type: ignore[misc]
        one, all_of_them = timings["one"].median, timings["all"].median
        solved = _factorized(instance)
        work = (count_torch(ensemble.attempt).plus(_numpy_work(flow, y))
                .plus(_lapack_work(members, solved, _symmetric_of(instance), 1, STAGES + CARRIED)))
        streams = 8 * members * solved**2 > CACHE_BYTES
        yield Part(ENSEMBLE, name, "an attempted step, one member", one, size=size)
        least = work.flops / limits.flops / one
        yield Part(ENSEMBLE, name, f"an attempted step, {members} members", all_of_them, work, size, streams=streams,
                   note=f"{all_of_them / one:.3g} times one member; arithmetic alone at the peak rate {least:.2g} times"
                   f"; goal {GOAL_OF_MEMBERS:g}")
        yield from _ensemble_parts(instance, flow, y, settings, streams)


def _factorized(instance: Instance) -> int:
    """Unknowns of the matrix that a step factorizes."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    if isinstance(coordinates, TemplateCoordinates):
        return coordinates.count * 3 * coordinates.rank
    return unknowns(instance)


def _symmetric_of(instance: Instance) -> bool:
    return instance.architecture.flow_coordinates(instance.initial).symmetric


def _lapack_work(members: int, n: int, symmetric: bool, factorizations: int, solves: int) -> Work:
    """What an ensemble does member by member through LAPACK, which is not seen; nothing where matrices are small."""
    if n < SMALLEST_BY_TRIANGLES:
        return Work()
    factor = cholesky_flops(n) if symmetric else lu_flops(n)
    calls = members * (factorizations + 2 * solves)
    return Work(calls, members * (factorizations * factor + solves * solve_flops(n)),
                8.0 * members * n**2 * (2 * factorizations + solves))


def _numpy_work(flow: EnsembleFlow, y: Tensor) -> Work:
    """What of an attempted step of an ensemble goes through NumPy: gradients, and the Hessian."""
    loss = getattr(flow, "output_loss", None)
    if loss is None:
        return Work()
    rows = y.view(y.shape[0], flow.count, -1).numpy()  # type: ignore[attr-defined]
    return count_numpy(loss.loss_and_utility_gradient, rows).scaled(STAGES).plus(_curvature_work(loss, rows))


def _curvature_work(loss: OutputLoss, rows: np.ndarray) -> Work:
    """Work of the Hessian for neurons (..., K, 2r + q)."""
    return count_numpy(lambda neurons: loss.curvature(neurons, loss.residual(neurons), loss.rank), rows)


def _single_attempt(instance: Instance) -> Callable[[], None]:
    """Five attempted steps of one member, carried errors included."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y = coordinates.encode(instance.initial)

    def attempts() -> None:
        steps = integrate(Rosenbrock(coordinates, IntegrationStatistics()), y, 0.0, np.inf, TOLERANCE,
                          estimate_error=True)
        for _ in range(5):
            next(steps)

    return attempts


def _flow(instance: Instance, neurons: Tensor) -> EnsembleFlow:
    flow = instance.architecture.ensemble_flow(neurons)
    return flow or stacked_flow([instance.architecture.flow_coordinates(own) for own in neurons], neurons)


def _ensemble_parts(
    instance: Instance, flow: EnsembleFlow, y: Tensor, settings: Settings, streams: bool
) -> Iterator[Part]:
    """Jacobians, factorizations, solves and gradients of all members, once each."""
    steps, size = torch.full((len(y),), 1e-3, dtype=y.dtype), _factorized(instance)
    linearization = flow.linearization(y)
    solve = linearization.solver(steps)[0]
    parts: dict[str, Callable[[], object]] = {
        "Jacobians of all members": lambda: flow.linearization(y), "factorizations of all members": lambda:
        linearization.solver(steps), "a solve of all members": lambda: solve(y),
        "gradients of all members": lambda: flow.loss_and_velocity(y)}
    timings = alternate({key: repeated(function, settings.shortest / 2) for key, function in parts.items()},
                        settings.repeats, budget=3.0)
    own = getattr(flow, "output_loss", None)
    for key, function in parts.items():
        work = count_torch(function)
        if own is not None and key.startswith(("Jacobians", "gradients")):
            rows = y.view(y.shape[0], flow.count, -1).numpy()  # type: ignore[attr-defined]
            work = work.plus(count_numpy(own.loss_and_utility_gradient, rows) if key.startswith("gradients")
                             else _curvature_work(own, rows))
        factorizations, solves = int(key.startswith("factor")), int(key.startswith("a solve"))
        work = work.plus(_lapack_work(len(y), size, _symmetric_of(instance), factorizations, solves))
        yield Part(ENSEMBLE, instance.name, key, timings[key].median, work, size,
                   streams=streams and not key.startswith("gradients"))


# ---- ReLU on digits


def _digits(settings: Settings, limits: Limits) -> Iterator[Part]:
    """A step of ReLU on digits, and the share of its Hessian and its gradients."""
    try:
        instance = build("relu")
    except ConfigError:  # the digits come with scikit-learn
        return
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y = coordinates.encode(instance.initial)
    seconds, statistics = integration(instance, HORIZONS["relu"], 1e-4)
    steps = statistics.accepted_steps
    yield Part(DIGITS, "relu", "a step, nothing recorded", seconds / steps, size=y.numel(),
               note=f"{steps} steps, {statistics.gradient_evaluations} gradients")
    hessian = median_seconds(lambda: coordinates.jacobian(y), settings)
    yield Part(DIGITS, "relu", "the Hessian", hessian, count_torch(lambda: coordinates.jacobian(y)), y.numel(),
               note=f"{hessian * statistics.jacobian_evaluations / seconds:.0%} of the step")
    part = gradient_part(DIGITS, instance, settings)
    yield replace(part, note=f"{part.seconds * statistics.gradient_evaluations / seconds:.0%} of the step")


# ---- The whole run of modular addition


def _whole_run(settings: Settings, limits: Limits) -> Iterator[Part]:
    """Stages of the run, parts of its training, and what the goal allows."""
    instance = build("modular_addition")
    plain = next(iter(plain_loops(instance, settings)))
    seconds = float(plain["seconds"])  # type: ignore[arg-type]
    name = instance.name
    yield Part(WHOLE_RUN, name, "plain loop", seconds, note=str(plain["note"]))
    yield Part(WHOLE_RUN, name, "allowed by the goal", seconds / GOAL_OVER_PLAIN_LOOP)
    command = [sys.executable, "-c", "import agfrun.labs.staircases.run.pipeline"]
    yield Part(WHOLE_RUN, name, "imports", seconds_of(lambda: subprocess.run(command, check=True)))
    stages = _stages(instance)
    total = sum(stages.values())
    for stage, taken in stages.items():
        yield Part(WHOLE_RUN, name, f"stage {stage}", taken, note=f"{taken / total:.0%} of {total:.3g} s")
    yield from _training_parts(instance, settings, limits)


def _stages(instance: Instance) -> dict[str, float]:
    config = load_config([*instance.experiment.overrides, "device=cpu", f"train.horizon={instance.horizon!r}"])
    with tempfile.TemporaryDirectory() as folder:
        return dict(run(config, output_dir=f"{folder}/run", progress=False).wall_seconds)


def _training_parts(instance: Instance, settings: Settings, limits: Limits) -> Iterator[Part]:
    """What the steps of the whole training consist of: one call of each part, times how often it is called."""
    seconds, statistics = integration(instance, instance.horizon)
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    assert isinstance(coordinates, TemplateCoordinates)
    y = coordinates.encode(instance.neurons_at(1.0))
    loss = coordinates.output_loss
    assert loss is not None
    rows, size = y.view(coordinates.count, -1).numpy(), coordinates.count * 3 * coordinates.rank
    linearization = coordinates.linearization(y)
    solve = linearization.solver(1e-3 * GAMMA)
    assert solve is not None
    solves = STAGES * statistics.factorizations + CARRIED * statistics.accepted_steps
    matrix = Work(2, cholesky_flops(size), 16.0 * size**2)
    calls = {
        "gradients": (statistics.gradient_evaluations, lambda: coordinates.loss_and_velocity(y),
                      gradient_work(coordinates, y)),
        "Hessians": (statistics.jacobian_evaluations, lambda: coordinates.linearization(y),
                     _curvature_work(loss, rows)),
        "factorizations": (statistics.factorizations, lambda: linearization.solver(1e-3 * GAMMA), matrix),
        "solves": (solves, lambda: solve(y), Work(3, solve_flops(size), 8.0 * size**2))}
    timings = alternate({key: repeated(function, settings.shortest / 2) for key, (_, function, _) in calls.items()},
                        settings.repeats)
    whole, rest = Work(), seconds
    for key, (count, _, work) in calls.items():
        taken = timings[key].median * count
        whole, rest = whole.plus(work.scaled(count)), rest - taken
        start = work.operations * count * limits.numpy_start
        yield Part(WHOLE_RUN, instance.name, f"training, {key}", taken, work.scaled(count), size, start,
                   note=f"{count} times {1e6 * timings[key].median:.3g} us; {taken / seconds:.0%} of the steps")
    yield Part(WHOLE_RUN, instance.name, "training, the rest of the steps", rest,
               note="linear combinations of stages, step control, carried errors")
    yield Part(WHOLE_RUN, instance.name, "training, all steps, nothing recorded", seconds, whole, size,
               whole.operations * limits.numpy_start, note=f"{statistics.accepted_steps} steps")


# ---- Degree 3


def _degree_3(settings: Settings) -> Iterator[Row]:
    """Steps and gradients that an e-fold of scale costs, from the table of the benchmark `scaling`."""
    found = [folder / "scaling.csv" for folder in (settings.output, Path("benchmarks/results"))]
    table = next((pd.read_csv(path) for path in found if path.exists()), None)
    if table is None:
        return
    trained = (table["quantity"] == "training") & (table["status"] == "ok")
    chosen = table[trained & table["sweep"].str.contains("degree 3")]
    for sweep, rows in chosen.groupby("sweep", sort=False):
        ordered = rows.sort_values("size", ascending=False).to_dict("records")
        for before, after in zip(ordered, ordered[1:], strict=False):
            folds = np.log(before["size"] / after["size"])
            steps, gradients = (float((after[key] - before[key]) / folds)
                                for key in ("steps", "gradient_evaluations"))
            yield {"target": DEGREE_3, "network": sweep, "quantity": "an e-fold of scale", "size": after["size"],
                   "status": "ok", "microseconds": 1e6 * float(after["seconds"] - before["seconds"]) / folds,
                   "note": f"{steps:.3g} steps and {gradients:.3g} gradients each from {before['size']:g} on"}


def draw(table: pd.DataFrame) -> Figure:
    """Measured times beside the three they are held against, one panel for each goal."""
    shown = table[table["bound_us"].notna()]
    names = list(shown["target"].unique())
    figure, axes = plots.panels(len(names), "Measured time and what bounds it", width=6.4, height=5.0, columns=2)
    kinds = {"microseconds": "measured", "start_us": "starts from Python", "arithmetic_us": "arithmetic at peak",
             "memory_us": "operands from memory"}
    for axis, name in zip(axes, names, strict=True):
        rows = shown[shown["target"] == name]
        places = np.arange(len(rows))
        for position, (column, label) in enumerate(kinds.items()):
            axis.plot(rows[column].astype(float), places, linestyle="", markersize=6, label=label,
                      **plots.style(position))
        axis.set_yticks(places, [f"{row.network}: {row.quantity}" for row in rows.itertuples()], fontsize="x-small")
        axis.invert_yaxis()
        axis.set(xscale="log", xlabel="microseconds", title=name)
        axis.grid(alpha=0.3)
    if axes:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "bounds"]))
