from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from wordings import MODADD

from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context
from agfrun.labs.staircases.report.figures.modular_addition import (
    PlateauState,
    band_limited,
    learned_frequencies,
    network_output,
    plot_predictions,
    plot_weights,
    select_states,
)
from agfrun.report.figures.style import NO_FEATURE_GREY

P = 12
SixNeurons = Callable[[int], np.ndarray]


@pytest.fixture
def context(run: Any) -> FigureContext:
    return figure_context(*MODADD, run.loss, run.features, run.event_table)


@pytest.fixture
def states(template: np.ndarray, six_neurons: SixNeurons) -> list[PlateauState]:
    """Nothing learned, then frequency 1, then frequencies 1 and 4."""
    small = 1e-3 * np.ones((6, 3, P))
    neurons = [
        np.concatenate([small, small]),
        np.concatenate([six_neurons(1), small]),
        np.concatenate([six_neurons(1), six_neurons(4)]),
    ]
    return [PlateauState.of(10.0**place, state, template) for place, state in enumerate(neurons)]


def test_output_of_the_exact_solution_is_the_target(template: np.ndarray, six_neurons: SixNeurons) -> None:
    neurons = np.concatenate([six_neurons(frequency) for frequency in (1, 2, 4)])
    for a, b in ((0, 0), (3, 4), (11, 7)):
        np.testing.assert_allclose(
            network_output(neurons, template, a, b), np.roll(template, a + b), atol=1e-12
        )


def test_output_of_one_neuron_by_hand() -> None:
    template = np.array([1.0, -1.0, 0.0])
    neuron = np.array([[[1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [1.0, 0.0, -1.0]]])
    # <u, roll(x, 1)> = 2 - 3, <v, roll(x, 2)> = 0: their sum squared is 1.
    np.testing.assert_array_equal(network_output(neuron, template, 1, 2), [1.0, 0.0, -1.0])


@pytest.mark.parametrize("frequencies", [(), (1,), (2, 4), (1, 2, 4)])
def test_learned_frequencies(
    template: np.ndarray, six_neurons: SixNeurons, frequencies: tuple[int, ...]
) -> None:
    neurons = np.concatenate([np.zeros((1, 3, P)), *(six_neurons(frequency) for frequency in frequencies)])
    assert learned_frequencies(neurons, template) == frequencies


def test_a_frequency_of_the_wrong_sign_is_not_learned(template: np.ndarray, six_neurons: SixNeurons) -> None:
    neurons = six_neurons(1) * np.array([1, 1, -1])[:, None]
    assert learned_frequencies(neurons, template) == ()


def test_states_are_the_last_of_each_learned_set(states: list[PlateauState]) -> None:
    none, one, two = states
    late = PlateauState(50.0, one.neurons, one.learned)
    repeated_end = PlateauState(None, two.neurons, two.learned)
    assert select_states([none, one, late, two, repeated_end]) == [none, late, two]
    new_end = PlateauState(None, two.neurons, (1, 2, 4))
    assert select_states([none, one, new_end]) == [none, one, new_end]


def test_at_most_six_states_with_both_ends() -> None:
    many = [PlateauState(float(time), np.zeros((1, 3, 2)), tuple(range(time))) for time in range(11)]
    assert [state.time for state in select_states(many)] == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize(("count", "frequency"), [(12, 0), (12, 3), (12, 6), (11, 5)])
def test_band_limited_interpolation_of_a_cosine(count: int, frequency: int) -> None:
    grid = np.arange(7 * count) / 7
    values = np.cos(2 * np.pi * frequency * np.arange(count) / count)
    np.testing.assert_allclose(
        band_limited(values, 7), np.cos(2 * np.pi * frequency * grid / count), atol=1e-12
    )


def test_weights_spectra_and_phases_are_those_of_the_neurons(
    context: FigureContext, states: list[PlateauState]
) -> None:
    figure = plot_weights(context, states, initial_norm=1e-2)
    assert len(figure.axes) == 9
    weights, spectrum, phases = figure.axes[6:]
    lines = [c for c in weights.collections if isinstance(c, LineCollection)]
    blue, green = context.colours["1"], context.colours["4"]
    assert {to_rgb(c.get_color()[0]) for c in lines} == {to_rgb(blue), to_rgb(green)}
    of_blue = next(c for c in lines if to_rgb(c.get_color()[0]) == to_rgb(blue))
    at_integers = np.array([segment[::12, 1] for segment in of_blue.get_segments()])
    np.testing.assert_allclose(at_integers, states[2].neurons[:6, 2], atol=1e-12)
    power = np.array([s[:, 1] for c in spectrum.collections for s in c.get_segments()])
    assert power.shape == (12, 7)
    assert sorted(power.argmax(axis=1)) == [1] * 6 + [4] * 6
    (dots,) = (c for c in phases.collections if isinstance(c, PathCollection))
    # The solution's output phases are 2 pi i 5 / 6 for each of the two frequencies.
    wanted = np.tile(2 * np.pi * 5 * np.arange(6) / 6, 2)
    np.testing.assert_allclose(np.exp(1j * dots.get_offsets()[:, 0]), np.exp(1j * wanted), atol=1e-9)


def test_dormant_neurons_are_grey_and_have_no_phase(
    context: FigureContext, states: list[PlateauState]
) -> None:
    figure = plot_weights(context, states, initial_norm=1e-2)
    weights, _, phases = figure.axes[:3]
    assert {to_rgb(c.get_color()[0]) for c in weights.collections} == {to_rgb(NO_FEATURE_GREY)}
    assert [len(c.get_offsets()) for c in phases.collections] == [0]


def test_rows_say_when_and_what(context: FigureContext, states: list[PlateauState]) -> None:
    end = PlateauState(None, states[2].neurons, states[2].learned)
    figure = plot_weights(context, [*states[:2], end], initial_norm=1e-2)
    assert [axes.get_title(loc="left") for axes in figure.axes[::3]] == [
        "time 1; frequency learned: none", "time 10; frequency learned: 1", "end; frequency learned: 1, 4"
    ]


def test_predictions_are_the_outputs_over_the_targets(
    context: FigureContext, states: list[PlateauState], template: np.ndarray
) -> None:
    pairs = [(0, 0), (2, 3)]
    figure = plot_predictions(context, states, template, pairs)
    assert len(figure.axes) == 6
    for place, axes in enumerate(figure.axes):
        state, (a, b) = states[place // 2], pairs[place % 2]
        target, _, dots = axes.get_lines()
        np.testing.assert_allclose(target.get_ydata()[::12], np.roll(template, a + b), atol=1e-12)
        np.testing.assert_array_equal(dots.get_ydata(), network_output(state.neurons, template, a, b))
    assert figure.axes[4].get_xlabel() == "position, a = 0, b = 0"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["target", "network"]
