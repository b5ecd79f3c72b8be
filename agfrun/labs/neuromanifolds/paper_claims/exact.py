"""What the claims of this laboratory measure: dimensions and strata, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.geometry.fibres import Fibre, generic_fibre
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks, measure_strata
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.study.paper_claim import Finding, Paper, small

Found = TypeVar("Found")

INTEGERS = "integers, measured without rounding"
SUBJECTS = ("monomial_mlp", "polynomial_mlp", "polynomial_cnn", "two_layer_linear", "lightning_attention",
            "softmax_attention")
MONOMIAL, POLYNOMIAL, CNN, LINEAR, LIGHTNING, SOFTMAX = SUBJECTS


class Exact:
    """Measures each network once, from the first of the seeds: integers do not depend on it."""

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seed = seeds[0]
        self._dimensions: dict[str, int] = {}
        self._strata: dict[tuple[str, str], list[tuple[Stratum, StratumRanks]]] = {}
        self._once: dict[str, Any] = {}

    def dimension(self, network: NetworkConfig) -> int:
        """Of the network's functions, by two primes."""
        if repr(network) not in self._dimensions:
            self._dimensions[repr(network)] = measure(network, self.seed, at_least=2).dimension
        return self._dimensions[repr(network)]

    def strata(self, network: NetworkConfig, what: str) -> list[tuple[Stratum, StratumRanks]]:
        """All strata with their integers; `what` is `union` or `exposed`."""
        key = (repr(network), what)
        if key not in self._strata:
            self._strata[key] = measure_strata(network, self.seed, what)
        return self._strata[key]

    def fibre(self, network: NetworkConfig) -> Fibre:
        """The generic fibre and all symmetries."""
        return generic_fibre(network, self.dimension(network), self.seed)

    def once(self, key: str, task: Callable[[], Found]) -> Found:
        """What a task returns, or returned before under its key: what several claims look at."""
        if key not in self._once:
            self._once[key] = task()
        found: Found = self._once[key]
        return found

    def compared(self, expected: Iterable[tuple[NetworkConfig, int | None]]) -> Finding:
        """Whether every network has the dimension that is expected of it; one without an expectation is a miss."""
        rows = list(expected)
        worst = max(abs(self.dimension(network) - told) if told is not None else 10**6 for network, told in rows)
        return small(float(worst), 0.5, f"{INTEGERS}; the worst of {len(rows)} networks", str(self.seed))

    def all_true(self, cases: Mapping[str, bool], words: str) -> Finding:
        """Whether something holds in all cases; the first in which it does not is named."""
        failing = [name for name, holds in cases.items() if not holds]
        more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
        measured = f"not {failing[0]}{more}" if failing else "all"
        return Finding("all", measured, None, f"{words}, in {len(cases)} cases; {INTEGERS}", not failing,
                       str(self.seed), float(len(failing)) + 0.5)


def paper(name: str) -> Paper[Exact]:
    """A paper of this laboratory."""
    return Paper("neuromanifolds", name, SUBJECTS, Exact)


RAZOR = paper("Shahverdi, Marchetti & Kohn 2025, arXiv:2505.11846")
CONVOLUTIONAL = paper("Shahverdi, Marchetti & Kohn 2024, arXiv:2410.00722")
INVITATION = paper("Marchetti, Shahverdi, Mereta, Trager & Kohn 2025, arXiv:2501.18915")
ATTENTION = paper("Henry, Marchetti & Kohn 2024, arXiv:2408.17221")

