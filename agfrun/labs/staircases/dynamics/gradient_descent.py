"""Training by gradient descent with heavy-ball momentum: a true optimizer loop."""

from __future__ import annotations

from torch import Tensor

from agfrun.files.training_state import Checkpoints, TrainingState
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step, loss_factor
from agfrun.labs.staircases.dynamics.descent_loop import Stretches, descend, single_steps
from agfrun.labs.staircases.dynamics.descent_watch import DescentWatch, Progress
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.networks.base import Architecture


def train_by_gradient_descent(
    architecture: Architecture, neurons: Tensor, steps: int, *, learning_rate: float, momentum: float = 0.0,
    batch_size: int | None = None, loss_normalization: str = "mean_over_outputs", seed: int = 0,
    convergence: float = 1e-6, max_rows: int = 2000, progress: Progress | None = None,
    checkpoints: Checkpoints | None = None, resume: TrainingState | None = None,
) -> TrainingResult:
    """Heavy-ball gradient descent, velocity = momentum * velocity + gradient, for at most `steps` steps.

    Full-batch steps of a network that has a kernel are compiled (`staircases.compiled.descent`).

    Args:
        neurons: initialization, (H, D).
        learning_rate, momentum, loss_normalization: see `staircases.dynamics.clock`, which turns steps into
            gradient-flow time.
        batch_size: samples drawn for each step; None is the full batch. The recorded loss is always
            that of the full data.
        seed: seed of the batches.
        convergence, max_rows, progress, checkpoints, resume: as for gradient flow. On the same machine and number
            of threads the numbers do not depend on where training was taken up again, to the last bit.

    Raises:
        CheckpointError: `resume` is of another training.
    """
    factor = loss_factor(loss_normalization, architecture.output_dimension)
    per_step = flow_time_per_step(learning_rate, momentum, loss_normalization, architecture.output_dimension)
    recorder = Recorder(architecture, "training", max_rows)
    watch = DescentWatch(recorder, per_step, steps, convergence, progress)
    optimizer = HeavyBall(architecture, neurons, learning_rate * factor, momentum, batch_size, seed)
    status, reason = descend(optimizer, watch, lambda: _stretches(optimizer, watch), neurons, checkpoints, resume)
    statistics = IntegrationStatistics(accepted_steps=watch.step, gradient_evaluations=watch.step)
    clock: dict[str, float | str] = {
        "learning_rate": learning_rate, "momentum": momentum, "loss_normalization": loss_normalization,
        "flow_time_per_step": per_step,
    }
    return TrainingResult(recorder.trajectory(), recorder, optimizer.neurons.clone(), status, reason, statistics, clock)


def _stretches(optimizer: HeavyBall, watch: DescentWatch) -> Stretches:
    """Training from where the watch stands: compiled, many steps at a time, or step by step; see `CompiledDescent`."""
    kernel = optimizer.kernel()
    if kernel is None:
        return single_steps(optimizer, watch, optimizer.step, optimizer.batch_size is not None)
    from agfrun.labs.staircases.compiled.descent import CompiledDescent  # Numba

    return CompiledDescent(optimizer, kernel, watch)
