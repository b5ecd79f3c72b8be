"""Drops of the loss through noise: all that are there, none that is not, and a word where none can be told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from synthetic_staircases import KnownStaircase, random_staircase, relaxation, sigmoid_in_time, staircase

from agfrun.configuration.composition import load_config
from agfrun.labs.staircases.dynamics.gradient_descent import train_by_gradient_descent
from agfrun.labs.staircases.events.noise import binned, row_noise
from agfrun.labs.staircases.events.plateaus import Staircase, find_staircase
from agfrun.labs.staircases.run.problem import build_architecture

SEEDS = range(20)
WIDTH = 4.0
Curve = tuple[np.ndarray, np.ndarray]
Disturbance = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def three_drops(rows: int) -> KnownStaircase:
    """Drops of 0.8, 1.2 and 1, each of which takes a sixth of the plateaus beside it."""
    return staircase(np.array([3.2, 2.4, 1.2, 0.2]), np.array([20.0, 45.0, 70.0]), np.full(3, WIDTH),
                     [sigmoid_in_time] * 3, np.linspace(0, 100, rows))


def white(deviation: float) -> Disturbance:
    return lambda loss, times, rng: loss + deviation * rng.normal(size=loss.size)


def multiplicative(loss: np.ndarray, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return loss * (1 + 0.1 * rng.normal(size=loss.size))


def drifting(slope: float) -> Disturbance:
    return lambda loss, times, rng: white(0.1)(loss, times, rng) + slope * times


def diverging(deviation: float) -> Disturbance:
    """The loss runs away to 150 in the last three units of time."""
    return lambda loss, times, rng: white(deviation)(loss, times, rng) + np.exp(np.minimum((times - 97) * 3, 5))


DISTURBED: dict[str, tuple[Disturbance, int]] = {
    "white": (white(0.1), 1000),
    "weak": (white(0.01), 1000),
    "strong": (white(0.2), 1000),
    "multiplicative": (multiplicative, 1000),
    "drifting up": (drifting(0.002), 1000),
    "drifting down": (drifting(-0.002), 1000),
    "diverging": (diverging(0.1), 1000),
    "diverging without noise": (diverging(0.0), 1000),
    "coarse": (white(0.1), 200),
}


@pytest.mark.parametrize("name", DISTURBED)
def test_all_drops_are_found_and_none_is_invented(name: str) -> None:
    disturbance, rows = DISTURBED[name]
    known = three_drops(rows)
    for seed in SEEDS:
        loss = disturbance(known.loss, known.times, np.random.default_rng(seed))
        found = find_staircase(known.times, loss)
        assert len(found.drops) == 3, seed
        assert len(found.plateaus) == 4, seed
        shifts = np.abs([drop.time for drop in found.drops] - known.drop_times)
        assert shifts.max() < 0.5 * WIDTH
        levels = np.array([plateau.level for plateau in found.plateaus])
        # A mean of a tenth of the rows has a third of a row's noise at worst; the drift takes 0.2 in all.
        assert np.abs(levels - known.levels).max() < 0.3
        assert ("rises" in found.note) == name.startswith("diverging")


def smooth_falls() -> dict[str, Curve]:
    times = np.linspace(0, 100, 1000)
    return {
        "exponential": (times, np.exp(-times / 12)),
        "two rates": (times, 0.5 * np.exp(-times / 12) + 0.5 * np.exp(-times / 250)),
        "hyperbola": (times, 1 / (1 + times / 5)),
        "logistic": (times, 1 / (1 + np.exp((times - 50) / 5))),
        "line": (times, 1 - times / 100),
        "one relaxation": (times, relaxation(times, 30.0, 10.0)),
    }


@pytest.mark.parametrize("deviation", [0.01, 0.05])
@pytest.mark.parametrize("name", smooth_falls())
def test_a_fall_without_a_plateau_stays_one_drop_under_noise(name: str, deviation: float) -> None:
    times, loss = smooth_falls()[name]
    counts = [len(find_staircase(times, white(deviation)(loss, times, np.random.default_rng(seed))).drops)
              for seed in SEEDS]
    assert max(counts) <= 1


def test_nothing_but_noise_is_called_that() -> None:
    times = np.linspace(0, 100, 500)
    for seed in SEEDS:
        found = find_staircase(times, white(0.2)(np.ones(500), times, np.random.default_rng(seed)))
        assert not found.drops
        assert found.noise == pytest.approx(0.2, rel=0.25)
        assert found.note.startswith("no drop can be told from noise of standard deviation 0.")


def test_a_curve_that_never_rises_has_no_noise() -> None:
    """However coarse its rows are; what is found is then what the criteria say of the curve itself."""
    for seed in range(100):
        known = random_staircase(seed)
        kept = slice(None, None, 1 + seed % 4)
        assert not row_noise(known.times[kept], known.loss[kept]).any()
        assert find_staircase(known.times, known.loss).noise == 0
        assert find_staircase(known.times, known.loss).note == ""


def test_noise_is_estimated_beside_drops_outliers_and_unequal_rows() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 100, 2000))
    curve = 3.0 - 2.0 / (1 + np.exp(-(times - 50) / 2))
    loss = curve + 0.05 * rng.normal(size=2000)
    loss[rng.choice(2000, 40, replace=False)] += 5.0
    assert np.median(row_noise(times, loss)) == pytest.approx(0.05, rel=0.15)
    local = row_noise(times, curve * (1 + 0.02 * rng.normal(size=2000)))
    assert np.median(local[times < 40]) == pytest.approx(0.06, rel=0.2)
    assert np.median(local[times > 60]) == pytest.approx(0.02, rel=0.2)


def test_means_of_rows() -> None:
    np.testing.assert_array_equal(binned(np.array([1.0, 3, 5, 7, 9]), 2), [2, 6, 9])
    np.testing.assert_array_equal(binned(np.array([1.0, 2, 3, 7]), 3), [2])


def test_a_late_rise_takes_nothing_from_the_drops_before() -> None:
    known = three_drops(1000)
    kept = known.times < 96
    whole = find_staircase(known.times[kept], known.loss[kept])
    found = find_staircase(known.times, diverging(0.0)(known.loss, known.times, np.random.default_rng(0)))
    np.testing.assert_allclose([drop.time for drop in found.drops], [drop.time for drop in whole.drops], rtol=1e-3)


def minibatches(seed: int) -> Staircase:
    """A diagonal network of three coefficients, trained on four of twenty samples at a time."""
    config = load_config(["model=diagonal_linear", "data=random_regression", "data.dimension=3"])
    architecture = build_architecture(config)
    neurons = architecture.initialize("deterministic", 1e-3, torch.Generator().manual_seed(0))
    trained = train_by_gradient_descent(
        architecture, neurons, 12000, learning_rate=2e-3, batch_size=4 if seed else None,
        loss_normalization="sum_over_outputs", seed=seed)
    return find_staircase(trained.trajectory.times, trained.trajectory.loss)


def test_minibatches_show_the_drops_of_the_whole_batch() -> None:
    whole = minibatches(0)
    assert len(whole.drops) >= 2
    for seed in range(1, 5):
        found = minibatches(seed)
        assert len(found.drops) == len(whole.drops)
        times = [[drop.time for drop in each.drops] for each in (found, whole)]
        np.testing.assert_allclose(*times, rtol=0.1)
