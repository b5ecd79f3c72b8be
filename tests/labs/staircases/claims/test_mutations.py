"""Every claim about a run fails on evidence that contradicts it, and no other claim does.

For each run of `claims_runs` and each way of being wrong the table below lists the claims that speak of it; `*` stands
for numbers and features. A claim that no way of being wrong touches makes the last test fail.
"""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
import torch
from claims_runs import RUNS, run_evidence
from doctored_evidence import (
    Doctor,
    before_bounds,
    drifted,
    higher_levels,
    larger_features,
    larger_layer,
    moved_on,
    other_final,
    other_network,
    other_states,
    rising_loss,
    shifted_penalties,
    slower,
    swapped,
    turned,
)
from torch import Tensor

from agfrun.labs.staircases.claims.check import OF_NETWORK, check_claims
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.run.problem import build_architecture

Names = set[tuple[str, str]]


def of(source: str, *patterns: str) -> Names:
    return {(pattern, source) for pattern in patterns}


def steeper(gradient: Tensor) -> Tensor:
    """A utility that is a part in a thousand too large."""
    return 1.001 * gradient


def impure(strengths: Tensor) -> Tensor:
    return strengths + 1e-3


def tilted(state: Tensor) -> Tensor:
    """Queries turned by 0.2 in the plane of two inputs."""
    cosine, sine = math.cos(0.2), math.sin(0.2)
    turn = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=state.dtype, device=state.device)
    return torch.cat([state[:, :-2], state[:, -2:] @ turn], dim=1)


def one_round_more(evidence: Evidence) -> Evidence:
    """AGF finds an activation beyond those of the exact solution, which takes off 2% of the initial loss."""
    assert evidence.theory is not None
    rounds = evidence.prediction.rounds
    last = evidence.theory.events[-1].loss_after - 0.02 * evidence.theory.initial_loss
    further = dataclasses.replace(rounds[-1], loss=last)
    return dataclasses.replace(evidence, prediction=dataclasses.replace(evidence.prediction, rounds=(*rounds, further)))


LATE_TRAINING = of("training", "acquisition_time_*")
# A feature in another's place is at another's time.
ORDER = of("agf", "feature_order") | of("training", "same_order_as_agf") | LATE_TRAINING
MEASURED_ORDER = of("training", "feature_order", "same_order_as_agf") | LATE_TRAINING
FIRST = of("training", "first_activation_time")

