"""Arrays of ring elements: values as NumPy's, derivatives as dual numbers over the rationals give them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfrun import UsageError
from agfrun.labs.neuromanifolds import PRIMES, Element, Floats, Multiprecision, PrimeField, concatenate, einsum, stack
from agfrun.labs.neuromanifolds.arithmetic.derivatives import flat, hessian_product, jacobian, named

P = PRIMES[0]
FIELD = PrimeField(P)
SHAPES = {"a": (2, 3), "b": (3, 2), "c": (3,)}

# Each returns a number; between them they use every operation.
FUNCTIONS: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "products": lambda w, x: ((w["a"] @ (w["b"] @ x)) * x).sum(),
    "powers": lambda w, x: ((w["b"] @ x + w["c"]) ** 3).sum() - 2 * w["c"][1] ** 2,
    "einsum": lambda w, x: einsum("ij,jk,k->i", w["a"], w["b"], x)[0] * Fraction(1, 2),
    "outer": lambda w, x: einsum("i,j->ij", w["c"], x).reshape(6)[4],
    "trace": lambda w, x: (w["a"].T * w["b"] * x).sum(0).sum(),
    "lonely": lambda w, x: einsum("ij,k->i", w["a"], w["c"]) @ x,
    "gather": lambda w, x: (w["c"][np.array([[0, 1], [1, 2]])] @ x)[1] - w["b"][0, 0],
    "stacked": lambda w, x: (stack([x, w["a"][:, 1]]) @ concatenate([w["c"][:1], x[:1]]))[0] - (-x).sum(),
    "kept": lambda w, x: (w["a"].sum(1).reshape(2, 1) * w["a"]).sum() + w["c"] @ w["c"] * x[0],
}


class Numbers:
    """The same weights as polynomials in one variable e, modulo e^3, with rational coefficients: an oracle."""

    def __init__(self, coefficients: list[Fraction]) -> None:
        self.c = (coefficients + [Fraction(0)] * 3)[:3]

    def __add__(self, other: Any) -> Numbers:
        other = other if isinstance(other, Numbers) else Numbers([Fraction(other)])
        return Numbers([a + b for a, b in zip(self.c, other.c, strict=True)])

    def __mul__(self, other: Any) -> Numbers:
        other = other if isinstance(other, Numbers) else Numbers([Fraction(other)])
        return Numbers([sum((self.c[i] * other.c[k - i] for i in range(k + 1)), Fraction(0)) for k in range(3)])

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Numbers:
        return self * -1

    def __sub__(self, other: Any) -> Numbers:
        return self + other * -1

    def __pow__(self, exponent: int) -> Numbers:
        result = Numbers([Fraction(1)])
        for _ in range(exponent):
            result = result * self
        return result


def polynomial(name: str, weights: dict[str, np.ndarray], x: np.ndarray, direction: np.ndarray) -> Numbers:
    """The function at weights + e direction, as a polynomial in e modulo e^3."""
    moved = named(direction, SHAPES)
    lifted = {key: np.vectorize(lambda v, d: Numbers([Fraction(int(v)), Fraction(int(d))]), otypes=[object])(
        entries, moved[key]) for key, entries in weights.items()}
    point = np.vectorize(lambda v: Numbers([Fraction(int(v))]), otypes=[object])(x)

    def contracted(subscripts: str, *operands: np.ndarray) -> np.ndarray:
        terms, out = subscripts.split("->")
        letters = sorted(set(terms.replace(",", "")))
        sizes = {c: n for term, one in zip(terms.split(","), operands, strict=True)
                 for c, n in zip(term, one.shape, strict=True)}
        result = np.full([sizes[c] for c in out], Numbers([Fraction(0)]), dtype=object)
        for place in np.ndindex(*[sizes[c] for c in letters]):
            at = dict(zip(letters, place, strict=True))
            product = Numbers([Fraction(1)])
            for term, one in zip(terms.split(","), operands, strict=True):
                product = product * one[tuple(at[c] for c in term)]
            result[tuple(at[c] for c in out)] = result[tuple(at[c] for c in out)] + product
        return result

    spaces = FUNCTIONS[name].__globals__ | {"einsum": contracted, "stack": np.stack, "concatenate": np.concatenate}
    function = type(FUNCTIONS[name])(FUNCTIONS[name].__code__, spaces)
    found: Numbers = function(lifted, point)
    return found


def drawn(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    generator = np.random.default_rng(seed)
    return ({name: generator.integers(-4, 5, shape) for name, shape in SHAPES.items()},
            generator.integers(-4, 5, (3, 2)))


def residue(value: Fraction) -> int:
    return value.numerator * pow(value.denominator, -1, P) % P


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives_are_those_of_polynomials_over_the_rationals(name: str) -> None:
    weights, inputs = drawn(1)
    arrays = {key: FIELD.array(entries) for key, entries in weights.items()}
    x = Element(FIELD, FIELD.array(inputs))
    found = jacobian(lambda w: FUNCTIONS[name](dict(w), x), arrays, FIELD, 3)
    values = np.broadcast_to(FUNCTIONS[name]({k: Element(FIELD, v[None]) for k, v in arrays.items()}, x).data, 3)
    for sample in range(3):
        for i in range(len(found)):
            told = polynomial(name, weights, inputs[sample], np.eye(len(found), dtype=int)[i]).c
            assert (values[sample], found[i, sample]) == (residue(told[0]), residue(told[1]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_too(name: str) -> None:
    weights, inputs = drawn(2)
    arrays = {key: FIELD.array(entries) for key, entries in weights.items()}
    x, factors = Element(FIELD, FIELD.array(inputs)), np.array([2, -3, 5])
    size = len(flat(arrays))
    directions = np.random.default_rng(3).integers(-2, 3, (size, 2))
    found = hessian_product(lambda w: FUNCTIONS[name](dict(w), x), arrays, FIELD, 3, FIELD.array(factors),
                            FIELD.array(directions))
    for k in range(2):
        # The coefficient of e^2 along a direction is half the Hessian's quadratic form.
        along = sum(int(n) * 2 * polynomial(name, weights, point, directions[:, k]).c[2]
                    for n, point in zip(factors, inputs, strict=True))
        assert int((directions[:, k] * found[:, k].astype(object)).sum()) % P == residue(Fraction(along))


def test_floats_and_many_digits_agree_with_residues() -> None:
    weights, inputs = drawn(4)
    exact = jacobian(lambda w: FUNCTIONS["powers"](dict(w), Element(FIELD, FIELD.array(inputs))),
                     {k: FIELD.array(v) for k, v in weights.items()}, FIELD, 3)
    exact = np.where(exact > P // 2, exact - P, exact)
    for field in (Floats(), Multiprecision(50)):
        x = Element(field, field.array(inputs))
        arrays = {k: field.array(v) for k, v in weights.items()}
        found = jacobian(lambda w, x=x: FUNCTIONS["powers"](dict(w), x), arrays, field, 3)
        assert np.array_equal(found.astype(float), exact)


def test_exponentials_and_quotients_of_many_digits() -> None:
    field = Multiprecision(60)
    weights = {"w": field.array([[2, -1], [1, 3]])}
    x = Element(field, field.array([[1, 2]]))
    found = jacobian(lambda w: ((w["w"] @ x).exp().sum().reciprocal() * 7), weights, field, 1).astype(float)[:, 0]
    values = np.exp([0.0, 7.0])
    expected = -7 / values.sum() ** 2 * np.outer(values, [1, 2]).reshape(-1)
    assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("function", "words"), [
    (lambda x: x / x, "it uses division"), (lambda x: 1 / x, "it uses division"), (lambda x: x / 2.5, "division"),
    (lambda x: x**-1, "takes the power -1"), (lambda x: x**0.5, "takes the power 0.5"),
    (lambda x: np.sin(x), "it uses numpy.sin"), (lambda x: x.exp(), "it uses exp"), (lambda x: abs(x), "it uses abs"),
    (lambda x: x if x > 0 else -x, "a comparison"), (lambda x: max(x[0], x[1]), "a comparison"),
    (lambda x: float(x[0]), "it uses float()"), (lambda x: x.relu(), "it uses .relu"),
    (lambda x: x * 0.5, "uses the number 0.5"), (lambda x: x + "a", "which is no array of numbers"),
    (lambda x: einsum("ii->i", x, x), "each with different letters"), (lambda x: einsum("z,z->", x, x), "is taken"),
    (lambda x: x.reshape(1, 1, 2) @ x, "neither matrices nor vectors"),
])
def test_what_is_no_polynomial_is_told_in_one_line(function: Callable[[Element], Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        function(Element(FIELD, FIELD.array([[1, 2]])))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_on_the_left_are_constants() -> None:
    x = Element(FIELD, FIELD.array([[1, 2]]))
    for left, right in ((np.array([3, 4]) * x, x * [3, 4]), (np.array([3, 4]) - x, -(x - [3, 4])),
                        (np.array([[1, 1]]) @ x, x.sum().reshape(1)), (np.negative(x), -x)):
        assert (left.data == right.data).all()


def test_fractions_have_residues() -> None:
    assert FIELD.array([Fraction(1, 2), 3]).tolist() == [(P + 1) // 2, 3]
    assert FIELD.array(-1) == P - 1


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_powers_are_repeated_products(seed: int, exponent: int) -> None:
    entries = FIELD.random(np.random.default_rng(seed), (1, 4))
    assert (Element(FIELD, entries) ** exponent).data.tolist() == [[pow(int(e), exponent, P) for e in entries[0]]]
