from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from agfrun.labs.staircases.report.figures.sweep.agreement import plot_agreement
from agfrun.labs.staircases.report.figures.sweep.draw import figures_of_sweep
from agfrun.labs.staircases.report.figures.sweep.drop_times import plot_drop_times
from agfrun.labs.staircases.report.figures.sweep.heat_map import plot_heat_map
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun import SavedSweep
from agfrun.report.figures.axes import word_of
from agfrun.study.intervals import wilson_interval

SCALES = (1e-2, 1e-4, 1e-8)
WIDTHS = (4, 8)
SEEDS = range(5)


def sweep(degree: int | None = 2, keys: tuple[str, ...] = ("init.scale", "model.width")) -> SavedSweep:
    """Two drops at log(1 / scale) and three times that, a little later in training the larger the seed."""
    runs, comparison = [], []
    for scale in SCALES:
        for width in WIDTHS:
            for seed in SEEDS:
                name = f"{scale} {width} {seed}"
                swept = {"run": name, "init.scale": scale, "model.width": width, "seed": seed}
                runs.append(swept | {"status": "converged", "order_agrees": not (scale == 1e-2 and seed == 0),
                                     "worst_time_error": 0.1 * (1 + seed) / width, "worst_level_error": 1e-3})
                for event, factor in enumerate((1, 3), start=1):
                    time = -factor * np.log(scale)
                    comparison.append(swept | {
                        "event": event + 7, "kind": "acquisition", "feature": f"{event}", "time_agf": time,
                        "time_training": time * (1 + 0.01 * seed)})
                comparison.append(swept | {"event": 1, "kind": "activation", "feature": "1", "time_agf": 0.1,
                                           "time_training": 0.1})
    return SavedSweep(pd.DataFrame(runs), pd.DataFrame(comparison), keys, degree)


def lines(figure: Figure, gid: str) -> list[Any]:
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == gid]


def numbers(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_drop_times_are_medians_over_seeds_in_order_of_the_prediction() -> None:
    figure = plot_drop_times(sweep(), "init.scale")
    assert figure is not None
    for place, factor in enumerate((1, 3), start=1):
        measured, predicted = lines(figure, f"training:{place}"), lines(figure, f"agf:{place}")
        assert len(measured) == len(predicted) == len(WIDTHS)
        for points, line in zip(measured, predicted, strict=True):
            np.testing.assert_allclose(points.get_xdata(), sorted(SCALES))
            np.testing.assert_allclose(points.get_ydata(), [-factor * 1.02 * np.log(s) for s in sorted(SCALES)])
            np.testing.assert_allclose(line.get_ydata(), [-factor * np.log(s) for s in sorted(SCALES)])


def test_the_law_is_the_prediction_where_that_follows_it() -> None:
    """Here AGF's times are proportional to log(1 / scale): the dotted line lies on the last of them."""
    figure = plot_drop_times(sweep(), "init.scale")
    assert figure is not None
    for law, predicted in zip(lines(figure, "law"), lines(figure, "agf:2"), strict=True):
        np.testing.assert_allclose(law.get_ydata(), predicted.get_ydata())


@pytest.mark.parametrize(("degree", "ratio"), [(3, 1e6), (4, 1e12)])
def test_the_law_of_higher_degrees(degree: int, ratio: float) -> None:
    figure = plot_drop_times(sweep(degree), "init.scale")
    assert figure is not None
    law = lines(figure, "law")[0].get_ydata()
    assert law[0] / law[-1] == pytest.approx(ratio)


def test_without_a_degree_there_is_no_law() -> None:
    figure = plot_drop_times(sweep(None), "init.scale")
    assert figure is not None
    assert lines(figure, "law") == []


def test_agreement_has_shares_with_wilson_intervals() -> None:
    figure = plot_agreement(sweep(keys=("init.scale",)), "init.scale")
    assert figure is not None
    order = figure.axes[0]
    (bars,) = order.containers
    line, _, (vertical,) = bars.lines
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [1, 1, 0.8])
    for (low, high), successes in zip((segment[:, 1] for segment in vertical.get_segments()), (10, 10, 8),
                                      strict=True):
        np.testing.assert_allclose((low, high), wilson_interval(successes, 10), atol=1e-12)
    (median,) = lines(figure, "worst_time_error:median")
    np.testing.assert_allclose(median.get_ydata(), [np.median([0.1 * (1 + s) / w for s in SEEDS for w in WIDTHS])] * 3)


def test_a_further_key_has_a_line_for_each_value() -> None:
    figure = plot_agreement(sweep(), "init.scale", "model.width")
    assert figure is not None
    found = [line.get_ydata()[0] for line in lines(figure, "worst_time_error:median")]
    np.testing.assert_allclose(found, [0.3 / 4, 0.3 / 8])


def test_a_heat_map_has_the_numbers_of_both_keys() -> None:
    figure = plot_heat_map(sweep(), "init.scale", "model.width")
    assert figure is not None
    order, error = figure.axes[:2]
    np.testing.assert_allclose(order.images[0].get_array(), [[1, 1, 0.8]] * 2)
    np.testing.assert_allclose(error.images[0].get_array(), [[0.075] * 3, [0.0375] * 3])
    assert numbers(order) == ["1", "1", "0.8"] * 2


def test_which_figures_suit_the_keys() -> None:
    assert [name for name, _ in figures_of_sweep(sweep())] == [
        "drop_times", "agreement_scale", "agreement_width", "heat_map_scale_width"]
    assert [name for name, _ in figures_of_sweep(sweep(keys=("model.width",)))] == ["agreement_width"]
    assert list(figures_of_sweep(sweep(keys=()))) == []


def test_runs_that_compare_nothing_have_no_figure() -> None:
    bare = sweep()
    bare = SavedSweep(bare.runs.drop(columns=["worst_time_error"]), pd.DataFrame(), bare.keys, 2)
    assert list(figures_of_sweep(bare)) == []


@pytest.mark.parametrize(("value", "word"), [
    (1e-6, "$10^{-6}$"), (3e-3, "$3\\cdot 10^{-3}$"), (0.5, "0.5"), (24, "24"), ("timed", "timed"), (-400, "-400"),
    (0, "0"), (0.0012345, "$1.2\\cdot 10^{-3}$"), (20000, "$2\\cdot 10^{4}$")])
def test_values_in_words(value: object, word: str) -> None:
    assert word_of(value) == word
