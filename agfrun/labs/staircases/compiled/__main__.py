"""`python -m agfrun.labs.staircases.compiled` compiles the steps of all networks, so that no first run waits for it."""

from __future__ import annotations

from agfrun.configuration.composition import load_config
from agfrun.labs.staircases.dynamics.gradient_descent import train_by_gradient_descent
from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.run.problem import build_problem

# One of each kernel.
EVERY = (["model=diagonal_linear"], ["model=diagonal_linear", "model.depth=3", "model.signed=false"],
         ["model=fully_connected_linear"], ["model=linear_attention"], ["model=quadratic_modadd"])

for overrides in EVERY:
    problem = build_problem(load_config([*overrides, "device=cpu"]))
    train_by_gradient_flow(problem.architecture, problem.initial, 1e-3, log_factor=problem.log_factor)
    train_by_gradient_descent(problem.architecture, problem.initial, 1, learning_rate=1e-3)
