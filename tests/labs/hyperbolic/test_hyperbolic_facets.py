"""The smooth relative of the score: sides against a raster of bisectors, slopes, flips and isometries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from independent_graphs import Array, cloud, edges_of

from agfrun.labs.hyperbolic import PointsError, alignment, delaunay, points_of, soft_alignment
from agfrun.labs.hyperbolic.vae.facets import sides


def lorentz(p: Array) -> torch.Tensor:
    return torch.from_numpy(points_of(p, "poincare").lorentz())


def by_raster(z: Array, i: int, j: int, steps: int = 40_001) -> float:
    """The integral of cosh(d)^-2 over the bisector of i and j, where no other point is nearer."""
    middle = z[i] + z[j]
    flip = np.array([-1.0, 1.0, 1.0])
    middle = middle / np.sqrt(-np.sum(flip * middle**2))
    normal = flip * np.cross(z[i], z[j])
    normal = normal / np.sqrt(np.sum(flip * normal**2))
    share = np.linspace(-1, 1, steps)[1:-1]  # tanh of the length along it, whose measure is cosh(s)^-2
    y = (middle + share[:, None] * normal) / np.sqrt(1 - share**2)[:, None]
    cosh = -(y * flip) @ z.T
    nearest = cosh[:, i] <= cosh.min(axis=1) * (1 + 1e-12)
    return float(np.mean(nearest * (1 - share**2) ** -1 / cosh[:, i] ** 2) * 2)


@pytest.mark.parametrize("radius", [0.1, 1.5, 4.0])
def test_weights_are_those_of_a_raster_of_every_bisector(radius: float) -> None:
    p = cloud(np.random.default_rng(3), 12, 2, radius)
    z = lorentz(p)
    graph = delaunay(p, "poincare")
    edges, weights = sides(z, graph)
    found = {tuple(edge): weight for edge, weight in zip(edges.tolist(), weights.tolist(), strict=True)}
    for i in range(12):
        for j in range(i + 1, 12):
            assert found.get((i, j), 0.0) == pytest.approx(by_raster(z.numpy(), i, j), abs=2e-4)
    assert {edge for edge, weight in found.items() if weight > 0} == edges_of(graph.edges)


def test_slopes_are_those_of_differences() -> None:
    tangents = torch.from_numpy(np.random.default_rng(0).normal(size=(14, 2))).requires_grad_()

    def score(x: torch.Tensor) -> torch.Tensor:
        z = torch.cat([torch.sqrt(1 + (x**2).sum(dim=1, keepdim=True)), x], dim=1)
        return soft_alignment(z[:6], z[6:])

    assert torch.autograd.gradcheck(score, (tangents,), eps=1e-7, atol=1e-6)
    assert float(torch.autograd.grad(score(tangents), tangents)[0].abs().max()) > 1e-3


def test_it_goes_on_where_the_score_jumps() -> None:
    """A point is moved through a cloud: a quarter of the step, about a quarter of the largest change."""
    p = cloud(np.random.default_rng(1), 20, 2, 2.0)

    def changes(steps: int) -> tuple[float, float]:
        soft, hard = [], []
        for share in np.linspace(-0.5, 0.5, steps):
            moved = np.vstack([[[share, 0.013]], p])
            found = alignment(moved[:10], moved[10:], "poincare", relabellings=0)
            soft.append(float(soft_alignment(lorentz(moved[:10]), lorentz(moved[10:]), found.graph)))
            hard.append(found.score)
        return float(np.abs(np.diff(soft)).max()), float(np.abs(np.diff(hard)).max())

    (coarse, jump), (fine, jump_again) = changes(60), changes(240)
    assert fine < 0.35 * coarse
    assert jump > 0.01
    assert jump_again > max(0.01, 5 * fine)


def test_isometries_change_nothing_and_sets_apart_score_one() -> None:
    points = points_of(cloud(np.random.default_rng(2), 60, 2, 2.0), "poincare")
    moved = points.seen_from(points_of([[0.5, -0.7]], "poincare"))
    one, other = (torch.from_numpy(each.lorentz()) for each in (points, moved))
    expected = float(soft_alignment(one[:30], one[30:]))
    assert float(soft_alignment(other[:30], other[30:])) == pytest.approx(expected, abs=1e-9)
    assert float(soft_alignment(one[30:], one[:30])) == pytest.approx(expected, abs=1e-12)
    assert abs(expected - 0.5) < 0.15
    away = points.seen_from(points_of([[np.tanh(4), 0.0]], "poincare"))
    assert 0.999 < float(soft_alignment(one, torch.from_numpy(away.lorentz()))) <= 1


def test_two_points_are_between_and_space_is_refused() -> None:
    assert float(soft_alignment(lorentz(np.array([[0.1, 0]])), lorentz(np.array([[0.0, 0.3]])))) == 0
    with pytest.raises(PointsError, match=r"those of the plane H\^2, not of H\^3"):
        soft_alignment(*(lorentz(cloud(np.random.default_rng(seed), 5, 3, 1.0)) for seed in (0, 1)))
