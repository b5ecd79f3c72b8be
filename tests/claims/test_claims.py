"""Every claim holds on a good run, fails on doctored evidence, and is left out where a run cannot decide it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from agfrun.claims import diagonal_linear, general, quadratic_modadd
from agfrun.claims.check import check_claims
from agfrun.claims.claim import Claim, Evidence
from agfrun.run import Result, run
from agfrun.schema import (
    DiagonalLinearConfig,
    InitConfig,
    ModularAdditionConfig,
    QuadraticModaddConfig,
    RotatedRegressionConfig,
    RunConfig,
)


def evidence_of(result: Result) -> Evidence:
    return Evidence(
        architecture=result.problem.architecture, initial=result.problem.initial,
        init_scale=result.config.init.scale, threshold=result.config.agf.threshold, prediction=result.prediction,
        training=result.training, is_flow=True, theory=result.theory, predicted=result.events["agf"],
        measured=result.events["training"], comparison=result.comparison)


@pytest.fixture(scope="module")
def diagonal() -> Evidence:
    return evidence_of(run(RunConfig(
        model=DiagonalLinearConfig(), data=RotatedRegressionConfig(), init=InitConfig("deterministic", 1e-8)),
        progress=False))


@pytest.fixture(scope="module")
def quadratic() -> Evidence:
    return evidence_of(run(RunConfig(
        model=QuadraticModaddConfig(width=8), seed=2, init=InitConfig("gaussian", 1e-3),
        data=ModularAdditionConfig(p=5, frequencies=[1], amplitudes=[5.0])), progress=False))


def verdicts(check: Callable[[Evidence], list[Claim]], evidence: Evidence) -> list[bool]:
    return [claim.holds for claim in check(evidence)]


def shifted(evidence: Evidence, **changes: float) -> Evidence:
    """All measured and predicted acquisitions with times or levels scaled."""
    def change(events: object) -> list:  # type: ignore[type-arg]
        return [dataclasses.replace(event, **{name: getattr(event, name) * factor + (name != "time") * 0.1
                                              for name, factor in changes.items()}) for event in events]  # type: ignore

    return dataclasses.replace(evidence, predicted=change(evidence.predicted), measured=change(evidence.measured))


def test_everything_holds_on_the_diagonal_network(diagonal: Evidence) -> None:
    rows = check_claims(diagonal)
    assert len(rows) >= 15
    assert [row["claim"] for row in rows if not row["holds"]] == []


def test_everything_holds_on_one_frequency(quadratic: Evidence) -> None:
    rows = check_claims(quadratic)
    names = {row["claim"] for row in rows}
    assert {"feature_order", "maximal_utility", "single_frequency", "phases_aligned", "conserved_balance",
            "first_activation_time", "lower_bound_1", "loss_never_rises"} <= names
    assert [row["claim"] for row in rows if not row["holds"]] == []


def test_a_rising_loss_is_seen(diagonal: Evidence) -> None:
    path = diagonal.training.trajectory
    loss = path.loss.copy()
    loss[len(loss) // 2] += 1e-3
    training = dataclasses.replace(diagonal.training, trajectory=dataclasses.replace(path, loss=loss))
    assert verdicts(general.loss_never_rises, dataclasses.replace(diagonal, training=training)) == [False]


def test_a_swapped_order_is_seen(diagonal: Evidence) -> None:
    swapped = [dataclasses.replace(event, feature={"1": "2", "2": "1"}[event.feature]) for event in diagonal.measured]
    doctored = dataclasses.replace(diagonal, measured=swapped)
    assert verdicts(general.feature_order, doctored) == [True, False]
    assert verdicts(general.same_order_as_agf, doctored) == [False]


def test_shifted_levels_are_seen(diagonal: Evidence) -> None:
    assert not any(verdicts(general.loss_levels, shifted(diagonal, loss_after=1.0)))


def test_times_before_the_bound_are_seen(quadratic: Evidence) -> None:
    assert not any(verdicts(general.lower_bounds, shifted(quadratic, time=1e-3)))


def test_a_stopped_path_decides_neither_order_nor_the_last_level(diagonal: Evidence) -> None:
    training = dataclasses.replace(diagonal.training, status="horizon")
    first = [event for event in diagonal.measured if event.time < 5]
    stopped = dataclasses.replace(diagonal, training=training, measured=first)
    assert [claim.source for claim in general.feature_order(stopped)] == ["agf"]
    assert general.same_order_as_agf(stopped) == []
    assert [claim.claim for claim in general.loss_levels(stopped) if claim.source == "training"] == []


def test_late_drops_are_seen(diagonal: Evidence) -> None:
    late = [{**row, "time_training": 3 * row["time_training"]} for row in diagonal.comparison]
    assert not any(verdicts(diagonal_linear.training_times, dataclasses.replace(diagonal, comparison=late)))


def test_another_sequence_than_the_successive_saddles_is_seen(diagonal: Evidence) -> None:
    reordered = [dataclasses.replace(event, feature="1") for event in diagonal.predicted]
    assert verdicts(diagonal_linear.agf_is_successive_saddles,
                    dataclasses.replace(diagonal, predicted=reordered)) == [False]


def test_rescaled_times_shrink_to_the_limit(diagonal: Evidence) -> None:
    slow = dataclasses.replace(diagonal, init_scale=1e-2)
    assert False in verdicts(diagonal_linear.agf_is_successive_saddles, slow)


def test_a_broken_invariant_is_seen(diagonal: Evidence) -> None:
    final = diagonal.training.final * diagonal.initial.new_tensor([1.01, 1])
    broken = dataclasses.replace(diagonal.training, final=final)
    assert verdicts(diagonal_linear.conserved_difference, dataclasses.replace(diagonal, training=broken)) == [False]
    assert diagonal_linear.conserved_difference(dataclasses.replace(diagonal, is_flow=False)) == []


def test_a_broken_balance_is_seen(quadratic: Evidence) -> None:
    final = quadratic.training.final.clone()
    final[:, :3] *= 1.1
    training = dataclasses.replace(quadratic.training, final=final)
    assert verdicts(quadratic_modadd.conserved_balance, dataclasses.replace(quadratic, training=training)) == [False]


def test_a_late_first_activation_is_seen(quadratic: Evidence) -> None:
    late = [{**row, "time_training": 1.05 * row["time_training"]} for row in quadratic.comparison]
    assert verdicts(quadratic_modadd.first_activation, dataclasses.replace(quadratic, comparison=late)) == [False]


def test_misaligned_phases_are_seen(quadratic: Evidence) -> None:
    """Activations dated long before the phases align."""
    early = [dataclasses.replace(event, time=0.0) for event in quadratic.measured]
    assert verdicts(quadratic_modadd.phases_at_activation, dataclasses.replace(quadratic, measured=early)) == [False]


def test_maximal_utility_would_notice_a_wrong_constant(quadratic: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    true = quadratic_modadd.maximal_utilities
    monkeypatch.setattr(quadratic_modadd, "maximal_utilities", lambda data: true(data) * np.sqrt(2))
    holds = {claim.claim: claim.holds for claim in quadratic_modadd.utility_maximizer(quadratic)}
    assert holds == {"maximal_utility": False, "single_frequency": True, "phases_aligned": True}
