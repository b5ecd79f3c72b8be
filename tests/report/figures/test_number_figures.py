"""The figures that a sweep of any study has: its numbers over one key or two."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from pendulums import LENGTHS, PendulumConfig, saved_sweep

from agfrun import Number, SavedSweep, figures_of_numbers
from agfrun.report.figures.axes import word_of
from agfrun.report.figures.number_maps import plot_number_maps
from agfrun.report.figures.numbers import plot_numbers
from agfrun.report.sweep_figures import figures_of_sweep
from agfrun.study.intervals import wilson_interval

BOTH = pytest.mark.parametrize("beside", [None, "shape"])


def over(saved: SavedSweep, key: str, beside: str | None = None) -> Figure:
    figure = plot_numbers(saved, key, beside)
    assert figure is not None
    return figure


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def line(axes: Axes, gid: str) -> Any:
    (found,) = [one for one in axes.get_lines() if one.get_gid() == gid]
    return found


def names_of(saved: SavedSweep) -> list[str]:
    return [name for name, _ in figures_of_sweep(saved)]


# ---- Over one key


def test_a_panel_for_each_number_that_is_drawn_in_the_studys_words() -> None:
    panels = shown(over(saved_sweep(), "length"))
    assert [axes.get_ylabel() for axes in panels] == ["period in seconds", "turns", "comes to rest"]
    assert {axes.get_xlabel() for axes in panels} == {"length in metres"}
    assert {axes.get_xscale() for axes in panels} == {"log"}
    assert [axes.get_yscale() for axes in panels] == ["log", "linear", "linear"]
    assert all(tick == round(tick) for tick in panels[1].get_yticks())


def test_numbers_are_medians_with_bands_from_the_tenth_to_the_ninetieth_percentile() -> None:
    saved = saved_sweep()
    period = shown(over(saved, "length"))[0]
    values = {length: saved.runs["period"][saved.runs["length"] == length] for length in LENGTHS}
    np.testing.assert_allclose(line(period, "period:median").get_xydata(),
                               [[length, values[length].median()] for length in LENGTHS])
    (band,) = period.collections
    vertices = band.get_paths()[0].vertices
    for length in LENGTHS:
        heights = vertices[np.isclose(vertices[:, 0], length), 1]
        assert (heights.min(), heights.max()) == pytest.approx(tuple(np.percentile(values[length], (10, 90))))


def test_flags_are_shares_of_the_runs_with_wilson_intervals() -> None:
    rests = shown(over(saved_sweep(), "length"))[2]
    (bars,) = rests.containers
    shares, _, (vertical,) = bars.lines
    np.testing.assert_allclose(np.asarray(shares.get_ydata(), dtype=float), [1, 0.4, 0])
    for (low, high), successes in zip((segment[:, 1] for segment in vertical.get_segments()), (10, 4, 0), strict=True):
        np.testing.assert_allclose((low, high), wilson_interval(successes, 10), atol=1e-12)
    assert rests.get_ylim() == (-0.04, 1.04)


def test_runs_that_do_not_say_are_no_part_of_a_share() -> None:
    saved = saved_sweep(keys=("length",), rests=[None, *[True] * 29])
    (bars,) = shown(over(saved, "length"))[2].containers
    _, _, (vertical,) = bars.lines
    np.testing.assert_allclose(vertical.get_segments()[0][:, 1], wilson_interval(9, 9), atol=1e-12)


def test_a_further_key_has_a_line_for_each_value() -> None:
    figure = over(saved_sweep(), "length", "shape")
    period = shown(figure)[0]
    medians = [one.get_ydata() for one in period.get_lines() if one.get_gid() == "period:median"]
    np.testing.assert_allclose(medians, [[3 * length for length in LENGTHS], [6 * length for length in LENGTHS]])
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "shape"
    assert [text.get_text() for text in legend.get_texts()] == ["bob", "rod"]


@BOTH
def test_one_run_a_value_has_no_band(beside: str | None) -> None:
    saved = saved_sweep()
    saved = dataclasses.replace(saved, runs=saved.runs[saved.runs["seed"] == 0])
    if beside is None:
        saved = dataclasses.replace(saved, runs=saved.runs[saved.runs["shape"] == "bob"])
    assert not shown(over(saved, "length", beside))[0].collections


def test_over_words_there_is_no_line_between_them() -> None:
    period, _, rests = shown(over(saved_sweep(), "shape"))
    median = line(period, "period:median")
    assert median.get_linewidth() == rests.containers[0].lines[0].get_linewidth() == 0
    np.testing.assert_allclose(median.get_xydata(), [[0, 3], [1, 6]])
    assert [text.get_text() for text in period.get_xticklabels()] == ["bob", "rod"]


def test_a_number_that_has_no_logarithm_everywhere_keeps_those_that_do() -> None:
    saved = saved_sweep(keys=("length",), period=[0.0, *range(1, 30)])
    median = line(shown(over(saved, "length"))[0], "period:median")
    assert median.get_ydata()[0] == np.median(range(1, 10))


# ---- Over two


def test_a_map_has_medians_and_shares_of_both_keys() -> None:
    figure = plot_number_maps(saved_sweep(), "length", "shape")
    assert figure is not None
    period, turns, rests = shown(figure)[:3]
    np.testing.assert_allclose(period.images[0].get_array(), [[0.3, 3, 30], [0.6, 6, 60]])
    np.testing.assert_allclose(turns.images[0].get_array(), [[5] * 3] * 2)
    np.testing.assert_allclose(rests.images[0].get_array(), [[1, 0.4, 0]] * 2)
    assert [axes.get_title("left") or axes.get_title() for axes in (period, turns, rests)] == [
        "median period in seconds", "median turns", "comes to rest"]
    assert [text.get_text() for text in rests.texts] == ["1", "0.4", "0"] * 2
    assert isinstance(period.images[0].norm, LogNorm)
    assert (rests.images[0].norm.vmin, rests.images[0].norm.vmax) == (0, 1)
    assert (period.get_xlabel(), period.get_ylabel()) == ("length in metres", "shape")
    assert [text.get_text() for text in period.get_yticklabels()] == ["bob", "rod"]


def test_a_cell_without_a_run_is_empty() -> None:
    saved = saved_sweep()
    gap = saved.runs[(saved.runs["length"] != 1.0) | (saved.runs["shape"] != "rod")]
    figure = plot_number_maps(dataclasses.replace(saved, runs=gap), "length", "shape")
    assert figure is not None
    values = shown(figure)[1].images[0].get_array()
    assert np.ma.getmaskarray(values).tolist() == [[False] * 3, [False, True, False]]
    assert len(shown(figure)[1].texts) == 5


# ---- Which there are


@pytest.mark.parametrize(("keys", "names"), [
    (["length"], ["numbers_length"]),
    (["shape"], ["numbers_shape"]),
    (["length", "shape"], ["numbers_length", "numbers_shape", "map_length_shape"]),
    ([], []),
])
def test_figures_follow_from_the_swept_keys(keys: list[str], names: list[str]) -> None:
    assert names_of(saved_sweep(keys)) == names


def test_of_three_keys_every_pair_has_a_map_and_no_key_a_legend() -> None:
    saved = saved_sweep(["length", "shape", "train.rate"])
    saved.runs["train.rate"] = [0.1, 0.2, 0.3] * 10
    figures = dict(figures_of_numbers(saved))
    assert list(figures) == ["numbers_length", "numbers_shape", "numbers_rate", "map_length_shape", "map_length_rate",
                             "map_shape_rate"]
    assert not figures["numbers_length"].legends


def test_keys_that_share_their_last_part_have_figures_of_their_own() -> None:
    saved = saved_sweep(["train.rate", "agf.rate"])
    saved.runs["train.rate"], saved.runs["agf.rate"] = [0.1, 0.2] * 15, [1, 2, 3] * 10
    assert names_of(saved) == ["numbers_train_rate", "numbers_agf_rate", "map_train_rate_agf_rate"]


def test_a_key_with_one_value_is_no_axis() -> None:
    saved = saved_sweep()
    saved = dataclasses.replace(saved, runs=saved.runs[saved.runs["shape"] == "rod"])
    assert names_of(saved) == ["numbers_length"]
    assert not dict(figures_of_sweep(saved))["numbers_length"].legends


@pytest.mark.parametrize("columns", [
    {"period": None, "turns": None, "rests": None}, {"period": np.nan, "turns": np.inf, "rests": pd.NA}])
def test_no_figure_is_empty(columns: dict[str, Any]) -> None:
    assert names_of(saved_sweep(**columns)) == []
    bare = saved_sweep()
    assert names_of(dataclasses.replace(bare, runs=bare.runs[["run", "length", "shape", "status"]])) == []
    assert names_of(dataclasses.replace(bare, runs=bare.runs.head(0))) == []


def test_only_numbers_that_some_run_has_are_drawn() -> None:
    (figure,) = dict(figures_of_sweep(saved_sweep(["length"], turns=np.nan))).values()
    assert [axes.get_ylabel() for axes in shown(figure)] == ["period in seconds", "comes to rest"]


def test_a_study_draws_its_own_figures_instead() -> None:
    class Own(PendulumConfig):
        def sweep_figures(self, sweep: SavedSweep) -> list[tuple[str, Figure]]:
            assert sweep.varied == ["length", "shape"]
            return [("own", Figure())]

    class Nothing(PendulumConfig):
        def sweep_figures(self, sweep: SavedSweep) -> tuple[tuple[str, Figure], ...]:
            return ()

    assert names_of(saved_sweep(study=Own())) == ["own"]
    assert names_of(saved_sweep(study=Nothing())) == []


def test_many_numbers_fill_rows_and_the_rest_is_left_out() -> None:
    class Many(PendulumConfig):
        numbers = tuple(Number(f"number_{place}", f"number {place}") for place in range(12))

    many = saved_sweep(["length"], Many(), **{f"number_{place}": 1.0 for place in range(12)})
    assert [axes.get_ylabel() for axes in shown(over(many, "length"))] == [f"number {place}" for place in range(9)]


@pytest.mark.parametrize(("value", "word"), [
    (1e-6, "$10^{-6}$"), (3e-3, "$3\\cdot 10^{-3}$"), (0.5, "0.5"), (24, "24"), ("timed", "timed"), (-400, "-400"),
    (0, "0"), (0.0012345, "$1.2\\cdot 10^{-3}$"), (20000, "$2\\cdot 10^{4}$"), (True, "True")])
def test_values_in_words(value: object, word: str) -> None:
    assert word_of(value) == word
