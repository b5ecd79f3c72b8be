"""agfrun's own integration methods against one another, on the paper's experiments: cost and error of each.

The table behind `docs/integrators.md`, and behind what `train.method=auto` chooses. Each method trains from the same
start to the same time with its recording; errors are against the reference solutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd
from matplotlib.figure import Figure

from agfrun.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.dynamics.result import TrainingResult
from agfrun.errors import ConfigError
from benchmarks import plots
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.reference import Answer, Reference, errors_of, load_reference
from benchmarks.settings import Row, Settings
from benchmarks.timing import Deadline, TimeLimitError, alternate, seconds_of

COLUMNS = ("experiment", "method", "tolerance", "status", "seconds", "lowest", "highest", "runs", "drop_time_error",
           "estimated_error", "level_error", "steps", "rejected", "gradient_evaluations", "factorizations", "note")
METHODS = ("rosenbrock", "extrapolation", "rkc", "lsoda")
TOLERANCES = (1e-4, 1e-6)
SLOW = 10.0


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, experiment by experiment."""
    for name in ("attention",) if settings.quick else tuple(EXPERIMENTS):
        instance = build(name)
        reference = load_reference(instance, settings.references)
        stopped: set[str] = set()
        for tolerance in TOLERANCES[1:] if settings.quick else TOLERANCES:
            for row in compare(instance, reference, tolerance, settings, stopped):
                yield {"experiment": name, "tolerance": tolerance} | row


def compare(instance: Instance, reference: Reference, tolerance: float, settings: Settings, stopped: set[str]
            ) -> Iterator[Row]:
    """Check every method at one tolerance, then time in turn those that are done in time.

    Args:
        stopped: methods that a looser tolerance has shown to be too slow; added to.
    """
    rows: dict[str, Row] = {}
    timed: dict[str, Callable[[], float]] = {}
    for method in METHODS:
        row = rows[method] = {"method": method}
        if method in stopped:
            row |= {"status": "stopped", "note": "stopped already at a looser tolerance"}
            continue
        try:
            result = train(instance, method, tolerance, settings.time_limit)
        except TimeLimitError as late:
            stopped.add(method)
            row |= {"status": "stopped", "note": str(late)}
        except ConfigError:
            row |= {"status": "skipped", "note": "this network does not know the stiff part of its flow"}
        else:
            row |= judged(result, reference)
            timed[method] = lambda method=method: seconds_of(  # type: ignore[misc]
                lambda: train(instance, method, tolerance, 10 * settings.time_limit))
    timings = alternate(timed, settings.repeats, budget=SLOW)
    for method, row in rows.items():
        if method in timings:
            timing = timings[method]
            row |= {"seconds": timing.median, "lowest": timing.low, "highest": timing.high, "runs": timing.runs}
        yield row


def train(instance: Instance, method: str, tolerance: float, limit: float) -> TrainingResult:
    """Train to the experiment's horizon."""
    deadline = Deadline(limit)
    return train_by_gradient_flow(
        instance.architecture, instance.initial, instance.horizon, tolerance=tolerance, convergence=0.0, method=method,
        progress=lambda time, loss: deadline.check())


def judged(result: TrainingResult, reference: Reference) -> Row:
    """Errors and cost of a run."""
    path, statistics = result.trajectory, result.statistics
    errors = errors_of(Answer(path.times, path.features, path.loss, result.final.numpy()), reference)
    return {"status": "ok" if result.status != "diverged" else "failed", "drop_time_error": errors.drop_time,
            "estimated_error": statistics.drop_time_error, "level_error": errors.level,
            "steps": statistics.accepted_steps, "rejected": statistics.rejected_steps,
            "gradient_evaluations": statistics.gradient_evaluations, "factorizations": statistics.factorizations,
            "note": "" if result.status != "diverged" else result.reason}


def draw(table: pd.DataFrame) -> Figure:
    """One panel an experiment: seconds against the error of the drop times."""
    names = list(table["experiment"].unique())
    figure, axes = plots.panels(len(names), "Integration methods: wall time against the error of the drop times")
    solved = table[table["status"] == "ok"]
    for axis, name in zip(axes, names, strict=True):
        plots.lines(axis, solved[solved["experiment"] == name], "seconds", "drop_time_error", "method", list(METHODS))
        axis.set(xscale="log", yscale="log", xlabel="seconds", ylabel="relative error of drop times",
                 title=EXPERIMENTS[name].title)
        axis.legend(fontsize="xx-small")
    return figure


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "integrators"]))
