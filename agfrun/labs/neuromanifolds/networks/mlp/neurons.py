"""Hidden neurons of a fully connected network: exchanged, rescaled, dead, duplicated.

`scales` says for each hidden layer by which power r of its scale a neuron's output grows: its incoming weights times c
and its outgoing ones times c^-r give the same function. None: the activation is no single power, and scales are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations, pairwise

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element, stack
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray
from agfrun.labs.neuromanifolds.degeneracy import DEAD, DUPLICATE, LOW_RANK, Degeneracy, minors
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.stratum import Stratum, coordinate_tangent
from agfrun.labs.neuromanifolds.symmetry import Generator, Symmetry, Weights

Scales = Sequence[int] | None
Arrays = Mapping[str, AnyArray]

# Weights of one function that are drawn of each kind for the union of their tangent spaces.
DRAWN = 12
SHAHVERDI = "Shahverdi, Marchetti & Kohn, arXiv:2505.11846"


def layer(number: int) -> str:
    """Name of a layer's weights, from 1 on."""
    return f"layer_{number}"


def symmetries(widths: Sequence[int], scales: Scales) -> tuple[Symmetry, ...]:
    """Permutations of hidden neurons, and their rescalings where the activation has them."""
    hidden = [i for i in range(1, len(widths) - 1) if widths[i] > 1]
    found = [Symmetry("permutations of hidden neurons", "W_l -> P_l W_l P_(l-1)^T", partial(_permuted, hidden))]
    if scales is not None:
        found.append(Symmetry("rescalings of hidden neurons", "W_l -> D_l W_l D_(l-1)^(-r)",
                              partial(_rescaled, scales), partial(_scalings, scales)))
    return tuple(found)


