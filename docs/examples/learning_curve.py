"""How the loss of linear regression falls under gradient descent when the spectrum of the inputs is a power law.

The covariance of the inputs has the eigenvalues l_1, l_2, ...; the share s_i of the loss lies along eigenvector i. From
zero weights, gradient descent on all samples with the learning rate r has after t steps the loss

    L(t) = 1/2 sum_i s_i (1 - r l_i)^(2 t).

For l_i = i^-a and s_i = i^-b that falls like t^-((b - 1) / a), until the last eigenvectors are learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun import (
    Bench,
    Choice,
    Claim,
    Column,
    DivergenceError,
    Number,
    RunSettings,
    Saved,
    SavedSweep,
    Schema,
    Study,
    StudyResult,
    close,
    figures_of_numbers,
    new_figure,
    register,
    require,
    undecided,
)
from agfrun.training import LoopSettings


@dataclass
class SpectrumConfig(Choice):
    """What the choices of the slot `spectrum` have in common."""

    dimension: int = 100

    def check(self) -> None:
        require("spectrum.dimension", self.dimension, 2 <= self.dimension <= 5000, "an integer from 2 to 5000")

    def eigenvalues(self) -> np.ndarray:
        return np.ones(self.dimension)

    def shares(self) -> np.ndarray:
        return np.full(self.dimension, 1 / self.dimension)

    def exponent(self) -> float | None:
        """Of the power of time by which the loss falls; None where it does not fall so."""
        return None


@register("spectrum")
@dataclass
class Flat(SpectrumConfig):
    name: str = "flat"


@register("spectrum")
@dataclass
class PowerLaw(SpectrumConfig):
    name: str = "power_law"
    decay: float = 2.0
    target_decay: float = 3.0

    def check(self) -> None:
        super().check()
        require("spectrum.decay", self.decay, 0 < self.decay <= 10, "above 0 and at most 10")
        require("spectrum.target_decay", self.target_decay, 1 < self.target_decay <= 10, "above 1 and at most 10")

    def eigenvalues(self) -> np.ndarray:
        return np.arange(1.0, self.dimension + 1) ** -self.decay

    def shares(self) -> np.ndarray:
        return np.arange(1.0, self.dimension + 1) ** -self.target_decay

    def exponent(self) -> float:
        return (self.target_decay - 1) / self.decay


@dataclass
class DescentConfig:
    """A group of plain values, `train.KEY`."""

    steps: int = 2000
    learning_rate: float = 0.5
    batch_size: int | None = None

    def loop(self) -> LoopSettings:
        return LoopSettings(steps=self.steps, learning_rate=self.learning_rate, batch_size=self.batch_size,
                            optimizer="sgd", evaluate_every=10)


@dataclass
class CurveSettings(RunSettings):
    """Every key of a run: those of all runs, a slot and a group."""

    spectrum: SpectrumConfig = field(default_factory=PowerLaw)
    train: DescentConfig = field(default_factory=DescentConfig)

    def check(self) -> None:
        super().check()
        self.spectrum.check()
        self.train.loop().check("train")


CURVE = Schema("curve.csv", (
    Column("step", "integer", "steps of gradient descent"),
    Column("loss", "number", "loss of the model"),
    Column("closed_form", "number", "loss by the closed form, which is of all samples at once"),
), "the loss on its way", in_sweeps="thinned")


@register("study")
@dataclass
class LearningCurve(Study):
    name: str = "learning_curve"
    fit_from: int = 20

    settings: ClassVar[type] = CurveSettings
    tables = (CURVE,)
    numbers = (
        Number("exponent", "measured exponent of the loss"),
        Number("predicted_exponent", "exponent by the spectrum", in_figures=False),
        Number("final_loss", "final loss", logarithmic=True),
    )
    key_names: ClassVar[dict[str, str]] = {"spectrum.decay": "decay of the eigenvalues"}
    ended = ("finished", "converged")

    def check(self, config: CurveSettings) -> None:
        require("study.fit_from", self.fit_from, self.fit_from >= 1, "an integer of at least 1")

    def run(self, config: CurveSettings, bench: Bench) -> StudyResult:
        from agfrun.training import train  # torch, which help, plot and report do without

        model, samples = problem(config)
        with bench.clock.stage("train"):
            trained = train(model, samples, squared_error, config.train.loop(), seed=config.seed,
                            progress=bench.progress, checkpoints=bench.checkpoints(), resume=bench.last_state())
        curve = trained.history.frame()[["step", "loss"]]
        curve["closed_form"] = closed_form(config, curve["step"].to_numpy(float))
        result = StudyResult(tables={"curve": curve}, text=f"training {trained.status}: {trained.reason}",
                             status=trained.status, reason=trained.reason,
                             arrays={"weights": model.weight.detach().cpu().numpy()})
        if trained.status == "diverged":
            result.failure = DivergenceError(f"training diverged: {trained.reason}")
        elif trained.status in self.ended:
            exponent = self.fitted(config, curve)
            result.claims = claims(config, curve, exponent)
            result.numbers = {"exponent": exponent, "predicted_exponent": config.spectrum.exponent(),
                              "final_loss": float(curve["loss"].iloc[-1])}
        return result

    def fitted(self, config: CurveSettings, curve: pd.DataFrame) -> float | None:
        """The exponent, from `fit_from` on and before the last eigenvector is learned; None over less than a decade."""
        last = 0.05 / (config.train.learning_rate * config.spectrum.eigenvalues()[-1])
        part = curve[(curve["step"] >= self.fit_from) & (curve["step"] <= last)].astype(float)
        if not len(part) or part["step"].max() < 10 * part["step"].min():
            return None
        return -float(np.polyfit(np.log(part["step"]), np.log(part["loss"]), 1)[0])

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        curve = saved.tables["curve"].query("step > 0 and loss < 1e9") if "curve" in saved.tables else ()
        if len(curve) > 1:
            figure = new_figure(3.4, 2.6)
            axes = figure.add_subplot(xscale="log", yscale="log", xlabel="step", ylabel="loss")
            axes.plot(curve["step"], curve["loss"], color="0.6", linewidth=2.5, label="training")
            axes.plot(curve["step"], curve["closed_form"], "k--", label="closed form")
            axes.legend()
            yield "learning_curve", figure

    def sweep_figures(self, sweep: SavedSweep) -> Iterator[tuple[str, Figure]]:
        return chain(plot_exponents(sweep.runs), figures_of_numbers(sweep))


def plot_exponents(runs: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    runs = runs.dropna(subset=["exponent", "predicted_exponent"])
    if runs["predicted_exponent"].nunique() > 1:
        figure = new_figure(3.4, 2.6)
        axes = figure.add_subplot(xlabel="exponent by the spectrum", ylabel="measured exponent")
        axes.axline((1, 1), slope=1, color="0.6")
        axes.plot(runs["predicted_exponent"], runs["exponent"], "o")
        yield "exponents", figure


def claims(config: CurveSettings, curve: pd.DataFrame, exponent: float | None) -> list[Claim]:
    error = float((curve["loss"] - curve["closed_form"]).abs().max() / curve["closed_form"].iloc[0])
    tolerance = 1e-10 if config.dtype == "float64" else 1e-4
    if config.train.batch_size is None:
        exact = close("closed_form", "training", "the loss is that of the closed form at every step", 0.0, error,
                      tolerance, scale=1.0, standing="theorem", why="rounding, in parts of the initial loss")
    else:
        exact = undecided("closed_form", "training", "the loss is that of the closed form at every step",
                          "the closed form is of all samples at once", standing="theorem")
    expected = config.spectrum.exponent()
    if expected is None or exponent is None:
        return [exact, undecided("power_law", "training", "the loss falls like t^-((b - 1) / a)",
                                 "there is no decade of steps with a power law", standing="numerics")]
    return [exact, close("power_law", "training", "the loss falls like t^-((b - 1) / a)", expected, exponent, 0.05,
                         standing="numerics", why="a fit over few decades, with eigenvectors at both ends")]


def problem(config: CurveSettings) -> tuple[Any, Any]:
    """The model, and inputs and targets with exactly the covariance that the spectrum says."""
    import torch

    from agfrun.training import resolve_device

    eigenvalues, shares = config.spectrum.eigenvalues(), config.spectrum.shares()
    count = len(eigenvalues)
    # Random numbers are drawn on the CPU, so that a seed means the same on every device.
    random = torch.randn(count, count, generator=torch.Generator().manual_seed(config.seed), dtype=torch.float64)
    inputs = torch.linalg.qr(random)[0] * torch.from_numpy(np.sqrt(count * eigenvalues))
    targets = inputs @ torch.from_numpy(np.sqrt(shares / eigenvalues))[:, None]
    place = {"device": resolve_device(config.device), "dtype": getattr(torch, config.dtype)}
    model = torch.nn.Linear(count, 1, bias=False, **place)
    torch.nn.init.zeros_(model.weight)
    return model, (inputs.to(**place), targets.to(**place))


def squared_error(model: Any, batch: Any) -> Any:
    return 0.5 * (model(batch[0]) - batch[1]).square().mean()


def closed_form(config: CurveSettings, steps: np.ndarray) -> np.ndarray:
    factors = 1 - config.train.learning_rate * config.spectrum.eigenvalues()
    return 0.5 * (config.spectrum.shares() * factors ** (2 * steps[:, None])).sum(axis=1)
