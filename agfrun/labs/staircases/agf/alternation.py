"""Alternating Gradient Flows for any sum of homogeneous neurons (AGF paper, section 2, algorithm 1).

Dormant neurons maximize their utility in parallel, from the same initialization as training. The first
to reach the threshold becomes active; the active neurons then minimize the cost. Neurons that collapse
to the origin become dormant again: such a neuron re-enters with the state it had when it activated,
on the threshold and pointing as it did. Its utility is then negative, so that it is first driven
down towards the origin and may come back in another direction. For the diagonal network this is the
exact rule of Pesme & Flammarion (2023).

Three idealizations separate AGF from gradient flow, and each can be switched off: cost phases take no
time (with `cost_phase="decoupled"` dormant neurons go on while the active ones move), dormant neurons are
blind to one another (`dormant_interaction=True`), and a neuron counts as dormant up to norm 1
(`threshold`). Without the first this is the decoupled flow: the training flow of the active neurons, and dormant
ones that they drive and that do not answer. It is training itself once the threshold is below the initial norms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from agfrun.labs.staircases.agf.active import CostRules, CriticalPoint, minimize_cost
from agfrun.labs.staircases.agf.dormant import LARGEST_STEP_COUNT, DormantFlow, DormantNeurons
from agfrun.labs.staircases.agf.field import FrozenField, MovingField, ResidualAt, UtilityField
from agfrun.labs.staircases.agf.prediction import Prediction, Round
from agfrun.labs.staircases.agf.record import PathRecord
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.gradient_flow import follow_flow
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, Segment
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility
from agfrun.study.errors import DivergenceError

LARGEST_TIME_RATIO = 1e5
COST_STEP_TOLERANCE = 1e-5
# Of a step of the dormant neurons where only the time of the next activation is asked for.
FORESIGHT_TOLERANCE = 1e-3
# That takes some tens of steps where a neuron activates soon; who takes more does not.
FORESIGHT_STEPS = 200
# Between rows of a decoupled path the loss changes by no more than this part of the initial one, as far as so many
# halvings of a step go.
LARGEST_CHANGE = 0.01
MOST_HALVINGS = 12


@dataclass(frozen=True)
class AlternationOptions:
    """Settings of the algorithm.

    Attributes:
        threshold: norm at which a dormant neuron activates.
        cost_phase: `instantaneous` (the paper's limit) or `decoupled`.
        dormant_interaction: whether dormant neurons see one another's output.
        dormant_clock: `carried` (the published algorithm: what a dormant neuron has accumulated stays when
            another activates) or `restarted` (its norm, not its direction, returns to the initial one).
        tolerance: error of a step of the dormant neurons.
        cost_tolerance: when a cost phase is stationary, see `minimize_cost`.
        loss_tolerance: stop once no more than this fraction of what there was to learn is left.
        max_events: stop after so many activations.
        max_time: stop at this time; None is 1e5 times the shortest time in which any neuron could
            activate if it grew at the largest rate its initial utility gradient allows.
    """

    threshold: float = 1.0
    cost_phase: str = "instantaneous"
    dormant_interaction: bool = False
    dormant_clock: str = "carried"
    tolerance: float = 1e-8
    cost_tolerance: float = 1e-2
    loss_tolerance: float = 1e-4
    max_events: int = 200
    max_time: float | None = None


@dataclass(frozen=True)
class _Moment:
    """A moment of a decoupled path: its time, the dormant neurons and the loss of all."""

    time: float
    dormant: DormantNeurons
    loss: float


@dataclass
class Alternation:
    """One run of the algorithm from neurons `initial * exp(log_factor)`, (H, D); call `predict` once."""

    architecture: Architecture
    initial: Tensor
    options: AlternationOptions
    log_factor: float = 0.0
    statistics: IntegrationStatistics = field(default_factory=IntegrationStatistics)

    def __post_init__(self) -> None:
        everyone = torch.arange(self.initial.shape[0], device=self.initial.device)
        self.time = 0.0
        self.dormant = DormantNeurons.of(self.initial, everyone, self.log_factor)
        self.active = self.initial[:0]
        self.active_index = everyone[:0]
        self.activation_states: dict[int, DormantNeurons] = {}
        # Half-way to the threshold on a log scale: where training's collapses are counted, too.
        self.collapse_norms = (0.5 * (self.dormant.log_norms + math.log(self.options.threshold))).exp()
        self.initial_loss = float(self.architecture.loss(self.architecture.empty_residual()))
        self.loss = self.initial_loss
        self.max_time = self.options.max_time or LARGEST_TIME_RATIO * shortest_activation_time(
            self.architecture, self.initial, self.options.threshold, self.log_factor)
        self.path = PathRecord(self.architecture, self.initial,
                               only_active=self.options.cost_phase == "instantaneous")
        self.dormant_flow = DormantFlow(self.architecture, self.options.threshold, self.options.tolerance,
                                        self.statistics, self._observe_dormant)

    def predict(self) -> Prediction:
        """Alternate until a stop rule holds, and say which; numerics that give up end what was predicted so far."""
        rounds: list[Round] = []
        self._record()
        try:
            reason = self._alternate(rounds)
        except DivergenceError as error:
            reason = f"it gave up after {len(rounds)} activations: {error}"
        return Prediction(self.path.trajectory(), self.path.events(), tuple(rounds), self._neurons(), "generic",
                          self.options.cost_phase, self._learned(), reason, self.statistics)

    def _alternate(self, rounds: list[Round]) -> str:
        """Append rounds until a stop rule holds; which."""
        reason, at_other_cut = "", math.nan
        while not reason:
            row = self._utility_phase()
            if row is None:
                return self._reason_without_activation()
            times = [self.time] if math.isnan(at_other_cut) else sorted([self.time, at_other_cut])
            neuron, feature, loss_before = self._activate(row)
            point = self._cost_phase()
            rounds.append(Round(
                self.time, neuron, feature, point.collapsed, point.loss, point.gradient_norm, point.remaining,
                point.smallest_curvature, point.slowest_rate, point.reason, times[0], times[-1]))
            at_other_cut = self._activation_at_other_cut(point)
            self.path.activated(self.time, neuron, feature, loss_before, point.loss, point.collapsed)
            reason = self._reason_to_stop(len(rounds))
        return reason

    def _utility_phase(self) -> int | None:
        """Advance to the next activation; the row of the neuron concerned, or None."""
        # Without active neurons nothing moves the residual, and both kinds of phase are alike.
        if self.options.cost_phase == "decoupled" and self.active.shape[0] > 0:
            return self._decoupled_phase()
        self.drive = self._fixed_drive(self.active, self.active_index)
        self.dormant, self.time, row = self.dormant_flow.advance(self.dormant, self.drive, self.time, self.max_time)
        return row

    def _fixed_drive(self, active: Tensor, index: Tensor) -> UtilityField | ResidualAt:
        """What drives dormant neurons while the active ones stay as they are."""
        if self.options.dormant_interaction:
            return lambda _, dormant: self._residual_of_all(active, index, dormant)
        utility = self.architecture.frozen_utility(active)
        if utility is not None:
            return FrozenField(utility, active)
        residual = self.architecture.residual(active, index)
        return lambda _, __: residual

    def _decoupled_phase(self) -> int | None:
        """Active neurons follow the cost's flow while the dormant ones see the moving residual."""
        coordinates = self.architecture.flow_coordinates(self.active, self.active_index)
        y = coordinates.encode(self.active)
        index = self.active_index
        utility = None if self.options.dormant_interaction else self.architecture.frozen_utility(self.active)
        for segment in follow_flow(coordinates, y, self.time, self.max_time, COST_STEP_TOLERANCE, self.statistics):
            row = self._decoupled_step(segment, coordinates, utility)
            if row is not None:
                return row
            if self._learned():
                return None
            if bool((torch.linalg.vector_norm(self.active, dim=1) < self.collapse_norms[index]).any()):
                # The coordinates are those of the active neurons: with fewer of them the flow starts anew.
                self._release_collapsed()
                return self._utility_phase()
        return None

    def _decoupled_step(self, segment: Segment, coordinates: FlowCoordinates, utility: FrozenUtility | None
                        ) -> int | None:
        """Dormant neurons over one step of the active ones; the row of one that activates."""
        def active_at(time: float) -> Tensor:
            return coordinates.decode(segment.at(time))

        drive, dormant, start = self._moving_drive(segment, active_at, utility), self.dormant, self.time
        self.dormant, self.time, row = self.dormant_flow.advance(dormant, drive, start, segment.end)
        self.active = active_at(self.time)
        self.loss = float(self.architecture.loss(self.architecture.residual(self.active, self.active_index)))
        self._record_since(drive, active_at, dormant, start)
        return row

    def _moving_drive(self, segment: Segment, active_at: Callable[[float], Tensor],
                      utility: FrozenUtility | None) -> UtilityField | ResidualAt:
        """What drives dormant neurons during one step of the active ones."""
        index = self.active_index
        if utility is not None:
            return MovingField(utility, active_at, segment.start, segment.end)
        if self.options.dormant_interaction:
            return lambda time, dormant: self._residual_of_all(active_at(time), index, dormant)
        return lambda time, _: self.architecture.residual(active_at(time), index)

    def _residual_of_all(self, active: Tensor, index: Tensor, dormant: Tensor) -> Any:
        """Residual of active and dormant neurons together."""
        return self.architecture.residual(torch.cat([active, dormant]), torch.cat([index, self.dormant.index]))

    def _activate(self, row: int) -> tuple[int, str, float]:
        """Move a dormant neuron to the active set; its index, its feature and the loss before."""
        joining = DormantNeurons(self.dormant.directions[row][None], self.dormant.log_norms[row][None],
                                 self.dormant.index[row][None])
        neuron = int(joining.index[0])
        self.activation_states[neuron] = joining
        self.dormant = self.dormant.without(row)
        if self.options.dormant_clock == "restarted":
            start = DormantNeurons.of(self.initial, torch.arange(len(self.initial)), self.log_factor).log_norms
            self.dormant = replace(self.dormant, log_norms=start[self.dormant.index])
        self.active = torch.cat([self.active, joining.neurons()])
        self.active_index = torch.cat([self.active_index, joining.index])
        self._record()
        strengths = self.architecture.neuron_feature_strengths(self._neurons())[neuron]
        return neuron, self.architecture.feature_names[int(strengths.argmax())], self.loss

    def _cost_phase(self) -> CriticalPoint:
        """Minimize the cost now (instantaneous), or leave that to the coming decoupled phase."""
        if self.options.cost_phase == "decoupled":
            loss, gradient = self.architecture.loss_and_gradient(self.active, self.active_index)
            self.loss = float(loss)
            return CriticalPoint(self.active, self.active_index, self.loss, float(torch.linalg.vector_norm(gradient)),
                                 math.nan, math.nan, math.nan, 0.0, (), "active neurons move with the clock")
        rules = CostRules(self.initial_loss, self.options.cost_tolerance, COST_STEP_TOLERANCE,
                          lambda active, index: self._next_activation(active, index) - self.time)
        point = minimize_cost(self.architecture, self.active, self.active_index,
                              self.collapse_norms[self.active_index], self.loss, rules, self.statistics)
        self.active, self.active_index, self.loss = point.neurons, point.index, point.loss
        for neuron in point.collapsed:
            self.dormant = self.dormant.joined(self._reentry(neuron))
        self._record()
        return point

    def _activation_at_other_cut(self, point: CriticalPoint) -> float:
        """When the next neuron would activate after the valley's other cut; NaN where there was no valley."""
        if point.other_cut is None or self._learned():
            return math.nan
        return self._next_activation(point.other_cut.neurons, point.index)

    def _next_activation(self, active: Tensor, index: Tensor) -> float:
        """When the next neuron would activate if the active ones stayed as these; infinite if none is seen to."""
        flow = DormantFlow(self.architecture, self.options.threshold, max(self.options.tolerance, FORESIGHT_TOLERANCE),
                           self.statistics, lambda *_: None, FORESIGHT_STEPS)
        try:
            _, time, row = flow.advance(self.dormant, self._fixed_drive(active, index), self.time, self.max_time)
        except DivergenceError:  # which the utility phase itself will report, should it come to that
            return math.inf
        return math.inf if row is None else time

    def _reentry(self, neuron: int) -> DormantNeurons:
        """State with which a collapsed neuron becomes dormant again.

        Its state at activation, unless the new residual would fire it again at once; then its initial
        state, because nothing is left of the drive that had aligned it.
        """
        state = self.activation_states[neuron]
        residual = self.architecture.residual(self.active, self.active_index)
        if float(self.architecture.utility(state.directions, residual, state.index)[0]) < 0:
            return state
        return DormantNeurons.of(self.initial[neuron][None], state.index, self.log_factor)

    def _release_collapsed(self) -> None:
        """Decoupled flow: neurons below the collapse norm become dormant as they are."""
        fallen = torch.linalg.vector_norm(self.active, dim=1) < self.collapse_norms[self.active_index]
        self.dormant = self.dormant.joined(DormantNeurons.of(self.active[fallen], self.active_index[fallen]))
        self.path.collapsed(self.time, self.active_index[fallen].tolist(), self._neurons(), self.loss)
        self.active, self.active_index = self.active[~fallen], self.active_index[~fallen]

    def _neurons(self, dormant: DormantNeurons | None = None, active: Tensor | None = None) -> Tensor:
        """All neurons in order, (H, D): as they are now, or these."""
        dormant = dormant or self.dormant
        neurons = torch.empty_like(self.initial)
        neurons[dormant.index] = dormant.neurons()
        neurons[self.active_index] = self.active if active is None else active
        return neurons

    def _loss_of(self, neurons: Tensor) -> float:
        return float(self.architecture.loss(self.architecture.residual(neurons)))

    def _record(self) -> None:
        """Add a row to the path.

        With instantaneous cost phases the loss is that of the active neurons, a staircase. In the decoupled flow it is
        that of all neurons, which is continuous.
        """
        neurons = self._neurons()
        loss = self._loss_of(neurons) if self.options.cost_phase == "decoupled" else self.loss
        self._add_row(self.time, neurons, loss, self.dormant)

    def _add_row(self, time: float, neurons: Tensor, loss: float, dormant: DormantNeurons) -> None:
        log_factors = None
        if self.log_factor:
            # Their norms may be below the smallest float, and are recorded apart.
            neurons[dormant.index] = dormant.directions
            log_factors = torch.zeros_like(neurons[:, 0]).index_put((dormant.index,), dormant.log_norms)
        self.path.record(time, neurons, loss, self.active_index, log_factors)

    def _record_since(self, drive: UtilityField | ResidualAt, active_at: Callable[[float], Tensor],
                      dormant: DormantNeurons, start: float) -> None:
        """Rows of a decoupled path since a moment at which it has one, so that it shows how the loss fell."""
        neurons = self._neurons()
        loss = self._loss_of(neurons)
        moment = _Moment(start, dormant, self.path.losses[-1])
        self._fill(drive, active_at, moment, _Moment(self.time, self.dormant, loss), MOST_HALVINGS)
        self._add_row(self.time, neurons, loss, self.dormant)

    def _fill(self, drive: UtilityField | ResidualAt, active_at: Callable[[float], Tensor], start: _Moment,
              end: _Moment, halvings: int) -> None:
        """Rows between two moments, until the loss changes little from one to the next."""
        if halvings == 0 or abs(end.loss - start.loss) <= LARGEST_CHANGE * self.initial_loss:
            return
        time = 0.5 * (start.time + end.time)
        flow = DormantFlow(self.architecture, math.inf, self.options.tolerance, self.statistics, lambda *_: None)
        # A half of a step that was accepted: no search for a first one.
        flow.step = time - start.time
        dormant = flow.advance(start.dormant, drive, start.time, time)[0]
        neurons = self._neurons(dormant, active_at(time))
        middle = _Moment(time, dormant, self._loss_of(neurons))
        self._fill(drive, active_at, start, middle, halvings - 1)
        self._add_row(time, neurons, middle.loss, dormant)
        self._fill(drive, active_at, middle, end, halvings - 1)

    def _observe_dormant(self, time: float, dormant: DormantNeurons) -> None:
        """Rows within a utility phase; a decoupled phase has rows of its own, at the active neurons' steps."""
        decoupled, before, start = self.options.cost_phase == "decoupled", self.dormant, self.time
        if decoupled and self.active.shape[0] > 0:
            return
        self.dormant, self.time = dormant, time
        if decoupled:
            self._record_since(self.drive, lambda _: self.active, before, start)
        else:
            self._record()

    def _learned(self) -> bool:
        return self.architecture.learned(self.loss, self.initial_loss, self.options.loss_tolerance)

    def _reason_to_stop(self, rounds: int) -> str:
        if self._learned():
            return f"all but {self.options.loss_tolerance:g} of the loss was learned"
        if self.dormant.index.shape[0] == 0 and self.options.cost_phase == "instantaneous":
            return "no dormant neuron is left"
        if rounds >= self.options.max_events:
            return f"agf.max_events={self.options.max_events} activations were reached"
        return ""

    def _reason_without_activation(self) -> str:
        if self._learned():
            return self._reason_to_stop(0)
        if self.dormant.index.shape[0] == 0:
            return "no dormant neuron is left"
        if self.dormant_flow.exhausted:
            return f"no dormant neuron activated within {LARGEST_STEP_COUNT} steps, up to time {self.time:.6g}"
        return f"no dormant neuron activates before time {self.max_time:.6g}"


def threshold_distance(log_norms: Tensor, threshold: float, homogeneity_degree: int) -> Tensor:
    """Accumulated utility that takes a neuron from its norm to the threshold (AGF, section 1.3)."""
    if homogeneity_degree == 2:
        return math.log(threshold) - log_norms
    # dn/dt = kappa U n^(kappa - 1) for the norm n: kappa U dt is n^(1 - kappa) dn.
    power = 2 - homogeneity_degree
    return ((power * log_norms).exp() - threshold**power) / (homogeneity_degree - 2)


def shortest_activation_time(
    architecture: Architecture, neurons: Tensor, threshold: float, log_factor: float = 0.0
) -> float:
    """Time in which the fastest neuron could activate if its growth rate stayed at |grad U|; the problem's unit.

    Args:
        neurons: initialization over exp(log_factor), (H, D).
    """
    dormant = DormantNeurons.of(neurons, torch.arange(neurons.shape[0], device=neurons.device), log_factor)
    gradient = architecture.utility_gradient(dormant.directions, architecture.empty_residual(), dormant.index)
    # No direction grows faster: kappa U = <d, grad U> <= |grad U|.
    rates = torch.linalg.vector_norm(gradient, dim=1)
    times = threshold_distance(dormant.log_norms, threshold, architecture.homogeneity_degree) / rates
    usable = times[torch.isfinite(times) & (times > 0)]
    return float(usable.min()) if len(usable) else 1.0
