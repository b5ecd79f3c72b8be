"""Claims about modular addition: bounds of dormant neurons, levels of any order, the maximizer of dense templates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from explicit_networks import CPU

from agfrun import Claim, DataConfig
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.claims.quadratic_modadd import dormant_lower_bounds, levels_of_any_order, utility_maximizer
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.quadratic_modadd.data import (
    GaussianModularAdditionConfig,
    OneHotModularAdditionConfig,
    PowerLawModularAdditionConfig,
    modular_addition,
)
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import maximal_utilities


def by_name(claims: list[Claim], source: str) -> dict[str, Claim]:
    return {claim.claim: claim for claim in claims if claim.source == source}


def earlier(evidence: Evidence, kind: str, factor: float) -> Evidence:
    """Training's events of one kind at a multiple of their time."""
    measured = [replace(event, time=factor * event.time) if event.kind == kind else event
                for event in evidence.measured]
    return replace(evidence, measured=measured)


def test_bounds_hold_and_are_those_of_the_largest_neuron(modadd_evidence: Evidence) -> None:
    claims = dormant_lower_bounds(modadd_evidence)
    assert all(claim.holds for claim in claims)
    predicted = by_name(claims, "agf")
    assert sorted(predicted) == ["dormant_lower_bound_1", "dormant_lower_bound_2"]
    largest = float(modadd_evidence.initial.norm(dim=1).max())
    # p = 4, amplitudes 4 and 2, 2 the Nyquist frequency.
    for feature, utility in (("1", (2 / (27 * 64)) ** 0.5 * 64), ("2", (4 / (27 * 64)) ** 0.5 * 8)):
        bound = predicted[f"dormant_lower_bound_{feature}"].expected
        assert bound == pytest.approx((1 / largest - 1 / modadd_evidence.threshold) / (3 * utility))


def test_in_training_a_neuron_is_bounded_by_the_norm_it_has(modadd_evidence: Evidence) -> None:
    """Events are dated at half the norm at which a neuron settles, below a threshold of 1."""
    modadd_evidence = replace(modadd_evidence, threshold=1.0)
    predicted, measured = (by_name(dormant_lower_bounds(modadd_evidence), source) for source in ("agf", "training"))
    first = next(event for event in modadd_evidence.measured if event.kind == "activation" and event.feature == "1")
    path = modadd_evidence.training.trajectory
    norm = float(np.interp(first.time, path.times, path.neuron_norms[:, first.neuron]))
    assert norm < modadd_evidence.threshold
    name, largest = "dormant_lower_bound_1", float(modadd_evidence.initial.norm(dim=1).max())
    ratio = float(measured[name].expected) / float(predicted[name].expected)
    assert ratio == pytest.approx((1 / largest - 1 / norm) / (1 / largest - 1 / modadd_evidence.threshold))


def test_an_activation_before_its_bound_fails(modadd_evidence: Evidence) -> None:
    path = modadd_evidence.training.trajectory
    faster = replace(modadd_evidence.training, trajectory=replace(path, times=0.1 * path.times))
    claims = dormant_lower_bounds(replace(earlier(modadd_evidence, "activation", 0.1), training=faster))
    assert {claim.holds for claim in claims if claim.source == "training"} == {False}
    assert all(claim.holds for claim in claims if claim.source == "agf")


def test_active_neurons_may_acquire_a_frequency_at_any_time(modadd_evidence: Evidence) -> None:
    assert all(claim.holds for claim in dormant_lower_bounds(earlier(modadd_evidence, "acquisition", 0.01)))


def test_the_statement_says_where_the_bound_is_not_rigorous(modadd_evidence: Evidence) -> None:
    data = modular_addition(20, [1, 3, 5], [10.0, 5.0, 2.5], torch.float64, CPU)
    network = QuadraticModadd(data, 8)
    events = [Event("activation", 1e9, feature, 0, 1.0, 1.0) for feature in ("1", "3", "5")]
    evidence = replace(modadd_evidence, architecture=network, initial=torch.full((8, 60), 1e-3), predicted=events,
                       measured=[])
    statements = [claim.statement for claim in dormant_lower_bounds(evidence) if claim.source == "agf"]
    assert ["as if the frequencies learned before" in statement for statement in statements] == [False, True, True]
    standings = [claim.standing for claim in dormant_lower_bounds(evidence) if claim.source == "agf"]
    assert standings == ["bound", "conjecture", "conjecture"]


