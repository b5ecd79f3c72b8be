"""Distances of points and segments: the closed forms against many points on each."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agfrun.labs.interaction import foot_of_point, segments_apart
from agfrun.labs.interaction.losses import precision_of, squares

POINTS = 10**5
places = st.tuples(*(st.floats(-1, 1, width=32) for _ in range(2)))


def plane(*points: tuple[float, float]) -> list[Tensor]:
    return [torch.tensor([point], dtype=torch.float64) for point in points]


def between(start: Tensor, end: Tensor, count: int) -> Tensor:
    return start + torch.linspace(0, 1, count, dtype=torch.float64)[:, None] * (end - start)


def test_the_nearest_point_of_a_path_is_that_of_many_in_any_metric() -> None:
    generator = torch.Generator().manual_seed(0)
    point, start, end, axis = (torch.randn(40, 2, generator=generator, dtype=torch.float64) for _ in range(4))
    for metric in (None, precision_of(axis / axis.norm(dim=1, keepdim=True), 5.0)):
        found = squares(point - foot_of_point(point, start, end, metric), metric)
        for row in range(len(point)):
            away = point[row] - between(start[row], end[row], POINTS)
            one = None if metric is None else metric[row].expand(POINTS, 2, 2)
            many = squares(away, one).min()
            assert abs(float(found[row].sqrt() - many.sqrt())) < 1e-6
            assert found[row] <= many + 1e-15


@given(places, places)
def test_a_path_of_no_length_is_its_start(point: tuple[float, float], start: tuple[float, float]) -> None:
    thing, place = plane(point, start)
    assert torch.equal(foot_of_point(thing, place, place), place)


@given(places, places, places, places)
def test_segments_are_as_far_apart_as_their_nearest_points(
        start: tuple[float, float], end: tuple[float, float], other_start: tuple[float, float],
        other_end: tuple[float, float]) -> None:
    first, second, third, fourth = plane(start, end, other_start, other_end)
    found = float(segments_apart(first, second, third, fourth))
    many = torch.cdist(between(first, second, 300), between(third, fourth, 300)).min()
    # Of 300 points on each of at most 2.9 in length the nearest pair is no farther off than a step of each.
    assert float(many) - 0.01 <= found <= float(many) + 1e-12
    assert abs(found - float(segments_apart(third, fourth, second, first))) < 1e-12


def test_crossing_segments_touch() -> None:
    assert float(segments_apart(*plane((-1, 0), (1, 0.1), (0.1, -1), (0, 1)))) == 0
    assert np.isclose(float(segments_apart(*plane((-1, 0), (1, 0), (2, 0), (3, 5)))), 1)
