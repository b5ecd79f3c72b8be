"""Claims that a quantity is a constant of gradient flow."""

from __future__ import annotations

from agfrun.labs.staircases.claims.claim import NOTHING_LEARNED, Evidence
from agfrun.study.claim import Claim, Statement

# The integrator's default relative tolerance: what a step may add to the drift.
STEP_ERROR = 1e-6
FEWEST_STEPS = 100


def conserved(evidence: Evidence, statement: Statement, drift: float, size: float) -> Claim:
    """The claim that a quantity is conserved along training's flow.

    Args:
        evidence: of a flow; undecided if it learned nothing, for then its neurons have hardly moved.
        statement: what is claimed.
        drift: by how much the quantity changed.
        size: the squared norm whose parts the quantity is a difference of.
    """
    if not evidence.learned:
        return statement.undecided(NOTHING_LEARNED)
    steps = max(evidence.training.statistics.accepted_steps, FEWEST_STEPS)
    return statement.close(0.0, drift, steps * STEP_ERROR, f"integration: {STEP_ERROR:g} of the squared norm at each "
                           f"of {steps} steps", size)
