"""Own-size steps for restricted attention heads (docs/own_size_steps_attention.md).

A dormant head moves against a diagonal residual as `DormantHead` does. The head whose free growth first has
v K_i . Q_i = A_i for a mode i takes it, and there the residual of i steps to zero for the others. On the ray that a
newcomer ends on, all parts of one size s, s' = g s^2 (1 - s^3 / A): half of A is there `HALF_SIZE_DELAY` / (g A^(1/3))
after the step. What the newcomer has of other modes makes residuals off the diagonal until it has relaxed; their
integral J is a kick for the others (`impulse`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.linear_attention.data import EQUAL, InContextRegression
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead
from agfrun.labs.staircases.networks.linear_attention.impulse import kicked, newcomers_impulse
from agfrun.labs.staircases.networks.linear_attention.restless_head import Account, Modes, RestlessHead
from agfrun.labs.staircases.networks.linear_attention.theory import aligned, loss_levels
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction

# 1 - 2^(1/3) + integral from 0 to 2^(-1/3) of x / (1 - x^3): from the step to the half of s^3 = A.
HALF_SIZE_DELAY = 0.14974930785917
# A kick beyond is not of first order, and the cubic flow that applies it may blow up.
LARGEST_KICK = 0.5
# A newcomer that does not stay with its mode is followed from where it has this part of it.
FOLLOWED_FROM = 1e-5
FOLLOWED_ACCURACY = 2e-4
# What of a head is not on the ray of equal parts when it takes its mode.
ACCURACY = 1e-6


@dataclass
class _State:
    """Where the prediction stands.

    Attributes:
        time: now.
        dormant: heads that have learned nothing, by index.
        drives: g on the unlearned modes, 0 on the learned, (D,).
        restless: active heads that will learn or lose more.
        holder: which head holds a mode.
        coupling: the largest so far, see `_Steps._coupling`.
        left_out: the modes whose kick was too large to be applied.
        evaluations: calls of a velocity.
        events: so far, as they come.
    """

    time: float
    dormant: dict[int, DormantHead]
    drives: FloatArray
    restless: dict[int, RestlessHead] = field(default_factory=dict)
    holder: dict[int, int] = field(default_factory=dict)
    coupling: float = 0.0
    left_out: list[int] = field(default_factory=list)
    evaluations: int = 0
    events: list[OwnSizeEvent] = field(default_factory=list)

    def held_by(self, head: int) -> list[int]:
        """The modes that a head holds."""
        return [mode for mode, holder in self.holder.items() if holder == head]


def attention_modes(data: InContextRegression) -> Modes:
    """What the loss is along the eigenvectors."""
    weights = (data.second_moment[:, None] * data.eigenvalues).cpu().double().numpy()
    optimum = data.optimal_coefficients.cpu().double().numpy()
    return Modes(weights, optimum, np.diag(weights) * optimum)


def attention_own_size(data: InContextRegression, heads: Sequence[DormantHead]) -> OwnSizePrediction:
    """The own-size prediction from heads along the eigenvectors."""
    steps = _Steps(data, heads)
    # Norm of a head that holds the largest mode alone, with v, K and Q of one size.
    settled = 3**0.5 * float(steps.modes.optimum.max(initial=0.0)) ** (1 / 3)
    if max(head.norm for head in heads) >= settled / 2:
        return OwnSizePrediction("own-size steps", (), "a head starts at half of the norm at which heads settle, or "
                                 "beyond, and the steps are of heads that start small")
    return steps.prediction()


def estimated_error(coupling: float, own: float, rank: int, followed: bool) -> float:
    """Relative error of a time, given the largest coupling of the drops before and that of its own drop.

    An envelope of what was measured (docs/own_size_steps_attention.md), of the expected orders: what comes before a
    time leaves a kick of second order, and what is left of the first; its own drop moves it by what other heads answer.
    Heads of higher rank also answer along rows that the kick leaves alone.

    Args:
        followed: whether the head was followed on its own, which has an accuracy of its own.
    """
    error = ACCURACY + 0.8 * coupling + 3 * coupling**2 + 0.02 * own
    return min((error if rank == 1 else 5 * error) + (FOLLOWED_ACCURACY if followed else 0.0), 1.0)


class _Steps:
    """The steps, one by one."""

    def __init__(self, data: InContextRegression, heads: Sequence[DormantHead]) -> None:
        self.data, self.modes = data, attention_modes(data)
        self.rank = heads[0].keys.shape[0]
        self.least = loss_levels(data)[-1]
        self.state = _State(0.0, dict(enumerate(heads)), self.modes.drives.copy())

    def prediction(self) -> OwnSizePrediction:
        state = self.state
        while True:
            step, head, mode = self._next_dormant()
            turn, mover = min(((path.transitions[0].step, index) for index, path in state.restless.items()
                               if path.transitions), default=(math.inf, -1))
            if turn <= step and mover >= 0:
                self._advance(max(turn, state.time))
                self._move_on(mover)
            elif math.isfinite(step) and self._stays(mode):
                self._advance(step)
                self._take(head, mode)
            elif math.isfinite(step):
                self._follow(head, mode)
            else:
                break
        return OwnSizePrediction(
            "own-size steps: dormant heads by quadrature, each newcomer's residual off the diagonal as a kick",
            tuple(sorted(state.events, key=lambda event: event.time)), self._void(), self._warning(),
            state.evaluations)

    def _next_dormant(self) -> tuple[float, int, int]:
        """When which dormant head takes which mode."""
        state, best = self.state, (math.inf, -1, -1)
        if not state.drives.any():
            return best
        for index, head in state.dormant.items():
            suited = aligned(self.data, {index: head}, index, state.drives)[index]
            wait, mode = suited.first_output(state.drives, self.modes.optimum)
            best = min(best, (state.time + wait, index, mode))
        return best

    def _advance(self, time: float) -> None:
        state = self.state
        state.dormant = {index: head.after(time - state.time, state.drives) for index, head in state.dormant.items()}
        state.time = time

    def _take(self, index: int, mode: int) -> None:
        """A dormant head takes a mode at the present time, and stays with it."""
        state, modes = self.state, self.modes
        state.dormant = aligned(self.data, state.dormant, index, state.drives)
        head, before = state.dormant.pop(index), self._level()
        state.drives[mode], state.holder[mode] = 0.0, index
        impulse = newcomers_impulse(modes, head, mode, state.drives)
        size = float(modes.optimum[mode])
        half = state.time + HALF_SIZE_DELAY / float(modes.drives[mode] * size ** (1 / 3))
        self._event(OwnSizeEvent(str(mode + 1), half, state.time, size, before, self._level(), neuron=index),
                    impulse, False)
        self._renew(index)

    def _follow(self, index: int, mode: int) -> None:
        """A dormant head begins to take a mode with which it will not stay, or not with it alone."""
        state = self.state
        state.dormant = aligned(self.data, state.dormant, index, state.drives)
        wait = state.dormant[index].first_output(state.drives, FOLLOWED_FROM * self.modes.optimum)[0]
        self._advance(state.time + wait)
        self._watch(index, state.dormant.pop(index))

    def _stays(self, mode: int) -> bool:
        """Whether a head that takes a mode stays with it: no other that is left carries more, and it has one row."""
        others = np.flatnonzero(self.state.drives > 0)
        others = others[others != mode]
        energies = self.modes.energies
        return not others.size or (self.rank == 1 and bool((energies[others] <= energies[mode]).all()))

    def _watch(self, index: int, head: DormantHead, account: Account | None = None) -> None:
        """Follow a head on its own as long as it has something to learn or to lose."""
        state = self.state
        held = state.held_by(index)
        free = [mode for mode in range(len(state.drives)) if state.drives[mode] > 0 or mode in held]
        path = RestlessHead(self.modes, head, held, free, state.time, account)
        state.evaluations += path.evaluations
        if path.transitions:
            state.restless[index] = path

    def _move_on(self, index: int) -> None:
        """A restless head goes through the next drop of its own."""
        state, path = self.state, self.state.restless[index]
        before, drop = self._level(), path.drop
        energies = self.modes.energies
        after = before + float(sum(-energies[one.mode] if one.learned else energies[one.mode] for one in drop))
        for transition in drop:
            path.tell(transition)
            self._advance(max(transition.step, state.time))
            mode = transition.mode
            if transition.learned:
                state.drives[mode], state.holder[mode] = 0.0, index
            else:
                state.drives[mode] = self.modes.drives[mode]
                state.holder.pop(mode, None)
            size = float(self.modes.optimum[mode]) if transition.learned else 0.0
            self._event(OwnSizeEvent(str(mode + 1), transition.time, state.time, size, before, after, neuron=index),
                        transition.impulse, True)
            self._renew(index)

    def _renew(self, mover: int) -> None:
        """A mode has been taken or left: the other restless heads go on from here without it, or with it."""
        state = self.state
        for index, path in list(state.restless.items()):
            if index != mover:
                del state.restless[index]
                self._watch(index, *path.at(state.time))

    def _event(self, event: OwnSizeEvent, impulse: FloatArray, followed: bool) -> None:
        """Note an event, and kick the dormant heads with the impulse of its drop, if that is a small one."""
        state, mode = self.state, int(event.feature) - 1
        kick, coupling = self._coupling(mode, impulse)
        error = estimated_error(state.coupling, coupling, self.rank, followed)
        state.events.append(replace(event, error=error))
        state.coupling = max(state.coupling, coupling)
        if kick <= LARGEST_KICK:
            state.dormant = {index: kicked(dormant, impulse) for index, dormant in state.dormant.items()}
        else:
            state.left_out.append(mode)

    def _coupling(self, mode: int, impulse: FloatArray) -> tuple[float, float]:
        """What the steps leave out is of second order in these two numbers: the kick, and the larger of it and another.

        The kick is the largest entry of J times the largest norm of a dormant head. The other compares what dormant
        heads have of the mode with what its holder has: |v| |K_i| over s_i^2, the leverage with which they turn it.
        """
        kick = leverage = 0.0
        square = float(self.modes.optimum[mode]) ** (2 / 3)
        for head in self.state.dormant.values():
            kick = max(kick, float(np.abs(impulse).max()) * head.norm)
            part = max(float(np.linalg.norm(rows[:, mode])) for rows in (head.keys, head.queries))
            leverage = max(leverage, head.scale**2 * abs(head.value) * part / square)
        return kick, max(kick, leverage)

    def _level(self) -> float:
        return self.least + float(self.modes.energies[self.state.drives > 0].sum())

    def _void(self) -> str:
        """Of a head that holds a mode though another, which carries more, is left for ever."""
        state, energies = self.state, self.modes.energies
        left = np.flatnonzero(state.drives > 0)
        for mode, head in sorted(state.holder.items()):
            more = [other for other in left if energies[other] > energies[mode] * (1 + EQUAL)]
            if more and self.rank == 1:
                return (f"head {head} holds mode {mode + 1} while the stronger mode {more[0] + 1} is left and no other "
                        "head takes it: when it turns to it depends on what it still has of it, which is not followed")
        return ""

    def _warning(self) -> str:
        left_out = self.state.left_out
        return (f"at the step of mode {left_out[0] + 1} the newcomer kicks the other heads by more than "
                f"{LARGEST_KICK:g} of their size, which is left out: times after it are rough") if left_out else ""
