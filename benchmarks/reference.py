"""Reference solutions: where the features rise, the plateaus between, and the neurons at the end.

Computed once at tolerance 1e-12 (ReLU: 1e-10) by the uncompiled steps of agfrun, with the whole Jacobian, and kept in
benchmarks/references; `python -m benchmarks.reference` computes what is missing. That it is right is not taken on
trust: trajectories.csv shows whether independent solvers converge to it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import Integration, IntegrationStatistics
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from benchmarks.problems import EXPERIMENTS, Instance, build

Array = npt.NDArray[np.float64]

# A feature counts if it ends at this part of the largest.
NEGLIGIBLE = 0.01
# A level below this part of the initial loss is compared on that scale.
SMALLEST_LEVEL = 1e-6
POINTS_ACROSS_A_DROP = 40


@dataclass(frozen=True)
class Reference:
    """What an answer is compared with.

    Attributes:
        features: indices of the features that are learned, (E,).
        levels: half the size, with its sign, at which each ends, (E,).
        drop_times: when each first reaches it, (E,).
        plateau_times, plateau_losses: middle of each plateau and the loss there, (E,).
        grid: times at which solvers are to answer, increasing from 0 to the horizon; dense across drops, (T,).
        final: neurons at the horizon, (H, D).
        initial_loss: paper loss at the start, ().
        tolerance: of the reference, ().
    """

    features: npt.NDArray[np.int64]
    levels: Array
    drop_times: Array
    plateau_times: Array
    plateau_losses: Array
    grid: Array
    final: Array
    initial_loss: Array
    tolerance: Array


@dataclass(frozen=True)
class Answer:
    """A competitor's answer: times (T,), features (T, F), paper losses (T,), neurons at the end (H, D)."""

    times: Array
    features: Array
    losses: Array
    final: Array


@dataclass(frozen=True)
class Errors:
    """Relative errors of an answer: worst drop time, worst level of a plateau, neurons at the end."""

    drop_time: float
    level: float
    final: float


def load_reference(instance: Instance, folder: Path, tolerance: float | None = None) -> Reference:
    """The kept reference of this very experiment; computed and kept if there is none.

    Args:
        tolerance: of what is computed; the experiment's by default.
    """
    path = folder / f"{instance.name}-{_identity(instance)}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return Reference(**{name: stored[name] for name in stored.files})
    reference = solve_reference(instance, tolerance or instance.experiment.reference_tolerance)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **asdict(reference))
    from agfrun.files.writing import write_bytes

    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
    return reference


