"""The sources of what a run shows: training, and the rungs of the ladder of predictions.

Imports nothing, so that settings, tables, figures and pages may name sources alike.
"""

from __future__ import annotations

from collections.abc import Iterable

TRAINING, THEORY, OWN_SIZE, AGF, DECOUPLED = "training", "theory", "own_size", "agf", "decoupled"

# The rungs, from what costs nothing to what costs as much as training.
LADDER = (THEORY, OWN_SIZE, AGF, DECOUPLED)
# Which rung an alternation with these cost phases is.
OF_COST_PHASE = {"instantaneous": AGF, "decoupled": DECOUPLED}
NAMES = {TRAINING: "training", THEORY: "closed form", OWN_SIZE: "own-size steps", AGF: "AGF",
         DECOUPLED: "decoupled flow"}


def in_words(source: str) -> str:
    """A prediction in a sentence."""
    return f"the {NAMES[source]}" if source == DECOUPLED else NAMES[source]


def main_of(sources: Iterable[str]) -> str:
    """The main prediction among the sources of a table, in the order of its rows: that is written first."""
    return next((source for source in sources if source in OF_COST_PHASE.values()), AGF)


def stage_of(rung: str, main: str) -> str:
    """The stage of a run whose seconds are those of a rung or of training."""
    return {main: "predict", TRAINING: "train"}.get(rung, rung)
