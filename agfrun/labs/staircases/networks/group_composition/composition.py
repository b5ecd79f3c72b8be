"""Sums over pairs of a group's elements by its Cayley table."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Composition:
    """The product of a group of order n on functions (..., n).

    Attributes:
        table: T[g, h] the place of gh, (n, n).
        left_quotients: the place of g^-1 s at [g, s], (n, n).
        right_quotients: the place of s g^-1 at [g, s], (n, n).
    """

    table: Tensor
    left_quotients: Tensor
    right_quotients: Tensor

    @classmethod
    def of(cls, table: Tensor) -> Composition:
        """That of a Cayley table."""
        inverse = (table == 0).long().argmax(1)
        return cls(table, table[inverse], table.T[inverse])

    def convolve(self, first: Tensor, second: Tensor) -> Tensor:
        """Sum of first[g] second[h] over gh = s, (..., n)."""
        return (first[..., None, :] @ second[..., self.left_quotients])[..., 0, :]

    def after(self, first: Tensor, outer: Tensor) -> Tensor:
        """Sum of first[g] outer[g h] over g, for each h: what the second of a product meets, (..., n)."""
        return (first[..., None, :] @ outer[..., self.table])[..., 0, :]

    def before(self, second: Tensor, outer: Tensor) -> Tensor:
        """Sum of second[h] outer[g h] over h, for each g: what the first of a product meets, (..., n)."""
        return (outer[..., self.table] @ second[..., :, None])[..., 0]

    def product(self, elements: Tensor) -> Tensor:
        """The product of sequences (k, B), first times second and so on, (B,)."""
        result = elements[0]
        for element in elements[1:]:
            result = self.table[result, element]
        return result
