"""The recorded path against its states, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import small_modadd
from torch import Tensor

from agfrun.labs.staircases.agf.record import PathRecord
from agfrun.labs.staircases.dynamics.recorder import OBSERVE_TOGETHER

ARCHITECTURE = small_modadd(7, (1, 2), (5.0, 3.0), width=4).architecture


def states(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, ARCHITECTURE.neuron_dimension, generator=generator, dtype=torch.float64)
            for _ in range(count)]


@pytest.mark.parametrize("only_active", [True, False])
@pytest.mark.parametrize("count", [3, 2 * OBSERVE_TOGETHER + 1])
def test_rows_are_what_was_recorded(only_active: bool, count: int) -> None:
    """Also where the active neurons stay as they are while the others go on, and where they change in place."""
    moments, active = states(count), torch.tensor([2, 0])
    for row in range(1, count):
        if row % 3:  # only every third row the active neurons move
            moments[row][active] = moments[row - 1][active]
    path = PathRecord(ARCHITECTURE, moments[0], only_active)
    scales = torch.tensor([0.0, -400.0, 0.0, -1.0], dtype=torch.float64)
    for row, neurons in enumerate(moments):
        path.record(float(row), neurons, 1.0, active, scales)
    recorded = path.trajectory()
    for row, neurons in enumerate(moments):
        answering = torch.zeros_like(neurons) if only_active else neurons * scales.exp()[:, None]
        answering[active] = neurons[active]
        np.testing.assert_allclose(recorded.features[row], ARCHITECTURE.features(answering), rtol=1e-12)
        expected = torch.linalg.vector_norm(neurons, dim=1).log() + scales
        np.testing.assert_allclose(recorded.log_norms[row], expected, rtol=1e-12)
        strengths = ARCHITECTURE.neuron_feature_strengths(neurons)
        np.testing.assert_array_equal(recorded.direction_feature[row], strengths.argmax(-1))


def test_a_row_without_active_neurons_answers_nothing() -> None:
    path = PathRecord(ARCHITECTURE, states(1)[0], only_active=True)
    for row, active in enumerate(([], [1], [1], [])):
        path.record(float(row), states(1)[0], 1.0, torch.tensor(active, dtype=torch.long))
    features = path.trajectory().features
    assert not features[[0, 3]].any()
    assert features[1].any()
    np.testing.assert_array_equal(features[1], features[2])
