"""Claims about the fully connected linear network hold on a good run and fail on evidence against them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agfrun import AgfConfig, GradientFlowConfig, InitConfig, Result, RunConfig, run
from agfrun.labs.staircases.claims.check import check_claims
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.fully_connected_linear import CLAIMS
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.networks.fully_connected_linear.data import CommutingLinearMapConfig
from agfrun.labs.staircases.networks.fully_connected_linear.network import (
    FullyConnectedLinear,
    FullyConnectedLinearConfig,
)

Doctor = Callable[[Evidence], Evidence]
MODES = ("1", "2", "3")


@pytest.fixture(scope="module")
def result() -> Result:
    """Three commuting modes, from 1e-4, to the end."""
    return run(RunConfig(
        model=FullyConnectedLinearConfig(width=3),
        data=CommutingLinearMapConfig(input_dimension=4, output_dimension=3, data_seed=2),
        init=InitConfig("gaussian", 1e-4), train=GradientFlowConfig(convergence=1e-8),
        agf=AgfConfig(method="generic", loss_tolerance=1e-5, cost_tolerance=1e-9, tolerance=1e-10), device="cpu"))


@pytest.fixture(scope="module")
def evidence(result: Result) -> Evidence:
    return Evidence(
        architecture=result.problem.architecture, initial=result.problem.initial,
        log_init_scale=result.config.init.log_scale, threshold=result.config.agf.threshold,
        prediction=result.prediction,
        training=result.training, is_flow=True, theory=result.theory, predicted=result.events[result.prediction.source],
        measured=result.events["training"], comparison=result.main_rows)


def verdicts(evidence: Evidence) -> dict[tuple[str, str], bool | None]:
    claims = [claim for check in CLAIMS for claim in check(evidence)]
    found = {(claim.claim, claim.source): claim.holds for claim in claims}
    assert len(found) == len(claims), "two claims of one name and source"
    return found


def with_final(evidence: Evidence, change: Callable[[Tensor], Tensor]) -> Evidence:
    return replace(evidence, training=replace(evidence.training, final=change(evidence.training.final)))


def with_states(evidence: Evidence, change: Callable[[Tensor], Tensor]) -> Evidence:
    kept = evidence.training.recorder
    recorder = Recorder(kept.architecture, kept.source, kept.max_rows)
    recorder.states = [(time, change(state)) for time, state in kept.states]
    return replace(evidence, training=replace(evidence.training, recorder=recorder))


def grown(neurons: Tensor) -> Tensor:
    """One layer a fifth too large."""
    return torch.cat([1.2 * neurons[:, :4], neurons[:, 4:]], dim=1)


def delayed(name: str, feature: str, factor: float) -> Doctor:
    def doctor(evidence: Evidence) -> Evidence:
        events = [replace(event, time=factor * event.time)
                  if event.kind == "acquisition" and event.feature == feature else event
                  for event in getattr(evidence, name)]
        return replace(evidence, **{name: events})

    return doctor


class SteeperUtility(FullyConnectedLinear):
    def utility(self, neurons: Tensor, residual: object, index: Tensor | None = None) -> Tensor:
        return 1.01 * super().utility(neurons, residual, index)


CONTRADICTIONS: dict[tuple[str, str], Doctor] = {
    ("maximal_utility", "theory"): lambda good: replace(good, architecture=SteeperUtility(good.architecture.data, 3)),
    ("conserved_balance", "training"): lambda good: with_final(good, grown),
    **{(f"saddle_{number}", "training"): (lambda good: with_states(good, grown)) for number in (1, 2, 3)},
    **{(f"mode_time_{mode}", source): delayed(name, mode, 4.0)
       for mode in MODES for source, name in (("agf", "predicted"), ("training", "measured"))},
}


def test_good_run_confirms_every_claim(evidence: Evidence) -> None:
    claims = check_claims(evidence)
    assert [claim.claim for claim in claims if not claim.holds] == []
    assert set(verdicts(evidence)) == set(CONTRADICTIONS)
    assert {"feature_order", "loss_level_3", "same_order_as_agf"} <= {claim.claim for claim in claims}


@pytest.mark.parametrize("case", CONTRADICTIONS, ids=" of ".join)
def test_claim_fails_on_contradicting_evidence(evidence: Evidence, case: tuple[str, str]) -> None:
    assert verdicts(CONTRADICTIONS[case](evidence))[case] is False


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
    assert [found[f"saddle_{number}", "training"] for number in (1, 2, 3)] == [True, None, True]


def test_balance_is_read_off_the_recorded_start(evidence: Evidence) -> None:
    """Where the scale is below the smallest float, `initial` is not where training started."""
    elsewhere = replace(evidence, initial=1e4 * evidence.initial, log_init_scale=math.log(0.5))
    assert verdicts(elsewhere)["conserved_balance", "training"]