class WholeJacobian(FlowCoordinates):
    """Coordinates without compiled steps, whose implicit steps have the whole Jacobian: Rodas5P keeps its order.

    With the part of it that modular addition's own steps have, a hundredth of the tolerance takes ten times the steps.
    """

    def __init__(self, own: FlowCoordinates) -> None:
        self.own, self.symmetric = own, own.symmetric

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        return self.own.encode(neurons)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return self.own.decode(y)

    def renewed(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.renewed`."""
        return self.own.renewed(y)

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        return self.own.loss_and_velocity(y)

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        return self.own.jacobian(y)

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return self.own.relative_error(error, y, y_new)


def solve_reference(instance: Instance, tolerance: float) -> Reference:
    """Integrate to `tolerance` and read off the events."""
    coordinates = WholeJacobian(instance.architecture.flow_coordinates(instance.initial))
    y, times, states = coordinates.encode(instance.initial), [0.0], [instance.initial]
    for segment in Integration(Rosenbrock(coordinates, IntegrationStatistics()), y, 0.0, instance.horizon, tolerance):
        times.append(segment.end)
        states.append(coordinates.decode(segment.y_end).clone())
    path = observed(instance, np.array(times), torch.stack(states).numpy())
    return reference_of(path, instance.horizon, tolerance)


def reference_of(path: Answer, horizon: float, tolerance: float) -> Reference:
    """What is read off a path to the horizon."""
    times, features, losses = path.times, path.features, path.losses
    sizes = np.abs(features[-1])
    learned = np.flatnonzero((sizes > NEGLIGIBLE * sizes.max()) & (np.abs(features[0]) < sizes / 2))
    levels = features[-1, learned] / 2
    drops = np.array([crossing_time(times, features[:, index], level, smooth=True)
                      for index, level in zip(learned, levels, strict=True)])
    order = np.argsort(drops)
    learned, levels, drops = learned[order], levels[order], drops[order]
    plateaus = np.sqrt(drops * np.append(drops[1:], horizon))
    windows = [_window(times, features[:, index], level, drop)
               for index, level, drop in zip(learned, levels, drops, strict=True)]
    grid = np.unique(np.concatenate([[0.0], *windows, plateaus, [horizon]]))
    return Reference(learned, levels, drops, plateaus, loss_at(plateaus, times, losses),
                     grid[grid <= horizon], path.final, np.array(losses[0]), np.array(tolerance))


def errors_of(path: Answer, reference: Reference) -> Errors:
    """How far an answer is from the reference; infinite where a drop is missing. Levels count as far as it goes."""
    drops = np.array([crossing_time(path.times, path.features[:, index], level)
                      for index, level in zip(reference.features, reference.levels, strict=True)])
    found = bool(np.isfinite(drops).all())
    drop_error = float(np.max(np.abs(drops / reference.drop_times - 1), initial=0.0)) if found else np.inf
    reached = reference.plateau_times <= path.times[-1]
    levels = reference.plateau_losses[reached]
    losses = loss_at(reference.plateau_times[reached], path.times, path.losses)
    sizes = np.maximum(levels, SMALLEST_LEVEL * reference.initial_loss)
    level_error = float(np.max(np.abs(losses - levels) / sizes, initial=0.0))
    final_error = float(np.linalg.norm(path.final - reference.final) / np.linalg.norm(reference.final))
    return Errors(drop_error, level_error, final_error)


def observed(instance: Instance, times: Array, states: Array) -> Answer:
    """The answer that states (T, H, D) at `times` give."""
    architecture = instance.architecture
    neurons = torch.tensor(states)
    features = architecture.features(neurons).numpy()
    losses = np.array([float(_loss(instance, state)) for state in neurons])
    return Answer(times, features, losses, states[-1])


def closer(answer: Answer, reference: Reference) -> Array:
    """Times as many as the reference's grid, most of them between the two of an answer where each feature drops.

    A second solution there says when it drops: how far that is from the reference is not known beforehand.
    """
    brackets = [found for index, level in zip(reference.features, reference.levels, strict=True)
                if (found := _bracket(answer.features[:, index], level)) is not None]
    end, count = reference.grid[-1], len(reference.grid)
    ends = np.unique([(answer.times[row - 1], answer.times[row]) for row in brackets], axis=0)
    within = (count - 2) // max(len(ends), 1)
    inside = [np.linspace(low, high, within + 2)[1:-1] for low, high in ends]
    times = np.unique(np.concatenate([[0.0, end], *inside]))
    # As many as before, so that what was compiled for so many times is used again.
    rest = np.linspace(times[-2], end, count - len(times) + 2)[1:-1]
    return np.asarray(np.concatenate([times[:-1], rest, times[-1:]]))


def joined(first: Answer, second: Answer) -> Answer:
    """Both answers of one competitor, by time."""
    times = np.concatenate([first.times, second.times])
    order = np.unique(times, return_index=True)[1]
    return Answer(times[order], np.concatenate([first.features, second.features])[order],
                  np.concatenate([first.losses, second.losses])[order], first.final)


def _bracket(values: Array, level: float) -> int | None:
    """The first row at which `values` has reached `level`; None if never, or at the start."""
    above = np.flatnonzero(values / level >= 1)
    return int(above[0]) if above.size and above[0] > 0 else None


def crossing_time(times: Array, values: Array, level: float, smooth: bool = False) -> float:
    """When `values` first reaches `level` from zero's side; NaN if never.

    Args:
        smooth: interpolate by the polynomial through six rows, for rows as close as the steps of an accurate method;
            else by cubic polynomials that do not overshoot.
    """
    from scipy.interpolate import BarycentricInterpolator, PchipInterpolator
    from scipy.optimize import brentq

    row = _bracket(values, level)
    if row is None:
        return float("nan")
    sizes = values / level - 1
    near = slice(max(row - 3, 0), row + 3)
    local_times, first = np.unique(times[near], return_index=True)
    curve = (BarycentricInterpolator if smooth else PchipInterpolator)(local_times, sizes[near][first])
    return float(brentq(curve, times[row - 1], times[row], xtol=1e-15 * times[row], rtol=1e-14))


def loss_at(wanted: Array, times: Array, losses: Array) -> Array:
    """Losses at `wanted` times, by cubic interpolation of their logarithms."""
    from scipy.interpolate import PchipInterpolator

    distinct, first = np.unique(times, return_index=True)
    positive = np.maximum(losses[first], np.finfo(np.float64).tiny)
    return np.asarray(np.exp(PchipInterpolator(distinct, np.log(positive))(np.minimum(wanted, distinct[-1]))))


def _window(times: Array, sizes: Array, level: float, crossing: float) -> Array:
    """Times dense around the moment at which a feature reaches `level`, thinning out on both sides."""
    row = int(np.searchsorted(times, crossing))
    rate = abs(float((sizes[row] - sizes[row - 1]) / (times[row] - times[row - 1])))
    width = min(2 * abs(level) / rate, 0.5 * crossing)
    far = width * 2.0 ** np.arange(1, 12)
    points = crossing + np.concatenate([np.linspace(-width, width, POINTS_ACROSS_A_DROP), -far, far])
    return np.asarray(points[points > 0])


def _loss(instance: Instance, neurons: Tensor) -> Tensor:
    return instance.architecture.loss(instance.architecture.residual(neurons))


def _identity(instance: Instance) -> str:
    """Changes with the experiment: its configuration, its initialization and the horizon."""
    text = f"{instance.experiment.overrides} {tuple(instance.initial.shape)} {float(instance.initial.norm()):.9g}"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:8]}-{instance.horizon:g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute the references that are missing."""
    from benchmarks.timing import pin_threads

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/references"))
    parser.add_argument("experiments", nargs="*", default=list(EXPERIMENTS))
    chosen = parser.parse_args(arguments)
    pin_threads(1)
    for name in chosen.experiments:
        reference = load_reference(build(name), chosen.folder)
        drops = " ".join(f"{time:.9g}" for time in reference.drop_times)
        print(f"{name}: drops at {drops}; {len(reference.grid)} times", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
