"""How far a training run is from its predictions, on the accelerated clock on which the limit is taken.

On the clock tau = t * rate, with rate = 1 / log(1/scale) at homogeneity degree 2 and scale^(degree - 2) above
(AGF paper, section 2), drops stay at finite times as the scale vanishes while their durations go to zero
like the rate: it is the ratio of the two time scales, and a distance that comes from the drops alone is
proportional to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.staircases.analysis.distances import Curve, distance_between_jumps, integrated_distance, thinned
from agfrun.labs.staircases.config import GradientFlowConfig
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event

if TYPE_CHECKING:
    from agfrun.labs.staircases.run.result import Result

# The window ends at this multiple of the time of training's last acquisition.
WINDOW = 1.5
# What is nearer to an activation than this part of its time does not count for the distance on the plateaus.
MARGIN = 0.25
# A distance below this multiple of the integration tolerance, relative to what it is a distance of, is not resolved.
RESOLUTION = 10.0
DRAWN_ROWS = 400


@dataclass(frozen=True)
class AcceleratedClock:
    """The clock of a homogeneity degree, at least 2."""

    degree: int

    def rate(self, log10_scale: float) -> float:
        """Accelerated time for each unit of gradient-flow time at a scale."""
        if self.degree == 2:
            return 1 / (-log10_scale * math.log(10))
        return float(10 ** (log10_scale * (self.degree - 2)))

    @property
    def formula(self) -> str:
        """The clock in words."""
        if self.degree == 2:
            return "t / log(1/scale)"
        return "t * scale" if self.degree == 3 else f"t * scale^{self.degree - 2}"


def window(result: Result) -> float | None:
    """Gradient-flow time up to which paths are compared; None where nothing is acquired.

    1.5 times that of training's last acquisition (the main prediction's, if training has none), or as far as training
    was stopped before its loss had converged.
    """
    for source in ("training", result.prediction.source):
        acquired = [event.time for event in result.events[source] if event.kind == "acquisition"]
        if acquired:
            end, reached = WINDOW * acquired[-1], float(result.training.trajectory.times[-1])
            return end if result.training.status == "converged" else min(end, reached)
    return None


def references(result: Result, end: float) -> dict[str, Trajectory]:
    """What training is compared with: the main prediction, and theory's staircase where it has times."""
    theory = result.theory.trajectory(result.prediction.trajectory.feature_names, end) if result.theory else None
    return {result.prediction.source: result.prediction.trajectory} | ({"theory": theory} if theory is not None else {})


def distance_rows(result: Result, rate: float) -> list[dict[str, Any]]:
    """Rows of distances.csv: one for each reference and quantity, and for each acquisition's time.

    Quantities:
        time: |predicted - measured| of an acquisition, on the accelerated clock. Theory's activations stand
            for acquisitions where it has as many of each feature that AGF acquires.
        loss: area between the loss curves over the window on the accelerated clock, in units of the initial
            loss: where the drops alone differ, the mean of their delays, weighted by their falls.
        features: the same of the features, summed, in units of their final sum in AGF.
        plateaus: largest distance of the losses on what is left of the window when 25% of the time on
            either side of each of the reference's activations is cut out, in units of the initial loss.
    """
    end = window(result)
    if end is None:
        return []
    return [{"reference": name, **row} for name, path in references(result, end).items()
            for row in (*_times(result, name, rate), *_curves(result, path, rate, end))]


def curve_rows(result: Result, rate: float) -> list[dict[str, Any]]:
    """Rows of curves.csv: losses on the accelerated clock, as parts of the initial loss, thinned for drawing."""
    end = window(result)
    if end is None:
        return []
    initial = float(result.training.trajectory.loss[0])
    paths = {"training": result.training.trajectory, **references(result, end)}
    return [
        {"source": name, "clock_time": time * rate, "loss_share": loss}
        for name, path in paths.items()
        for time, loss in _rows_until(Curve(path.times, path.loss / initial), end)
    ]


