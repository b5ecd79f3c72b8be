"""Figures of lattices: what they show, with one row or thirty, and that nothing is cut off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from agfrun.labs.lattices.figures.anytime import plot_anytime
from agfrun.labs.lattices.figures.detection import plot_error_rates
from agfrun.labs.lattices.figures.joint import plot_blocks, plot_grid
from agfrun.labs.lattices.figures.policy import plot_moves, plot_training
from agfrun.labs.lattices.figures.reduction import plot_lattices, plot_methods
from agfrun.labs.lattices.names import METHODS


def inside(figure: Figure) -> bool:
    """Whether all that is drawn lies within the figure."""
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 >= -0.01 and box.x1 <= width + 0.01 and box.y0 >= -0.01 and box.y1 <= height + 0.01


@pytest.mark.parametrize("count", [1, len(METHODS)])
def test_methods(count: int) -> None:
    means = np.linspace(3, 0.4, count)
    figure = plot_methods(pd.DataFrame({"method": METHODS[:count], "mean": means, "standard_error": 0.01,
                                        "above_best": means - means.min()}))
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx(means)
    assert inside(figure)


@pytest.mark.parametrize("count", [1, 200])
def test_lattice_by_lattice(count: int) -> None:
    rows = [{"method": method, "lattice": place, "log_defect": 0.5 + shift} for method, shift in (
        ("learned", 0.0), ("product_sampled", 0.1)) for place in range(count)]
    figure = plot_lattices(pd.DataFrame(rows), "learned", "product_sampled")
    points = figure.axes[0].collections[0].get_offsets()
    assert points[0].tolist() == pytest.approx([0.6, 0.5])
    assert figure.axes[0].get_title() == "" or "lower on 100.0%" in figure.axes[0].get_title("left")
    assert inside(figure)


@pytest.mark.parametrize("policies", [1, 20])
def test_anytime(policies: int) -> None:
    names = ["greedy", "product_1", *(f"learned_{k}" for k in range(policies))]
    table = pd.DataFrame([{"method": name, "moves": t, "work": 3.0 * t, "mean": 2 / (1 + t), "above_optimum": np.nan,
                           "median": 1.0} for name in names for t in range(30)])
    figure = plot_anytime(table)
    assert len(figure.axes[0].lines) == len(names)
    assert figure.axes[1].lines[0].get_xdata()[0] == 3
    assert inside(figure)


@pytest.mark.parametrize("taps", [[2], [1, 2, 4, 8, 16]])
def test_joint(taps: list[int]) -> None:
    methods = ("raw", "centre", "mean_gram", "mean_gram_seysen", "joint_product", "joint_learned")
    blocks = [{"taps": t, "block": block, "method": name, "mean": 1.0 + k + block / 8}
              for t in taps for block in (4, 8) for k, name in enumerate(methods)]
    single = [{"taps": t, "block": 1, "method": "site_lll", "mean": 0.5} for t in taps]
    table = pd.DataFrame([*blocks, *single])
    figure = plot_blocks(table)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1.5, 2.0]
    assert inside(figure)
    sites = pd.DataFrame([{"taps": t, "method": name, "subcarrier": k, "log_defect": 1.0 + k} for t in taps
                          for name in (*methods, "site_lll") for k in range(16)])
    assert inside(plot_grid(sites))


@pytest.mark.parametrize("reducers", [0, 1, 8])
def test_error_rates(reducers: int) -> None:
    names = ["zf", "mmse", "ml", *(f"{base}_{method}" for base in ("zf", "mmse") for method in METHODS[1:1 + reducers])]
    table = pd.DataFrame([{"detector": name, "snr_db": snr, "vector_errors": 100 - snr, "vector_error_rate": 0.1,
                           "low": 0.05, "high": 0.2} for name in names for snr in (0.0, 10.0)])
    figure = plot_error_rates(table)
    assert len(figure.axes[0].lines) == 2 + reducers
    assert inside(figure)


@pytest.mark.parametrize("product", [None, 0.93])
def test_training(product: float | None) -> None:
    table = pd.DataFrame({"step": [0, 80, 160], "defect": [2.0, 1.0, 0.9], "defect_twice": [1.5, 0.95, 0.9]})
    assert inside(plot_training(table, product))


@pytest.mark.parametrize("count", [1, 30])
def test_moves(count: int) -> None:
    places = [(0.25 * (k % 6) - 0.5, 0.25 * (k // 6)) for k in range(count)]
    rows = [{"policy": who, "gain": x, "dual_gain": y, "share": share / count} for x, y in places
            for who, share in (("learned", 1.0), ("product", 0.5))]
    figure = plot_moves(pd.DataFrame(rows))
    ratio = figure.axes[1].collections[0].get_array().compressed()
    assert len(ratio) == count
    assert ratio == pytest.approx(1, abs=0.02)
    assert inside(figure)
