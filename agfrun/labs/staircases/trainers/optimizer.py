"""`train=optimizer`: any optimizer of `torch.optim` by its name, with decay, clipping, label noise and schedules."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agfrun.labs.staircases.config import LOSS_NORMALIZATIONS, TrainConfig
from agfrun.study.checks import one_of, positive, require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

SCHEDULES = ("constant", "linear", "cosine")
# L-BFGS asks for several gradients a step, SparseAdam for sparse ones.
EXCLUDED = ("LBFGS", "SparseAdam", "Optimizer")


@register("train")
@dataclass
class OptimizerConfig(TrainConfig):
    """Steps of an optimizer of `torch.optim`; a key that is null is left to torch's default.

    The learning rate rises linearly over `warmup` steps, then is constant, or falls to zero at `max_steps` in a line
    or along half a cosine. `clip` is the largest norm of the whole gradient. `own_clocks` divides the gradient of each
    neuron by |theta_i|^(kappa - 2), so that small neurons grow exponentially (Sequential Group Composition, arXiv
    2602.03655). With `label_noise` s the targets of each step are fresh: Gaussian noise that adds s^2 / 2 to the
    expected paper loss, over the network's `function_values`.
    """

    name: str = "optimizer"
    optimizer: str = "SGD"
    learning_rate: float = 0.01
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    epsilon: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    own_clocks: bool = False
    label_noise: float = 0.0
    schedule: str = "constant"
    warmup: int = 0
    max_steps: int = 20000
    batch_size: int | None = None
    loss_normalization: str = "mean_over_outputs"

    def check(self) -> None:
        """See `TrainConfig.check`."""
        super().check()
        require("train.horizon", self.horizon, self.horizon is None, "null: train.max_steps says how long")
        require("train.learning_rate", self.learning_rate, positive(self.learning_rate), "a positive number")
        for key in ("momentum", "beta1", "beta2"):
            value = getattr(self, key)
            require(f"train.{key}", value, value is None or 0 <= value < 1,
                    "a number from 0 up to but not including 1, or null")
        for key in ("epsilon", "clip"):
            value = getattr(self, key)
            require(f"train.{key}", value, value is None or positive(value), "a positive number, or null")
        decay = self.weight_decay
        require("train.weight_decay", decay, decay is None or (math.isfinite(decay) and decay >= 0),
                "a number of at least 0, or null")
        require("train.label_noise", self.label_noise, math.isfinite(self.label_noise) and self.label_noise >= 0,
                "a number of at least 0")
        require("train.label_noise", self.label_noise, not self.label_noise or self.batch_size is None,
                "0 where there are batches (train.batch_size)")
        one_of("train.schedule", self.schedule, SCHEDULES)
        require("train.max_steps", self.max_steps, 1 <= self.max_steps <= 10**9, "an integer from 1 to 1e9")
        require("train.warmup", self.warmup, 0 <= self.warmup < self.max_steps,
                "an integer from 0 up to but not including train.max_steps")
        require("train.batch_size", self.batch_size, self.batch_size is None or self.batch_size >= 1,
                "an integer of at least 1, or null")
        one_of("train.loss_normalization", self.loss_normalization, LOSS_NORMALIZATIONS)
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        import torch.optim  # whoever does not train by it need not wait for torch

        kinds = sorted(name for name, kind in vars(torch.optim).items() if name not in EXCLUDED
                       and isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer))
        one_of("train.optimizer", self.optimizer, kinds)
        taken = inspect.signature(getattr(torch.optim, self.optimizer)).parameters
        keys = {"momentum": "momentum", "beta1": "betas", "beta2": "betas", "epsilon": "eps",
                "weight_decay": "weight_decay"}
        for key, argument in keys.items():
            if getattr(self, key) is not None and argument not in taken:
                raise ConfigError(f"train.{key}", getattr(self, key),
                                  f"must be null: torch.optim.{self.optimizer} has no {argument}")
        if (self.beta1 is None) != (self.beta2 is None):
            raise ConfigError("train.beta2", self.beta2, "is given where train.beta1 is, and only there")

    def arguments(self) -> dict[str, Any]:
        """What torch's optimizer is called with beside the parameters."""
        betas = None if self.beta1 is None or self.beta2 is None else (self.beta1, self.beta2)
        given = {"momentum": self.momentum, "betas": betas, "eps": self.epsilon, "weight_decay": self.weight_decay}
        return {"lr": self.learning_rate, **{key: value for key, value in given.items() if value is not None}}

    def rate_factor(self, step: int) -> float:
        """Learning rate of a step, counted from 0, over `learning_rate`."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / (self.max_steps - self.warmup)
        if self.schedule == "linear":
            return 1 - progress
        return 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == "cosine" else 1.0

    def unpredicted(self) -> Mapping[str, str]:
        """See `TrainConfig.unpredicted`."""
        levels, times = "", ""
        if self.optimizer != "SGD":
            times = f"{self.optimizer} rescales the gradient, its steps have no gradient-flow time"
        elif self.clip is not None:
            times = "a clipped gradient has no gradient-flow time"
        elif self.own_clocks:
            times = "each neuron has a clock of its own"
        elif self.schedule != "constant" or self.warmup:
            times = "the learning rate changes on the way"
        if self._decays():
            levels = "weight decay moves the plateaus"
            times = times or "weight decay slows the growth of neurons"
        if self.label_noise:
            levels = levels or "label noise keeps training off the plateaus"
            times = times or "label noise moves neurons that are still small"
        return {key: reason for key, reason in (("levels", levels), ("times", times)) if reason}

    def _decays(self) -> bool:
        import torch.optim  # see `_check_optimizer`

        default = inspect.signature(getattr(torch.optim, self.optimizer)).parameters.get("weight_decay")
        return bool(self.weight_decay if self.weight_decay is not None else default is not None and default.default)

    def run(self, problem: Any, horizon: float, watch: Any) -> Any:
        """See `TrainConfig.run`; `max_steps`, and no horizon, says how long."""
        from agfrun.labs.staircases.dynamics.torch_optimizer import time_per_step, train_by_optimizer  # torch
        from agfrun.labs.staircases.run.progress import TrainingBar  # tqdm

        with TrainingBar(self.max_steps * time_per_step(self, problem.architecture), None, watch.progress) as bar:
            return train_by_optimizer(problem.architecture, problem.initial, self, seed=watch.seed, progress=bar,
                                      checkpoints=watch.checkpoints, resume=watch.resume)


@register("train")
@dataclass
class AdamConfig(OptimizerConfig):
    """Adam (D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980), full batch."""

    name: str = "adam"
    optimizer: str = "Adam"
    learning_rate: float = 0.001


@register("train")
@dataclass
class AdamWConfig(OptimizerConfig):
    """AdamW (I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv 1711.05101), full batch."""

    name: str = "adamw"
    optimizer: str = "AdamW"
    learning_rate: float = 0.001
    weight_decay: float | None = 0.01
