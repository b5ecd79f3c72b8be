"""An active head on its own, followed where it does not stay with the mode that it has learned.

A head of rank r goes on to r modes, and one that has learned a weaker mode before a stronger one turns to that: its
own cost has a saddle there. Without the other heads it moves against W = C * (diag A - v K^T Q), C_bj = Q_b lambda_j,
on the modes that no other head holds:

    v' = <W, K^T Q>,    K' = v Q W^T,    Q' = v K W.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead, split, velocity

# A mode is settled once no more than this part of it is missing, or there.
SETTLED = 1e-3
# A mode that has never been there to this part before it is lost again has only been passed by.
NEARLY_ALL = 0.9
# Growth by exp of this much, from whatever the head still has of a mode: beyond, the head counts as having none.
LONGEST_GROWTH = 200.0
ACCURACY = {"rtol": 1e-5, "atol": 1e-12}


@dataclass(frozen=True)
class Modes:
    """The loss of restricted heads along the eigenvectors: 1/2 sum_bj C_bj (A_b delta_bj - M_bj)^2 and a constant.

    Attributes:
        weights: C, (D, D).
        optimum: A, (D,).
        drives: g = C_ii A_i, (D,), all modes unlearned.
    """

    weights: FloatArray
    optimum: FloatArray
    drives: FloatArray

    @property
    def energies(self) -> FloatArray:
        """Loss that each mode carries while it is unlearned, g A / 2, (D,)."""
        return 0.5 * self.drives * self.optimum


@dataclass(frozen=True)
class Transition:
    """A mode that a restless head learns or loses.

    Attributes:
        mode: which.
        learned: whether it is learned.
        time: when half of it is there.
        step: when a residual that steps would have had the same integral.
        settled: when all of it is there, or gone.
        integral: integral of the head's residual until then, (D, D).
        impulse: what of it off the diagonal has come since the transition before, (D, D).
    """

    mode: int
    learned: bool
    time: float
    step: float
    settled: float
    integral: FloatArray
    impulse: FloatArray


@dataclass
class Account:
    """What of a head's path has been told in transitions, for a path that goes on where another ends.

    Attributes:
        integral: of its residual until now, (D, D).
        impulse: what of it off the diagonal has been told, (D, D).
        until: for a mode, up to when its drive has been told, and its integral until then.
        crossed: for a mode, when it was last half there.
    """

    integral: FloatArray
    impulse: FloatArray
    until: dict[int, tuple[float, float]] = field(default_factory=dict)
    crossed: dict[int, float] = field(default_factory=dict)


class RestlessHead:
    """An active head from a moment on.

    Args:
        modes: the loss.
        head: its state at `start`.
        held: the modes of which it has been told that it holds them.
        free: the modes that no other head holds, these among them.
        start: the time.
        account: of what went before.

    Attributes:
        transitions: what it learns and loses until it holds its goals, by step.
        evaluations: of its velocity.
    """

    def __init__(self, modes: Modes, head: DormantHead, held: Sequence[int], free: Sequence[int], start: float,
                 account: Account | None = None) -> None:
        self.modes, self.head, self.start = modes, head, start
        self.held, self.free = tuple(held), tuple(free)
        self.account = account or Account(np.zeros_like(modes.weights), np.zeros_like(modes.weights))
        for mode in self.free:
            self.account.until.setdefault(mode, (start, float(self.account.integral[mode, mode])))
        by_energy = sorted(self.free, key=lambda mode: -self.modes.energies[mode])
        # As many as its rank, those that carry most of the loss: its own cost has no other minimum.
        self.goals = tuple(by_energy[: head.keys.shape[0]])
        self.evaluations = 0
        self.transitions = self._transitions() if set(self.goals) != set(self.held) else []

    @property
    def drop(self) -> list[Transition]:
        """The transitions to come that are one drop of the loss: each begins before those before it have settled."""
        together = self.transitions[:1]
        for transition in self.transitions[1:]:
            if transition.step > max(one.settled for one in together):
                break
            together.append(transition)
        return together

    def tell(self, transition: Transition) -> None:
        """Take a transition off the list."""
        self.transitions.remove(transition)
        mode, integral = transition.mode, transition.integral
        self.account.until[mode] = transition.settled, float(integral[mode, mode])
        self.account.impulse = self.account.impulse + transition.impulse

    def at(self, time: float) -> tuple[DormantHead, Account]:
        """Its state at a time, and the account up to there."""
        time = min(time, float(self._path.t[-1]))
        head = DormantHead.from_parameters(self._parameters(self._path.sol(time)), self._rank)
        crossed = self.account.crossed | {mode: when for mode, _, when in self._half_times if when <= time}
        return head, replace(
            self.account, integral=self._integral(time), until=dict(self.account.until), crossed=crossed)

    def _transitions(self) -> list[Transition]:
        found, told = list[Transition](), self.account.impulse
        until = {mode: self.account.until[mode] for mode in self.free}
        crossings = self._crossings()
        for number, (mode, learned, crossing) in enumerate(crossings):
            following = [time for other, _, time in crossings[number + 1:] if other == mode]
            settled = self._settled(mode, learned, crossing, min(following, default=math.inf))
            integral = self._integral(settled)
            begin, before = until[mode]
            whole = float(integral[mode, mode])
            driven = (whole - before) / float(self.modes.drives[mode])
            until[mode] = settled, whole
            # Until it is learned the drive is whole; once it is lost it is whole again.
            step = begin + driven if learned else settled - driven
            off = integral - np.diag(np.diag(integral))
            found.append(Transition(mode, learned, crossing, step, settled, integral, off - told))
            told = off
        return sorted(found, key=lambda transition: transition.step)

    def _crossings(self) -> list[tuple[int, bool, float]]:
        """(mode, whether it is learned, when it is half there) of the transitions that last, by time."""
        halves, shares, crossings = self._half_times, self._rows, list[tuple[int, bool, float]]()
        for mode in self.free:
            own = [(above, time) for one, above, time in halves if one == mode]
            held = mode in self.held
            if bool(shares[0, mode] >= 0.5) != held:
                # Under way at the start: unless it comes to nothing, it has just not been told.
                own = own[1:] if own else [(not held, self.account.crossed.get(mode, self.start))]
            while own:
                above, time = own.pop(0)
                inside = self._path.t >= time
                if own and above:
                    inside &= self._path.t <= own[0][1]
                    if shares[inside, mode].max(initial=0.0) < NEARLY_ALL:
                        own.pop(0)
                        continue
                crossings.append((mode, above, time))
        return sorted(crossings, key=lambda crossing: crossing[2])

    @cached_property
    def _half_times(self) -> list[tuple[int, bool, float]]:
        """(mode, whether it rises, when) of all times at which half of a mode is there."""
        times, found = self._path.t, list[tuple[int, bool, float]]()
        above = self._rows >= 0.5
        for row, mode in zip(*np.nonzero(above[1:] != above[:-1]), strict=True):
            def excess(time: float, mode: int = int(mode)) -> float:
                return float(self._shares(time)[mode]) - 0.5

            found.append((int(mode), bool(above[row + 1, mode]), _root(excess, times[row], times[row + 1])))
        return found

    def _settled(self, mode: int, learned: bool, crossing: float, following: float) -> float:
        """When the mode is all there, or all gone, after it was half there; as nearly as it comes until `following`."""
        rows = np.flatnonzero((self._path.t > crossing) & (self._path.t < following))
        if not rows.size:
            return max(crossing, self.start)
        missing = np.abs(self._rows[rows, mode] - float(learned))
        near = rows[missing <= SETTLED]
        return float(self._path.t[near[0] if near.size else rows[int(np.argmin(missing))]])

    @cached_property
    def _rows(self) -> FloatArray:
        """The shares at the steps of the path, (T, D)."""
        return np.array([self._shares(time) for time in self._path.t])

    def _shares(self, time: float) -> FloatArray:
        """M_ii / A_i, (D,)."""
        return np.asarray(np.diag(self._output(self._path.sol(time))) / self.modes.optimum)

    def _output(self, state: FloatArray) -> FloatArray:
        value, keys, queries = split(self._parameters(state), self._rank)
        return np.asarray(value * keys.T @ queries)

    @property
    def _rank(self) -> int:
        return len(self.head.keys)

    def _parameters(self, state: FloatArray) -> FloatArray:
        """What of a state of the path is not the integral."""
        return state[: -self.modes.weights.size]

    def _integral(self, time: float) -> FloatArray:
        dimension = len(self.modes.optimum)
        return np.asarray(self._path.sol(time)[-dimension**2:].reshape(dimension, dimension))

    @cached_property
    def _path(self) -> Any:
        """SciPy's solution, in parameters and the integral of the residual."""
        from scipy.integrate import solve_ivp  # SciPy's integrators take time to load

        inside = np.isin(np.arange(len(self.modes.optimum)), self.free)
        weights = self.modes.weights * np.outer(inside, inside)
        optimum = np.diag(self.modes.optimum)
        goals = list(self.goals)

        def flow(_: float, state: FloatArray) -> FloatArray:
            parameters = self._parameters(state)
            value, keys, queries = split(parameters, self._rank)
            residual = weights * (optimum - value * (keys.T @ queries))
            return np.concatenate([velocity(parameters, self._rank, residual), residual.ravel()])

        def unfinished(_: float, state: FloatArray) -> float:
            shares = np.diag(self._output(state)) / self.modes.optimum
            # Once all goals are there, nothing else has room.
            return float(np.abs(shares[goals] - 1).max() - SETTLED)

        unfinished.terminal = True  # type: ignore[attr-defined]
        start = replace(self.head, keys=self.head.keys * inside, queries=self.head.queries * inside).parameters
        slowest = float(self.modes.drives[list(self.free)].min()) * abs(float(start[0]))
        path = solve_ivp(flow, (self.start, self.start + LONGEST_GROWTH / slowest),
                         np.append(start, self.account.integral), method="LSODA", dense_output=True,
                         events=unfinished, **ACCURACY)
        self.evaluations = int(path.nfev)
        return path


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq  # SciPy's root finders take time to load

    return float(brentq(function, low, high))
