"""Whichever of two methods takes less work, judged anew along the path: Rosenbrock's or the stabilized explicit one.

Per unit of time a step of Rosenbrock's costs a Jacobian, n^3 / 6 multiplications for its factor, eight gradients and
eight solves; a step of `Rock4` gradients alone, as many as the root of step times spectral radius asks for. Both are
counted in multiplications, those of gradients and Jacobians by the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.coordinates import Work
from agfrun.labs.staircases.dynamics.integrate import Integration, IntegrationStatistics, StepController, Stepper
from agfrun.labs.staircases.dynamics.rock import Rock4, stage_count
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock

# So many times longer are steps of Rosenbrock's at the same error (measured: 2.9 to 3.4).
LONGER = 3.2
# A solve reads the whole factor from memory, where a product's numbers are used many times.
SOLVE = 8
# The other method has to be quicker by this factor, and is asked for every so many steps.
QUICKER, LOOK = 1.5, 10


@dataclass(frozen=True)
class Estimate:
    """Multiplications per unit of time."""

    rosenbrock: float
    rock4: float

    @classmethod
    def of(cls, work: Work, unknowns: int, step: float, radius: float) -> Estimate:
        """At a spectral radius, where a step of `Rock4` has this length."""
        solves = 8 * (work.gradient + SOLVE * unknowns**2)
        count = stage_count(step * radius)
        return cls((work.jacobian + unknowns**3 / 6 + solves) / (LONGER * step),
                   float("inf") if count is None else (count + 1) * work.gradient / step)


class QuickestIntegration(Integration):
    """Steps by the method that takes less work; nothing is estimated of the error of drop times."""

    def __init__(self, statistics: IntegrationStatistics, coordinates: Any, work: Work, y: Tensor, start: float,
                 end: float, tolerance: float) -> None:
        self.rock, self.rosenbrock = Rock4(coordinates, statistics), Rosenbrock(coordinates, statistics)
        # Nothing is stiff at first.
        super().__init__(self.rock, y, start, end, tolerance)
        self.work, self.since = work, 0

    def state(self) -> TrainingState:
        """See `Integration.state`."""
        own = TrainingState({"rosenbrock": self.stepper is self.rosenbrock, "since": self.since})
        return TrainingState.joined(choice=own, path=super().state(), rock=self.rock.state())

    def restore(self, state: TrainingState) -> None:
        """See `Integration.restore`."""
        choice = state.part("choice").numbers
        self._take(self.rosenbrock if choice["rosenbrock"] else self.rock)
        self.since = int(choice["since"])
        like = self.y
        super().restore(state.part("path"))
        self.rock.restore(state.part("rock"), like)

    def _renew(self) -> None:
        super()._renew()
        self.since += 1
        if self.since % LOOK:
            return
        assert self.step is not None
        implicit = self.stepper is self.rosenbrock
        self.rock.begin(self.y, self.velocity)
        step = self.step / LONGER if implicit else self.step
        estimate = Estimate.of(self.work, self.y.numel(), step, self.rock.radius)
        if implicit and QUICKER * estimate.rock4 < estimate.rosenbrock:
            self._take(self.rock)
            self.step = step
        elif not implicit and QUICKER * estimate.rosenbrock < estimate.rock4:
            self._take(self.rosenbrock)
            self.step = step * LONGER

    def _take(self, stepper: Stepper) -> None:
        self.stepper, self.controller = stepper, StepController(self.tolerance, stepper.order)
