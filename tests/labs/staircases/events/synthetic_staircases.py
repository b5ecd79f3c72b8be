"""Loss staircases with known plateaus and drops, recorded at unequal times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

SPAN = 2 * np.log(19.0)  # width of the logistic function from 5% to 95%


@dataclass(frozen=True)
class KnownStaircase:
    times: FloatArray
    loss: FloatArray
    levels: FloatArray
    drop_times: FloatArray
    widths: FloatArray

    def with_noise(self, relative: float, rng: np.random.Generator) -> KnownStaircase:
        """Gaussian noise of this part of the smallest drop on every row."""
        smallest = float(np.min(-np.diff(self.levels)))
        noisy = self.loss + relative * smallest * rng.normal(size=self.loss.size)
        return KnownStaircase(self.times, noisy, self.levels, self.drop_times, self.widths)


def logistic(x: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(np.clip(x, -700, 700)))


def sigmoid_in_time(t: FloatArray, start: float, width: float) -> FloatArray:
    return logistic((t - start) / width * SPAN)


def sigmoid_in_log_time(t: FloatArray, start: float, width: float) -> FloatArray:
    steepness = SPAN / (2 * np.arcsinh(width / (2 * start)))
    return logistic(steepness * np.log(np.maximum(t, 1e-300) / start))


def relaxation(t: FloatArray, start: float, width: float) -> FloatArray:
    return np.where(t < start, 1.0, np.exp(-np.clip((t - start) / width * np.log(19), 0, 700)))


def escape_and_relaxation(t: FloatArray, start: float, width: float) -> FloatArray:
    x = (t - start) / width * 3
    return np.where(x < 0, 1 - 0.5 * np.exp(np.clip(4 * x, -700, 0)), 0.5 * np.exp(-np.clip(x, 0, 700)))


Shape = Callable[[FloatArray, float, float], FloatArray]
SMOOTH: tuple[Shape, ...] = (sigmoid_in_time, sigmoid_in_log_time, relaxation, escape_and_relaxation)


def half_time(shape: Shape | None, start: float, width: float) -> float:
    return start + width * np.log(2) / np.log(19) if shape is relaxation else start


def staircase(
    levels: FloatArray, starts: FloatArray, widths: FloatArray, shapes: list[Shape | None], rows: FloatArray
) -> KnownStaircase:
    """Staircase of drops between `levels`; a shape None is a jump, recorded by two rows at its time."""
    jumps = np.array([start for start, shape in zip(starts, shapes, strict=True) if shape is None])
    times = np.sort(np.concatenate([np.setdiff1d(rows, jumps), np.repeat(jumps, 2)]))
    loss = np.full_like(times, levels[-1])
    for index, (start, width, shape) in enumerate(zip(starts, widths, shapes, strict=True)):
        if shape is None:
            left = (times < start).astype(float)
            left[np.searchsorted(times, start)] = 1.0
        else:
            left = shape(times, start, width)
        loss = loss + (levels[index] - levels[index + 1]) * left
    halves = np.array([half_time(*drop) for drop in zip(shapes, starts, widths, strict=True)])
    return KnownStaircase(times, loss, levels, halves, widths)


def record(starts: FloatArray, widths: FloatArray, end: float, sparse: int, dense: int) -> FloatArray:
    """Time 0, `sparse` rows a geometric series to `end`, and `dense` rows around each drop."""
    around = starts[:, None] + widths[:, None] * np.append(np.linspace(-1.5, 3, dense), 0.0)
    return np.unique(np.concatenate([[0.0], np.geomspace(starts[0] * 1e-4, end, sparse), around[around > 0]]))


def random_staircase(seed: int) -> KnownStaircase:
    """1 to 8 drops of 2% to 95% of the loss, the last perhaps of all of it.

    Each plateau lasts at least four times as long as the drops beside it.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    kept = np.where(rng.random(count) < 0.5, rng.uniform(0.05, 0.95, count), rng.uniform(0.7, 0.98, count))
    if rng.random() < 0.5:
        kept[-1] = 0.0
    levels = np.cumprod(np.insert(kept, 0, 10 ** rng.uniform(-3, 3)))
    starts, widths = [], []
    now, last = float(10 ** rng.uniform(-1, 2)), 0.0
    for _ in range(count):
        length = max(now * 10 ** rng.uniform(-2, 1), 4 * last)
        now, last = now + last + length, length * 10 ** rng.uniform(-2, -0.6)
        starts.append(now)
        widths.append(last)
    shapes = [(*SMOOTH, None)[index] for index in rng.integers(0, len(SMOOTH) + 1, count)]
    widths = [0.0 if shape is None else width for width, shape in zip(widths, shapes, strict=True)]
    end = now + 20 * last + now * rng.uniform(0.1, 2)
    sparse, dense = int(rng.integers(40, 300)), int(rng.integers(15, 60))
    rows = record(np.array(starts), np.array(widths), end, sparse, dense)
    return staircase(levels, np.array(starts), np.array(widths), shapes, rows)
