"""The paper's experiments, as configurations of agfrun, with how they were trained in the published code.

Step counts, learning rates and batches are those of the paper's notebooks (arXiv 2506.06489).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from agfrun import Architecture, build_problem, load_config
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step


@dataclass(frozen=True)
class PublishedTraining:
    """How the published code trains.

    Attributes:
        steps: optimizer steps of its run.
        learning_rate, momentum, loss_normalization: see `agfrun.labs.staircases.dynamics.clock`.
        batch_size: samples a step; None is all of them.
    """

    steps: int
    learning_rate: float
    momentum: float = 0.0
    loss_normalization: str = "paper"
    batch_size: int | None = None


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        title: for tables and figures.
        overrides: its configuration.
        published: how the published code trains it.
        horizon: gradient-flow time at which solvers stop: the published run's, or earlier where by then
            everything has been learned to rounding, or (ReLU) the drops are over.
        reference_tolerance: tolerance of the reference solution.
    """

    title: str
    overrides: tuple[str, ...]
    published: PublishedTraining
    horizon: float
    reference_tolerance: float = 1e-12


EXPERIMENTS: dict[str, Experiment] = {
    "diagonal": Experiment(
        "diagonal linear, 5-D", ("experiment=diagonal_5d",), PublishedTraining(1_000_000, 1e-3), 1000.0),
    "linear": Experiment(
        "fully connected linear, commuting", ("experiment=linear_commuting",),
        PublishedTraining(10_000_000, 1e-3, 0.0, "sum_over_outputs", 1000), 20_000.0),
    "attention": Experiment(
        "linear attention", ("model=linear_attention", "init.scale=2.1213203435596426e-3"),
        PublishedTraining(100_000, 0.01, 0.0, "paper", 8192), 250.0),
    "modular_addition": Experiment(
        "modular addition, p = 20, H = 18", ("model=quadratic_modadd",),
        PublishedTraining(1_000_001, 0.01, 0.9, "mean_over_outputs"), 10_000.0),
    # The published figure is on CIFAR-10, which has to be downloaded; the digits come with scikit-learn.
    "relu": Experiment(
        "ReLU on digits, width 2", ("experiment=relu_digits",),
        PublishedTraining(40_000, 10.0, 0.0, "mean_over_outputs", 256), 2000.0,
        1e-10),  # smooth only piece by piece: 1e-12 would take hours of short steps
}


@dataclass(frozen=True)
class Instance:
    """An experiment, built: the network on its data and where it starts, neurons (H, D)."""

    name: str
    experiment: Experiment
    architecture: Architecture
    initial: Tensor

    @property
    def published(self) -> PublishedTraining:
        """How the published code trains it."""
        return self.experiment.published

    @property
    def horizon(self) -> float:
        """Gradient-flow time at which solvers stop."""
        return self.experiment.horizon

    @property
    def scale(self) -> float:
        """Largest entry of the initialization, to which absolute tolerances are relative."""
        return float(self.initial.abs().max())

    def flow_time_per_step(self) -> float:
        """Gradient-flow time of a step of the published training."""
        training = self.published
        return flow_time_per_step(training.learning_rate, training.momentum, training.loss_normalization,
                                  self.architecture.output_dimension)

    def neurons_at(self, scale: float, seed: int = 0) -> Tensor:
        """Neurons of another initialization scale, at which nothing in the loss is negligible."""
        import torch

        generator = torch.Generator(device="cpu").manual_seed(seed)
        kind = "gaussian" if self.name != "diagonal" else "balanced"
        return self.architecture.initialize(kind, scale, generator)


def build(name: str, *overrides: str) -> Instance:
    """An experiment by name, with further overrides of its configuration.

    Raises:
        KeyError: there is no such experiment.
        ConfigError: an override is not allowed, or the data need a package that is not there.
    """
    experiment = EXPERIMENTS[name]
    config = load_config([*experiment.overrides, "device=cpu", *overrides])
    problem = build_problem(config)
    return Instance(name, experiment, problem.architecture, problem.initial)
