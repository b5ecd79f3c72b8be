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
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun import ConfigError, load_config, run
from benchmarks import plots
from benchmarks.counting import count_torch
from benchmarks.limits import Limits, measure_limits
from benchmarks.problems import Instance, build
from benchmarks.profiles import HORIZONS, Part, gradient_part, integration, median_seconds, steps_of_descent
from benchmarks.settings import Row, Settings
from benchmarks.training_bounds import trainings
from benchmarks.trajectories import plain_loops

COLUMNS = ("target", "network", "quantity", "size", "status", "microseconds", "operations", "flops", "moved_bytes",
           "start_us", "arithmetic_us", "memory_us", "bound_us", "bounded_by", "distance", "lapack_us", "times_lapack",
           "gflops_per_second", "gbytes_per_second", "note")
WHOLE_RUN, DEGREE_3, DIGITS = "whole run", "flat at degree 3", "ReLU on digits"
GOAL_OVER_PLAIN_LOOP = 250.0


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table: the machine, then goal by goal."""
    limits, rows = measure_limits(settings)
    yield from rows
    parts: list[Callable[[Settings, Limits], Iterator[Part]]] = [trainings, steps_of_descent]
    if not settings.quick:
        parts += [_digits, _whole_run]
    for measured in parts:
        yield from (part.row(limits) for part in measured(settings, limits))
    yield from _degree_3(settings)


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
    """Stages of the run, and what the goal allows; parts of its training are among `training_bounds`."""
    instance = build("modular_addition")
    plain = next(iter(plain_loops(instance, settings)))
    seconds = float(plain["seconds"])  # type: ignore[arg-type]
    name = instance.name
    yield Part(WHOLE_RUN, name, "plain loop", seconds, note=str(plain["note"]))
    yield Part(WHOLE_RUN, name, "allowed by the goal", seconds / GOAL_OVER_PLAIN_LOOP)
    command = [sys.executable, "-c", "import agfrun.labs.staircases.run.pipeline"]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    yield Part(WHOLE_RUN, name, "imports", time.perf_counter() - start, note="wall time of a process")
    stages = _stages(instance)
    total = sum(stages.values())
    for stage, taken in stages.items():
        yield Part(WHOLE_RUN, name, f"stage {stage}", taken, note=f"{taken / total:.0%} of {total:.3g} s")


def _stages(instance: Instance) -> dict[str, float]:
    config = load_config([*instance.experiment.overrides, "device=cpu", f"train.horizon={instance.horizon!r}"])
    with tempfile.TemporaryDirectory() as folder:
        return dict(run(config, output_dir=f"{folder}/run", progress=False).wall_seconds)


# ---- Degree 3


def _degree_3(settings: Settings) -> Iterator[Row]:
    """Steps and gradients that an e-fold of scale costs, from the table of the benchmark `scaling`."""
    path = settings.output / "scaling.csv"
    if not path.exists():
        return
    table = pd.read_csv(path)
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
