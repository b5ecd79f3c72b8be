from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from agfrun import CompareConfig, SavedSweep
from agfrun.labs.staircases.report.figures.context import typical_run
from agfrun.labs.staircases.report.figures.drop_times import plot_drop_times
from agfrun.report.sweep_figures import figures_of_sweep

SCALES = (1e-2, 1e-4, 1e-8)
WIDTHS = (4, 8)
SEEDS = range(5)


def sweep(degree: int | None = 2, keys: tuple[str, ...] = ("init.scale", "model.width")) -> SavedSweep:
    """Two drops at log(1 / scale) and three times that, a little later in training the larger the seed."""
    runs, comparison, loss = [], [], []
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
                        "event": event + 7, "kind": "acquisition", "feature": f"{event}", "time_predicted": time,
                        "time_training": time * (1 + 0.01 * seed)})
                comparison.append(swept | {"event": 1, "kind": "activation", "feature": "1", "time_predicted": 0.1,
                                           "time_training": 0.1})
                loss += [swept | {"source": source, "time": -time * np.log(scale), "loss": value}
                         for source in ("training", "agf") for time, value in ((0, 8.0), (1, 8.0), (2, 1.0))]
    words = {"homogeneity_degree": degree} if degree is not None else {}
    return SavedSweep(Path(), CompareConfig(), pd.DataFrame(runs), keys,
                      {"comparison": pd.DataFrame(comparison), "loss": pd.DataFrame(loss)}, words)


def drop_times(saved: SavedSweep) -> Figure:
    figure = plot_drop_times(saved, saved.tables["comparison"], "init.scale", saved.words.get("homogeneity_degree"))
    assert figure is not None
    return figure


def names_of(saved: SavedSweep) -> list[str]:
    return [name for name, _ in figures_of_sweep(saved)]


def only(saved: SavedSweep, **values: Any) -> SavedSweep:
    """The runs that have these values, and all rows of the tables."""
    runs = saved.runs
    for key, value in values.items():
        runs = runs[runs[key] == value]
    return SavedSweep(saved.folder, saved.study, runs, saved.keys, saved.tables, saved.words)


def lines(figure: Figure, gid: str) -> list[Any]:
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == gid]


def test_drop_times_are_medians_over_seeds_in_order_of_the_prediction() -> None:
    figure = drop_times(sweep())
    for place, factor in enumerate((1, 3), start=1):
        measured, predicted = lines(figure, f"training:{place}"), lines(figure, f"agf:{place}")
        assert len(measured) == len(predicted) == len(WIDTHS)
        for points, line in zip(measured, predicted, strict=True):
            np.testing.assert_allclose(points.get_xdata(), sorted(SCALES))
            np.testing.assert_allclose(points.get_ydata(), [-factor * 1.02 * np.log(s) for s in sorted(SCALES)])
            np.testing.assert_allclose(line.get_ydata(), [-factor * np.log(s) for s in sorted(SCALES)])
    assert [axes.get_title("left") for axes in figure.axes] == ["width 4", "width 8"]
    assert figure.axes[0].get_xlabel() == "initialization scale"


def test_drops_of_runs_that_did_not_end_are_left_out() -> None:
    """Rows that a run has written before it was lost stay in the gathered table."""
    figure = drop_times(only(sweep(keys=("init.scale",)), **{"init.scale": 1e-4, "seed": 0}))
    assert [line.get_xydata().tolist() for line in lines(figure, "training:1")] == [[[1e-4, -np.log(1e-4)]]]


def test_the_law_is_the_prediction_where_that_follows_it() -> None:
    """Here AGF's times are proportional to log(1 / scale): the dotted line lies on the last of them."""
    figure = drop_times(sweep())
    for law, predicted in zip(lines(figure, "law"), lines(figure, "agf:2"), strict=True):
        np.testing.assert_allclose(law.get_ydata(), predicted.get_ydata())


