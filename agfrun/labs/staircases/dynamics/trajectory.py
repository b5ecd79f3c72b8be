"""What a training run or a prediction leaves behind: observables along the path, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trajectory:
    """Observables of T recorded moments of a network of H neurons with F features.

    Attributes:
        source: who produced it, see `staircases.sources`.
        times: gradient-flow time in the paper's normalization (L = E 1/2 ||y - f||^2), shape (T,),
            not decreasing. A jump (instantaneous cost phase) is two rows at the same time.
        loss: paper loss, shape (T,).
        feature_names: F labels, for instance the frequencies `1`, `3`, `5`.
        features: size of each feature in the network's output, shape (T, F).
        log_norms: natural logarithm of the Euclidean norm of each neuron's parameters, shape (T, H); finite
            also where the norm is below the smallest float. H = 0 where only the loss is known.
        accumulated_utility: integral of kappa * U along each neuron's path, shape (T, H).
        direction_feature: index of the feature each neuron points at, shape (T, H).
        active: whether each neuron is active (norm has crossed the threshold), shape (T, H).
        steps: optimizer step of each row, shape (T,), or None for a flow.
        observables: further quantities of the whole network by name, shape (T, m) each.
    """

    source: str
    times: FloatArray
    loss: FloatArray
    feature_names: tuple[str, ...]
    features: FloatArray
    log_norms: FloatArray
    accumulated_utility: FloatArray
    direction_feature: IntArray
    active: BoolArray
    steps: IntArray | None = None
    observables: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def neuron_norms(self) -> FloatArray:
        """Euclidean norm of each neuron's parameters, shape (T, H); 0 below the smallest float."""
        return np.asarray(np.exp(self.log_norms))

    def at_rows(self, rows: IntArray) -> Trajectory:
        """The trajectory at chosen rows, in their order."""
        chosen = {entry.name: getattr(self, entry.name)[rows] for entry in fields(self)
                  if isinstance(getattr(self, entry.name), np.ndarray)}
        return replace(self, **chosen, observables={name: values[rows] for name, values in self.observables.items()})


def loss_path(source: str, times: FloatArray, loss: FloatArray, feature_names: tuple[str, ...]) -> Trajectory:
    """A path of which nothing is known but the loss: features are NaN, and there are no neurons."""
    nobody = (len(times), 0)
    return Trajectory(
        source, times, loss, feature_names, np.full((len(times), len(feature_names)), np.nan), np.zeros(nobody),
        np.zeros(nobody), np.zeros(nobody, dtype=np.int64), np.zeros(nobody, dtype=bool))


def stairs(source: str, drops: Sequence[tuple[float, float]], initial_loss: float, feature_names: tuple[str, ...],
           end: float) -> Trajectory:
    """A staircase, two rows at each drop, up to time `end`.

    Args:
        drops: time and loss after it, in order.
    """
    times, loss = [0.0], [initial_loss]
    for time, after in drops:
        times += [time, time]
        loss += [loss[-1], after]
    times.append(max(end, times[-1]))
    loss.append(loss[-1])
    return loss_path(source, np.array(times), np.array(loss), feature_names)
