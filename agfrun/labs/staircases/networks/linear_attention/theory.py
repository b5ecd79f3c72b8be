"""Closed forms for linear attention on in-context regression (AGF paper, section 5; Zhang et al. 2025).

Against the residual of the modes that are left, a head's utility is U = v tr(K^T Q G^T) with
G = N Sigma^2 on them: modes are learned in the order of their eigenvalues, each to its own optimum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead
from agfrun.labs.staircases.networks.theory import Theory


def maximal_utilities(data: InContextRegression) -> Tensor:
    """Largest utility of a unit head on each mode, N lambda^2 / (3 sqrt 3), (D,).

    U = v tr(K^T Q G^T) <= v |K|_F |Q|_F |G|_op: at best all three parts have norm 1 / sqrt 3 and K, Q are
    of rank one on the mode. Heads of higher rank gain nothing, nor do values and keys that see inputs and
    labels (their two ways to read input times label add up to at most |v| |K|_F |Q|_F |G|_op).
    """
    return data.context_length * data.eigenvalues.square() / (3 * math.sqrt(3))


def loss_levels(data: InContextRegression) -> list[float]:
    """Loss with 0, 1, ..., D modes learned, the largest eigenvalues first."""
    # Summed from the last mode up, so that small levels keep their digits.
    left = torch.cat([data.energies.flip(0).cumsum(0).flip(0), data.energies.new_zeros(1)])
    levels: list[float] = (data.minimal_losses.sum() + left).tolist()
    return levels


def growth_time(norm: float, threshold: float, utility: float) -> float:
    """Least time in which a head of some norm can reach the threshold while no utility exceeds `utility`.

    d|theta|/dt = 3 U |theta|^2 for the utility U of the direction, hence (1 / norm - 1 / threshold) / (3 U);
    the published code drops the second term.
    """
    return max(1 / norm - 1 / threshold, 0.0) / (3 * utility)


def acquisition_norms(data: InContextRegression, width: int, threshold: float = 1.0) -> list[float]:
    """Norms of which one of `width` heads must reach that of mode i before mode i is half learned, D of them.

    Half of A_i takes a head with |v| |K| |Q| >= A_i / (2 width), hence of norm sqrt(3) (A_i / (2 width))^(1/3);
    or the threshold, where that is less.
    """
    # |v| |K| |Q| <= (norm / sqrt 3)^3, with equality for three parts of one norm.
    halves = math.sqrt(3) * (data.optimal_coefficients / (2 * width)).pow(1 / 3)
    return [min(threshold, half) for half in halves.tolist()]


def initial_bounds(data: InContextRegression, width: int, largest_norm: float, threshold: float = 1.0) -> list[float]:
    """Times from the start before which no mode can be half learned, whatever the run does, D of them.

    Before the first mode is learned no utility exceeds that of the largest eigenvalue. That bounds the later
    modes as rigorously, but no better: a head that grows along mode 1 takes its v along, and with it the
    rate of its other modes. Counting mode l's own growth time from the start is therefore not a bound: one
    random initialization out of seven violates it (D = 4, N = 32, five heads).

    Args:
        width: number of heads.
        largest_norm: largest initial norm of a head.
        threshold: norm at which a head counts as active.
    """
    utility = float(maximal_utilities(data)[0])
    return [growth_time(largest_norm, norm, utility) for norm in acquisition_norms(data, width, threshold)]


def incremental_bounds(data: InContextRegression, width: int, times: Sequence[float], norms: Sequence[float],
                       threshold: float = 1.0) -> list[float]:
    """The paper's bounds: mode l is not learned before times[l] + growth time at its own utility.

    Args:
        width: number of heads.
        times: when the mode before was learned, 0 for the first, up to D of them.
        norms: largest norm of a dormant head at these times.
        threshold: norm at which a head counts as active.
    """
    return [time + growth_time(norm, reached, utility) for time, norm, reached, utility in zip(
        times, norms, acquisition_norms(data, width, threshold), maximal_utilities(data).tolist(), strict=False)]


def linear_attention_theory(data: InContextRegression, neurons: Tensor, heads: Sequence[DormantHead] | None,
                            rank: int, threshold: float) -> Theory:
    """Order, levels, bounds, and where the dormant heads can be solved the times.

    Args:
        neurons: the initialization, (H, p), for its norms.
        heads: the same along the eigenvectors; None for the full parameterization, where the two ways of
            reading input times label share the queries and leave no closed form.
        rank: rows of K and Q.
        threshold: norm at which a head counts as active.
    """
    levels = loss_levels(data)
    names = [str(mode + 1) for mode in range(data.dimension)]
    learnable = min(len(neurons) * rank, data.dimension)
    largest = float(torch.linalg.vector_norm(neurons, dim=1).max())
    steps = idealized_steps(data, heads, threshold) if heads is not None else []
    return Theory(
        description="modes in the order of their eigenvalues; dormant heads against the residual of the modes that "
                    "are left, solved by quadrature" if steps else "modes in the order of their eigenvalues",
        levels=tuple(zip(names[:learnable], levels[1:], strict=False)),
        undecided=_ties(data),
        events=tuple(_events(data, steps, names)),
        lower_bounds=dict(zip(names[:learnable], initial_bounds(data, len(neurons), largest, threshold),
                              strict=False)),
        initial_loss=levels[0],
    )


def _ties(data: InContextRegression) -> str:
    """A sentence on equal eigenvalues, or nothing."""
    tied = [" and ".join(str(mode + 1) for mode in range(space.start, space.stop))
            for space in data.eigenspaces if space.stop - space.start > 1]
    return (f"modes {', '.join(tied)} share an eigenvalue: what is learned first among them is a direction of "
            "their space, not one of them") if tied else ""


def _events(data: InContextRegression, steps: Sequence[Step], names: Sequence[str]) -> list[Event]:
    energies, level, events = data.energies.tolist(), loss_levels(data)[0], []
    for step, following in zip(steps, [*(step.time for step in steps[1:]), math.nan], strict=False):
        before, level = level, level - sum(energies[mode] for mode in step.modes)
        events.append(Event("activation", step.time, names[step.modes[0]], step.head, before, level, step.time,
                            following))
    return events


@dataclass(frozen=True)
class Step:
    """One head that becomes active.

    Attributes:
        time: when.
        head: its index.
        modes: what it learns, its strongest mode first; as many as its rank.
        largest_norm: largest norm of the heads that are still dormant then, 0 if there are none.
    """

    time: float
    head: int
    modes: tuple[int, ...]
    largest_norm: float


def idealized_steps(data: InContextRegression, heads: Sequence[DormantHead], threshold: float) -> list[Step]:
    """AGF of the restricted network with cost phases that end at their exact optimum.

    There the residual is zero on the learned modes and untouched on the others, so that every dormant head
    moves as `DormantHead` does. An active head of rank r does not stop at its first mode: its other rows
    grow at the rate v g, in a time of order log(1 / scale) that is nothing on the dormant heads' clock.
    """
    drives = (data.context_length * data.eigenvalues.square()).cpu().double().numpy()
    dormant = dict(enumerate(heads))
    time, steps = 0.0, list[Step]()
    while dormant and drives.any():
        times = {index: head.activation_time(drives, threshold) for index, head in dormant.items()}
        first = min(times, key=lambda index: times[index])
        if not math.isfinite(times[first]):
            break
        time += times[first]
        moved = {index: head.after(times[first], drives) for index, head in dormant.items()}
        dormant = aligned(data, moved, first, drives)
        modes = _learned_modes(dormant.pop(first), drives)
        drives = np.where(np.isin(np.arange(drives.size), modes), 0.0, drives)
        steps.append(Step(time, first, modes, max((head.norm for head in dormant.values()), default=0.0)))
    return steps


def _learned_modes(head: DormantHead, drives: FloatArray) -> tuple[int, ...]:
    """The strongest mode of a head of rank r, then the r - 1 largest of those that are left."""
    # Of mode i the utility has v g_i K_i . Q_i; the size of v is common to all.
    strongest = int(np.argmax(drives * (head.keys * head.queries).sum(0) * np.sign(head.value)))
    others = [int(mode) for mode in np.argsort(-drives, kind="stable") if drives[mode] > 0 and mode != strongest]
    return (strongest, *others[: head.keys.shape[0] - 1])


def aligned(data: InContextRegression, heads: dict[int, DormantHead], first: int,
             drives: FloatArray) -> dict[int, DormantHead]:
    """The heads in eigenvectors that suit one of them where eigenvalues coincide.

    What a head learns in an eigenspace is its own direction there; with it as the first of the unlearned
    eigenvectors the residual stays diagonal.
    """
    for space in data.eigenspaces:
        members = [mode for mode in range(space.start, space.stop) if drives[mode] > 0]
        if len(members) > 1:
            # K + sign(v) Q is the part that grows.
            own = (heads[first].keys + np.sign(heads[first].value) * heads[first].queries)[:, members]
            axes = np.linalg.svd(own)[2].T
            heads = {index: head.turned(members, axes) for index, head in heads.items()}
    return heads
