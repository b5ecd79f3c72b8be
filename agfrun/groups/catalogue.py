"""Groups by name, and all groups of order up to 24.

Numbers within an order are those of the small groups library (Besche, Eick & O'Brien, A millennium project:
constructing small groups, Internat. J. Algebra Comput. 12 (2002) 623-644): `12:3` is the alternating group A4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial, reduce
from math import factorial

from agfrun.groups.constructions import (
    alternating,
    cyclic,
    cyclic_extension,
    dicyclic,
    dihedral,
    direct_product,
    metacyclic,
    symmetric,
)
from agfrun.groups.tables import IntArray

LARGEST_ORDER = 24
# Of a name: beyond, the weights of the regular representation fill the memory.
MOST_ELEMENTS = 1000

# By order, in the order of the small groups library; primes have the cyclic group alone.
_NAMES = {
    1: "C1", 4: "C4 C2xC2", 6: "D3 C6", 8: "C8 C4xC2 D4 Q8 C2xC2xC2", 9: "C9 C3xC3", 10: "D5 C10",
    12: "Dic3 C12 A4 D6 C6xC2", 14: "D7 C14", 15: "C15",
    16: "C16 C4xC4 C4xC2:C2 C4:C4:3 C8xC2 M16 D8 SD16 Q16 C4xC2xC2 D4xC2 Q8xC2 Pauli C2xC2xC2xC2",
    18: "D9 C18 D3xC3 C3xC3:C2 C6xC3", 20: "Dic5 C20 F20 D10 C10xC2", 21: "F21 C21", 22: "D11 C22",
    24: "C3:C8:2 C24 SL23 Dic6 D3xC4 D12 Dic3xC2 C3:D4 C12xC2 D4xC3 Q8xC3 S4 A4xC2 D6xC2 C6xC2xC2",
}
GROUPS_OF_ORDER = {order: tuple(_NAMES.get(order, f"C{order}").split()) for order in range(1, LARGEST_ORDER + 1)}

_SPECIAL: dict[str, Callable[[], IntArray]] = {
    "M16": lambda: metacyclic(8, 2, 5),
    "SD16": lambda: metacyclic(8, 2, 3),
    # On C4xC2 with generators a at place 2 and b at place 1: a -> a b; a -> a, b -> a^2 b.
    "C4xC2:C2": lambda: cyclic_extension(direct_product(cyclic(4), cyclic(2)), 2, {2: 3, 1: 1}),
    "Pauli": lambda: cyclic_extension(direct_product(cyclic(4), cyclic(2)), 2, {2: 2, 1: 5}),
    "C3xC3:C2": lambda: cyclic_extension(direct_product(cyclic(3), cyclic(3)), 2, {3: 6, 1: 2}),
    # The automorphism of order 3 of the quaternions: i -> j -> ij.
    "SL23": lambda: cyclic_extension(dicyclic(2), 3, {1: 4, 4: 5}),
    # On C6xC2 with generators x at place 2 and y at place 1: x -> x^-1, y -> x^3 y.
    "C3:D4": lambda: cyclic_extension(direct_product(cyclic(6), cyclic(2)), 2, {2: 10, 1: 7}),
}

# Pattern of a factor, its order and its table, by the numbers in the name.
_FAMILIES: tuple[tuple[str, Callable[..., int], Callable[..., IntArray]], ...] = (
    (r"C(\d+)", lambda n: n, cyclic),
    (r"D(\d+)", lambda n: 2 * n, dihedral),
    (r"Dic(\d+)", lambda n: 4 * n, dicyclic),
    (r"Q(\d+)", lambda n: n, lambda n: dicyclic(_divided(n, 4))),
    (r"S(\d+)", lambda n: _factorial(n), symmetric),
    (r"A(\d+)", lambda n: max(1, _factorial(n) // 2), alternating),
    (r"F(\d+)", lambda n: n, lambda n: _frobenius(n)),
    (r"C(\d+):C(\d+):(\d+)", lambda n, m, _: n * m, metacyclic),
)
FORMS = ("C4, D4 (of order 8), S4, A5, Dic3, Q8, F21 (Frobenius), C7:C3:2 (C3 acts on C7 by x -> 2 x), "
         "products such as C4xC2 and C2^3, "
         f"{', '.join(_SPECIAL)}, or ORDER:NUMBER such as 12:3 up to order {LARGEST_ORDER}")


def named_group(name: str) -> IntArray:
    """The table of a group by its name, such as `D4`, `C4xC2`, `C2^3`, `12:3`.

    Raises:
        ValueError: there is no such group, or it has more than `MOST_ELEMENTS` elements; the message completes
            "must be ...".
    """
    numbered = re.fullmatch(r"(\d+):(\d+)", name)
    if numbered:
        order, number = map(int, numbered.groups())
        if not 1 <= number <= len(GROUPS_OF_ORDER.get(order, ())):
            count = f"order {order} has {len(GROUPS_OF_ORDER[order])}" if order in GROUPS_OF_ORDER else (
                f"orders are from 1 to {LARGEST_ORDER}")
            raise ValueError(f"ORDER:NUMBER of a group that there is: {count}")
        name = GROUPS_OF_ORDER[order][number - 1]
    if name in _SPECIAL:
        return _SPECIAL[name]()
    factors = [factor for word in name.split("x") for factor in _power(word)]
    makers = [_maker(factor) for factor in factors]
    size = reduce(lambda total, maker: total * maker[0], makers, 1)
    if size > MOST_ELEMENTS:
        raise ValueError(f"a group of at most {MOST_ELEMENTS} elements; this one has more")
    return reduce(direct_product, [make() for _, make in makers])


def catalogue(largest: int = LARGEST_ORDER) -> Iterator[tuple[str, IntArray]]:
    """Name and table of every group of order up to `largest`, which is at most 24, by order and number."""
    for order in range(1, largest + 1):
        for name in GROUPS_OF_ORDER[order]:
            yield name, named_group(name)


def _power(word: str) -> list[str]:
    base, _, exponent = word.partition("^")
    if not exponent:
        return [word]
    return [base] * int(exponent) if re.fullmatch(r"[1-9]", exponent) else [word]


def _maker(factor: str) -> tuple[int, Callable[[], IntArray]]:
    """Order of a factor, and what makes it."""
    if factor in _SPECIAL:
        return len(_SPECIAL[factor]()), _SPECIAL[factor]
    for pattern, order, make in _FAMILIES:
        found = re.fullmatch(pattern, factor)
        if found:
            numbers = [int(number) for number in found.groups()]
            if 0 not in numbers:
                return order(*numbers), partial(make, *numbers)
    raise ValueError(f"one of {FORMS}")


def _factorial(n: int) -> int:
    return factorial(min(n, 20))


def _divided(n: int, by: int) -> int:
    if n % by or n < 2 * by:
        raise ValueError(f"Q with a multiple of {by} from {2 * by} on, such as Q8 or Q16")
    return n // by


def _frobenius(order: int) -> IntArray:
    """C_p extended by a cyclic group of units modulo the largest prime p of the order, acting without fixed points."""
    p = max((prime for prime in range(2, order + 1) if order % prime == 0 and all(prime % d for d in range(2, prime))),
            default=1)
    m = order // p
    for r in range(2, p):
        if pow(r, m, p) == 1 and all(pow(r, k, p) != 1 for k in range(1, m)):
            return metacyclic(p, m, r)
    raise ValueError("F with an order p m, p prime and m > 1 a divisor of p - 1, such as F20, F21 or F42")
