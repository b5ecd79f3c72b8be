"""Peak memory of each competitor, each in a process of its own, over that of its imports and its problem.

A child imports what it needs, builds the experiment and evaluates one gradient (so that libraries have allocated what
they keep), notes its peak, does its work, and notes its peak again. Competitors that would take too long work for a
while: a solver's memory is steady by then, a plain loop's snapshots grow with its steps and are multiplied up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.settings import Row, Settings

COLUMNS = ("experiment", "competitor", "status", "peak_mib", "baseline_mib", "published_mib", "note")
TOLERANCE = 1e-6
SOLVER_NAMES = ("SciPy LSODA", "SciPy BDF, Hessian", "torchdiffeq dopri5", "diffrax Tsit5")
PLAIN_STEPS = {"attention": 3}
MANY_PLAIN_STEPS = 10_000


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table."""
    names = ["diagonal"] if settings.quick else list(EXPERIMENTS)
    competitors = ["agfrun", "plain loop"] if settings.quick else ["agfrun", "plain loop", "JAX scan", *SOLVER_NAMES]
    for name in names:
        for competitor in competitors:
            yield {"experiment": name, "competitor": competitor} | in_child(name, competitor, settings)


def in_child(name: str, competitor: str, settings: Settings) -> Row:
    """The row of one competitor, measured in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", name, competitor, "--threads", str(settings.threads),
               "--limit", str(min(settings.time_limit, 8.0))]
    try:
        child = subprocess.run(command, capture_output=True, text=True, check=True,
                               timeout=120 + 4 * settings.time_limit)
        answer: Row = json.loads(child.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"status": "stopped", "note": "the process was too slow"}
    except (subprocess.CalledProcessError, IndexError, json.JSONDecodeError) as failure:
        said = getattr(failure, "stderr", "") or str(failure)
        return {"status": "failed", "note": said.strip().splitlines()[-1][:120]}
    return answer


def measure_here(name: str, competitor: str, limit: float) -> Row:
    """The row of one competitor, measured in this process, which should have done nothing yet."""
    instance = build(name)
    instance.architecture.loss_and_gradient(instance.initial)
    try:
        work = _work(instance, competitor, limit)
    except ImportError as missing:
        return {"status": "skipped", "note": f"{missing.name} is not installed"}
    forget_peak()  # imports need more for a moment than they keep
    baseline = peak_mib()
    note, growth_steps = work()
    peak = peak_mib()
    row: Row = {"status": "ok", "peak_mib": peak - baseline, "baseline_mib": baseline, "note": note,
                "published_mib": None}
    if growth_steps:
        work()
        growth = (peak_mib() - peak) / growth_steps
        row["published_mib"] = peak - baseline + growth * (instance.published.steps - growth_steps)
    return row


def peak_mib() -> float:
    """Largest resident size of this process since `forget_peak`, or so far where the system cannot forget it.

    Linux counts it apart from `ru_maxrss`, which a child inherits from the process that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except (OSError, StopIteration):
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / 2**20 if sys.platform == "darwin" else size / 2**10


def forget_peak() -> None:
    """Start the largest resident size anew from the present one (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


Work = Callable[[], tuple[str, int]]
"""Does the work; returns a remark and, where memory grows with steps, the number of steps taken."""


def _work(instance: Instance, competitor: str, limit: float) -> Work:
    """What to do, with everything imported that it needs."""
    if competitor == "agfrun":
        return lambda: (_train(instance), 0)
    if competitor == "plain loop":
        return _plain(instance)
    if competitor == "JAX scan":
        return _scan(instance)
    return _solve(instance, competitor, limit)


def _train(instance: Instance) -> str:
    from agfrun import train_by_gradient_flow

    result = train_by_gradient_flow(instance.architecture, instance.initial, instance.horizon, tolerance=TOLERANCE)
    return f"{result.status} after {result.statistics.accepted_steps} steps"


def _plain(instance: Instance) -> Work:
    from benchmarks.published_loop import PublishedLoop

    loop = PublishedLoop(instance, start=instance.neurons_at(0.05))
    steps = PLAIN_STEPS.get(instance.name, MANY_PLAIN_STEPS)

    def work() -> tuple[str, int]:
        loop.run(steps)
        return f"{steps} steps; published_mib: all {instance.published.steps}, by the growth", steps

    return work


def _scan(instance: Instance) -> Work:
    from benchmarks.gradients import paper_rate
    from benchmarks.jax_networks import array, gradient_descent, jax_loss

    descend = gradient_descent(jax_loss(instance.architecture), paper_rate(instance), instance.published.momentum, 1000)
    start = array(instance.initial)

    def work() -> tuple[str, int]:
        descend(start).block_until_ready()
        return "1000 steps, compilation included", 0

    return work


def _solve(instance: Instance, competitor: str, limit: float) -> Work:
    if competitor.startswith("diffrax"):
        import diffrax  # noqa: F401

        from benchmarks import jax_networks  # noqa: F401
    elif competitor.startswith("torchdiffeq"):
        import torchdiffeq  # noqa: F401
    else:
        import scipy.integrate  # noqa: F401
    from benchmarks.solvers import SOLVERS
    from benchmarks.timing import TimeLimitError

    times = np.linspace(0.0, instance.horizon, 400)

    def work() -> tuple[str, int]:
        try:
            SOLVERS[competitor](instance, times, TOLERANCE, limit)
        except TimeLimitError as late:
            return str(late), 0
        return "to the end", 0

    return work


def draw(table: pd.DataFrame) -> Figure:
    """Peak memory by experiment and competitor."""
    figure, axes = plots.panels(1, "Peak memory over imports and problem", width=9.0)
    plots.grouped_bars(axes[0], table[table["status"] == "ok"], "experiment", "competitor", "peak_mib")
    axes[0].set(ylabel="MiB", yscale="log")
    return figure


def main() -> int:
    """The child's command line; prints one line of JSON."""
    from benchmarks.timing import pin_threads

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", choices=list(EXPERIMENTS))
    parser.add_argument("competitor")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=8.0)
    chosen = parser.parse_args()
    pin_threads(chosen.threads)
    print(json.dumps(measure_here(chosen.experiment, chosen.competitor, chosen.limit)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
