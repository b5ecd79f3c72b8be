"""The figures of a run, from its saved tables and arrays alone: no network is built, nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context
from agfrun.labs.staircases.report.figures.features import plot_features
from agfrun.labs.staircases.report.figures.neurons import plot_neurons
from agfrun.labs.staircases.report.figures.observables import plot_observables
from agfrun.labs.staircases.report.figures.special import special_figures
from agfrun.labs.staircases.report.figures.staircase import plot_staircase
from agfrun.labs.staircases.report.saved import SavedRun


def figures_of_run(saved: SavedRun) -> Iterator[tuple[str, Figure]]:
    """Name and figure, one at a time so that only one is held; what they need is checked before the first."""
    context = figure_context(saved.wording, saved.homogeneity_degree, saved.loss, saved.features, saved.events)
    return chain(_common_figures(context, saved), special_figures(context, saved))


def _common_figures(context: FigureContext, saved: SavedRun) -> Iterator[tuple[str, Figure]]:
    yield "staircase", plot_staircase(context, saved.loss, saved.events, saved.comparison, saved.endings,
                                      saved.ladder)
    if len(saved.features):
        yield "features", plot_features(context, saved.features)
    if len(saved.observables):
        yield "observables", plot_observables(context, saved.observables)
    if len(saved.neurons):
        yield "neurons", plot_neurons(context, saved.neurons, saved.threshold)