# ---- Levels of another order


def acquired(*pairs: tuple[str, float]) -> list[Event]:
    return [Event("acquisition", float(time), feature, None, np.nan, level)
            for time, (feature, level) in enumerate(pairs, 1)]


def with_acquisitions(evidence: Evidence, events: list[Event]) -> Evidence:
    return replace(evidence, measured=events, predicted=[])


def test_levels_of_the_predicted_order_are_left_to_the_general_claim(modadd_evidence: Evidence) -> None:
    assert modadd_evidence.theory is not None
    assert [feature for feature, _ in modadd_evidence.theory.levels] == ["1", "2"]
    assert levels_of_any_order(modadd_evidence) == []


@pytest.mark.parametrize(("level", "holds"), [(4.0, True), (4.02, True), (4.1, False), (0.5, False)])
def test_levels_of_another_order(modadd_evidence: Evidence, level: float, holds: bool) -> None:
    """Without the Nyquist frequency's 2^2 / 8 the loss is that of frequency 1, 4^2 / 4."""
    events = acquired(("2", level), ("1", 0.0))
    claims = levels_of_any_order(with_acquisitions(modadd_evidence, events))
    assert [(claim.claim, claim.expected, claim.holds) for claim in claims] == [
        ("loss_level_1", pytest.approx(4.0), holds), ("loss_level_2", None, None)]


def test_a_level_of_another_order_may_not_be_resolved(modadd_evidence: Evidence) -> None:
    claims = levels_of_any_order(with_acquisitions(modadd_evidence, acquired(("2", np.nan), ("1", 0.0))))
    assert [(claim.claim, claim.holds) for claim in claims] == [("loss_level_1", None), ("loss_level_2", None)]


def test_a_frequency_without_a_neuron_leaves_its_bound_open(modadd_evidence: Evidence) -> None:
    measured = [event for event in modadd_evidence.measured if event.kind != "activation"]
    claims = by_name(dormant_lower_bounds(replace(modadd_evidence, measured=measured)), "training")
    assert {name: claim.holds for name, claim in claims.items()} == {
        "dormant_lower_bound_1": None, "dormant_lower_bound_2": None}


def test_a_path_that_was_stopped_has_no_last_level(modadd_evidence: Evidence) -> None:
    stopped = replace(modadd_evidence, training=replace(modadd_evidence.training, status="horizon"))
    claims = levels_of_any_order(with_acquisitions(stopped, acquired(("2", 4.0), ("1", 1.0))))
    assert [claim.claim for claim in claims] == ["loss_level_1"]


def test_equally_strong_frequencies_have_no_levels(modadd_evidence: Evidence) -> None:
    assert modadd_evidence.theory is not None
    tied = replace(modadd_evidence, theory=replace(modadd_evidence.theory, undecided="1 and 2 are equally strong"))
    assert levels_of_any_order(with_acquisitions(tied, acquired(("2", 1.0), ("1", 0.0)))) == []


# ---- The maximizer


@pytest.mark.parametrize("config", [
    GaussianModularAdditionConfig(p=31), PowerLawModularAdditionConfig(p=20, exponent=0.05),
    OneHotModularAdditionConfig(p=9), OneHotModularAdditionConfig(p=8),
], ids=["gaussian", "nearly flat", "one hot", "one hot, even"])
def test_the_maximizer_of_a_dense_template_is_found(modadd_evidence: Evidence, config: DataConfig) -> None:
    network = QuadraticModadd(config.build(torch.float64, CPU), 4)
    claims = utility_maximizer(replace(modadd_evidence, architecture=network))
    assert all(claim.holds for claim in claims), claims
    assert claims[0].measured == pytest.approx(float(maximal_utilities(network.data).max()), rel=1e-9)
