"""Work and precision: time to reproduce each experiment against the error of what is read off it.

Every competitor integrates the same flow from the same start to the same time. Its answer is compared with the
reference (drop times, levels of plateaus, neurons at the end) before its time counts. Drops are looked for between the
times that are timed, and then, in a second solution that is not timed, at many times between the two where each was
found: the same for all, agfrun included, whose own record is compared beside. The plain loop descends with a
learning rate and has no tolerance: it is timed over some steps, and its published number of steps gives its time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from agfrun import load_config, run, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.gradient_flow import follow_flow, make_stepper
from agfrun.labs.staircases.dynamics.integrate import Integration, IntegrationStatistics, Segment
from agfrun.labs.staircases.dynamics.lsoda import LsodaIntegration
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from benchmarks import plots
from benchmarks.numpy_loop import NumpyLoop, make_loop
from benchmarks.numpy_loop import gradient_error as numpy_gradient_error
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.published_loop import PublishedLoop, gradient_error
from benchmarks.reference import Answer, Array, Reference, closer, errors_of, joined, load_reference, observed
from benchmarks.settings import Row, Settings
from benchmarks.solution import Solution, Solver
from benchmarks.solvers import SOLVERS
from benchmarks.timing import Deadline, TimeLimitError, alternate, seconds_of

COLUMNS = ("experiment", "competitor", "tolerance", "status", "seconds", "lowest", "highest", "runs",
           "drop_time_error", "recorded_drop_error", "level_error", "final_error", "gradient_evaluations", "note")
TOLERANCES = (1e-4, 1e-6, 1e-8)
# An answer whose drops are further off than this is no answer.
LARGEST_DROP_ERROR = 0.05
# A competitor this slow runs once more at most.
SLOW = 6.0
PLAIN_SECONDS = 4.0

# Far enough for some drops, near enough for a reference within seconds.
QUICK_HORIZONS = {"diagonal": 40.0}

def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, experiment by experiment."""
    names = list(QUICK_HORIZONS) if settings.quick else list(EXPERIMENTS)
    tolerances = TOLERANCES[1:2] if settings.quick else TOLERANCES
    for name in names:
        instance = build(name)
        if settings.quick:
            instance = replace(instance, experiment=replace(instance.experiment, horizon=QUICK_HORIZONS[name]))
        reference = load_reference(instance, settings.references)
        stopped: set[str] = set()
        for tolerance in tolerances:
            for row in compare(COMPETITORS, instance, reference, tolerance, settings, stopped):
                yield {"experiment": name, "tolerance": tolerance} | row
        yield {"experiment": name} | whole_run(instance, reference)
        yield from ({"experiment": name} | row for row in plain_loops(instance, settings))


def compare(competitors: Mapping[str, Solver], instance: Instance, reference: Reference, tolerance: float,
            settings: Settings, stopped: set[str]) -> Iterator[Row]:
    """Check all competitors at one tolerance, then time those that are right, in turn.

    Args:
        competitors: by name.
        stopped: competitors that a looser tolerance has shown to be too slow; added to.
    """
    rows: dict[str, Row] = {}
    timed: dict[str, Callable[[], float]] = {}
    for name, solver in competitors.items():
        row = rows[name] = {"competitor": name}
        if name in stopped:
            row |= {"status": "stopped", "note": "stopped already at a looser tolerance"}
            continue
        first = _check(solver, instance, reference, tolerance, settings, row)
        if row["status"] == "stopped":
            stopped.add(name)
        if row["status"] == "ok":
            timed[name] = _starting_with(first, lambda solver=solver: solver(  # type: ignore[misc]
                instance, reference.grid, tolerance, 10 * settings.time_limit).seconds)
    timings = alternate(timed, settings.repeats, budget=SLOW)
    for name, row in rows.items():
        if name in timings:
            timing = timings[name]
            row |= {"seconds": timing.median, "lowest": timing.low, "highest": timing.high, "runs": timing.runs}
        yield row


