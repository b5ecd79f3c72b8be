"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lbfgs import LBFGS
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from agfrun.training.settings import LoopSettings

OptimizerFactory = Callable[[Iterable[Tensor]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]


def optimizer_of(settings: LoopSettings, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer that the settings name, over these parameters."""
    rate, decay = settings.learning_rate, settings.weight_decay
    betas = (settings.beta1, settings.beta2)
    match settings.optimizer:
        case "sgd":
            return SGD(parameters, lr=rate, weight_decay=decay)
        case "momentum":
            return SGD(parameters, lr=rate, momentum=settings.momentum, nesterov=settings.nesterov, weight_decay=decay)
        case "adam":
            return Adam(parameters, lr=rate, betas=betas, eps=settings.epsilon, weight_decay=decay)
        case "adamw":
            return AdamW(parameters, lr=rate, betas=betas, eps=settings.epsilon, weight_decay=decay)
        case "lbfgs":
            return LBFGS(parameters, lr=rate, max_iter=settings.max_iter, history_size=settings.history_size,
                         tolerance_grad=settings.tolerance, tolerance_change=settings.tolerance,
                         line_search_fn="strong_wolfe" if settings.line_search else None)
    raise ValueError(f"there is no optimizer {settings.optimizer}")


def scheduler_of(settings: LoopSettings, optimizer: Optimizer, steps: int) -> LRScheduler | None:
    """The schedule that the settings name, over a training of so many steps; None for a constant learning rate."""
    if settings.schedule == "constant" and settings.warmup == 0:
        return None
    return LambdaLR(optimizer, lambda step: rate_factor(settings, step, steps))


def rate_factor(settings: LoopSettings, step: int, steps: int) -> float:
    """The learning rate over `settings.learning_rate` in the update that follows after `step` of `steps` steps.

    With w = `warmup` and f = `final_factor`: (step + 1) / w while step < w. From then on, with s = step - w and
    t = s / (steps - w) from 0 to 1:

    - constant: 1
    - linear: 1 - (1 - f) t
    - cosine: f + (1 - f) (1 + cos(pi t)) / 2
    - step: `decay_factor` to the power floor(s / `decay_every`)
    """
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    after = step - settings.warmup
    share, final = min(after / (steps - settings.warmup), 1.0), settings.final_factor
    match settings.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - (1.0 - final) * share
        case "cosine":
            return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * share))
        case "step":
            return float(settings.decay_factor ** (after // settings.decay_every))
    raise ValueError(f"there is no schedule {settings.schedule}")


def waits_for_a_plateau(scheduler: LRScheduler | None) -> bool:
    """Whether a scheduler follows the watched number from row to row, and not the steps."""
    return isinstance(scheduler, ReduceLROnPlateau)
