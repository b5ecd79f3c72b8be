"""Real irreps of a group, and functions on it by their matrix Fourier coefficients.

x_hat[rho] = sum_g x(g) rho(g)^*, and back x(g) = 1/n sum_rho d tr(rho(g) x_hat[rho]) over complex irreps. A real
function has one coefficient for each *real* irrep: that of one complex irrep rho which makes it up, alone (real type)
or together with its conjugate (complex type) or with a second copy of itself (quaternionic type).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.groups import IntArray, irreps
from agfrun.groups.irreps import ComplexArray
from agfrun.labs.staircases.dynamics.trajectory import FloatArray

REAL, COMPLEX, QUATERNIONIC = "real", "complex", "quaternionic"


@dataclass(frozen=True)
class RealIrrep:
    """One irreducible representation over the real numbers.

    Attributes:
        number: its place by dimension and then by character; 0 is the trivial one. For a cyclic group of odd order the
            frequency.
        matrices: a complex irrep that makes it up, (n, d, d), unitary.
        kind: `real`, `complex` or `quaternionic`.
    """

    number: int
    matrices: ComplexArray
    kind: str

    @property
    def order(self) -> int:
        """Elements of the group, n."""
        return len(self.matrices)

    @property
    def complex_dimension(self) -> int:
        """Dimension d of the complex irrep."""
        return int(self.matrices.shape[1])

    @property
    def dimension(self) -> int:
        """Real dimension N: d, or 2d where it is not of real type."""
        return self.complex_dimension * (1 if self.kind == REAL else 2)

    @property
    def copies(self) -> int:
        """How often each singular value of a coefficient of a real function comes: 2 for quaternions."""
        return 2 if self.kind == QUATERNIONIC else 1

    @property
    def singular_values(self) -> int:
        """How many singular values a coefficient of a real function has, each counted once."""
        return self.complex_dimension // self.copies

    @property
    def weight(self) -> float:
        """What the coefficients count in a sum over real irreps, as in x(g) = 1/n sum weight Re tr(rho(g) x_hat)."""
        return self.complex_dimension * (2.0 if self.kind == COMPLEX else 1.0)

    def coefficient(self, values: FloatArray) -> ComplexArray:
        """x_hat of a function (n,), (d, d)."""
        found: ComplexArray = np.einsum("g,gba->ab", values, self.matrices.conj())
        return found

    def function(self, coefficient: ComplexArray) -> FloatArray:
        """The real function (n,) whose only coefficient, up to conjugates, is this one."""
        found: FloatArray = self.weight / self.order * np.einsum("gab,ba->g", self.matrices, coefficient).real
        return found


def real_irreps(table: IntArray) -> list[RealIrrep]:
    """The real irreps of a group, by dimension of what makes them up, then by character; the trivial one is first."""
    found: list[RealIrrep] = []
    for matrices in irreps(table):
        character = np.trace(matrices, axis1=1, axis2=2)
        # Of irreps that are each other's conjugates the first stands for both.
        if any(one.kind == COMPLEX and abs(np.vdot(np.trace(one.matrices, axis1=1, axis2=2).conj(), character)) > 0.5
               * len(table) for one in found):
            continue
        # Frobenius and Schur: the mean of chi(g^2) is 1, 0 or -1.
        indicator = round(float(character[np.diagonal(table)].mean().real))
        kind = {1: REAL, 0: COMPLEX, -1: QUATERNIONIC}[indicator]
        found.append(RealIrrep(len(found), matrices, kind))
    return found


def with_singular_values(irrep: RealIrrep, values: FloatArray, seed: int | None) -> ComplexArray:
    """A coefficient (d, d) of a real function with given singular values.

    Args:
        values: one for each of `irrep.singular_values`.
        seed: draws singular vectors; None: a positive coefficient, a multiple of one where all values are equal.
    """
    # Singular vectors of a real function's coefficient keep to the irrep's structure, whatever the values.
    drawn = np.random.default_rng([0 if seed is None else seed, irrep.number]).standard_normal(irrep.order)
    left, _, right = np.linalg.svd(irrep.coefficient(drawn))
    made: ComplexArray = (left * np.repeat(values, irrep.copies)) @ (left.conj().T if seed is None else right)
    return made