def _check(solver: Solver, instance: Instance, reference: Reference, tolerance: float, settings: Settings,
           row: Row) -> float:
    """Fill in the errors and the status; the seconds of this first run."""
    try:
        solution = solver(instance, reference.grid, tolerance, settings.time_limit)
        answer = located(solver, instance, reference, tolerance, solution.states, settings.time_limit)
    except ImportError as missing:
        row |= {"status": "skipped", "note": f"{missing.name} is not installed"}
    except TimeLimitError as late:
        row |= {"status": "stopped", "note": str(late)}
    except Exception as failure:  # a competitor that fails is a result, not the end of the benchmark
        row |= {"status": "failed", "note": f"{type(failure).__name__}: {str(failure).strip()[:120]}"}
    else:
        errors = errors_of(answer, reference)
        right = errors.drop_time <= LARGEST_DROP_ERROR
        row |= {"status": "ok" if right else "wrong", "drop_time_error": errors.drop_time,
                "level_error": errors.level, "final_error": errors.final, "note": solution.note,
                "gradient_evaluations": solution.gradient_evaluations, **solution.further}
        if solution.record is not None:
            row["recorded_drop_error"] = errors_of(solution.record, reference).drop_time
        return solution.seconds
    return 0.0


def located(solver: Solver, instance: Instance, reference: Reference, tolerance: float, states: Array, limit: float
            ) -> Answer:
    """A competitor's answer on the grid, where it gave `states`, and densely where its drops are."""
    answer = observed(instance, reference.grid, states)
    times = closer(answer, reference)
    # As long as it took, and somewhat longer: the machine is not always equally fast.
    return joined(answer, observed(instance, times, solver(instance, times, tolerance, 3 * limit).states))


def _starting_with(first: float, function: Callable[[], float]) -> Callable[[], float]:
    """`function`, but a slow competitor's checking run counts as its first."""
    pending = [first] if first > SLOW / 2 else []
    return lambda: pending.pop() if pending else function()


def own_flow(method: str) -> Solver:
    """Training by agfrun with one of its methods, with its recording; states by the same steps, taken once more."""
    compiled: set[str] = set()

    def solve(instance: Instance, times: Array, tolerance: float, limit: float) -> Solution:
        if instance.name not in compiled:  # compilation is not timed
            train_by_gradient_flow(instance.architecture, instance.initial, 1e-6 * instance.horizon, method=method)
            compiled.add(instance.name)
        deadline, found = Deadline(limit), []
        seconds = seconds_of(lambda: found.append(train_by_gradient_flow(
            instance.architecture, instance.initial, instance.horizon, tolerance=tolerance, convergence=0.0,
            method=method, progress=lambda time, loss: deadline.check())))
        result = found[0]
        if result.status == "diverged":
            raise RuntimeError(result.reason)
        statistics = result.statistics
        further: Row = {"steps": statistics.accepted_steps, "rejected": statistics.rejected_steps,
                        "factorizations": statistics.factorizations, "estimated_error": statistics.drop_time_error}
        return Solution(own_states(instance, times, tolerance, method), seconds, statistics.gradient_evaluations,
                        further=further, record=_answer(result.trajectory, result.final.numpy()))

    return solve


