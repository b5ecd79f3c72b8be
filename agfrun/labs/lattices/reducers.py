"""Methods that reduce a batch of lattices, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agfrun.labs.lattices.bases import FloatArray, IntArray, defects_of
from agfrun.labs.lattices.kernels.beam import beam_all
from agfrun.labs.lattices.kernels.candidates import ALL
from agfrun.labs.lattices.kernels.descent import greedy_pairs, seysen_pairs, support_two
from agfrun.labs.lattices.kernels.lenstra import hkz_all, lll_all
from agfrun.labs.lattices.kernels.minima import minima_all
from agfrun.labs.lattices.kernels.walk import PolicyArrays, Record, logits_of, walk_all

CANDIDATES = 8
BEAM_WIDTH, BEAM_CHILDREN = 8, 8
# Vectors that are looked at for successive minima.
MOST_SHORT_VECTORS = 200_000


@dataclass
class Batch:
    """Lattices under reduction.

    Attributes:
        bases: (N, n, n) as they were given, rows are basis vectors.
        transforms: (N, n, n), unimodular, such that transforms @ bases are the bases now.
        moves: (N,), moves taken.
        at: (N,), moves at the best basis visited; those taken where a method ends there.
        trace: (N, t + 1), log defect of the best basis so far after so many moves; None: not wanted.
        log_volumes: (N,), log |det|.
        found: (N,), where there is a basis of the kind that was asked for: everywhere but for successive minima.
    """

    bases: FloatArray
    transforms: IntArray
    moves: IntArray
    at: IntArray
    trace: FloatArray | None = None
    log_volumes: FloatArray = field(default_factory=lambda: np.empty(0))
    found: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.found = np.ones(len(self.bases), dtype=bool)

    @classmethod
    def of(cls, bases: FloatArray, trace: int = 0) -> Batch:
        """The batch before any move; `trace`: moves to be traced."""
        count, n, _ = bases.shape
        volumes = np.linalg.slogdet(bases)[1]
        return cls(bases, np.broadcast_to(np.eye(n, dtype=np.int64), bases.shape).copy(),
                   np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64),
                   np.empty((count, trace + 1)) if trace else None, volumes)

    @property
    def reduced(self) -> FloatArray:
        """The bases now; exact for integers as long as entries are below 2^53."""
        found: FloatArray = self.transforms @ self.bases
        return found

    @property
    def defects(self) -> FloatArray:
        """Log defects of the bases now."""
        return defects_of(self.reduced)

    def restore(self) -> FloatArray:
        """A copy of the bases now, to be reduced further in place."""
        return np.ascontiguousarray(self.reduced)

    def room(self, steps: int | None = None) -> FloatArray:
        """Where a kernel writes its trace; of so many moves exactly, where it makes them all.

        Raises:
            ValueError: the trace has another length.
        """
        found = self.trace if self.trace is not None else np.empty((len(self.bases), 0))
        if steps is not None and found.shape[1] not in (0, steps + 1):
            raise ValueError(f"a trace of {found.shape[1] - 1} moves is none of {steps}")
        return found


Method = Callable[[Batch, np.random.Generator], None]


def greedy_batch(batch: Batch, generator: np.random.Generator, temperature: float = 0.0) -> None:
    """Greedy pairs from where the batch stands."""
    greedy_pairs(batch.restore(), batch.transforms, temperature, generator, batch.moves, batch.room())
    _settle(batch)


def seysen_batch(batch: Batch, generator: np.random.Generator) -> None:
    """Seysen's reduction."""
    seysen_pairs(batch.restore(), batch.transforms, batch.moves, batch.room())
    _settle(batch)


def lll_batch(batch: Batch, generator: np.random.Generator, delta: float = 0.99) -> None:
    """LLL."""
    lll_all(batch.restore(), batch.transforms, delta, batch.moves, batch.room())
    _settle(batch)


def hkz_batch(batch: Batch, generator: np.random.Generator) -> None:
    """HKZ."""
    hkz_all(batch.restore(), batch.transforms, batch.moves)
    batch.at = batch.moves.copy()


def support_batch(batch: Batch, generator: np.random.Generator) -> None:
    """Additions of one or two rows."""
    support_two(batch.restore(), batch.transforms, batch.moves)
    batch.at = batch.moves.copy()


def then(*methods: Method) -> Method:
    """One after another."""
    def together(batch: Batch, generator: np.random.Generator) -> None:
        for method in methods:
            method(batch, generator)
    return together


def best_of(method: Method, draws: int) -> Method:
    """The best of several draws of a method; moves of all are counted."""
    def together(batch: Batch, generator: np.random.Generator) -> None:
        start, best = batch.transforms.copy(), np.full(len(batch.bases), np.inf)
        moves, kept, at = batch.moves.copy(), start.copy(), batch.at.copy()
        for _ in range(draws):
            one = Batch(batch.bases, start.copy(), np.zeros_like(moves), np.zeros_like(moves),
                        log_volumes=batch.log_volumes)
            method(one, generator)
            defects = one.defects
            better = defects < best - 1e-9
            best[better], kept[better], at[better] = defects[better], one.transforms[better], one.at[better]
            moves += one.moves
        batch.transforms, batch.moves, batch.at = kept, moves, at
    return together


def beam_batch(batch: Batch, generator: np.random.Generator, width: int = BEAM_WIDTH) -> None:
    """Untrained beam search; a move of every basis in it counts."""
    steps = walk_steps(batch.bases.shape[1])
    beam_all(batch.restore(), batch.transforms, width, BEAM_CHILDREN, steps, batch.room(steps))
    batch.moves += steps * width
    _settle(batch)


