"""Times that move with the tolerance."""

from __future__ import annotations

import math

import pytest
import torch

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.analysis.sensitivity import compare_reruns, prediction_sensitivity, training_sensitivity
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event, EventKind
from agfrun.labs.staircases.networks.linear_attention.data import in_context_regression
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd


def event(time: float, feature: str, kind: EventKind = "acquisition") -> Event:
    return Event(kind, time, feature, None, 1.0, 0.5)


def test_pairs_by_feature_kind_and_number() -> None:
    run = [event(1.0, "a"), event(2.0, "b"), event(3.0, "a", "collapse"), event(4.0, "a"),
           event(1.5, "c", "activation")]
    rerun = [event(2.05, "b"), event(1.0, "a"), event(9.0, "a"), event(0.1, "c")]
    found = [(one.feature, one.kind, one.rerun_time, one.sensitive) for one in compare_reruns(run, rerun)]
    assert found[:2] == [("a", "acquisition", 1.0, False), ("b", "acquisition", 2.05, False)]
    assert found[2][:2] == ("a", "collapse")
    assert math.isnan(found[2][2])
    assert found[2][3]
    assert found[3] == ("a", "acquisition", 9.0, True)
    assert len(found) == 4


@pytest.mark.parametrize(("rerun", "sensitive"), [(104.9, False), (105.1, True), (95.3, False), (95.1, True)])
def test_five_percent(rerun: float, sensitive: bool) -> None:
    (found,) = compare_reruns([event(100.0, "a")], [event(rerun, "a")])
    assert found.sensitive is sensitive


def test_predictions_are_made_at_ten_times_the_tolerance() -> None:
    (found,) = prediction_sensitivity(lambda tolerance: [event(1 + 100 * tolerance, "a")], 1e-4)
    assert found.rerun_time == pytest.approx(1.1)
    assert found.sensitive


def test_a_training_that_can_be_told() -> None:
    architecture = LinearAttention(in_context_regression([1.0, 0.5], 32, None, torch.float64, torch.device("cpu")), 2)
    neurons = torch.tensor([[2e-2, 2e-2, 1e-3, 2e-2, 1e-3], [1e-2, 1e-3, 1e-2, 1e-3, 1e-2]], dtype=torch.float64)
    run = train_by_gradient_flow(architecture, neurons, 100.0, tolerance=1e-5)
    found = training_sensitivity(architecture, neurons, detect_events(run.trajectory, 1.0), 100.0, 1e-5)
    assert [one.feature for one in found] == ["1", "2"]
    assert all(0 < one.shift < 1e-2 for one in found)


@pytest.mark.slow
def test_a_frequency_that_the_tolerance_decides() -> None:
    """The last frequency of this start is learned at 531 with a tolerance of 1e-3, else at 1731."""
    data = ModularAdditionConfig().build(torch.float64, torch.device("cpu"))
    architecture, generator = QuadraticModadd(data, 18), torch.Generator().manual_seed(4)
    neurons = 1e-2 * torch.cat([deviation * torch.randn(18, size, generator=generator, dtype=torch.float64)
                                for size, deviation in architecture.parameter_blocks], dim=1)
    run = train_by_gradient_flow(architecture, neurons, 2500.0, tolerance=1e-4)
    found = training_sensitivity(architecture, neurons, detect_events(run.trajectory, 1.0), 2500.0, 1e-4)
    assert [(one.feature, one.sensitive) for one in found] == [("1", False), ("3", False), ("5", True)]