MUTATIONS: dict[str, dict[str, tuple[Doctor, Names]]] = {
    "diagonal": {
        "agf in another order": (swapped("agf"), ORDER | of("agf", "successive_saddles_order", "lasso_order")),
        "training in another order": (swapped("training"), MEASURED_ORDER),
        "agf late": (slower("agf", 1.5), of("agf", "rescaled_time_*") | LATE_TRAINING),
        "training late": (slower("training", 1.5), LATE_TRAINING),
        "training early": (slower("training", 1 / 1.5), LATE_TRAINING),
        "agf's levels": (higher_levels("agf"), of("agf", "loss_level_*")),
        "training's levels": (higher_levels("training"), of("training", "loss_level_*")),
        "rising loss": (rising_loss, of("training", "loss_never_rises")),
        "drift": (drifted, of("training", "conserved_difference")),
        "utility": (other_network({"utility_gradient": steeper, "utility": steeper}), of("theory", "maximal_utility")),
        "penalties": (other_network({"data_arrays": shifted_penalties}), of("theory", "lasso_times")),
    },
    "linear": {
        "agf in another order": (swapped("agf"), ORDER | of("agf", "mode_time_*")),
        "training in another order": (swapped("training"), MEASURED_ORDER | of("training", "mode_time_*")),
        "agf late": (slower("agf", 1.5), of("agf", "mode_time_*") | LATE_TRAINING),
        "training late": (slower("training", 1.5), of("training", "mode_time_*") | LATE_TRAINING),
        "agf's levels": (higher_levels("agf"), of("agf", "loss_level_*")),
        "training's levels": (higher_levels("training"), of("training", "loss_level_*")),
        "rising loss": (rising_loss, of("training", "loss_never_rises")),
        "drift": (drifted, of("training", "conserved_balance")),
        "another map": (larger_layer(), of("training", "saddle_*")),
        "utility": (other_network({"utility": lambda utility: 1.01 * utility}), of("theory", "maximal_utility")),
    },
    "attention": {
        "agf in another order": (swapped("agf"), ORDER | of("agf", "coefficient_*")),
        "training in another order": (swapped("training"), MEASURED_ORDER
                                      | of("training", "coefficient_*", "closed_form_time_*")),
        "agf late": (slower("agf", 1.5), LATE_TRAINING),
        "training late": (slower("training", 1.5), LATE_TRAINING | of("training", "closed_form_time_*")),
        "agf's levels": (higher_levels("agf"), of("agf", "loss_level_*")),
        "training's levels": (higher_levels("training"), of("training", "loss_level_*")),
        "rising loss": (rising_loss, of("training", "loss_never_rises")),
        "drift": (drifted, of("training", "conserved_balance")),
        "agf's coefficients": (larger_features("agf"), of("agf", "coefficient_*")),
        "training's coefficients": (larger_features("training"), of("training", "coefficient_*")),
        "agf's head tilted": (other_final("agf", tilted), of("agf", "diagonal_output")),
        "training's head tilted": (other_final("training", tilted), of("training", "diagonal_output")),
        "utility": (other_network({"utility": steeper}), of("theory", "maximal_utility")),
        "agf before its bounds": (before_bounds("agf", "lower_bound", "incremental_bound"),
                                  of("agf", "lower_bound_*", "incremental_bound_*") | LATE_TRAINING),
        "training before its bounds": (before_bounds("training", "lower_bound", "incremental_bound"),
                                       of("training", "lower_bound_*", "incremental_bound_*", "closed_form_time_*")
                                       | LATE_TRAINING),
    },
    "modadd": {
        "agf in another order": (swapped("agf"), ORDER | of("agf", "loss_level_*", "dormant_lower_bound_*")),
        "training in another order": (swapped("training"), MEASURED_ORDER
                                      | of("training", "loss_level_*", "dormant_lower_bound_*")),
        "agf late": (slower("agf", 1.5), LATE_TRAINING | FIRST),
        "training late": (slower("training", 1.5), LATE_TRAINING | FIRST),
        "agf's levels": (higher_levels("agf"), of("agf", "loss_level_*")),
        "training's levels": (higher_levels("training"), of("training", "loss_level_*")),
        "rising loss": (rising_loss, of("training", "loss_never_rises")),
        "drift": (drifted, of("training", "conserved_balance")),
        "agf before its bounds": (before_bounds("agf", "dormant_lower_bound"), of("agf", "dormant_lower_bound_*")
                                  | LATE_TRAINING | FIRST),
        "training before its bounds": (before_bounds("training", "dormant_lower_bound"),
                                       of("training", "dormant_lower_bound_*") | LATE_TRAINING | FIRST),
        "phases": (other_states(moved_on), of("training", "first_phases_aligned")),
        "the maximizer's phases": (other_network({"neuron_spectra": turned(0.01)}), of("theory", "phases_aligned")),
        "the maximizer's frequency": (other_network({"neuron_feature_strengths": impure}),
                                      of("theory", "single_frequency")),
        "utility": (other_network({"utility": steeper}), of("theory", "maximal_utility")),
    },
    "relu": {
        "agf in another order": (swapped("agf"), ORDER),
        "training in another order": (swapped("training"), MEASURED_ORDER),
        "agf late": (slower("agf", 1.5), LATE_TRAINING | FIRST | of("agf", "exact_time_*")),
        "training late": (slower("training", 1.5), LATE_TRAINING | FIRST),
        "agf before its bound": (before_bounds("agf", "first_activation_bound"),
                                 of("agf", "first_activation_bound", "exact_time_*") | LATE_TRAINING | FIRST),
        "agf's levels": (higher_levels("agf"), of("agf", "loss_level_*")),
        "training's levels": (higher_levels("training"), of("training", "loss_level_*")),
        "rising loss": (rising_loss, of("training", "loss_never_rises")),
        "drift": (drifted, of("training", "conserved_balance")),
        "a round more": (one_round_more, of("agf", "exact_rounds")),
    },
    "monomial": {
        "training in another order": (swapped("training"), of("training", "same_order_as_agf") | LATE_TRAINING),
        "agf late": (slower("agf", 1.5), LATE_TRAINING | FIRST),
        "training early": (slower("training", 1 / 1.5), LATE_TRAINING | FIRST),
        "agf before its bound": (before_bounds("agf", "first_activation_bound"),
                                 of("agf", "first_activation_bound") | LATE_TRAINING | FIRST),
        "rising loss": (rising_loss, of("training", "loss_never_rises")),
        "drift": (drifted, of("training", "conserved_balance")),
    },
}
CASES = [(run, mutation) for run, mutations in MUTATIONS.items() for mutation in mutations]


def pattern(claim: str, features: tuple[str, ...]) -> str:
    """The name of a claim, its number or feature left open."""
    return re.sub(rf"_(\d+|{'|'.join(map(re.escape, features))})$", "_*", claim)


def failing(evidence: Evidence) -> Names:
    return {(claim.claim, claim.source) for claim in check_claims(evidence) if claim.holds is False}


@pytest.mark.parametrize("run", MUTATIONS)
def test_no_claim_fails_on_a_good_run(run: str) -> None:
    assert failing(run_evidence(run)) == set()


@pytest.mark.parametrize(("run", "mutation"), CASES, ids=lambda value: value.replace(" ", "_"))
def test_exactly_the_claims_that_speak_of_it_fail(run: str, mutation: str) -> None:
    doctor, expected = MUTATIONS[run][mutation]
    names = run_evidence(run).architecture.feature_names
    assert {(pattern(claim, names), source) for claim, source in failing(doctor(run_evidence(run)))} == expected


@pytest.mark.parametrize("run", MUTATIONS)
def test_every_claim_has_a_mutation(run: str) -> None:
    """Of every name, and of every number and feature for which the good run decides it."""
    names, claims = run_evidence(run).architecture.feature_names, check_claims(run_evidence(run))
    assert {(pattern(claim.claim, names), claim.source) for claim in claims} == set().union(
        *(expected for _, expected in MUTATIONS[run].values()))
    refuted = set().union(*(failing(doctor(run_evidence(run))) for doctor, _ in MUTATIONS[run].values()))
    assert {(claim.claim, claim.source) for claim in claims if claim.holds} <= refuted


def test_every_network_has_a_run() -> None:
    networks = [build_architecture(RUNS[name]) for name in MUTATIONS]
    assert all(any(isinstance(network, kind) for network in networks) for kind in OF_NETWORK)
