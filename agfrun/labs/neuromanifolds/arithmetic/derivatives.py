"""Jacobians and Hessians of functions of weights that use ring operations alone.

A function takes weights by name and returns one number for each evaluation. Weights are ordered as they are named, and
entries of each as they lie in memory: that is the order of the columns of a Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element, gradients
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field

Weights = Mapping[str, AnyArray]
Function = Callable[[Mapping[str, Element]], Element]


def values(function: Function, weights: Weights, field: Field) -> AnyArray:
    """The function's value in each evaluation, (S,)."""
    return function(_leaves(weights, field)).data


def jacobian(function: Function, weights: Weights, field: Field, evaluations: int) -> AnyArray:
    """Derivatives of each evaluation by each weight.

    Args:
        function: of the weights; its result has shape () for each evaluation.
        weights: P entries in all, shared by all evaluations.
        field: of the entries.
        evaluations: S.

    Returns:
        (P, S).
    """
    leaves = _leaves(weights, field)
    found = gradients(function(leaves), list(leaves.values()))
    return np.concatenate([_per_evaluation(part, evaluations).T for part in found])


def hessian_product(function: Function, weights: Weights, field: Field, evaluations: int, factors: AnyArray,
                    directions: AnyArray) -> AnyArray:
    """The Hessian of a weighted sum of evaluations, times directions.

    Args:
        function, weights, field, evaluations: as for `jacobian`.
        factors: one for each evaluation, (S,).
        directions: (P, K).

    Returns:
        (P, K): sum_s factors_s Hess_s times each direction.
    """
    leaves = _leaves(weights, field)
    parts = list(leaves.values())
    output = function(leaves) * Element(field, factors)
    slopes = gradients(output, parts, differentiable=True)
    columns = []
    for direction in directions.T:
        along = _split(direction, parts)
        total = sum_of([(slope * part).sum() for slope, part in zip(slopes, along, strict=True)])
        second = gradients(total, parts)
        columns.append(np.concatenate([field.reduced(_per_evaluation(part, evaluations).sum(axis=0))
                                       for part in second]))
    return np.stack(columns, axis=1) if columns else np.zeros_like(directions)


def sum_of(elements: Sequence[Element]) -> Element:
    """The sum of at least one element."""
    total = elements[0]
    for one in elements[1:]:
        total = total + one
    return total


def flat(weights: Mapping[str, AnyArray]) -> AnyArray:
    """All entries in the order of a Jacobian's columns."""
    return np.concatenate([entries.reshape(-1) for entries in weights.values()])


def named(entries: AnyArray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, AnyArray]:
    """Arrays by name from all their entries; the inverse of `flat`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
    return {name: part.reshape(shape) for (name, shape), part in
            zip(shapes.items(), np.split(entries, ends), strict=True)}


def _leaves(weights: Weights, field: Field) -> dict[str, Element]:
    return {name: Element(field, entries[None]) for name, entries in weights.items()}


def _split(entries: AnyArray, parts: Sequence[Element]) -> list[Element]:
    shaped = named(entries, {str(i): part.shape for i, part in enumerate(parts)})
    return [Element(part.field, one[None]) for part, one in zip(parts, shaped.values(), strict=True)]


def _per_evaluation(part: Element, evaluations: int) -> AnyArray:
    """(S, entries): what all evaluations share is repeated."""
    return np.broadcast_to(part.data, (evaluations, *part.shape)).reshape(evaluations, -1)
