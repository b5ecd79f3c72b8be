"""Claims about the fully connected linear network that a run leaves open are undecided; see `test_mutations` too."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from claims_runs import run_evidence

from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.fully_connected_linear import CLAIMS
from agfrun.labs.staircases.dynamics.recorder import Recorder

MODES = ("1", "2", "3")


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Three commuting modes, from 1e-8, to the end."""
    return run_evidence("linear")


def verdicts(evidence: Evidence) -> dict[tuple[str, str], bool | None]:
    claims = [claim for check in CLAIMS for claim in check(evidence)]
    found = {(claim.claim, claim.source): claim.holds for claim in claims}
    assert len(found) == len(claims), "two claims of one name and source"
    return found


def test_a_solved_network_is_not_at_the_saddles_before(evidence: Evidence) -> None:
    """Relative to the whole target it would be: the last mode is a small part of it."""
    kept = evidence.training.recorder
    solved = Recorder(kept.architecture, kept.source, kept.max_rows)
    solved.states = [(time, evidence.training.final) for time, _ in kept.states]
    found = verdicts(replace(evidence, training=replace(evidence.training, recorder=solved)))
    assert [found[f"saddle_{number}", "training"] for number in (1, 2, 3)] == [False, False, None]


def test_gradient_descent_decides_no_conservation(evidence: Evidence) -> None:
    found = verdicts(replace(evidence, is_flow=False))
    assert ("conserved_balance", "training") not in found
    assert ("saddle_1", "training") in found


def test_without_theory_only_what_needs_none_is_decided(evidence: Evidence) -> None:
    assert set(verdicts(replace(evidence, theory=None))) == {("maximal_utility", "theory"),
                                                            ("conserved_balance", "training")}


def test_saddles_of_another_order_are_undecided(evidence: Evidence) -> None:
    swapped = {"2": "3", "3": "2"}
    events = [replace(event, feature=swapped.get(event.feature, event.feature)) for event in evidence.measured]
    found = verdicts(replace(evidence, measured=events))
    assert [found[f"saddle_{number}", "training"] for number in (1, 2, 3)] == [True, None, None]


def test_modes_that_were_not_learned_are_undecided(evidence: Evidence) -> None:
    events = [event for event in evidence.measured if event.feature != "3"]
    found = verdicts(replace(evidence, measured=events))
    assert [found[f"saddle_{number}", "training"] for number in (1, 2, 3)] == [True, True, None]
    assert [found[f"mode_time_{mode}", "training"] for mode in MODES] == [True, True, None]


def test_an_unresolved_plateau_is_undecided(evidence: Evidence) -> None:
    events = [replace(event, plateau_start=math.nan) if event.feature == "2" else event for event in evidence.measured]
    found = verdicts(replace(evidence, measured=events))
    assert [found[f"saddle_{number}", "training"] for number in (1, 2, 3)] == [True, None, None]


def test_balance_is_read_off_the_recorded_start(evidence: Evidence) -> None:
    """Where the scale is below the smallest float, `initial` is not where training started."""
    elsewhere = replace(evidence, initial=1e4 * evidence.initial, log_init_scale=math.log(0.5))
    assert verdicts(elsewhere)["conserved_balance", "training"]