def _rows_until(curve: Curve, end: float) -> Iterator[tuple[float, float]]:
    kept = curve.times <= end
    shown = thinned(Curve(curve.times[kept], curve.values[kept]), DRAWN_ROWS)
    yield from zip(shown.times.tolist(), shown.values.tolist(), strict=True)
    yield end, float(curve.limits(np.array([end]))[0][0, 0])


def _curves(result: Result, reference: Trajectory, rate: float, end: float) -> Iterator[dict[str, Any]]:
    trained, initial = result.training.trajectory, float(result.training.trajectory.loss[0])
    compared = _compared(result, reference, end)
    losses = Curve(trained.times, trained.loss / initial), Curve(reference.times, reference.loss / initial)
    yield _area(result, "loss", *losses, rate, compared)
    jumps = [event.time for event in result.events[reference.source] if event.kind == "activation"]
    yield _row(result, "plateaus", distance_between_jumps(*losses, compared, jumps, MARGIN), 1.0)
    size = float(np.abs(Curve(reference.times, reference.features).limits(np.array([end]))[0]).sum())
    if np.isfinite(reference.features).all() and size > 0:
        features = Curve(trained.times, trained.features / size), Curve(reference.times, reference.features / size)
        yield _area(result, "features", *features, rate, compared)


def _area(result: Result, quantity: str, trained: Curve, reference: Curve, rate: float, end: float) -> dict[str, Any]:
    """Area between two curves, of size the area that the reference itself has above or below its end."""
    final = Curve(np.array([0.0]), reference.limits(np.array([end]))[0])
    size = integrated_distance(reference, final, end) * rate
    return _row(result, quantity, integrated_distance(trained, reference, end) * rate, size)


def _compared(result: Result, reference: Trajectory, end: float) -> float:
    """Up to where in the window there is something to compare.

    Once training has converged and the reference has no activation left, what separates them is only how far training
    was let converge; the area that this adds would not vanish with the scale.
    """
    if result.training.status != "converged":
        return end
    last = max((event.time for event in result.events[reference.source] if event.kind == "activation"), default=0.0)
    return min(end, max(float(result.training.trajectory.times[-1]), last))


def _times(result: Result, reference: str, rate: float) -> Iterator[dict[str, Any]]:
    met = [row for row in result.main_rows if row["kind"] == "acquisition"]
    seen: Counter[str] = Counter()
    theory = _theory_times(result, met) if reference == "theory" else {}
    for row in met:
        feature, measured = row["feature"], row["time_training"]
        predicted = row["time_predicted"] if reference != "theory" else theory.get((feature, seen[feature]), math.nan)
        seen[feature] += 1
        if math.isfinite(measured) and math.isfinite(predicted):
            at = predicted * rate
            yield _row(result, "time", abs(predicted - measured) * rate, at, feature, seen[feature], at)


def _theory_times(result: Result, acquisitions: list[dict[str, Any]]) -> dict[tuple[str, int], float]:
    """Times of theory's activations by feature and occurrence; empty if they are not acquisitions."""
    events: list[Event] = [event for event in result.events["theory"] if event.kind == "activation"]
    activations = Counter(event.feature for event in events)
    if any(activations[feature] != count for feature, count in Counter(row["feature"] for row in acquisitions).items()):
        return {}
    seen: Counter[str] = Counter()
    times = {}
    for event in events:
        times[event.feature, seen[event.feature]] = event.time
        seen[event.feature] += 1
    return times


def _row(result: Result, quantity: str, distance: float, size: float, feature: str | None = None,
         occurrence: int | None = None, clock_time: float | None = None) -> dict[str, Any]:
    """One distance. Below the integration tolerance, relative to `size`, it may be the integrator's."""
    train = result.config.train
    resolution = RESOLUTION * train.tolerance * size if isinstance(train, GradientFlowConfig) else 0.0
    return {"quantity": quantity, "feature": feature, "occurrence": occurrence, "clock_time": clock_time,
            "distance": distance, "resolved": distance > resolution}
