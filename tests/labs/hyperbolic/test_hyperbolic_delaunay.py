"""The Delaunay graph against other algorithms, exact tables, isometries and what it must contain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from independent_graphs import (
    by_inversion,
    by_least_distance,
    by_poincare_ball,
    cloud,
    edges_of,
    plane_set,
    space_set,
)
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay

from agfrun.labs.hyperbolic import MODELS, Points, PointsError, at_distance, delaunay, distances, points_of


@pytest.mark.parametrize("seed", range(12))
def test_four_algorithms_agree_in_the_plane(seed: int) -> None:
    generator = np.random.default_rng(seed)
    p = cloud(generator, int(generator.integers(10, 60)), 2, float(generator.uniform(0.5, 5)))
    found = delaunay(p, "poincare")
    assert found.exact
    assert edges_of(found.edges) == by_least_distance(p) == by_poincare_ball(p) == by_inversion(p)


@pytest.mark.parametrize(("m", "count"), [(3, 60), (4, 40), (5, 25)])
def test_two_algorithms_agree_in_higher_dimensions(m: int, count: int) -> None:
    for seed in range(3):
        p = cloud(np.random.default_rng(seed), count, m, 3.0)
        assert edges_of(delaunay(p, "poincare").edges) == by_least_distance(p)


@pytest.mark.slow
@pytest.mark.parametrize(("m", "most"), [(2, 120), (3, 80), (4, 40)])
def test_algorithms_agree_on_two_hundred_random_sets(m: int, most: int) -> None:
    for seed in range(200):
        generator = np.random.default_rng(1000 + seed)
        p = cloud(generator, int(generator.integers(m + 2, most)), m, float(generator.uniform(0.1, 6)))
        found = edges_of(delaunay(p, "poincare").edges)
        assert found == by_least_distance(p), seed
        if m == 2:
            assert found == by_poincare_ball(p), seed


@pytest.mark.parametrize(("m", "count", "radius"), [(2, 40, 3.0), (2, 30, 9.0), (3, 25, 3.0), (4, 14, 2.0)])
def test_exact_arithmetic_gives_the_same_graph(m: int, count: int, radius: float) -> None:
    p = cloud(np.random.default_rng(5), count, m, radius)
    found, certain = delaunay(p, "poincare"), delaunay(p, "poincare", exact=True)
    assert found.exact
    assert certain.exact
    assert np.array_equal(found.edges, certain.edges)


def test_far_points_are_beyond_double_precision_unless_exact() -> None:
    p = cloud(np.random.default_rng(1), 30, 2, 16.0)
    found = delaunay(p, "poincare")
    assert not found.exact
    assert any("beyond double precision" in note for note in found.notes)
    assert delaunay(p, "poincare", exact=True).exact


@pytest.mark.parametrize(("count", "radius", "edges", "scores", "degrees"), [
    (100, 2, 272, (0.363971, 0.922794, 0.753676), (3, 8)), (200, 3, 508, (0.417323, 0.952756, 0.738189), (2, 9)),
    (500, 5, 1174, (0.386712, 0.978705, 0.701022), (2, 11))])
def test_the_table_of_the_plane(count: int, radius: float, edges: int, scores: tuple[float, ...],
                                degrees: tuple[int, int]) -> None:
    p = plane_set(count, radius)
    z = points_of(p, "poincare").lorentz()
    found = delaunay(p, "poincare").edges
    labels = (np.arange(count) % 2 == 1, z[:, 1] > 0, z[:, 0] > np.median(z[:, 0]))
    assert len(found) == edges <= 3 * count - 6
    assert tuple(round(float(np.mean(one[found[:, 0]] == one[found[:, 1]])), 6) for one in labels) == scores
    counted = np.bincount(found.ravel())
    assert (counted.min(), counted.max()) == degrees


@pytest.mark.parametrize(("count", "radius", "edges", "scores"), [
    (100, 2, 517, (0.423598, 0.823985)), (200, 3, 1010, (0.424752, 0.866337))])
def test_the_table_of_space(count: int, radius: float, edges: int, scores: tuple[float, float]) -> None:
    p = space_set(count, radius)
    found = delaunay(p, "poincare").edges
    labels = (np.arange(count) % 2 == 1, p[:, 2] > 0)
    assert len(found) == edges
    assert tuple(round(float(np.mean(one[found[:, 0]] == one[found[:, 1]])), 6) for one in labels) == scores


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("boost", [0.7, 4.0, 8.0])
def test_isometries_change_no_edge(m: int, boost: float) -> None:
    generator = np.random.default_rng(3)
    points = points_of(cloud(generator, 300 if m == 2 else 80, m, 3.0), "poincare")
    expected = delaunay(points).edges
    to = np.zeros((1, m))
    to[0, 1] = np.tanh(boost / 2)
    turn = np.linalg.qr(generator.normal(size=(m, m)))[0]
    moved = points.seen_from(points_of(to, "poincare"))
    assert np.array_equal(delaunay(Points(moved.p @ turn, moved.gap)).edges, expected)
    z = moved.lorentz()
    assert np.array_equal(delaunay(z, "lorentz").edges, expected)


def test_models_give_one_graph() -> None:
    points = points_of(cloud(np.random.default_rng(2), 100, 3, 3.0), "poincare")
    expected = delaunay(points).edges
    given = {"lorentz": points.lorentz(), "klein": points.klein(), "poincare": points.p,
             "halfspace": points.halfspace()}
    assert set(given) == set(MODELS)
    for model, coordinates in given.items():
        back = points_of(coordinates, model)
        assert np.allclose(back.p, points.p, atol=1e-12)
        assert np.allclose(back.gap, points.gap, rtol=1e-9)
        assert np.array_equal(delaunay(coordinates, model).edges, expected)


def test_distances_are_those_of_the_hyperboloid() -> None:
    points = points_of(cloud(np.random.default_rng(4), 50, 3, 3.0), "poincare")
    z = points.lorentz()
    product = np.outer(z[:, 0], z[:, 0]) - z[:, 1:] @ z[:, 1:].T
    assert np.allclose(distances(points, points), np.arccosh(np.maximum(product, 1)), atol=1e-6)
    assert np.allclose(points.radii(), np.arccosh(z[:, 0]), atol=1e-12)


def test_small_points_have_the_euclidean_graph() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3)) * 1e-3
    simplices = Delaunay(x).simplices
    expected = {tuple(sorted((int(s[i]), int(s[j])))) for s in simplices for i in range(4) for j in range(i)}
    found = edges_of(delaunay(x, "poincare").edges)
    # The hull's longest edges may need spheres that are larger than hyperbolic space has.
    assert found <= expected
    assert len(expected - found) <= 2


@pytest.mark.parametrize("m", [2, 3])
def test_it_holds_nearest_neighbours_and_the_minimum_spanning_tree(m: int) -> None:
    points = points_of(cloud(np.random.default_rng(7), 150, m, 4.0), "poincare")
    found = edges_of(delaunay(points).edges)
    apart = distances(points, points)
    tree = minimum_spanning_tree(apart).tocoo()
    assert {tuple(sorted(pair)) for pair in zip(tree.row.tolist(), tree.col.tolist(), strict=True)} <= found
    np.fill_diagonal(apart, np.inf)
    assert {tuple(sorted((i, int(j)))) for i, j in enumerate(apart.argmin(axis=1))} <= found


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_the_two_sites_nearest_to_any_point_are_joined(m: int) -> None:
    generator = np.random.default_rng(8)
    points = points_of(cloud(generator, 60, m, 3.0), "poincare")
    queries = points_of(cloud(generator, 2000, m, 5.0), "poincare")
    nearest = np.sort(np.argsort(distances(queries, points), axis=1)[:, :2], axis=1)
    assert edges_of(nearest) <= edges_of(delaunay(points).edges)


@pytest.mark.parametrize("corners", [3, 4, 6, 12])
def test_the_rim_of_a_polygon_is_joined_below_its_threshold(corners: int) -> None:
    """Between a centre and a regular polygon: iff tanh(r / 2) < cos(pi / corners)."""
    threshold = 2 * np.arctanh(np.cos(np.pi / corners))
    assert threshold == pytest.approx({3: 1.0986, 4: 1.7627, 6: 2.6339, 12: 4.0552}[corners], abs=1e-4)
    angle = 2 * np.pi * np.arange(corners) / corners
    directions = np.column_stack([np.cos(angle), np.sin(angle)])
    for radius, edges in ((threshold - 1e-3, 2 * corners), (threshold + 1e-3, corners)):
        p = np.vstack([[[0, 0]], at_distance(directions, np.full(corners, radius))])
        assert len(delaunay(p, "poincare").edges) == edges


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.integers(3, 20), st.floats(0.01, 8))
def test_two_sites_are_joined_iff_a_ball_says_so(seed: int, m: int, count: int, radius: float) -> None:
    p = cloud(np.random.default_rng(seed), count, m, radius)
    found = delaunay(p, "poincare")
    if found.exact and count > m + 1:
        assert edges_of(found.edges) == by_least_distance(p)


def test_duplicates_are_merged_and_told() -> None:
    p = cloud(np.random.default_rng(0), 20, 2, 2.0)
    twice = np.concatenate([p, p[[3, 5]]])
    found = delaunay(twice, "poincare")
    assert found.notes == ("2 duplicates merged",)
    assert np.array_equal(found.edges, delaunay(p, "poincare").edges)
    assert found.first[[20, 21]].tolist() == [3, 5]


def test_points_on_one_sphere_are_displaced_and_told() -> None:
    square = np.array([[0.5, 0], [0, 0.5], [-0.5, 0], [0, -0.5], [0.0, 0.6]])
    found = delaunay(square, "poincare")
    assert not found.exact or any("tie" in note for note in found.notes)
    assert {(0, 3), (2, 3)} <= edges_of(found.edges)
    line = np.column_stack([np.linspace(-0.8, 0.8, 9), np.zeros(9)])
    assert edges_of(delaunay(line, "poincare").edges) == {(i, i + 1) for i in range(8)}


@pytest.mark.parametrize(("coordinates", "model", "words"), [
    ([[0.1, 0.2], [1.2, 0.0]], "poincare", "point 1, (1.2, 0), is not allowed: it lies outside the open unit ball"),
    ([[0.1, np.nan], [0, 0]], "klein", "point 0 is not finite"),
    ([[0.1, 0.2]] * 4, "poincare", "all 4 points are equal"),
    ([[0.1], [0.2]], "poincare", "at least 2 coordinates"),
    ([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], "lorentz", "point 1, (1, 1, 0), is not allowed: it is not on the hyperboloid"),
    ([[0.1, -0.2], [0, 1]], "halfspace", "its last coordinate, the height, must be positive"),
    ([[0.1, 0.2], [0, 0]], "disk", "choose one of lorentz, poincare, klein, halfspace"),
    ([], "poincare", "a row for each point"),
    (np.zeros((10**6, 5)), "poincare", "1000000 points in H^5 are too many"),
])
def test_what_is_no_set_of_points_is_refused_in_one_line(coordinates: object, model: str, words: str) -> None:
    with pytest.raises(PointsError) as caught:
        delaunay(coordinates, model)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2
