"""The flow of members through `torch.func.vmap` of their own coordinates, which know nothing of one another."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.func import vmap

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.ensemble.flow import DenseEnsembleLinearization, EnsembleFlow
from agfrun.labs.staircases.ensemble.stacking import NotStackable, Stack

# Mapped and unmapped evaluations differ in the order of their sums alone.
AGREEMENT = 1e-9
_REFUSALS = (RuntimeError, TypeError, ValueError, NotStackable)


@runtime_checkable
class RenewableCoordinates(Protocol):
    """Coordinates whose `renewed` can be asked beforehand, by a function that can be mapped."""

    def outworn(self, y: Tensor) -> Tensor:
        """Whether `renewed` would return other coordinates for y (n,), a scalar."""


class StackedFlow(EnsembleFlow):
    """Members' coordinates, stacked.

    Args:
        members: coordinates of each member; of one class and shape, on one network.

    Raises:
        NotStackable: they differ in more than tensors, or are renewed in a way that cannot be asked for.
    """

    description = "one batch, by vectorizing the network's own functions"

    def __init__(self, members: Sequence[FlowCoordinates]) -> None:
        self.members = [copy.copy(member) for member in members]
        self.renewable = type(members[0]).renewed is not FlowCoordinates.renewed
        if self.renewable and not isinstance(members[0], RenewableCoordinates):
            raise NotStackable("its coordinates are renewed on the way")
        self.stack = Stack(self.members, share_equal=not self.renewable)
        self.symmetric, self.isometric = members[0].symmetric, members[0].isometric

    def encode(self, neurons: Tensor) -> Tensor:
        """See `EnsembleFlow.encode`."""
        return torch.stack([member.encode(own) for member, own in zip(self.members, neurons, strict=True)])

    def decode(self, y: Tensor) -> Tensor:
        """See `EnsembleFlow.decode`."""
        neurons: Tensor = self._map(lambda member, point: member.decode(point), y)
        return neurons

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `EnsembleFlow.scaled`."""
        found = self._map(lambda member, point: tuple(part for part in member.scaled(point) if part is not None), y)
        return found[0], found[1] if len(found) > 1 else None

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `EnsembleFlow.loss_and_velocity`."""
        loss, velocity = self._map(lambda member, point: member.loss_and_velocity(point), y)
        return loss, velocity

    def linearization(self, y: Tensor) -> DenseEnsembleLinearization:
        """See `EnsembleFlow.linearization`."""
        return DenseEnsembleLinearization(self._map(lambda member, point: member.jacobian(point), y), self.symmetric)

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `EnsembleFlow.relative_error`."""
        sizes: Tensor = self._map(lambda member, *points: member.relative_error(*points), error, y, y_new)
        return sizes

    def select(self, members: Tensor) -> StackedFlow:
        """See `EnsembleFlow.select`."""
        chosen = copy.copy(self)
        chosen.stack = self.stack.select(members)
        if self.renewable:  # only these are looked at again one by one
            chosen.members = [self.members[place] for place in members.tolist()]
        return chosen

    def outworn(self, y: Tensor) -> Tensor | None:
        """See `EnsembleFlow.outworn`."""
        if not self.renewable:
            return None
        worn: Tensor = self._map(lambda member, point: member.outworn(point), y)
        return worn

    def renewed(self, y: Tensor, members: list[int]) -> Tensor:
        """See `EnsembleFlow.renewed`."""
        y = y.clone()
        for place in members:
            y[place] = self.members[place].renewed(y[place])
            self.stack.replace(place, self.members[place])
        return y

    def _map(self, function: Callable[..., Any], *points: Tensor) -> Any:
        """`function` of each member and of its rows of the points."""
        paths = list(self.stack.tensors)

        def of_member(tensors: list[Tensor], *rows: Tensor) -> Any:
            return function(self.stack.bind(dict(zip(paths, tensors, strict=True))), *rows)

        return vmap(of_member)(list(self.stack.tensors.values()), *points)


def stacked_flow(members: Sequence[FlowCoordinates], neurons: Tensor, implicit: bool = True) -> StackedFlow:
    """The members' coordinates stacked, once every function has been tried on the members' own neurons (B, K, D).

    Args:
        implicit: whether Jacobians are needed.

    Raises:
        NotStackable: they cannot be, or the mapped functions do not return what the members' own do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operations that are mapped one by one
            flow = StackedFlow(members)
            y = flow.encode(neurons)
            _compare(flow, members, y, implicit)
            flow.scaled(y)
            flow.outworn(y)
    except _REFUSALS as error:
        raise NotStackable(" ".join(str(error).split())[:200]) from error
    return flow


def _compare(flow: StackedFlow, members: Sequence[FlowCoordinates], y: Tensor, implicit: bool) -> None:
    """Refuse if mapped functions do not return what the first and last member's own do.

    Raises:
        NotStackable: they differ by more than rounding.
    """
    places = [0, len(members) - 1]
    pair, points = flow.select(torch.tensor(places, device=y.device)), y[places]
    alone = list(zip((members[0], members[-1]), points, strict=True))
    # The members' own first: what a network computes once and keeps cannot be computed inside a mapped function.
    own = [member.loss_and_velocity(row) for member, row in alone]
    losses, velocities = pair.loss_and_velocity(points)
    _require_equal("the loss", losses, [loss for loss, _ in own])
    _require_equal("the velocity", velocities, [velocity for _, velocity in own])
    _require_equal("decode", pair.decode(points), [member.decode(row) for member, row in alone])
    _require_equal("relative_error", pair.relative_error(points, points, points),
                   [member.relative_error(row, row, row) for member, row in alone])
    if implicit:
        _require_equal("the Jacobian", pair.linearization(points).jacobian,
                       [member.jacobian(row) for member, row in alone])


def _require_equal(name: str, together: Tensor, alone: Sequence[Tensor]) -> None:
    """Refuse if values for two members (2, ...) are not, up to rounding, those of each alone."""
    expected = torch.stack(list(alone)).reshape(2, -1)
    room = max(AGREEMENT, 1e4 * torch.finfo(expected.dtype).eps) * expected.abs().amax(1, keepdim=True)
    if not bool(((together.reshape(2, -1) - expected).abs() <= room).all()):
        raise NotStackable(f"{name} has other values when it is vectorized")
