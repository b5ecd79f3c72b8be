"""Members a second: many initializations of one network, trained each to the end.

Three ways: as agfrun trains them (one after another where its steps are compiled, else as one batch with a clock for
each member), as one batch in any case, and diffrax's Tsit5 mapped over members by JAX, compiled before it is timed.
The first and last members' neurons at the end are checked against separate runs before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from agfrun import ConfigError, train_by_gradient_flow
from agfrun.labs.staircases.ensemble.gradient_flow import train_ensemble_by_gradient_flow
from agfrun.labs.staircases.ensemble.stacked_flow import stacked_flow
from benchmarks import plots
from benchmarks.problems import EXPERIMENTS, Instance, build
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, clock, seconds_of

COLUMNS = ("experiment", "members", "way", "status", "seconds", "members_per_second", "times_one", "runs",
           "largest_difference", "note")
SIZES = {"diagonal": (1, 8, 64, 1000), "linear": (1, 8, 64), "attention": (1, 8, 64), "modular_addition": (1, 8, 64),
         "relu": (1, 8)}
AGFRUN, BATCH, MAPPED = "agfrun", "one batch", "diffrax Tsit5, vmap"
# Long enough to show what a step of members costs: to its published end ReLU on digits takes minutes.
HORIZONS = {"relu": 20.0}
TOLERANCE = 1e-6
# What is expected to take longer, from the size before, is left out.
LONGEST = 60.0
LARGEST_DIFFERENCE = 1e-3
# More steps than Tsit5 takes on either.
MAPPED_STEPS = {"diagonal": 2**14, "attention": 2**13}

# Seconds and the neurons at the end (B, K, D), from initializations (B, K, D) and a horizon.
Way = Callable[[Instance, Tensor, float], tuple[float, Tensor]]


def starts(name: str, members: int) -> Tensor:
    """Initializations of seeds 0 to members - 1, as large as the experiment's own, (B, K, D)."""
    instance = build(name)
    drawn = torch.stack([instance.neurons_at(1.0, seed) for seed in range(members)])
    return drawn * (instance.initial.norm() / drawn.flatten(1).norm(dim=1)[:, None, None])


def one_after_another(instance: Instance, neurons: Tensor, horizon: float) -> tuple[float, Tensor]:
    """Separate runs."""
    found: list[Tensor] = []

    def train() -> None:
        found.extend(train_by_gradient_flow(instance.architecture, own, horizon, tolerance=TOLERANCE,
                                            convergence=0.0).final for own in neurons)

    return seconds_of(train), torch.stack(found)


def one_batch(instance: Instance, neurons: Tensor, horizon: float) -> tuple[float, Tensor]:
    """All members in each step."""
    found: list[Tensor] = []

    def train() -> None:
        architecture = instance.architecture
        flow = architecture.ensemble_flow(neurons)
        if flow is None:
            flow = stacked_flow([architecture.flow_coordinates(own) for own in neurons], neurons)
        results = train_ensemble_by_gradient_flow(
            architecture, flow, neurons, [horizon] * len(neurons), tolerance=TOLERANCE, convergence=0.0)
        found.append(torch.stack([result.final for result in results]))

    return seconds_of(train), found[0]


class MappedTsit5:
    """diffrax's Tsit5 under `jax.vmap`; each member has step sizes of its own, and all wait for the last."""

    def __init__(self) -> None:
        self.programs: dict[tuple[str, int], Any] = {}

    def __call__(self, instance: Instance, neurons: Tensor, horizon: float) -> tuple[float, Tensor]:
        """Train."""
        import jax.numpy as jnp

        from benchmarks.jax_networks import array

        inputs = (array(neurons), jnp.asarray(horizon), jnp.asarray(TOLERANCE),
                  TOLERANCE * array(neurons.abs().amax(dim=(1, 2))))
        key = (instance.name, len(neurons))
        if key not in self.programs:
            self.programs[key] = self._compile(instance).lower(*inputs).compile()
        start = clock()
        found = np.asarray(self.programs[key](*inputs))
        return clock() - start, torch.tensor(found)

    def _compile(self, instance: Instance) -> Any:
        import diffrax
        import jax

        from benchmarks.jax_networks import jax_loss

        gradient = jax.grad(jax_loss(instance.architecture))
        term = diffrax.ODETerm(lambda time, neurons, _: -gradient(neurons))

        def solve(initial: Any, end: Any, rtol: Any, atol: Any) -> Any:
            found = diffrax.diffeqsolve(
                term, diffrax.Tsit5(), t0=0.0, t1=end, dt0=None, y0=initial, saveat=diffrax.SaveAt(t1=True),
                stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
                max_steps=MAPPED_STEPS[instance.name], throw=False, adjoint=diffrax.ForwardMode())
            return jax.numpy.where(found.result == diffrax.RESULTS.successful, found.ys[0], jax.numpy.nan)

        return jax.jit(jax.vmap(solve, in_axes=(0, None, None, 0)))


