"""Figures of stitching: what they show, with one network or many, and that nothing is cut off."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from agfrun.labs.stitching.figures.invariance import plot_invariance
from agfrun.labs.stitching.figures.run import (
    plot_accuracies,
    plot_deaths,
    plot_disturbance,
    plot_matrices,
    plot_plane,
)
from agfrun.labs.stitching.figures.sweep import figures_of_sweep, plot_sweep
from agfrun.labs.stitching.intertwiners import ACTIVATIONS, KINDS
from agfrun.labs.stitching.studies.stitching import StitchingStudy
from agfrun.report.saved_sweep import SavedSweep

ROWS = [(name, topology) for name in ("absolute", "cosine", "robust") for topology in (False, True)]


def inside(figure: Figure) -> bool:
    """Whether all that is drawn lies within the figure."""
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 >= -0.01 and box.x1 <= width + 0.01 and box.y0 >= -0.01 and box.y1 <= height + 0.01


def rows(count: int) -> pd.DataFrame:
    return pd.DataFrame([{"transform": name, "topology": topology, "same": 0.8, "stitched": 0.6, "stitched_low": np.nan,
                          "stitched_high": np.nan, "disturbed_stitched": 0.5, "majority": 0.23}
                         for name, topology in ROWS[:count]])


@pytest.mark.parametrize("count", [1, 6])
def test_accuracies(count: int) -> None:
    figure = plot_accuracies(rows(count))
    marks = {line.get_label(): line.get_xdata() for line in figure.axes[0].lines}
    assert marks["another network's head"].tolist() == [0.6] * count
    assert marks["own head"].tolist() == [0.8] * count
    assert inside(figure)


@pytest.mark.parametrize(("networks", "count"), [(2, 1), (4, 6), (30, 2)])
def test_matrices(networks: int, count: int) -> None:
    names = [f"n{i}" for i in range(networks)]
    table = pd.DataFrame([{"transform": name, "topology": topology, "encoder": one, "head": other, "seed": seed,
                           "accuracy": 0.5 + 0.1 * seed} for (name, topology), one, other, seed in itertools.product(
                               ROWS[:count], names, names, (0, 1))])
    figure = plot_matrices(table)
    assert np.allclose(figure.axes[0].images[0].get_array(), 0.55)
    assert len(figure.axes[0].texts) == (networks**2 if networks <= 6 else 0)
    assert inside(figure)


def test_disturbance_and_sweep() -> None:
    table = pd.DataFrame([{"transform": name, "topology": topology, "spread": spread, "seed": seed, "data.anchors": 0,
                           "same": 0.8, "stitched": 0.5 + 0.1 * seed}
                          for (name, topology), spread, seed in itertools.product(ROWS, (0.0, 1.0), (0, 1))])
    figure = plot_disturbance(table)
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines] == [[0.55, 0.55]] * 6
    assert inside(figure)
    table["data.anchors"] = [25, 600] * 12
    swept = plot_sweep(table, "data.anchors", "anchors")
    assert swept.axes[0].get_xlabel() == "anchors"
    assert len(swept.axes[1].lines) == 6
    assert inside(swept)


@pytest.mark.parametrize("count", [1, 6])
def test_deaths_and_plane(count: int) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame([{"transform": name, "topology": topology, "space": space, "death": death, "encoder": encoder,
                           "label": label, "x": death, "y": -death}
                          for (name, topology), space, encoder, label in itertools.product(
                              ROWS[:count], ("latent", "relative"), ("en", "fr"), range(8))
                          for death in generator.exponential(1, 5)])
    figure = plot_deaths(table, 1.0)
    assert {line.get_xdata()[0] for axes in figure.axes for line in axes.lines} == {1.0}
    assert figure.axes[0].patches
    assert inside(figure)
    plane = plot_plane(table)
    assert len(plane.axes[0].collections) == 2
    assert inside(plane)


@pytest.mark.parametrize("count", [1, 8])
def test_invariance(count: int) -> None:
    table = pd.DataFrame([{"activation": name, "action": kind, "in_group": kind in one.kinds, "transform": transform,
                           "output_change": 1e-15 if kind in one.kinds else 0.5, "representation_change": 0.0}
                          for name, one in list(ACTIVATIONS.items())[:count] for kind in KINDS
                          for transform in ("absolute", "cosine", "robust")])
    figure = plot_invariance(table)
    assert [text.get_text() for text in figure.axes[0].texts][:3] == ["-15", "0", "-15"]
    assert len(figure.axes[1].patches) == count * len(KINDS)
    assert inside(figure)


def test_a_sweep_over_one_key_has_one_figure_of_its_ended_runs_and_others_their_numbers() -> None:
    runs = pd.DataFrame({"run": ["a", "b"], "data.anchors": [25.0, 100.0], "topology.beta": [1.0, 1.0],
                         "robust_stitched": [0.2, 0.4]})
    rows = pd.DataFrame([{"run": run, "data.anchors": anchors, "transform": name, "topology": topology, "same": 0.8,
                          "stitched": 0.3} for run, anchors in (("a", 25.0), ("b", 100.0), ("failed", 300.0))
                         for name, topology in ROWS])
    sweep = SavedSweep(Path(), StitchingStudy(), runs, ("data.anchors", "topology.beta"), {"summary": rows}, {})
    ((name, figure),) = figures_of_sweep(sweep)
    assert name == "accuracy"
    assert figure.axes[0].lines[0].get_xdata().tolist() == [25, 100]
    two_keys = runs.assign(**{"topology.beta": [1.0, 2.0]})
    both = SavedSweep(Path(), StitchingStudy(), two_keys, sweep.keys, sweep.tables, {})
    assert "accuracy" not in dict(figures_of_sweep(both))
