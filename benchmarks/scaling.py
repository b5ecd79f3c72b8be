"""Cost against the scale of the initialization, the modulus p, the width H, dimensions D and samples N.

Two kinds of cost: one gradient (microseconds), and a whole training until nearly all is learned (seconds, gradient
evaluations, steps). Exponents are fitted to the upper half of each range: cost ~ size^exponent; for the scale of the
initialization, where the size is log(1 / scale), the exponent of that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from agfrun import build_problem, load_config, train_by_gradient_flow
from agfrun.labs.staircases.run.problem import Problem
from benchmarks import plots
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, repeated

COLUMNS = ("sweep", "quantity", "size", "status", "seconds", "gradient_evaluations", "steps", "learned",
           "exponent_of_seconds", "exponent_of_gradients", "note")
SCALES = (1e-1, 1e-2, 1e-4, 1e-8, 1e-16, 1e-30, 1e-50, 1e-100)
# At homogeneity degree 3 times are of order 1 / scale: below these a drop is shorter than they resolve.
SCALES_OF_DEGREE_3 = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
MODULI = (11, 23, 53, 113, 251, 503)
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# Training ends once no more than this part of what there was to learn is left.
LEFT = 1e-2
LONGEST = 1e9


@dataclass(frozen=True)
class Sweep:
    """One series.

    Attributes:
        name: for the table.
        sizes: what varies.
        overrides: the configuration of a size.
        trained: sizes that are also trained; the others only have their gradient timed.
        logarithmic: the size is a scale of the initialization; cost is fitted against log(1 / scale).
    """

    name: str
    sizes: tuple[float, ...]
    overrides: Callable[[float], list[str]]
    trained: tuple[float, ...] = ()
    logarithmic: bool = False


def modular_addition(p: int, width: int) -> list[str]:
    """A template whose levels do not depend on p (amplitudes ~ sqrt(p)); odd or even p from 11 on."""
    amplitudes = ",".join(f"{amplitude * math.sqrt(p / 20):.6g}" for amplitude in (10.0, 5.0, 2.5))
    return ["model=quadratic_modadd", f"data.p={p}", f"data.amplitudes=[{amplitudes}]", f"model.width={width}"]


def sweeps() -> list[Sweep]:
    """All series."""
    def scaled(*experiment: str) -> Callable[[float], list[str]]:
        return lambda scale: [*experiment, f"init.scale={scale:g}"]

    deep = SCALES[1:]
    return [
        Sweep("init scale, diagonal, depth 2", SCALES, scaled("model=diagonal_linear", "data=random_regression"),
              SCALES, True),
        Sweep("init scale, fully connected linear", deep, scaled("model=fully_connected_linear"), deep, True),
        Sweep("init scale, ReLU, orthogonal inputs", deep, scaled("model=relu"), deep, True),
        Sweep("init scale, modular addition (degree 3)", SCALES_OF_DEGREE_3, scaled("model=quadratic_modadd"),
              SCALES_OF_DEGREE_3, True),
        Sweep("init scale, linear attention (degree 3)", SCALES_OF_DEGREE_3, scaled("model=linear_attention"),
              SCALES_OF_DEGREE_3, True),
        Sweep("p, modular addition, H = 18", MODULI, lambda p: modular_addition(int(p), 18), MODULI),
        Sweep("H, modular addition, p = 20", WIDTHS, lambda width: modular_addition(20, int(width)), WIDTHS[:6]),
        Sweep("H, ReLU on digits", WIDTHS, lambda width: ["model=relu", "data=digits", f"model.width={width:g}"]),
        Sweep("H, fully connected linear, D = 10", WIDTHS,
              lambda width: ["model=fully_connected_linear", f"model.width={width:g}", "init.scale=1e-6"], WIDTHS[:4]),
        Sweep("D, fully connected linear, H = 10", (10, 20, 50, 100, 200, 500), lambda size: [
            "model=fully_connected_linear", "data=power_law_linear_map", f"data.input_dimension={size:g}",
            f"data.output_dimension={size:g}", "init.scale=1e-6"], (10, 20, 50)),
        Sweep("D, linear attention, H = D", (4, 8, 16, 32, 64), lambda size: [
            "model=linear_attention", f"data.dimension={size:g}", f"model.width={size:g}"], (4, 8)),
        Sweep("D = H, diagonal, N = 2 D", (5, 20, 80, 320, 1280), lambda size: [
            "model=diagonal_linear", "data=random_regression", f"data.dimension={size:g}",
            f"data.samples={2 * size:g}", "init.scale=1e-8"], (5, 20, 80)),
        Sweep("N, diagonal, D = 20", (100, 1000, 10_000, 100_000), lambda size: [
            "model=diagonal_linear", "data=random_regression", "data.dimension=20", f"data.samples={size:g}",
            "init.scale=1e-8"], (100, 1000)),
    ]


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table: each series' sizes, then its exponents."""
    chosen = sweeps()
    if settings.quick:
        chosen = [replace(sweep, sizes=sweep.sizes[:3], trained=sweep.trained[:1]) for sweep in (chosen[0], chosen[4])]
    for sweep in chosen:
        rows: list[Row] = []
        for row in _of_sweep(sweep, settings):
            rows.append(row)
            yield row
        yield from _exponents(sweep, rows)


