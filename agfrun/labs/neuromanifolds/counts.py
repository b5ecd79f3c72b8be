"""What is counted of a network, what theory says of its dimension, and what a rank modulo a prime is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

# Evaluations beyond the largest possible dimension, so that the number of rows never is what bounds the rank.
SPARE_ROWS = 5
# Of an elimination: measured on one core, some 1e10 steps a second.
SECONDS_PER_STEP = 1e-10
# For each entry of the Jacobian: int64, its float64 copy for BLAS, products, and what flint's matrix is made from.
BYTES_PER_ENTRY = 50


@dataclass(frozen=True)
class Counts:
    """What is known of an architecture without measuring anything.

    Attributes:
        parameters: number of weights.
        symmetries: dimension of the group that is known to change weights and no function.
        output_degree: the largest degree of the outputs as polynomials in the inputs.
        ambient: dimension of the space of all functions of the outputs' form; None where nobody has counted it.
        proved_bound: what the dimension is proved not to exceed; None where that is the expected dimension.
    """

    parameters: int
    symmetries: int
    output_degree: int
    ambient: int | None = None
    proved_bound: int | None = None

    @property
    def expected(self) -> int:
        """The smaller of the ambient dimension and the parameters less the symmetries. The dimension is at most it."""
        free = self.parameters - self.symmetries
        return free if self.ambient is None else min(free, self.ambient)

    @property
    def bound(self) -> int:
        """The least upper bound on the dimension that is proved."""
        return self.expected if self.proved_bound is None else min(self.expected, self.proved_bound)

    @property
    def evaluations(self) -> int:
        """Random evaluations that tell all tangent vectors apart."""
        return self.bound + SPARE_ROWS

    @property
    def memory(self) -> float:
        """Bytes that taking one rank needs, roughly."""
        return float(BYTES_PER_ENTRY * self.evaluations * self.parameters)


    @property
    def seconds(self) -> float:
        """Seconds that taking one rank takes, roughly."""
        return SECONDS_PER_STEP * float(self.evaluations) ** 2 * self.parameters


@dataclass(frozen=True)
class ClosedForm:
    """A dimension from a closed form.

    Attributes:
        dimension: of the neuromanifold.
        proved: whether the closed form is a theorem; otherwise it was derived and agreed wherever it was tested.
        source: the result that gives it.
    """

    dimension: int
    proved: bool
    source: str

    @property
    def standing(self) -> str:
        """As what it is claimed: `theorem`, or `ours`."""
        return "theorem" if self.proved else "ours"


@dataclass(frozen=True)
class Known:
    """An integer that theory gives.

    Attributes:
        value: the integer.
        source: the result that gives it.
        proved: whether it is a theorem; otherwise it was derived and agreed wherever it was tested.
    """

    value: int
    source: str
    proved: bool = True


@dataclass(frozen=True)
class Invariants:
    """Numbers of a neuromanifold beside its dimension, None where no closed form is known.

    Attributes:
        degree: of its closure, as a projective variety.
        critical_points: complex critical points of a quadratic loss with generic targets and a generic inner product,
            each function counted once.
        nearest_points: the same for the inner product that is natural for the network, where it has one.
    """

    degree: Known | None = None
    critical_points: Known | None = None
    nearest_points: Known | None = None


@dataclass(frozen=True)
class ModularRank:
    """The rank of the Jacobian at random weights modulo a prime: never more than the dimension.

    Attributes:
        prime: the modulus.
        rank: over the field of that prime.
        rows: random evaluations, more of them than there can be dimensions.
        columns: weights by which is differentiated.
        compression: of the columns to as many as there are rows, before the rank is taken: `none`, `sparse` or
            `dense`.
        seconds: wall time.
    """

    prime: int
    rank: int
    rows: int
    columns: int
    compression: str
    seconds: float = field(default=0.0, compare=False)
