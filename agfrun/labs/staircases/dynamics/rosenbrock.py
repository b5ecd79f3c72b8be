"""Rodas5P: an L-stable Rosenbrock method of order 5 with dense output of order 4.

Linearly implicit: one factorization of I - h gamma J and eight solves a step, no Newton iteration, so
that its step follows accuracy alone however stiff the flow is. Gradient flow is stiff (near a plateau
the active neurons relax thousands of times faster than the dormant ones grow), and its Jacobian -H is
symmetric, so that a Cholesky factorization does. Coordinates may leave out of J what is small; the steps
become a little shorter then, and as accurate.

Coefficients: G. Steinebach, "Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks
within the Julia Differential Equations package", BIT 63:27 (2023), in the transformed variables of
Hairer & Wanner, Solving ODEs II, section IV.7.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import Attempt, IntegrationStatistics, Stepper
from agfrun.labs.staircases.dynamics.linearization import Solver

GAMMA = 0.21193756319429014

_STAGE = (
    (),
    (3.0,),
    (2.849394379747939, 0.45842242204463923),
    (-6.954028509809101, 2.489845061869568, -10.358996098473584),
    (2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641),
    (-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946),
)
# Stages 7 and 8 and the result add the latest increment to the previous stage (stiffly accurate).
STAGE = (*_STAGE, (*_STAGE[5], 1.0), (*_STAGE[5], 1.0, 1.0))
RESULT = (*_STAGE[5], 1.0, 1.0, 1.0)

COUPLING = (
    (),
    (-14.155112264123755,),
    (-17.97296035885952, -2.859693295451294),
    (147.12150275711716, -1.41221402718213, 71.68940251302358),
    (165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306),
    (24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471),
    (30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623,
     -28.087943162872662),
    (37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
     -54.66780262877968, -9.48861652309627),
)

DENSE = (
    (25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204,
     0.524948541321073, 1.1241088310450404, 0.4272876194431874, -0.17202221070155493),
    (-9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796,
     20.176138334709044, 15.98066361424651, -6.789040303419874, -6.710236069923372),
    (11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643,
     -52.072871366152654, -59.78993625266729, -0.15582684282751913, 4.883087185713722),
)


def interpolant(y: Tensor, y_new: Tensor, increments: Tensor) -> Callable[[float], Tensor]:
    """The path of a step from y to y_new (n,) with stage increments (8, n), by the fraction of its duration."""
    dense = torch.tensor(DENSE, dtype=y.dtype, device=y.device) @ increments

    def at(fraction: float) -> Tensor:
        rest = 1 - fraction
        # Both ends are met exactly, whatever the inner weights: the path that is recorded has no jumps.
        bend = dense[0] + fraction * (dense[1] + fraction * dense[2])
        return rest * y + fraction * (y_new + rest * bend)

    return at


class Rosenbrock(Stepper):
    """Rodas5P with the Jacobian that the coordinates supply."""

    order = 5  # the error is that of the embedded method of order 4, h^5
    gamma = GAMMA

    def __init__(self, coordinates: FlowCoordinates, statistics: IntegrationStatistics) -> None:
        super().__init__(coordinates, statistics)
        self.weights: tuple[list[Tensor], list[Tensor], Tensor] | None = None

    def begin(self, y: Tensor, velocity: Tensor) -> None:
        """Linearize, once however many steps are tried from here."""
        self.y, self.velocity = y, velocity
        self.linearization = self.coordinates.linearization(y)
        self.statistics.jacobian_evaluations += 1
        if self.weights is None:
            def rows(table: tuple[tuple[float, ...], ...]) -> list[Tensor]:
                return [torch.tensor(row, dtype=y.dtype, device=y.device) for row in table]

            # Stage i is (I / (h gamma) - J) u_i = f(Y_i) + sum_j c_ij u_j / h: times h gamma, only gamma c_ij is left.
            coupling = [GAMMA * row for row in rows(COUPLING)]
            self.weights = (rows(STAGE), coupling, rows((RESULT,))[0])

    def attempt(self, step: float) -> Attempt | None:
        """One step; None if I - h gamma J is not positive definite (it grows faster than the step)."""
        solve = self.linearization.solver(step * GAMMA)
        self.statistics.factorizations += 1
        if solve is None or self.weights is None:
            return None
        increments = self._increments(step, solve)
        y_new = torch.addmv(self.y, increments.T, self.weights[2])
        # Stiffly accurate: y_new is the embedded solution and the last increment, which is its error.
        return Attempt(y_new, increments[7], interpolant(self.y, y_new, increments), solve)

    def _increments(self, step: float, solve: Solver) -> Tensor:
        """The eight stage increments, shape (8, n)."""
        assert self.weights is not None
        stage_weights, coupling_weights = self.weights[:2]
        increments = self.y.new_empty(8, self.y.shape[0])
        # The flow does not depend on time itself: stages have no terms for its derivative by time.
        increments[0] = solve(self.velocity * (step * GAMMA))
        for i in range(1, 8):
            done = increments[:i].T
            velocity = self.loss_and_velocity(torch.addmv(self.y, done, stage_weights[i]))[1]
            increments[i] = solve(torch.addmv(velocity, done, coupling_weights[i], beta=step * GAMMA))
        return increments