def _permuted(hidden: Sequence[int], weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
    moved = dict(weights)
    for i in hidden:
        order = generator.permutation(moved[layer(i)].shape[0])
        moved[layer(i)] = moved[layer(i)][order]
        moved[layer(i + 1)] = moved[layer(i + 1)][:, order]
    return moved


def _rescaled(scales: Sequence[int], weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
    moved = dict(weights)
    for i, power in enumerate(scales, 1):
        neurons = moved[layer(i)].shape[0]
        # Powers of 2 and of 1/2 have inverses in every field.
        exponents = generator.integers(-3, 4, neurons)
        factors = np.array([Fraction(2) ** int(e) for e in exponents])
        moved[layer(i)] = moved[layer(i)] * factors[:, None]
        moved[layer(i + 1)] = moved[layer(i + 1)] * np.array([1 / factor**power for factor in factors])
    return moved


def _scalings(scales: Sequence[int], weights: Weights) -> Iterator[Generator]:
    for i, power in enumerate(scales, 1):
        into, out = weights[layer(i)], weights[layer(i + 1)]
        for neuron in range(into.shape[0]):
            here = np.zeros(into.shape[0], dtype=np.int64)
            here[neuron] = 1
            yield Generator(f"neuron {neuron + 1} of layer {i}",
                            {layer(i): into * here[:, None], layer(i + 1): out * (-power * here)},
                            f"|in|^2 - {power} |out|^2")


def strata(widths: Sequence[int], scales: Scales) -> tuple[Stratum, ...]:
    """For each hidden layer its last neuron dead on both sides, out, in, and duplicated."""
    found = []
    for i in range(1, len(widths) - 1):
        whole = partial(_fibre, widths, scales, i)
        for kind, words, strict in (("in&out", "incoming and outgoing weights vanish", True),
                                    ("out", "outgoing weights vanish", False),
                                    ("in", "incoming weights vanish", False)):
            dead = ("in" in kind, "out" in kind)
            found.append(Stratum(i, kind, f"last neuron of layer {i}: {words}", partial(_dead_point, widths, i, dead),
                                 coordinate_tangent(_alive(widths, i, dead)), whole, strict))
        if widths[i] > 1:
            how = "equal" if scales is None else "proportional"
            found.append(Stratum(i, "duplicate", f"last two neurons of layer {i}: incoming weights are {how}",
                                 partial(_duplicate_point, widths, i, scales),
                                 partial(_duplicate_tangent, i, scales), whole,
                                 projected=partial(_made_duplicate, i, scales)))
    return tuple(found)


def degeneracies(widths: Sequence[int], scales: Scales, weights: Weights) -> tuple[Degeneracy, ...]:
    """What vanishes where a neuron is dead, or has the function of another one: critical points of smaller networks.

    Incoming weights of a neuron whose scale is free do not vanish in the chart.
    """
    found = []
    for i in range(1, len(widths) - 1):
        rows, columns = weights[layer(i)], weights[layer(i + 1)].T
        found += [Degeneracy(DEAD, column) for column in columns]
        if scales is None:
            found += [Degeneracy(DEAD, row) for row in rows]
        for j, k in combinations(range(widths[i]), 2):
            if scales is None:
                found.append(Degeneracy(DUPLICATE, rows[j] - rows[k], continuum=True))
            elif widths[i - 1] > 1:
                found.append(Degeneracy(DUPLICATE, minors(stack([rows[j], rows[k]]), 2), continuum=True))
    if scales is not None and scales[-1] == 2 and widths[-1] == 1 and 2 < widths[-2] <= widths[-3]:
        # The last hidden layer carries a quadratic form.
        found.append(Degeneracy(LOW_RANK, minors(weights[layer(len(widths) - 2)], widths[-2]), continuum=True))
    return tuple(found)


def _shapes(widths: Sequence[int]) -> dict[str, tuple[int, int]]:
    return {layer(i): (after, before) for i, (before, after) in enumerate(pairwise(widths), 1)}


def _alive(widths: Sequence[int], i: int, dead: tuple[bool, bool]) -> dict[str, AnyArray]:
    """Flags of the weights that do not belong to the dead sides of the last neuron of layer i."""
    flags = {name: np.ones(shape, dtype=bool) for name, shape in _shapes(widths).items()}
    if dead[0]:
        flags[layer(i)][-1] = False
    if dead[1]:
        flags[layer(i + 1)][:, -1] = False
    return flags


def _dead_point(widths: Sequence[int], i: int, dead: tuple[bool, bool], field: Field, generator: np.random.Generator
                ) -> dict[str, AnyArray]:
    flags = _alive(widths, i, dead)
    return {name: np.where(flags[name], field.random(generator, shape), field.array(0))
            for name, shape in _shapes(widths).items()}


def _duplicate_point(widths: Sequence[int], i: int, scales: Scales, field: Field, generator: np.random.Generator
                     ) -> dict[str, AnyArray]:
    weights = {name: field.random(generator, shape) for name, shape in _shapes(widths).items()}
    factor = field.random(generator, ()) if scales is not None else field.array(1)
    weights[layer(i)][-1] = field.reduced(weights[layer(i)][-2] * factor)
    return weights


def _duplicate_tangent(i: int, scales: Scales, weights: Arrays, field: Field) -> AnyArray:
    """All weights but the last neuron's incoming ones, which follow those of the one before, and stretch."""
    shapes = {name: entries.shape for name, entries in weights.items()}
    offsets = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes.values())])
    start = offsets[i - 1]
    neurons, inputs = shapes[layer(i)]
    last = start + (neurons - 1) * inputs + np.arange(inputs)
    before = last - inputs
    total = int(offsets[-1])
    identity = np.eye(total, dtype=np.int64)
    tangent = field.array(np.delete(identity, last, axis=1))
    known = weights[layer(i)][-2]
    factor = field.array(1)
    if scales is not None:
        factor = _ratio(weights[layer(i)][-1][0], known[0], field)
    moved = np.delete(identity, last, axis=1)[before]  # the columns that move the neuron before
    tangent[last] = field.reduced(field.array(moved) * factor)
    if scales is None:
        return tangent
    stretch = field.array(np.zeros((total, 1), dtype=np.int64))
    stretch[last, 0] = known
    return np.concatenate([tangent, stretch], axis=1)


