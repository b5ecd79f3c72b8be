"""The front door of AGF: the closed form where the whole alternation has one, else the general engine."""

from __future__ import annotations

from torch import Tensor

from agfrun.labs.staircases.agf.alternation import Alternation, AlternationOptions
from agfrun.labs.staircases.agf.closed_form import diagonal_prediction
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.study.errors import ConfigError


def predict(
    architecture: Architecture, initial: Tensor, options: AlternationOptions | None = None, method: str = "auto",
    log_factor: float = 0.0,
) -> Prediction:
    """Predict training from the initialization `initial * exp(log_factor)`, (H, D).

    Args:
        method: `generic`, `closed_form`, or `auto`: the closed form where there is one.

    Raises:
        ConfigError: a closed form is asked for where there is none.
    """
    options = options or AlternationOptions()
    idealized = (options.cost_phase == "instantaneous" and options.dormant_clock == "carried"
                 and not options.dormant_interaction)
    if method != "generic" and idealized and isinstance(architecture, DiagonalLinear):
        return diagonal_prediction(architecture, initial, options, log_factor)
    if method == "closed_form":
        raise ConfigError("agf.method", method, f"model={architecture.name} with agf.cost_phase="
                          f"{options.cost_phase} has no closed form; choose auto or generic")
    return Alternation(architecture, architecture.fewest_neurons(initial), options, log_factor).predict()