def own_states(instance: Instance, times: Array, tolerance: float, method: str = "auto") -> Array:
    """Neurons at increasing times from 0 (T, H, D), by the steps of one of agfrun's methods."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    y, answered = coordinates.encode(instance.initial), 1
    states = np.empty((len(times), *instance.initial.shape))
    states[0] = instance.initial.numpy()
    for segment in _segments(coordinates, y, float(times[-1]), tolerance, method):
        while answered < len(times) and times[answered] <= segment.end:
            states[answered] = coordinates.decode(segment.at(float(times[answered]))).numpy()
            answered += 1
    if answered < len(times):
        raise RuntimeError(f"the steps end before time {times[answered]:.6g}")
    return states


def _segments(coordinates: FlowCoordinates, y: Tensor, end: float, tolerance: float, method: str
              ) -> Iterator[Segment]:
    statistics = IntegrationStatistics()
    if method in ("auto", "rosenbrock"):
        return follow_flow(coordinates, y, 0.0, end, tolerance, statistics)
    if method == "lsoda":
        return iter(LsodaIntegration(coordinates, statistics, y, 0.0, end, tolerance))
    return iter(Integration(make_stepper(method, coordinates, y.numel(), statistics), y, 0.0, end, tolerance))


COMPETITORS: dict[str, Solver] = {"agfrun": own_flow("auto")} | SOLVERS


def _answer(trajectory: Trajectory, final: np.ndarray) -> Answer:
    return Answer(trajectory.times, trajectory.features, trajectory.loss, final)


def whole_run(instance: Instance, reference: Reference) -> Row:
    """What the user waits for: prediction, training, comparison, claims and files, without figures."""
    config = load_config([*instance.experiment.overrides, "device=cpu", "plots=false",
                          f"train.horizon={instance.horizon!r}"])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        seconds = seconds_of(lambda: found.append(run(config, output_dir=f"{folder}/run", progress=False)))
    result = found[0]
    errors = errors_of(_answer(result.training.trajectory, result.training.final.numpy()), reference)
    return {"competitor": "agfrun, whole run", "tolerance": config.train.tolerance, "seconds": seconds, "runs": 1,  # type: ignore[attr-defined]
            "status": "ok" if errors.drop_time <= LARGEST_DROP_ERROR else "wrong", "level_error": errors.level,
            "recorded_drop_error": errors.drop_time, "note": "prediction, training, comparison, claims, files; stops "
            "when all but 1e-6 is learned"}


def plain_loops(instance: Instance, settings: Settings) -> Iterator[Row]:
    """The published loops, timed over some steps and multiplied by the published number of steps."""
    start, steps = instance.neurons_at(0.05), instance.published.steps
    error = gradient_error(build("relu", "model.kink_width=0") if instance.name == "relu" else instance, start)
    loops: dict[str, PublishedLoop | NumpyLoop | None] = {
        "plain loop": PublishedLoop(instance, start=start),
        "plain loop, no bookkeeping": PublishedLoop(instance, start=start, bookkeeping=False),
        "plain loop in NumPy": make_loop(instance, start)}
    present = {name: loop for name, loop in loops.items() if loop is not None}
    if "plain loop in NumPy" in present:
        error = max(error, numpy_gradient_error(instance, start))
    if error > 1e-7:
        for name in present:
            yield {"competitor": name, "status": "wrong", "note": f"gradient off by {error:.1e}"}
        return
    seconds = PLAIN_SECONDS / 20 if settings.quick else PLAIN_SECONDS
    counts = {name: _fitting(loop, seconds / settings.repeats) for name, loop in present.items()}
    timings = alternate({name: lambda loop=loop, count=counts[name]: seconds_of(lambda: loop.run(count)) / count  # type: ignore[misc]
                         for name, loop in present.items()}, settings.repeats, budget=3 * seconds)
    for name, timing in timings.items():
        yield {"competitor": name, "status": "extrapolated", "seconds": timing.median * steps,
               "lowest": timing.low * steps, "highest": timing.high * steps, "runs": timing.runs,
               "gradient_evaluations": steps, "note": f"{timing.runs} x {counts[name]} steps at "
               f"{1e6 * timing.median:.4g} us, times {steps} steps"}


def _fitting(loop: PublishedLoop | NumpyLoop, seconds: float) -> int:
    """Steps that fit into `seconds`, at least one."""
    loop.run(1)  # what is allocated and chosen once
    if seconds_of(lambda: loop.run(1)) > seconds / 5:
        return 1
    return max(1, int(5 * seconds / max(seconds_of(lambda: loop.run(5)), 1e-9)))


def draw(table: pd.DataFrame) -> Figure:
    """One panel an experiment: seconds against the error of the drop times; plain loops as vertical lines."""
    names = list(table["experiment"].unique())
    figure, axes = plots.panels(len(names), "Wall time against the error of the drop times")
    order = [name for name in table["competitor"].unique() if not str(name).startswith("plain")]
    for axis, name in zip(axes, names, strict=True):
        draw_panel(axis, table[table["experiment"] == name], "competitor", order)
        plain = table[(table["experiment"] == name) & (table["status"] == "extrapolated")]
        for position, (_, row) in enumerate(plain.iterrows()):
            axis.axvline(float(row["seconds"]), color="#666666", linestyle=("-", "--", ":")[position % 3],
                         label=f"{row['competitor']} (extrapolated)")
        axis.set_title(EXPERIMENTS[name].title)
        axis.legend(fontsize="xx-small")
    return figure


def draw_panel(axis: Axes, table: pd.DataFrame, column: str, order: Sequence[str]) -> None:
    """Seconds against the error of the drop times of what is right, a line for each name in a column."""
    plots.lines(axis, table[table["status"] == "ok"], "seconds", "drop_time_error", column, order)
    axis.set(xscale="log", yscale="log", xlabel="seconds", ylabel="relative error of drop times")


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "trajectories"]))
