"""One plateau, labelled: subnetwork, ranks, curvature, utility, and the verdict that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agfrun.labs.neuromanifolds.plateaus import critical
from agfrun.labs.neuromanifolds.plateaus.exact import Counterpart
from agfrun.labs.neuromanifolds.plateaus.table import (
    DEGENERATE_SADDLE,
    MINIMUM,
    PURE,
    SPURIOUS,
    STRICT_SADDLE,
    UNDECIDED,
)
from agfrun.labs.staircases import Architecture

# A loss and a utility below this part of those of the network without neurons are zero.
NOTHING = 1e-10
# A dead neuron with a weight vector above this part of an active one's has that side alive.
ALIVE_SIDE = 0.1


@dataclass(frozen=True)
class Scales:
    """What counts as zero: loss and largest utility where no neuron is active, above the least loss."""

    loss: float
    utility: float

    @classmethod
    def of(cls, architecture: Architecture, seed: int) -> Scales:
        """Those of a network."""
        nothing = torch.zeros(architecture.width, architecture.neuron_dimension, dtype=architecture.dtype)
        everything = critical.Subnetwork(nothing, [], list(range(architecture.width)), 0)
        utility = critical.largest_utility(architecture, everything, nothing[:0], seed)
        return cls(float(architecture.loss(architecture.empty_residual())) - architecture.minimal_loss, utility)


def label(architecture: Architecture, exact: Counterpart | None, state: Tensor, scales: Scales, seed: int
          ) -> dict[str, Any]:
    """The row of plateaus.csv of one state on a plateau, but for its number and times, as plain values.

    Args:
        architecture: in float64 on the CPU.
        exact: its counterpart over finite fields; None: ranks are not compared.
        state: neurons (H, D) on the plateau.
        scales: see `Scales`.
        seed: of the starts from which the largest utility is looked for.
    """
    found, active, gradient = critical.critical_point(architecture, state)
    index, before = found.index(architecture), found.neurons[found.active]
    rank, gap = critical.rank_with_gap(critical.jacobian(architecture, active, index))
    own, dead = critical.curvature(architecture, found, active)
    utility = critical.largest_utility(architecture, found, active, seed)
    loss = float(architecture.loss(architecture.residual(active, index)))
    moved = torch.linalg.vector_norm(active - before).square() + found.neurons[found.dead].square().sum()
    row = {
        "loss": loss, "loss_trained": float(architecture.loss(architecture.residual(state))),
        "active": len(found.active), "dead": len(found.dead), "strict": _strict(architecture, found),
        "redundant": found.redundant, "neurons": " ".join(map(str, found.active)), "moved": float(moved.sqrt()),
        "gradient": gradient, "rank": rank, "gap": gap if math.isfinite(gap) else None,
        "negative": own.negative + dead.negative, "zero": own.zero + dead.zero,
        "positive": own.positive + dead.positive,
        "negative_dead": dead.negative, "zero_dead": dead.zero, "utility": None if math.isnan(utility) else utility,
        **_exact(exact, found, own.zero)}
    return row | {"verdict": verdict_of(row, architecture.minimal_loss, scales), "purity": purity_of(row, scales)}


def _strict(architecture: Architecture, found: critical.Subnetwork) -> int:
    """How many dead neurons had all of their weight vectors small on the plateau, not just one side."""
    if not found.active:
        return len(found.dead)
    sizes = [size for size, _ in architecture.parameter_blocks]
    norms = torch.stack([torch.linalg.vector_norm(part, dim=1) for part in torch.split(found.neurons, sizes, 1)], 1)
    bounds = ALIVE_SIDE * norms[found.active].median(0).values
    return int((norms[found.dead] < bounds).all(1).sum())


def _exact(exact: Counterpart | None, found: critical.Subnetwork, zeros: int) -> dict[str, Any]:
    """Generic ranks of the subnetwork and of the whole, zeros that its symmetries explain, and exposedness."""
    if exact is None:
        return dict.fromkeys(("subnetwork_rank", "generic_rank", "symmetry_zeros", "exposed_dimension", "span"))
    distinct = len(found.active) - found.redundant
    kept = found.active if exact.own_inputs else list(range(distinct))
    own = exact.generic_rank(kept)
    weights = exact.network(exact.neurons).parameters() // exact.neurons * distinct
    ranks = exact.exposure(kept)
    return {"subnetwork_rank": own, "generic_rank": exact.generic_rank(list(range(exact.neurons))),
            "symmetry_zeros": min(zeros, weights - own),
            "exposed_dimension": ranks.exposed_dimension if ranks else None, "span": ranks.span if ranks else None}


def verdict_of(row: dict[str, Any], minimal_loss: float, scales: Scales) -> str:
    """`minimum`, `strict saddle`, `degenerate saddle`; `undecided` where the second order leaves it open.

    With a dead neuron of positive utility the loss falls along it, at the order kappa of its size: that is a negative
    eigenvalue at degree 2 and none above.
    """
    if row["gradient"] > NOTHING * max(1.0, scales.loss):
        return UNDECIDED  # no critical point was reached: training was on its way
    if row["negative"]:
        return STRICT_SADDLE
    if row["loss"] - minimal_loss <= NOTHING * scales.loss:
        return MINIMUM
    if row["utility"] is not None and row["utility"] > NOTHING * scales.utility:
        return DEGENERATE_SADDLE
    # Zeros of the active block that no symmetry explains may hide a fall of higher order.
    explained = row["symmetry_zeros"] is not None and row["zero"] - row["zero_dead"] == row["symmetry_zeros"]
    return MINIMUM if explained else UNDECIDED


def purity_of(row: dict[str, Any], scales: Scales) -> str:
    """`pure` if the function is a critical point of the loss on the space of functions, else `spurious`.

    A dead neuron is free in direction: its functions are tangent to that space, and the loss is critical along all of
    them only if no utility is left. Without dead neurons the full rank makes it pure.
    """
    if row["gradient"] > NOTHING * max(1.0, scales.loss):
        return UNDECIDED
    if row["utility"] is not None:
        return PURE if row["utility"] <= NOTHING * scales.utility else SPURIOUS
    return PURE if row["rank"] == row["generic_rank"] else UNDECIDED
