"""Symmetries of a network: what changes its weights and leaves its function as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agfrun.labs.neuromanifolds.arithmetic.elements import Element

if TYPE_CHECKING:
    import numpy as np

Weights = Mapping[str, Element]


@dataclass(frozen=True)
class Generator:
    """A one-parameter group of symmetries near the identity: a linear vector field X W on the weights W.

    Attributes:
        label: tells it from others of its symmetry.
        velocity: X W, by name; a weight that is absent does not move.
        conserved: in words what gradient flow conserves for it, the quadratic form W^T X W, if X is symmetric: its
            gradient 2 X W is tangent to the fibre, to which gradients of any loss are orthogonal. Empty: X is not
            symmetric.
    """

    label: str
    velocity: Weights
    conserved: str = ""


@dataclass(frozen=True)
class Symmetry:
    """A group that acts on weights.

    Attributes:
        name: in a few words.
        formula: the action.
        act: the action of a random element of the group.
        generators: at given weights; none for a finite group.
    """

    name: str
    formula: str
    act: Callable[[Weights, np.random.Generator], dict[str, Element]]
    generators: Callable[[Weights], Iterable[Generator]] = lambda _: ()
