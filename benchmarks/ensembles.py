"""Time a member of ensembles of 1, 8, 64 and 512 members, each with an initialization of its own.

Training alone, as one batch with a clock for each member, beside the separate run of one. The first and last members'
neurons are checked against their separate runs before anything is timed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.ensemble.gradient_flow import train_ensemble_by_gradient_flow
from agfrun.labs.staircases.ensemble.stacked_flow import stacked_flow
from benchmarks import plots
from benchmarks.problems import EXPERIMENTS, build
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, seconds_of

COLUMNS = ("experiment", "members", "way", "status", "seconds", "seconds_per_member", "times_one", "runs",
           "largest_difference", "note")
NETWORKS = ("diagonal", "linear", "attention", "modular_addition")
SIZES = (1, 8, 64, 512)
# An ensemble that is expected to take longer is left out.
LONGEST = 400.0
LARGEST_DIFFERENCE = 1e-3


def starts(name: str, members: int) -> Tensor:
    """Initializations of seeds 0 to members - 1, (B, K, D)."""
    return torch.stack([build(name, f"seed={seed}").initial for seed in range(members)])


def ensemble_seconds(name: str, neurons: Tensor, horizon: float) -> tuple[float, Tensor]:
    """Wall seconds of an ensemble from (B, K, D), as one batch, and its neurons at the end."""
    architecture = build(name).architecture
    found: list[Tensor] = []

    def train() -> None:
        flow = architecture.ensemble_flow(neurons)
        if flow is None:
            flow = stacked_flow([architecture.flow_coordinates(own) for own in neurons], neurons)
        results = train_ensemble_by_gradient_flow(
            architecture, flow, neurons, [horizon] * len(neurons), tolerance=1e-6, convergence=0.0)
        found.append(torch.stack([result.final for result in results]))

    seconds = seconds_of(train)
    return seconds, found[0]


def separate_run(name: str, neurons: Tensor, horizon: float) -> tuple[float, Tensor]:
    """Wall seconds of one member (K, D) by itself, and its neurons at the end."""
    architecture = build(name).architecture
    found: list[Tensor] = []
    seconds = seconds_of(lambda: found.append(train_by_gradient_flow(
        architecture, neurons, horizon, tolerance=1e-6, convergence=0.0).final))
    return seconds, found[0]


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, network by network."""
    for name in NETWORKS[:1] if settings.quick else NETWORKS:
        horizon = 40.0 if settings.quick else EXPERIMENTS[name].horizon
        sizes = SIZES[:2] if settings.quick else SIZES
        everyone = starts(name, sizes[-1])
        repeats = 1 if settings.quick else 3
        single = alternate({"one": lambda name=name, first=everyone[0], end=horizon: separate_run(name, first, end)[0]},  # type: ignore[misc]
                           repeats, budget=20.0)["one"].median
        yield {"experiment": name, "way": "separate run", "members": 1, "status": "ok", "seconds": single,
               "seconds_per_member": single, "times_one": 1.0, "runs": repeats}
        seconds = 0.0
        for members in sizes:
            row: Row = {"experiment": name, "way": "ensemble", "members": members}
            if 8 * seconds > LONGEST:
                yield row | {"status": "skipped", "note": f"expected to take {8 * seconds:.0f} s"}
                continue
            seconds, final = ensemble_seconds(name, everyone[:members], horizon)
            difference = largest_difference(name, everyone[:members], final, horizon)
            row |= {"largest_difference": difference}
            if difference > LARGEST_DIFFERENCE:
                yield row | {"status": "wrong"}
                continue
            runs = 1
            if seconds < 20 and not settings.quick:
                again = alternate({"ensemble": lambda name=name, own=everyone[:members], end=horizon:  # type: ignore[misc]
                                   ensemble_seconds(name, own, end)[0]}, 3, budget=40.0)["ensemble"]
                seconds, runs = again.median, again.runs
            yield row | {"status": "ok", "seconds": seconds, "seconds_per_member": seconds / members, "runs": runs,
                         "times_one": seconds / single}


def largest_difference(name: str, neurons: Tensor, final: Tensor, horizon: float) -> float:
    """Largest relative difference of the first and last members' neurons from those of their separate runs."""
    differences = []
    for member in {0, len(neurons) - 1}:
        alone = separate_run(name, neurons[member], horizon)[1]
        differences.append(float((final[member] - alone).norm() / alone.norm()))
    return max(differences)


def draw(table: pd.DataFrame) -> Figure:
    """Seconds a member, over those of a separate run, against the number of members."""
    figure, axes = plots.panels(1, "Ensembles", width=6.0)
    solved = table[(table["status"] == "ok") & (table["way"] == "ensemble")]
    solved = solved.assign(share=solved["times_one"] / solved["members"])
    plots.lines(axes[0], solved, "members", "share", "experiment")
    axes[0].set(xscale="log", yscale="log", xlabel="members", ylabel="cost of a member / cost of a separate run")
    if len(solved):
        axes[0].legend(fontsize="x-small")
    return figure


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "ensembles"]))
