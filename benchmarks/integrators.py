"""agfrun's own integration methods against one another, on the paper's experiments: cost and error of each.

The table behind `docs/integrators.md`, and behind what `train.method=auto` chooses. Each method trains from the same
start to the same time with its recording; errors are against the reference solutions.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.staircases.dynamics.extrapolation import PartlyStiffCoordinates
from benchmarks import plots
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.reference import load_reference
from benchmarks.settings import Row, Settings
from benchmarks.trajectories import compare, draw_panel, own_flow

COLUMNS = ("experiment", "method", "tolerance", "status", "seconds", "lowest", "highest", "runs", "drop_time_error",
           "recorded_drop_error", "estimated_error", "level_error", "steps", "rejected", "gradient_evaluations",
           "factorizations", "note")
METHODS = ("rosenbrock", "extrapolation", "rkc", "lsoda")
TOLERANCES = (1e-4, 1e-6)


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, experiment by experiment."""
    for name in ("attention",) if settings.quick else tuple(EXPERIMENTS):
        instance = build(name)
        reference = load_reference(instance, settings.references)
        methods, stopped = {method: own_flow(method) for method in methods_for(instance)}, set[str]()
        for tolerance in TOLERANCES[1:] if settings.quick else TOLERANCES:
            for row in compare(methods, instance, reference, tolerance, settings, stopped):
                yield {"experiment": name, "tolerance": tolerance, "method": row.pop("competitor")} | row


def methods_for(instance: Instance) -> tuple[str, ...]:
    """All methods, without extrapolation where the network does not know the stiff part of its flow."""
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    knows = isinstance(coordinates, PartlyStiffCoordinates)
    return tuple(method for method in METHODS if knows or method != "extrapolation")


def draw(table: pd.DataFrame) -> Figure:
    """One panel an experiment: seconds against the error of the drop times."""
    names = list(table["experiment"].unique())
    figure, axes = plots.panels(len(names), "Integration methods: wall time against the error of the drop times")
    for axis, name in zip(axes, names, strict=True):
        draw_panel(axis, table[table["experiment"] == name], "method", METHODS)
        axis.set_title(EXPERIMENTS[name].title)
        axis.legend(fontsize="xx-small")
    return figure


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "integrators"]))
