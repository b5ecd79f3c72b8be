"""Which complex critical points are counted: of generic losses, of special inner products, of few samples, of data."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, prod
from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.evaluation import number_of_outputs
from agfrun.labs.neuromanifolds.landscape.equations import EVERY, Equations
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.loss import Loss
from agfrun.labs.neuromanifolds.landscape.monodromy import QUIET, critical_points_by_monodromy
from agfrun.labs.neuromanifolds.landscape.msolve import Timer, Unfinished, executable

if TYPE_CHECKING:
    from collections.abc import Callable

    from agfrun.labs.neuromanifolds.config import NetworkConfig

DEGREE, GENERIC, IDENTITY, BOMBIERI, SAMPLES, DATA, MONODROMY = QUESTIONS = (
    "degree", "generic", "identity", "bombieri", "samples", "data", "monodromy")
# Beyond, no Groebner basis comes to an end; polynomials of more terms take minutes to write.
MOST_WEIGHTS, MOST_COORDINATES = 16, 2000
FINITE, INFINITE, UNFINISHED, CLOSED_FORM = "finite", "infinite", "not finished", "closed form"
# Of monodromy, which the time stopped.
AT_LEAST = "at least"


@dataclass(frozen=True)
class Count:
    """A row of counts.csv.

    Attributes:
        question: one of `QUESTIONS`.
        samples: of the loss; None: its inner product is given otherwise.
        solutions: of the equations, with multiplicity; None: infinitely many, or not known.
        count: of functions: solutions divided by the weights that one function has.
        verdict: `finite`, `infinite`, `not finished`, `at least`, or `closed form` where nothing was solved.
        expected: by a closed form.
        note: why there is no count, or the source of the closed form.
    """

    question: str
    samples: int | None
    solutions: int | None
    count: int | None
    verdict: str
    expected: int | None = None
    note: str = ""


def equations_of(network: NetworkConfig, dimension: int, seed: int) -> Equations:
    """The equations of a network's critical points in its chart.

    Args:
        network: the architecture.
        dimension: of its functions.
        seed: of all that is random.
    """
    return Equations.of(Expansion.of(network, seed), dimension, seed)


def closed_forms(network: NetworkConfig) -> dict[str, tuple[int, str]]:
    """Degree, generic count and that of the natural inner product, with sources, where closed forms are known."""
    known = network.invariants()
    found = {DEGREE: known.degree, GENERIC: known.critical_points, IDENTITY: known.nearest_points}
    return {question: (one.value, one.source) for question, one in found.items() if one is not None}


def loss_for(question: str, samples: int | None, expansion: Expansion, seed: int) -> Loss:
    """A random loss modulo a prime, of the kind that a question is about."""
    generator = np.random.default_rng((seed, QUESTIONS.index(question), samples or 0))
    if question == SAMPLES:
        assert samples is not None
        return Loss.of_random_samples(expansion, samples, generator)
    if question == GENERIC:
        return Loss.generic(len(expansion.coefficients), generator)
    ones = np.full(len(expansion.coefficients), 1, dtype=object)
    return Loss.diagonal(expansion.bombieri() if question == BOMBIERI else ones, generator)


def solutions(equations: Equations, dimension: int, question: str, samples: int | None, timer: Timer) -> int | None:
    """Weights in the chart that answer a question; None: infinitely many."""
    if question == DEGREE:
        return equations.on_a_linear_space(dimension, timer)
    loss = loss_for(question, samples, equations.expansion, equations.seed)
    return equations.solved(equations.gradient(loss), EVERY, timer)


def too_large(network: NetworkConfig) -> str | None:
    """Why no Groebner basis of a network would come to an end, in a clause; None: it may."""
    fixed = sum(entry is not None for entries in network.chart().values() for entry in entries.ravel())
    free = network.parameters() - fixed
    degree, inputs = network.output_degree(), prod(network.input_shape())
    coordinates = comb(degree + inputs, inputs) * number_of_outputs(network, PrimeField(PRIMES[0]))
    if free <= MOST_WEIGHTS and coordinates <= MOST_COORDINATES:
        return None
    return (f"it has {free} weights beside its symmetries and up to {coordinates} coefficients, and {MOST_WEIGHTS} and "
            f"{MOST_COORDINATES} can be solved for")


def count_functions(network: NetworkConfig, dimension: int, question: str, samples: int | None, seed: int,
                    seconds: float) -> Count:
    """One count by itself, as a run of `study=critical_points` makes it.

    Args:
        network: the architecture.
        dimension: of its functions.
        question: one of `QUESTIONS` but `data`.
        samples: of `samples`; else None.
        seed: of all that is random.
        seconds: the limit.

    Raises:
        UsageError: msolve is not installed, which all but `monodromy` need.
    """
    timer, equations = Timer(seconds), equations_of(network, dimension, seed)
    if question == MONODROMY:
        return continued(equations, seconds)
    known = closed_forms(network).get(question)
    try:
        per_function = equations.points_of_one_function(timer)
    except Unfinished:
        per_function = None
    return counted(question, samples, lambda: solutions(equations, dimension, question, samples, timer), per_function,
                   known)


def preimages(network: NetworkConfig, dimension: int, seed: int, seconds: float) -> int | None:
    """How many complex weights in the chart have the function of random ones.

    Args:
        network: the architecture.
        dimension: of its functions.
        seed: of all that is random.
        seconds: the limit.

    Returns:
        None where msolve is not installed or did not come to an end, or where a continuous symmetry is left in the
        chart, whose orbits a slice would meet several times.
    """
    if not seconds or executable() is None or too_large(network) is not None:
        return None
    equations = equations_of(network, dimension, seed)
    if equations.slices:
        return None
    try:
        return equations.points_of_one_function(Timer(seconds))
    except Unfinished:
        return None


def counted(question: str, samples: int | None, solve: Callable[[], int | None], per_function: int | None,
            known: tuple[int, str] | None) -> Count:
    """Solve, and say what came of it.

    Args:
        question, samples: of the row.
        solve: gives the solutions, None for infinitely many.
        per_function: weights in the chart that have one function; None: not known.
        known: the closed form and its source.
    """
    expected, source = known or (None, "")
    try:
        found = solve()
    except Unfinished as error:
        return Count(question, samples, None, None, UNFINISHED, expected, str(error))
    if found is None:
        return Count(question, samples, None, None, INFINITE, expected, source)
    if not per_function or found % per_function:
        return Count(question, samples, found, None, FINITE, expected,
                     f"solutions are not shared out: {per_function or 'unknown'} weights have one function")
    return Count(question, samples, found, found // per_function, FINITE, expected, source)


def continued(equations: Equations, seconds: float) -> Count:
    """Critical points of a generic loss by monodromy, all of them certified; loops end at the closed form.

    Args:
        equations: of the network.
        seconds: the limit.
    """
    if equations.slices:
        return Count(MONODROMY, None, None, None, UNFINISHED, None,
                     "a continuous symmetry is left that no chart takes away")
    expected, _ = closed_forms(equations.expansion.network).get(GENERIC, (None, ""))
    found = critical_points_by_monodromy(equations.expansion, equations.seed, Timer(seconds), expected)
    ended = found.functions == expected or found.quiet >= QUIET
    note = f"{found.loops} loops, none of the last {found.quiet} with a new one, {found.lost} paths lost"
    return Count(MONODROMY, None, len(found.points), found.functions, FINITE if ended else AT_LEAST, expected, note)
