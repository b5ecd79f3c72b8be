"""All claims about a run, decided as far as the run can decide them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agfrun.labs.staircases.claims import (
    diagonal_linear,
    fully_connected_linear,
    general,
    linear_attention,
    quadratic_modadd,
    two_layer,
)
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from agfrun.labs.staircases.sources import TRAINING
from agfrun.study.claim import Claim, undecided

Check = Callable[[Evidence], list[Claim]]
OF_NETWORK: Mapping[type[Architecture], tuple[Check, ...]] = {
    DiagonalLinear: diagonal_linear.CLAIMS,
    FullyConnectedLinear: fully_connected_linear.CLAIMS,
    LinearAttention: linear_attention.CLAIMS,
    QuadraticModadd: quadratic_modadd.CLAIMS,
    TwoLayer: two_layer.CLAIMS,
}


def check_claims(evidence: Evidence) -> list[Claim]:
    """The claims of every network and of this one. What a run leaves open is undecided, and says why."""
    checks: list[Check] = [*general.CLAIMS, *evidence.architecture.claims]
    checks += [check for network, of_network in OF_NETWORK.items() if isinstance(evidence.architecture, network)
               for check in of_network]
    return _with_the_last_word([claim for check in checks for claim in check(evidence)])


def left_open(claim: Claim, unpredicted: Mapping[str, str]) -> Claim:
    """The claim; undecided where it speaks of a training that is not the paper's.

    Args:
        claim: a claim of a run.
        unpredicted: see `TrainConfig.unpredicted`.
    """
    if not unpredicted or claim.source != TRAINING or claim.holds is None:
        return claim
    return undecided(claim.claim, claim.source, claim.statement, "; ".join(unpredicted.values()), claim.stated,
                     claim.standing)


def _with_the_last_word(claims: Sequence[Claim]) -> list[Claim]:
    """Without what was left open and a later check says something of: a network knows more than what holds of all."""
    last = {(claim.claim, claim.source): place for place, claim in enumerate(claims)}
    return [claim for place, claim in enumerate(claims)
            if claim.holds is not None or last[claim.claim, claim.source] == place]