def walk_batch(batch: Batch, generator: np.random.Generator, policy: PolicyArrays, temperature: float,
               candidates: int = CANDIDATES, steps: int | None = None, record: Record | None = None) -> None:
    """Walk by a policy; the transforms become those of the best bases visited."""
    taken = walk_steps(batch.bases.shape[1]) if steps is None else steps
    trace = batch.room(taken)
    walk_all(np.ascontiguousarray(batch.reduced)[:, None], batch.transforms, batch.log_volumes, policy, candidates,
             taken, temperature, generator, batch.at, trace, nothing_recorded() if record is None else record)
    batch.moves += taken
    np.minimum.accumulate(trace, axis=1, out=trace)


def minima_of(batch: Batch) -> FloatArray:
    """Logarithms of the product of the successive minima over the volume, a bound for every basis; nan: not found.

    Args:
        batch: well reduced: the lengths of its bases bound the search. Where the minima form a basis, its transform
            becomes that of this basis.

    Returns:
        The bounds. `batch.found` says where the minima form a basis, which then is optimal.
    """
    coefficients, bounds = np.zeros_like(batch.transforms), np.empty(len(batch.bases))
    minima_all(np.ascontiguousarray(batch.reduced), MOST_SHORT_VECTORS, coefficients, bounds)
    forms = np.isfinite(bounds) & (np.rint(np.abs(np.linalg.det(coefficients.astype(float)))) == 1)
    batch.transforms[forms], batch.found = coefficients[forms] @ batch.transforms[forms], forms
    return bounds - batch.log_volumes


def walk_steps(dimension: int) -> int:
    """Moves of a walk where nobody says how many: 28, 54, 88, 130 in 4, 6, 8, 10 dimensions."""
    return dimension * (dimension + 3)


def move_logits(bases: FloatArray, policy: PolicyArrays, candidates: int) -> FloatArray:
    """Logits (N, candidates) of first moves from each basis, the best by the product rule first; missing ones: nan."""
    count = len(bases)
    record = room_for_record(1, count, candidates, policy.mean.size)
    walk_batch(Batch.of(bases), np.random.default_rng(0), policy, 0.0, candidates, 1, record)
    found, room = np.full((count, candidates), np.nan), np.empty(candidates)
    for place, many in enumerate(record.counts[0].tolist()):
        logits_of(policy, record.features[0, place], many, room)
        found[place, :many] = room[:many]
    return found


def product_work(dimension: int) -> float:
    """Multiply-adds of a move of the product rule, in its favour; a division counts as one.

    13 for each of three coefficients of all pairs, where the code makes 15, and the updates.
    """
    return 39.0 * dimension * (dimension - 1) + 8 * dimension


def move_work(policy: PolicyArrays, candidates: int, dimension: int) -> float:
    """Multiply-adds of a move by a policy: of the product rule, of features and of the network.

    A candidate costs 12 for its scores and one for each feature; looking ahead 6 for each pair, and 19 for each entry
    of a candidate's row. What the functions log and exp cost is left out on both sides.
    """
    m, wide, hidden = candidates, policy.mean.size, policy.first_bias.size
    if wide == 0:
        return product_work(dimension)
    looking = 6 * dimension * (dimension - 1) + 19 * m * dimension if wide == ALL else 0
    scores = m * (wide * hidden + hidden * hidden + hidden) + 2 * hidden * hidden if hidden else m * wide
    return product_work(dimension) + m * (12 + wide) + looking + scores


def walk_blocks(blocks: FloatArray, policy: PolicyArrays, candidates: int, steps: int, temperature: float,
                generator: np.random.Generator) -> IntArray:
    """One unimodular matrix for each block of lattices, by a walk that lowers the mean log defect over its sites.

    Args:
        blocks: (N, S, n, n), rows are basis vectors.
        policy, candidates, steps, temperature, generator: see `kernels.walk.walk_all`.

    Returns:
        (N, n, n), to be applied to every site of the block.
    """
    count, _, n, _ = blocks.shape
    transforms = np.broadcast_to(np.eye(n, dtype=np.int64), (count, n, n)).copy()
    walk_all(np.ascontiguousarray(blocks), transforms, np.linalg.slogdet(blocks)[1].mean(1), policy, candidates, steps,
             temperature, generator, np.zeros(count, dtype=np.int64), np.empty((count, 0)), nothing_recorded())
    return transforms


def room_for_record(steps: int, count: int, candidates: int, features: int) -> Record:
    """Where walks of so many moves, of so many lattices, leave what they saw of so many candidates."""
    return Record(np.zeros((steps, count, candidates, features)), np.zeros((steps, count), dtype=np.int64),
                  np.zeros((steps, count), dtype=np.int64), np.zeros((steps, count)))


def nothing_recorded() -> Record:
    """No record of walks."""
    return room_for_record(0, 0, 0, 0)


def product_rule() -> PolicyArrays:
    """The untrained policy: the product rule."""
    none, flat = np.empty(0), np.empty((0, 0))
    return PolicyArrays(none, none, np.ones(2), flat, none, flat, none, flat, none)


def _settle(batch: Batch) -> None:
    """A trace in log defects; the moves of a method that ends at its best basis."""
    if batch.trace is not None:
        batch.trace -= batch.log_volumes[:, None]
    batch.at = batch.moves.copy()
