"""Evidence that is wrong by a realistic amount: what a claim that speaks of it must fail on.

A doctor takes the evidence of a run and returns it as a run would have left it whose prediction or training was wrong
in one way; the comparison is made anew.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from agfrun.labs.staircases.claims.check import check_claims
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.run.comparison import COMPARED_KINDS, compare, compared_kinds

Doctor = Callable[[Evidence], Evidence]
SOURCES = ("agf", "training")
EVENTS = {"agf": "predicted", "training": "measured"}
OF_FEATURES = ("acquisition", "activation")


def with_events(evidence: Evidence, source: str, events: Sequence[Event]) -> Evidence:
    """The evidence with other events of a source, compared as a run compares them."""
    changed = replace(evidence, **{EVENTS[source]: list(events)})
    theory = evidence.theory
    initial = float(evidence.architecture.loss(evidence.architecture.empty_residual()))
    rows = compare(changed.predicted, changed.measured, theory, list(theory.events) if theory else [], initial,
                   compared_kinds(evidence.architecture.interchangeable_neurons), changed.prediction.source)
    return replace(changed, comparison=rows)


def changing(source: str, change: Callable[[Event], Event], kinds: Sequence[str] = COMPARED_KINDS) -> Doctor:
    """Every event of some kinds changed."""
    return lambda evidence: with_events(evidence, source, [
        change(event) if event.kind in kinds else event for event in getattr(evidence, EVENTS[source])])


def swapped(source: str, kinds: Sequence[str] = OF_FEATURES) -> Doctor:
    """The first two features change places, in events of some kinds."""
    def doctor(evidence: Evidence) -> Evidence:
        events = getattr(evidence, EVENTS[source])
        first, second = list(dict.fromkeys(event.feature for event in events if event.kind == kinds[0]))[:2]
        names = {first: second, second: first}
        return with_events(evidence, source, [
            replace(event, feature=names.get(event.feature, event.feature)) if event.kind in kinds else event
            for event in events])

    return doctor


def slower(source: str, factor: float) -> Doctor:
    """The whole path in `factor` times the time: events, plateaus, rows and states."""
    def doctor(evidence: Evidence) -> Evidence:
        holder: Any = getattr(evidence, "prediction" if source == "agf" else "training")
        path = replace(holder.trajectory, times=factor * holder.trajectory.times)
        if source == "agf":
            rounds = tuple(replace(stage, time=factor * stage.time) for stage in holder.rounds)
            changed = replace(evidence, prediction=replace(holder, trajectory=path, rounds=rounds))
        else:
            recorder = with_states(holder.recorder, lambda state: state, factor)
            changed = replace(evidence, training=replace(holder, trajectory=path, recorder=recorder))
        return changing(source, lambda event: replace(
            event, time=factor * event.time, plateau_start=factor * event.plateau_start,
            plateau_end=factor * event.plateau_end), (*COMPARED_KINDS, "collapse"))(changed)

    return doctor


def with_states(recorder: Recorder, change: Callable[[Tensor], Tensor], factor: float = 1.0) -> Recorder:
    """A recorder whose kept states are others, or kept at other times."""
    changed = Recorder(recorder.architecture, recorder.source, recorder.max_rows)
    changed.states = [(factor * time, change(state)) for time, state in recorder.states]
    return changed


def higher_levels(source: str, factor: float = 1.2) -> Doctor:
    """Every plateau at `factor` times its level; what is left in the end a tenth of the initial loss more."""
    def doctor(evidence: Evidence) -> Evidence:
        initial = float(evidence.architecture.loss(evidence.architecture.empty_residual()))
        raised = changing(source, lambda event: replace(event, loss_after=max(
            factor * event.loss_after, event.loss_after + 0.1 * initial)))(evidence)
        if source == "training":
            return raised
        rounds = tuple(replace(stage, loss=factor * stage.loss) for stage in raised.prediction.rounds)
        return replace(raised, prediction=replace(raised.prediction, rounds=rounds))

    return doctor


def rising_loss(evidence: Evidence) -> Evidence:
    """A step up of a millionth of the initial loss, half-way."""
    path = evidence.training.trajectory
    loss = path.loss.copy()
    loss[len(loss) // 2] = loss[len(loss) // 2 - 1] + 1e-6 * loss[0]
    return replace(evidence, training=replace(evidence.training, trajectory=replace(path, loss=loss)))


def drifted(evidence: Evidence) -> Evidence:
    """One layer of every neuron a percent too large at the end."""
    final = evidence.training.final.clone()
    final[:, : evidence.architecture.parameter_blocks[0][0]] *= 1.01
    return replace(evidence, training=replace(evidence.training, final=final))


def other_states(change: Callable[[Tensor], Tensor]) -> Doctor:
    """Every state that training kept changed."""
    return lambda evidence: replace(evidence, training=replace(
        evidence.training, recorder=with_states(evidence.training.recorder, change)))


def larger_layer(factor: float = 1.2) -> Doctor:
    """One layer of every kept state too large, and with it what the network has learned by then."""
    def doctor(evidence: Evidence) -> Evidence:
        size = evidence.architecture.parameter_blocks[0][0]
        return other_states(lambda state: torch.cat([factor * state[:, :size], state[:, size:]], dim=1))(evidence)

    return doctor


def larger_features(source: str, factor: float = 1.2) -> Doctor:
    """Every feature learned to `factor` times its size."""
    def doctor(evidence: Evidence) -> Evidence:
        name = "prediction" if source == "agf" else "training"
        holder: Any = getattr(evidence, name)
        path = replace(holder.trajectory, features=factor * holder.trajectory.features)
        return replace(evidence, **{name: replace(holder, trajectory=path)})

    return doctor


def other_final(source: str, change: Callable[[Tensor], Tensor]) -> Doctor:
    """Other neurons at the end of a path."""
    name = "prediction" if source == "agf" else "training"

    def doctor(evidence: Evidence) -> Evidence:
        holder: Any = getattr(evidence, name)
        return replace(evidence, **{name: replace(holder, final=change(holder.final))})

    return doctor


def other_network(methods: dict[str, Callable[..., Any]]) -> Doctor:
    """Another network: methods take what the right one returns, and the arguments."""
    def doctor(evidence: Evidence) -> Evidence:
        architecture: Any = copy.copy(evidence.architecture)
        for name, change in methods.items():
            right = getattr(evidence.architecture, name)

            def wrong(*arguments: Any, _right: Any = right, _change: Any = change, **named: Any) -> Any:
                return _change(_right(*arguments, **named))

            setattr(architecture, name, wrong)
        return replace(evidence, architecture=architecture)

    return doctor


def before_bounds(source: str, *bounds: str) -> Doctor:
    """The path as much faster as it takes for every bound of these names to be broken, in steps of a tenth."""
    def doctor(evidence: Evidence) -> Evidence:
        def holding(seen: Evidence) -> bool:
            return any(claim.claim.startswith(bounds) and claim.source == source and claim.holds
                       for claim in check_claims(seen))

        # A bound from the plateau before comes sooner, too, on a faster path, but never by as much.
        factor, faster = 1.0, evidence
        while factor > 0.01 and holding(faster):
            factor *= 0.9
            faster = slower(source, factor)(evidence)
        return faster

    return doctor


def turned(angle: float) -> Callable[[Tensor], Tensor]:
    """What multiplies spectra by a phase."""
    return lambda spectra: spectra * torch.tensor(1j * angle).exp()


def shifted_penalties(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """The Lasso's penalties, a thousandth too large."""
    return {**arrays, "lasso/lambda": 1.001 * arrays["lasso/lambda"]}


def moved_on(state: Tensor) -> Tensor:
    """Modular addition with w moved on by one place, which turns its phases: modulo 4 by a quarter."""
    size = 2 * state.shape[1] // 3
    return torch.cat([state[:, :size], state[:, size:].roll(1, dims=1)], dim=1)
