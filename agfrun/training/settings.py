"""The keys of a training loop. Imports no torch, so that configurations and help pages can use it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agfrun.study.checks import one_of, positive, require
from agfrun.study.errors import ConfigError

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "lbfgs")
SCHEDULES = ("constant", "linear", "cosine", "step")


@dataclass
class LoopSettings:
    """How a model is trained.

    How long, and on what:
        steps: optimizer steps to take.
        epochs: passes over the data to take; where given, it replaces `steps`.
        batch_size: samples of a mini-batch, drawn without replacement and reshuffled each epoch; null is the full
            batch. The last batch of an epoch holds what remains.

    The optimizer, `optimizer`, one of `OPTIMIZERS`:
        learning_rate: of a step before the schedule; for lbfgs the length of a step, commonly 1.
        weight_decay: sgd, momentum, adam: coefficient of the parameters that is added to the gradient; adamw: decay
            of the parameters themselves, per step and learning rate. lbfgs has none.
        momentum, nesterov: of momentum, velocity = momentum * velocity + gradient.
        beta1, beta2, epsilon: of adam and adamw.
        history_size, max_iter, tolerance, line_search: of lbfgs: pairs of steps and gradients kept; iterations within
            one step, which ends before once the largest entry of the gradient or of a change, or the change of the
            loss, is below the tolerance; and whether each searches along its line (strong Wolfe conditions).
        clip: largest norm of the gradient, over all parameters; a longer one is scaled down to it. Null for none.

    The schedule, `schedule`, one of `SCHEDULES` (`optimization.rate_factor` has the formulas):
        warmup: first steps, over which the learning rate grows linearly.
        final_factor: share of the learning rate at which linear and cosine end.
        decay_every, decay_factor: of step: every so many steps the learning rate is multiplied by the factor.

    The history, and when to stop early:
        evaluate_every: steps between two rows; the first and the last step always have one.
        watch: name of the number that `patience` and `target` look at. The loss is that of one batch: with
            mini-batches, better watch a number of the evaluation.
        larger_is_better: whether the watched number is to grow.
        patience: rows without an improvement after which training ends as converged; null for never.
        improvement: what counts as one: by more than so much.
        target: training ends as converged once the watched number is there; null for never.
    """

    steps: int = 1000
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    history_size: int = 10
    max_iter: int = 20
    tolerance: float = 1e-9
    line_search: bool = True
    clip: float | None = None
    schedule: str = "constant"
    warmup: int = 0
    final_factor: float = 0.0
    decay_every: int = 1000
    decay_factor: float = 0.1
    evaluate_every: int = 100
    watch: str = "loss"
    larger_is_better: bool = False
    patience: int | None = None
    improvement: float = 0.0
    target: float | None = None

    def check(self, prefix: str = "train") -> None:
        """Check all values; `prefix` is the group that the keys belong to.

        Raises:
            ConfigError: names the first key that is not allowed.
        """
        for key in ("steps", "epochs", "batch_size", "history_size", "max_iter", "decay_every", "evaluate_every",
                    "patience"):
            value = getattr(self, key)
            require(f"{prefix}.{key}", value, value is None or value >= 1, "an integer of at least 1")
        self._check_optimizer(prefix)
        self._check_schedule(prefix)
        require(f"{prefix}.improvement", self.improvement, math.isfinite(self.improvement) and self.improvement >= 0,
                "a number of at least 0")
        require(f"{prefix}.target", self.target, self.target is None or math.isfinite(self.target), "a finite number")
        require(f"{prefix}.watch", self.watch, self.watch != "", "the name of a number of the history")

    def _check_optimizer(self, prefix: str) -> None:
        one_of(f"{prefix}.optimizer", self.optimizer, OPTIMIZERS)
        for key in ("learning_rate", "epsilon", "tolerance"):
            require(f"{prefix}.{key}", getattr(self, key), positive(getattr(self, key)), "a number above 0")
        require(f"{prefix}.weight_decay", self.weight_decay,
                math.isfinite(self.weight_decay) and self.weight_decay >= 0, "a number of at least 0")
        for key in ("momentum", "beta1", "beta2"):
            require(f"{prefix}.{key}", getattr(self, key), 0 <= getattr(self, key) < 1, "at least 0 and below 1")
        require(f"{prefix}.nesterov", self.nesterov, not self.nesterov or self.momentum > 0,
                f"false where {prefix}.momentum is 0")
        require(f"{prefix}.clip", self.clip, self.clip is None or positive(self.clip), "a number above 0, or null")
        if self.optimizer == "lbfgs":
            # A line search compares losses: a shortened gradient, or one of another loss, would mislead it.
            require(f"{prefix}.clip", self.clip, self.clip is None, "null for lbfgs")
            require(f"{prefix}.weight_decay", self.weight_decay, self.weight_decay == 0, "0 for lbfgs")

    def _check_schedule(self, prefix: str) -> None:
        one_of(f"{prefix}.schedule", self.schedule, SCHEDULES)
        require(f"{prefix}.warmup", self.warmup, self.warmup >= 0, "an integer of at least 0")
        require(f"{prefix}.final_factor", self.final_factor, 0 <= self.final_factor <= 1, "from 0 to 1")
        require(f"{prefix}.decay_factor", self.decay_factor, 0 < self.decay_factor <= 1, "above 0 and at most 1")

    def total_steps(self, steps_per_epoch: int | None, prefix: str = "train") -> int:
        """Optimizer steps of the whole training; `steps_per_epoch` is None for batches without an end.

        Raises:
            ConfigError: epochs are asked for where there are none, or the warm-up is longer than the training.
        """
        steps = self.steps
        if self.epochs is not None:
            if steps_per_epoch is None:
                raise ConfigError(f"{prefix}.epochs", self.epochs,
                                  f"these batches have no end, hence no epochs: give {prefix}.steps")
            steps = self.epochs * steps_per_epoch
        require(f"{prefix}.warmup", self.warmup, self.warmup < steps, f"below the number of steps, {steps}")
        return steps
