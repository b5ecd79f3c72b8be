"""Predictions and weights of the network on modular addition, on the plateaus that a figure's study has saved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import FloatArray, PaperTables
from agfrun.labs.staircases.report.figures.modular_addition import (
    PlateauState,
    plot_predictions,
    plot_weights,
    select_states,
)


def plot_network_states(tables: PaperTables) -> Iterator[tuple[str, Figure]]:
    """Names and figures: weights with their spectra and phases, and outputs over their targets."""
    case = tables.cases[0]
    rows, template = tables.first("states", case), tables.first("template", case)["value"].to_numpy(float)
    if not len(rows):
        return
    context = tables.context(case)
    states = [PlateauState.of(_time(of_moment), _neurons(of_moment, len(template)), template)
              for _, of_moment in rows.groupby("moment", sort=True)]
    initial_norm = float(np.linalg.norm(states[0].neurons, axis=(1, 2)).max())
    shown = select_states(states[1:])
    yield "modular_addition_weights", plot_weights(context, shown, initial_norm)
    yield "modular_addition_predictions", plot_predictions(context, shown, template)


def _time(rows: pd.DataFrame) -> float | None:
    time = float(rows["time"].iloc[0])
    return None if np.isnan(time) else time


def _neurons(rows: pd.DataFrame, p: int) -> FloatArray:
    neurons: FloatArray = rows["value"].to_numpy(float).reshape(-1, 3, p)
    return neurons
