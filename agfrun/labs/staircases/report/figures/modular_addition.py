"""Modular addition at its plateaus: weights, spectra and phases, and predictions against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from agfrun.labs.staircases.report.figures.context import FigureContext
from agfrun.report.figures.style import (
    MOST_VECTOR_LINES,
    NO_FEATURE_GREY,
    TEXT_WIDTH,
    TRAINING_GREY,
    new_figure,
    settle,
    styled,
)

FloatArray = npt.NDArray[np.float64]

MOST_ROWS = 6
_ROW_HEIGHT = 1.05
_POINTS_PER_SAMPLE = 12
_LEARNED_SHARE = 0.5


@dataclass(frozen=True)
class PlateauState:
    """The network on one plateau of training.

    Attributes:
        time: when the state was recorded, None for the end of training.
        neurons: parameters (u, v, w) of each neuron, shape (H, 3, p).
        learned: the frequencies that the network's output holds.
    """

    time: float | None
    neurons: FloatArray
    learned: tuple[int, ...]

    @classmethod
    def of(cls, time: float | None, neurons: FloatArray, template: FloatArray) -> PlateauState:
        """A state with its learned frequencies found."""
        return cls(time, neurons, learned_frequencies(neurons, template))


@styled()
def plot_weights(
    context: FigureContext, states: Sequence[PlateauState], initial_norm: float
) -> Figure:
    """Draw output weights w, their power spectrum and their phases, one row a plateau.

    A neuron has the colour of its dominant frequency once its norm is nearer, on the logarithmic
    scale, to the largest norm of all than to the initialization's, and is grey (dormant) before.
    The polar panel shows each active neuron's Fourier coefficient of w at its dominant frequency:
    angle and modulus.

    Args:
        context: words and colours of the run.
        states: the plateaus to show.
        initial_norm: largest norm of a neuron at the initialization.
    """
    figure = new_figure(TEXT_WIDTH, 0.55 + _ROW_HEIGHT * len(states))
    grid = figure.add_gridspec(len(states), 3, width_ratios=(2.0, 1.4, 1.0))
    largest = max(float(_norms(state).max()) for state in states)
    boundary = float(np.sqrt(initial_norm * largest))
    first: tuple[Axes, Axes] | None = None
    for row, state in enumerate(states):
        weights = figure.add_subplot(grid[row, 0], sharex=first and first[0], sharey=first and first[0])
        spectrum = figure.add_subplot(grid[row, 1], sharex=first and first[1], sharey=first and first[1])
        phases = figure.add_subplot(grid[row, 2], projection="polar")
        first = first or (weights, spectrum)
        _draw_weights_row(context, state, boundary, (weights, spectrum, phases))
        weights.set_title(_state_title(context, state))
        last = row == len(states) - 1
        for axes, label in ((weights, "position"), (spectrum, "frequency")):
            axes.set_xlabel(label if last else "")
            axes.tick_params(labelbottom=last)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        phases.set_xlabel("phase of $\\hat w$" if last else "")
    _add_weights_legend(figure, context)
    settle(figure)
    return figure


@styled()
def plot_predictions(
    context: FigureContext,
    states: Sequence[PlateauState],
    template: FloatArray,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Figure:
    """Draw outputs f(a, b) over their targets for a few pairs (a, b), one row a plateau.

    Dots are the p outputs; the line through them is their band-limited interpolation.

    Args:
        context: words and colours of the run.
        states: the plateaus to show.
        template: the template x, shape (p,).
        pairs: the pairs (a, b); three spread over the p^2 by default.
    """
    p = len(template)
    pairs = pairs or [(0, 0), (p // 4, p // 3), (p // 2, (3 * p) // 4)]
    figure = new_figure(TEXT_WIDTH, 0.55 + _ROW_HEIGHT * len(states))
    panels = figure.subplots(len(states), len(pairs), sharex=True, sharey=True, squeeze=False)
    for row, state in zip(panels, states, strict=True):
        for axes, (a, b) in zip(row, pairs, strict=True):
            _draw_prediction(axes, np.roll(template, a + b), network_output(state.neurons, template, a, b))
        row[0].set_title(_state_title(context, state))
        row[0].set_ylabel("output")
    for axes, (a, b) in zip(panels[-1], pairs, strict=True):
        axes.set_xlabel(f"position, a = {a}, b = {b}")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    settle(figure)
    return figure


def network_output(neurons: FloatArray, template: FloatArray, a: int, b: int) -> FloatArray:
    """Output f(a, b) = sum_i (<u_i, a.x> + <v_i, b.x>)^2 w_i, shape (p,); a.x is x rolled by a."""
    u, v, w = neurons[:, 0], neurons[:, 1], neurons[:, 2]
    output: FloatArray = (u @ np.roll(template, a) + v @ np.roll(template, b)) ** 2 @ w
    return output


def learned_frequencies(neurons: FloatArray, template: FloatArray) -> tuple[int, ...]:
    """Frequencies of which the outputs hold at least half of the target's amplitude.

    The share is Re <fhat, yhat> / |yhat|^2 at each frequency, over all p^2 pairs: the signed
    part of the output that lies along the target.
    """
    p = len(template)
    shifts = np.stack([np.roll(template, shift) for shift in range(p)])
    spectrum = np.abs(np.fft.rfft(template))
    inputs = (neurons[:, 0] @ shifts.T, neurons[:, 1] @ shifts.T)
    share = np.zeros(len(spectrum))
    for a in range(p):
        outputs = ((inputs[0][:, a, None] + inputs[1]) ** 2).T @ neurons[:, 2]
        targets = shifts[(a + np.arange(p)) % p]
        share += (np.fft.rfft(outputs) * np.conj(np.fft.rfft(targets))).real.sum(axis=0)
    present = np.flatnonzero(spectrum > 1e-9 * spectrum.max())
    present = present[present > 0]
    enough = share[present] >= _LEARNED_SHARE * p**2 * spectrum[present] ** 2
    return tuple(int(frequency) for frequency in present[enough])


def select_states(states: Sequence[PlateauState]) -> list[PlateauState]:
    """The last plateau of each set of learned frequencies, thinned evenly to at most six."""
    chosen: dict[tuple[int, ...], PlateauState] = {}
    for state in states:
        # The end of training repeats its last plateau, unless something was learned after it.
        if state.time is not None or state.learned not in chosen:
            chosen[state.learned] = state
    distinct = list(chosen.values())
    kept = np.linspace(0, len(distinct) - 1, min(MOST_ROWS, len(distinct))).round().astype(int)
    return [distinct[place] for place in kept]


def band_limited(values: FloatArray, factor: int) -> FloatArray:
    """The trigonometric interpolation of p periodic samples at factor * p points."""
    count = len(values)
    spectrum = np.fft.rfft(values)
    if count % 2 == 0:
        # The Nyquist term stands for two opposite frequencies, which are separate on a finer grid.
        spectrum[-1] /= 2
    fine: FloatArray = np.fft.irfft(spectrum, n=factor * count) * factor
    return fine


def _norms(state: PlateauState) -> FloatArray:
    norms: FloatArray = np.linalg.norm(state.neurons, axis=(1, 2))
    return norms


def _draw_weights_row(
    context: FigureContext,
    state: PlateauState,
    boundary: float,
    panels: tuple[Axes, Axes, Axes],
) -> None:
    count, _, p = state.neurons.shape
    transform = np.fft.rfft(state.neurons[:, 2], axis=-1)
    dominant = np.argmax(np.abs(transform[:, 1:]), axis=1) + 1
    active = _norms(state) >= boundary
    colours = np.where(active, [context.colour(frequency) for frequency in dominant], NO_FEATURE_GREY)
    alpha = float(np.clip(6 / np.sqrt(count), 0.15, 0.9))
    grid = np.arange(_POINTS_PER_SAMPLE * p) / _POINTS_PER_SAMPLE
    weights = np.apply_along_axis(band_limited, 1, state.neurons[:, 2], _POINTS_PER_SAMPLE)
    _draw_family(panels[0], grid, weights, colours, alpha)
    _draw_family(panels[1], np.arange(p // 2 + 1), np.abs(transform) ** 2, colours, alpha, marker=".")
    panels[0].set_ylabel("weight w")
    panels[1].set_ylabel(r"$|\hat w|^2$")
    _draw_phases(panels[2], transform[active, dominant[active]], colours[active], alpha)


def _draw_family(
    axes: Axes,
    positions: npt.NDArray[Any],
    values: FloatArray,
    colours: npt.NDArray[np.str_],
    alpha: float,
    marker: str | None = None,
) -> None:
    """One line a neuron from values of shape (H, N), one collection a colour, grey ones beneath."""
    # In an order that does not depend on hashing, which differs from one process to the next.
    for colour in sorted(set(colours), key=lambda name: (name != NO_FEATURE_GREY, name)):
        lines = values[colours == colour]
        axes.add_collection(LineCollection(
            [np.column_stack([positions, line]) for line in lines], colors=colour, alpha=alpha,
            linewidths=0.8, rasterized=len(values) > MOST_VECTOR_LINES,
        ))
        if marker:
            axes.plot(
                np.tile(positions, len(lines)), lines.ravel(), color=colour, alpha=alpha, linestyle="none",
                marker=marker, markersize=3, markeredgewidth=0, rasterized=len(values) > MOST_VECTOR_LINES,
            )
    axes.autoscale_view()


def _draw_phases(
    axes: Axes, coefficients: npt.NDArray[np.complex128], colours: npt.NDArray[np.str_], alpha: float
) -> None:
    radius = np.abs(coefficients)
    axes.scatter(np.angle(coefficients), radius, s=9, c=colours, alpha=alpha, linewidths=0, clip_on=False)
    axes.set_ylim(0, 1.1 * float(radius.max()) if len(radius) else 1.0)
    axes.set_xticks(np.arange(4) * np.pi / 2, ["0", r"$\pi/2$", r"$\pi$", r"$-\pi/2$"])
    axes.set_yticks([])
    axes.tick_params(pad=-2)
    axes.grid(color="0.85", linewidth=0.5)
    axes.spines["polar"].set_linewidth(0.5)


def _draw_prediction(axes: Axes, target: FloatArray, output: FloatArray) -> None:
    p = len(target)
    grid = np.arange(_POINTS_PER_SAMPLE * p) / _POINTS_PER_SAMPLE
    fine_target, fine_output = (band_limited(values, _POINTS_PER_SAMPLE) for values in (target, output))
    axes.plot(grid, fine_target, color=TRAINING_GREY, linewidth=2.0, label="target")
    axes.plot(grid, fine_output, color="black", linewidth=0.8)
    axes.plot(
        np.arange(p), output, color="black", linestyle="none", marker="o", markersize=2, label="network"
    )


def _state_title(context: FigureContext, state: PlateauState) -> str:
    when = "end" if state.time is None else f"time {float(f'{state.time:.3g}'):g}"
    what = ", ".join(map(str, state.learned)) or "none"
    return f"{when}; {context.wording.feature} learned: {what}"


def _add_weights_legend(figure: Figure, context: FigureContext) -> None:
    handles = [
        Line2D([], [], color=colour, label=context.wording.label(feature))
        for feature, colour in context.colours.items()
    ]
    handles.append(Line2D([], [], color=NO_FEATURE_GREY, label="dormant"))
    figure.legend(handles=handles, loc="outside upper left", ncols=6)
