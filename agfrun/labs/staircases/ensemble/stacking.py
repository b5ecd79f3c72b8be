"""Objects of one class whose tensors differ, stacked into one object that `torch.func.vmap` can map over.

Two members' coordinates differ in a few tensors - a reference point, a basis - and share the rest, the network on
its data above all. `Stack` finds the tensors that differ, wherever they are in the objects, and stacks them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MethodType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Kind = TypeVar("Kind")
# Names of attributes that lead to a tensor.
Path = tuple[str, ...]
_METHOD_OWNER = "__self__"
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


class NotStackable(Exception):
    """Objects differ in more than the values of tensors; the message says where."""


class Stack(Generic[Kind]):
    """Objects that differ in tensors of one shape.

    Args:
        objects: at least one, all of one class.
        share_equal: whether a tensor that is equal in all of them is kept once. Not if one may change later.

    Attributes:
        tensors: those that differ, stacked in a leading dimension, by their path in the object.

    Raises:
        NotStackable: they differ otherwise too.
    """

    def __init__(self, objects: Sequence[Kind], share_equal: bool = True) -> None:
        self.prototype = objects[0]
        self.tensors: dict[Path, Tensor] = dict(_differing(objects, (), share_equal))

    def select(self, chosen: Tensor) -> Stack[Kind]:
        """The stack of chosen objects (C,), which may repeat."""
        stack = copy.copy(self)
        stack.tensors = {path: tensor.index_select(0, chosen) for path, tensor in self.tensors.items()}
        return stack

    def replace(self, place: int, changed: Kind) -> None:
        """Take over the tensors of one object that has changed.

        Raises:
            NotStackable: one of its tensors has another shape now.
        """
        for path, tensor in self.tensors.items():
            value = _at(changed, path)
            if value.shape != tensor.shape[1:]:
                raise NotStackable(f"{'.'.join(path)} has become {tuple(value.shape)}")
            tensor[place] = value

    def bind(self, tensors: Mapping[Path, Tensor]) -> Kind:
        """A copy of the prototype with these tensors in place of its own."""
        bound: Kind = _replaced(self.prototype, tensors)
        return bound


def structure(instance: object) -> tuple[Any, ...]:
    """What must be the same in objects for them to be stacked, as far as the object itself shows it."""
    values = sorted(vars(instance).items())
    return (type(instance), *((name, _kind(value)) for name, value in values))


def _kind(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    return value if _is_plain(value) else type(value)


def _is_plain(value: Any) -> bool:
    """Whether values are compared as they are: numbers, words, and tuples of these."""
    if type(value) is tuple:
        return all(_is_plain(part) for part in value)
    return isinstance(value, _PLAIN)


def _differing(
    values: Sequence[Any], path: Path, share_equal: bool, above: tuple[int, ...] = ()
) -> Iterator[tuple[Path, Tensor]]:
    """Paths and stacked tensors in which the values differ; `above` are the identities of what holds them."""
    first = values[0]
    if all(value is first for value in values[1:]) and len(values) > 1:
        return
    if id(first) in above:
        raise NotStackable(f"{_name(path)} is part of itself")
    above = (*above, id(first))
    if any(type(value) is not type(first) for value in values):
        raise NotStackable(f"{_name(path)} is of different types")
    if isinstance(first, Tensor):
        if any(value.shape != first.shape or value.dtype != first.dtype for value in values):
            raise NotStackable(f"{_name(path)} has different shapes")
        if not (share_equal and all(torch.equal(value, first) for value in values)):
            yield path, torch.stack(list(values))
    elif _is_plain(first):
        if any(value != first for value in values):
            raise NotStackable(f"{_name(path)} differs")
    elif isinstance(first, MethodType):
        if any(value.__func__ is not first.__func__ for value in values):
            raise NotStackable(f"{_name(path)} are different methods")
        yield from _differing([value.__self__ for value in values], (*path, _METHOD_OWNER), share_equal, above)
    elif hasattr(first, "__dict__") and not callable(first):
        names = vars(first).keys()
        if any(vars(value).keys() != names for value in values):
            raise NotStackable(f"{_name(path)} has different attributes")
        for name in names:
            yield from _differing([vars(value)[name] for value in values], (*path, name), share_equal, above)
    elif len(values) > 1:
        raise NotStackable(f"{_name(path)} is a {type(first).__name__}")


def _replaced(value: Any, tensors: Mapping[Path, Tensor]) -> Any:
    """A copy of `value`, as deep as it needs to be, with the tensors at their paths."""
    if () in tensors:
        return tensors[()]
    inner: dict[str, dict[Path, Tensor]] = {}
    for path, tensor in tensors.items():
        inner.setdefault(path[0], {})[path[1:]] = tensor
    if isinstance(value, MethodType):
        return MethodType(value.__func__, _replaced(value.__self__, inner[_METHOD_OWNER])) if inner else value
    clone = copy.copy(value)
    for name, below in inner.items():
        vars(clone)[name] = _replaced(vars(value)[name], below)
    return clone


def _at(value: Any, path: Path) -> Tensor:
    for name in path:
        value = getattr(value, name)
    tensor: Tensor = value
    return tensor


def _name(path: Path) -> str:
    return ".".join(path) or "the object"
