"""Training by gradient flow, integrated adaptively from the given initialization."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor

from agfrun.files.training_state import Checkpoints, TrainingState, restoring
from agfrun.labs.staircases.config import LARGEST_FACTORIZED
from agfrun.labs.staircases.dynamics.chebyshev import RungeKuttaChebyshev
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.extrapolation import ExtrapolatedEuler, PartlyStiffCoordinates
from agfrun.labs.staircases.dynamics.integrate import Integration, IntegrationStatistics, Segment, Stepper, Stretch
from agfrun.labs.staircases.dynamics.lsoda import LsodaIntegration
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.rock import Rock4
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.dynamics.sampling import pieces
from agfrun.labs.staircases.dynamics.switching import QuickestIntegration
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.study.errors import ConfigError, DivergenceError, StalledError
from agfrun.study.interruption import Interruption

if TYPE_CHECKING:
    from agfrun.labs.staircases.compiled.integration import CompiledIntegration

Progress = Callable[[float, float], None]


def make_stepper(method: str, coordinates: FlowCoordinates, size: int,
                 statistics: IntegrationStatistics) -> Stepper:
    """The stepper for `method`.

    `auto` factorizes the whole Jacobian up to 2500 unknowns. Beyond, it factorizes the stiff part of it if the
    coordinates know that and what they are made of (`extrapolation`), and nothing otherwise (`rock4`). Where they count
    the work (`FlowCoordinates.work`), `auto` up to 2500 unknowns is `switching.QuickestIntegration`.

    Raises:
        ConfigError: `extrapolation` for coordinates that do not know their stiff part.
        ValueError: unknown method.
    """
    if method == "auto" and size > LARGEST_FACTORIZED:
        partly_stiff = isinstance(coordinates, PartlyStiffCoordinates) and coordinates.work() is None
        method = "extrapolation" if partly_stiff else "rock4"
    if method == "extrapolation":
        if not isinstance(coordinates, PartlyStiffCoordinates):
            raise ConfigError("train.method", method, "this network does not know the stiff part of its flow; choose "
                              "auto, rosenbrock, rkc, rock4 or lsoda")
        return ExtrapolatedEuler(coordinates, statistics)
    steppers: dict[str, type[Stepper]] = {"auto": Rosenbrock, "rosenbrock": Rosenbrock, "rkc": RungeKuttaChebyshev,
                                       "rock4": Rock4}
    if method not in steppers:
        raise ValueError(f"method={method!r}: choose one of auto, rosenbrock, extrapolation, rkc, rock4")
    return steppers[method](coordinates, statistics)


def train_by_gradient_flow(
    architecture: Architecture, neurons: Tensor, horizon: float, *, tolerance: float = 1e-6,
    method: str = "auto", convergence: float = 1e-6, max_rows: int = 2000, progress: Progress | None = None,
    log_factor: float = 0.0, checkpoints: Checkpoints | None = None, resume: TrainingState | None = None,
) -> TrainingResult:
    """Integrate d theta / dt = -grad L until the horizon or until the loss has converged.

    Args:
        neurons: initialization over exp(log_factor), (H, D).
        horizon: gradient-flow time at which to stop.
        tolerance: relative error of each neuron allowed in a step; there is no absolute tolerance.
        method: one of those of `make_stepper`, or `lsoda`, SciPy's.
        convergence: stop once no more than this fraction of what there was to learn is left.
        max_rows: rows of the trajectory at most.
        progress: called with (time, loss) after each step.
        log_factor: logarithm of a factor of all neurons, where the product is too small for floats.
        checkpoints: where states are kept on the way; None: nowhere.
        resume: one of these states, to go on from; everything else must be as it was.

    Raises:
        CheckpointError: `resume` is of another training.
    """
    coordinates = architecture.flow_coordinates(neurons, None, log_factor)
    y = coordinates.encode(neurons)
    statistics = IntegrationStatistics()
    recorder = Recorder(architecture, "training", max_rows)
    final = coordinates.decode(y) if log_factor else neurons
    loss = initial_loss = float(architecture.loss(architecture.residual(final)))
    # Where `Architecture.learned` begins to hold.
    goal = architecture.minimal_loss + convergence * (initial_loss - architecture.minimal_loss)
    integration = _integration(method, coordinates, statistics, y, 0.0, horizon, tolerance, goal, True)
    if resume is None:
        start, log_factors = coordinates.scaled(y)
        recorder.record(0.0, start, loss, log_factors=log_factors)
    else:
        with restoring():
            integration.restore(resume.part("integration"))
            recorder.restore(resume.part("recorder"), neurons)
            final, loss = coordinates.decode(integration.y), recorder.rows[-1][2]

    def state() -> TrainingState:
        return TrainingState.joined(integration=integration.state(), recorder=recorder.state())

    status, reason = "horizon", f"the horizon {horizon:.6g} was reached"
    with Interruption() as interruption:
        try:
            for stretch in _stretches(integration, coordinates, loss, initial_loss):
                states, log_factors = coordinates.scaled(stretch.states)
                recorder.record_all(stretch.times, states, stretch.losses, [-1] * len(states), log_factors)
                # A copy: products of what lies elsewhere in memory may be rounded otherwise.
                final, time, loss = coordinates.decode(integration.y.clone()), stretch.times[-1], stretch.losses[-1]
                if progress is not None:
                    progress(time, loss)
                if loss <= goal:
                    status = "converged"
                    reason = f"all but {convergence:g} of the loss was learned at time {time:.6g}"
                    break
                if checkpoints is not None and (interruption.asked or checkpoints.due()):
                    checkpoints.save(state())
                if interruption.asked:
                    break
        except DivergenceError as error:
            status, reason = "stalled" if isinstance(error, StalledError) else "diverged", str(error)
    if interruption.asked and status == "horizon":
        status, reason = "interrupted", interruption.reason
    return TrainingResult(recorder.trajectory(), recorder, final, status, reason, statistics)


def follow_flow(coordinates: FlowCoordinates, y: Tensor, start: float, end: float, tolerance: float,
                statistics: IntegrationStatistics) -> Iterator[Segment]:
    """The flow from y (n,), step by step, by the method that suits its size."""
    integration = _integration("auto", coordinates, statistics, y, start, end, tolerance)
    return iter(integration) if isinstance(integration, Integration) else integration.segments()


@overload
def _integration(method: Literal["auto"], *arguments: Any, **options: Any) -> Integration | CompiledIntegration: ...


@overload
def _integration(method: str, *arguments: Any, **options: Any
                 ) -> Integration | CompiledIntegration | LsodaIntegration: ...


def _integration(
    method: str, coordinates: FlowCoordinates, statistics: IntegrationStatistics, y: Tensor, start: float, end: float,
    tolerance: float, goal: float = -math.inf, estimate_error: bool = False,
) -> Integration | CompiledIntegration | LsodaIntegration:
    """The steps of a method; compiled ones end at the goal."""
    if method == "lsoda":
        return LsodaIntegration(coordinates, statistics, y, start, end, tolerance)
    stepper = make_stepper(method, coordinates, y.numel(), statistics)
    work = coordinates.work() if method == "auto" and isinstance(stepper, Rosenbrock) else None
    if work is not None:
        return QuickestIntegration(statistics, coordinates, work, y, start, end, tolerance)
    kernel = coordinates.kernel() if isinstance(stepper, Rosenbrock) else None
    if kernel is None:
        return Integration(stepper, y, start, end, tolerance, estimate_error=estimate_error)
    from agfrun.labs.staircases.compiled.integration import CompiledIntegration  # Numba

    return CompiledIntegration(coordinates, kernel, statistics, y, start, end, tolerance, goal, estimate_error)


def _stretches(
    integration: Integration | LsodaIntegration | CompiledIntegration, coordinates: FlowCoordinates, loss: float,
    initial_loss: float,
) -> Iterator[Stretch]:
    """What is recorded of an integration that begins at a loss, step by step where it is not compiled."""
    for steps in integration:
        if isinstance(steps, Stretch):
            yield steps
            continue
        before, loss = loss, float(steps.loss_end)
        count = pieces(steps.start, steps.end, before, loss, initial_loss)
        times = [steps.start + (steps.end - steps.start) * piece / count for piece in range(1, count)]
        inside = [steps.at(time) for time in times]
        losses = [float(coordinates.loss_and_velocity(y)[0]) for y in inside]
        yield Stretch([*times, steps.end], [*losses, loss], torch.stack([*inside, steps.y_end]))
