"""Training by gradient flow, integrated adaptively from the given initialization."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from agfrun.files.training_state import Checkpoints, TrainingState, restoring
from agfrun.labs.staircases.config import LARGEST_FACTORIZED
from agfrun.labs.staircases.dynamics.chebyshev import RungeKuttaChebyshev
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.extrapolation import ExtrapolatedEuler, PartlyStiffCoordinates
from agfrun.labs.staircases.dynamics.integrate import Integration, IntegrationStatistics, Segment, Stepper
from agfrun.labs.staircases.dynamics.lsoda import LsodaIntegration
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.study.errors import ConfigError, DivergenceError, StalledError
from agfrun.study.interruption import Interruption

FINEST_SAMPLING = 30
# Points inside a step are recorded once this share of the initial loss is lost over it, or the logarithm of the
# loss or of time changes by so much; a loss below the smallest share of the initial one counts as that.
LOSS_SHARE = 0.01
LOG_CHANGE = 0.05
SMALLEST_SHARE = 1e-14

Progress = Callable[[float, float], None]


def make_stepper(method: str, coordinates: FlowCoordinates, size: int,
                 statistics: IntegrationStatistics) -> Stepper:
    """The stepper for `method`.

    `auto` factorizes the whole Jacobian up to 2500 unknowns, where that is the fastest. Beyond, it factorizes the
    stiff part of it if the coordinates know that (`extrapolation`), and nothing otherwise (`rkc`).

    Raises:
        ConfigError: `extrapolation` for coordinates that do not know their stiff part.
        ValueError: unknown method.
    """
    if method == "auto" and size > LARGEST_FACTORIZED:
        method = "extrapolation" if isinstance(coordinates, PartlyStiffCoordinates) else "rkc"
    if method == "extrapolation":
        if not isinstance(coordinates, PartlyStiffCoordinates):
            raise ConfigError("train.method", method, "this network does not know the stiff part of its flow; choose "
                              "auto, rosenbrock, rkc or lsoda")
        return ExtrapolatedEuler(coordinates, statistics)
    steppers: dict[str, type[Stepper]] = {"auto": Rosenbrock, "rosenbrock": Rosenbrock, "rkc": RungeKuttaChebyshev}
    if method not in steppers:
        raise ValueError(f"method={method!r}: choose one of auto, rosenbrock, extrapolation, rkc")
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
    integration = _integration(method, coordinates, statistics, y, horizon, tolerance)
    recorder = Recorder(architecture, "training", max_rows)
    final = coordinates.decode(y) if log_factor else neurons
    loss = initial_loss = float(architecture.loss(architecture.residual(final)))
    if resume is None:
        _record(recorder, coordinates, y, 0.0, loss)
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
            for segment in integration:
                loss_before, loss = loss, float(segment.loss_end)
                _record_segment(recorder, coordinates, segment, loss_before, loss, initial_loss)
                final = coordinates.decode(segment.y_end)
                if progress is not None:
                    progress(segment.end, loss)
                if architecture.learned(loss, initial_loss, convergence):
                    status = "converged"
                    reason = f"all but {convergence:g} of the loss was learned at time {segment.end:.6g}"
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


def _integration(method: str, coordinates: FlowCoordinates, statistics: IntegrationStatistics, y: Tensor,
                 horizon: float, tolerance: float) -> Integration | LsodaIntegration:
    """The steps of a method from time 0 to the horizon."""
    if method == "lsoda":
        return LsodaIntegration(coordinates, statistics, y, 0.0, horizon, tolerance)
    return Integration(make_stepper(method, coordinates, y.numel(), statistics), y, 0.0, horizon, tolerance,
                       estimate_error=True)


def _record_segment(recorder: Recorder, coordinates: FlowCoordinates, segment: Segment, loss_before: float,
                    loss: float, initial_loss: float) -> None:
    """Record a step's end, and points inside where the loss or the time changes much over it."""
    unit = initial_loss or 1.0  # nothing is to be learned
    drop = abs(loss_before - loss) / unit
    tiny = SMALLEST_SHARE * unit
    decline = abs(math.log(max(loss_before, tiny) / max(loss, tiny)))
    lapse = math.log(segment.end / segment.start) if segment.start > 0 else 0.0
    pieces = min(FINEST_SAMPLING, math.ceil(max(drop / LOSS_SHARE, decline / LOG_CHANGE, lapse / LOG_CHANGE, 1)))
    for piece in range(1, pieces):
        time = segment.start + (segment.end - segment.start) * piece / pieces
        y = segment.at(time)
        _record(recorder, coordinates, y, time, float(coordinates.loss_and_velocity(y)[0]))
    _record(recorder, coordinates, segment.y_end, segment.end, loss)


def _record(recorder: Recorder, coordinates: FlowCoordinates, y: Tensor, time: float, loss: float) -> None:
    neurons, log_factors = coordinates.scaled(y)
    recorder.record(time, neurons, loss, log_factors=log_factors)
