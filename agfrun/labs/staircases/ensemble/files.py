"""The files of an ensemble: one table of members, and the tables of a run with the members in leading columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.files import tables
from agfrun.files.run_files import RunFiles
from agfrun.files.tables import Schema
from agfrun.labs.staircases.dynamics.recorder import select_rows
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.ensemble.members import Member
from agfrun.labs.staircases.ensemble.statistics import is_in_order
from agfrun.labs.staircases.report.ensemble_tables import MEMBERS, Labelled, stacked_table
from agfrun.labs.staircases.run.pipeline import StageClock, collect_trajectories, predicted_events
from agfrun.runner.provenance import provenance
from agfrun.study.schema import RunConfig, config_hash

# Moments of all paths that are written; above that each path is thinned along its arc length.
MOST_MOMENTS = 100_000
FEWEST_MOMENTS = 200
MOST_NEURON_ROWS = 200_000


def write_ensemble(files: RunFiles, config: RunConfig, members: Sequence[Member], programs: Sequence[Mapping[str, Any]],
                   verdict: Mapping[str, Any], interrupted: bool, clock: StageClock,
                   command: Sequence[str] | None) -> None:
    """All files, `done.json` last."""
    with clock.stage("write"):
        for name, table in ensemble_tables(members).items():
            files.write_table(name, table)
    if config.plots:
        with clock.stage("plot"):
            files.plot(config.plot_formats)
    files.write_manifest({
        **provenance(config, command), **_held_as(members), "members": len(members), "programs": list(programs),
        "wall_seconds": clock.seconds})
    if config.report:
        with clock.stage("report"):
            files.report()
    files.finish({
        "status": "interrupted" if interrupted else "finished", "config_hash": config_hash(config), **verdict,
        "wall_seconds": sum(clock.seconds.values())})


def ensemble_tables(members: Sequence[Member]) -> dict[str, pd.DataFrame]:
    """Every table by name; those without a row in any member are left out, but for `members` and `loss`."""
    paths = {member.number: _thinned(_paths(member), len(members)) for member in members}
    neuron_rows = max(2, MOST_NEURON_ROWS // max(1, len(members)))
    builders: dict[Schema, Callable[[Member], pd.DataFrame]] = {
        tables.LOSS: lambda member: tables.loss_table(paths[member.number]),
        tables.FEATURES: lambda member: tables.features_table(
            [path for path in paths[member.number] if path.features.size]),
        tables.OBSERVABLES: lambda member: tables.observables_table(paths[member.number]),
        tables.NEURONS: lambda member: tables.neurons_table(paths[member.number], neuron_rows),
        tables.EVENTS: lambda member: tables.events_table(_events(member)),
        tables.COMPARISON: lambda member: tables.rows_table(tables.COMPARISON, _rows(member, "comparison")),
        tables.CLAIMS: lambda member: tables.rows_table(tables.CLAIMS, _rows(member, "claims")),
    }
    made = {_name(schema): stacked_table(schema, [Labelled(_leading(member), build(member)) for member in members])
            for schema, build in builders.items()}
    of_members = tables.rows_table(MEMBERS, [_member_row(member) for member in members])
    kept = {name: table for name, table in made.items() if len(table) or name != _name(tables.OBSERVABLES)}
    return {_name(MEMBERS): of_members, **kept}


def _name(schema: Schema) -> str:
    return Path(schema.file).stem


def _leading(member: Member) -> dict[str, Any]:
    init = member.config.init
    scale = init.scale if init.log10_scale is None else math.exp(init.log_scale)
    return {"member": member.number, "seed": member.config.seed, "init_scale": scale}


def _log10_scale(member: Member) -> float:
    init = member.config.init
    return math.log10(init.scale) if init.log10_scale is None else init.log10_scale


def _member_row(member: Member) -> dict[str, Any]:
    row = {**_leading(member), "log10_init_scale": _log10_scale(member),
           "status": member.status, "reason": member.reason, "order_agrees": is_in_order(member),
           "wall_seconds": member.seconds + member.shared_seconds}
    if member.plan is not None:
        row["horizon"] = member.plan.horizon
    if member.training is not None:
        path = member.training.trajectory
        row |= {"end_time": path.times[-1], "final_loss": path.loss[-1], "steps": member.steps,
                "rejected_steps": member.training.statistics.rejected_steps,
                "drop_time_error": member.training.statistics.drop_time_error}
    return row | (member.result.verdict if member.result is not None else {})


def _paths(member: Member) -> list[Trajectory]:
    if member.result is not None:
        return member.result.trajectories
    if member.plan is None:
        return []
    training = member.training.trajectory if member.training is not None else None
    return collect_trajectories(member.plan.problem, training, member.plan.prediction, member.plan.theory)


def _thinned(paths: Sequence[Trajectory], members: int) -> list[Trajectory]:
    """Each path with its share of `MOST_MOMENTS`."""
    most = max(FEWEST_MOMENTS, MOST_MOMENTS // members)
    return [path if len(path.times) <= most else
            path.at_rows(select_rows(path.times, path.loss, path.features, path.log_norms, most)) for path in paths]


def _events(member: Member) -> dict[str, Any]:
    if member.result is not None:
        return member.result.events
    if member.plan is None:
        return {}
    return {"agf": predicted_events(member.plan.prediction, member.config.agf.threshold)}


def _rows(member: Member, name: str) -> list[dict[str, Any]]:
    return getattr(member.result, name) if member.result is not None else []


def _held_as(members: Sequence[Member]) -> dict[str, Any]:
    """Device and type of the numbers, from the first member that was built."""
    for member in members:
        if member.plan is not None:
            architecture = member.plan.problem.architecture
            return {"device": str(architecture.device), "dtype": str(architecture.dtype).removeprefix("torch.")}
    return {}
