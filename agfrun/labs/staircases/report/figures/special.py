"""Figures that only some networks have, chosen by the arrays that a run has saved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from agfrun.files.folders import PARAMETERS_FILE
from agfrun.labs.staircases.report.figures.context import FigureContext
from agfrun.labs.staircases.report.figures.lasso import plot_lasso_path
from agfrun.labs.staircases.report.figures.modular_addition import (
    FloatArray,
    PlateauState,
    plot_predictions,
    plot_weights,
    select_states,
)
from agfrun.labs.staircases.report.saved import SavedRun
from agfrun.study.errors import OutputError


def special_figures(context: FigureContext, saved: SavedRun) -> Iterator[tuple[str, Figure]]:
    """Names and figures.

    Raises:
        OutputError: an array does not have the shape that another one asks for.
    """
    if saved.arrays.keys() >= {"template", "neurons/initial"}:
        # Looked at before anything is drawn.
        states = select_states(_plateau_states(saved, saved.arrays["template"]))
        return _modular_addition(context, saved, states)
    if saved.arrays.keys() >= {"lasso/lambda", "lasso/coefficients"}:
        return _lasso(context, saved)
    return iter(())


def _lasso(context: FigureContext, saved: SavedRun) -> Iterator[tuple[str, Figure]]:
    if len(saved.features):
        yield "lasso", plot_lasso_path(context, saved.features, saved.events, saved.arrays["lasso/lambda"],
                                       saved.arrays["lasso/coefficients"])


def _modular_addition(
    context: FigureContext, saved: SavedRun, states: list[PlateauState]
) -> Iterator[tuple[str, Figure]]:
    if states:
        initial_norm = float(np.linalg.norm(saved.arrays["neurons/initial"], axis=1).max())
        yield "modular_addition_weights", plot_weights(context, states, initial_norm)
        yield "modular_addition_predictions", plot_predictions(context, states, saved.arrays["template"])


def _plateau_states(saved: SavedRun, template: FloatArray) -> list[PlateauState]:
    """The plateaus in order, then the end of training; states that left the finite numbers do not count."""
    times: list[float | None] = [float(time) for time in saved.arrays.get("plateau_times", np.empty(0))]
    names = [f"neurons/plateau_{index}" for index in range(len(times))]
    p, states = len(template), []
    for name, time in zip([*names, "neurons/final"], [*times, None], strict=True):
        neurons = saved.arrays.get(name)
        if neurons is None or not np.isfinite(neurons).all():
            continue
        if neurons.ndim != 2 or neurons.shape[1] != 3 * p:
            raise OutputError(f"{saved.folder / PARAMETERS_FILE}: {name} has shape {neurons.shape}, not (H, {3 * p})")
        states.append(PlateauState.of(time, neurons.reshape(-1, 3, p), template))
    return states
