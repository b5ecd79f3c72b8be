"""Death times of components: minimum spanning trees, single linkage, and a union-find over all edges."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from agfrun.labs.stitching import densification, h0_deaths, placed_densification, share_near


def rips_deaths(points: np.ndarray) -> list[float]:
    """By the definition: the scales at which components of the Rips complex merge."""
    edges = sorted((float(np.linalg.norm(points[i] - points[j])), i, j)
                   for i, j in itertools.combinations(range(len(points)), 2))
    component = list(range(len(points)))
    deaths = []
    for length, i, j in edges:
        if component[i] != component[j]:
            deaths.append(length)
            old, new = component[j], component[i]
            component = [new if one == old else one for one in component]
    return deaths


def test_squares_on_a_line() -> None:
    assert sorted(h0_deaths(np.array([[1.0], [4], [9], [16], [25], [36]]))) == [3, 5, 7, 9, 11]


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_deaths_are_those_of_the_rips_complex(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    deaths = np.sort(h0_deaths(points))
    assert len(deaths) == count - 1
    assert np.allclose(deaths, rips_deaths(points), atol=1e-13, rtol=0)


@pytest.mark.parametrize(("metric", "name"), [(1, "cityblock"), (2, "euclidean"), (math.inf, "chebyshev")])
def test_other_metrics_and_other_implementations(metric: float, name: str) -> None:
    points = np.random.default_rng(0).normal(size=(64, 5))
    expected = linkage(points, "single", metric=name)[:, 2]
    assert np.allclose(np.sort(h0_deaths(points, metric)), expected, atol=1e-13)
    tree = minimum_spanning_tree(cdist(points, points, name))
    assert np.allclose(np.sort(tree.data), expected, atol=1e-13)


def test_sets_of_points_at_once_scale_and_equal_points() -> None:
    points = torch.randn(4, 16, 6, generator=torch.Generator().manual_seed(1))
    together = h0_deaths(points)
    for one, alone in zip(together, points, strict=True):
        assert torch.equal(one, h0_deaths(alone))
    assert torch.allclose(h0_deaths(7 * points), 7 * together)
    same = torch.zeros(5, 2, requires_grad=True)
    deaths = h0_deaths(same)
    deaths.sum().backward()
    assert deaths.tolist() == [0] * 4
    assert same.grad is not None
    assert same.grad.abs().max() == 0
    assert len(h0_deaths(np.ones((1, 3)))) == 0


@pytest.mark.parametrize("penalty", ["absolute", "squared", "hinge"])
@pytest.mark.parametrize("metric", [1.0, 2.0, 3.0, math.inf])
def test_the_gradient_is_that_of_finite_differences(penalty: str, metric: float) -> None:
    points = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(2), requires_grad=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: densification(x, 0.8, metric, penalty), (points,))


def test_the_penalties_by_hand() -> None:
    points = torch.tensor([[[1.0], [4], [9]], [[0], [1], [2]]])  # deaths 3, 5 and 1, 1
    assert densification(points, 4).item() == pytest.approx((2 + 6) / 2)
    assert densification(points, 4, penalty="squared").item() == pytest.approx((2 + 18) / 2)
    assert densification(points, 4, penalty="hinge").item() == pytest.approx(1 / 2)
    pre, post = densification(points, 4), densification(2 * points, 4)
    assert placed_densification(points, 2 * points, "both", 4) == 0.1 * pre + 0.9 * post
    assert placed_densification(points, 2 * points, "pre", 4) == pre
    assert placed_densification(points, 2 * points, "post", 4) == post
    angle = 1 - math.cos(math.radians(25))
    assert placed_densification(points, 2 * points, "mix", 4).item() == pytest.approx(
        pre.item() + (16 - 2 * angle + 4 - 2 * angle) / 2)


def test_descent_brings_deaths_to_beta() -> None:
    points = torch.randn(3, 16, 5, generator=torch.Generator().manual_seed(3), requires_grad=True)
    optimizer = torch.optim.Adam([points], lr=0.02)
    before = share_near(h0_deaths(points.detach()).numpy(), 0.5)
    for _ in range(200):
        optimizer.zero_grad()
        densification(points, 0.5).backward()
        optimizer.step()
    assert before < 0.5 < 0.8 <= share_near(h0_deaths(points.detach()).numpy(), 0.5)


def test_what_is_no_set_of_points_is_named() -> None:
    with pytest.raises(ValueError, match=r"points of the shape \(3,\)"):
        h0_deaths(np.ones(3))
    with pytest.raises(ValueError, match="the metric at least 1"):
        h0_deaths(np.ones((3, 2)), 0.5)
    with pytest.raises(ValueError, match="one of absolute, squared, hinge"):
        densification(torch.ones(1, 3, 2), 1, penalty="cubed")
    with pytest.raises(ValueError, match="one of pre, post, both, mix"):
        placed_densification(torch.ones(1, 3, 2), torch.ones(1, 3, 2), "beside", 1)
