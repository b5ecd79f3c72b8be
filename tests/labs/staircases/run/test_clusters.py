"""Neurons of one direction are one feature where a network has no features of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agfrun import Result, load_config, run
from agfrun.labs.staircases.run.clusters import OTHERS, clusters_of


def test_neurons_are_clustered_by_direction_the_largest_first() -> None:
    """Two along each of two directions, one opposite to the first, one that came to nothing on a way of its own."""
    neurons = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.1], [3.0, 0.2, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0],
                            [0.0, 0.0, 1e-6], [1e-7, 0.0, 0.0]], dtype=torch.float64)
    found = clusters_of(neurons, torch.linalg.vector_norm(neurons, dim=1).numpy(), 1e-3)
    assert found.names == ("2", "1", "4", OTHERS)
    assert found.members.tolist() == [0, 1, 0, 1, 2, 3, 0]


def test_nobody_is_left_over_where_all_matter() -> None:
    found = clusters_of(torch.eye(3, dtype=torch.float64), np.array([1.0, 3.0, 2.0]), 1e-3)
    assert (found.names, found.members.tolist()) == (("1", "2", "0"), [2, 0, 1])


@pytest.mark.parametrize("cosine", [0.94, 0.96])
def test_how_much_alike_directions_are(cosine: float) -> None:
    neurons = torch.tensor([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5]], dtype=torch.float64)
    assert len(clusters_of(neurons, np.ones(2), 1e-3).names) == (2 if cosine < 0.95 else 1)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A linear regression by twenty ReLU neurons: two directions, +w and -w, each taken by several of them."""
    path = tmp_path_factory.mktemp("data") / "regression.csv"
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(40, 3))
    targets = inputs @ np.array([2.0, -1.0, 0.5])
    np.savetxt(path, np.column_stack([inputs, targets]), delimiter=",", header="x1,x2,x3,y", comments="")
    return run(load_config(["model=relu", "data=samples_file", f"data.path={path}", "init.scale=1e-4"]), progress=False)


def test_what_several_neurons_learn_together_is_one_acquisition(regression: Result) -> None:
    """Prediction and training acquire the same two features, in order, where nine neurons had counted as nine."""
    acquired = {source: [event.feature for event in regression.events[source] if event.kind == "acquisition"]
                for source in ("agf", "training")}
    assert acquired["agf"] == acquired["training"]
    assert len(acquired["agf"]) == 2
    assert regression.verdict["order_agrees"]
    assert regression.verdict["worst_time_error"] < 0.1
    assert regression.verdict["worst_level_error"] < 0.01


def test_a_feature_has_the_size_of_its_neurons_together(regression: Result) -> None:
    architecture, path = regression.problem.architecture, regression.training.trajectory
    outputs = architecture.answers(regression.training.final, architecture.data.inputs)  # type: ignore[attr-defined]
    active = [int(name) for name in path.feature_names if name != OTHERS]
    sizes = outputs.square().sum(-1).mean(-1).sqrt()
    total = outputs.sum(0).square().sum(-1).mean().sqrt()
    assert len(active) == 2
    assert float(path.features[-1].sum()) == pytest.approx(float(sizes.sum()), rel=1e-6)
    # The two directions answer on different samples: their squares add up to the square of the whole.
    assert float(np.sqrt(np.square(path.features[-1]).sum())) == pytest.approx(float(total), rel=1e-2)


def test_neurons_point_at_features_that_there_are(regression: Result) -> None:
    for path in (regression.training.trajectory, regression.prediction.trajectory):
        assert path.features.shape == (len(path.times), len(path.feature_names))
        assert path.direction_feature.max() < len(path.feature_names)
    names = set(regression.training.trajectory.feature_names)
    for source, events in regression.events.items():
        assert {event.feature for event in events if event.kind != "drop"} <= names, source


def test_a_network_with_features_of_its_own_keeps_them(tmp_path: Path) -> None:
    result = run(load_config(["model=relu", "model.width=4", "train.horizon=5", "agf.max_events=1"]), progress=False)
    assert result.training.trajectory.feature_names == ("positive", "negative")
