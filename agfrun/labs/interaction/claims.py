"""The claims of `study=interaction`, decided from its summary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agfrun.files.tables import is_missing
from agfrun.labs.interaction.names import ABLATIONS, OURS
from agfrun.study.claim import Claim, Statement

if TYPE_CHECKING:
    import pandas as pd

SOURCE = "held-out states"
REICHLIN = "Reichlin et al., Learning Geometric Representations of Objects via Interaction, 2023"
AGFRUN = "agfrun"
MEANS = "means over seeds; summary.csv has the interval of the isometry error"
# Errors are those of training for so long; a shorter one has not arrived.
ENOUGH_STEPS = 500
# In parts of the squared field, of the field, and shares of variance and of transitions.
LARGEST_ERROR, LARGEST_GAP, LEAST_AGENT = 0.04, 0.05, 0.99
LEAST_OBJECT = {"mixture": 0.72, "otsu": 0.65, "labels": 0.72}
# In degrees; at random it would be 45.
LARGEST_TURN = 15
LEAST_ACCURACY = {"mixture": 0.95, "otsu": 0.8}
# What is left of the explained variance where a loss that it needs is missing.
NOTHING = 0.1
_NEEDED = {"no_plus": ("object_r2", "without the loss of contacts the object is not found"),
           "no_contrast": ("object_r2", "without the contrastive loss the object is not found"),
           "no_equivariance": ("agent_r2", "without the loss of the action the agent's place is in no unit"),
           "swapped": ("object_r2", "with contacts and the rest exchanged the object is not found")}
_WORSE = {"constant": "a constant", "pca": "principal components", "vae": "an equivariant autoencoder",
          "keypoints": "keypoints of the Transporter"}


class Summary:
    """Looks up summary.csv."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._rows = {row["method"]: row for row in table.to_dict("records")}

    def value(self, method: str, column: str) -> float | None:
        """A value; None where it was not measured."""
        found = self._rows.get(method, {}).get(column)
        return None if is_missing(found) else float(found)

    def missing(self, *methods: str) -> str:
        """Why a value of these methods is not there, in words."""
        absent = [method for method in methods if method not in self._rows]
        return f"study.methods has no {' or '.join(absent)}" if absent else "it was not said, or the truth is not known"


def claims_of(table: pd.DataFrame, split: str, steps: int) -> list[Claim]:
    """All claims about a table summary.csv.

    Args:
        table: the summary.
        split: how contacts were told.
        steps: of training.
    """
    found = Summary(table)
    return [*_recovery(found, split, steps), *_parts(found, steps), *_baselines(found, steps)]


def _recovery(found: Summary, split: str, steps: int) -> Iterator[Claim]:
    yield _bounded(Statement("error_is_small", SOURCE, "agent and object are found up to one translation: the isometry "
                             "error is small", f"{REICHLIN}, theorem", "numerics"), found, OURS, "isometry_error",
                   LARGEST_ERROR, steps)
    yield _bounded(Statement("one_offset", SOURCE, "the translation is the same for both", f"{REICHLIN}, theorem",
                             "numerics"), found, OURS, "offset_gap", LARGEST_GAP, steps)
    yield _bounded(Statement("agent_is_found", SOURCE, "the agent's place is recovered isometrically",
                             f"{REICHLIN}, section 5", "numerics"), found, OURS, "agent_r2", LEAST_AGENT, steps, True)
    yield _bounded(Statement("object_is_found", SOURCE, "the object's place is recovered isometrically, without labels",
                             f"{REICHLIN}, section 5", "numerics"), found, OURS, "object_r2", LEAST_OBJECT[split],
                   steps, True)
    yield _bounded(Statement("direction_is_found", SOURCE, "the direction in which a long object lies is learned",
                             f"{REICHLIN}, section 5", "numerics"), found, OURS, "direction_error", LARGEST_TURN, steps)
    contacts = Statement("contacts_are_found", SOURCE, "contacts are told without a sensor", f"{REICHLIN}, section 4",
                         "numerics")
    if split in LEAST_ACCURACY:
        yield _bounded(contacts, found, OURS, "contact_accuracy", LEAST_ACCURACY[split], steps, True)
    else:
        yield contacts.undecided("the split is that of the true labels")


def _parts(found: Summary, steps: int) -> Iterator[Claim]:
    for ablation in ABLATIONS:
        column, words = _NEEDED[ablation]
        yield _bounded(Statement(f"fails_{ablation}", SOURCE, words, AGFRUN, "numerics"), found, ablation, column,
                       NOTHING, steps)


def _baselines(found: Summary, steps: int) -> Iterator[Claim]:
    for method, words in _WORSE.items():
        stated = f"{REICHLIN}, section 5" if method in ("vae", "keypoints") else AGFRUN
        statement = Statement(f"beats_{method}", SOURCE, f"the isometry error is smaller than that of {words}", stated,
                              "numerics")
        ours, theirs = (found.value(name, "isometry_error") for name in (OURS, method))
        if steps < ENOUGH_STEPS or ours is None or theirs is None:
            yield statement.undecided(_short(steps) or found.missing(OURS, method))
        else:
            yield statement.decided(f"below {theirs:.4f}", ours, ours < theirs, MEANS)


def _bounded(statement: Statement, found: Summary, method: str, column: str, bound: float, steps: int,
             below: bool = False) -> Claim:
    """A claim that a value is at most a bound, or at least it (`below`)."""
    measured = found.value(method, column)
    if steps < ENOUGH_STEPS or measured is None:
        return statement.undecided(_short(steps) or found.missing(method))
    return statement.decided(f"at {'least' if below else 'most'} {bound}", measured,
                             measured >= bound if below else measured <= bound, MEANS)


def _short(steps: int) -> str:
    return f"after {steps} steps nothing is learned yet: it takes {ENOUGH_STEPS}" if steps < ENOUGH_STEPS else ""
