"""Distances of points and segments in the plane, and what representations have in common with true states."""

from __future__ import annotations

import torch
from torch import Tensor


def foot_of_point(point: Tensor, start: Tensor, end: Tensor, metric: Tensor | None = None) -> Tensor:
    """The point of a segment that is nearest to a point.

    With d = end - start it is start + t d, t = <point - start, d> / <d, d> cut off at 0 and 1; where d = 0, t = 0.

    Args:
        point, start, end: shape (n, 2).
        metric: of the inner product, shape (n, 2, 2), symmetric and positive; None: the Euclidean one.
    """
    direction = end - start
    dual = direction if metric is None else torch.einsum("nij,nj->ni", metric, direction)
    square = (dual * direction).sum(-1)
    # Not a tiny number in place of zero: that would make t large for points far from a segment of no length.
    share = ((point - start) * dual).sum(-1) / torch.where(square > 0, square, 1.0)
    share = torch.where(square > 0, share, 0.0).clamp(0, 1)
    return start + share[:, None] * direction


def segments_apart(start: Tensor, end: Tensor, other_start: Tensor, other_end: Tensor) -> Tensor:
    """Distances of pairs of segments, shape (n,): zero where they cross, else that of an end to the other segment.

    Args:
        start, end, other_start, other_end: shape (n, 2).
    """
    ends = torch.stack([(one - foot_of_point(one, *other)).norm(dim=-1) for one, other in (
        (start, (other_start, other_end)), (end, (other_start, other_end)),
        (other_start, (start, end)), (other_end, (start, end)))])
    sides = [_side(start, end, one) for one in (other_start, other_end)]
    other_sides = [_side(other_start, other_end, one) for one in (start, end)]
    cross = (sides[0] * sides[1] < 0) & (other_sides[0] * other_sides[1] < 0)
    return torch.where(cross, 0.0, ends.min(0).values)


def _side(start: Tensor, end: Tensor, point: Tensor) -> Tensor:
    """Twice the signed area of the triangle of a segment and a point."""
    along, across = end - start, point - start
    return along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