@pytest.mark.parametrize(("degree", "ratio"), [(3, 1e6), (4, 1e12)])
def test_the_law_of_higher_degrees(degree: int, ratio: float) -> None:
    law = lines(drop_times(sweep(degree)), "law")[0].get_ydata()
    assert law[0] / law[-1] == pytest.approx(ratio)


def test_without_a_degree_there_is_no_law() -> None:
    assert lines(drop_times(sweep(None)), "law") == []


def test_which_figures_suit_the_keys() -> None:
    assert names_of(sweep()) == ["drop_times", "numbers_scale", "numbers_width", "map_scale_width"]
    assert names_of(sweep(keys=("model.width",))) == ["numbers_width"]
    assert names_of(sweep(keys=("init.scale",))) == ["drop_times", "staircases", "numbers_scale"]


def test_a_key_with_one_value_among_the_ended_runs_is_no_axis() -> None:
    assert names_of(only(sweep(), **{"model.width": 4})) == ["drop_times", "staircases", "numbers_scale"]


def test_the_typical_run_is_a_real_one_near_to_most() -> None:
    """Of eleven steps of width 1 at random times, and of two that never fall: the step in the middle."""
    times, moments = np.linspace(0, 10, 1001), np.random.default_rng(0).uniform(2, 8, 11)
    curves = np.array([np.where(times < moment, 1.0, 0.0) for moment in moments])
    np.testing.assert_array_equal(typical_run(curves), curves[np.argsort(moments)[5]])
    # Halves of two kinds have a median that is neither: the levels 1, 0.5, 0 of one and 1, 0.2, 0 of the other.
    kinds = np.array([np.select([times < 3, times < 6], [1.0, level], 0.0) for level in (0.5, 0.2, 0.5, 0.2)])
    assert any(np.array_equal(typical_run(kinds), curve) for curve in kinds)
    assert not any(np.array_equal(np.median(kinds, axis=0), curve) for curve in kinds)
    gone = np.vstack([curves, np.full((2, times.size), np.nan)])
    assert np.isfinite(typical_run(gone)).all()


def test_staircases_have_a_row_for_each_scale_and_a_typical_run() -> None:
    figures = dict(figures_of_sweep(sweep(keys=("init.scale",))))
    panels = figures["staircases"].axes
    assert len(panels) == 2 * len(SCALES)
    for scale, (training, agf) in zip(SCALES, zip(panels[::2], panels[1::2], strict=True), strict=True):
        assert agf.texts[0].get_text() == f"initialization scale {scale:.3g}, 10 runs"
        (typical,) = [line for line in training.get_lines() if line.get_gid() == "training:typical"]
        # Time in units of log(1 / scale), loss as a part of the first.
        np.testing.assert_allclose(np.interp([0.9, 1.5, 2.0], typical.get_xdata(), typical.get_ydata()),
                                   [1.0, 0.5625, 0.125], rtol=2e-2)
    assert panels[-1].get_xlabel() == "gradient-flow time / log(1 / scale)"


def test_runs_of_the_first_format_have_their_order_too() -> None:
    """They count drops in order, and do not say what follows from it."""
    now = sweep(keys=("init.scale",))
    counts = now.runs["order_agrees"].map({True: 2, False: 1})
    before = now.runs.drop(columns="order_agrees").assign(in_predicted_order=counts, predicted_acquisitions=2)
    saved = SavedSweep(now.folder, now.study, before, now.keys, now.tables, now.words)
    one, other = (dict(figures_of_sweep(each))["numbers_scale"].axes[0] for each in (now, saved))
    assert one.get_ylabel() == other.get_ylabel() == "share in predicted order"
    np.testing.assert_array_equal(one.containers[0].lines[0].get_xydata(), other.containers[0].lines[0].get_xydata())


def test_runs_that_compare_nothing_have_no_figure() -> None:
    bare = sweep()
    bare = SavedSweep(bare.folder, bare.study, bare.runs[["run", "init.scale", "model.width", "seed", "status"]],
                      bare.keys, {}, bare.words)
    assert names_of(bare) == []
