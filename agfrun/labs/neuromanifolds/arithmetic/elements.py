"""Arrays of ring elements that remember how they were made, so that they can be differentiated exactly.

A network is a function of weights and an input that uses ring operations alone: sums, products, powers, contractions,
and rearrangements. It is written for one input. Every `Element` has a hidden first axis of evaluations, of length 1
for what all evaluations share, and no operation sums over it: derivatives by shared weights are those of each
evaluation by itself, which are the rows of a Jacobian. Derivatives are elements again, and can be differentiated.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field
from agfrun.study.errors import UsageError

Pullback = Callable[["Element"], Sequence["Element | None"]]
Index = Any

EVALUATIONS = "z"  # the letter of the hidden axis in contractions
_recording = [True]


class Element:
    """An array of elements of a field.

    Attributes:
        field: that its entries belong to.
        data: (evaluations or 1, *shape).

    Operators: `+`, `-`, `*`, `@`, `** n` with an integer n of at least 0, with integers, fractions and arrays of them
    as constants; indexing, `T`, `reshape`, `sum`, `einsum`. Anything else is no polynomial, and raises `UsageError`.
    """

    __slots__ = ("data", "field", "parents", "pullback")

    def __init__(self, field: Field, data: AnyArray, parents: Sequence[Element] = (),
                 pullback: Pullback | None = None) -> None:
        self.field, self.data = field, data
        recorded = _recording[0] and bool(parents)
        self.parents: tuple[Element, ...] = tuple(parents) if recorded else ()
        self.pullback = pullback if recorded else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one evaluation."""
        return tuple(self.data.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes of one evaluation."""
        return self.data.ndim - 1

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Element]:
        return (self[i] for i in range(len(self)))

    def constant(self, values: Any) -> Element:
        """Integers, fractions or an array of them as an element of the same field."""
        if isinstance(values, Element):
            return values
        given = np.asarray(values)
        if given.dtype.kind == "f" and not (given == np.floor(given)).all():
            raise UsageError(f"the network's function uses the number {given.ravel()[0]}: coefficients must be "
                             "integers or fractions, so that nothing is rounded")
        if given.dtype.kind == "f":
            given = given.astype(np.int64)
        if given.dtype.kind not in "iuO":
            raise UsageError(f"the network's function uses {values!r}, which is no array of numbers")
        return Element(self.field, self.field.array(given)[None])

    def __add__(self, other: Any) -> Element:
        other = self.constant(other)
        first, second = _aligned(self, other)
        return Element(self.field, self.field.reduced(first + second), (self, other),
                       lambda g: (_summed_to(g, self.shape), _summed_to(g, other.shape)))

    def __mul__(self, other: Any) -> Element:
        other = self.constant(other)
        first, second = _aligned(self, other)
        return Element(self.field, self.field.reduced(first * second), (self, other),
                       lambda g: (_summed_to(g * other, self.shape), _summed_to(g * self, other.shape)))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Element:
        return self * -1

    def __sub__(self, other: Any) -> Element:
        return self + self.constant(other) * -1

    def __rsub__(self, other: Any) -> Element:
        return self.constant(other) + self * -1

    def __pow__(self, exponent: int) -> Element:
        if not isinstance(exponent, int | np.integer) or exponent < 0:
            raise UsageError(f"the network's function takes the power {exponent}: powers must be integers of at least "
                             "0")
        if exponent == 0:
            return self.constant(np.ones(self.shape, dtype=np.int64))
        return Element(self.field, _power(self.field, self.data, int(exponent)), (self,),
                       lambda g: (g * (self ** (exponent - 1) * int(exponent)),))

    def __matmul__(self, other: Any) -> Element:
        other = self.constant(other)
        if not 1 <= self.ndim <= 2 or not 1 <= other.ndim <= 2:
            raise UsageError("the network's function multiplies (@) arrays that are neither matrices nor vectors")
        left, right = "ij"[-self.ndim:], "jk"[:other.ndim]
        return einsum(f"{left},{right}->{left[:-1]}{right[1:]}", self, other)

    def __rmatmul__(self, other: Any) -> Element:
        return self.constant(other) @ self

    def __getitem__(self, index: Index) -> Element:
        places = index if isinstance(index, tuple) else (index,)
        shape = self.shape
        return Element(self.field, self.data[(slice(None), *places)], (self,),
                       lambda g: (_scattered(g, places, shape),))

    @property
    def T(self) -> Element:  # noqa: N802 - as NumPy calls it
        """With the axes in reverse order."""
        axes = (0, *range(self.data.ndim - 1, 0, -1))
        return Element(self.field, self.data.transpose(axes), (self,), lambda g: (g.T,))

    def reshape(self, *shape: int) -> Element:
        """The same entries in another shape."""
        old = self.shape
        return Element(self.field, self.data.reshape(len(self.data), *shape), (self,), lambda g: (g.reshape(*old),))

    def sum(self, axis: int | None = None) -> Element:
        """The sum of all entries, or along an axis."""
        if axis is None:
            return self.reshape(-1).sum(0) if self.ndim != 1 else self.sum(0)
        place = axis % self.ndim
        shape, kept = self.shape, (*self.shape[:place], 1, *self.shape[place + 1:])
        return Element(self.field, self.field.reduced(self.data.sum(axis=place + 1)), (self,),
                       lambda g: (g.reshape(*kept).spread(shape),))

    def spread(self, shape: tuple[int, ...]) -> Element:
        """Repeated along axes of length 1, to a shape."""
        old = self.shape
        return Element(self.field, np.broadcast_to(self.data, (len(self.data), *shape)), (self,),
                       lambda g: (_summed_to(g, old),))

    def exp(self) -> Element:
        """The exponential of each entry, where the field has one."""
        if self.data.dtype != object:
            raise _not_polynomial("exp")
        values = np.frompyfunc(lambda entry: entry.exp(), 1, 1)(self.data)
        made = Element(self.field, values, (self,), lambda g: (g * made,))
        return made

    def reciprocal(self) -> Element:
        """One over each entry, where the field of the computation is one of real numbers."""
        if self.data.dtype != object:
            raise _not_polynomial("division")
        values = np.frompyfunc(lambda entry: 1 / entry, 1, 1)(self.data)
        made = Element(self.field, values, (self,), lambda g: (g * made * made * -1,))
        return made

    def __truediv__(self, other: Any) -> Element:
        if isinstance(other, int | Fraction):
            return self * (1 / Fraction(other))
        raise _not_polynomial("division")

    def __rtruediv__(self, other: Any) -> NoReturn:
        raise _not_polynomial("division")

    def __abs__(self) -> NoReturn:
        raise _not_polynomial("abs")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Element:
        """What NumPy leaves to the element, such as `array * element`."""
        operation = _OPERATIONS.get(ufunc)
        if operation is None or method != "__call__" or options:
            raise _not_polynomial(f"numpy.{ufunc.__name__}")
        return operation(*(self.constant(one) for one in operands))

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise _not_polynomial("a NumPy function")

    def __float__(self) -> NoReturn:
        raise _not_polynomial("float()")

    def __bool__(self) -> NoReturn:
        raise _not_polynomial("a comparison, or a decision on a value")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _not_polynomial(f".{name}")

    def __eq__(self, other: object) -> NoReturn:
        raise _not_polynomial("a comparison, or a decision on a value")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__


_OPERATIONS: dict[np.ufunc, Callable[..., Element]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.matmul: operator.matmul,
    np.negative: operator.neg}


def _not_polynomial(what: str) -> UsageError:
    return UsageError(f"the network's function is not polynomial: it uses {what}; allowed are + - * @ ** with integer "
                      "powers, indexing, T, reshape, sum and einsum")


def einsum(subscripts: str, *operands: Element) -> Element:
    """A contraction as `numpy.einsum` writes it, of two elements or more, from left to right.

    Args:
        subscripts: with `->`; a letter may not occur twice in one operand, and `z` is taken.
        operands: elements of one field.
    """
    *terms, out = subscripts.replace(" ", "").replace("->", ",").split(",")
    if len(terms) != len(operands) or len(terms) < 2 or any(len(set(term)) < len(term) for term in terms):
        raise UsageError(f"the network's function calls einsum with {subscripts!r} and {len(operands)} operands: two "
                         "or more are needed, each with different letters")
    if EVALUATIONS in subscripts:
        raise UsageError(f"the network's function calls einsum with {subscripts!r}: the letter z is taken")
    result, letters = operands[0], terms[0]
    for place in range(1, len(terms)):
        later = set("".join(terms[place + 1:]) + out)
        both = dict.fromkeys(letters + terms[place])
        kept = out if place == len(terms) - 1 else "".join(letter for letter in both if letter in later)
        result = _contracted(letters, terms[place], kept, result, operands[place])
        letters = kept
    return result


def _contracted(left: str, right: str, out: str, first: Element, second: Element) -> Element:
    # A letter that one operand alone has is summed before they are multiplied.
    left, first = _without(left, set(left) - set(right + out), first)
    right, second = _without(right, set(right) - set(left + out), second)
    data = _contracted_data(first.field, left, right, out, first.data, second.data)

    def pull(g: Element) -> tuple[Element, Element]:
        return _contracted(out, right, left, g, second), _contracted(out, left, right, g, first)

    return Element(first.field, data, (first, second), pull)


def _without(letters: str, lonely: set[str], operand: Element) -> tuple[str, Element]:
    for letter in sorted(lonely):
        if letter in letters:
            operand = operand.sum(letters.index(letter))
            letters = letters.replace(letter, "")
    return letters, operand


def _contracted_data(field: Field, left: str, right: str, out: str, first: AnyArray, second: AnyArray) -> AnyArray:
    """The contraction of the entries: one that all evaluations share is no batch of it, but a matrix of all."""
    z = EVALUATIONS
    if len(first) == 1 and len(second) > 1:
        return field.contract(left, z + right, z + out, first[0], second)
    if len(second) == 1 and len(first) > 1:
        return field.contract(z + left, right, z + out, first, second[0])
    return field.contract(z + left, z + right, z + out, first, second)


def without_constant(coefficients: Sequence[int] | Element, values: Element) -> Element:
    """The polynomial c_1 z + ... + c_r z^r at each entry, by Horner's rule; `coefficients` are c_1, ..., c_r."""
    result = values * coefficients[len(coefficients) - 1]
    for power in range(len(coefficients) - 1, 0, -1):
        result = (result + coefficients[power - 1]) * values
    return result


def stack(elements: Sequence[Element]) -> Element:
    """Elements of one shape along a new first axis."""
    most = max(len(one.data) for one in elements)
    data = np.stack([np.broadcast_to(one.data, (most, *one.shape)) for one in elements], axis=1)
    return Element(elements[0].field, data, elements, lambda g: [g[i] for i in range(len(elements))])


def concatenate(elements: Sequence[Element]) -> Element:
    """Vectors one after another."""
    most = max(len(one.data) for one in elements)
    data = np.concatenate([np.broadcast_to(one.data, (most, *one.shape)) for one in elements], axis=1)
    ends = np.cumsum([0, *(len(one) for one in elements)])
    return Element(elements[0].field, data, elements,
                   lambda g: [g[int(start):int(end)] for start, end in zip(ends, ends[1:], strict=False)])


def gradients(output: Element, leaves: Sequence[Element], differentiable: bool = False) -> list[Element]:
    """Derivatives of a number by arrays, for each evaluation by itself, by reverse accumulation.

    Args:
        output: of shape (), for each evaluation.
        leaves: by what is differentiated.
        differentiable: whether the derivatives shall be differentiated again.

    Returns:
        One element for each leaf, of its shape; zero where the output does not depend on it.
    """
    found: dict[int, Element] = {id(output): output.constant(1)}
    with nullcontext() if differentiable else unrecorded():
        for node in reversed(_in_order(output)):
            arrived = found.get(id(node))
            if arrived is None or node.pullback is None:
                continue
            for parent, part in zip(node.parents, node.pullback(arrived), strict=True):
                if part is not None:
                    known = found.get(id(parent))
                    found[id(parent)] = part if known is None else known + part
    return [found.get(id(leaf), leaf.constant(np.zeros(leaf.shape, dtype=np.int64))) for leaf in leaves]


def _in_order(output: Element) -> list[Element]:
    """All elements that the output was made from, each after those that it was made from."""
    order: list[Element] = []
    seen: set[int] = set()
    stack_: list[tuple[Element, bool]] = [(output, False)]
    while stack_:
        node, done = stack_.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack_.append((node, True))
            stack_.extend((parent, False) for parent in node.parents)
    return order


@contextmanager
def unrecorded() -> Iterator[None]:
    """What is computed within is not remembered for derivatives."""
    before, _recording[0] = _recording[0], False
    try:
        yield
    finally:
        _recording[0] = before


def _aligned(first: Element, second: Element) -> tuple[AnyArray, AnyArray]:
    """Entries of both with as many axes, so that those of one evaluation are aligned at their ends."""
    most = max(first.ndim, second.ndim)
    return _deepened(first, most), _deepened(second, most)


def _deepened(element: Element, ndim: int) -> AnyArray:
    return element.data.reshape(len(element.data), *[1] * (ndim - element.ndim), *element.shape)


def _summed_to(g: Element, shape: tuple[int, ...]) -> Element:
    """The sum over the axes along which an array of `shape` was repeated."""
    while g.ndim > len(shape):
        g = g.sum(0)
    for axis, length in enumerate(shape):
        if length == 1 and g.shape[axis] != 1:
            g = g.sum(axis).reshape(*g.shape[:axis], 1, *g.shape[axis + 1:])
    return g


def _scattered(g: Element, places: tuple[Index, ...], shape: tuple[int, ...]) -> Element:
    """Zeros of a shape with the entries of `g` added at the places."""
    data = g.field.array(np.zeros((len(g.data), *shape), dtype=np.int64))
    np.add.at(data, (slice(None), *places), g.data)
    return Element(g.field, g.field.reduced(data), (g,), lambda h: (h[places],))


def _power(field: Field, data: AnyArray, exponent: int) -> AnyArray:
    """Each entry to a power of at least 1, by repeated squaring."""
    result = data
    for bit in f"{exponent:b}"[1:]:
        result = field.reduced(result * result)
        if bit == "1":
            result = field.reduced(result * data)
    return result

