"""Which measured event a predicted one stands for: by feature, sign and kind, in an alignment over time.

Two sequences are aligned by a dynamic program: pairs keep the order of both, as many events as possible have a
partner, and of all such alignments that with the smallest cost is taken. So an event that one side invents or misses
is left without a partner, in place of shifting all that follow it by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from agfrun.labs.staircases.events.event import Event

Cost = Callable[[Event, Event], float]
# Stands for time zero, which has no logarithm.
EARLIEST = 1e-300


def pair(ours: Sequence[Event], theirs: Sequence[Event], initial_loss: float = 1.0, other_features: bool = True
         ) -> dict[int, int]:
    """Partners of events of one kind: places in `theirs` by places in `ours`.

    Acquisitions and collapses are paired within a feature and sign. So are activations, of the same neuron first;
    then a neuron is paired with itself at another feature (see `agrees`), and what is left with other neurons at
    its feature. Drops of the loss are paired over all features, by their levels and times.

    Args:
        ours, theirs: events of one kind; one without a time has no partner.
        initial_loss: unit of the levels of drops.
        other_features: whether a neuron may be paired with itself at another feature.
    """
    if ours and ours[0].kind == "drop":
        return _within(ours, theirs, {}, lambda event: "", lambda a, b: _drop_cost(a, b, initial_loss))
    pairs: dict[int, int] = {}
    if ours and ours[0].kind == "activation":
        pairs |= _within(ours, theirs, pairs, _neuron_and_feature, _same_sign)
        if other_features:
            pairs |= _within(ours, theirs, pairs, lambda event: event.neuron, _log_distance)
    return pairs | _within(ours, theirs, pairs, lambda event: event.feature, _same_sign)


def agrees(ours: Event, theirs: Event) -> bool:
    """Whether two events are of one feature, with one sign as far as both say."""
    return ours.feature == theirs.feature and ours.sign * theirs.sign >= 0


def _neuron_and_feature(event: Event) -> tuple[int, str] | None:
    return None if event.neuron is None else (event.neuron, event.feature)


def _within(ours: Sequence[Event], theirs: Sequence[Event], taken: dict[int, int], key: Callable[[Event], object],
            cost: Cost) -> dict[int, int]:
    """Partners among those of one key that have none yet; None is no key."""
    used = set(taken.values())
    groups = [_by_key(ours, key, taken), _by_key(theirs, key, used)]
    pairs: dict[int, int] = {}
    for value, mine in groups[0].items():
        others = groups[1].get(value, [])
        aligned = align([ours[place] for place in mine], [theirs[place] for place in others], cost)
        pairs |= {mine[first]: others[second] for first, second in aligned}
    return pairs


def _by_key(events: Sequence[Event], key: Callable[[Event], object], taken: Iterable[int]) -> dict[object, list[int]]:
    """Places of the events that have a time, in its order, by their key."""
    free = [place for place, event in enumerate(events) if place not in taken and math.isfinite(event.time)]
    groups: dict[object, list[int]] = {}
    for place in sorted(free, key=lambda place: events[place].time):
        if key(events[place]) is not None:
            groups.setdefault(key(events[place]), []).append(place)
    return groups


def align(ours: Sequence[Event], theirs: Sequence[Event], cost: Cost) -> list[tuple[int, int]]:
    """The alignment of two sequences in order of time: pairs of places.

    Args:
        cost: of a pair; infinite where the two cannot be one event.
    """
    # Of the first i of ours and the first j of theirs: how many have no partner by now, and what the pairs cost.
    best = [[(0, 0.0)] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    pays = [[cost(one, other) for other in theirs] for one in ours]
    for i in range(1, len(ours) + 1):
        for j in range(1, len(theirs) + 1):
            best[i][j] = min(best[i - 1][j], best[i][j - 1], _joined(best[i - 1][j - 1], pays[i - 1][j - 1]))
    pairs, i, j = [], len(ours), len(theirs)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _joined(before: tuple[int, float], pays: float) -> tuple[int, float]:
    """Most pairs come first, so that a time that is far off is shown as such, and not as an event that is missing."""
    return (before[0] - 1, before[1] + pays) if math.isfinite(pays) else (1, math.inf)


def _log_distance(ours: Event, theirs: Event) -> float:
    return abs(math.log(max(ours.time, EARLIEST)) - math.log(max(theirs.time, EARLIEST)))


def _same_sign(ours: Event, theirs: Event) -> float:
    return _log_distance(ours, theirs) if agrees(ours, theirs) else math.inf


def _drop_cost(ours: Event, theirs: Event, initial_loss: float) -> float:
    """Difference of the levels around the drop, as shares of the initial loss, and of the log times."""
    levels = (ours.loss_before - theirs.loss_before, ours.loss_after - theirs.loss_after)
    known = [abs(level) / initial_loss for level in levels if math.isfinite(level)]
    return sum(known) + _log_distance(ours, theirs)
