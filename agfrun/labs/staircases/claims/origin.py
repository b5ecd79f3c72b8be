"""Where what theory says of a network is stated: the claims about every network say so by this."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.group_composition.network import GroupComposition
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer

OURS = "agfrun"


def paper(place: str) -> str:
    """A place in the AGF paper."""
    return f"AGF paper, {place}"


@dataclass(frozen=True)
class Origin:
    """Where claims about a network come from; empty where nobody has stated them.

    Attributes:
        theory, standing: where order and levels are stated, and as what.
        experiment: where the paper compares AGF with training.
        bounds: where it is stated that no feature is acquired before the bound from the largest initial norm; None
            where the bounds are about dormant neurons alone, and nothing of the kind is claimed.
    """

    theory: str = ""
    standing: str = ""
    experiment: str = ""
    bounds: str | None = ""


def origin_of(network: Architecture) -> Origin:
    """The origin of a network's theory; that of a network from outside is not known."""
    for kind, origin in (
        (DiagonalLinear, Origin(paper("theorem 3.1"), "theorem", paper("section 3"))),
        (FullyConnectedLinear, Origin(paper("conjecture 4.1"), "conjecture", paper("section 4"))),
        (LinearAttention, Origin(paper("section 5"), "theorem", paper("section 5"), OURS)),
        (QuadraticModadd, Origin(paper("section 6"), "theorem", paper("section 6"), None)),
        (GroupComposition, Origin("Sequential Group Composition, theorem 4.1", "theorem", "", None)),
        (TwoLayer, Origin(OURS, "ours", paper("discussion"))),
    ):
        if isinstance(network, kind):
            return origin if _is_the_paper_s(network) else replace(origin, theory=OURS, standing="ours")
    return Origin()


def _is_the_paper_s(network: Architecture) -> bool:
    """Whether it is the network of the paper, not one of more layers, one sign or heads of higher rank."""
    if isinstance(network, DiagonalLinear):
        return network.depth == 2 and network.signed
    return not isinstance(network, LinearAttention) or network.head_dim == 1
