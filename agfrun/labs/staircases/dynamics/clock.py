"""One clock for everything: gradient-flow time in the paper's normalization, L = E 1/2 ||y - f||^2.

No factor between training and prediction is ever fitted; the conversion follows from how the training
loss is normalized, the learning rate and the momentum.
"""

from __future__ import annotations


def loss_factor(loss_normalization: str, output_dimension: int) -> float:
    """Training loss divided by the paper's loss.

    `paper`: E 1/2 ||y - f||^2, factor 1. `mean_over_outputs` (torch's MSELoss): E ||y - f||^2 / c,
    factor 2 / c. `sum_over_outputs`: E ||y - f||^2, factor 2.

    Raises:
        ValueError: unknown normalization.
    """
    factors = {"paper": 1.0, "mean_over_outputs": 2.0 / output_dimension, "sum_over_outputs": 2.0}
    if loss_normalization not in factors:
        raise ValueError(f"loss_normalization={loss_normalization!r}: choose one of {', '.join(factors)}")
    return factors[loss_normalization]


def flow_time_per_step(
    learning_rate: float, momentum: float, loss_normalization: str, output_dimension: int
) -> float:
    """Gradient-flow time that one optimizer step is worth, to first order in the learning rate.

    A heavy-ball step is the sum of a geometric series of gradients, hence 1 / (1 - momentum).
    """
    return learning_rate * loss_factor(loss_normalization, output_dimension) / (1 - momentum)