def _of_sweep(sweep: Sweep, settings: Settings) -> Iterator[Row]:
    """Gradients of all sizes, timed in turn; then trainings, until one takes too long."""
    problems = {size: build_problem(load_config([*sweep.overrides(size), "device=cpu"])) for size in sweep.sizes}
    if not sweep.logarithmic:
        timings = alternate({f"{size:g}": _gradient(problem, settings) for size, problem in problems.items()},
                            settings.repeats, budget=5.0)
        for size in sweep.sizes:
            yield {"sweep": sweep.name, "quantity": "gradient", "size": size, "status": "ok",
                   "seconds": timings[f"{size:g}"].median, "gradient_evaluations": 1}
    limit = settings.time_limit / 2
    for size in sweep.trained:
        row = {"sweep": sweep.name, "quantity": "training", "size": size} | training(problems[size], limit)
        yield row
        if row["status"] == "stopped" and not sweep.logarithmic:
            return


def _gradient(problem: Problem, settings: Settings) -> Callable[[], float]:
    # At the scale of the initialization a product may underflow, which costs more.
    generator = torch.Generator(device="cpu").manual_seed(1)
    neurons = problem.architecture.initialize("gaussian", 0.1, generator)
    return repeated(lambda: problem.architecture.loss_and_gradient(neurons), settings.shortest / 2)


def training(problem: Problem, limit: float) -> Row:
    """Train until all but `LEFT` is learned, or so many seconds have passed."""
    end = time.perf_counter() + limit
    reached = {"loss": math.inf}

    def watch(_: float, loss: float) -> None:
        reached["loss"] = loss
        if time.perf_counter() > end:
            raise KeyboardInterrupt  # training ends as if the user had stopped it

    architecture = problem.architecture
    initial_loss = float(architecture.loss(architecture.empty_residual()))
    start = time.perf_counter()
    result = train_by_gradient_flow(architecture, problem.initial, _longest(problem), convergence=LEFT,
                                    progress=watch, log_factor=problem.log_factor)
    seconds = time.perf_counter() - start
    loss = float(result.trajectory.loss[-1])
    learned = (initial_loss - loss) / (initial_loss - architecture.minimal_loss)
    status = {"converged": "ok", "horizon": "ok", "interrupted": "stopped", "diverged": "failed"}[result.status]
    return {"status": status, "seconds": seconds, "learned": learned, "note": result.reason,
            "gradient_evaluations": result.statistics.gradient_evaluations,
            "steps": result.statistics.accepted_steps}


def _longest(problem: Problem) -> float:
    """A horizon beyond the staircase; at degree above 2 time grows as a power of the scale."""
    degree = problem.architecture.homogeneity_degree
    if degree == 2:
        return LONGEST
    return LONGEST * float(torch.linalg.vector_norm(problem.initial, dim=1).max()) ** (2 - degree)


def _exponents(sweep: Sweep, rows: list[Row]) -> Iterator[Row]:
    for quantity in ("gradient", "training"):
        chosen = [row for row in rows if row["quantity"] == quantity and row["status"] == "ok"]
        if len(chosen) < 3:
            continue
        sizes = [_fitted_size(sweep, row) for row in chosen]
        yield {"sweep": sweep.name, "quantity": f"exponent of {quantity}", "status": "ok",
               "exponent_of_seconds": exponent(sizes, [row["seconds"] for row in chosen]),
               "exponent_of_gradients": exponent(sizes, [row["gradient_evaluations"] for row in chosen])
               if quantity == "training" else None,
               "note": f"over {chosen[-upper_half(len(chosen))]['size']:g} .. {chosen[-1]['size']:g}"
               + (", of log(1 / scale)" if sweep.logarithmic else "")}


def _fitted_size(sweep: Sweep, row: Row) -> float:
    size = float(row["size"])  # type: ignore[arg-type]
    return math.log(1 / size) if sweep.logarithmic else size


def upper_half(count: int) -> int:
    """How many of the largest sizes an exponent is fitted to: half, and at least three."""
    return max(3, -(-count // 2))


def exponent(sizes: list[float], costs: list[object]) -> float:
    """Slope of log cost over log size at the larger sizes, by least squares."""
    kept = upper_half(len(sizes))
    return float(np.polyfit(np.log(sizes[-kept:]), np.log(np.array(costs[-kept:], dtype=float)), 1)[0])


def draw(table: pd.DataFrame) -> Figure:
    """Seconds (and, for scales, gradient evaluations) against size, one panel a series."""
    names = list(table["sweep"].unique())
    figure, axes = plots.panels(len(names), "Cost against size", width=4.4, height=3.4, columns=4)
    for axis, name in zip(axes, names, strict=True):
        chosen = table[(table["sweep"] == name) & (table["status"] == "ok")]
        plots.lines(axis, chosen, "size", "seconds", "quantity", ["gradient", "training"])
        axis.set(xscale="log", yscale="log", title=name, xlabel=str(name).split(",")[0], ylabel="seconds")
        _label_sizes(axis, sorted(chosen["size"].dropna().unique()))
        if str(name).startswith("init scale"):
            axis.invert_xaxis()
            _gradients_beside(axis, chosen[chosen["quantity"] == "training"])
    handles = [Line2D([], [], label=label, linestyle=line, **plots.style(position)) for label, line, position in
               (("gradient", "-", 0), ("training", "-", 1), ("gradient evaluations of training", "--", 3))]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _label_sizes(axis: Axes, sizes: list[float]) -> None:
    """Label the sizes themselves where they span too little for powers of ten."""
    axis.xaxis.set_minor_formatter(NullFormatter())
    if sizes and sizes[-1] < 100 * sizes[0] and sizes[0] >= 1:
        axis.set_xticks(sizes, [f"{size:g}" for size in sizes])


def _gradients_beside(axis: Axes, rows: pd.DataFrame) -> None:
    """Gradient evaluations on a second axis."""
    other = axis.twinx()
    other.plot(rows["size"], rows["gradient_evaluations"], linestyle="--", **plots.style(3))
    other.set(yscale="log", ylabel="gradient evaluations (dashed)")


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "scaling"]))
