"""What all studies of this laboratory share: their settings, the engine that they need, and the dimension."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import NOT_INSTALLED, PRIMES
from agfrun.labs.neuromanifolds.config import NetworkConfig, NeuromanifoldConfig
from agfrun.labs.neuromanifolds.counts import ModularRank
from agfrun.labs.neuromanifolds.evaluation import number_of_outputs
from agfrun.labs.neuromanifolds.measurement import Measurement, measure
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.study import Study

if TYPE_CHECKING:
    from agfrun.study.bench import Bench

KEY_NAMES = {"model.widths": "widths", "model.degree": "degree of the activation", "model.filters": "filter sizes",
             "model.ranks": "ranks"}
# Keys that only change how large a network is: runs that differ in these alone share a process.
TOGETHER_KEYS = ("seed", "model.widths", "model.degree", "model.filters", "model.ranks")


@dataclass
class ExactStudy(Study):
    """A study of one network in exact arithmetic."""

    settings: ClassVar[type] = NeuromanifoldConfig
    key_names: ClassVar[Mapping[str, str]] = KEY_NAMES
    together_keys = TOGETHER_KEYS

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        if find_spec("flint") is None:
            raise ConfigError("study", self.name, NOT_INSTALLED)
        require("model.name", config.model.name, config.model.polynomial,
                f"a polynomial network with study={self.name}: it computes modulo primes (study=dimension takes any)")
        check_function(config.model)

    def dimension(self, config: NeuromanifoldConfig, bench: Bench) -> Measurement:
        """The dimension of the network's functions, by ranks modulo two primes."""
        with bench.clock.stage("dimension"):
            return measure(config.model, config.seed, at_least=2, step=partial(remembered_rank, bench))


def remembered_rank(bench: Bench, prime: int, take: Callable[[], ModularRank], of: str = "") -> ModularRank:
    """`measurement.Step`: a rank modulo a prime, taken once even if the run is interrupted; `of` names the network."""
    return ModularRank(**bench.remember(f"{of}rank modulo {prime}", lambda: dataclasses.asdict(take())))


def check_function(network: NetworkConfig) -> None:
    """Evaluate a network once, so that one whose function is none is refused before anything is written.

    Raises:
        UsageError: it is no polynomial, or returns no vector.
    """
    number_of_outputs(network, PrimeField(min(PRIMES)))


def flint_version() -> str:
    """Of python-flint, for the manifest."""
    import flint  # an extra that `check` asks for

    return str(flint.__version__)
