"""One trained network: its weights before and after, the table read from them, certificates of the restarts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.harmonics.figures.colours import complex_colours, draw_phase_bar
from agfrun.labs.harmonics.network.fit import CERTIFICATE
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

# Up to so many elements a table's entries are written into its cells.
MOST_NUMBERS = 12


@styled()
def plot_weights(arrays: Mapping[str, npt.NDArray[np.float64]], dimensions: Sequence[int]) -> Figure:
    """Draw the weights of the best restart before and after training, phase as hue: rows are elements.

    Args:
        arrays: `start_real`, `start_imag`, `weights_real`, `weights_imag`, each (n, n).
        dimensions: of the slots; lines part them.
    """
    figure = new_figure(TEXT_WIDTH, 3.1)
    before, after, bar = figure.subplots(1, 3, width_ratios=[1, 1, 0.05])
    edges = np.cumsum([0, *(d * d for d in dimensions)])
    for axes, name, title in ((before, "start", "before training"), (after, "weights", "after training")):
        values = arrays[f"{name}_real"] + 1j * arrays[f"{name}_imag"]
        axes.imshow(complex_colours(values, 1.0), interpolation="nearest", aspect="auto")
        for edge in edges[1:-1]:
            axes.axvline(edge - 0.5, color="black", linewidth=0.6)
        axes.set(title=title, xlabel="slots of dimension")
        middles = (edges[:-1] + edges[1:] - 1) / 2
        thinned = range(0, len(dimensions), 1 + len(dimensions) // 30)
        axes.set_xticks([middles[place] for place in thinned], [str(dimensions[place]) for place in thinned])
        axes.grid(False)
    before.set_ylabel("element g")
    draw_phase_bar(bar)
    settle(figure)
    return figure


@styled()
def plot_tables(cayley: pd.DataFrame) -> Figure:
    """Draw the Cayley table that was read beside the true one, wrong entries ringed.

    Args:
        cayley: cayley.csv.
    """
    n = int(cayley["first"].max()) + 1
    read = cayley["product"].to_numpy(int).reshape(n, n)
    known = bool(cayley["true_product"].notna().all())
    figure = new_figure(TEXT_WIDTH if known else COLUMN_WIDTH, 3.2)
    panels = figure.subplots(1, 2 if known else 1, squeeze=False).ravel()
    _draw_table(panels[0], read, "read from the weights")
    if known:
        truth = cayley["true_product"].to_numpy(int).reshape(n, n)
        _draw_table(panels[1], truth, "true")
        wrong = np.argwhere(read != truth)
        panels[0].scatter(wrong[:, 1], wrong[:, 0], s=max(8, 1200 / n**1.5), facecolors="none", edgecolors="red",
                          linewidths=1.2, gid="wrong")
        panels[0].set_title(f"read from the weights: {len(wrong)} of {n * n} entries wrong")
    settle(figure)
    return figure


def _draw_table(axes: Axes, table: npt.NDArray[np.int64], title: str) -> None:
    n = len(table)
    axes.imshow(table, cmap="viridis", interpolation="nearest", vmin=0, vmax=n - 1)
    axes.set(title=title, xlabel="h", ylabel="g")
    axes.grid(False)
    if n <= MOST_NUMBERS:
        axes.set_xticks(range(n))
        axes.set_yticks(range(n))
        for (g, h), product in np.ndenumerate(table):
            axes.text(h, g, str(product), ha="center", va="center", fontsize=6,
                      color="white" if product < 0.6 * n else "black")


@styled()
def plot_certificates(restarts: pd.DataFrame) -> Figure:
    """Draw the certificates of all restarts, ascending: irreps below the line, local minima above.

    Args:
        restarts: restarts.csv.
    """
    figure = new_figure(COLUMN_WIDTH, 2.5)
    axes = figure.add_subplot(yscale="log", xlabel="restart, by certificate",
                              ylabel="certificate")
    ordered = restarts.sort_values("certificate", ignore_index=True)
    values = np.maximum(ordered["certificate"].to_numpy(float), 1e-18)
    right = (ordered["accuracy"].astype(float) == 1).to_numpy()
    for chosen, colour, marker, label in ((right, OKABE_ITO[0], "o", "table right"),
                                          (~right, OKABE_ITO[1], "x", "table wrong or unknown")):
        if chosen.any():
            axes.plot(np.flatnonzero(chosen) + 1, values[chosen], linestyle="none", marker=marker, markersize=4,
                      color=colour, label=label)
    axes.axhline(CERTIFICATE, color="0.5", linewidth=0.8, linestyle="--", label=f"certified below {CERTIFICATE:g}")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    settle(figure)
    return figure