def ways(instance: Instance) -> dict[str, Way]:
    """All ways to train many members of a network."""
    compiled = instance.architecture.flow_coordinates(instance.initial).kernel() is not None
    found: dict[str, Way] = {AGFRUN: one_after_another, BATCH: one_batch} if compiled else {AGFRUN: one_batch}
    return found | ({MAPPED: MappedTsit5()} if instance.name in MAPPED_STEPS else {})


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, network by network."""
    for name in ("diagonal",) if settings.quick else tuple(SIZES):
        try:
            instance = build(name)
        except ConfigError as missing:  # the digits come with scikit-learn
            yield {"experiment": name, "status": "skipped", "note": str(missing).splitlines()[0]}
            continue
        horizon = 40.0 if settings.quick else HORIZONS.get(name, EXPERIMENTS[name].horizon)
        for row in _of_network(instance, horizon, settings):
            yield {"experiment": name} | row


def _of_network(instance: Instance, horizon: float, settings: Settings) -> Iterator[Row]:
    sizes = SIZES[instance.name][:2] if settings.quick else SIZES[instance.name]
    everyone = starts(instance.name, sizes[-1])
    train_by_gradient_flow(instance.architecture, everyone[0], 1e-6 * horizon)  # compilation is not timed
    single = alternate({"one": lambda: one_after_another(instance, everyone[:1], horizon)[0]},
                       settings.repeats, budget=10.0)["one"]
    yield {"way": "separate run", "members": 1, "status": "ok", "seconds": single.median, "runs": single.runs,
           "members_per_second": 1 / single.median, "times_one": 1.0}
    spent: dict[str, float] = {}
    competitors = ways(instance)
    for before, members in zip((1, *sizes), sizes, strict=False):
        timed: dict[str, Callable[[], float]] = {}
        rows: dict[str, Row] = {}
        for name, way in competitors.items():
            row = rows[name] = {"way": name, "members": members}
            expected = spent.get(name, 0.0) * members / before
            if expected > LONGEST:
                row |= {"status": "skipped", "note": f"expected to take up to {expected:.0f} s"}
                continue
            spent[name] = _check(way, instance, everyone[:members], horizon, row)
            if row["status"] == "ok":
                timed[name] = lambda way=way, own=everyone[:members]: way(instance, own, horizon)[0]  # type: ignore[misc]
        timings = alternate(timed, 1 if settings.quick else 3, budget=20.0)
        for name, row in rows.items():
            if name in timings:
                timing = timings[name]
                row |= {"seconds": timing.median, "members_per_second": members / timing.median, "runs": timing.runs,
                        "times_one": timing.median / single.median}
            yield row


def _check(way: Way, instance: Instance, neurons: Tensor, horizon: float, row: Row) -> float:
    """Fill in the status and the largest difference from separate runs; the seconds of this first run."""
    try:
        seconds, final = way(instance, neurons, horizon)
    except ImportError as missing:
        row |= {"status": "skipped", "note": f"{missing.name} is not installed"}
        return 0.0
    ends = sorted({0, len(neurons) - 1})
    alone = one_after_another(instance, neurons[ends], horizon)[1]
    difference = float(((final[ends] - alone).flatten(1).norm(dim=1) / alone.flatten(1).norm(dim=1)).max())
    right = bool(torch.isfinite(final).all()) and difference <= LARGEST_DIFFERENCE
    row |= {"status": "ok" if right else "wrong", "largest_difference": difference}
    return seconds


def draw(table: pd.DataFrame) -> Figure:
    """Members a second against the number of members, one panel a network."""
    solved = table[(table["status"] == "ok") & (table["way"] != "separate run")]
    names = list(solved["experiment"].unique())
    figure, axes = plots.panels(len(names), "Members a second")
    for axis, name in zip(axes, names, strict=True):
        plots.lines(axis, solved[solved["experiment"] == name], "members", "members_per_second", "way",
                    [AGFRUN, BATCH, MAPPED])
        axis.set(xscale="log", yscale="log", xlabel="members", ylabel="members a second",
                 title=EXPERIMENTS[name].title)
        axis.legend(fontsize="x-small")
    return figure


if __name__ == "__main__":
    from benchmarks.run import main

    raise SystemExit(main(["--only", "ensembles"]))
