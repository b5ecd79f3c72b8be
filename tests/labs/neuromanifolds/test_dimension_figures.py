"""The figures say what the tables say, and nothing is cut off, for two networks as for many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from polynomial_networks import measured

from agfrun import SavedSweep, load_config
from agfrun.labs.neuromanifolds import MonomialMlpConfig
from agfrun.labs.neuromanifolds.figures.counts import plot_counts
from agfrun.labs.neuromanifolds.figures.sweep import figures_of_sweep
from agfrun.labs.neuromanifolds.studies.dimension import architecture_row

Networks = Sequence[tuple[tuple[int, ...], int]]
TWO = [((2, 2, 1), 2), ((3, 5, 1), 4)]
MANY = [((first, second, third, 1), degree) for first in (2, 3) for second in (2, 3, 4) for third in (2, 3, 4, 5, 6)
        for degree in (2, 3)]


def row_of(widths: Sequence[int], degree: int) -> dict[str, object]:
    network = MonomialMlpConfig(widths=list(widths), degree=degree)
    return architecture_row(network, measured(widths, degree), network.closed_form())


def sweep_of(networks: Networks, seeds: int = 1) -> SavedSweep:
    """A sweep as it is read back, of runs that have ended."""
    table = pd.DataFrame([row_of(*network) | {"run": f"{network}, {seed}"} for network in networks
                          for seed in range(seeds)])
    runs = table[["run", "dimension"]].assign(status="finished")
    return SavedSweep(Path("sweep"), load_config(["study=dimension"]).study, runs, ("model.widths", "model.degree"),
                      {"architectures": table}, {})


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def figures(networks: Networks) -> dict[str, Figure]:
    return dict(figures_of_sweep(sweep_of(networks)))


def test_the_bars_of_a_run_are_its_counts() -> None:
    figure = plot_counts(pd.Series(row_of((3, 5, 1), 4)))
    (axes,) = figure.axes
    lengths = {container.get_gid(): container.get_width() for container in axes.patches}
    assert lengths == {"parameters": 20, "less symmetries": 15, "ambient space": 15, "expected": 15, "closed form": 14,
                       "dimension": 14}
    assert "14, 1 below expected" in texts(figure)
    assert axes.get_title() or axes.get_title("left") == "3-5-1, degree 4 (monomial_mlp)"


def test_an_immense_space_does_not_hide_the_other_bars() -> None:
    figure = plot_counts(pd.Series(row_of((12, 5, 2), 9)))
    (axes,) = figure.axes
    lengths = [patch.get_width() for patch in axes.patches]
    assert max(lengths) < 2 * 70
    assert "335,920 →" in texts(figure)


@pytest.mark.parametrize(("networks", "names"), [
    ([((2, 2, 1), 2)], []),
    ([((2, 2, 1), 2), ((2, 2, 1), 3)], ["degrees"]),
    ([((2, 2, 1), 2), ((2, 3, 1), 2)], ["architectures"]),
    (TWO, ["defects"]),
    (MANY, ["defects", "dimensions"]),
])
def test_a_figure_for_what_differs_and_none_for_what_does_not(networks: Networks, names: list[str]) -> None:
    assert list(figures(networks)) == names


def test_seeds_of_one_network_are_one_cell() -> None:
    drawn = dict(figures_of_sweep(sweep_of(TWO, seeds=3)))
    assert sorted(texts(drawn["defects"])) == ["14", "3"]


def test_the_map_shows_every_dimension_and_the_class_of_its_defect() -> None:
    (axes,) = figures(MANY)["defects"].axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert len(rows) == 30
    (image,) = axes.get_images()
    for widths, degree in MANY[::7]:
        place = rows.index("-".join(map(str, widths))), degree - 2
        row = row_of(widths, degree)
        assert image.get_array()[place] == row["defect"]
        assert (place[1], place[0], str(row["dimension"])) in {
            (text.get_position()[0], text.get_position()[1], text.get_text()) for text in axes.texts}


def test_very_many_architectures_keep_the_largest_defects() -> None:
    networks = [((first, second, third, 1), 2) for first in range(2, 8) for second in range(2, 8)
                for third in range(2, 6)]
    drawn = figures([*networks, ((2, 2, 1), 3)])["defects"]
    shown = {label.get_text() for axes in drawn.axes for label in axes.get_yticklabels()}
    assert len(shown) == 108
    worst = max(networks, key=lambda network: int(str(row_of(*network)["defect"])))
    assert "-".join(map(str, worst[0])) in shown


def test_points_lie_below_the_parameters_and_the_space() -> None:
    left, right = figures(MANY)["dimensions"].axes
    for axes in (left, right):
        points = [line for line in axes.get_lines() if (line.get_gid() or "").startswith(("parameters:", "ambient:"))]
        assert points
        for line in points:
            assert (np.asarray(line.get_ydata()) <= np.asarray(line.get_xdata())).all()


@pytest.mark.parametrize("networks", [TWO, MANY, MANY[::2], [((2, 3, 1), degree) for degree in range(2, 12)]],
                         ids=["two", "many", "one degree", "one architecture"])
def test_labels_stay_within_the_figure_and_do_not_cover_one_another(networks: Networks) -> None:
    for name, figure in figures(networks).items():
        figure.canvas.draw()
        page = figure.bbox.padded(1.0)
        for axes in figure.axes:
            labels = [label for label in axes.get_yticklabels() if label.get_text()]
            boxes = [label.get_window_extent() for label in labels]
            assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in boxes), name
            ordered = sorted(boxes, key=lambda box: float(box.y0))
            assert all(low.y1 <= high.y0 + 1 for low, high in zip(ordered, ordered[1:], strict=False)), name
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, name
        assert all(box.y0 >= axes.get_window_extent().y1 for axes in figure.axes), name