def _made_duplicate(i: int, scales: Scales, weights: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """The last neuron's incoming weights moved onto the line of those before, or onto them, in floats."""
    into = weights[layer(i)].copy()
    factor = 1.0 if scales is None else into[-1] @ into[-2] / (into[-2] @ into[-2])
    into[-1] = factor * into[-2]
    return weights | {layer(i): into}


def _ratio(above: AnyArray, below: AnyArray, field: Field) -> AnyArray:
    """Above / below in a field that may lack a division of arrays."""
    prime = getattr(field, "prime", None)
    return field.array(int(above) * pow(int(below), -1, prime)) if prime else field.array(above / below)


def _fibre(widths: Sequence[int], scales: Scales, i: int, weights: Arrays, field: Field,
           generator: np.random.Generator) -> Iterator[dict[str, AnyArray]]:
    """Weights with the function of a point of any stratum of layer i, whose last neuron can be spared."""
    into, out = _spared(i, scales, weights, field)
    neurons = len(into)
    rest = dict(weights)

    def made(last_in: AnyArray, last_out: AnyArray, kept: AnyArray = out) -> dict[str, AnyArray]:
        return rest | {layer(i): np.concatenate([into, last_in[None]]),
                       layer(i + 1): np.concatenate([kept, last_out[:, None]], axis=1)}

    none_in, none_out = field.array(np.zeros(into.shape[1], np.int64)), field.array(np.zeros(len(out), np.int64))
    for _ in range(DRAWN):
        yield made(field.random(generator, none_in.shape), none_out)
        yield made(none_in, field.random(generator, none_out.shape))
        if neurons:
            twin = int(generator.integers(neurons))
            factor = field.random(generator, ()) if scales is not None else field.array(1)
            part = field.random(generator, none_out.shape)
            kept = out.copy()
            power = factor
            for _ in range((scales[i - 1] if scales is not None else 1) - 1):
                power = field.reduced(power * factor)
            kept[:, twin] = field.reduced(out[:, twin] - power * part)
            yield made(field.reduced(into[twin] * factor), part, kept)


def _spared(i: int, scales: Scales, weights: Arrays, field: Field) -> tuple[AnyArray, AnyArray]:
    """Incoming and outgoing weights of layer i without its last neuron, which is dead or a copy of the one before."""
    into, out = weights[layer(i)], weights[layer(i + 1)]
    if not into[-1].any() or not out[:, -1].any():
        return into[:-1], out[:, :-1]
    factor, power = field.array(1), field.array(1)
    if scales is not None:
        factor = _ratio(into[-1][0], into[-2][0], field)
        for _ in range(scales[i - 1]):
            power = field.reduced(power * factor)
    kept = out[:, :-1].copy()
    kept[:, -1] = field.reduced(kept[:, -1] + power * out[:, -1])
    return into[:-1], kept


def canonical(weights: Mapping[str, FractionArray], scales: Scales) -> dict[str, FractionArray]:
    """The weights with hidden neurons in the order of their incoming weights, the first of them scaled to 1."""
    fixed = dict(weights)
    for i in range(1, len(weights)):
        into, out = fixed[layer(i)].copy(), fixed[layer(i + 1)].copy()
        if scales is not None:
            for neuron in range(len(into)):
                lead = next((entry for entry in into[neuron] if entry), Fraction(1))
                into[neuron] = into[neuron] / lead
                out[:, neuron] = out[:, neuron] * lead ** scales[i - 1]
        order = sorted(range(len(into)), key=lambda k: (*into[k], *out[:, k]))
        fixed[layer(i)], fixed[layer(i + 1)] = into[order], out[:, order]
    return fixed


def identifiability(weights: Mapping[str, FractionArray], scales: Scales) -> Identifiability:
    """Whether a neuron can be spared: then infinitely many weights have the same function."""
    for i in range(1, len(weights)):
        into, out = canonical(weights, scales)[layer(i)], weights[layer(i + 1)]
        if any(not row.any() for row in into):
            return _infinite(f"layer {i} has a neuron without incoming weights: its outgoing ones are free")
        if any(not column.any() for column in out.T):
            return _infinite(f"layer {i} has a neuron without outgoing weights: its incoming ones are free")
        if len({tuple(row) for row in into}) < len(into):
            how = "equal" if scales is None else "proportional"
            return _infinite(f"layer {i} has two neurons with {how} incoming weights: their outgoing ones can be "
                             "shared out in any way")
    group = "permutations" if scales is None else "permutations and rescalings"
    return Identifiability(
        "finite", 1, f"no neuron can be spared: for a large degree only {group} of hidden neurons keep the function",
        f"{SHAHVERDI}, and its sequel on linear independence of compositions")


def _infinite(reason: str) -> Identifiability:
    return Identifiability("infinite", None, reason, f"{SHAHVERDI}, definition of a subnetwork")
