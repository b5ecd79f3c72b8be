"""AGF of the diagonal linear network in closed form, at any initialization scale."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agfrun.agf.alternation import AlternationOptions
from agfrun.agf.prediction import Prediction, Round
from agfrun.agf.record import PathRecord
from agfrun.architectures.diagonal_linear import DiagonalLinear
from agfrun.dynamics.integrate import IntegrationStatistics
from agfrun.theory.successive_saddles import FloatArray, Saddle, hyperbola_ends, successive_saddles

ROWS_PER_PHASE = 40


def diagonal_prediction(
    architecture: DiagonalLinear, initial: Tensor, options: AlternationOptions
) -> Prediction:
    """The alternation of a diagonal network: dormant neurons slide along their hyperbolas at constant speed.

    The cost phase is least squares under sign constraints; a neuron that collapses stays on its
    threshold and has to cross to the other one (Pesme & Flammarion's rule).
    """
    neurons = initial.cpu().double().numpy()
    sums, differences = neurons[:, 0] + neurons[:, 1], neurons[:, 0] - neurons[:, 1]
    lower, upper = hyperbola_ends(sums, differences, options.threshold)
    inputs = architecture.data.inputs.cpu().double().numpy()
    targets = architecture.data.targets.cpu().double().numpy()
    saddles = successive_saddles(inputs, targets, lower, upper, options.loss_tolerance, options.max_events,
                                 options.max_time or np.inf)
    initial_loss = 0.5 * float(np.mean(targets**2))
    path = PathRecord(architecture, initial, only_active=True)
    rounds: list[Round] = []
    time, levels, coefficients, loss = 0.0, np.zeros_like(sums), np.zeros_like(sums), initial_loss
    path.record(0.0, initial, loss, torch.zeros(0, dtype=torch.long))
    for saddle in saddles:
        for fraction in np.linspace(0, 1, ROWS_PER_PHASE)[1:]:
            here = levels + fraction * (saddle.levels - levels)
            _record(path, initial, time + fraction * (saddle.time - time), here, coefficients, loss, sums, differences)
        time, levels = saddle.time, saddle.levels
        _record(path, initial, time, levels, coefficients, loss, sums, differences, saddle.coordinate)
        coefficients = saddle.coefficients
        feature = architecture.feature_names[saddle.coordinate]
        before, loss = loss, saddle.loss
        _record(path, initial, time, levels, coefficients, loss, sums, differences)
        path.activated(time, saddle.coordinate, feature, before, loss, saddle.collapsed)
        rounds.append(_round(saddle, feature, inputs, targets, differences * sums))
    final = torch.tensor(_states(levels, coefficients, sums, differences), dtype=initial.dtype, device=initial.device)
    complete = loss <= options.loss_tolerance * initial_loss
    reason = f"the loss fell below {options.loss_tolerance:g} of its initial value" if complete else _reason(
        saddles, options)
    return Prediction(path.trajectory(), path.events(), tuple(rounds), final, "closed_form", "instantaneous",
                      complete, reason, IntegrationStatistics())


def _record(path: PathRecord, like: Tensor, time: float, levels: FloatArray, coefficients: FloatArray, loss: float,
            sums: FloatArray, differences: FloatArray, joining: int | None = None) -> None:
    """Add a row; `joining` is a neuron that is on its threshold and counts as active from now on."""
    state = torch.tensor(_states(levels, coefficients, sums, differences), dtype=like.dtype, device=like.device)
    active = coefficients != 0
    if joining is not None:
        active[joining] = True
    path.record(time, state, loss, torch.tensor(np.nonzero(active)[0]))


def _states(levels: FloatArray, coefficients: FloatArray, sums: FloatArray, differences: FloatArray) -> FloatArray:
    """Neurons (d, 2): dormant ones from their level, active ones from u v = beta, u^2 - v^2 conserved."""
    grown, shrunk = sums * np.exp(levels), differences * np.exp(-levels)
    dormant = 0.5 * np.stack([grown + shrunk, grown - shrunk], axis=1)
    imbalance = sums * differences
    total = np.hypot(2 * coefficients, imbalance)
    large, small = np.sqrt((total + np.abs(imbalance)) / 2), np.sqrt(np.maximum(total - np.abs(imbalance), 0) / 2)
    u, v = np.where(imbalance >= 0, large, small), np.where(imbalance >= 0, small, large)
    # Growing on the upper side keeps the sign of u + v, on the lower side that of u - v.
    orientation = np.where(coefficients > 0, np.sign(sums), np.sign(differences))
    active = np.stack([u, v * np.sign(coefficients)], axis=1) * orientation[:, None]
    return np.where((coefficients != 0)[:, None], active, dormant)


def _round(saddle: Saddle, feature: str, inputs: FloatArray, targets: FloatArray, imbalance: FloatArray) -> Round:
    drives = inputs.T @ (targets - inputs @ saddle.coefficients) / len(targets)
    active = saddle.coefficients != 0
    norms = np.sqrt(np.hypot(2 * saddle.coefficients, imbalance))
    gradient_norm = float(np.linalg.norm((drives * norms)[active]))
    return Round(saddle.time, saddle.coordinate, feature, saddle.collapsed, saddle.loss, gradient_norm, 0.0,
                 "least squares under sign constraints, exact")


def _reason(saddles: list[Saddle], options: AlternationOptions) -> str:
    if len(saddles) >= options.max_events:
        return f"agf.max_events={options.max_events} activations were reached"
    return "no dormant neuron is driven to its threshold" + (
        f" before time {options.max_time:g}" if options.max_time else "")
