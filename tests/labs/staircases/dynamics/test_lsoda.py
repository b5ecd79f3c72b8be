"""SciPy's LSODA as a training method: the same answer by other means."""

from __future__ import annotations

import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_5d, small_modadd
from known_flows import KnownFlow

from agfrun import DivergenceError, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.lsoda import LsodaIntegration


@pytest.mark.parametrize(("network", "scale", "horizon"), [
    (regression_5d(), 1e-4, 30.0), (regression_5d(), 1e-12, 250.0),
    (small_modadd(7, (1, 2), (7.0, 3.5), width=4), 1e-2, 12.0)],
    ids=["diagonal", "tiny diagonal", "modular addition"])
def test_it_agrees_with_rosenbrock(network: ExplicitNetwork, scale: float, horizon: float) -> None:
    neurons = network.architecture.initialize("gaussian", scale, torch.Generator().manual_seed(0))
    ours, theirs = (train_by_gradient_flow(network.architecture, neurons, horizon, tolerance=1e-8, convergence=0.0,
                                            method=method)
                    for method in ("rosenbrock", "lsoda"))
    norms = torch.linalg.vector_norm(ours.final, dim=1)
    assert float((torch.linalg.vector_norm(ours.final - theirs.final, dim=1) / norms).max()) < 1e-4
    assert theirs.trajectory.loss[-1] < 0.9 * theirs.trajectory.loss[0]
    assert theirs.statistics.gradient_evaluations > 0


def test_segments_join_and_end_where_they_should() -> None:
    flow = KnownFlow(lambda y: -y, symmetric=True)
    found = list(LsodaIntegration(flow, IntegrationStatistics(), torch.tensor([1.0, 2.0]), 0.0, 3.0, 1e-9))
    assert found[0].start == 0.0
    assert found[-1].end == 3.0
    for before, after in zip(found, found[1:], strict=False):
        assert before.end == after.start
        torch.testing.assert_close(before.y_end, after.y_start, rtol=0, atol=0)
    middle = found[len(found) // 2]
    time = 0.5 * (middle.start + middle.end)
    expected = torch.exp(torch.tensor(-time)) * torch.tensor([1.0, 2.0])
    torch.testing.assert_close(middle.at(time), expected, rtol=1e-7, atol=0)


def test_a_flow_that_leaves_the_numbers_is_said() -> None:
    flow = KnownFlow(lambda y: y * y, symmetric=True)
    with pytest.raises(DivergenceError):
        list(LsodaIntegration(flow, IntegrationStatistics(), torch.ones(1), 0.0, 2.0, 1e-6))
